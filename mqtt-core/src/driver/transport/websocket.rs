//! WebSocket, by tungstenite: MQTT in binary frames (section 6 of MQTT 3.1.1, RFC 6455).
//!
//! `ws` is this over TCP, `wss` over TLS. A packet may be spread over several frames, and a frame may hold several
//! packets [MQTT-6.0.0-2]: to the client this is a stream as any other. Pings are answered whenever the stream is read.

use std::{
    boxed::Box,
    format,
    io::{self, Read, Write},
    string::String,
    time::Instant,
    vec::Vec,
};

use tungstenite::{
    Bytes, Error, Message,
    error::{CapacityError, ProtocolError},
    handshake::{client::generate_key, derive_accept_key},
    protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
};

use super::{
    http::{Answer, authority, is_one_line},
    located::at,
};
use crate::driver::stream::{Source, Stream, gone_is_fine, is_pause};

/// Bytes of a frame that is sent.
const LONGEST_SENT: usize = 16 * 1024;
/// Bytes of frames that are kept if the transport takes nothing: one frame of data, a pong, a close frame.
const MOST_UNSENT: usize = 2 * LONGEST_SENT;
const READ_BUFFER: usize = 8 * 1024;
const SUB_PROTOCOL: &str = "mqtt";

/// How a WebSocket is asked for: the path, more headers, a limit for messages.
#[derive(Clone)]
#[must_use]
pub struct WebSocketOptions {
    path: String,
    headers: Vec<(String, String)>,
    longest_message: usize,
}

/// Without the values of headers, which may be passwords.
impl std::fmt::Debug for WebSocketOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("WebSocketOptions")
            .field("path", &self.path)
            .field("headers", &names)
            .field("longest_message", &self.longest_message)
            .finish()
    }
}

impl Default for WebSocketOptions {
    /// The path `/mqtt`, which most brokers have.
    fn default() -> Self {
        Self::new("/mqtt")
    }
}

impl WebSocketOptions {
    /// A WebSocket at this path, such as `/mqtt` or `/ws?token=1`; messages of up to 16 MiB.
    pub fn new(path: &str) -> Self {
        Self { path: path.into(), headers: Vec::new(), longest_message: 16 << 20 }
    }

    /// The same at another path.
    pub fn path(mut self, path: &str) -> Self {
        self.path = path.into();
        self
    }

    /// One more header of the request, such as `Authorization`.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Bytes of the longest WebSocket message that is taken. It is held in memory until it is complete. Brokers send a
    /// packet as one message, so this limits the packets too.
    pub const fn longest_message(mut self, bytes: usize) -> Self {
        self.longest_message = bytes;
        self
    }

    /// A WebSocket over `stream`.
    ///
    /// # Errors
    ///
    /// The broker refuses (`PermissionDenied` with the status 401 or 403, `NotFound` with 404, otherwise
    /// `ConnectionRefused`), or does not speak MQTT over WebSocket (`InvalidData`); `TimedOut` at `until`; the errors of
    /// the stream. The text says host, port, path, and the status.
    pub fn connect<S: Stream>(
        &self,
        mut stream: S,
        host: &str,
        port: u16,
        until: Instant,
    ) -> io::Result<WebSocket<S>> {
        let host = authority(host, port);
        // A query may have a secret.
        let path = self.path.split('?').next().unwrap_or_default();
        let place = format!("WebSocket {host}{path}");
        let key = generate_key();
        let request = self.request(&host, &key).map_err(|error| at(place.as_str(), error))?;
        let answer = Answer::to(&request, &mut stream, until)
            .and_then(|answer| check(&answer, &key))
            .map_err(|error| at(place.as_str(), error));
        answer?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_write_buffer_size(MOST_UNSENT)
            .max_frame_size(Some(self.longest_message))
            .max_message_size(Some(self.longest_message));
        Ok(WebSocket {
            socket: tungstenite::WebSocket::from_raw_socket(stream, Role::Client, Some(config)),
            place,
            input: Bytes::new(),
            may_have_more: false,
            unsent: false,
            end: End::Open,
            said_goodbye: false,
        })
    }

    fn request(&self, host: &str, key: &str) -> io::Result<String> {
        let invalid = |text| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        let path_fits = self.path.starts_with('/') && !self.path.contains(' ');
        if !path_fits || !is_one_line(&self.path) || !is_one_line(host) {
            return invalid("a path begins with / and has neither spaces nor control characters");
        }
        let mut request = format!(
            "GET {} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: {SUB_PROTOCOL}\r\n",
            self.path
        );
        for (name, value) in &self.headers {
            let name_fits = !name.is_empty() && !name.contains([':', ' ']) && is_one_line(name);
            if !name_fits || !is_one_line(value) {
                return invalid("a header is one line, and its name has no colon");
            }
            request.extend([name.as_str(), ": ", value.as_str(), "\r\n"]);
        }
        request.push_str("\r\n");
        Ok(request)
    }
}

/// Whether the answer opens the WebSocket that was asked for (RFC 6455, section 4.1).
fn check(answer: &Answer, key: &str) -> io::Result<()> {
    if answer.status != 101 {
        let kind = match answer.status {
            401 | 403 => io::ErrorKind::PermissionDenied,
            404 => io::ErrorKind::NotFound,
            _ => io::ErrorKind::ConnectionRefused,
        };
        return Err(io::Error::new(kind, format!("refused: {}", answer.shown())));
    }
    let has = |name, wanted: &str| {
        let words = answer.header(name).unwrap_or_default().split(',');
        words.map(str::trim).any(|word| word.eq_ignore_ascii_case(wanted))
    };
    let accepts = answer.header("Sec-WebSocket-Accept") == Some(&derive_accept_key(key.as_bytes()));
    let problem = if !has("Upgrade", "websocket") || !has("Connection", "upgrade") || !accepts {
        "the answer opens no WebSocket"
    } else if answer.header("Sec-WebSocket-Protocol") != Some(SUB_PROTOCOL) {
        // [MQTT-6.0.0-4]
        "the server does not speak MQTT there: it has not chosen the sub-protocol mqtt"
    } else if answer.header("Sec-WebSocket-Extensions").is_some() {
        "the server uses an extension that was not offered"
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::InvalidData, problem))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    /// The broker has ended the stream.
    Seen,
    /// `read` has said so.
    Told,
}

/// An open WebSocket over `S`.
///
/// `finish` sends a close frame. A close frame of the broker ends the stream, and so does a transport that ends without
/// one: MQTT knows by itself whether a packet is whole.
pub struct WebSocket<S> {
    socket: tungstenite::WebSocket<S>,
    /// For errors.
    place: String,
    /// Bytes of the last message that were not read yet.
    input: Bytes,
    /// Bytes that came with the last message may hold another one.
    may_have_more: bool,
    /// The transport has not taken everything.
    unsent: bool,
    end: End,
    said_goodbye: bool,
}

impl<S> std::fmt::Debug for WebSocket<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSocket").field("place", &self.place).finish_non_exhaustive()
    }
}

impl<S: Stream> WebSocket<S> {
    /// The next message into `input`. Pings and pongs leave it empty, and so does the end.
    fn receive(&mut self) -> io::Result<()> {
        let received = self.socket.read();
        self.may_have_more = received.is_ok();
        match received {
            Ok(Message::Binary(bytes)) => self.input = bytes,
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => self.answer(),
            Ok(Message::Close(_)) => {
                self.end = End::Seen;
                self.answer();
            }
            // [MQTT-6.0.0-1]
            Ok(Message::Text(_)) => {
                self.may_have_more = false;
                let text = "the broker sent text, and MQTT is binary";
                let error = io::Error::new(io::ErrorKind::InvalidData, text);
                return Err(at(self.place.as_str(), error));
            }
            Err(error) if is_end(&error) => self.end = End::Seen,
            Err(Error::Io(error)) => return Err(error),
            Err(error) => return Err(self.in_words(error)),
        }
        Ok(())
    }

    /// Sends the pong or close frame that answers what came in. A failure is the next `write`'s.
    fn answer(&mut self) {
        self.unsent = matches!(self.send(), Err(error) if is_pause(&error));
    }

    /// Hands over what is kept.
    fn send(&mut self) -> io::Result<()> {
        let sent = self.socket.flush();
        self.settle(sent)
    }

    /// Takes note of whether the transport has taken everything.
    fn settle(&mut self, sent: Result<(), Error>) -> io::Result<()> {
        self.unsent = false;
        match sent {
            Ok(()) => Ok(()),
            Err(Error::Io(error)) => {
                self.unsent = is_pause(&error);
                Err(error)
            }
            Err(error) if is_end(&error) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(error) => Err(self.in_words(error)),
        }
    }

    fn in_words(&self, error: Error) -> io::Error {
        let error = if let Error::Capacity(CapacityError::MessageTooLong { size, max_size }) = error
        {
            format!("a message of {size} bytes or more came, and {max_size} is the limit").into()
        } else {
            Box::<dyn std::error::Error + Send + Sync>::from(error)
        };
        let error = io::Error::new(io::ErrorKind::InvalidData, error);
        at(self.place.as_str(), error)
    }
}

fn is_end(error: &Error) -> bool {
    matches!(
        error,
        Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
    )
}

impl<S: Stream> Read for WebSocket<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while self.input.is_empty() {
            if self.end != End::Open {
                self.end = End::Told;
                return Ok(0);
            }
            self.receive()?;
        }
        let mut input = &self.input[..];
        let len = input.read(buffer)?;
        drop(self.input.split_to(len));
        Ok(len)
    }
}

impl<S: Stream> Write for WebSocket<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.unsent {
            self.send()?;
        }
        let Some(frame) = bytes.chunks(LONGEST_SENT).next() else { return Ok(0) };
        if self.said_goodbye || self.end != End::Open {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        // [MQTT-6.0.0-1]. If the transport does not take it, the frame is kept here.
        let sent = self.socket.write(Message::Binary(Bytes::copy_from_slice(frame)));
        match self.settle(sent).and_then(|()| self.send()) {
            Err(error) if !is_pause(&error) => Err(error),
            _ => Ok(frame.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

impl<S: Stream> Stream for WebSocket<S> {
    fn source(&self) -> Source<'_> {
        self.socket.get_ref().source()
    }

    fn has_input(&self) -> bool {
        match self.end {
            End::Told => false,
            End::Seen => true,
            End::Open => {
                !self.input.is_empty() || self.may_have_more || self.socket.get_ref().has_input()
            }
        }
    }

    fn has_output(&self) -> bool {
        self.unsent || self.socket.get_ref().has_output()
    }

    fn finish(&mut self) -> io::Result<()> {
        let sent = if std::mem::replace(&mut self.said_goodbye, true) {
            self.socket.flush()
        } else {
            let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
            self.socket.close(Some(frame))
        };
        gone_is_fine(self.settle(sent))?;
        gone_is_fine(self.socket.get_mut().finish())
    }
}

#[cfg(test)]
mod tests;
