//! `cargo xtask mutations`: bugs on purpose, each of which simulator and model checker have to find.
//!
//! Both are built with `--cfg mqtt_core_mutations`, in a folder of their own; the library that users get has no trace of
//! the bugs.

use std::path::PathBuf;

use crate::checkers;
use crate::cli::{Args, Closing, Command, Error, Flag, Outcome};
use crate::model::MODEL_CHECKER;
use crate::shell::Log;
use crate::sim::SIMULATOR;
use crate::workspace::Workspace;

/// The command.
pub(crate) const COMMAND: Command = Command {
    name: "mutations",
    about: "Bugs on purpose, to be found by simulator and model checker",
    details: "\
Switches on one bug of mqtt_core::mutation after the other and has both look for it. A bug that one of them
does not find makes the command fail: its checks would not see such a bug in the real code either.",
    flags: &[
        Flag { name: "mutation", value: Some("NAME"), about: "this one alone (may be repeated)" },
        Flag { name: "seeds", value: Some("N"), about: "for the simulator, at the most (default: 2000)" },
    ],
    run,
};

/// Where the bugs are listed.
const SOURCE: &str = "mqtt-core/src/mutation.rs";
const SEEDS: u64 = 2_000;

fn run(args: &Args) -> Outcome {
    let workspace = Workspace::find()?;
    let seeds = args.number("seeds", SEEDS)?;
    if seeds == 0 {
        return Err(Error::Usage("--seeds: at least 1".to_owned()));
    }
    let all = names(&workspace)?;
    let chosen: Vec<&str> = args.values("mutation").collect();
    if let Some(unknown) = chosen.iter().find(|name| all.iter().all(|known| known != *name)) {
        return Err(Error::Usage(format!("no mutation '{unknown}'; there are {}", all.join(", "))));
    }
    let log = Log::create(&workspace, "mutations", false)?;
    let hunters = Hunters::build(&workspace, &log)?;
    let (mut hunted, mut missed) = (0, 0);
    for name in all.iter().filter(|name| chosen.is_empty() || chosen.contains(&name.as_str())) {
        hunted += 1;
        println!("  {name}");
        for (hunter, found) in hunters.hunt(&workspace, &log, name, seeds)? {
            missed += usize::from(found.is_none());
            println!("    {hunter:<14} {}", found.as_deref().unwrap_or("NOT CAUGHT"));
        }
    }
    let line = format!("{hunted} mutations, {} catches, {missed} missed", 2 * hunted - missed);
    Ok(Closing { line, ok: missed == 0 && hunted > 0 })
}

/// Hunts every bug; gives the totals. For `cargo xtask test`.
pub(crate) fn all_caught(workspace: &Workspace, log: &Log) -> Result<String, String> {
    let hunters = Hunters::build(workspace, log)?;
    let names = names(workspace)?;
    for name in &names {
        for (hunter, found) in hunters.hunt(workspace, log, name, SEEDS)? {
            if found.is_none() {
                return Err(format!("{name} not caught by the {hunter}"));
            }
        }
    }
    Ok(format!("{} bugs caught by both", names.len()))
}

/// The names of all bugs.
fn names(workspace: &Workspace) -> Result<Vec<String>, String> {
    let path = workspace.root.join(SOURCE);
    let source = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let names = names_in(&source);
    if names.is_empty() { Err(format!("{SOURCE} lists no mutation")) } else { Ok(names) }
}

/// What `Mutation::ALL` lists.
fn names_in(source: &str) -> Vec<String> {
    let list = source.split_once("ALL:").and_then(|(_, behind)| behind.split_once("];"));
    let entries =
        list.map_or("", |(list, _)| list).split(|c: char| !c.is_alphanumeric() && c != ':');
    entries.filter_map(|entry| entry.strip_prefix("Self::")).map(str::to_owned).collect()
}

/// Simulator and model checker, with bugs to switch on.
struct Hunters {
    simulator: PathBuf,
    model_checker: PathBuf,
}

impl Hunters {
    fn build(workspace: &Workspace, log: &Log) -> Result<Self, String> {
        Ok(Self {
            simulator: checkers::build(workspace, log, SIMULATOR, true)?,
            model_checker: checkers::build(workspace, log, MODEL_CHECKER, true)?,
        })
    }

    /// How each of them catches `name`; `None` where it does not.
    fn hunt(
        &self,
        workspace: &Workspace,
        log: &Log,
        name: &str,
        seeds: u64,
    ) -> Result<[(&'static str, Option<String>); 2], String> {
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

/// The simulator's 'seed N: what is broken'.
fn first_seed(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| line.starts_with("seed "))?;
    Some(format!("at {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_mutations_is_read() {
        let source = "pub enum Mutation { One = 1, Two }\nimpl Mutation {\n    /// All.\n    \
                      pub const ALL: [Self; 2] = [\n        Self::One,\n        Self::Two,\n    ];\n}\n";
        assert_eq!(names_in(source), ["One", "Two"]);
        assert_eq!(names_in("pub enum Mutation {}"), [""; 0]);
    }

    #[test]
    fn the_list_of_the_library_is_not_empty() {
        let names = Workspace::find().and_then(|workspace| names(&workspace));
        assert!(names.is_ok_and(|names| names.contains(&"EarlyIdReuse".to_owned())));
    }

    #[test]
    fn what_caught_a_mutation_is_found() {
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
