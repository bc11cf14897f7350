//! Errors that say where they happened, and those that are none.

use std::{error::Error, fmt, io, string::String};

/// An error and its place. The error stays its source.
#[derive(Debug)]
struct Located {
    place: String,
    error: io::Error,
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.error)
    }
}

impl Error for Located {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

/// `error` with its place before it, of the same kind.
pub(super) fn at(place: impl Into<String>, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), Located { place: place.into(), error })
}
