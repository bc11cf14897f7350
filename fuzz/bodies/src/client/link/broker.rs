//! A broker that answers honestly if it is asked to.

use mqtt_core::{PacketId, Protocol};
use test_kit::wire::{CONNACK, SUBACK, packet};

use super::{Link, Transport};

/// An answer that the broker has not given yet.
pub(super) enum Reply {
    ConnAck(Protocol),
    Packet(Vec<u8>),
}

impl Link {
    pub(super) fn reply_with(&mut self, first: u8, id: PacketId, rest: &[u8]) {
        self.replies.push_back(Reply::Packet(packet(first, &[&id.get().to_be_bytes(), rest])));
    }

    /// The broker answers the oldest unanswered packet; honestly, if `lie` is zero. Returns false if all packets are
    /// answered.
    pub(in super::super) fn reply(&mut self, lie: u8) -> bool {
        if self.transport != Transport::Open || self.over {
            return false;
        }
        let mut reply = match self.replies.pop_front() {
            None => return false,
            Some(Reply::Packet(packet)) => packet,
            Some(Reply::ConnAck(protocol)) => {
                let code = if lie < 0xF8 { 0 } else { lie & 7 };
                // A session that was there before the client.
                let former = lie & 4 != 0 && code == 0 && !self.clean;
                let present = former || self.kept && lie & 1 == 0;
                self.kept = !self.clean;
                vec![CONNACK, 2, u8::from(present && protocol == Protocol::V311), code]
            }
        };
        let refused = reply.first() == Some(&SUBACK) && lie & 2 != 0;
        if let (true, Some(code)) = (refused, reply.last_mut()) {
            *code = 0x80;
        }
        self.arrive(&reply);
        true
    }
}
