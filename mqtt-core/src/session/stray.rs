//! The PUBREL that answers a PUBREC of no request.
//!
//! A PUBREC is answered with PUBREL, whether its packet id is known or not [MQTT-4.3.3-1]: the broker may hold a
//! message that this client has given up, or repeat a PUBREC. Such a PUBREL belongs to no request, so it lies outside
//! the outbox and goes out between two packets. One is enough: the next PUBREC waits in the input until it is sent.

use crate::codec::{
    FirstByte, PacketId, PacketType,
    ack::{self, ACK_LEN},
};

#[derive(Clone, Debug, Default, Hash)]
pub(super) struct StrayRelease {
    packet: [u8; ACK_LEN],
    /// Bytes of the packet that are still to be sent; they lie at its end.
    left: u8,
    /// The driver was shown these bytes.
    shown: bool,
    /// Bytes of the outbox that go out before, because earlier PUBRELs are among them [MQTT-4.6.0-4].
    ahead: usize,
}

impl StrayRelease {
    /// The PUBREL for `id` is to be sent, behind `ahead` bytes of the outbox; false if another one waits.
    pub(super) const fn set(&mut self, id: PacketId, ahead: usize) -> bool {
        let free = self.left == 0;
        if free {
            self.packet = ack::packet(FirstByte::of(PacketType::PubRel), id);
            self.left = ACK_LEN as u8;
            self.shown = false;
            self.ahead = ahead;
        }
        free
    }

    /// The connection ended.
    pub(super) const fn clear(&mut self) {
        self.left = 0;
    }

    /// The driver is going to see it. A request that is accepted now stays behind it.
    pub(super) const fn show(&mut self) {
        self.shown = true;
        self.goes_next();
    }

    /// It goes out before any packet of the outbox that is not begun.
    pub(super) const fn goes_next(&mut self) {
        self.ahead = 0;
    }

    /// The transport has taken `count` bytes of the outbox.
    pub(super) const fn outbox_transmitted(&mut self, count: usize) {
        self.ahead = self.ahead.saturating_sub(count);
    }

    /// Whether it waits only for the end of a packet.
    pub(super) const fn is_next(&self) -> bool {
        self.left != 0 && self.ahead == 0
    }

    /// The bytes of the outbox that go out before, if it waits.
    pub(super) const fn waits_behind(&self) -> Option<usize> {
        if self.left != 0 { Some(self.ahead) } else { None }
    }

    /// Whether it is shown or sent in part, and not sent in full.
    pub(super) const fn is_begun(&self) -> bool {
        self.left != 0 && self.shown
    }

    /// How many bytes are ready for the transport.
    pub(super) const fn ready_len(&self) -> usize {
        self.left as usize
    }

    /// The bytes ready for the transport.
    pub(super) fn ready(&self) -> &[u8] {
        self.packet.get(ACK_LEN.saturating_sub(self.ready_len())..).unwrap_or_default()
    }

    /// The transport has taken `count` bytes; gives whether that completed the packet.
    pub(super) fn transmitted(&mut self, count: usize) -> bool {
        self.left = self.left.saturating_sub(count.min(ACK_LEN) as u8);
        self.left == 0
    }
}
