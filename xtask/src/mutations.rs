//! `cargo xtask mutations`: bugs on purpose, each of which simulator and model checker have to find.

use std::path::PathBuf;

use crate::cli::{Args, Closing, Command, Error, Flag, Outcome};
use crate::model::MODEL_CHECKER;
use crate::shell::Log;
use crate::sim::SIMULATOR;
use crate::workspace::Workspace;
use crate::{bugs, checkers, mutated};

/// The command.
pub(crate) const COMMAND: Command = Command {
    name: "mutations",
    about: "Bugs on purpose, to be found by simulator and model checker",
    details: "\
Each patch in xtask/mutations is a bug. All of them are applied to one copy of the sources, simulator and model
checker are built from that copy, and both look for one bug after the other. If one of them does not find a bug,
the command fails: its checks would not see such a bug in the real code either.",
    flags: &[
        Flag { name: "mutation", value: Some("NAME"), about: "this one alone (may be repeated)" },
        Flag { name: "seeds", value: Some("N"), about: "for the simulator, at the most (default: 2000)" },
        Flag { name: "check", value: None, about: "applies the patches, builds and runs nothing" },
    ],
    run,
};

const SEEDS: u64 = 2_000;

fn run(args: &Args) -> Outcome {
    let workspace = Workspace::find()?;
    let seeds = args.number("seeds", SEEDS)?;
    if seeds == 0 {
        return Err(Error::Usage("--seeds: at least 1".to_owned()));
    }
    let mut all = bugs::all(&workspace)?;
    let chosen: Vec<&str> = args.values("mutation").collect();
    if let Some(unknown) = chosen.iter().find(|name| all.iter().all(|bug| bug.name != **name)) {
        let names: Vec<&str> = all.iter().map(|bug| bug.name.as_str()).collect();
        return Err(Error::Usage(format!(
            "no mutation '{unknown}'; there are {}",
            names.join(", ")
        )));
    }
    let log = Log::create(&workspace, "mutations", false)?;
    if args.has("check") {
        return check(&workspace, &log);
    }
    all.retain(|bug| chosen.is_empty() || chosen.contains(&bug.name.as_str()));
    let hunters = Hunters::build(&workspace, &log)?;
    let (mut catches, mut missed) = (0, 0);
    for bug in &all {
        println!("  {}: {}", bug.name, bug.about());
        for (hunter, found) in hunters.hunt(&workspace, &log, bug, seeds)? {
            catches += usize::from(found.is_some());
            let found =
                found.or_else(|| Some(format!("cannot see it: {}", bug.unseen_by(hunter)?)));
            missed += usize::from(found.is_none());
            println!("    {hunter:<14} {}", found.as_deref().unwrap_or("NOT CAUGHT"));
        }
    }
    let line = format!("{} mutations, {catches} catches, {missed} missed", all.len());
    Ok(Closing { line, ok: missed == 0 && !all.is_empty() })
}

/// Only applies the patches.
fn check(workspace: &Workspace, log: &Log) -> Outcome {
    let bugs = mutated::check(workspace, log)?;
    for bug in &bugs {
        println!("  {}: {}", bug.name, bug.about());
    }
    Ok(Closing { line: format!("{} patches apply", bugs.len()), ok: true })
}

/// Hunts every bug; gives the totals. For `cargo xtask test`.
pub(crate) fn all_caught(workspace: &Workspace, log: &Log) -> Result<String, String> {
    let hunters = Hunters::build(workspace, log)?;
    let bugs = bugs::all(workspace)?;
    for bug in &bugs {
        for (hunter, found) in hunters.hunt(workspace, log, bug, SEEDS)? {
            if found.is_none() && bug.unseen_by(hunter).is_none() {
                return Err(format!("{} not caught by the {hunter}", bug.name));
            }
        }
    }
    Ok(format!("{} bugs caught by each that can see them", bugs.len()))
}

/// Simulator and model checker, with bugs to switch on.
struct Hunters {
    simulator: PathBuf,
    model_checker: PathBuf,
}

impl Hunters {
    fn build(workspace: &Workspace, log: &Log) -> Result<Self, String> {
        let copy = mutated::prepare(workspace, log)?;
        Ok(Self {
            simulator: checkers::build_mutated(workspace, log, SIMULATOR, &copy)?,
            model_checker: checkers::build_mutated(workspace, log, MODEL_CHECKER, &copy)?,
        })
    }

    /// How each of them catches `bug`; `None` if it does not.
    fn hunt(
        &self,
        workspace: &Workspace,
        log: &Log,
        bug: &bugs::Bug,
        seeds: u64,
    ) -> Result<[(&'static str, Option<String>); 2], String> {
        let name = bug.name.as_str();
        let mut model = workspace.program(&self.model_checker);
        model.arg(format!("--mutation={name}"));
        let mut sim = workspace.program(&self.simulator);
        sim.arg(format!("--mutation={name}")).arg(format!("--seeds={seeds}"));
        sim.arg("--charts").arg(workspace.scratch("mutations/charts")?);
        let model = log.run(&mut model)?;
        let sim = log.run(&mut sim)?;
        Ok([
            ("model checker", model.ok.then(|| caught_after(&model.text, name)).flatten()),
            ("simulator", sim.ok.then(|| first_seed(&sim.text)).flatten()),
        ])
    }
}

/// The model checker's 'NAME: caught after N states by 'rule' in world W'.
fn caught_after(text: &str, name: &str) -> Option<String> {
    let mut lines = text.lines().filter_map(|line| line.trim().strip_prefix(name));
    lines.find_map(|rest| rest.strip_prefix(": caught ").map(str::to_owned))
}

/// The simulator's 'seed N: WHY'.
fn first_seed(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| line.starts_with("seed "))?;
    Some(format!("at {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_reports_a_catch_is_found() {
        let text =
            "    1. connect\n  One: caught after 1,234 states by 'order' in world out-1221\n";
        let found = caught_after(text, "One");
        assert_eq!(found.as_deref(), Some("after 1,234 states by 'order' in world out-1221"));
        assert_eq!(caught_after("One: not caught in 7 states\n", "One"), None);
        let text = "  seed 7: QoS 2 message 3 twice\n    again: ...\nOne: caught after 1 seeds\n";
        assert_eq!(first_seed(text).as_deref(), Some("at seed 7: QoS 2 message 3 twice"));
        assert_eq!(first_seed("One: not caught in 7 seeds\n"), None);
    }
}
