//! The command line.

use std::path::PathBuf;

use mqtt_examples::arguments::{Arguments, UsageError};

/// The text of `--help`.
pub const HELP: &str = "\
A gateway: several sensor threads publish through one client with a journal, and a watchdog watches all of them.

usage: gateway [options]

  --config FILE    the configuration (gateway.toml in this folder if it is there, else the defaults)
  --plain          print lines; without it the program shows a view if it runs on a terminal
  --check          check the configuration, show the time budget, and end
  --inject FAULT   after three readings or answers:
                   hang:TASK      the thread of this task blocks for ever
                   panic:TASK     it panics
                   link[:TIME]    nothing comes through to any broker, such as link:20s; without a time for ever
                   broker[:TIME]  the connected broker falls silent; the others of the list do not

In the view, q or Ctrl-C ends the program. Ctrl-C and SIGTERM end it in order: what was accepted is sent, the status is
'stopped', the connection ends with a DISCONNECT. A second one ends it at once.

Exit status: 0 a clean end; 3 the watchdog has bitten, and the last words are recorded; 1 otherwise.";

/// The command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--plain`.
    pub plain: bool,
    /// `--check`.
    pub check: bool,
    /// `--inject`, as typed: the configuration has the names.
    pub inject: Option<String>,
}

impl CommandLine {
    /// Reads the command line; `None`: the user asked for help.
    ///
    /// # Errors
    ///
    /// [`UsageError`]: an unknown option, or a missing value.
    pub fn read(mut arguments: Arguments) -> Result<Option<Self>, UsageError> {
        let mut line = Self::default();
        while let Some(option) = arguments.option()? {
            match option.as_str() {
                "-h" | "--help" => return Ok(None),
                "--config" => line.config = Some(arguments.text()?.into()),
                "--plain" => line.plain = true,
                "--check" => line.check = true,
                "--inject" => line.inject = Some(arguments.text()?),
                _ => return Err(arguments.unknown()),
            }
        }
        Ok(Some(line))
    }
}
