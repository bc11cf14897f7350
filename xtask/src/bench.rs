//! `cargo xtask bench`: time by criterion, instructions by callgrind.
//!
//! Times differ from machine to machine and are for reading. Instruction counts hardly differ, so they may hardly grow.
//! The count of one operation is the difference between a run of 2 N and one of N of them, divided by N, less the count
//! of its surroundings (an operation that does nothing, say): it holds neither start-up nor loop.

use std::path::Path;

use crate::cli::{Args, Closing, Command, Error, Flag, Outcome};
use crate::last::{self, Last};
use crate::setup;
use crate::shell::{self, Log};
use crate::workspace::Workspace;

/// The command.
pub(crate) const COMMAND: Command = Command {
    name: "bench",
    about: "Time and instructions per operation",
    details: "\
Runs the criterion benchmarks, then counts the instructions of each operation under valgrind, with mqttbytes
beside this project in both. Fails if a count has grown by more than 2 % over its last figure in
xtask/last/instructions.txt. --record writes the new counts into that file: commit it together with the change
that explains them. Goals are printed, and whether they are met.",
    flags: &[
        Flag { name: "only", value: Some("PART"), about: "'criterion' or 'instructions'" },
        Flag { name: "record", value: None, about: "makes the new counts the last figures" },
        Flag { name: "quick", value: None, about: "criterion stops early: rougher times, much sooner" },
        Flag { name: "no-install", value: None, about: "installs nothing, only says what is missing" },
        Flag { name: "verbose", value: None, about: "shows all output as it comes" },
    ],
    run,
};

/// Operations of the shorter run.
const N: u64 = 2_000;

/// A count meets its goal up to this percentage above it.
const TOLERANCE: u64 = 10;

/// The names of a peer's operations start with this.
const PEER: &str = "mqttbytes: ";

/// The last figures of all operations of this project.
const LAST: &str = "xtask/last/instructions.txt";

fn run(args: &Args) -> Outcome {
    let part = args.values("only").last();
    if let Some(unknown) = part.filter(|part| !["criterion", "instructions"].contains(part)) {
        return Err(Error::Usage(format!(
            "--only: '{unknown}' is neither criterion nor instructions"
        )));
    }
    let workspace = Workspace::find()?;
    let verbose = args.has("verbose");
    let mut totals = Vec::new();
    if part != Some("instructions") {
        totals.push(criterion(&workspace, args.has("quick"))?);
    }
    let mut ok = true;
    if part != Some("criterion") {
        let log = Log::create(&workspace, "instructions", verbose)?;
        setup::ensure(&workspace, &log, &setup::VALGRIND, !args.has("no-install"))?;
        let mut rows = instructions(&workspace, &log).inspect_err(|_| {
            print!("{}", log.tail(60));
        })?;
        if args.has("record") {
            record(&workspace, &mut rows)?;
        }
        let (line, all_met) = table(&rows);
        totals.push(line);
        ok = all_met;
    }
    Ok(Closing { line: totals.join(", "), ok })
}

fn criterion(workspace: &Workspace, quick: bool) -> Result<String, String> {
    // A benchmark is run for its numbers, so they are shown as they come.
    let log = Log::create(workspace, "criterion", true)?;
    let mut cargo = workspace.cargo();
    cargo.args(["bench", "-p", "mqtt-benches", "--benches"]);
    if quick {
        cargo.args(["--", "--quick"]);
    }
    let text = log.run(&mut cargo)?.require()?;
    Ok(format!("{} benchmarks", text.lines().filter(|line| line.contains(" time:   [")).count()))
}

/// An operation in the list of the program that is counted.
#[derive(Debug, PartialEq)]
struct Operation {
    name: String,
    goal: Option<u64>,
    /// The operation whose count is taken off.
    less: String,
}

/// Its instructions.
struct Row {
    operation: Operation,
    count: u64,
    /// Its last figure, if there is one.
    last: Option<u64>,
}

impl Row {
    /// Whether the operation is one of this project. The others are there for comparison.
    fn is_own(&self) -> bool {
        !self.operation.name.starts_with(PEER)
    }

    /// Why the count fails, if it does.
    fn fault(&self) -> Option<&'static str> {
        match self.last {
            Some(last) if self.count > last::most(last) => Some("HAS GROWN"),
            None if self.is_own() => Some("NO LAST FIGURE (see --record)"),
            Some(_) | None => None,
        }
    }

    /// Whether it meets its goal, if it has one.
    fn meets_goal(&self) -> Option<bool> {
        let goal = self.operation.goal?;
        Some(self.count * 100 <= goal * (100 + TOLERANCE))
    }
}

/// Makes the counts the last figures.
fn record(workspace: &Workspace, rows: &mut [Row]) -> Result<(), String> {
    let own = rows.iter().filter(|row| row.is_own());
    let counts = own.map(|row| (row.operation.name.as_str(), row.count));
    last::record(workspace, LAST, COMMAND.name, counts)?;
    for row in rows.iter_mut().filter(|row| row.is_own()) {
        row.last = Some(row.count);
    }
    Ok(())
}

fn instructions(workspace: &Workspace, log: &Log) -> Result<Vec<Row>, String> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "-p", "mqtt-benches", "--example", "instructions", "--profile", "bench"]);
    log.run(&mut cargo)?.require()?;
    // The bench profile builds into the folder of the release profile.
    let program = workspace.target.join("release/examples/instructions");
    let list = shell::ask(&mut workspace.program(&program)).ok_or("the program did not run")?;
    let operations = list.lines().map(operation).collect::<Result<Vec<_>, _>>()?;
    let last = Last::read(workspace, LAST)?;
    let mut surroundings: Vec<(String, f64)> = Vec::new();
    let mut rows = Vec::new();
    for operation in operations {
        let known = surroundings.iter().find(|(name, _)| *name == operation.less);
        let less = match known {
            Some((_, count)) => *count,
            None => {
                let count = per_operation(workspace, log, &program, &operation.less)?;
                surroundings.push((operation.less.clone(), count));
                count
            }
        };
        let count = per_operation(workspace, log, &program, &operation.name)? - less;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small counts")]
        let count = count.max(0.0).round() as u64;
        let last = last.of(&operation.name);
        rows.push(Row { operation, count, last });
    }
    Ok(rows)
}

/// A line of the list: the name, the goal or '-', and the operation whose count is taken off, with tabs between.
fn operation(line: &str) -> Result<Operation, String> {
    let wrong = || format!("not an operation: '{line}'");
    let mut fields = line.split('\t');
    let (Some(name), Some(goal), Some(less)) = (fields.next(), fields.next(), fields.next()) else {
        return Err(wrong());
    };
    let goal = match goal {
        "-" => None,
        number => Some(number.parse().map_err(|_| wrong())?),
    };
    Ok(Operation { name: name.to_owned(), goal, less: less.to_owned() })
}

fn per_operation(
    workspace: &Workspace,
    log: &Log,
    program: &Path,
    name: &str,
) -> Result<f64, String> {
    let count = |times: u64| -> Result<u64, String> {
        let mut valgrind = workspace.program("valgrind");
        valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
        valgrind.arg(name).arg(times.to_string());
        let text = log.run(&mut valgrind)?.require()?;
        collected(&text).ok_or_else(|| format!("{name}: callgrind printed no count"))
    };
    let (short, long) = (count(N)?, count(2 * N)?);
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    Ok(long.saturating_sub(short) as f64 / N as f64)
}

/// The number in callgrind's 'Collected : 123456'.
fn collected(text: &str) -> Option<u64> {
    let line = text.lines().rfind(|line| line.contains("Collected :"))?;
    line.rsplit(':').next()?.trim().parse().ok()
}

fn table(rows: &[Row]) -> (String, bool) {
    println!("  {:<44} {:>12} {:>6} {:>6} {:>8}", "operation", "instructions", "goal", "last", "");
    for row in rows {
        let Operation { name, goal, .. } = &row.operation;
        let goal = goal.map_or_else(String::new, |goal| goal.to_string());
        let last = row.last.map_or_else(String::new, |last| last.to_string());
        let change = row.last.map(|last| format!("{} %", last::change(last, row.count)));
        let (change, fault) = (change.unwrap_or_default(), row.fault().unwrap_or_default());
        let line =
            format!("  {name:<44} {:>12} {goal:>6} {last:>6} {change:>8}  {fault}", row.count);
        println!("{}", line.trim_end());
    }
    println!();
    let goals: Vec<bool> = rows.iter().filter_map(Row::meets_goal).collect();
    let met = goals.iter().filter(|met| **met).count();
    let failed = rows.iter().filter(|row| row.fault().is_some()).count();
    let counts = format!("{} counts, {failed} failed", rows.len());
    (format!("{counts}, {met} of {} goals met", goals.len()), failed == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, goal: Option<u64>) -> Operation {
        Operation { name: name.to_owned(), goal, less: "nothing".to_owned() }
    }

    fn row(name: &str, count: u64, last: Option<u64>) -> Row {
        Row { operation: named(name, Some(200)), count, last }
    }

    #[test]
    fn a_goal_is_met_up_to_a_tenth_above_it() {
        assert_eq!(row("x", 220, None).meets_goal(), Some(true));
        assert_eq!(row("x", 221, None).meets_goal(), Some(false));
        let without = Row { operation: named("x", None), count: 1_000_000, last: None };
        assert_eq!(without.meets_goal(), None);
    }

    #[test]
    fn a_count_may_exceed_its_last_figure_by_two_per_cent() {
        assert_eq!(row("x", 102, Some(100)).fault(), None);
        assert_eq!(row("x", 103, Some(100)).fault(), Some("HAS GROWN"));
    }

    #[test]
    fn every_operation_of_this_project_needs_a_last_figure() {
        assert_eq!(row("x", 1, None).fault(), Some("NO LAST FIGURE (see --record)"));
        assert_eq!(row("mqttbytes: x", 1, None).fault(), None);
    }

    #[test]
    fn the_list_of_operations_is_read() {
        let puback = "decode PUBACK";
        assert_eq!(operation("decode PUBACK\t70\tnothing"), Ok(named(puback, Some(70))));
        assert_eq!(operation("decode PUBACK\t-\tnothing"), Ok(named(puback, None)));
        assert!(operation("decode PUBACK").is_err());
        assert!(operation("decode PUBACK\tfew\tnothing").is_err());
    }

    #[test]
    fn the_count_of_callgrind_is_read() {
        let text = "==7== Events    : Ir\n==7== Collected : 123456\n==7== \n";
        assert_eq!(collected(text), Some(123_456));
        assert_eq!(collected("==7== Events    : Ir\n"), None);
    }
}
