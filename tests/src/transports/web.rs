//! The server's side of WebSocket, by tungstenite.

use std::io::{self, ErrorKind, Read, Write};

use mqtt_core::driver::stream::{Source, Stream};
use rustix::event::PollFlags;
use tungstenite::handshake::HandshakeError;
use tungstenite::handshake::server::{Request, Response};
use tungstenite::http::HeaderValue;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Bytes, Error, Message, WebSocket};

use super::copying::Stop;

/// Bytes of frames that are kept if the client takes nothing.
const MOST_UNSENT: usize = 16 * 1024;

/// An open WebSocket over `S`. Each piece that is written is a message of its own.
pub(super) struct Web<S> {
    socket: WebSocket<S>,
    input: Bytes,
    unsent: bool,
    said_goodbye: bool,
}

impl<S: Stream> Web<S> {
    /// Answers the request of a client. `None` if it is time to stop.
    pub(super) fn accept(stream: S, stop: &Stop) -> io::Result<Option<Self>> {
        let config =
            WebSocketConfig::default().write_buffer_size(0).max_write_buffer_size(2 * MOST_UNSENT);
        let mut handshake = tungstenite::accept_hdr_with_config(stream, choose_mqtt, Some(config));
        loop {
            let half = match handshake {
                Ok(socket) => {
                    let (input, unsent, said_goodbye) = (Bytes::new(), false, false);
                    return Ok(Some(Self { socket, input, unsent, said_goodbye }));
                }
                Err(HandshakeError::Failure(error)) => return Err(io_error(error)),
                Err(HandshakeError::Interrupted(half)) => half,
            };
            let source = half.get_ref().get_ref().source();
            if !stop.wait(&[(source, PollFlags::IN)])? {
                return Ok(None);
            }
            handshake = half.handshake();
        }
    }

    fn settle(&mut self, sent: Result<(), Error>) -> io::Result<()> {
        let sent = sent.map_err(io_error);
        self.unsent = matches!(&sent, Err(error) if error.kind() == ErrorKind::WouldBlock);
        sent
    }
}

/// [MQTT-6.0.0-4]
#[expect(clippy::result_large_err, clippy::unnecessary_wraps, reason = "tungstenite has it so")]
fn choose_mqtt(
    _request: &Request,
    mut response: Response,
) -> Result<Response, tungstenite::handshake::server::ErrorResponse> {
    let name = HeaderValue::from_static("mqtt");
    let _before = response.headers_mut().insert("Sec-WebSocket-Protocol", name);
    Ok(response)
}

fn io_error(error: Error) -> io::Error {
    if let Error::Io(error) = error { error } else { io::Error::other(error) }
}

impl<S: Stream> Read for Web<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.input.is_empty() {
            match self.socket.read() {
                Ok(Message::Binary(bytes)) => self.input = bytes,
                Ok(Message::Close(_)) => return Ok(0),
                Ok(_) => {}
                Err(Error::ConnectionClosed | Error::AlreadyClosed | Error::Protocol(_)) => {
                    return Ok(0);
                }
                Err(error) => return Err(io_error(error)),
            }
        }
        let len = (&self.input[..]).read(buffer)?;
        drop(self.input.split_to(len));
        Ok(len)
    }
}

impl<S: Stream> Write for Web<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.unsent {
            self.flush()?;
        }
        let frame = Bytes::copy_from_slice(bytes.get(..MOST_UNSENT).unwrap_or(bytes));
        let len = frame.len();
        // A frame that the client does not take is kept.
        let sent = self.socket.send(Message::Binary(frame));
        match self.settle(sent) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(len),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let sent = self.socket.flush();
        self.settle(sent)
    }
}

impl<S: Stream> Stream for Web<S> {
    fn source(&self) -> Source<'_> {
        self.socket.get_ref().source()
    }

    fn has_output(&self) -> bool {
        self.unsent || self.socket.get_ref().has_output()
    }

    fn finish(&mut self) -> io::Result<()> {
        let sent = if std::mem::replace(&mut self.said_goodbye, true) {
            self.socket.flush()
        } else {
            self.socket.close(None)
        };
        match sent {
            Err(Error::ConnectionClosed | Error::AlreadyClosed) => {}
            sent => self.settle(sent)?,
        }
        self.socket.get_mut().finish()
    }
}
