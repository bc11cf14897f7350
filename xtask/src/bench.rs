//! `cargo xtask bench`: time by criterion, instructions by callgrind.
//!
//! Times differ from machine to machine and are for reading. Instruction counts hardly differ, so they may hardly grow.
//! The count of one operation is the difference between a run of 2 N and one of N of them, divided by N, less the count
//! of its surroundings (an operation that does nothing, say): it holds neither start-up nor loop.
//!
//! Operations on a whole session are done once, with sessions of two sizes. Their cost may only grow with the size, so a
//! loop inside a loop is found, and its count is for each element of the session.

use std::path::PathBuf;

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
Runs the criterion benchmarks, then counts the instructions of each operation under valgrind. mqttbytes is
beside this project in both, task-watchdog in the second. Fails if a count has grown by more than 2 % over its last figure in
xtask/last/instructions.txt. Fails also if an operation on a session of twice the size, such as a restore, costs
more than 2.5 times as much. --record writes the new counts into that file: commit it together with the change that
explains them. Goals are printed, and whether they are met.",
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

/// The two sizes of a session; the second is twice the first.
const SIZES: [u64; 2] = [8_192, 16_384];

/// Twice the size costs at most this percentage of the cost.
const MOST_GROWTH: u64 = 250;

/// A count meets its goal up to this percentage above it.
const TOLERANCE: u64 = 10;

/// The names of a peer's operations start with one of these.
const PEERS: [&str; 2] = ["mqttbytes: ", "task-watchdog: "];

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
    /// If it depends on a size: the cost of the second size in per cent of that of the first.
    growth: Option<u64>,
    /// Its last figure, if there is one.
    last: Option<u64>,
}

impl Row {
    /// Whether the operation is one of this project. The others are there for comparison.
    fn is_own(&self) -> bool {
        !PEERS.iter().any(|peer| self.operation.name.starts_with(peer))
    }

    /// Why the count fails, if it does.
    fn fault(&self) -> Option<&'static str> {
        if self.growth.is_some_and(|growth| growth > MOST_GROWTH) {
            return Some("GROWS FASTER THAN ITS SIZE");
        }
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
    cargo.args(["build", "-p", "mqtt-benches", "--examples", "--profile", "bench"]);
    log.run(&mut cargo)?.require()?;
    let last = Last::read(workspace, LAST)?;
    let mut rows = Vec::new();
    let mut counter = Counter::new(workspace, log, "instructions");
    for operation in counter.operations()? {
        let count = counter.per_operation(&operation)?;
        let last = last.of(&operation.name);
        rows.push(Row { operation, count, growth: None, last });
    }
    let mut counter = Counter::new(workspace, log, "sizes");
    for operation in counter.operations()? {
        let [size, twice] = SIZES;
        let small = counter.net(&operation, size)?.max(1);
        let large = counter.net(&operation, twice)?;
        let count = (large + twice / 2) / twice;
        let last = last.of(&operation.name);
        rows.push(Row { operation, count, growth: Some(large * 100 / small), last });
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

/// Counts under callgrind.
struct Counter<'a> {
    workspace: &'a Workspace,
    log: &'a Log,
    program: PathBuf,
    /// The counts so far: several operations have the same surroundings.
    known: Vec<(String, u64, u64)>,
}

impl<'a> Counter<'a> {
    /// For the program `name` of the benchmarks.
    fn new(workspace: &'a Workspace, log: &'a Log, name: &str) -> Self {
        // The bench profile builds into the folder of the release profile.
        let program = workspace.target.join("release/examples").join(name);
        Self { workspace, log, program, known: Vec::new() }
    }

    /// The operations that the program lists.
    fn operations(&self) -> Result<Vec<Operation>, String> {
        let list = shell::ask(&mut self.workspace.program(&self.program));
        list.ok_or("the program did not run")?.lines().map(operation).collect()
    }

    /// The instructions of the program with the operation `name` and `number`.
    fn whole(&mut self, name: &str, number: u64) -> Result<u64, String> {
        let known = self.known.iter().find(|known| known.0 == name && known.1 == number);
        if let Some((_, _, count)) = known {
            return Ok(*count);
        }
        let mut valgrind = self.workspace.program("valgrind");
        valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(&self.program);
        valgrind.arg(name).arg(number.to_string());
        let text = self.log.run(&mut valgrind)?.require()?;
        let count =
            collected(&text).ok_or_else(|| format!("{name}: callgrind printed no count"))?;
        self.known.push((name.to_owned(), number, count));
        Ok(count)
    }

    /// The instructions of `operation` with `number`, without its surroundings.
    fn net(&mut self, operation: &Operation, number: u64) -> Result<u64, String> {
        let less = self.whole(&operation.less, number)?;
        Ok(self.whole(&operation.name, number)?.saturating_sub(less))
    }

    /// The instructions of `operation` once.
    fn per_operation(&mut self, operation: &Operation) -> Result<u64, String> {
        let long = self.net(operation, 2 * N)?;
        Ok((long.saturating_sub(self.net(operation, N)?) + N / 2) / N)
    }
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
        let growth = row.growth.map(|growth| format!("{growth} % for twice the size"));
        let (change, growth) = (change.unwrap_or_default(), growth.unwrap_or_default());
        let fault = row.fault().unwrap_or_default();
        let line = format!(
            "  {name:<44} {:>12} {goal:>6} {last:>6} {change:>8}  {growth}  {fault}",
            row.count
        );
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
        Row { operation: named(name, Some(200)), count, growth: None, last }
    }

    #[test]
    fn a_goal_is_met_up_to_a_tenth_above_it() {
        assert_eq!(row("x", 220, None).meets_goal(), Some(true));
        assert_eq!(row("x", 221, None).meets_goal(), Some(false));
        let operation = named("x", None);
        let without = Row { operation, count: 1_000_000, growth: None, last: None };
        assert_eq!(without.meets_goal(), None);
    }

    #[test]
    fn a_count_may_exceed_its_last_figure_by_two_per_cent() {
        assert_eq!(row("x", 102, Some(100)).fault(), None);
        assert_eq!(row("x", 103, Some(100)).fault(), Some("HAS GROWN"));
    }

    #[test]
    fn twice_the_size_may_cost_two_and_a_half_times_as_much() {
        let grown = |growth| Row { growth: Some(growth), ..row("x", 100, Some(100)) };
        assert_eq!(grown(250).fault(), None);
        assert_eq!(grown(251).fault(), Some("GROWS FASTER THAN ITS SIZE"));
    }

    #[test]
    fn every_operation_of_this_project_needs_a_last_figure() {
        assert_eq!(row("x", 1, None).fault(), Some("NO LAST FIGURE (see --record)"));
        assert_eq!(row("mqttbytes: x", 1, None).fault(), None);
        assert_eq!(row("task-watchdog: x", 1, None).fault(), None);
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
