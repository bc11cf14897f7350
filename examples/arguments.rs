//! Reads the command line: options as typed, values of several kinds, and errors that name the option.
//!
//! An error repeats a value without a login in it: a user may have given a URL to the wrong option.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    str::FromStr,
};

use lexopt::Arg;
use mqtt_core::{
    Filter, QoS, Topic, TopicError,
    driver::{
        address::{Address, without_login},
        blocking::{self, Brokers},
    },
};
use thiserror::Error;

/// An error in the command line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UsageError {
    /// There is no such option.
    #[error("unknown option {0}")]
    Unknown(String),
    /// An argument that is neither an option nor the value of one.
    #[error("unexpected argument {0}")]
    Unexpected(String),
    /// An option with a wrong value.
    #[error("option {option}: {problem}")]
    Value {
        /// The option as typed.
        option: String,
        /// The error.
        problem: String,
    },
    /// Options that do not go together, or a missing option.
    #[error("{0}")]
    Together(&'static str),
}

/// The next argument of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// An option with its dashes.
    Option(String),
    /// An argument that is not an option, such as a path.
    Other(OsString),
}

/// The error for an argument after the last one that is expected.
#[must_use]
pub fn unexpected(argument: &OsStr) -> UsageError {
    UsageError::Unexpected(shown(&argument.to_string_lossy()))
}

/// The most characters of a value that an error repeats.
const LONGEST_SHOWN: usize = 100;

/// A value for an error: without a login, and only the beginning if it is long.
#[must_use]
pub fn shown(text: &str) -> String {
    let text = without_login(text);
    let begin: String = text.chars().take(LONGEST_SHOWN).collect();
    if begin.len() == text.len() {
        return format!("{text:?}");
    }
    format!("{begin:?}... ({} bytes)", text.len())
}

/// The address of a broker as the user wrote it. Its `Debug` text shows no login.
#[derive(Clone)]
pub struct Url {
    text: String,
    address: Address,
}

impl Url {
    /// Reads an address that this program has a transport for.
    ///
    /// # Errors
    ///
    /// The problem in words. It repeats no part of the address.
    pub fn parse(text: &str) -> Result<Self, String> {
        let address = Address::parse(text).map_err(|error| error.to_string())?;
        match Brokers::new(&[text]) {
            Ok(_) => Ok(Self { text: text.into(), address }),
            Err(blocking::Error::NoTransport { feature, .. }) => {
                let scheme = address.scheme();
                Err(format!("{scheme}:// needs {feature}, which this program was built without"))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// The text for [`Brokers::new`]. It may hold a login.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The parts.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

/// `host:port`.
#[must_use]
pub fn place(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The command line, read from its front.
pub struct Arguments {
    parser: lexopt::Parser,
    option: String,
}

/// Without the arguments that are still to be read: one of them may be a password.
impl fmt::Debug for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arguments").field("option", &self.option).finish_non_exhaustive()
    }
}

impl Arguments {
    /// The command line of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self { parser: lexopt::Parser::from_env(), option: String::new() }
    }

    /// These arguments, without a program name.
    pub fn new(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
        Self { parser: lexopt::Parser::from_args(arguments), option: String::new() }
    }

    /// The next option with its dashes, such as `-q` or `--qos`; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`UsageError::Unexpected`], or a value after an option that has none.
    pub fn option(&mut self) -> Result<Option<String>, UsageError> {
        match self.next()? {
            None => Ok(None),
            Some(Argument::Option(option)) => Ok(Some(option)),
            Some(Argument::Other(value)) => Err(unexpected(&value)),
        }
    }

    /// The next option or other argument; `None` at the end.
    ///
    /// # Errors
    ///
    /// A value after an option that has none.
    #[expect(clippy::should_implement_trait, reason = "an iterator gives no `Result<Option>`")]
    pub fn next(&mut self) -> Result<Option<Argument>, UsageError> {
        self.option = match self.parser.next() {
            Ok(None) => return Ok(None),
            Ok(Some(Arg::Short(letter))) => format!("-{letter}"),
            Ok(Some(Arg::Long(name))) => format!("--{name}"),
            Ok(Some(Arg::Value(value))) => return Ok(Some(Argument::Other(value))),
            Err(_) => return Err(self.wrong("it takes no value")),
        };
        Ok(Some(Argument::Option(self.option.clone())))
    }

    /// The value of the option: any bytes.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn bytes(&mut self) -> Result<Vec<u8>, UsageError> {
        match self.parser.value() {
            Ok(value) => Ok(value.into_encoded_bytes()),
            Err(_) => Err(self.wrong("a value is missing")),
        }
    }

    /// The value of the option: text.
    ///
    /// # Errors
    ///
    /// There is none, or it is not UTF-8.
    pub fn text(&mut self) -> Result<String, UsageError> {
        String::from_utf8(self.bytes()?).map_err(|_| self.wrong("the value is not UTF-8"))
    }

    /// The value of the option: a number. An error calls it `what`.
    ///
    /// # Errors
    ///
    /// There is none, or it is another kind of value.
    pub fn number<T: FromStr>(&mut self, what: &str) -> Result<T, UsageError> {
        let text = self.text()?;
        text.parse().map_err(|_| self.wrong(format!("{} is not {what}", shown(&text))))
    }

    /// The value of the option: a QoS.
    ///
    /// # Errors
    ///
    /// There is none, or it is not 0, 1 or 2.
    pub fn qos(&mut self) -> Result<QoS, UsageError> {
        let text = self.text()?;
        let qos = text.parse().ok().and_then(QoS::from_bits);
        qos.ok_or_else(|| self.wrong(format!("{} is not a QoS: 0, 1 or 2", shown(&text))))
    }

    /// The value of the option: a topic name.
    ///
    /// # Errors
    ///
    /// There is none, or it is not a topic name.
    pub fn topic(&mut self) -> Result<String, UsageError> {
        let text = self.text()?;
        self.checked(Topic::new(&text).err(), &text)?;
        Ok(text)
    }

    /// The value of the option: a topic filter.
    ///
    /// # Errors
    ///
    /// There is none, or it is not a topic filter.
    pub fn filter(&mut self) -> Result<String, UsageError> {
        let text = self.text()?;
        self.checked(Filter::new(&text).err(), &text)?;
        Ok(text)
    }

    /// The value of the option: the address of a broker.
    ///
    /// # Errors
    ///
    /// There is none, it is not an address, or this program has no transport for it. The error repeats no part of it.
    pub fn broker(&mut self) -> Result<Url, UsageError> {
        let text = self.text()?;
        Url::parse(&text).map_err(|problem| self.wrong(problem))
    }

    fn checked(&self, error: Option<TopicError>, text: &str) -> Result<(), UsageError> {
        error.map_or(Ok(()), |error| Err(self.wrong(format!("{}: {error}", shown(text)))))
    }

    /// The option read last is wrong.
    pub fn wrong(&self, problem: impl ToString) -> UsageError {
        UsageError::Value { option: self.option.clone(), problem: problem.to_string() }
    }

    /// The option read last does not exist.
    #[must_use]
    pub fn unknown(&self) -> UsageError {
        let shown: String = self.option.chars().take(LONGEST_SHOWN).collect();
        UsageError::Unknown(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The arguments after their first option.
    fn after_option(arguments: &[&str]) -> Arguments {
        let mut arguments = Arguments::new(arguments);
        assert!(arguments.option().is_ok_and(|option| option.is_some()), "an option comes first");
        arguments
    }

    #[test]
    fn options_are_read_as_users_type_them() {
        let mut arguments = Arguments::new(["-rq1", "--topic=a b", "-m", "-5"]);
        assert_eq!(arguments.option(), Ok(Some("-r".into())));
        assert_eq!(arguments.option(), Ok(Some("-q".into())));
        assert_eq!(arguments.qos(), Ok(QoS::AtLeastOnce));
        assert_eq!(arguments.option(), Ok(Some("--topic".into())));
        assert_eq!(arguments.text(), Ok("a b".into()));
        assert_eq!(arguments.option(), Ok(Some("-m".into())));
        assert_eq!(arguments.bytes(), Ok(b"-5".to_vec()), "a value may look like an option");
        assert_eq!(arguments.option(), Ok(None));
    }

    #[test]
    fn errors_name_the_option_as_typed() {
        let error = after_option(&["--qos", "3"]).qos().expect_err("3 is none");
        assert_eq!(error.to_string(), "option --qos: \"3\" is not a QoS: 0, 1 or 2");
        let error = after_option(&["-t", "a/#"]).topic().expect_err("a filter");
        assert_eq!(error.to_string(), "option -t: \"a/#\": wildcard in a topic name");
        let error = after_option(&["-p", "x"]).number::<u16>("a port").expect_err("a letter");
        assert_eq!(error.to_string(), "option -p: \"x\" is not a port");
        let error = after_option(&["-m"]).bytes().expect_err("nothing follows");
        assert_eq!(error.to_string(), "option -m: a value is missing");
        if cfg!(not(feature = "tls")) {
            let error = after_option(&["-L", "mqtts://u:p@h"]).broker().expect_err("TLS");
            let why = "option -L: mqtts:// needs tls, which this program was built without";
            assert_eq!(error.to_string(), why);
        }
        let error = after_option(&["-L", "h:0"]).broker().expect_err("no port");
        assert_eq!(error.to_string(), "option -L: the port is not from 1 to 65535");
        let error = Arguments::new(["hello"]).option().expect_err("no option");
        assert_eq!(error.to_string(), "unexpected argument \"hello\"");
    }
}
