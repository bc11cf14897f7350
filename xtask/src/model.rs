//! `cargo xtask model`: small closed worlds around the real client, each explored to its end.
//!
//! Builds and runs `tests/model`. Its last line is the closing line here.

use crate::checkers::{self, Checker};
use crate::cli::{Args, Command, Flag, Outcome};
use crate::shell::Log;
use crate::steps::Context;
use crate::workspace::Workspace;

/// The model checker.
pub(crate) const MODEL_CHECKER: Checker = Checker { package: "model-check", program: "model" };

/// The command.
pub(crate) const COMMAND: Command = Command {
    name: "model",
    about: "Explores small closed worlds around the real client, to the end",
    details: "\
Each world has a few messages, a faithful broker and a limited number of faults: the link breaks, power fails,
the session is lost. Every order of events is tried, and every state visited: exactly once, at least once,
order, packet ids, no livelock. If a rule is broken, a shortest way to it is printed.

--list prints the worlds. --mutation switches on a bug that has to be found (see xtask/mutations). The docs of
tests/model say what is explored, what is left out, and why.",
    flags: &[
        Flag { name: "large", value: None, about: "also the worlds that take minutes each" },
        Flag { name: "world", value: Some("NAME"), about: "only this world (may be repeated)" },
        Flag { name: "list", value: None, about: "prints the worlds, explores none" },
        Flag { name: "mutation", value: Some("NAME"), about: "a bug that has to be found, or all" },
    ],
    run,
};

fn run(args: &Args) -> Outcome {
    let workspace = Workspace::find()?;
    let mutation = args.values("mutation").last();
    let log = Log::create(&workspace, "model", false)?;
    let program = checkers::build_for(&workspace, &log, MODEL_CHECKER, mutation)?;
    let mut program = workspace.program(program);
    for flag in ["large", "list"] {
        if args.has(flag) {
            program.arg(format!("--{flag}"));
        }
    }
    for world in args.values("world") {
        program.arg(format!("--world={world}"));
    }
    if let Some(name) = mutation {
        program.arg(format!("--mutation={name}"));
    }
    checkers::follow(&mut program)
}

/// For `cargo xtask test`: every world is explored to its end, and every rule holds.
pub(crate) fn check(context: &Context<'_>) -> Result<String, String> {
    let Context { workspace, log, .. } = context;
    let program = checkers::build(workspace, log, MODEL_CHECKER)?;
    let text = context.run(&mut workspace.program(program))?;
    Ok(text.lines().last().unwrap_or_default().to_owned())
}
