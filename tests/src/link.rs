//! One end of a real TCP connection that a test holds: whole packets, or bytes that are not packets.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use mqtt_core::Protocol;
use mqtt_core::codec::{ConnAck, Connect, Decoded, Header, Packet};

use crate::process::SOON;

/// One end of a connection.
#[derive(Debug)]
pub struct Link {
    stream: TcpStream,
    protocol: Protocol,
    /// Bytes that were received and not asked for yet.
    received: Vec<u8>,
}

impl Link {
    /// Connects to a broker.
    ///
    /// # Panics
    /// If no broker listens there.
    #[must_use]
    #[track_caller]
    pub fn connect(broker: SocketAddr, protocol: Protocol) -> Self {
        let stream = TcpStream::connect_timeout(&broker, SOON);
        Self::new(
            stream.unwrap_or_else(|error| panic!("no connection to {broker}: {error}")),
            protocol,
        )
    }

    pub(crate) fn new(stream: TcpStream, protocol: Protocol) -> Self {
        stream.set_nodelay(true).expect("a connected socket takes options");
        Self { stream, protocol, received: Vec::new() }
    }

    /// Sends a CONNECT and takes the answer.
    ///
    /// # Panics
    /// If the answer is not a CONNACK, or does not come.
    #[track_caller]
    pub fn open(&mut self, connect: &Connect<'_>) -> ConnAck {
        self.send(&Packet::Connect(connect.clone()));
        let frame = self.receive(SOON);
        let Packet::ConnAck(answer) = frame.packet() else {
            panic!("waited for CONNACK, saw {frame:?}")
        };
        answer
    }

    /// A second handle of the connection, for a thread that sends while another one receives.
    ///
    /// # Panics
    /// If the system has no descriptor left.
    #[must_use]
    pub fn sender(&self) -> Self {
        Self::new(self.stream.try_clone().expect("there are descriptors"), self.protocol)
    }

    /// Sends a packet.
    ///
    /// # Panics
    /// If it has no form on the wire, or the other end does not take it.
    #[track_caller]
    pub fn send(&mut self, packet: &Packet<'_>) {
        let len = packet.encoded_len().unwrap_or_else(|error| panic!("{packet:?}: {error}"));
        let mut bytes = vec![0; len];
        let written = packet
            .encode(&mut bytes, self.protocol)
            .unwrap_or_else(|error| panic!("{packet:?}: {error}"));
        assert_eq!(written, len, "the length known beforehand is the length written");
        self.send_bytes(&bytes);
    }

    /// Sends bytes that need not be a packet.
    ///
    /// # Panics
    /// If the other end does not take them all.
    #[track_caller]
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        let sent = self.offer(bytes, SOON);
        assert!(
            sent == bytes.len(),
            "the other end took {sent} of {} bytes within {SOON:?}",
            bytes.len()
        );
    }

    /// Sends as many bytes as the other end takes, and returns their number. There are fewer than all if it did not
    /// take more `within` this time, or has closed the connection.
    ///
    /// # Panics
    /// If the connection fails in another way.
    #[track_caller]
    pub fn offer(&mut self, bytes: &[u8], within: Duration) -> usize {
        let limit = Instant::now() + within;
        let mut sent = 0;
        while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
            let Some(left) = left_until(limit) else { break };
            self.stream.set_write_timeout(Some(left)).expect("a connected socket takes options");
            match self.stream.write(rest) {
                Ok(0) => break,
                Ok(n) => sent += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_over(&error) || is_closed(&error) => break,
                Err(error) => panic!("sending: {error}"),
            }
        }
        sent
    }

    /// The next packet.
    ///
    /// # Panics
    /// If none has come `within` this time, if the connection is closed, or if the bytes are not a packet.
    #[track_caller]
    pub fn receive(&mut self, within: Duration) -> Frame {
        let limit = Instant::now() + within;
        loop {
            if let Some(frame) = self.take_frame() {
                return frame;
            }
            match self.fill(limit) {
                Filled::More => {}
                Filled::Closed => {
                    panic!("waited for a packet, the other end closed after {:?}", self.rest())
                }
                Filled::TimeOut => panic!("waited {within:?} for a packet, saw {:?}", self.rest()),
            }
        }
    }

    /// Waits until the other end has closed the connection. Returns the packets that came before.
    ///
    /// # Panics
    /// If it has not closed it `within` this time.
    #[track_caller]
    #[must_use = "or call `wait_closed`"]
    pub fn until_closed(&mut self, within: Duration) -> Vec<Frame> {
        let limit = Instant::now() + within;
        let mut frames = Vec::new();
        loop {
            while let Some(frame) = self.take_frame() {
                frames.push(frame);
            }
            match self.fill(limit) {
                Filled::More => {}
                Filled::Closed => return frames,
                Filled::TimeOut => {
                    panic!("waited {within:?} for the end of the connection, saw {frames:?}")
                }
            }
        }
    }

    /// Waits until the other end has closed the connection, whatever it still sends.
    ///
    /// # Panics
    /// If it has not closed it `within` this time.
    #[track_caller]
    pub fn wait_closed(&mut self, within: Duration) {
        let _ = self.until_closed(within);
    }

    /// Whether the other end closes the connection `within` this time, whatever it still sends.
    #[track_caller]
    pub(crate) fn closes(&mut self, within: Duration) -> bool {
        let limit = Instant::now() + within;
        loop {
            match self.fill(limit) {
                Filled::More => {}
                Filled::Closed => return true,
                Filled::TimeOut => return false,
            }
        }
    }

    fn take_frame(&mut self) -> Option<Frame> {
        let header = Header::decode(&self.received)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.rest()))?;
        if self.received.len() < header.frame_len() {
            return None;
        }
        let rest = self.received.split_off(header.frame_len());
        Some(Frame { bytes: std::mem::replace(&mut self.received, rest), protocol: self.protocol })
    }

    fn fill(&mut self, limit: Instant) -> Filled {
        let Some(left) = left_until(limit) else { return Filled::TimeOut };
        self.stream.set_read_timeout(Some(left)).expect("a connected socket takes options");
        let mut part = vec![0; 64 * 1024];
        match self.stream.read(&mut part) {
            Ok(0) => Filled::Closed,
            Ok(n) => {
                self.received.extend(part.into_iter().take(n));
                Filled::More
            }
            // A debugger was attached; the limit is looked at again.
            Err(error) if error.kind() == ErrorKind::Interrupted => Filled::More,
            Err(error) if is_over(&error) => Filled::TimeOut,
            Err(error) if is_closed(&error) => Filled::Closed,
            Err(error) => panic!("receiving: {error}"),
        }
    }

    /// The bytes that were received and are not a whole packet, for an error message.
    fn rest(&self) -> String {
        self.received.escape_ascii().to_string()
    }
}

/// A whole packet as it was received.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    bytes: Vec<u8>,
    protocol: Protocol,
}

impl Frame {
    /// The packet.
    ///
    /// # Panics
    /// If the bytes break a rule.
    #[must_use]
    #[track_caller]
    pub fn packet(&self) -> Packet<'_> {
        match Packet::decode(&self.bytes, self.protocol) {
            Ok(Decoded::Packet { packet, len }) if len == self.bytes.len() => packet,
            other => panic!("no packet: {other:?}: {}", self.bytes.escape_ascii()),
        }
    }

    /// The bytes, fixed header included.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The packet, or the first bytes if they are not a packet.
impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Packet::decode(&self.bytes, self.protocol) {
            Ok(Decoded::Packet { packet, .. }) if self.bytes.len() <= 1000 => packet.fmt(f),
            _ => {
                let shown = self.bytes.get(..64).unwrap_or(&self.bytes);
                write!(f, "{} bytes: \"{}\"", self.bytes.len(), shown.escape_ascii())
            }
        }
    }
}

enum Filled {
    More,
    Closed,
    TimeOut,
}

fn left_until(limit: Instant) -> Option<Duration> {
    Some(limit.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
}

fn is_over(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted
    )
}
