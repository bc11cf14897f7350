//! The digest of a client, for model checkers: two clients with the same digest behave alike.

use core::hash::{Hash, Hasher};

use super::{State, listening::Listening, settings::Settings};

impl State {
    /// Feeds everything that affects behaviour to `hasher`: everything but the counters.
    pub(crate) fn digest(&self, hasher: &mut impl Hasher) {
        // Destructured, so that no field is forgotten.
        let Self {
            phase,
            attempts,
            protocol,
            untold,
            ping,
            stream,
            unread,
            refuses,
            listening,
            last_offer,
            connect,
            timers,
            keep_alive,
            settings,
            counters,
        } = self;
        // The counter of sent bytes only matters for the PINGREQ.
        let ahead = |end: u32| end.wrapping_sub(counters.bytes_out);
        let ping = ping.map(|ping| (ping.at, ping.judged.map(ahead), ahead(ping.last) as i32 > 0));
        (phase, attempts, protocol, untold).hash(hasher);
        // In the same way for bytes that are sent before the driver looks at the input.
        let listening = if let Listening::Sending(before) = *listening {
            Listening::Sending(ahead(before))
        } else {
            *listening
        };
        (ping, stream, unread, refuses, listening, last_offer).hash(hasher);
        (connect, timers, keep_alive).hash(hasher);
        let Settings {
            version,
            reconnect,
            connect_timeout,
            ping_timeout,
            ping_on_silence,
            answer_timeout,
            strict,
            unread_timeout,
            max_packet,
            receive_capacity,
            oversized,
            skip_unreadable,
            record_delay,
            queue,
            queue_messages,
            limit_queue: _,
            sources: _,
            return_to_first: _,
        } = settings;
        (version, reconnect, connect_timeout, ping_timeout, ping_on_silence, answer_timeout)
            .hash(hasher);
        (oversized, skip_unreadable).hash(hasher);
        (max_packet, receive_capacity, record_delay, strict, queue, queue_messages).hash(hasher);
        unread_timeout.hash(hasher);
    }
}
