//! A read buffer for drivers: it keeps the part of a packet that has come so far.
//!
//! A client takes its input from a buffer of the driver. [`Framer`] is such a buffer: fill it from the transport, hand
//! its [`input`](Framer::input) to the client, and [`consume`](Framer::consume) the bytes that the client took. It
//! knows nothing of packets, so it holds any number of them and the beginning of one more.
//!
//! A framer for each client is the simple way. A driver of thousands of clients has one framer for all of them and,
//! with the feature `alloc`, a `Rest` for each.
//!
//! ```
//! use mqtt_core::{Protocol, codec::{Decoded, Packet}, framer::Framer};
//!
//! // Two PINGRESPs and a PUBACK, in parts as a transport may deliver them.
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

#[cfg(feature = "alloc")]
mod rest;

#[cfg(feature = "alloc")]
pub use rest::Rest;

use core::fmt;

/// A buffer that is filled at its end and consumed from its front.
///
/// `B` is the storage of the caller: an array, a borrowed slice, a box, a vector. A count that is too large counts as
/// the largest possible one. A `B` that changes its length loses bytes but causes no panic.
#[derive(Clone)]
pub struct Framer<B> {
    buffer: B,
    start: usize,
    end: usize,
}

/// Without the bytes: the buffer of a broker holds passwords.
impl<B: AsRef<[u8]>> fmt::Debug for Framer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let capacity = self.buffer.as_ref().len();
        let input = self.end.saturating_sub(self.start);
        write!(f, "Framer({input} of {capacity} bytes)")
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> Framer<B> {
    /// An empty framer over `buffer`. The content of `buffer` is ignored.
    pub const fn new(buffer: B) -> Self {
        Self { buffer, start: 0, end: 0 }
    }

    /// The free space to read into. It is empty only if [`input`](Self::input) fills the whole buffer.
    ///
    /// This moves the input to the front in two cases: if nothing would be free otherwise; or if that more than doubles
    /// the space and moves no more bytes than were consumed since the last move. So each byte is moved at most once on
    /// average, and small packets in a large buffer hardly ever. Only a buffer that is always full and is consumed in
    /// small steps costs more.
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

    /// The bytes that were filled and not consumed.
    pub fn input(&self) -> &[u8] {
        self.buffer.as_ref().get(self.start..self.end).unwrap_or_default()
    }

    /// Removes the first `count` bytes of [`input`](Self::input).
    pub fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
    }

    /// The input, and the free space behind it as it is: for drivers that parse while a read borrows the space. It moves
    /// nothing, so the space may be empty although bytes were consumed; [`space`](Self::space) makes room.
    pub fn parts(&mut self) -> (&[u8], &mut [u8]) {
        let buffer = self.buffer.as_mut();
        let end = self.end.min(buffer.len());
        let (filled, space) = buffer.split_at_mut(end);
        (filled.get(self.start..).unwrap_or_default(), space)
    }

    /// Gives the input to `take`, and consumes what that takes from its front:
    /// `framer.take(|input| client.receive(input, now))`. The event may borrow the framer until the next call.
    pub fn take<'f, T>(&'f mut self, take: impl FnOnce(&mut &'f [u8]) -> T) -> T {
        let end = self.end.min(self.capacity());
        let mut input = self.buffer.as_ref().get(self.start.min(end)..end).unwrap_or_default();
        let taken = take(&mut input);
        self.start = end - input.len();
        taken
    }

    /// Drops all input, when its connection has ended.
    pub const fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// The buffer, and where the input lies in it.
    #[cfg(all(feature = "bytes", feature = "std"))]
    pub(crate) fn into_parts(self) -> (B, core::ops::Range<usize>) {
        let end = self.end.min(self.capacity());
        (self.buffer, self.start.min(end)..end)
    }

    /// Bytes of the buffer.
    pub fn capacity(&self) -> usize {
        self.buffer.as_ref().len()
    }
}

#[cfg(test)]
mod tests;
