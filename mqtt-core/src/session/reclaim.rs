//! Packet ids of a session at the broker that this client did not open: they are reclaimed before they are used.
//!
//! The device lost its state, and the broker did not. It may hold QoS 2 publishes from before, whose PUBREL never came.
//! If a new publish used one of their packet ids, the broker would take it for a duplicate and drop it. So before
//! anything else is sent, a PUBREL goes out for every id that requests may get. The broker answers each with a PUBCOMP
//! [MQTT-4.3.3-2] and publishes the message that it held, once. From then on ids do not move on: each slot keeps its
//! own.
//!
//! Messages that come in meanwhile are taken if there is room for their answers, which wait. A message without room is
//! [passed over](super::pass_over), because a client that waited for room would never read the PUBCOMPs.
//!
//! A broker that closes the connection at such a PUBREL, or does not answer it within `Options::ping_timeout`, breaks
//! the rule. After [`ATTEMPTS`] connections without one PUBCOMP the client gives the reclaim up.

use crate::codec::{
    FirstByte, PacketId, PacketType,
    ack::{self, ACK_LEN, PINGREQ},
};

/// Connections without progress.
const ATTEMPTS: u8 = 3;

/// The meaning of a PUBCOMP for the reclaim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reclaimed {
    /// It answers a PUBREL of a request.
    No,
    /// It may answer a PUBREL that is not reported as taken.
    NotYet,
    /// One id more is reclaimed.
    One,
    /// It was the last one.
    Last,
}

#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Reclaim {
    /// The first id whose PUBCOMP has not come; 0: there is nothing to reclaim.
    first: u16,
    last: u16,
    /// The id whose PUBREL is being sent, or is next.
    sending: u16,
    /// The packet that is being sent lies at the end, and `left` bytes of it are still to be sent.
    packet: [u8; ACK_LEN],
    left: u8,
    attempts: u8,
    /// The value of `first` when the time for its PUBCOMP began, if its PUBREL was sent by then; or 0.
    awaited: u16,
}

impl Reclaim {
    /// The broker may hold the ids up to `last`.
    pub(super) const fn start(&mut self, last: u16) {
        self.first = 1;
        self.last = last;
        self.attempts = 0;
    }

    /// All ids are reclaimed. If a PINGREQ is sent in part, its rest still goes out.
    fn end(&mut self) {
        *self = Self { packet: self.packet, left: self.left, ..Self::default() };
    }

    /// Nothing is to be reclaimed: the broker's session is this client's.
    pub(super) fn cancel(&mut self) {
        *self = Self::default();
    }

    pub(super) const fn is_on(&self) -> bool {
        self.first != 0
    }

    /// Whether no other packet may be sent now.
    pub(super) const fn is_sending(&self) -> bool {
        self.is_on() || self.left != 0
    }

    /// The broker accepted a connection.
    pub(super) fn connected(&mut self) {
        self.left = 0;
        if self.attempts == ATTEMPTS {
            self.cancel();
        }
        if self.is_on() {
            self.attempts += 1;
            self.awaited = 0;
            self.sending = self.first;
            self.load_pubrel();
        }
    }

    fn load_pubrel(&mut self) {
        if let Some(id) = PacketId::new(self.sending).filter(|id| id.get() <= self.last) {
            self.packet = ack::packet(FirstByte::of(PacketType::PubRel), id);
            self.left = ACK_LEN as u8;
        }
    }

    /// How many bytes are ready for the transport.
    pub(super) const fn ready_len(&self) -> usize {
        self.left as usize
    }

    /// The bytes ready for the transport.
    pub(super) fn ready(&self) -> &[u8] {
        let left = usize::from(self.left).min(ACK_LEN);
        self.packet.get(ACK_LEN - left..).unwrap_or_default()
    }

    /// A PINGREQ is due. Gives whether it goes out: if a PUBREL is being sent, that is enough.
    pub(super) const fn ping(&mut self) -> bool {
        let idle = self.left == 0;
        if idle {
            let [first, second] = PINGREQ;
            self.packet = [FirstByte::NO_PACKET.get(), 0, first, second];
            self.left = PINGREQ.len() as u8;
        }
        idle
    }

    /// The transport has taken `count` bytes; gives whether that completed a packet.
    pub(super) fn transmitted(&mut self, count: usize) -> bool {
        self.left = self.left.saturating_sub(count.min(ACK_LEN) as u8);
        if self.left != 0 {
            return false;
        }
        let [first, ..] = self.packet;
        if FirstByte::new(first).is(PacketType::PubRel) {
            self.sending = self.sending.saturating_add(1);
            self.load_pubrel();
        }
        true
    }

    /// Whether a PUBREL was sent and awaits its PUBCOMP.
    pub(super) const fn awaits_answer(&self) -> bool {
        self.is_on() && self.first < self.sending
    }

    /// From now on the first PUBREL is awaited, if it was sent.
    pub(super) const fn watch_answer(&mut self) {
        self.awaited = if self.awaits_answer() { self.first } else { 0 };
    }

    /// Whether it is awaited since [`Reclaim::watch_answer`].
    pub(super) const fn is_awaited(&self) -> bool {
        self.is_on() && self.first == self.awaited
    }

    /// A PUBCOMP for `id` came.
    pub(super) fn reclaimed(&mut self, id: PacketId) -> Reclaimed {
        if !self.awaits_answer() {
            let early = self.is_on() && id.get() == self.sending && self.left != 0;
            return if early { Reclaimed::NotYet } else { Reclaimed::No };
        }
        self.first += 1;
        self.attempts = 0;
        if self.first <= self.last {
            return Reclaimed::One;
        }
        self.end();
        Reclaimed::Last
    }
}
