//! Simulator and model checker: programs of the workspace that print their findings and end with their totals.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command as Program, Stdio};

use crate::cli::{Closing, Error, Outcome};
use crate::mutated::{self, Mutated};
use crate::shell::Log;
use crate::workspace::Workspace;

/// One of them.
#[derive(Clone, Copy)]
pub(crate) struct Checker {
    /// Its package.
    pub(crate) package: &'static str,
    /// Its program there.
    pub(crate) program: &'static str,
}

/// Builds `checker` with optimisation and overflow checks; gives its path.
pub(crate) fn build(workspace: &Workspace, log: &Log, checker: Checker) -> Result<PathBuf, String> {
    build_in(workspace.cargo(), &workspace.target, log, checker)
}

/// Builds `checker` with the bugs on purpose; gives its path.
pub(crate) fn build_mutated(
    workspace: &Workspace,
    log: &Log,
    checker: Checker,
    mutated: &Mutated,
) -> Result<PathBuf, String> {
    let mut cargo = workspace.cargo();
    cargo.current_dir(&mutated.root).env("CARGO_TARGET_DIR", &mutated.target);
    // A bug may leave code behind that is never reached: no lint of the workspace is to refuse that.
    cargo.env("RUSTFLAGS", "--cfg mqtt_core_mutations --cap-lints=warn");
    // The rules of simulator and model checker have to find the bug, not an assertion of the library.
    cargo.env("CARGO_PROFILE_SIM_DEBUG_ASSERTIONS", "false");
    build_in(cargo, &mutated.target, log, checker)
}

fn build_in(
    mut cargo: Program,
    target: &Path,
    log: &Log,
    Checker { package, program }: Checker,
) -> Result<PathBuf, String> {
    cargo.args(["build", "--profile", "sim", "-p", package, "--bin", program]);
    log.run(&mut cargo)?.require().inspect_err(|_| print!("{}", log.tail(60)))?;
    Ok(target.join("sim").join(format!("{program}{}", std::env::consts::EXE_SUFFIX)))
}

/// Builds `checker` for a command, which may want the bugs on purpose.
pub(crate) fn build_for(
    workspace: &Workspace,
    log: &Log,
    checker: Checker,
    mutation: Option<&str>,
) -> Result<PathBuf, String> {
    if mutation.is_none() {
        return build(workspace, log, checker);
    }
    build_mutated(workspace, log, checker, &mutated::prepare(workspace, log)?)
}

/// Runs a checker and prints its lines as they come. Its last line becomes the closing line.
pub(crate) fn follow(program: &mut Program) -> Outcome {
    let name = Path::new(program.get_program()).file_stem().unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    let failed = |error: std::io::Error| Error::Failed(format!("{name}: {error}"));
    let mut child = program.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(failed)?;
    let mut last: Option<String> = None;
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            if let Some(before) = last.replace(line.map_err(failed)?) {
                println!("{before}");
            }
        }
    }
    let status = child.wait().map_err(failed)?;
    match (last, status.code()) {
        (Some(line), Some(0 | 1)) => Ok(Closing { line, ok: status.success() }),
        // The reason is on standard error.
        (_, Some(2)) => Err(Error::Usage(format!("{name} did not understand that"))),
        (_, _) => Err(Error::Failed(format!("{name} ended with {status}"))),
    }
}
