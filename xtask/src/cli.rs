//! The command line: commands and flags are tables, so that `--help` cannot disagree with the parser.

use std::ffi::OsString;
use std::fmt::Write as _;

/// One command of `cargo xtask`.
pub(crate) struct Command {
    /// The word on the command line.
    pub(crate) name: &'static str,
    /// One line for the list of commands.
    pub(crate) about: &'static str,
    /// More lines for `--help`.
    pub(crate) details: &'static str,
    /// Flags besides `--help`.
    pub(crate) flags: &'static [Flag],
    /// Runs it.
    pub(crate) run: fn(&Args) -> Outcome,
}

/// A flag, `--name` or `--name VALUE`; may be given several times.
pub(crate) struct Flag {
    /// Without the dashes.
    pub(crate) name: &'static str,
    /// The name of its value in the help, if it takes one.
    pub(crate) value: Option<&'static str>,
    /// One line of help.
    pub(crate) about: &'static str,
}

/// How a command ended: its closing line with the totals, or an error that left nothing to sum up.
pub(crate) type Outcome = Result<Closing, Error>;

/// The closing line of a command.
pub(crate) struct Closing {
    /// The totals.
    pub(crate) line: String,
    /// Whether all went well.
    pub(crate) ok: bool,
}

/// Why a command has no closing line.
pub(crate) enum Error {
    /// The command line was not understood: exit status 2.
    Usage(String),
    /// The work could not be done: exit status 1.
    Failed(String),
}

impl From<String> for Error {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}

/// The request of a command line.
pub(crate) enum Request<'a> {
    /// To print this.
    Help(String),
    /// To run this.
    Run(&'a Command, Args),
}

/// The flags given.
#[derive(Debug, Default)]
pub(crate) struct Args(Vec<(&'static str, Option<String>)>);

impl Args {
    /// Whether the flag was given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(given, _)| *given == name)
    }

    /// Every value given for the flag, in order.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(given, _)| *given == name).filter_map(|(_, v)| v.as_deref())
    }

    /// The last value given for the flag as a number.
    pub(crate) fn number(&self, name: &str, default: u64) -> Result<u64, Error> {
        self.values(name).last().map_or(Ok(default), |value| {
            value
                .parse()
                .map_err(|_| Error::Usage(format!("--{name}: '{value}' is not a whole number")))
        })
    }
}

/// Reads the command line (without the program's name).
pub(crate) fn parse<'a>(
    commands: &'a [Command],
    line: impl IntoIterator<Item = OsString>,
) -> Result<Request<'a>, String> {
    let mut words = line.into_iter();
    let Some(first) = words.next() else {
        return Err(format!("no command given\n\n{}", overview(commands)));
    };
    let first = first.to_string_lossy();
    if matches!(&*first, "help" | "--help" | "-h") {
        return Ok(Request::Help(overview(commands)));
    }
    let Some(command) = commands.iter().find(|command| command.name == first) else {
        return Err(format!("unknown command '{first}'\n\n{}", overview(commands)));
    };
    let mut args = Args::default();
    let mut parser = lexopt::Parser::from_args(words);
    let hint = |what: String| format!("{what}; see cargo xtask {} --help", command.name);
    while let Some(arg) = parser.next().map_err(|error| hint(error.to_string()))? {
        let name = match arg {
            lexopt::Arg::Long("help") | lexopt::Arg::Short('h') => {
                return Ok(Request::Help(help(command)));
            }
            lexopt::Arg::Long(name) => name,
            lexopt::Arg::Short(letter) => return Err(hint(format!("unknown flag '-{letter}'"))),
            lexopt::Arg::Value(word) => {
                return Err(hint(format!("unexpected argument '{}'", word.to_string_lossy())));
            }
        };
        let Some(flag) = command.flags.iter().find(|flag| flag.name == name) else {
            return Err(hint(format!("unknown flag '--{name}'")));
        };
        let value = match flag.value {
            Some(_) => Some(parser.value().map_err(|error| hint(error.to_string()))?),
            None => None,
        };
        args.0.push((flag.name, value.map(|value| value.to_string_lossy().into_owned())));
    }
    Ok(Request::Run(command, args))
}

fn overview(commands: &[Command]) -> String {
    let mut text = String::from("Usage: cargo xtask <command> [flags]\n\nCommands:\n");
    for command in commands {
        let _ = writeln!(text, "  {:<12} {}", command.name, command.about);
    }
    text.push_str("\ncargo xtask <command> --help says more about one of them.\n");
    text
}

fn help(command: &Command) -> String {
    let mut text = format!("{}\n\nUsage: cargo xtask {}", command.about, command.name);
    if !command.flags.is_empty() {
        text.push_str(" [flags]");
    }
    let _ = write!(text, "\n\n{}\n\nFlags:\n", command.details.trim());
    for flag in command.flags {
        let spelling = flag
            .value
            .map_or_else(|| format!("--{}", flag.name), |value| format!("--{} {value}", flag.name));
        let _ = writeln!(text, "  {spelling:<20} {}", flag.about);
    }
    let _ = writeln!(text, "  {:<20} prints this", "--help");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMANDS: &[Command] = &[Command {
        name: "paint",
        about: "Paints",
        details: "In colours.",
        flags: &[
            Flag { name: "dry", value: None, about: "no water" },
            Flag { name: "coats", value: Some("N"), about: "how many" },
        ],
        run: |_| Ok(Closing { line: String::new(), ok: true }),
    }];

    fn read(line: &str) -> Result<Request<'static>, String> {
        parse(COMMANDS, line.split_whitespace().map(OsString::from))
    }

    fn args(line: &str) -> Args {
        match read(line) {
            Ok(Request::Run(_, args)) => args,
            Ok(Request::Help(_)) => panic!("help"),
            Err(error) => panic!("{error}"),
        }
    }

    fn error(line: &str) -> String {
        read(line).map(|_| ()).expect_err("an error")
    }

    #[test]
    fn flags_and_values_are_read_in_both_spellings() {
        let given = args("paint --dry --coats 2 --coats=3");
        assert!(given.has("dry"));
        assert_eq!(given.values("coats").collect::<Vec<_>>(), ["2", "3"]);
        assert!(matches!(given.number("coats", 1), Ok(3)));
        assert!(matches!(args("paint").number("coats", 1), Ok(1)));
    }

    #[test]
    fn an_unknown_command_flag_or_argument_is_named() {
        assert!(error("draw").contains("unknown command 'draw'"));
        assert!(error("paint --wet").contains("unknown flag '--wet'"));
        assert!(error("paint -w").contains("unknown flag '-w'"));
        assert!(error("paint wall").contains("unexpected argument 'wall'"));
        assert!(error("paint --coats").contains("--coats"));
        assert!(error("").contains("no command given"));
    }

    #[test]
    fn a_value_that_is_no_number_is_a_usage_error() {
        let given = args("paint --coats many");
        let Err(Error::Usage(message)) = given.number("coats", 1) else { panic!("accepted") };
        assert!(message.contains("'many'"), "{message}");
    }

    #[test]
    fn help_lists_every_flag() {
        for line in ["paint --help", "paint -h", "paint --dry --help"] {
            let Ok(Request::Help(text)) = read(line) else { panic!("{line}: no help") };
            assert!(text.contains("--dry") && text.contains("--coats N"), "{text}");
        }
    }
}
