//! The session's four sources of outgoing bytes, for `machine::transmit`, which knows their order.

use super::{Session, SessionMut, outbox::Until, pass_over::PassOver, stuck::Hold};
use crate::codec::ack::PINGREQ;

impl Session {
    /// Whether only the outbox has bytes to send, no request is held back, and no message is passed over.
    pub(crate) const fn is_plain(&self) -> bool {
        self.plain
    }

    /// Whether PUBRELs that reclaim packet ids may go out: they wait, and no other packet is sent in part.
    pub(crate) fn reclaim_may_send(&self) -> bool {
        let between = self.outbox.is_between_packets()
            && !self.subscriptions.is_begun()
            && !self.stray.is_begun();
        self.reclaim.ready_len() != 0 && (between || self.reclaim.is_begun())
    }

    pub(crate) fn reclaim_ready(&self) -> &[u8] {
        self.reclaim.ready()
    }

    /// Bytes of PUBRELs that are still to be sent, at most.
    pub(crate) fn reclaim_len(&self) -> usize {
        let range = self.requests.reclaimed_range();
        self.reclaim.ready_len() + range.map_or(0, |range| self.reclaim.later_len(range))
    }

    /// Whether the PUBREL of no request may go out: it waits, and no other packet is sent in part.
    pub(crate) const fn stray_may_send(&self) -> bool {
        let between = self.outbox.is_between_packets() && !self.subscriptions.is_begun();
        // If nothing is left to send, the packets ahead were sent or taken back.
        let next = self.stray.is_next() || self.outbox.ready_len() == 0;
        self.stray.ready_len() != 0 && (between && next || self.stray.is_begun())
    }

    pub(crate) fn stray_ready(&self) -> &[u8] {
        self.stray.ready()
    }

    pub(crate) const fn stray_ready_len(&self) -> usize {
        self.stray.ready_len()
    }

    /// Whether a renewal may go on: it waits, and no packet of the outbox is sent in part.
    pub(crate) const fn renewal_may_send(&self) -> bool {
        let between = self.outbox.is_between_packets() || self.subscriptions.is_begun();
        self.subscriptions.ready_len() != 0 && between
    }

    /// Whether requests are held back.
    pub(crate) const fn is_holding(&self) -> bool {
        self.outbox.is_holding()
    }

    /// Bytes of the outbox that go out before anything that is appended now.
    pub(crate) fn outbox_bytes_ahead(&self, bytes: &[u8]) -> usize {
        self.outbox.bytes_ahead(bytes).wrapping_add(self.outbox.beyond_arena(bytes))
    }

    pub(crate) fn renewal_ready<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        self.subscriptions.ready(bytes)
    }

    pub(crate) const fn renewal_ready_len(&self) -> usize {
        self.subscriptions.ready_len()
    }

    pub(crate) fn outbox_ready<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        self.outbox.ready(bytes)
    }

    pub(crate) const fn outbox_ready_len(&self) -> usize {
        self.outbox.ready_len()
    }
}

impl SessionMut<'_> {
    /// The driver is going to see the ready bytes of the renewal.
    pub(crate) const fn show_renewal(&mut self) {
        self.session.subscriptions.show();
    }

    /// The transport has taken `count` bytes of the renewal; gives how many packets that completed.
    pub(crate) fn renewal_transmitted(&mut self, count: usize) -> u32 {
        u32::from(self.session.subscriptions.transmitted(count))
    }

    /// Looks whether only the outbox has anything to do.
    #[cold]
    pub(crate) fn look_beside_the_outbox(&mut self) {
        let session = &mut *self.session;
        let others = session.reclaim.is_running()
            || session.reclaim.ready_len() != 0
            || session.stray.ready_len() != 0
            || session.subscriptions.has_more_to_ask()
            || session.outbox.is_holding()
            || session.outbox.may_have_sources();
        let passes = !matches!(session.pass_over, PassOver::Off | PassOver::Pointless);
        session.plain = !others && !passes;
    }

    /// The driver is going to see the ready bytes of the outbox; only the outbox has any.
    pub(crate) fn show_plain_outbox(&mut self) {
        self.session.outbox.show(self.bytes);
    }

    /// The driver is going to see the ready bytes of the outbox.
    pub(crate) fn show_outbox(&mut self) {
        let session = &*self.session;
        let before = session.outbox.shown_end();
        let ends = session.hold == Hold::No && session.outbox.is_holding();
        let others = session.stray.is_next()
            || session.reclaim.ready_len() != 0
            || session.subscriptions.ready_len() != 0;
        if others || ends {
            // Another source goes on behind the packet that is begun.
            self.session.outbox.show_whole_packets(self.bytes);
        } else if let Some(ahead) = session.stray.waits_behind() {
            self.session.outbox.show_only(self.bytes, ahead);
        } else {
            self.session.outbox.show_unheld(self.bytes);
        }
        self.session.outbox.stop_at_source(self.bytes, before);
    }

    /// The driver is going to see the PUBREL of no request.
    pub(crate) const fn show_stray(&mut self) {
        self.session.stray.show();
    }

    /// The driver is going to see PUBRELs that reclaim packet ids.
    pub(crate) const fn show_reclaim(&mut self) {
        self.session.reclaim.show();
    }

    /// The transport has taken `count` bytes of the PUBREL of no request; gives how many packets that completed.
    pub(crate) fn stray_transmitted(&mut self, count: usize) -> u32 {
        u32::from(self.session.stray.transmitted(count))
    }

    /// The transport has taken `count` bytes of the outbox; gives how many packets that completed.
    pub(crate) fn outbox_transmitted(&mut self, count: usize) -> u32 {
        let count = self.session.outbox.in_arena(self.bytes, count);
        self.session.stray.outbox_transmitted(count);
        let packets =
            self.session.outbox.transmitted(self.bytes, &mut self.session.requests, count);
        if self.session.requests.has_finishing() {
            self.finish_cancelled();
        }
        packets
    }

    /// Appends a PINGREQ to the outbox; false if it has no room.
    #[inline(never)] // for less flash
    pub(crate) fn append_pingreq(&mut self) -> bool {
        let roomy = self.make_room(PINGREQ.len());
        if roomy {
            self.append(&PINGREQ, Until::Sent);
        }
        roomy
    }
}
