//! `cargo xtask kill`: a publisher, a subscriber and a real broker are killed at random moments, and the messages that
//! arrived are counted. The work is done by `tests/kill`; here it is built, given a Mosquitto, and started.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command as Process, Stdio};

use crate::cli::{Args, Closing, Command, Error, Flag, Outcome};
use crate::setup;
use crate::shell::Log;
use crate::workspace::Workspace;

/// The command.
pub(crate) const COMMAND: Command = Command {
    name: "kill",
    about: "Kills clients and a real broker, and counts what arrived",
    details: "\
Starts a publisher and a subscriber that keep journals, and a Mosquitto between them. First the clients are
killed (SIGKILL), over and over: every message must arrive, those of QoS 2 once and in order. Then Mosquitto
as well: if a message then goes wrong, its log must show that Mosquitto was at fault. Exit status 1 if a client
has lost, doubled or disordered anything. A missing Mosquitto is installed, as by cargo xtask test.",
    flags: &[
        Flag { name: "times", value: Some("N"), about: "kills of the publisher (default: 50); a fifth of it of Mosquitto" },
        Flag { name: "seed", value: Some("N"), about: "chooses who is killed and when (default: made up)" },
        Flag { name: "no-install", value: None, about: "installs nothing, only says what is missing" },
        Flag { name: "verbose", value: None, about: "shows all output as it comes" },
    ],
    run,
};

/// Kills of the publisher by default.
const TIMES: u64 = 50;

fn run(args: &Args) -> Outcome {
    let times = args.number("times", TIMES)?;
    if times == 0 {
        return Err(Error::Usage("--times: at least one kill".to_owned()));
    }
    let seed = args.values("seed").last().map(|_| args.number("seed", 0)).transpose()?;
    let workspace = Workspace::find()?;
    let log = Log::create(&workspace, "kill", args.has("verbose"))?;
    setup::ensure(&workspace, &log, &setup::MOSQUITTO, !args.has("no-install"))?;
    let built = program(&workspace, &log).inspect_err(|_| print!("{}", log.tail(60)))?;
    let mut command = order(&workspace, &built, times);
    if let Some(seed) = seed {
        command.args(["--seed", &seed.to_string()]);
    }
    let (line, ok) = watch(&mut command).map_err(|error| format!("kill: {error}"))?;
    if line.is_empty() {
        return Err(Error::Failed("kill came to no result".to_owned()));
    }
    Ok(Closing { line, ok })
}

/// A short run for `cargo xtask test`; gives its totals.
pub(crate) fn run_briefly(workspace: &Workspace, log: &Log) -> Result<String, String> {
    let built = program(workspace, log)?;
    let text = log.run(&mut order(workspace, &built, TIMES))?.require()?;
    Ok(text.lines().rfind(|line| line.contains(" kills, ")).unwrap_or_default().to_owned())
}

fn program(workspace: &Workspace, log: &Log) -> Result<PathBuf, String> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "-p", "system-tests", "--example", "kill"]);
    log.run(&mut cargo)?.require()?;
    Ok(workspace.target.join("debug/examples/kill"))
}

fn order(workspace: &Workspace, program: &PathBuf, times: u64) -> Process {
    let mut command = workspace.program(program);
    command.args(["--times", &times.to_string()]);
    command
}

/// Runs the program and prints its lines as they come. Gives the last one, which is not printed, and whether the
/// program succeeded.
fn watch(command: &mut Process) -> std::io::Result<(String, bool)> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut last: Option<String> = None;
    for line in child.stdout.take().into_iter().flat_map(|stdout| BufReader::new(stdout).lines()) {
        if let Some(before) = last.replace(line?) {
            println!("{before}");
        }
    }
    Ok((last.unwrap_or_default(), child.wait()?.success()))
}
