//! Requests that are held back while answers go on.
//!
//! From a position on, the cursor passes packets that are requests without sending them: PUBLISH, PUBREL, SUBSCRIBE,
//! UNSUBSCRIBE. Acknowledgements and PINGREQs behind them are sent. At the end of the hold the cursor goes back to that
//! position, so the order of the requests is kept [MQTT-4.6.0-1].

use super::{
    NO_HOLD, Outbox, Table,
    bytes::set_first,
    frames::{Frame, HOLE, Stay, frame_at, frame_before, stay},
};
use crate::codec::{PacketType, QoS};

impl Outbox {
    /// From now on no request is sent of which nothing was shown.
    pub(in crate::session) fn hold(&mut self, bytes: &[u8]) {
        self.hold_from = self.end_of_packet(bytes, self.shown);
    }

    /// As [`Outbox::hold`], but the first request is sent. Nothing has been shown on this connection.
    pub(in crate::session) fn hold_all_but(&mut self, bytes: &[u8], place: u32) {
        let at = place as usize;
        self.hold_from = at + frame_at(bytes, at).map_or(0, |frame| frame.len);
    }

    /// From now on no request is sent from the one at `place` on. Nothing of it has been shown.
    pub(in crate::session) fn hold_at(&mut self, place: u32) {
        debug_assert!(place as usize >= self.shown, "the packet at {place} was shown: {self:?}");
        self.hold_from = place as usize;
    }

    /// The first publish of QoS 2 of which nothing was shown on this connection.
    pub(in crate::session) fn unsent_qos_2(&self, bytes: &[u8]) -> Option<u32> {
        let mut at = self.boundary.min(self.hold_from);
        while let Some(frame) = frame_before(bytes, at, self.tail) {
            let exactly_once = frame.first.is(PacketType::Publish)
                && frame.first.publish_qos() == Some(QoS::ExactlyOnce);
            if exactly_once && at >= self.shown.min(self.hold_from) {
                return Some(at as u32);
            }
            at += frame.len;
        }
        None
    }

    /// Whether a publish of QoS 2, or its PUBREL, is here that was shown on an earlier connection. None is shown on
    /// this one.
    pub(in crate::session) fn has_sent_qos_2(&self, bytes: &[u8]) -> bool {
        let mut at = self.head;
        while let Some(frame) = frame_before(bytes, at, self.tail) {
            let publish = frame.first.is(PacketType::Publish) && frame.first.has_dup();
            if publish && frame.first.publish_qos() == Some(QoS::ExactlyOnce)
                || frame.first.is(PacketType::PubRel)
            {
                return true;
            }
            at += frame.len;
        }
        false
    }

    pub(in crate::session) const fn is_holding(&self) -> bool {
        self.hold_from != NO_HOLD
    }

    /// Whether the packet at `at` waits for the end of the hold.
    pub(super) fn is_held(&self, at: usize, frame: Frame) -> bool {
        at >= self.hold_from && matches!(stay(frame.first), Stay::UntilSent | Stay::UntilReleased)
    }

    /// Passes the held packets at the cursor.
    pub(in crate::session) fn pass_held(&mut self, bytes: &[u8]) {
        while self.is_between_packets() {
            let Some(frame) = frame_before(bytes, self.boundary, self.tail) else { break };
            if !self.is_held(self.boundary, frame) {
                break;
            }
            self.boundary += frame.len;
            self.cursor = self.boundary;
            self.shown = self.boundary;
        }
    }

    /// The driver is going to see the packets up to the next held one.
    pub(super) fn show_up_to_held(&mut self, bytes: &[u8]) {
        let mut end = self.boundary;
        while let Some(frame) = frame_before(bytes, end, self.tail) {
            if self.is_held(end, frame) {
                break;
            }
            end += frame.len;
        }
        self.shown = self.shown.max(end);
    }

    /// Bytes that go out before anything that is appended now.
    pub(in crate::session) fn bytes_ahead(&self, bytes: &[u8]) -> usize {
        let mut ahead = self.tail - self.cursor;
        if self.is_holding() {
            let mut at = self.boundary;
            while let Some(frame) = frame_before(bytes, at, self.tail) {
                if self.is_held(at, frame) {
                    ahead = ahead.saturating_sub(frame.len);
                }
                at += frame.len;
            }
        }
        ahead
    }

    /// The requests go on. No packet is shown in part: [`Outbox::is_between_packets`].
    pub(in crate::session) fn end_hold(&mut self, bytes: &mut [u8], table: &mut Table<'_>) {
        debug_assert!(self.is_between_packets(), "a shown packet would be sent twice: {self:?}");
        let from = self.hold_from.min(self.boundary);
        self.hold_from = NO_HOLD;
        let mut at = from;
        while let Some(frame) = frame_before(bytes, at, self.boundary) {
            // They were sent and do not count as live any more.
            if stay(frame.first) == Stay::ThisConnection {
                set_first(bytes, at, HOLE);
            }
            at += frame.len;
        }
        self.boundary = from;
        self.cursor = from;
        self.shown = from;
        self.compact(bytes, table);
    }
}
