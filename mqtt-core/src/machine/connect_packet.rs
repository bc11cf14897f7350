//! The CONNECT, encoded once and kept at the front of the outbox, so that the client borrows no settings.
//!
//! The two versions differ in their first bytes only. The rest stays in its place when [`ConnectPacket::switch`]
//! rewrites them, with room left in front for the longer protocol name.

use crate::{
    codec::{Connect, EncodeError, FirstByte, Header, PacketType, Protocol},
    error::ConfigError,
    session::{copy, put_u16, u16_at},
    time::Instant,
};

/// Room in front of the CONNECT for the longer protocol name: `MQIsdp` takes two bytes more than `MQTT`, and the
/// remaining length takes at most one byte more.
const SPARE: usize = 3;
const _: () = assert!(
    SPARE == Protocol::V31.name().len() - Protocol::V311.name().len() + 1,
    "the longer name has room in front"
);

/// The bit of the connect flags. Section 3.1.2.4 of the standard.
const CLEAN_SESSION: u8 = 0b10;

/// A part of the CONNECT that can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Will,
    Login,
}

#[derive(Clone, Debug, Hash)]
pub(super) struct ConnectPacket {
    start: usize,
    /// The place of the connect flags, behind protocol name and level.
    flags: usize,
    end: usize,
    cursor: usize,
    /// The driver was shown the packet on this connection.
    shown: bool,
    /// When the transport last took bytes of it: the first silence towards the broker starts there.
    sent_at: Instant,
}

/// Bytes of protocol name and level.
const fn name_len(protocol: Protocol) -> usize {
    2 + protocol.name().len() + 1
}

impl ConnectPacket {
    /// Encodes `connect` at the front of `bytes`, with room for `behind` bytes more.
    pub(super) fn new(
        connect: &Connect<'_>,
        bytes: &mut [u8],
        behind: usize,
    ) -> Result<Self, ConfigError> {
        let capacity = bytes.len();
        let space = bytes.get_mut(SPARE..).unwrap_or_default();
        let len = match connect.encode(space) {
            Ok(len) => len,
            Err(EncodeError::NoSpace { needed, .. }) => needed,
            Err(error) => return Err(ConfigError::Connect(error)),
        };
        let needed = SPARE + len + behind;
        if capacity < needed {
            return Err(ConfigError::OutboxTooSmall { needed, capacity });
        }
        let header = Header::decode(space).ok().flatten().map_or(2, |header| header.header_len());
        let (flags, end) = (SPARE + header + name_len(connect.protocol), SPARE + len);
        Ok(Self {
            start: SPARE,
            flags,
            end,
            cursor: end,
            shown: false,
            sent_at: Instant::from_millis(0),
        })
    }

    /// End of the CONNECT.
    pub(super) const fn end(&self) -> usize {
        self.end
    }

    /// Rewrites the first bytes for `protocol`.
    fn switch(&mut self, bytes: &mut [u8], protocol: Protocol) {
        let name = self.flags - name_len(protocol);
        let mut header = [0; Header::MAX_LEN];
        let first = FirstByte::of(PacketType::Connect).get();
        let header_len = Header::encode(first, self.end - name, &mut header).unwrap_or(2);
        debug_assert!(header_len <= name, "the header has room in front of the protocol name");
        self.start = name.saturating_sub(header_len);
        copy(bytes, self.start, header.get(..header_len).unwrap_or_default());
        let text = protocol.name().as_bytes();
        put_u16(bytes, name, text.len() as u16);
        copy(bytes, name + 2, text);
        copy(bytes, self.flags - 1, &[protocol.level()]);
    }

    /// Puts the will or the login of `connect` in the place of the present one. `bytes` is all the room that it may
    /// take. It is not being sent.
    pub(super) fn change(
        &mut self,
        bytes: &mut [u8],
        connect: &Connect<'_>,
        part: Part,
    ) -> Result<(), ConfigError> {
        connect.encoded_len().map_err(ConfigError::Connect)?;
        let [id, topic, payload, user, password] = self.fields(bytes);
        let [_, fields @ ..] = connect.fields();
        let (from, to, mask, fields) = match part {
            Part::Will => (id, payload, Connect::WILL_FLAGS, fields.first_chunk::<2>()),
            Part::Login => (payload, password, Connect::LOGIN_FLAGS, fields.last_chunk::<2>()),
        };
        debug_assert!(id <= topic && payload <= user, "the fields are in order");
        let fields = fields.into_iter().flatten().flatten();
        let len: usize = fields.clone().map(|field| 2 + field.len()).sum();
        let end = from + len + (self.end - to);
        let room = bytes.len();
        if end > room {
            return Err(ConfigError::ConnectRoom { needed: end - SPARE, room: room - SPARE });
        }
        bytes.copy_within(to..self.end, from + len);
        let mut at = from;
        for field in fields {
            put_u16(bytes, at, field.len() as u16);
            copy(bytes, at + 2, field);
            at += 2 + field.len();
        }
        if let Some(flags) = bytes.get_mut(self.flags) {
            *flags = *flags & !mask | connect.flags() & mask;
        }
        // A password that is no longer used is not kept.
        bytes.get_mut(end..).unwrap_or_default().fill(0);
        self.end = end;
        self.cursor = end;
        Ok(())
    }

    /// The ends of client id, will topic, will payload, user name and password. A field that is not there is empty.
    fn fields(&self, bytes: &[u8]) -> [usize; 5] {
        let flags = bytes.get(self.flags).copied().unwrap_or(0);
        let will = flags & Connect::WILL_FLAGS != 0;
        let user = flags & Connect::LOGIN_FLAGS != 0;
        let password = self.end;
        // Behind the flags comes the keep alive.
        let mut at = self.flags + 3;
        let mut next = |there: bool| {
            if there {
                at += 2 + usize::from(u16_at(bytes, at));
            }
            at
        };
        [next(true), next(will), next(will), next(user), password]
    }

    /// The transport is open: the CONNECT is to be sent [MQTT-3.1.0-1].
    pub(super) fn begin(&mut self, bytes: &mut [u8], protocol: Protocol, clean: bool) {
        self.switch(bytes, protocol);
        if let Some(flags) = bytes.get_mut(self.flags) {
            *flags = *flags & !CLEAN_SESSION | if clean { CLEAN_SESSION } else { 0 };
        }
        self.cursor = self.start;
        self.shown = false;
    }

    /// The driver is going to see the ready bytes.
    pub(super) const fn show(&mut self) {
        self.shown = true;
    }

    /// Whether bytes of it may have left on this connection.
    pub(super) const fn was_shown(&self) -> bool {
        self.shown
    }

    pub(super) fn ready<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        bytes.get(self.cursor..self.end).unwrap_or_default()
    }

    /// The transport has taken `count` bytes; gives how many packets that completed.
    pub(super) fn transmitted(&mut self, count: usize, now: Instant) -> u32 {
        self.cursor = self.cursor.saturating_add(count).min(self.end);
        self.sent_at = now;
        u32::from(self.is_sent())
    }

    pub(super) const fn is_sent(&self) -> bool {
        self.cursor == self.end
    }

    pub(super) const fn sent_at(&self) -> Instant {
        self.sent_at
    }
}
