//! The CONNECT, encoded once and kept at the front of the outbox, so that the client borrows no settings.
//!
//! The two versions differ in their first bytes only; the rest stays where it is when [`Preamble::switch`] rewrites
//! them, with room left in front for the longer name.

use super::outbox::{copy, put_u16};
use crate::{
    codec::{Header, Protocol},
    error::{ConfigError, EncodeError},
    options::Options,
};

/// A longer name in a one-byte-longer header: `MQIsdp` takes two bytes more than `MQTT`, the remaining length at
/// most one.
const SPARE: usize = 3;

const CONNECT: u8 = 0x10;

#[derive(Clone, Debug, Hash)]
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
    /// Encodes the CONNECT of `options` at the front of `bytes`, which has to have room for `behind` bytes more.
    pub(crate) fn new(
        options: &Options<'_>,
        protocol: Protocol,
        bytes: &mut [u8],
        behind: usize,
    ) -> Result<Self, ConfigError> {
        let capacity = bytes.len();
        let space = bytes.get_mut(SPARE..).unwrap_or_default();
        let len = match options.connect(protocol).encode(space) {
            Ok(len) => len,
            Err(EncodeError::NoSpace { needed, .. }) => needed,
            Err(error) => return Err(ConfigError::Connect(error)),
        };
        let needed = SPARE + len + behind;
        if capacity < needed {
            return Err(ConfigError::OutboxTooSmall { needed, capacity });
        }
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
        let name = self.flags - name_len(protocol);
        let mut header = [0; 5];
        let header_len = Header::encode(CONNECT, self.end - name, &mut header).unwrap_or(2);
        self.start = name.saturating_sub(header_len);
        copy(bytes, self.start, header.get(..header_len).unwrap_or_default());
        let text = protocol.name().as_bytes();
        put_u16(bytes, name, text.len() as u16);
        copy(bytes, name + 2, text);
        copy(bytes, self.flags - 1, &[protocol.level()]);
    }

    /// A connection is there: the CONNECT is to be sent [MQTT-3.1.0-1].
    pub(crate) fn begin(&mut self, bytes: &mut [u8], protocol: Protocol) {
        self.switch(bytes, protocol);
        self.cursor = self.start;
    }

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
