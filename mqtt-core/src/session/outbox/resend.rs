//! The packets after the end of a connection, or of a session at the broker: some are sent again, others are dropped or
//! lost.

use super::{
    super::qos::InDoubt,
    NO_HOLD, Outbox, Table,
    bytes::set_first,
    frames::{HOLE, Stay, frame_before, id_at, stay},
};
use crate::codec::{PacketType, Protocol, QoS};

impl Outbox {
    /// The connection ended. Answers are dropped, because the broker asks again [MQTT-4.4.0-1]. Packets that were shown
    /// to the driver may have left. Those that await an answer are sent again, with DUP [MQTT-3.3.1-1]. Those of QoS 0
    /// are not sent twice: they end. Gives how many packets are sent again.
    pub(in crate::session) fn rewind(
        &mut self,
        bytes: &mut [u8],
        table: &mut Table<'_>,
        protocol: Protocol,
    ) -> u32 {
        let mut retransmissions = 0;
        let mut at = self.head;
        while let Some(frame) = frame_before(bytes, at, self.tail) {
            let held = self.is_held(at, frame);
            let whole = at < self.boundary && !held;
            let begun = at < self.shown && !held;
            match stay(frame.first) {
                // Packets that were sent whole are not counted as live any more.
                Stay::ThisConnection | Stay::UntilSent if whole => set_first(bytes, at, HOLE),
                Stay::ThisConnection => self.kill(bytes, at, frame),
                Stay::UntilSent if begun => {
                    self.kill(bytes, at, frame);
                    table.requests.lose_unacknowledged();
                }
                Stay::UntilReleased => {
                    retransmissions += u32::from(begun);
                    if begun {
                        table.was_sent(id_at(bytes, at, frame));
                    }
                    // In 3.1.1, DUP is a reserved bit of all but PUBLISH. 3.1 sets it on every retry, but a PUBREL
                    // never gets it: a broker in use closes the connection at it, and no broker needs it.
                    let publish = frame.first.is(PacketType::Publish);
                    let pubrel = frame.first.is(PacketType::PubRel);
                    if begun && (publish || protocol == Protocol::V31 && !pubrel) {
                        set_first(bytes, at, frame.first.with_dup());
                    } else if !publish && protocol == Protocol::V311 {
                        set_first(bytes, at, frame.first.without_dup());
                    }
                }
                Stay::Hole | Stay::UntilSent => {}
            }
            at += frame.len;
        }
        self.boundary = self.head;
        self.cursor = self.head;
        self.shown = self.head;
        self.hold_from = NO_HOLD;
        self.awaited = self.head;
        self.compact(bytes, table);
        retransmissions
    }

    /// The broker began a new session, and nothing has been sent on this connection.
    ///
    /// A QoS 1 publish starts anew, without DUP. Nobody can say whether a QoS 2 publish that was in flight arrived:
    /// sending it again might double it, so it is lost, unless the application prefers that. After its PUBREC the
    /// message is not here any more. Publishes that were never sent stay, and so do SUBSCRIBE and UNSUBSCRIBE.
    pub(in crate::session) fn start_session(
        &mut self,
        bytes: &mut [u8],
        table: &mut Table<'_>,
        in_doubt: InDoubt,
    ) {
        let mut at = self.head;
        while let Some(frame) = frame_before(bytes, at, self.tail) {
            let first = frame.first;
            let was_sent = first.is(PacketType::Publish) && first.has_dup();
            let doubtful = was_sent && first.publish_qos() == Some(QoS::ExactlyOnce);
            let lost = first.is(PacketType::PubRel) || doubtful && in_doubt == InDoubt::Lost;
            if lost {
                table.lose(id_at(bytes, at, frame));
                self.kill(bytes, at, frame);
            } else if stay(frame.first) == Stay::UntilReleased {
                set_first(bytes, at, frame.first.without_dup());
            }
            at += frame.len;
        }
        self.compact(bytes, table);
    }

    /// No packet is sent any more: all requests are lost. Gives each SUBSCRIBE to `subscribe`, by its place.
    pub(in crate::session) fn lose_all(
        &mut self,
        bytes: &[u8],
        table: &mut Table<'_>,
        mut subscribe: impl FnMut(usize),
    ) {
        let mut at = self.head;
        while let Some(frame) = frame_before(bytes, at, self.tail) {
            match stay(frame.first) {
                Stay::UntilReleased => {
                    if frame.first.is(PacketType::Subscribe) {
                        subscribe(at);
                    }
                    table.lose(id_at(bytes, at, frame));
                }
                Stay::UntilSent if at >= self.boundary => table.requests.lose_unacknowledged(),
                Stay::UntilSent | Stay::ThisConnection | Stay::Hole => {}
            }
            at += frame.len;
        }
        self.clear();
    }

    /// The packets may have been sent before a power cut, but for publishes of QoS `but`. If they were, the next time is
    /// not the first [MQTT-3.3.1-1].
    pub(in crate::session) fn suspect_sent(&self, bytes: &mut [u8], but: Option<QoS>) {
        let mut at = self.head;
        while let Some(frame) = frame_before(bytes, at, self.tail) {
            let publish = frame.first.is(PacketType::Publish);
            if publish && (but.is_none() || frame.first.publish_qos() != but) {
                set_first(bytes, at, frame.first.with_dup());
            } else if publish {
                // An earlier record may have left the question open.
                set_first(bytes, at, frame.first.without_dup());
            }
            at += frame.len;
        }
    }
}
