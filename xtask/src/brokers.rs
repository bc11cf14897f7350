//! `cargo xtask brokers`: installs the brokers of the tests, talks to each of them, and writes `brokers.md`, the table
//! of their differences from the standard.
//!
//! Brokers come from the system's package manager, from npm and from PyPI; rumqttd is a crate and is built with the
//! tests. Packages of npm and PyPI go into a folder of the build directory, in fixed versions.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::{Args, Closing, Command, Flag, Outcome};
use crate::setup::{self, Tool};
use crate::shell::Log;
use crate::tally;
use crate::workspace::Workspace;

/// The command.
pub(crate) const COMMAND: Command = Command {
    name: "brokers",
    about: "Talks to every broker that can be had, and writes the table of their differences",
    details: "\
Installs Mosquitto, NATS, RabbitMQ, aedes and amqtt if they are missing (rumqttd is built with the tests), holds
the conversations of tests/src/conversations with each, and writes brokers.md. The section of a broker that
cannot be had stays as it is. A difference that tests/src/brokers does not name fails, and the table is not
written. With --check nothing is written: the table has to be as the run has it.",
    flags: &[
        Flag { name: "check", value: None, about: "writes nothing, fails if the table is not as the run has it" },
        Flag { name: "no-install", value: None, about: "installs nothing, only says what is missing" },
        Flag { name: "verbose", value: None, about: "shows all output as it comes" },
    ],
    run,
};

/// The table, in the top folder.
const TABLE: &str = "brokers.md";

/// The text before the sections.
const OPENING: &str = "\
# Brokers, and how they differ from the standard

Real brokers as the tests found them, and the behaviour of the client in each case. `cargo xtask brokers` writes this
page: it holds the same conversations ([tests/src/conversations](tests/src/conversations)) with each broker. The tests
hold them as well. They fail if a broker differs in another way, and if it no longer differs.

A statement without a remark is broken by the broker. 'Allowed by' names one that lets the broker do so.
";

const NATS: Tool = Tool {
    programs: &["nats-server"],
    packages: &[
        ("apt-get", &["nats-server"]),
        ("apk", &["nats-server"]),
        ("brew", &["nats-server"]),
    ],
};

/// `epmd` is the name server of Erlang.
const RABBITMQ: Tool = Tool {
    programs: &["rabbitmq-server", "epmd"],
    packages: &[("apt-get", &["rabbitmq-server"]), ("dnf", &["rabbitmq-server"])],
};

const NODE: Tool = Tool {
    programs: &["node", "npm"],
    packages: &[
        ("apt-get", &["nodejs", "npm"]),
        ("dnf", &["nodejs", "npm"]),
        ("apk", &["nodejs", "npm"]),
        ("pacman", &["nodejs", "npm"]),
        ("brew", &["node"]),
    ],
};

/// The broker, two packages for a cluster with Redis, and one for WebSocket.
const AEDES: &[&str] =
    &["aedes@1.2.0", "aedes-persistence-redis@11.2.2", "mqemitter-redis@7.2.1", "ws@8.23.0"];

/// It keeps the sessions of a cluster of aedes. Without it that test is not run.
const REDIS: Tool = Tool {
    programs: &["redis-server"],
    packages: &[
        ("apt-get", &["redis-server"]),
        ("dnf", &["redis"]),
        ("apk", &["redis"]),
        ("pacman", &["redis"]),
        ("brew", &["redis"]),
    ],
};

const AMQTT: &str = "amqtt==0.12.1";

/// How many brokers beside Mosquitto have to be there.
const ENOUGH: usize = 2;

/// Installs the brokers that are missing. Gives a remark; an error if there are too few.
pub(crate) fn ensure(
    workspace: &Workspace,
    log: &Log,
    may_install: bool,
) -> Result<String, String> {
    setup::ensure(workspace, log, &setup::MOSQUITTO, may_install)?;
    let others = [
        ("NATS", setup::ensure(workspace, log, &NATS, may_install)),
        ("RabbitMQ", setup::ensure(workspace, log, &RABBITMQ, may_install)),
        ("aedes", aedes(workspace, log, may_install)),
        ("amqtt", amqtt(workspace, log, may_install)),
        ("rumqttd", Ok(())),
    ];
    let mut here = Vec::new();
    let mut remark = String::new();
    for (name, result) in others {
        match result {
            Ok(()) => here.push(name),
            Err(why) => remark = format!("{remark}; no {name}: {why}"),
        }
    }
    if let Err(why) = setup::ensure(workspace, log, &REDIS, may_install) {
        remark = format!("{remark}; no Redis: {why}");
    }
    let remark = format!("Mosquitto, {}{remark}", here.join(", "));
    if here.len() < ENOUGH { Err(format!("too few brokers: {remark}")) } else { Ok(remark) }
}

/// The folder of the packages, where tests/src/brokers looks for them.
fn packages(workspace: &Workspace) -> Result<PathBuf, String> {
    workspace.scratch("brokers")
}

fn aedes(workspace: &Workspace, log: &Log, may_install: bool) -> Result<(), String> {
    setup::ensure(workspace, log, &NODE, may_install)?;
    let all = AEDES.join(" ");
    install_once(&packages(workspace)?.join("npm"), &all, may_install, |folder| {
        let mut npm = workspace.program("npm");
        npm.args([
            "install",
            "--no-audit",
            "--no-fund",
            "--no-save",
            "--ignore-scripts",
            "--prefix",
        ]);
        log.run(npm.arg(folder).args(AEDES))?.require().map(|_| ())
    })
}

fn amqtt(workspace: &Workspace, log: &Log, may_install: bool) -> Result<(), String> {
    setup::ensure(workspace, log, &setup::PEERS, may_install)?;
    install_once(&packages(workspace)?.join("pip"), AMQTT, may_install, |folder| {
        let mut venv = workspace.program("python3");
        log.run(venv.args(["-m", "venv", "--clear"]).arg(folder))?.require()?;
        let mut pip = workspace.program(folder.join("bin").join("python"));
        log.run(pip.args(["-m", "pip", "install", "--quiet", AMQTT]))?.require().map(|_| ())
    })
}

/// Installs a package into a folder of its own, unless that has been done.
fn install_once(
    folder: &Path,
    package: &str,
    may_install: bool,
    install: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<(), String> {
    let told = |error: std::io::Error| format!("{}: {error}", folder.display());
    let ready = folder.join("ready");
    if fs::read_to_string(&ready).is_ok_and(|installed| installed == package) {
        return Ok(());
    }
    if !may_install {
        return Err(format!("{package} is not installed; `cargo xtask brokers` does it"));
    }
    println!("installing {package} into {}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(told)?;
    }
    fs::create_dir_all(folder).map_err(told)?;
    install(folder)?;
    fs::write(ready, package).map_err(told)
}

fn run(args: &Args) -> Outcome {
    let workspace = Workspace::find()?;
    let log = Log::create(&workspace, "brokers", args.has("verbose"))?;
    let remark = ensure(&workspace, &log, !args.has("no-install"))?;
    println!("{remark}");
    let sections = workspace.scratch("brokers")?.join("sections");
    if sections.exists() {
        fs::remove_dir_all(&sections).map_err(|error| error.to_string())?;
    }
    fs::create_dir_all(&sections).map_err(|error| error.to_string())?;
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--package", "system-tests", "--test", "brokers", "--no-fail-fast"]);
    if !args.has("check") {
        cargo.env("BROKERS_SECTIONS", &sections);
    }
    let ran = log.run(&mut cargo)?;
    let tally = tally::read(&ran.text);
    if !ran.ok {
        print!("{}", log.tail(100));
        println!("    (all of it: {})", log.path().display());
    } else if !args.has("check") {
        write(&workspace, &sections)?;
    }
    Ok(Closing { line: tally.to_string(), ok: ran.ok })
}

/// Writes the table: the new sections, and the present ones of brokers that were not there.
fn write(workspace: &Workspace, sections: &Path) -> Result<(), String> {
    let file = workspace.root.join(TABLE);
    let present = fs::read_to_string(&file).unwrap_or_default();
    let entries = fs::read_dir(sections).map_err(|error| error.to_string())?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let mut new = Vec::new();
    for file in files {
        new.push(
            fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?,
        );
    }
    let table = table(&present, &new);
    if table == present {
        println!("{TABLE} stays as it is");
        return Ok(());
    }
    println!("{TABLE} is written");
    fs::write(&file, table).map_err(|error| format!("{TABLE}: {error}"))
}

/// The table with these sections. Those of the present table whose broker has no new one stay, in their places.
fn table(present: &str, new: &[String]) -> String {
    let mut sections: Vec<String> = sections_of(present).map(str::to_owned).collect();
    for section in new {
        match sections.iter_mut().find(|known| broker_of(known) == broker_of(section)) {
            Some(known) => section.trim_end().clone_into(known),
            None => sections.push(section.trim_end().to_owned()),
        }
    }
    let mut text = OPENING.to_owned();
    for section in sections {
        text.push('\n');
        text.push_str(&section);
        text.push('\n');
    }
    text
}

fn sections_of(table: &str) -> impl Iterator<Item = &str> {
    let starts = table.match_indices("\n## ").map(|(at, _)| at + 1);
    starts.filter_map(|at| {
        let rest = table.get(at..)?;
        rest.get(..rest.find("\n\n## ").unwrap_or(rest.len())).map(str::trim_end)
    })
}

/// The name in a section's heading, which ends with the version.
fn broker_of(section: &str) -> Option<&str> {
    Some(section.lines().next()?.strip_prefix("## ")?.rsplit_once(' ')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_section_takes_the_place_of_the_old_one() {
        let first = table("", &["## A 1\n\nold\n".to_owned(), "## B 1\n\n| b |\n".to_owned()]);
        assert_eq!(first, format!("{OPENING}\n## A 1\n\nold\n\n## B 1\n\n| b |\n"));
        let second = table(&first, &["## A 2\n\nnew\n".to_owned()]);
        assert_eq!(second, format!("{OPENING}\n## A 2\n\nnew\n\n## B 1\n\n| b |\n"));
        assert_eq!(table(&second, &[]), second);
    }
}
