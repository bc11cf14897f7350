//! Simulator and model checker: programs of the workspace that print what they find and end with their totals.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command as Program, Stdio};

use crate::cli::{Closing, Error, Outcome};
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

/// Builds `checker` with optimisation and overflow checks; gives where it is. With bugs to switch on it is another
/// program, in another folder.
pub(crate) fn build(
    workspace: &Workspace,
    log: &Log,
    checker: Checker,
    mutations: bool,
) -> Result<PathBuf, String> {
    let Checker { package, program } = checker;
    let target = if mutations { workspace.scratch("mutations")? } else { workspace.target.clone() };
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--profile", "sim", "-p", package, "--bin", program]);
    cargo.env("CARGO_TARGET_DIR", &target);
    if mutations {
        cargo.env("RUSTFLAGS", "--cfg mqtt_core_mutations");
    }
    log.run(&mut cargo)?.require().inspect_err(|_| print!("{}", log.tail(60)))?;
    Ok(target.join("sim").join(format!("{program}{}", std::env::consts::EXE_SUFFIX)))
}

/// Runs a checker and passes on what it prints; its last line is the closing line.
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
        // It has said on standard error what is wrong.
        (_, Some(2)) => Err(Error::Usage(format!("{name} did not understand that"))),
        (_, _) => Err(Error::Failed(format!("{name} ended with {status}"))),
    }
}
