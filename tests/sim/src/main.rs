//! `sim`: runs seeds of the simulation and reports. `cargo xtask sim` builds and starts it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use simulation::{Campaign, Failure, open};
use test_kit::{
    command_line::{self, UsageError, number},
    mutation,
};

const HELP: &str = "\
Simulates clients, a broker and every fault, from seeds

Usage: sim [flags]

Flags:
  --seeds N        how many seeds to run (default: 1000)
  --from SEED      the first one (default: 0)
  --threads N      threads to run them on (default: one a core); changes no result
  --tell N         how many failures are told one by one, each with a chart (default: 5)
  --notes N        how many notes of its device a chart has (default: 100)
  --charts DIR     where charts of failing seeds go (default: target/sim)
  --mutation NAME  switches on a bug that has to be found, or each in turn ('all'); needs the
                   build that `cargo xtask sim --mutation` makes
  --help           prints this

The last line holds the totals. Exit status: 0 when no promise was broken but by the seeds of tests/sim/src/open.rs,
and by all of these (with --mutation: when the bug was found), 1 otherwise, 2 when the command line was not understood.
";

/// The arguments of the command line.
#[derive(Debug, PartialEq, Eq)]
struct Args {
    seeds: u64,
    from: u64,
    threads: usize,
    tell: usize,
    charts: PathBuf,
    notes: usize,
    mutation: Option<String>,
}

fn main() -> ExitCode {
    command_line::run(HELP, parse, run)
}

fn run(args: Args) -> Result<ExitCode, UsageError> {
    match &args.mutation {
        None => Ok(simulate(&args)),
        Some(name) => {
            let refused = |why| UsageError::refused("mutation", why);
            let bugs = mutation::called(name).map_err(refused)?;
            Ok(hunt(&args, bugs))
        }
    }
}

fn parse(mut parser: lexopt::Parser) -> Result<Option<Args>, UsageError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let charts = PathBuf::from("target/sim");
    let mut args =
        Args { seeds: 1_000, from: 0, threads, tell: 5, charts, notes: 100, mutation: None };
    while let Some(arg) = parser.next()? {
        match arg {
            lexopt::Arg::Long("seeds") => args.seeds = number("seeds", &mut parser)?,
            lexopt::Arg::Long("from") => args.from = number("from", &mut parser)?,
            lexopt::Arg::Long("threads") => args.threads = number("threads", &mut parser)? as usize,
            lexopt::Arg::Long("tell") => args.tell = number("tell", &mut parser)? as usize,
            lexopt::Arg::Long("notes") => args.notes = number("notes", &mut parser)? as usize,
            lexopt::Arg::Long("charts") => args.charts = parser.value()?.into(),
            lexopt::Arg::Long("mutation") => {
                args.mutation = Some(command_line::text(&mut parser)?);
            }
            lexopt::Arg::Long("help") | lexopt::Arg::Short('h') => return Ok(None),
            lexopt::Arg::Long(_) | lexopt::Arg::Short(_) | lexopt::Arg::Value(_) => {
                return Err(arg.unexpected().into());
            }
        }
    }
    for (flag, zero) in [("seeds", args.seeds == 0), ("threads", args.threads == 0)] {
        if zero {
            return Err(UsageError::refused(flag, "at least 1"));
        }
    }
    Ok(Some(args))
}

fn simulate(args: &Args) -> ExitCode {
    let Args { from, seeds, threads, .. } = *args;
    let start = Instant::now();
    let (totals, all) = Campaign { from, seeds, threads, stop_at_first: false }.run();
    print!("{}", totals.report(start.elapsed()));
    let (open, failures): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|failure| open::reason(failure.seed).is_some());
    let mut mended = open::within(from, seeds)
        .filter(|seed| open.iter().all(|failure| failure.seed != *seed))
        .peekable();
    let is_stale = mended.peek().is_some();
    for seed in mended {
        println!("  seed {seed} keeps every promise now: take it off the list of open ones");
    }
    for failure in &open {
        println!(
            "  open seed {}: {}",
            failure.seed,
            open::reason(failure.seed).unwrap_or_default()
        );
    }
    for failure in failures.iter().take(args.tell) {
        tell(failure, &args.charts, args.notes);
    }
    if let Some(more) = failures.len().checked_sub(args.tell).filter(|more| *more != 0) {
        println!("  ... and {more} more");
    }
    match open.len() {
        0 => println!("{}", totals.line()),
        open => println!("{}, {open} of them open", totals.line()),
    }
    if failures.is_empty() && !is_stale { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Switches each bug on in turn. A seed that passes without the bug has to find it.
fn hunt(args: &Args, bugs: &[mutation::Bug]) -> ExitCode {
    let Args { from, seeds, threads, .. } = *args;
    let mut caught = 0;
    for bug in bugs {
        let name = bug.name();
        mutation::set(Some(*bug));
        let (totals, failures) = Campaign { from, seeds, threads, stop_at_first: true }.run();
        mutation::set(None);
        let is_clean = |failure: &&Failure| simulation::run(failure.seed).violation.is_none();
        if let Some(failure) = failures.iter().find(is_clean) {
            caught += 1;
            println!("  {name}: caught after {} seeds", totals.seeds);
            println!("    seed {}: {}", failure.seed, failure.violation);
        } else {
            println!("  {name}: not caught in {} seeds", totals.seeds);
        }
    }
    println!("{caught} of {} bugs on purpose caught", bugs.len());
    if caught == bugs.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tell(failure: &Failure, charts: &Path, notes: usize) {
    println!("  seed {}: {}", failure.seed, failure.violation);
    let quirks: Vec<_> = failure.quirks.iter().map(|quirk| quirk.words()).collect();
    println!(
        "    quirks: {}",
        if quirks.is_empty() { "none".to_owned() } else { quirks.join(", ") }
    );
    println!("    again: {}", failure.replay());
    match write_chart(failure.seed, charts, notes) {
        Ok(path) => println!("    chart: {}", path.display()),
        Err(error) => println!("    chart: {}: {error}", charts.display()),
    }
}

fn write_chart(seed: u64, charts: &Path, notes: usize) -> io::Result<PathBuf> {
    fs::create_dir_all(charts)?;
    let path = charts.join(format!("seed-{seed}.mmd"));
    fs::write(&path, simulation::chart(seed, notes))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::{Args, parse};

    fn read(line: &str) -> Result<Option<Args>, String> {
        let words = line.split_whitespace();
        parse(lexopt::Parser::from_args(words)).map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_are_read() {
        let Ok(Some(args)) = read("--seeds 7 --from 99 --threads 3") else { panic!("refused") };
        assert_eq!((args.seeds, args.from, args.threads), (7, 99, 3));
    }

    #[test]
    fn a_wrong_argument_is_named() {
        for (line, words) in [
            ("--seeds many", "--seeds: 'many'"),
            ("--seeds -1", "--seeds: '-1'"),
            ("--seeds 0", "--seeds: at least 1"),
            ("--threads 0", "--threads: at least 1"),
            ("--from", "--from"),
            ("--sedes 1", "--sedes"),
            ("12", "12"),
        ] {
            let error = read(line).expect_err(line);
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn help_runs_nothing() {
        assert_eq!(read("--seeds 1 --help"), Ok(None));
    }
}
