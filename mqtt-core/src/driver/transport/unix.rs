//! Unix sockets: a broker on the same machine, reached by a path.

use std::{io, os::unix::net::UnixStream, path::Path, time::Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use super::located::at;

/// A connection to the broker that listens at `path`, non-blocking.
///
/// # Errors
///
/// The error of the system, such as `NotFound`, `PermissionDenied` or `ConnectionRefused`; `TimedOut` at `until`. The
/// text names the path.
pub fn connect(path: impl AsRef<Path>, until: Instant) -> io::Result<UnixStream> {
    let path = path.as_ref();
    try_connect(path, until)
        .map_err(|error| at(std::format!("Unix socket {}", path.display()), error))
}

fn try_connect(path: &Path, until: Instant) -> io::Result<UnixStream> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // If the queue of the broker is full, a non-blocking connect fails at once, and nothing tells when it has room. So
    // the system waits, within its time limit for sending.
    socket.set_write_timeout(Some(left))?;
    match socket.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            return Err(io::ErrorKind::TimedOut.into());
        }
        connected => connected?,
    }
    socket.set_write_timeout(None)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests;
