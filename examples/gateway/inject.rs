//! Faults on purpose, to see what the gateway does: `--inject hang:sensor2`.

use mqtt_examples::arguments::shown;
use thiserror::Error;

use crate::{config::Config, time::Span};

/// The fault comes after so many readings of a sensor, or answers of the broker: so the gateway was healthy before.
pub const AFTER: u64 = 3;

/// A fault on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inject {
    /// The thread of this task blocks for ever.
    Hang(String),
    /// The thread of this task panics.
    Panic(String),
    /// Nothing comes through to any broker, for a time or for ever, and nobody is told: a black hole.
    Link(Option<Span>),
    /// The broker that is connected at this moment says nothing any more, for a time or for ever. The others do.
    Broker(Option<Span>),
}

/// A fault that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InjectError {
    /// There is no such fault.
    #[error("{0} is not a fault: hang:TASK, panic:TASK, link, link:TIME, broker or broker:TIME")]
    Unknown(String),
    /// There is no such task.
    #[error("{name} is not a task of this configuration: {tasks}")]
    Task {
        /// The name as typed.
        name: String,
        /// All names.
        tasks: String,
    },
    /// The time is wrong.
    #[error("{0}")]
    Time(#[from] crate::time::SpanError),
}

impl Inject {
    /// Reads the value of `--inject`.
    ///
    /// # Errors
    ///
    /// [`InjectError`]: there is no such fault, or no such task in `config`.
    pub fn parse(text: &str, config: &Config) -> Result<Self, InjectError> {
        let (fault, rest) = match text.split_once(':') {
            Some((fault, rest)) => (fault, Some(rest)),
            None => (text, None),
        };
        let task = |name: &str| {
            if config.tasks().any(|task| task == name) {
                return Ok(name.to_owned());
            }
            let tasks: Vec<&str> = config.tasks().collect();
            Err(InjectError::Task { name: shown(name), tasks: tasks.join(", ") })
        };
        let time = || rest.map(str::parse).transpose();
        match (fault, rest) {
            ("hang", Some(name)) => Ok(Self::Hang(task(name)?)),
            ("panic", Some(name)) => Ok(Self::Panic(task(name)?)),
            ("link", _) => Ok(Self::Link(time()?)),
            ("broker", _) => Ok(Self::Broker(time()?)),
            _ => Err(InjectError::Unknown(shown(text))),
        }
    }

    /// The fault of the thread of `task`, if it has one.
    #[must_use]
    pub fn of_thread(&self, task: &str) -> Option<ThreadFault> {
        match self {
            Self::Hang(name) if name == task => Some(ThreadFault::Hang),
            Self::Panic(name) if name == task => Some(ThreadFault::Panic),
            Self::Hang(_) | Self::Panic(_) | Self::Link(_) | Self::Broker(_) => None,
        }
    }
}

/// The fault of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadFault {
    /// It blocks for ever.
    Hang,
    /// It panics.
    Panic,
}

impl std::fmt::Display for ThreadFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Hang => "hangs",
            Self::Panic => "panics",
        })
    }
}

impl ThreadFault {
    /// The fault happens, in the thread that calls this.
    pub fn happen(self) -> ! {
        match self {
            Self::Hang => loop {
                std::thread::park();
            },
            Self::Panic => panic!("as injected"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_is_read() {
        let read = |text: &str| Inject::parse(text, &Config::default());
        assert_eq!(read("hang:sensor2"), Ok(Inject::Hang("sensor2".into())));
        assert_eq!(read("panic:link"), Ok(Inject::Panic("link".into())));
        assert_eq!(read("link"), Ok(Inject::Link(None)));
        assert_eq!(read("link:3s"), Ok(Inject::Link(Some(Span::from_millis(3_000)))));
        assert_eq!(read("broker"), Ok(Inject::Broker(None)));
    }

    #[test]
    fn an_unknown_fault_or_task_is_refused_with_those_that_exist() {
        let error = |text: &str| Inject::parse(text, &Config::default()).map_err(|e| e.to_string());
        let tasks = "\"pump\" is not a task of this configuration: sensor1, sensor2, sensor3, link";
        assert_eq!(error("hang:pump"), Err(tasks.into()));
        for text in ["", "hang", "panic", "fire:sensor1"] {
            let error = error(text).expect_err("there is none");
            assert!(error.contains("is not a fault: hang:TASK, panic:TASK, link"), "{error}");
        }
        assert!(error("link:soon").is_err_and(|error| error.contains("is not a time")));
    }
}
