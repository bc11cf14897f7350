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
has lost, doubled or disordered anything. A missing Mosquitto is installed, as by cargo xtask test.

With --brokers 2 one publisher takes two Mosquittos that share nothing in turn. They are stopped (SIGTERM), and in a
second part killed, one after the other, and connections are cut. Each message of QoS 2 must be told as lost, or as
published, and then it must have arrived at one of them.",
    flags: &[
        Flag { name: "times", value: Some("N"), about: "kills of the publisher (default: 50); a fifth of it of Mosquitto" },
        Flag { name: "brokers", value: Some("N"), about: "1, or 2 that share nothing (default: 1)" },
        Flag { name: "messages", value: Some("N"), about: "with --brokers 2: messages in each of two parts (default: 10000)" },
        Flag { name: "driver", value: Some("NAME"), about: "the publisher's: blocking or tokio, with one broker (default: blocking)" },
        Flag { name: "seed", value: Some("N"), about: "chooses who is killed and when (default: made up)" },
        Flag { name: "no-install", value: None, about: "installs nothing, only says what is missing" },
        Flag { name: "verbose", value: None, about: "shows all output as it comes" },
    ],
    run,
};

/// Kills of the publisher by default.
const TIMES: u64 = 50;

/// Messages by default, if there are two brokers.
const MESSAGES: u64 = 10_000;

fn run(args: &Args) -> Outcome {
    let order = order(args)?;
    let seed = args.values("seed").last().map(|_| args.number("seed", 0)).transpose()?;
    let workspace = Workspace::find()?;
    let log = Log::create(&workspace, "kill", args.has("verbose"))?;
    setup::ensure(&workspace, &log, &setup::MOSQUITTO, !args.has("no-install"))?;
    let built = program(&workspace, &log).inspect_err(|_| print!("{}", log.tail(60)))?;
    let mut command = workspace.program(&built);
    command.args(order);
    if let Some(seed) = seed {
        command.args(["--seed", &seed.to_string()]);
    }
    let (line, ok) = watch(&mut command).map_err(|error| format!("kill: {error}"))?;
    if line.is_empty() {
        return Err(Error::Failed("kill came to no result".to_owned()));
    }
    Ok(Closing { line, ok })
}

/// The arguments of the program.
fn order(args: &Args) -> Result<Vec<String>, Error> {
    let wrong = |what: &str| Err(Error::Usage(what.to_owned()));
    let has = |name| args.values(name).next().is_some();
    let (name, number) = match args.number("brokers", 1)? {
        1 if has("messages") => return wrong("--messages needs --brokers 2"),
        1 => ("times", args.number("times", TIMES)?),
        2 if has("times") => return wrong("--times is for one broker"),
        2 => ("messages", args.number("messages", MESSAGES)?),
        _ => return wrong("--brokers: 1 or 2"),
    };
    if name == "times" && number == 0 {
        return wrong("--times: at least one kill");
    }
    let mut order = vec![format!("--{name}"), number.to_string()];
    if let Some(driver) = args.values("driver").last() {
        match (driver, name) {
            ("blocking" | "tokio", "times") => {
                order.extend(["--driver".to_owned(), driver.to_owned()]);
            }
            (_, "times") => return wrong("--driver: blocking or tokio"),
            _ => return wrong("--driver is for one broker"),
        }
    }
    if name == "messages" {
        order.extend(["--brokers".to_owned(), "2".to_owned()]);
    }
    Ok(order)
}

/// Short runs for `cargo xtask test`; gives their totals.
pub(crate) fn run_briefly(workspace: &Workspace, log: &Log) -> Result<String, String> {
    let built = program(workspace, log)?;
    let mut totals = Vec::new();
    for (order, total) in [
        (["--times", "50", "--brokers", "1"], " kills, "),
        (["--messages", "1000", "--brokers", "2"], " disturbances, "),
    ] {
        let text = log.run(workspace.program(&built).args(order))?.require()?;
        totals.push(text.lines().rfind(|line| line.contains(total)).unwrap_or_default().to_owned());
    }
    Ok(totals.join("; "))
}

fn program(workspace: &Workspace, log: &Log) -> Result<PathBuf, String> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "-p", "system-tests", "--example", "kill"]);
    log.run(&mut cargo)?.require()?;
    Ok(workspace.target.join("debug/examples/kill"))
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
