//! A link of any reader and writer that wait: two threads move the bytes.

use std::{
    boxed::Box,
    io::{self, Read, Write},
    net::Shutdown,
    thread,
};

use super::pipe::pair;
use crate::driver::stream::Link;

/// Bytes that are moved at once.
const PIECE: usize = 16 << 10;

/// A link of a reader and a writer that wait for their bytes, and that the system cannot wait for: a library's channel,
/// the two ends of a pipe. Two threads move the bytes, so each costs one copy and one change of thread. A socket does
/// without: see [`Stream`](crate::driver::stream::Stream).
///
/// The connection ends with the reader, and `writer` is dropped when the client closes the connection. A reader that
/// never returns keeps its thread until then; it has to end once `writer` is dropped.
///
/// # Errors
///
/// The system has no sockets or threads left.
pub fn bridge(
    mut reader: impl Read + Send + 'static,
    mut writer: impl Write + Send + 'static,
) -> io::Result<Link> {
    let (own, far) = pair()?;
    own.set_nonblocking(true)?;
    let (mut incoming, mut outgoing) = (far.try_clone()?, far);
    thread::Builder::new().name("mqtt read".into()).spawn(move || {
        // However it ends, the connection has ended.
        let _end = move_bytes(&mut reader, &mut incoming);
        let _gone = incoming.shutdown(Shutdown::Both);
    })?;
    thread::Builder::new().name("mqtt write".into()).spawn(move || {
        let _end = move_bytes(&mut outgoing, &mut writer);
        drop(writer);
    })?;
    Ok(Box::new(own))
}

/// Moves bytes until one side ends.
fn move_bytes(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = std::vec![0; PIECE];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        to.write_all(buffer.get(..count).unwrap_or_default())?;
        to.flush()?;
    }
}
