//! The common part of the command lines of `sim` and `model`.

use std::{fmt, num::ParseIntError, process::ExitCode};

/// The error in a command line.
#[derive(Debug)]
pub enum UsageError {
    /// The command line cannot be split into flags and values.
    Lexopt(lexopt::Error),
    /// A value is not a number.
    Number {
        /// The flag, without its dashes.
        flag: &'static str,
        /// The value that was given.
        value: String,
        /// Why it is not a number.
        error: ParseIntError,
    },
    /// A value is refused.
    Refused {
        /// The flag, without its dashes.
        flag: &'static str,
        /// The reason.
        why: String,
    },
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lexopt(error) => write!(f, "{error}"),
            Self::Number { flag, value, error } => write!(f, "--{flag}: '{value}': {error}"),
            Self::Refused { flag, why } => write!(f, "--{flag}: {why}"),
        }
    }
}

impl std::error::Error for UsageError {}

impl From<lexopt::Error> for UsageError {
    fn from(error: lexopt::Error) -> Self {
        Self::Lexopt(error)
    }
}

impl UsageError {
    /// The value of `flag` is refused.
    pub fn refused(flag: &'static str, why: impl Into<String>) -> Self {
        Self::Refused { flag, why: why.into() }
    }
}

/// The value of the flag that was read last, as text.
///
/// # Errors
///
/// There is no value.
pub fn text(parser: &mut lexopt::Parser) -> Result<String, UsageError> {
    Ok(parser.value()?.to_string_lossy().into_owned())
}

/// The value of `flag`, which was read last, as a number.
///
/// # Errors
///
/// There is no value, or it is not a number.
pub fn number(flag: &'static str, parser: &mut lexopt::Parser) -> Result<u64, UsageError> {
    let value = text(parser)?;
    value.parse().map_err(|error| UsageError::Number { flag, value, error })
}

/// Reads the command line of this process and runs it, or prints `help`. A command line that is not understood has the
/// exit status 2.
pub fn run<A>(
    help: &str,
    parse: impl FnOnce(lexopt::Parser) -> Result<Option<A>, UsageError>,
    run: impl FnOnce(A) -> Result<ExitCode, UsageError>,
) -> ExitCode {
    let outcome = parse(lexopt::Parser::from_env()).and_then(|args| match args {
        Some(args) => run(args),
        None => {
            print!("{help}");
            Ok(ExitCode::SUCCESS)
        }
    });
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}; see --help");
        ExitCode::from(2)
    })
}
