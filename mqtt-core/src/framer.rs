//! Bytes in, packets out: keeps the part of a packet that has come, for drivers that want it.
//!
//! A client takes its input from a buffer of the driver's. [`Framer`] is such a buffer: fill it from the transport,
//! hand its [`input`](Framer::input) to the client, [`consume`](Framer::consume) what was taken. It knows nothing of
//! packets, so it holds any number of them and the beginning of one more.
//!
//! ```
//! use mqtt_core::{Protocol, codec::{Decoded, Packet}, framer::Framer};
//!
//! // Two PINGRESPs and a PUBACK, as a transport may cut them.
//! let mut transport = [&b"\xD0\0\xD0"[..], b"\0\x40", b"\x02\0\x07"].into_iter();
//!
//! let mut framer = Framer::new([0; 16]);
//! let mut seen = Vec::new();
//! for part in &mut transport {
//!     framer.space()[..part.len()].copy_from_slice(part); // a real driver reads into it
//!     framer.filled(part.len());
//!     while let Decoded::Packet { packet, len } = Packet::decode(framer.input(), Protocol::V311)? {
//!         seen.push(packet.packet_type() as u8);
//!         framer.consume(len);
//!     }
//! }
//! assert_eq!(seen, [13, 13, 4]);
//! assert!(framer.input().is_empty());
//! # Ok::<(), mqtt_core::Violation>(())
//! ```

/// A buffer that is filled at its end and consumed from its front.
///
/// `B` is the caller's: an array, a borrowed slice, a box, a vector. Positions never leave it: a count beyond what
/// there is counts as all there is, and a `B` that changes its length loses bytes but causes no panic.
#[derive(Clone, Debug)]
pub struct Framer<B> {
    buffer: B,
    start: usize,
    end: usize,
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Framer<B> {
    /// An empty framer over `buffer`, whatever that holds.
    pub const fn new(buffer: B) -> Self {
        Self { buffer, start: 0, end: 0 }
    }

    /// The free room to read into; empty only where [`input`](Self::input) fills the whole buffer.
    ///
    /// Moves the input to the front where that more than doubles the room and moves no more bytes than have been
    /// consumed since it was last done, or where else nothing would be free. So each byte is moved at most once on
    /// average, and small packets in a large buffer hardly ever; only a buffer that is kept full and consumed in small
    /// steps costs more.
    pub fn space(&mut self) -> &mut [u8] {
        let buffer = self.buffer.as_mut();
        self.end = self.end.min(buffer.len());
        self.start = self.start.min(self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
        let (room, input) = (buffer.len() - self.end, self.end - self.start);
        if room == 0 || (self.start > room && self.start >= input) {
            buffer.copy_within(self.start..self.end, 0);
            self.start = 0;
            self.end = input;
        }
        buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// The first `count` bytes of [`space`](Self::space) have been filled.
    pub fn filled(&mut self, count: usize) {
        self.end = self.end.saturating_add(count).min(self.capacity());
    }

    /// What has been filled and not consumed.
    pub fn input(&self) -> &[u8] {
        self.buffer.as_ref().get(self.start..self.end).unwrap_or_default()
    }

    /// The first `count` bytes of [`input`](Self::input) are done with.
    pub fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
    }

    /// Drops all input: it is of a connection that has ended.
    pub const fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// Bytes that the buffer holds at the most.
    pub fn capacity(&self) -> usize {
        self.buffer.as_ref().len()
    }
}

#[cfg(test)]
mod tests;
