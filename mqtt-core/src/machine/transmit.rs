//! The bytes that go out: their sources, in one order. The order is written only here, and three questions are answered
//! from it: which bytes are ready, from which source has the transport taken bytes, and where does a PINGREQ end.
//! `poll` never gives bytes of two sources at once.

use super::{Machine, State, connection::Phase};
use crate::{
    codec::ack::DISCONNECT, event::Action, session::Session, time::Instant, timers::Timer,
};

/// A source of outgoing bytes. While a source has bytes to send, those behind it wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The CONNECT, alone until the CONNACK.
    Connect,
    /// PUBRELs for packet ids that are reclaimed, between two packets of the sources below.
    Reclaim,
    /// The PUBREL that answers a PUBREC of no request, between two packets of the sources below.
    Stray,
    /// The SUBSCRIBE that renews the subscriptions.
    Renewal,
    /// Requests and answers.
    Outbox,
    /// The DISCONNECT, last of all: once it has begun, no other source is asked [MQTT-3.14.4-2].
    Disconnect,
}

impl State {
    /// The source that may send now; `None` if nothing waits.
    fn source(&self, session: &Session) -> Option<Source> {
        match self.phase {
            Phase::Handshake(_) => Some(Source::Connect),
            Phase::Leaving { shown: true, .. } => Some(Source::Disconnect),
            Phase::Up(_) => before_disconnect(session),
            Phase::Leaving { .. } => before_disconnect(session).or(Some(Source::Disconnect)),
            Phase::Stopped | Phase::Waiting | Phase::Opening | Phase::Closing(..) => None,
        }
    }

    /// The bytes of `source` that are ready, or how long to wait.
    pub(super) fn transmission<'b>(
        &'b self,
        source: Option<Source>,
        session: &'b Session,
        bytes: &'b [u8],
    ) -> Action<'b> {
        let ready = self.ready(source, session, bytes);
        if ready.is_empty() {
            Action::Wait(self.timers.next(self.resting()))
        } else {
            Action::Transmit(ready)
        }
    }

    /// The bytes of `source` that are ready for the transport.
    pub(super) fn ready<'b>(
        &'b self,
        source: Option<Source>,
        session: &'b Session,
        bytes: &'b [u8],
    ) -> &'b [u8] {
        match source {
            None => &[],
            Some(Source::Connect) => self.connect.ready(bytes),
            Some(Source::Reclaim) => session.reclaim_ready(),
            Some(Source::Stray) => session.stray_ready(),
            Some(Source::Renewal) => session.renewal_ready(bytes),
            Some(Source::Outbox) => session.outbox_ready(bytes),
            Some(Source::Disconnect) => {
                DISCONNECT.get(self.disconnect_sent()..).unwrap_or_default()
            }
        }
    }

    const fn disconnect_sent(&self) -> usize {
        if let Phase::Leaving { disconnect_sent, .. } = self.phase {
            disconnect_sent as usize
        } else {
            0
        }
    }
}

/// The source that may send while the connection is up; `None` if nothing is left that has to go out before a
/// DISCONNECT.
fn before_disconnect(session: &Session) -> Option<Source> {
    let outbox = (session.outbox_ready_len() != 0).then_some(Source::Outbox);
    if session.is_plain() { outbox } else { beside_outbox(session).or(outbox) }
}

/// The source that goes ahead of the outbox now.
#[cold]
fn beside_outbox(session: &Session) -> Option<Source> {
    if session.reclaim_may_send() {
        Some(Source::Reclaim)
    } else if session.stray_may_send() {
        Some(Source::Stray)
    } else if session.renewal_may_send() {
        Some(Source::Renewal)
    } else {
        None
    }
}

/// Bytes to be sent up to the end of the outbox, at most, while the connection is up.
pub(super) fn bytes_ahead(session: &Session, bytes: &[u8]) -> usize {
    let beside = session.reclaim_len() + session.stray_ready_len() + session.renewal_ready_len();
    beside + session.outbox_bytes_ahead(bytes)
}

impl Machine<'_> {
    /// Whether any bytes are ready for the transport.
    pub(super) fn is_ready(&self) -> bool {
        let (session, bytes) = self.session.parts();
        match self.state.source(session) {
            Some(Source::Outbox) => true,
            source => !self.state.ready(source, session, bytes).is_empty(),
        }
    }

    /// The number of bytes that the driver was shown, or is shown next, and that the transport has not taken.
    #[cold]
    pub(super) fn shown_len(&self) -> usize {
        let (session, bytes) = self.session.parts();
        self.state.ready(self.state.source(session), session, bytes).len()
    }

    /// The driver is going to see the ready bytes of the source that is given. From now on they do not change, and may
    /// have left.
    pub(super) fn show(&mut self) -> Option<Source> {
        let source = self.state.source(self.session.parts().0);
        match source {
            Some(Source::Connect) => self.state.connect.show(),
            Some(Source::Outbox) => self.session.show_outbox(),
            Some(Source::Renewal) => self.session.show_renewal(),
            Some(Source::Disconnect) => {
                if let Phase::Leaving { shown, .. } = &mut self.state.phase {
                    *shown = true;
                }
            }
            Some(Source::Stray) => self.session.show_stray(),
            Some(Source::Reclaim) => self.session.show_reclaim(),
            None => {}
        }
        source
    }

    /// The transport has taken `count` bytes of those that `poll` gave. If `poll` gave none, nothing happens.
    pub(crate) fn transmitted(&mut self, count: usize, now: Instant) {
        let source = self.state.source(self.session.parts().0);
        let Some(source) = source.filter(|_| count != 0) else { return };
        let counters = &mut self.state.counters;
        counters.bytes_out = counters.bytes_out.wrapping_add(count as u32);
        let packets = match source {
            Source::Connect => {
                // On a slow link a long CONNECT takes its time.
                self.state.expect_connack(now);
                self.state.connect.transmitted(count, now)
            }
            Source::Reclaim => self.session.reclaim_transmitted(count),
            Source::Stray => self.session.stray_transmitted(count),
            Source::Renewal => self.session.renewal_transmitted(count),
            Source::Outbox => self.session.outbox_transmitted(count),
            Source::Disconnect => self.disconnect_transmitted(count),
        };
        let counters = &mut self.state.counters;
        counters.packets_out = counters.packets_out.wrapping_add(packets);
        if let Some(rules) = self.state.settings.sources {
            (rules.fed)(self, now);
        }
        if self.state.phase.is_up() {
            self.state.timers.clear(Timer::Stall);
            self.state.arm(Timer::KeepAlive, now);
            if self.state.ping.is_some() && !self.is_ready() {
                self.state.all_pings_are_out();
            }
            self.state.expect_pong(now);
            self.expect_answer(now);
            self.expect_pubcomp(now);
        }
    }

    /// [MQTT-3.14.4-1], [MQTT-3.14.4-2]: nothing after the DISCONNECT, and close.
    fn disconnect_transmitted(&mut self, count: usize) -> u32 {
        if let Phase::Leaving { goal, disconnect_sent, .. } = &mut self.state.phase {
            *disconnect_sent = disconnect_sent.saturating_add(count.min(DISCONNECT.len()) as u8);
            let whole = usize::from(*disconnect_sent) >= DISCONNECT.len();
            let reason = goal.reason();
            if whole {
                self.close(reason);
            }
        }
        0
    }
}
