//! As much of HTTP/1.1 as it takes to ask for a WebSocket, or a proxy for a connection (RFC 9112).
//!
//! An answer is read byte by byte, so that no byte behind its head is taken: those belong to the layer above.

use std::{
    borrow::ToOwned,
    format,
    io::{self, Read, Write},
    string::{String, ToString},
    time::Instant,
    vec::Vec,
};

use crate::driver::{readiness::Waiting, stream::Stream};

/// Bytes of the head of an answer.
const LONGEST_HEAD: usize = 16 * 1024;
/// Characters of an answer that are shown in an error.
const LONGEST_SHOWN: usize = 100;
const BEGINNING: &[u8] = b"HTTP/1.";

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    reason: String,
    headers: Vec<(String, String)>,
}

impl Answer {
    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    ///
    /// `InvalidData` if the answer is no HTTP or its head is too long, `UnexpectedEof` if it ends before, `TimedOut`.
    pub(super) fn to(
        request: &str,
        stream: &mut (impl Stream + ?Sized),
        until: Instant,
    ) -> io::Result<Self> {
        let mut stream = Waiting { stream, until };
        Self::ask(request, &mut stream).map_err(|error| {
            use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
            if matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof) {
                io::Error::new(error.kind(), "the connection was closed before the answer")
            } else {
                error
            }
        })
    }

    fn ask(request: &str, stream: &mut (impl Read + Write)) -> io::Result<Self> {
        stream.write_all(request.as_bytes())?;
        stream.flush()?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.extend_from_slice(&byte);
            let begins = head.iter().zip(BEGINNING).all(|(byte, wanted)| byte == wanted);
            if !begins {
                return Err(invalid("the answer is not HTTP"));
            }
            if head.len() >= LONGEST_HEAD {
                return Err(invalid("the answer is too long"));
            }
        }
        Self::parse(&String::from_utf8_lossy(&head))
            .ok_or_else(|| invalid("the answer is not HTTP"))
    }

    fn parse(head: &str) -> Option<Self> {
        let mut lines = head.lines();
        let mut words = lines.next()?.splitn(3, ' ');
        let (_version, status) = (words.next()?, words.next()?);
        if status.len() != 3 {
            return None;
        }
        let headers = lines.filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_owned(), value.trim().to_owned()))
        });
        Some(Self {
            status: status.parse().ok()?,
            reason: words.next().unwrap_or_default().to_owned(),
            headers: headers.collect(),
        })
    }

    /// The value of a header; of the first one, if there are several.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The status with its words.
    pub(super) fn shown(&self) -> String {
        let status = self.status;
        match (shown(&self.reason), self.header("Location")) {
            (reason, Some(place)) => format!("{status} {reason}, it has moved to {}", shown(place)),
            (reason, None) if reason.is_empty() => status.to_string(),
            (reason, None) => format!("{status} {reason}"),
        }
    }
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Text of a peer, without characters that would do something to a terminal.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST_SHOWN).collect()
}

/// `host:port`, as requests have it.
pub(super) fn authority(host: &str, port: u16) -> String {
    let is_address = host.contains(':') && !host.starts_with('[');
    if is_address { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Whether the text can be a part of a request: nothing in it ends a line.
pub(super) fn is_one_line(text: &str) -> bool {
    !text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::transport::testing::{read_exact, soon, with_peer};

    fn answer(text: &'static [u8]) -> io::Result<Answer> {
        let (mut stream, _peer) = with_peer(move |mut stream| {
            let _request = stream.read(&mut [0; 100]);
            let _closed = stream.write_all(text);
        });
        Answer::to("GET", &mut stream, soon())
    }

    #[test]
    fn the_bytes_behind_the_head_are_not_taken() {
        let (mut stream, _peer) = with_peer(|mut stream| {
            let _request = stream.read(&mut [0; 100]);
            stream.write_all(b"HTTP/1.1 200 Fine\r\nA: b\r\n\r\nrest").expect("it is there");
        });
        let answer = Answer::to("GET", &mut stream, soon()).expect("an answer");
        assert_eq!((answer.status, answer.header("a")), (200, Some("b")));
        assert_eq!(read_exact(&mut stream, 4), b"rest");
    }

    #[test]
    fn an_answer_that_is_no_http_is_an_error_at_its_first_byte() {
        let (mut stream, _peer) = with_peer(|mut stream| {
            stream.write_all(b"\x20\x02\x00\x00").expect("it is there");
            // It goes on waiting for a packet.
            let _end = stream.read_to_end(&mut Vec::new());
        });
        let error = Answer::to("GET", &mut stream, soon()).expect_err("it is MQTT");
        assert_eq!(error.to_string(), "the answer is not HTTP");
    }

    #[test]
    fn an_answer_without_an_end_is_an_error() {
        let error = answer(b"HTTP/1.1 200").expect_err("it ends");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn an_answer_of_any_length_is_not_read() {
        let text = [b"HTTP/1.1 200 OK\r\nA: ".to_vec(), std::vec![b'a'; LONGEST_HEAD]].concat();
        let error = answer(text.leak()).expect_err("it has no end");
        assert_eq!(error.to_string(), "the answer is too long");
    }

    #[test]
    fn a_status_that_is_no_number_is_an_error() {
        for text in ["HTTP/1.1 abc\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1 2000\r\n\r\n"] {
            assert!(answer(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn words_of_the_peer_are_shown_without_control_characters() {
        let found = answer(b"HTTP/1.1 401 Go\x1B[2J away\r\n\r\n").expect("an answer");
        assert_eq!(found.shown(), "401 Go[2J away");
        assert_eq!(answer(b"HTTP/1.0 500\r\n\r\n").expect("an answer").shown(), "500");
    }

    #[test]
    fn an_address_of_ipv6_has_brackets() {
        assert_eq!(authority("::1", 80), "[::1]:80");
        assert_eq!(authority("[::1]", 80), "[::1]:80");
        assert_eq!(authority("a", 80), "a:80");
    }
}
