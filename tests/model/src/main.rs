//! `model`: explores the worlds of the model checker and reports. `cargo xtask model` builds and starts it.

use std::{io::Write as _, process::ExitCode};

use model_check::{ALL, Config, End, Outcome, Violation, check};
use test_kit::{
    command_line::{self, UsageError},
    mutation,
};

const HELP: &str = "\
Explores small closed worlds around the real client, each to its end

Usage: model [flags]

Flags:
  --large          also the worlds that take minutes each
  --world NAME     only this world (may be repeated)
  --list           prints the worlds, explores none
  --mutation NAME  switches on a bug that has to be found, or each in turn ('all'); needs the
                   build that `cargo xtask model --mutation` makes
  --help           prints this

The last line holds the totals. Exit status: 0 when every world was explored to its end and no rule is broken
(with --mutation: when the bug was found), 1 when not, 2 when the command line was not understood.
";

/// The arguments of the command line.
#[derive(Debug, PartialEq, Eq)]
struct Args {
    worlds: Vec<&'static Config>,
    list: bool,
    mutation: Option<String>,
}

fn main() -> ExitCode {
    command_line::run(HELP, parse, run)
}

fn run(args: Args) -> Result<ExitCode, UsageError> {
    if args.list {
        for config in &args.worlds {
            println!("  {:<16} {}", config.name, config.describe());
        }
        println!("{} worlds", args.worlds.len());
        return Ok(ExitCode::SUCCESS);
    }
    match &args.mutation {
        None => Ok(explore(&args.worlds)),
        Some(name) => {
            let refused = |why| UsageError::refused("mutation", why);
            let bugs = mutation::called(name).map_err(refused)?;
            Ok(hunt(&args.worlds, bugs))
        }
    }
}

fn parse(mut parser: lexopt::Parser) -> Result<Option<Args>, UsageError> {
    let (mut large, mut list, mut mutation) = (false, false, None);
    let mut worlds = Vec::new();
    while let Some(arg) = parser.next()? {
        match arg {
            lexopt::Arg::Long("large") => large = true,
            lexopt::Arg::Long("list") => list = true,
            lexopt::Arg::Long("world") => {
                let name = command_line::text(&mut parser)?;
                worlds.push(world(&name)?);
            }
            lexopt::Arg::Long("mutation") => {
                mutation = Some(command_line::text(&mut parser)?);
            }
            lexopt::Arg::Long("help") | lexopt::Arg::Short('h') => return Ok(None),
            lexopt::Arg::Long(_) | lexopt::Arg::Short(_) | lexopt::Arg::Value(_) => {
                return Err(arg.unexpected().into());
            }
        }
    }
    if worlds.is_empty() {
        worlds = ALL.iter().filter(|config| large || list || !config.large).collect();
    }
    Ok(Some(Args { worlds, list, mutation }))
}

fn world(name: &str) -> Result<&'static Config, UsageError> {
    ALL.iter().find(|config| config.name == name).ok_or_else(|| {
        let names: Vec<&str> = ALL.iter().map(|config| config.name).collect();
        UsageError::refused("world", format!("no '{name}'; there are {}", names.join(", ")))
    })
}

/// Explores `worlds` and reports on each.
fn explore(worlds: &[&Config]) -> ExitCode {
    let (mut states, mut most, mut violations, mut incomplete) = (0, 0, 0, 0);
    for config in worlds {
        print!("  {:<16} ", config.name);
        let _ = std::io::stdout().flush();
        let Outcome { states: found, steps, time, end } = check(config);
        states += found;
        let seconds = time.as_secs_f32();
        let counts =
            format!("{:>11} states {:>11} steps {seconds:7.1} s", grouped(found), grouped(steps));
        match end {
            End::Complete { longest, calm } => {
                most = most.max(longest);
                println!("{counts}   longest way {longest}, calm {calm}");
            }
            End::Violated(violation) => {
                violations += 1;
                println!("{counts}   VIOLATED");
                tell(config, &violation);
            }
            End::Incomplete(why) => {
                incomplete += 1;
                println!("{counts}   INCOMPLETE: {why}");
            }
        }
    }
    let unfinished =
        if incomplete == 0 { String::new() } else { format!(", {incomplete} incomplete") };
    println!(
        "{} worlds, {} states, longest way {most}, {violations} violations{unfinished}",
        worlds.len(),
        grouped(states),
    );
    if violations + incomplete == 0 && states > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Switches each bug on in turn. One of `worlds` has to find it.
fn hunt(worlds: &[&Config], bugs: &[mutation::Bug]) -> ExitCode {
    let mut caught = 0;
    for bug in bugs {
        let name = bug.name();
        mutation::set(Some(*bug));
        let mut states = 0;
        let found = worlds.iter().find_map(|config| {
            let outcome = check(config);
            states += outcome.states;
            match outcome.end {
                End::Violated(violation) => Some((config, violation)),
                End::Complete { .. } | End::Incomplete(_) => None,
            }
        });
        match found {
            Some((config, violation)) => {
                caught += 1;
                println!(
                    "  {name}: caught after {} states by '{}' in world {}",
                    grouped(states),
                    violation.property,
                    config.name,
                );
                tell(config, &violation);
            }
            None => println!("  {name}: not caught in {} states", grouped(states)),
        }
    }
    println!("{caught} of {} bugs on purpose caught", bugs.len());
    if caught == bugs.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tell(config: &Config, violation: &Violation) {
    println!(
        "    '{}' does not hold in world {}, {}:",
        violation.property,
        config.name,
        config.describe()
    );
    for line in &violation.way {
        println!("    {line}");
    }
}

/// With a comma after each thousand.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{ALL, Args, grouped, parse};

    fn read(line: &str) -> Result<Option<Args>, String> {
        parse(lexopt::Parser::from_args(line.split_whitespace())).map_err(|error| error.to_string())
    }

    fn worlds(line: &str) -> Vec<&'static str> {
        let Ok(Some(args)) = read(line) else { panic!("{line}: refused") };
        args.worlds.into_iter().map(|config| config.name).collect()
    }

    #[test]
    fn large_worlds_are_left_out_unless_asked_for() {
        assert_eq!(worlds("--large").len(), ALL.len());
        assert_eq!(worlds("--list").len(), ALL.len());
        let small = ALL.iter().filter(|config| !config.large).count();
        assert_eq!(worlds("").len(), small);
        assert!(small < ALL.len());
    }

    #[test]
    fn worlds_are_chosen_by_name() {
        assert_eq!(worlds("--world both --world smallest"), ["both", "smallest"]);
    }

    #[test]
    fn a_wrong_argument_is_named() {
        for (line, words) in [
            ("--world moon", "no 'moon'; there are smallest, "),
            ("--world", "--world"),
            ("--larg", "--larg"),
            ("--mutation", "--mutation"),
            ("12", "12"),
        ] {
            let error = read(line).expect_err(line);
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn help_explores_nothing() {
        assert_eq!(read("--large --help"), Ok(None));
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
