//! The connection: its phases and their changes.

use super::{Machine, State, connect_packet::Part, listening::Listening, logged};
use crate::{
    codec::{Connect, Login, Protocol, Will},
    error::{ConfigError, Fatal, Reason},
    event::ConnectionState,
    session::{Lifetime, SUBSCRIPTIONS_SPARE},
    source::SourceFault,
    time::Instant,
    timers::{Timer, Timers},
};

const CONNECT: u16 = Timers::set_of(&[Timer::Connect]);

/// What the application asked for at a time when it could not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Intent {
    /// Nothing: the client stays online.
    Stay,
    /// `disconnect`: no DISCONNECT could be sent yet.
    Leave,
    /// `connect`: the next connection begins as soon as this one has ended. It ends because of a `disconnect` before,
    /// or for a reason of its own.
    Anew,
}

impl Intent {
    /// The DISCONNECT that is to be sent as soon as that is possible.
    pub(super) const fn goal(self) -> Option<LeaveFor> {
        match self {
            Self::Stay => None,
            Self::Leave => Some(LeaveFor::Good),
            Self::Anew => Some(LeaveFor::Anew),
        }
    }
}

/// The state of the connection.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) enum Phase {
    /// Offline until `connect` is called.
    Stopped,
    /// Offline until the reconnect timer.
    Waiting,
    /// The driver opens the transport.
    Opening,
    /// The CONNECT goes out; the CONNACK ends the phase.
    Handshake(Intent),
    /// The broker has accepted the connection. If the intent is not `Stay`, packet ids have to be reclaimed before the
    /// DISCONNECT.
    Up(Intent),
    /// Packets that wait are still sent, then the DISCONNECT.
    Leaving {
        goal: LeaveFor,
        /// The DISCONNECT was shown to the driver, so no other packet may follow [MQTT-3.14.4-2].
        shown: bool,
        /// Bytes of the DISCONNECT that are sent.
        disconnect_sent: u8,
    },
    /// The driver closes the transport.
    Closing(Reason, Intent),
}

impl Phase {
    pub(super) const fn is_up(&self) -> bool {
        matches!(self, Self::Up(_))
    }

    pub(super) const fn intent(&self) -> Intent {
        match self {
            Self::Handshake(intent) | Self::Up(intent) | Self::Closing(_, intent) => *intent,
            Self::Leaving { goal: LeaveFor::Good, .. } => Intent::Leave,
            Self::Leaving { goal: LeaveFor::Anew, .. } => Intent::Anew,
            Self::Leaving { .. } | Self::Stopped | Self::Waiting | Self::Opening => Intent::Stay,
        }
    }
}

/// The time after a DISCONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum LeaveFor {
    /// The application called `disconnect`: offline until `connect`.
    Good,
    /// The application called `disconnect`, then `connect`: the client connects again at once.
    Anew,
    /// Messages were passed over: the client connects again at once.
    Again,
    /// The connection was made only to end a session: the client connects again at once.
    NewSession,
    /// The client connects to the first broker at once, because it prefers that.
    First,
}

impl LeaveFor {
    pub(super) const fn reason(self) -> Reason {
        match self {
            Self::Good | Self::Anew => Reason::Requested,
            Self::Again => Reason::PassedOver,
            Self::NewSession => Reason::SessionEnded,
            Self::First => Reason::Returning,
        }
    }
}

impl State {
    pub(crate) const fn connection_state(&self) -> ConnectionState {
        match self.phase {
            Phase::Stopped => ConnectionState::Stopped,
            Phase::Waiting => ConnectionState::Waiting,
            Phase::Opening | Phase::Handshake(_) => ConnectionState::Connecting,
            Phase::Up(_) => ConnectionState::Up,
            Phase::Leaving { .. } | Phase::Closing(..) => ConnectionState::Closing,
        }
    }

    /// Packets that wait are still to be sent, then the DISCONNECT.
    #[inline(never)] // for less flash
    pub(super) fn begin_leaving(&mut self, goal: LeaveFor) {
        self.timers.clear_all();
        self.phase = Phase::Leaving { goal, shown: false, disconnect_sent: 0 };
    }

    /// Nothing is sent on this connection but the DISCONNECT. The session behind it was ended, and a new one follows.
    #[cold]
    pub(super) fn leave_at_once(&mut self) {
        self.begin_leaving(self.phase.intent().goal().unwrap_or(LeaveFor::NewSession));
        if let Phase::Leaving { shown, .. } = &mut self.phase {
            *shown = true;
        }
    }

    /// Whether a CONNECT went out whole and its CONNACK has not come.
    pub(super) const fn awaits_connack(&self) -> bool {
        matches!(self.phase, Phase::Handshake(_)) && self.connect.is_sent()
    }

    /// Whether the broker may have the CONNECT, and its CONNACK has not come.
    pub(super) const fn connack_may_follow(&self) -> bool {
        matches!(self.phase, Phase::Handshake(_)) && self.connect.was_shown()
    }
}

impl Machine<'_> {
    /// It is time for an attempt; gives the endpoint to connect to. The very first attempt may be put off.
    #[inline(never)] // for less flash
    pub(super) fn open(&mut self, now: Instant) -> Option<u8> {
        let state = &mut *self.state;
        let delay = state.attempts.first_delay(&state.settings.reconnect);
        if delay != 0 {
            state.timers.set(Timer::Reconnect, now.plus_millis(delay.into()));
            return None;
        }
        let endpoint = state.begin_attempt();
        state.phase = Phase::Opening;
        state.untold.connecting(endpoint);
        logged::connecting(endpoint);
        state.expect_connack(now);
        self.session.finish_restore();
        self.session.use_begins();
        Some(endpoint)
    }

    /// The transport is open.
    pub(crate) fn connected(&mut self) {
        if let Phase::Opening = self.state.phase {
            self.state.phase = Phase::Handshake(Intent::Stay);
            let (protocol, endpoint) = (self.state.protocol, self.state.attempts.endpoint);
            let clean = self.session.lifetime() == Lifetime::Connection
                || self.session.is_to_be_ended(endpoint);
            self.state.connect.begin(self.session.connect_bytes(), protocol, clean);
        }
    }

    /// The driver puts the attempt off until this instant.
    pub(crate) fn defer_connect(&mut self, until: Instant) {
        let state = &mut *self.state;
        if let Phase::Opening = state.phase {
            state.phase = Phase::Waiting;
            state.untold.deferred();
            state.timers.clear(Timer::Connect);
            state.timers.set(Timer::Reconnect, until);
        }
    }

    /// The connection has to end.
    pub(super) fn close(&mut self, reason: Reason) {
        if self.state.connack_may_follow() {
            self.session.unanswered_connect(self.state.attempts.endpoint);
        }
        self.state.phase = Phase::Closing(reason, self.state.phase.intent());
        self.state.timers.clear_all();
    }

    /// The transport is closed, or could not be opened: `cause`, unless the client knows better.
    #[inline(never)] // for less flash
    pub(crate) fn closed(&mut self, cause: Reason, now: Instant) {
        let reason = match self.state.phase {
            Phase::Stopped | Phase::Waiting => return,
            Phase::Closing(why, _) => why,
            Phase::Leaving { goal, .. } => goal.reason(),
            // The driver may have a time-out of its own for the transport.
            Phase::Opening if self.state.timers.has_passed(CONNECT, now) => {
                Reason::Fatal(Fatal::ConnectTimeout)
            }
            Phase::Opening | Phase::Handshake(_) => cause,
            Phase::Up(_) => self.closed_by_peer(cause, now),
        };
        let state = &mut *self.state;
        if state.connack_may_follow() {
            self.session.unanswered_connect(state.attempts.endpoint);
        }
        state.untold.down(state.attempts.endpoint, reason);
        logged::ended(state.attempts.endpoint, reason);
        state.timers.clear_all();
        state.stream = None;
        state.unread = 0;
        state.refuses = false;
        state.listening = Listening::Taking;
        state.ping = None;
        let intent = state.phase.intent();
        let millis = state.next_attempt(reason);
        let delay = match intent {
            Intent::Stay => state.settings.reconnect.is_on().then_some(millis),
            Intent::Leave => None,
            Intent::Anew => Some(0),
        };
        state.phase = match delay {
            Some(delay) => {
                state.timers.set(Timer::Reconnect, now.plus_millis(u64::from(delay)));
                Phase::Waiting
            }
            None => Phase::Stopped,
        };
        // If input was left unread, the answers may lie in it. A publish whose source has failed is gone.
        let blame = !matches!(
            reason,
            Reason::Requested
                | Reason::PassedOver
                | Reason::SessionEnded
                | Reason::Returning
                | Reason::Fatal(Fatal::Unread)
                | Reason::Fatal(Fatal::Source {
                    fault: SourceFault::Gone | SourceFault::Failed | SourceFault::Length,
                    ..
                })
        );
        // This follows `next_attempt`, which decides the version in which packets are sent again.
        let again = self.session.suspend(state.protocol, blame);
        let counter = &mut state.counters.retransmissions;
        *counter = counter.wrapping_add(again);
        logged::sent_again(again);
    }

    /// Ends the connection once all accepted requests are sent, and stays offline.
    #[inline(never)] // for less flash
    pub(crate) fn disconnect(&mut self) {
        let reclaiming = self.session.is_reclaiming();
        let state = &mut *self.state;
        match state.phase {
            Phase::Stopped => {}
            Phase::Leaving { ref mut goal, .. } => *goal = LeaveFor::Good,
            Phase::Waiting => {
                state.timers.clear_all();
                state.phase = Phase::Stopped;
                state.untold.stopped(state.attempts.endpoint, Reason::Requested);
            }
            Phase::Opening => {
                self.close(Reason::Requested);
                self.state.phase = Phase::Closing(Reason::Requested, Intent::Leave);
            }
            Phase::Up(_) if !reclaiming => state.begin_leaving(LeaveFor::Good),
            // A DISCONNECT before the CONNACK would leave open whether the will is published.
            Phase::Handshake(ref mut intent)
            | Phase::Closing(_, ref mut intent)
            | Phase::Up(ref mut intent) => *intent = Intent::Leave,
        }
    }

    pub(crate) fn set_login(&mut self, login: Option<Login<'_>>) -> Result<(), ConfigError> {
        self.change_connect(None, login, Part::Login)
    }

    pub(crate) fn set_will(&mut self, will: Option<Will<'_>>) -> Result<(), ConfigError> {
        self.change_connect(will, None, Part::Will)
    }

    #[cold]
    fn change_connect(
        &mut self,
        will: Option<Will<'_>>,
        login: Option<Login<'_>>,
        part: Part,
    ) -> Result<(), ConfigError> {
        if matches!(self.state.phase, Phase::Handshake(_)) && !self.state.connect.is_sent() {
            return Err(ConfigError::Connecting);
        }
        let (protocol, client_id) = (Protocol::V311, "");
        let connect =
            Connect { protocol, client_id, clean_session: true, keep_alive: 0, will, login };
        let bytes = self.session.connect_bytes();
        let room = bytes.len().saturating_sub(SUBSCRIPTIONS_SPARE);
        self.state.connect.change(bytes.get_mut(..room).unwrap_or_default(), &connect, part)
    }

    /// Ends the requests of a clean session, if the client is stopped.
    pub(crate) fn lose_requests(&mut self) {
        let stopped = matches!(self.state.phase, Phase::Stopped);
        if stopped && self.session.lifetime() == Lifetime::Connection {
            self.session.lose_requests();
        }
    }

    /// Connects now if the client is offline, or as soon as a connection that is ending has ended.
    #[inline(never)] // for less flash
    pub(crate) fn connect(&mut self) {
        let state = &mut *self.state;
        match &mut state.phase {
            Phase::Stopped | Phase::Waiting => {
                state.phase = Phase::Waiting;
                state.attempts.hurry();
                state.timers.set(Timer::Reconnect, Instant::from_millis(0));
            }
            Phase::Leaving { goal: goal @ LeaveFor::Good, .. } => *goal = LeaveFor::Anew,
            Phase::Handshake(intent @ Intent::Leave)
            | Phase::Up(intent @ Intent::Leave)
            | Phase::Closing(_, intent) => *intent = Intent::Anew,
            Phase::Leaving { .. } | Phase::Opening | Phase::Handshake(_) | Phase::Up(_) => {}
        }
    }
}
