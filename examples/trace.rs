//! `--trace FILE`: what goes over the wire, in a file.

use std::{io, sync::Arc};

use mqtt_core::driver::trace::{Account, Pcapng, Sink};
use thiserror::Error;

use crate::print;

/// The text of `--help` for it.
pub const HELP: &str = "  --trace FILE                 write what goes over the wire, for Wireshark if FILE ends in .pcapng, otherwise as
                               text (-: standard error); a password is shown as stars or not at all";

/// The file cannot be made.
#[derive(Debug, Error)]
#[error("--trace {file}: {error}")]
pub struct TraceError {
    file: String,
    error: io::Error,
}

/// The file that the user asked for.
#[derive(Clone, Debug)]
pub struct Trace {
    file: String,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Account(Account),
    Pcapng(Pcapng),
}

impl Trace {
    /// Makes the file; its name tells the form.
    ///
    /// # Errors
    ///
    /// [`TraceError`].
    pub fn create(file: &str) -> Result<Self, TraceError> {
        let form = if file == "-" {
            Ok(Form::Account(Account::new("", io::stderr())))
        } else if file.ends_with(".pcapng") {
            Pcapng::create(file).map(Form::Pcapng)
        } else {
            Account::create("", file).map(Form::Account)
        };
        match form {
            Ok(form) => Ok(Self { file: file.into(), form }),
            Err(error) => Err(TraceError { file: file.into(), error }),
        }
    }

    /// The sink for the links of `client`.
    #[must_use]
    pub fn of(&self, client: &str) -> Arc<dyn Sink> {
        match &self.form {
            Form::Account(account) => Arc::new(account.of(client)),
            Form::Pcapng(pcapng) => Arc::new(pcapng.of(client)),
        }
    }

    /// Says on standard error if the file is not complete.
    pub fn report(&self, program: &str) {
        let error = match &self.form {
            Form::Account(account) => account.take_error(),
            Form::Pcapng(pcapng) => pcapng.take_error(),
        };
        if let Some(error) = error {
            print::error(&format!("{program}: --trace {}: {error}", self.file));
        }
    }
}
