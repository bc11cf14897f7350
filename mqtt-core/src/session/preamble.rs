//! The CONNECT, encoded once and kept at the front of the outbox, so that the client borrows no settings.
//!
//! The two versions differ in their first bytes only; the rest stays where it is when [`Preamble::switch`] rewrites
//! them, with room left in front for the longer name.

use crate::{
    codec::{Header, Protocol},
    error::EncodeError,
    options::Options,
};

/// A longer name in a one-byte-longer header: `MQIsdp` takes two bytes more than `MQTT`, the remaining length at
/// most one.
const SPARE: usize = 3;

const CONNECT: u8 = 0x10;

#[derive(Clone, Debug)]
pub(crate) struct Preamble {
    start: usize,
    /// Where the connect flags are: behind protocol name and level.
    flags: usize,
    end: usize,
    cursor: usize,
}

/// Bytes of protocol name and level.
const fn name_len(protocol: Protocol) -> usize {
    2 + protocol.name().len() + 1
}

impl Preamble {
    /// Bytes that the CONNECT of `options` takes.
    pub(crate) fn needed(options: &Options<'_>, protocol: Protocol) -> Result<usize, EncodeError> {
        Ok(SPARE + options.connect(protocol).encoded_len()?)
    }

    /// Encodes the CONNECT of `options` at the front of `bytes`.
    pub(crate) fn new(
        options: &Options<'_>,
        protocol: Protocol,
        bytes: &mut [u8],
    ) -> Result<Self, EncodeError> {
        let connect = options.connect(protocol);
        let space = bytes.get_mut(SPARE..).unwrap_or_default();
        let len = connect.encode(space)?;
        let header = Header::decode(space).ok().flatten().map_or(2, |header| header.header_len());
        let flags = SPARE + header + name_len(protocol);
        Ok(Self { start: SPARE, flags, end: SPARE + len, cursor: SPARE + len })
    }

    /// End of the CONNECT.
    pub(crate) const fn end(&self) -> usize {
        self.end
    }

    /// Writes the first bytes anew for `protocol`.
    fn switch(&mut self, bytes: &mut [u8], protocol: Protocol) {
        let Some(start) = self.flags.checked_sub(name_len(protocol)) else { return };
        let mut prefix = [0; 5];
        let header = Header::encode(CONNECT, self.end - start, &mut prefix).unwrap_or(2);
        let Some(start) = start.checked_sub(header) else { return };
        let name = protocol.name().as_bytes();
        let length = [0, name.len() as u8];
        let level = [protocol.level()];
        let prefix = prefix.iter().take(header).chain(&length).chain(name).chain(&level);
        for (byte, new) in bytes.iter_mut().skip(start).zip(prefix) {
            *byte = *new;
        }
        self.start = start;
    }

    /// A connection is there: the CONNECT is to be sent [MQTT-3.1.0-1].
    pub(crate) fn begin(&mut self, bytes: &mut [u8], protocol: Protocol) {
        self.switch(bytes, protocol);
        self.cursor = self.start;
    }

    #[inline]
    pub(crate) fn ready<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        bytes.get(self.cursor..self.end).unwrap_or_default()
    }

    /// Takes its part of `count` sent bytes.
    pub(crate) fn transmitted(&mut self, count: usize) {
        self.cursor = self.cursor.saturating_add(count).min(self.end);
    }

    pub(crate) const fn is_sent(&self) -> bool {
        self.cursor == self.end
    }
}
