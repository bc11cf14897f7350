//! CONNACK: the first packet on a connection, and its meaning for the session. Section 3.2 of the standard.

use super::{
    Machine, Taken,
    connection::{Intent, Phase},
    logged,
};
use crate::{
    codec::{ConnAck, PacketType, Protocol, Violation},
    event::{Event, SessionStatus},
    session::{Former, Lifetime},
    time::Instant,
    timers::Timer,
};

impl Machine<'_> {
    /// The first packet on a connection [MQTT-3.2.0-1].
    #[cold]
    pub(super) fn handshake<'i>(
        &mut self,
        kind: PacketType,
        first: u8,
        body: &[u8],
        now: Instant,
    ) -> Taken<'i> {
        if kind != PacketType::ConnAck {
            return Err(Violation::BeforeConnAck.into());
        }
        let state = &mut *self.state;
        let connack = ConnAck::decode(first, body, state.protocol)?;
        if !state.connect.was_shown() {
            return Err(Violation::UnexpectedConnAck.into());
        }
        // The broker closes behind a refusal, so the driver may never report the CONNECT.
        connack.result?;
        if !state.connect.is_sent() {
            // It is looked at again once the driver has reported the CONNECT.
            return self.not_now();
        }
        if self.session.is_to_be_ended(state.attempts.endpoint) {
            self.session.session_ended(state.attempts.endpoint);
            state.leave_at_once();
            return Ok(None);
        }
        self.session.arrive(state.attempts.endpoint);
        // [MQTT-3.2.2-1]: a broken promise, but the link is sound.
        let unwanted = connack.session_present && self.session.lifetime() == Lifetime::Connection;
        if unwanted && state.settings.strict {
            return Err(Violation::SessionPresentClean.into());
        }
        let status = status(connack.session_present, self.session.is_at_broker(), state.protocol);
        match status {
            SessionStatus::New | SessionStatus::Lost => {
                self.session.begin(state.protocol, Former::Gone)
            }
            SessionStatus::Resumed => self.session.resume(state.protocol),
            SessionStatus::Found if unwanted => self.session.begin(state.protocol, Former::Kept),
            SessionStatus::Found => self.session.adopt(),
        }
        state.accepted();
        Ok(self.up(status, now))
    }

    /// The broker has accepted the connection.
    fn up<'i>(&mut self, session: SessionStatus, now: Instant) -> Option<Event<'i>> {
        let reclaiming = self.session.is_reclaiming();
        let state = &mut *self.state;
        let intent = if let Phase::Handshake(intent) = state.phase { intent } else { Intent::Stay };
        logged::accepted(state.attempts.endpoint, session);
        state.timers.clear(Timer::Connect);
        if let Some(goal) = intent.goal().filter(|_| !reclaiming) {
            state.begin_leaving(goal);
            return None;
        }
        state.phase = Phase::Up(intent);
        state.arm(Timer::KeepAlive, state.connect.sent_at());
        state.arm(Timer::Silence, now);
        if self.session.misses_messages() {
            state.timers.set(Timer::Connect, state.patience(now));
        }
        let stable = u64::from(state.settings.reconnect.stable_millis());
        state.timers.set(Timer::Stable, now.plus_millis(stable));
        Some(Event::Up { endpoint: state.attempts.endpoint, session, protocol: state.protocol })
    }
}

/// The status of the broker's session. `present`: the CONNACK says that there is one. `expected`: the client should
/// have one there.
const fn status(present: bool, expected: bool, protocol: Protocol) -> SessionStatus {
    match (present, expected, protocol) {
        (true, true, _) => SessionStatus::Resumed,
        (true, false, _) => SessionStatus::Found,
        (false, true, Protocol::V311) => SessionStatus::Lost,
        // MQTT 3.1 has no session-present flag: a broker that was asked to keep the session is believed to have it.
        (false, true, Protocol::V31) => SessionStatus::Resumed,
        (false, false, _) => SessionStatus::New,
    }
}
