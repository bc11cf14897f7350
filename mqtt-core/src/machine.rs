//! The client's logic: the connection's state and the session, put together for the length of one call.
//!
//! Nothing here is generic, so one copy of the logic is compiled, whatever storage a client has. [`State`] is the data
//! of the connection. [`Machine`] is that data and the session at work. This file chooses the driver's next action
//! ([`Machine::poll`]) and carries out time-outs. The rest is in the files of the folder:
//!
//! | task | files |
//! |---|---|
//! | a connection begins and ends | `connection`, `connect_packet`, `handshake` |
//! | the next attempt is chosen | `attempts`, `returning` |
//! | bytes go out | `transmit` |
//! | packets come in | `receive`, `answers`, `messages`, `pieces` |
//! | messages cannot be taken | `pass_over` |
//! | the application makes requests | `request`, `overflow` |
//! | a payload comes from a source | `sources` |
//! | the connection is silent | `keep_alive`, `listening` |
//! | the device is awake anyway | `early` |
//! | the client takes no input | `refusal` |
//! | a request stays unanswered | `overdue` |
//! | a record is due | `recording` |
//! | events wait to be given | `untold` |
//! | what seldom happens is logged | `logged` |

mod answers;
mod attempts;
mod connect_packet;
mod connection;
mod digest;
mod early;
mod handshake;
mod keep_alive;
mod listening;
mod logged;
mod messages;
mod overdue;
mod overflow;
mod pass_over;
mod pieces;
mod receive;
mod recording;
mod refusal;
mod request;
mod returning;
mod settings;
mod sources;
mod transmit;
mod untold;

use crate::{
    codec::{Connect, Protocol},
    error::{ConfigError, Fatal, Reason},
    event::{Action, Counters, Event},
    session::{
        ANSWER_ROOM, LARGEST_OUTBOX, LARGEST_WINDOW, Lifetime, Recorder, SUBSCRIPTIONS_SPARE,
        Session, SessionMut, SessionSettings, Slot,
    },
    time::Instant,
    timers::{Timer, Timers},
};
use attempts::Attempts;
use connect_packet::ConnectPacket;
use connection::{Intent, LeaveFor, Phase};
use keep_alive::Ping;
use listening::{LastOffer, Listening};
pub(crate) use overflow::LIMIT_QUEUE;
use pieces::Stream;
pub(crate) use returning::RETURN_TO_FIRST;
use settings::LEAST_RECEIVE_CAPACITY;
pub(crate) use settings::Settings;
pub use settings::{Oversized, Queue, Version};
pub(crate) use sources::SOURCE_RULES;
use untold::Untold;

/// Everything about a client but its session and its storage.
#[derive(Clone, Debug)]
pub(crate) struct State {
    phase: Phase,
    attempts: Attempts,
    /// The version in use, or to be tried next.
    protocol: Protocol,
    untold: Untold,
    ping: Option<Ping>,
    stream: Option<Stream>,
    /// Bytes of the input that came and were not taken.
    unread: usize,
    /// The client refuses input.
    refuses: bool,
    listening: Listening,
    last_offer: LastOffer,
    connect: ConnectPacket,
    timers: Timers,
    /// The keep alive in seconds; 0: off.
    keep_alive: u16,
    settings: Settings,
    counters: Counters,
}

/// A client's state and its session, for the length of one call.
pub(crate) struct Machine<'a> {
    state: &'a mut State,
    pub(crate) session: SessionMut<'a>,
    /// `receive` stops: the next packet has no room, or is not there yet.
    full: bool,
    /// It has no room.
    refused: bool,
}

/// The event of a packet that was taken, if it has one. If [`Machine::full`] is set, the packet was not taken.
type Taken<'i> = Result<Option<Event<'i>>, Fatal>;

/// What comes before bytes.
enum Due {
    Record(&'static Recorder),
    Other(Action<'static>),
}

impl State {
    /// The state of a new client.
    pub(crate) fn new(
        connect: &Connect<'_>,
        settings: &Settings,
        bytes: &mut [u8],
        slots: &[Slot],
        connect_room: usize,
    ) -> Result<Self, ConfigError> {
        if slots.is_empty() || slots.len() > LARGEST_WINDOW {
            return Err(ConfigError::Window { count: slots.len(), most: LARGEST_WINDOW });
        }
        if bytes.len() > LARGEST_OUTBOX {
            return Err(ConfigError::OutboxTooLarge {
                capacity: bytes.len(),
                most: LARGEST_OUTBOX,
            });
        }
        check_receive_capacity(settings.receive_capacity)?;
        let protocol = match settings.version {
            Version::V31 => Protocol::V31,
            Version::V311 | Version::Auto => Protocol::V311,
        };
        let v31 = Connect { protocol: Protocol::V31, ..*connect };
        // If 3.1 has no form for the client id, there is no version to fall back to.
        let negotiates = settings.version == Version::Auto && v31.encoded_len().is_ok();
        // Behind the CONNECT come the subscriptions, with room for a header in front, and the answers.
        let behind = SUBSCRIPTIONS_SPARE + ANSWER_ROOM + connect_room;
        let packet = ConnectPacket::new(&Connect { protocol, ..*connect }, bytes, behind)?;
        let mut timers = Timers::new();
        timers.set(Timer::Reconnect, Instant::from_millis(0));
        Ok(Self {
            phase: Phase::Waiting,
            attempts: Attempts::new(negotiates, &settings.reconnect),
            protocol,
            untold: Untold::Nothing,
            ping: None,
            stream: None,
            unread: 0,
            refuses: false,
            listening: Listening::Taking,
            last_offer: LastOffer::NotMade,
            connect: packet,
            timers,
            keep_alive: connect.keep_alive,
            settings: settings.clone(),
            counters: Counters::default(),
        })
    }

    /// The session of a new client, behind the CONNECT in the outbox.
    pub(crate) fn new_session(
        &self,
        clean: bool,
        settings: SessionSettings,
        slots: &mut [Slot],
        connect_room: usize,
    ) -> Session {
        let lifetime = if clean { Lifetime::Connection } else { Lifetime::Persistent };
        let start = self.connect.end() + connect_room + SUBSCRIPTIONS_SPARE;
        let seed = self.settings.reconnect.seed_value();
        Session::new(start, slots, lifetime, settings, self.settings.most_shown(), seed)
    }

    /// This state and `session`, for one call.
    pub(crate) const fn with<'a>(&'a mut self, session: SessionMut<'a>) -> Machine<'a> {
        Machine { state: self, session, full: false, refused: false }
    }

    /// The end of the next wait. A deadline for input that has passed while bytes wait for the transport is behind the
    /// time of the transport.
    pub(crate) fn deadline(&self) -> Instant {
        let behind = if let Listening::Sending(_) = self.listening { self.for_input() } else { 0 };
        self.timers.next(self.resting() | behind)
    }

    /// The first deadline after `now`, for drivers that cannot look at the input yet.
    #[cfg(feature = "embedded-io-async")]
    pub(crate) fn deadline_after(&self, now: Instant) -> Instant {
        self.timers.next_after(now, self.resting())
    }

    /// Whether the connection has an event that was not given.
    pub(crate) const fn has_untold(&self) -> bool {
        !matches!(self.untold, Untold::Nothing | Untold::Deferred)
    }

    pub(crate) const fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) const fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub(crate) const fn set_skip_unreadable(&mut self, on: bool) {
        self.settings.skip_unreadable = on;
    }

    pub(crate) fn set_receive_capacity(&mut self, capacity: usize) -> Result<(), ConfigError> {
        check_receive_capacity(capacity)?;
        self.settings.receive_capacity = capacity;
        Ok(())
    }
}

const fn check_receive_capacity(capacity: usize) -> Result<(), ConfigError> {
    if capacity < LEAST_RECEIVE_CAPACITY {
        Err(ConfigError::ReceiveCapacity { capacity })
    } else {
        Ok(())
    }
}

impl<'a> Machine<'a> {
    /// The driver's next action, most urgent first.
    pub(crate) fn poll(mut self, now: Instant) -> Action<'a> {
        if !self.session.parts().0.is_plain() {
            self.leave_once_reclaimed();
            self.keep_hold();
            self.session.look_beside_the_outbox();
        }
        let plain = self.state.phase.is_up() && self.session.parts().0.is_plain();
        let quiet = plain && !self.state.timers.may_be_due(now) && !self.session.has_changes();
        if !quiet || self.session.is_owed() {
            if let Some(action) = self.due(now) {
                return match action {
                    Due::Record(recorder) => Action::Persist(recorder.record(self.session)),
                    Due::Other(action) => action,
                };
            }
        }
        if plain && self.state.phase.is_up() {
            self.session.show_plain_outbox();
            let Self { state, session, .. } = self;
            let (session, bytes) = session.into_parts();
            let ready = session.outbox_ready(bytes);
            return if ready.is_empty() {
                Action::Wait(state.timers.next(state.resting()))
            } else {
                Action::Transmit(ready)
            };
        }
        let source = self.show();
        let Self { state, session, .. } = self;
        let (session, bytes) = session.into_parts();
        match state.settings.sources {
            Some(rules) => (rules.action)(state, source, session, bytes),
            None => state.transmission(source, session, bytes),
        }
    }

    /// Everything that comes before bytes.
    fn due(&mut self, now: Instant) -> Option<Due> {
        if let Some(action) = self.time_outs(now) {
            return Some(Due::Other(action));
        }
        self.session.answer_acknowledged();
        self.delayed_close(now);
        if let Some(recorder) = self.record_is_due(now) {
            return Some(Due::Record(recorder));
        }
        if self.state.timers.may_be_due(now) {
            if let Some(deadline) = self.ask(now) {
                return Some(Due::Other(Action::Wait(deadline)));
            }
        }
        // It may have begun, or have packets to pass, since the call began.
        self.keep_hold();
        None
    }

    /// Brings the outbox up to date while requests are held back. Before a DISCONNECT that was asked for, all of them are sent.
    fn keep_hold(&mut self) {
        if !self.session.parts().0.is_holding() {
            return;
        }
        let leaves = matches!(
            self.state.phase,
            Phase::Leaving { goal: LeaveFor::Good | LeaveFor::Anew, shown: false, .. }
                | Phase::Up(Intent::Leave | Intent::Anew)
        );
        self.session.keep_hold(leaves);
    }

    /// Carries out everything that is due by now.
    fn time_outs(&mut self, now: Instant) -> Option<Action<'static>> {
        self.watch_later_answers(now);
        let (unproven, resting) = (self.state.unproven(), self.state.resting());
        while let Some(timer) = self.state.timers.due(now, unproven, resting) {
            if let Some(endpoint) = self.time_out(timer, now) {
                return Some(Action::Connect { endpoint });
            }
        }
        let state = &mut *self.state;
        if state.listening == Listening::Silent {
            // Whatever runs out later has to be proved anew.
            state.listening = Listening::Drained;
        }
        if let Phase::Closing(reason, _) = state.phase {
            return Some(Action::Close(reason));
        }
        let leaving = matches!(state.phase, Phase::Leaving { .. });
        if leaving && !state.timers.is_set(Timer::Connect) {
            // A transport that takes no DISCONNECT delays the end by this time at most.
            let patience = u64::from(state.settings.connect_timeout);
            state.timers.set(Timer::Connect, now.plus_millis(patience));
        }
        None
    }

    /// `timer` has run out. Gives the endpoint if it is time to connect.
    fn time_out(&mut self, timer: Timer, now: Instant) -> Option<u8> {
        match (timer, &self.state.phase) {
            (Timer::Reconnect, Phase::Waiting) => return self.open(now),
            (Timer::Connect, Phase::Opening | Phase::Handshake(_)) => {
                self.close(Reason::Fatal(Fatal::ConnectTimeout));
            }
            (Timer::Connect, Phase::Leaving { goal, .. }) => self.close(goal.reason()),
            (Timer::Connect, Phase::Up(Intent::Stay)) => self.look_for_messages(now),
            (Timer::PingResponse, Phase::Up(_)) => {
                self.close(Reason::Fatal(Fatal::PingTimeout));
            }
            (Timer::Release, Phase::Up(_)) => self.not_released(),
            (Timer::Reclaim, Phase::Up(_)) => self.reclaim_timed_out(now),
            (Timer::Answer, Phase::Up(_)) => self.no_answer(),
            (Timer::Unread, Phase::Up(_)) => self.close(Reason::Fatal(Fatal::Unread)),
            (Timer::Stall, Phase::Up(_)) => {
                let rules = self.state.settings.sources;
                let fatal = rules.and_then(|rules| (rules.stalled)(self));
                self.close(Reason::Fatal(fatal.unwrap_or(Fatal::Stalled)));
            }
            (Timer::KeepAlive | Timer::Silence, Phase::Up(_)) => self.ping(timer, now),
            (Timer::Stable, Phase::Up(_)) => self.stable(now),
            (Timer::Reconnect, Phase::Up(Intent::Stay)) => {
                if let Some(return_to_first) = self.state.settings.return_to_first {
                    return_to_first(self, now);
                }
            }
            (Timer::Record, _) => self.session.need_record(),
            _ => {}
        }
        None
    }

    /// The next packet is not there yet.
    fn not_now<'i>(&mut self) -> Taken<'i> {
        self.full = true;
        Ok(None)
    }

    /// The next packet has no room now.
    fn refuse<'i>(&mut self) -> Taken<'i> {
        self.refused = true;
        self.not_now()
    }

    /// A packet was taken.
    const fn count_packet(&mut self) {
        let counters = &mut self.state.counters;
        counters.packets_in = counters.packets_in.wrapping_add(1);
    }
}
