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

/// The outcome of a goodbye: nobody has to be told if the peer is gone already.
#[cfg(any(feature = "tls", feature = "websocket"))]
pub(super) fn gone_is_fine(told: io::Result<()>) -> io::Result<()> {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected};
    told.or_else(|error| {
        let gone = matches!(error.kind(), BrokenPipe | ConnectionReset | NotConnected);
        if gone { Ok(()) } else { Err(error) }
    })
}
