//! Why a configuration is not taken. No text of an error holds a line of the file, because a password may stand there.

use std::{
    io,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// Why a configuration is not taken.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {error}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The error of the system.
        error: io::Error,
    },
    /// A line is wrong.
    #[error("{}, line {line}, column {column}: {reason}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The character in the line, from 1.
        column: usize,
        /// The reason.
        reason: String,
    },
    /// A value does not go together with others.
    #[error("{}, {key}: {reason}", file.display())]
    Value {
        /// The file.
        file: PathBuf,
        /// The key, with its tables.
        key: String,
        /// The reason.
        reason: String,
    },
}

impl ConfigError {
    /// A value that does not go together with others.
    pub(crate) fn value(file: &Path, key: String, reason: String) -> Self {
        Self::Value { file: file.into(), key, reason }
    }

    /// The error of the parser, with its place, and without its excerpt of the file.
    pub(super) fn parse(error: &toml::de::Error, text: &str, file: &Path) -> Self {
        let start = error.span().map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self::Line { file: file.into(), line, column, reason: without_value(error.message()) }
    }
}

/// The message without the value in it: serde repeats a text that stands where another type is expected.
fn without_value(message: &str) -> String {
    let message = message.trim_end().replace('\n', ", ");
    let Some((before, value)) = message.split_once(": string \"") else { return message };
    let expected = value.rsplit_once("\", expected ").map(|(_, expected)| expected);
    match expected {
        Some(expected) => format!("{before}: a text, expected {expected}"),
        None => format!("{before}: a text"),
    }
}
