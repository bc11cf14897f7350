//! What two clients have in common that behave alike, for model checkers.

use core::hash::{Hash, Hasher};

use super::Machine;
use crate::session::Slot;

impl Machine {
    /// All that decides about what the client does from now on: everything but the counters.
    pub(crate) fn digest(&self, bytes: &[u8], slots: &[Slot], hasher: &mut impl Hasher) {
        // Taken apart, so that no field is forgotten.
        let Self {
            phase,
            disconnect_sent,
            why,
            timers,
            limits,
            reconnect,
            clean_session,
            ping_after,
            protocol,
            negotiating,
            can_negotiate,
            leave,
            has_session,
            doubt,
            failures,
            endpoint_turn,
            ping_sent,
            ping_end,
            connect_sent,
            preamble,
            subscriptions,
            outbox,
            requests,
            inbound,
            journal,
            purge,
            stream,
            down,
            connecting,
            connecting_first,
            counters,
        } = self;
        // Of the counters, only these two decide anything.
        let ping_left = ping_sent.map(|_| ping_end.wrapping_sub(counters.bytes_out));
        let connected = counters.connections != 0;
        (phase, disconnect_sent, why, timers, limits, reconnect, clean_session).hash(hasher);
        (ping_after, protocol, negotiating, can_negotiate, leave, has_session).hash(hasher);
        (doubt, failures, endpoint_turn, ping_sent, ping_left, connected, connect_sent)
            .hash(hasher);
        (preamble, subscriptions, outbox, requests, inbound, journal, stream).hash(hasher);
        (purge, down, connecting, connecting_first, outbox.in_use(bytes), slots).hash(hasher);
    }
}
