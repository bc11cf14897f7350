//! `cargo xtask fuzz`: runs the targets of `fuzz/` for a while.
//!
//! The checked-in corpora are read and not changed. New inputs go to the build directory.

use std::io::Write as _;

use crate::cli::{Args, Closing, Command, Error, Flag, Outcome};
use crate::shell::{self, Log};
use crate::workspace::Workspace;

/// The command.
pub(crate) const COMMAND: Command = Command {
    name: "fuzz",
    about: "Fuzzes the decoder, the client, its journal, the topics, the watchdog",
    details: "\
Runs each target of fuzz/ with cargo-fuzz and a nightly compiler. They start from the
checked-in corpora and do not change them. A crash is kept in fuzz/artifacts, and the log says how to replay it.",
    flags: &[
        Flag { name: "seconds", value: Some("N"), about: "for each target (default: 30)" },
        Flag { name: "target", value: Some("NAME"), about: "this target alone (may be repeated)" },
        Flag { name: "install", value: None, about: "installs cargo-fuzz if it is missing" },
        Flag { name: "verbose", value: None, about: "shows all output as it comes" },
    ],
    run,
};

fn run(args: &Args) -> Outcome {
    let workspace = Workspace::find()?;
    let seconds = args.number("seconds", 30)?;
    if args.has("install") {
        let log = Log::create(&workspace, "cargo-fuzz", args.has("verbose"))?;
        install(&workspace, &log).inspect_err(|_| {
            print!("{}", log.tail(40));
        })?;
    }
    let all = ready(&workspace)?;
    let mut chosen: Vec<&str> = args.values("target").collect();
    if let Some(unknown) = chosen.iter().find(|name| all.iter().all(|known| known != *name)) {
        let known = all.join(", ");
        return Err(Error::Usage(format!("no fuzz target '{unknown}'; there are {known}")));
    }
    if chosen.is_empty() {
        chosen = all.iter().map(String::as_str).collect();
    }
    let mut crashed = 0;
    for target in &chosen {
        print!("  {target:<14} ");
        let _ = std::io::stdout().flush();
        let log = Log::create(&workspace, &format!("fuzz-{target}"), args.has("verbose"))?;
        match run_target(&workspace, &log, target, seconds) {
            Ok(note) => println!("ok      {note}"),
            Err(why) => {
                crashed += 1;
                println!("FAILED  {why}");
                print!("{}", log.tail(60));
            }
        }
    }
    let line = format!("{} targets, {seconds} s each, {crashed} failed", chosen.len());
    Ok(Closing { line, ok: crashed == 0 })
}

/// Installs cargo-fuzz if it is missing and there is a nightly compiler to use it.
pub(crate) fn install(workspace: &Workspace, log: &Log) -> Result<(), String> {
    if has_nightly(workspace) && !has_cargo_fuzz(workspace) {
        println!("  installing cargo-fuzz ...");
        log.run(workspace.cargo().args(["install", "cargo-fuzz", "--locked"]))?.require()?;
    }
    Ok(())
}

fn has_nightly(workspace: &Workspace) -> bool {
    let toolchains = shell::ask(workspace.program("rustup").args(["toolchain", "list"]));
    toolchains.is_some_and(|list| list.lines().any(|line| line.starts_with("nightly")))
}

/// The targets. An error says which tool is missing.
pub(crate) fn ready(workspace: &Workspace) -> Result<Vec<String>, String> {
    if !has_nightly(workspace) {
        return Err("no nightly compiler (rustup toolchain install nightly)".to_owned());
    }
    if !has_cargo_fuzz(workspace) {
        return Err("no cargo-fuzz (cargo xtask fuzz --install)".to_owned());
    }
    let list = shell::ask(workspace.rustup("nightly").args(["fuzz", "list"]))
        .ok_or("cargo fuzz list failed")?;
    let targets: Vec<String> = list.lines().map(|line| line.trim().to_owned()).collect();
    if targets.is_empty() { Err("fuzz/ has no targets".to_owned()) } else { Ok(targets) }
}

fn has_cargo_fuzz(workspace: &Workspace) -> bool {
    shell::ask(workspace.cargo().args(["fuzz", "--version"])).is_some()
}

/// Fuzzes one target; gives how many inputs were tried.
pub(crate) fn run_target(
    workspace: &Workspace,
    log: &Log,
    target: &str,
    seconds: u64,
) -> Result<String, String> {
    // New inputs go to the first folder; the folders after it are only read.
    let found = workspace.scratch(&format!("fuzz-corpus/{target}"))?;
    let mut cargo = workspace.rustup("nightly");
    cargo.env("CARGO_TARGET_DIR", workspace.scratch("fuzz")?);
    cargo.args(["fuzz", "run", target]).arg(found);
    let seeds = workspace.root.join("fuzz/corpus").join(target);
    if seeds.is_dir() {
        cargo.arg(seeds);
    }
    cargo.arg("--").arg(format!("-max_total_time={seconds}"));
    let text = log.run(&mut cargo)?.require()?;
    Ok(runs(&text).unwrap_or_default().to_owned())
}

/// libFuzzer's last line, 'Done 12345 runs in 11 second(s)'.
fn runs(text: &str) -> Option<&str> {
    text.lines().rfind(|line| line.starts_with("Done ")).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_runs_is_found() {
        let text = "INFO: seed\n#2 INITED\nDone 771 runs in 2 second(s)\n";
        assert_eq!(runs(text), Some("Done 771 runs in 2 second(s)"));
        assert_eq!(runs("error"), None);
    }
}
