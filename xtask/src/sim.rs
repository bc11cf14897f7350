//! `cargo xtask sim`: clients, a broker and every fault in virtual time, from seeds.
//!
//! Builds `tests/sim` with optimisation and overflow checks, and lets it run; its last line is the closing line here.

use std::io::{BufRead as _, BufReader};
use std::process::{Command as Program, Stdio};

use crate::cli::{Args, Closing, Command, Error, Flag, Outcome};
use crate::shell::Log;
use crate::steps::Context;
use crate::workspace::Workspace;

/// The command.
pub(crate) const COMMAND: Command = Command {
    name: "sim",
    about: "Simulates clients, a broker and every fault, from seeds",
    details: "\
Each seed is a small world in virtual time: real clients, a strict model broker, links that break at any
byte, brokers that restart, devices that lose power. It ends with a healing phase, after which all that was
accepted has to be done. A run depends on its seed alone.

A seed that breaks a promise is told with the line that plays it again, and drawn as a sequence chart in
target/sim. --mutation switches on a bug that has to be found (see mqtt_core::mutation).",
    flags: &[
        Flag { name: "seeds", value: Some("N"), about: "how many (default: 1000)" },
        Flag { name: "from", value: Some("SEED"), about: "the first one (default: 0)" },
        Flag { name: "threads", value: Some("N"), about: "changes no result (default: one a core)" },
        Flag { name: "tell", value: Some("N"), about: "failures told one by one (default: 5)" },
        Flag { name: "mutation", value: Some("NAME"), about: "a bug that has to be found, or all" },
    ],
    run,
};

fn run(args: &Args) -> Outcome {
    let workspace = Workspace::find()?;
    let mutation = args.values("mutation").last();
    let numbers = numbers(args)?;
    let log = Log::create(&workspace, "sim", false)?;
    let program = build(&workspace, &log, mutation.is_some())?;
    let mut program = workspace.program(program);
    program.arg("--charts").arg(workspace.target.join("sim"));
    for (flag, number) in numbers {
        program.arg(format!("--{flag}={number}"));
    }
    if let Some(name) = mutation {
        program.arg(format!("--mutation={name}"));
    }
    follow(&mut program)
}

/// The flags that take a number, where they are given.
fn numbers(args: &Args) -> Result<Vec<(&'static str, u64)>, Error> {
    let mut numbers = Vec::new();
    for flag in ["seeds", "from", "threads", "tell"] {
        if args.has(flag) {
            let number = args.number(flag, 0)?;
            if number == 0 && matches!(flag, "seeds" | "threads") {
                return Err(Error::Usage(format!("--{flag}: at least 1")));
            }
            numbers.push((flag, number));
        }
    }
    Ok(numbers)
}

/// For `cargo xtask test`: `seeds` seeds keep every promise, and every bug on purpose is caught.
pub(crate) fn check(context: &Context<'_>, seeds: u64) -> Result<String, String> {
    let Context { workspace, log, .. } = context;
    let charts = workspace.target.join("sim");
    let mut notes = Vec::new();
    for args in [vec![format!("--seeds={seeds}")], vec!["--mutation=all".to_owned()]] {
        let program = build(workspace, log, args.iter().any(|arg| arg.contains("mutation")))?;
        let mut program = workspace.program(program);
        let text = context.run(program.args(args).arg("--charts").arg(&charts))?;
        notes.push(text.lines().last().unwrap_or_default().to_owned());
    }
    Ok(notes.join("; "))
}

/// Builds the simulator; gives where it is. With bugs to switch on it is another program, in another folder.
fn build(workspace: &Workspace, log: &Log, mutations: bool) -> Result<std::path::PathBuf, String> {
    let target = if mutations { workspace.scratch("mutations")? } else { workspace.target.clone() };
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--profile", "sim", "-p", "simulation", "--bin", "sim"]);
    cargo.env("CARGO_TARGET_DIR", &target);
    if mutations {
        cargo.env("RUSTFLAGS", "--cfg mqtt_core_mutations");
    }
    log.run(&mut cargo)?.require().inspect_err(|_| print!("{}", log.tail(60)))?;
    Ok(target.join("sim").join(format!("sim{}", std::env::consts::EXE_SUFFIX)))
}

/// Runs the simulator and passes on what it prints; its last line is the closing line.
fn follow(program: &mut Program) -> Outcome {
    let failed = |error: std::io::Error| Error::Failed(format!("sim: {error}"));
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
        (_, Some(2)) => Err(Error::Usage("the simulator did not understand that".to_owned())),
        (_, _) => Err(Error::Failed(format!("the simulator ended with {status}"))),
    }
}
