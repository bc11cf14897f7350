//! `cargo xtask sim`: clients, a broker and every fault in virtual time, from seeds.
//!
//! Builds and runs `tests/sim`. Its last line is the closing line here.

use crate::checkers::{self, Checker};
use crate::cli::{Args, Command, Error, Flag, Outcome};
use crate::shell::Log;
use crate::steps::Context;
use crate::workspace::Workspace;

/// The simulator.
pub(crate) const SIMULATOR: Checker = Checker { package: "simulation", program: "sim" };

/// The command.
pub(crate) const COMMAND: Command = Command {
    name: "sim",
    about: "Simulates clients, a broker and every fault, from seeds",
    details: "\
Each seed is a small world in virtual time: real clients, a strict model broker, links that break at any
byte, brokers that restart, devices that lose power. It ends with a healing phase: after that, everything that was
accepted must be done. A run depends on its seed alone.

If a seed breaks a promise, one line says how to replay it, and target/sim has a sequence chart of it. --mutation
switches on a bug that has to be found (see xtask/mutations).",
    flags: &[
        Flag { name: "seeds", value: Some("N"), about: "how many (default: 1000)" },
        Flag { name: "from", value: Some("SEED"), about: "the first one (default: 0)" },
        Flag { name: "threads", value: Some("N"), about: "changes no result (default: one a core)" },
        Flag { name: "tell", value: Some("N"), about: "failures printed one by one (default: 5)" },
        Flag { name: "mutation", value: Some("NAME"), about: "a bug that has to be found, or all" },
    ],
    run,
};

fn run(args: &Args) -> Outcome {
    let workspace = Workspace::find()?;
    let mutation = args.values("mutation").last();
    let numbers = numbers(args)?;
    let log = Log::create(&workspace, "sim", false)?;
    let program = checkers::build_for(&workspace, &log, SIMULATOR, mutation)?;
    let mut program = workspace.program(program);
    program.arg("--charts").arg(workspace.target.join("sim"));
    for (flag, number) in numbers {
        program.arg(format!("--{flag}={number}"));
    }
    if let Some(name) = mutation {
        program.arg(format!("--mutation={name}"));
    }
    checkers::follow(&mut program)
}

/// The flags that take a number, if they are given.
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

/// For `cargo xtask test`: `seeds` seeds keep every promise.
pub(crate) fn check(context: &Context<'_>, seeds: u64) -> Result<String, String> {
    let Context { workspace, log, .. } = context;
    let program = checkers::build(workspace, log, SIMULATOR)?;
    let mut program = workspace.program(program);
    program.arg(format!("--seeds={seeds}")).arg("--charts").arg(workspace.target.join("sim"));
    let text = context.run(&mut program)?;
    Ok(text.lines().last().unwrap_or_default().to_owned())
}
