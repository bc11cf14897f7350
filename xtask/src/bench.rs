//! `cargo xtask bench`: time by criterion, instructions by callgrind.
//!
//! Times differ from machine to machine and are for reading. Instruction counts hardly do, so they have goals.
//! One operation's count is the difference between a run of 2 N and one of N of them, divided by N, less that of
//! what surrounds it (an operation that does nothing, say): neither start-up nor the loop is in it.

use std::path::Path;

use crate::cli::{Args, Closing, Command, Error, Flag, Outcome};
use crate::setup;
use crate::shell::{self, Log};
use crate::workspace::Workspace;

/// The command.
pub(crate) const COMMAND: Command = Command {
    name: "bench",
    about: "Time and instructions per operation",
    details: "\
Runs the criterion benchmarks, then counts the instructions of each operation under valgrind, with mqttbytes
beside this project in both. Fails when a count exceeds its goal by more than 10 %.",
    flags: &[
        Flag { name: "only", value: Some("PART"), about: "'criterion' or 'instructions'" },
        Flag { name: "quick", value: None, about: "criterion stops early: rougher times, much sooner" },
        Flag { name: "no-install", value: None, about: "installs nothing, only says what is missing" },
        Flag { name: "verbose", value: None, about: "shows all output as it comes" },
    ],
    run,
};

/// Operations of the shorter run.
const N: u64 = 2_000;

/// What a count may exceed its goal by, in percent.
const TOLERANCE: f64 = 10.0;

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
        let rows = instructions(&workspace, &log).inspect_err(|_| {
            print!("{}", log.tail(60));
        })?;
        let (line, all_met) = table(&rows);
        totals.push(line);
        ok = all_met;
    }
    Ok(Closing { line: totals.join(", "), ok })
}

fn criterion(workspace: &Workspace, quick: bool) -> Result<String, String> {
    // Nobody watches a benchmark to see cargo compile, but everybody to see the numbers.
    let log = Log::create(workspace, "criterion", true)?;
    let mut cargo = workspace.cargo();
    cargo.args(["bench", "-p", "mqtt-benches", "--benches"]);
    if quick {
        cargo.args(["--", "--quick"]);
    }
    let text = log.run(&mut cargo)?.require()?;
    Ok(format!("{} benchmarks", text.lines().filter(|line| line.contains(" time:   [")).count()))
}

/// An operation as the counted program lists it.
#[derive(Debug, PartialEq)]
struct Operation {
    name: String,
    goal: Option<f64>,
    /// The operation whose count is taken off.
    less: String,
}

/// Its instructions.
struct Row {
    operation: Operation,
    count: f64,
}

impl Row {
    fn met(&self) -> bool {
        self.operation.goal.is_none_or(|goal| self.count <= goal * (1.0 + TOLERANCE / 100.0))
    }
}

fn instructions(workspace: &Workspace, log: &Log) -> Result<Vec<Row>, String> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "-p", "mqtt-benches", "--example", "instructions", "--profile", "bench"]);
    log.run(&mut cargo)?.require()?;
    // The bench profile builds where the release profile does.
    let program = workspace.target.join("release/examples/instructions");
    let list = shell::ask(&mut workspace.program(&program)).ok_or("the program did not run")?;
    let operations = list.lines().map(operation).collect::<Result<Vec<_>, _>>()?;
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
        rows.push(Row { operation, count });
    }
    Ok(rows)
}

/// A line of the list: name, goal or '-', and what is taken off, with tabs between.
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
        collected(&text).ok_or_else(|| format!("{name}: callgrind told no count"))
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
    println!("  {:<44} {:>12} {:>6}", "operation", "instructions", "goal");
    for row in rows {
        let Operation { name, goal, .. } = &row.operation;
        let goal = goal.map_or_else(String::new, |goal| format!("{goal:.0}"));
        let remark = if row.met() { "" } else { "  exceeded" };
        println!("  {name:<44} {:>12.0} {goal:>6}{remark}", row.count);
    }
    println!();
    let with_goal = rows.iter().filter(|row| row.operation.goal.is_some()).count();
    let missed = rows.iter().filter(|row| !row.met()).count();
    let line = format!("{} counts, {} of {with_goal} goals met", rows.len(), with_goal - missed);
    (line, missed == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, goal: Option<f64>) -> Operation {
        Operation { name: name.to_owned(), goal, less: "nothing".to_owned() }
    }

    fn row(goal: Option<f64>, count: f64) -> Row {
        Row { operation: named("x", goal), count }
    }

    #[test]
    fn a_count_may_exceed_its_goal_by_a_tenth() {
        assert!(row(Some(200.0), 219.9).met());
        assert!(!row(Some(200.0), 220.1).met());
        assert!(row(None, 1e6).met());
    }

    #[test]
    fn the_list_of_operations_is_read() {
        let puback = "decode PUBACK";
        assert_eq!(operation("decode PUBACK\t70\tnothing"), Ok(named(puback, Some(70.0))));
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
