//! The composition: connection, keep alive, session and outbox, over `&mut` parts and not generic, so one copy of the
//! logic is compiled whatever storage a client has.
//!
//! [`Core`] is a client for the length of one call: the state and the caller's storage side by side. This file says
//! what to do next (`poll`) and follows the transport; [`receive`] takes what comes in, [`request`] what the
//! application asks for.

mod answers;
mod closing;
mod digest;
mod journal;
mod purge;
mod queue;
mod receive;
mod request;

use crate::{
    codec::Protocol,
    error::{ConfigError, Fatal, Reason},
    event::{Action, ConnectionState, Counters},
    options::{Limits, Options, Version},
    reconnect::Reconnect,
    session::{
        ANSWER_ROOM, Inbound, LARGEST_WINDOW, Outbox, Preamble, Requests, SUBSCRIPTIONS_SPARE,
        Slot, Subscription, Subscriptions,
    },
    time::Instant,
    timers::{Timer, Timers},
};
pub(crate) use journal::Hooks;
use journal::Journal;
use purge::Purge;
pub(crate) use queue::{LIMIT_QUEUE, LimitQueue};
use receive::Stream;

/// The longest packet of fixed length, and then some.
const LEAST_CAPACITY: usize = 16;
const DISCONNECT: &[u8] = &[0xE0, 0];
const PINGREQ: [u8; 2] = [0xC0, 0];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Stopped,
    Waiting,
    Opening,
    /// CONNECT under way; the CONNACK ends it.
    Handshake,
    Up,
    /// What was accepted is still sent, then the DISCONNECT.
    Leaving,
    Closing,
}

/// Everything about a client but its storage.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    phase: Phase,
    /// Bytes of the DISCONNECT that are sent.
    disconnect_sent: u8,
    /// Why it is closing. Not in `phase`, which every call looks at.
    why: Reason,
    timers: Timers,
    limits: Limits,
    reconnect: Reconnect,
    clean_session: bool,
    /// Milliseconds of silence after which a PINGREQ goes out; 0: never.
    ping_after: u32,
    protocol: Protocol,
    /// Version::Auto may still change the protocol.
    negotiating: bool,
    can_negotiate: bool,
    /// `disconnect` was called before the CONNACK.
    leave: bool,
    /// The broker should have a session for this client.
    has_session: bool,
    /// It may have begun a new one and said so in a CONNACK that was lost, or that no record tells of.
    doubt: bool,
    /// Attempts since a connection was last stable.
    failures: u16,
    endpoint_turn: u16,
    ping_sent: Option<Instant>,
    /// The count of bytes sent at which the PINGREQ is out.
    ping_end: u32,
    /// When the CONNECT was sent: the first silence starts there.
    connect_sent: Instant,
    preamble: Preamble,
    subscriptions: Subscriptions,
    outbox: Outbox,
    requests: Requests,
    inbound: Inbound,
    journal: Journal,
    purge: Purge,
    stream: Option<Stream>,
    /// Events about the connection that `receive` has still to give.
    down: Option<Reason>,
    connecting: Option<u8>,
    /// The attempt was told to the driver before the end was.
    connecting_first: bool,
    counters: Counters,
}

/// A machine and its storage, for the length of one call.
pub(crate) struct Core<'a> {
    pub(crate) machine: &'a mut Machine,
    pub(crate) bytes: &'a mut [u8],
    pub(crate) slots: &'a mut [Slot],
    /// `receive` stops: what comes next has no room, or is not there yet.
    pub(crate) full: bool,
}

impl Machine {
    pub(crate) fn new(
        options: &Options<'_>,
        bytes: &mut [u8],
        slots: &mut [Slot],
    ) -> Result<Self, ConfigError> {
        if slots.is_empty() || slots.len() > LARGEST_WINDOW {
            return Err(ConfigError::Window { count: slots.len(), most: LARGEST_WINDOW });
        }
        if options.limits.receive_capacity < LEAST_CAPACITY {
            return Err(ConfigError::ReceiveCapacity { capacity: options.limits.receive_capacity });
        }
        let protocol = match options.version {
            Version::V31 => Protocol::V31,
            Version::V311 | Version::Auto => Protocol::V311,
        };
        // Behind the CONNECT come the subscriptions, with room for a header in front, and the answers.
        let behind = SUBSCRIPTIONS_SPARE + ANSWER_ROOM;
        let preamble = Preamble::new(options, protocol, bytes, behind)?;
        let start = preamble.end() + SUBSCRIPTIONS_SPARE;
        // A client id that 3.1 has no form for leaves nothing to fall back to.
        let can_negotiate = options.version == Version::Auto
            && options.connect(Protocol::V31).encoded_len().is_ok();
        let mut outbox = Outbox::new(start);
        if options.journal.is_some() {
            outbox.keep_journal();
        }
        let mut timers = Timers::new();
        timers.set(Timer::Reconnect, Instant::from_millis(0));
        Ok(Self {
            phase: Phase::Waiting,
            disconnect_sent: 0,
            why: Reason::Requested,
            timers,
            limits: options.limits.clone(),
            reconnect: options.reconnect,
            clean_session: options.clean_session,
            // Three quarters: what remains is for the way to the broker.
            ping_after: u32::from(options.keep_alive) * 750,
            protocol,
            negotiating: can_negotiate,
            can_negotiate,
            leave: false,
            has_session: false,
            doubt: false,
            failures: 0,
            endpoint_turn: 0,
            ping_sent: None,
            ping_end: 0,
            connect_sent: Instant::from_millis(0),
            preamble,
            subscriptions: Subscriptions::new(start),
            outbox,
            requests: Requests::new(slots),
            inbound: Inbound::default(),
            journal: Journal::new(options.journal, options.record_delay),
            purge: Purge::default(),
            stream: None,
            down: None,
            connecting: None,
            connecting_first: false,
            counters: Counters::default(),
        })
    }

    pub(crate) const fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) const fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub(crate) const fn position(&self) -> u64 {
        self.journal.position()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.requests.in_flight()
    }

    pub(crate) fn outbox_free(&self, bytes: &[u8]) -> usize {
        self.outbox.free(bytes)
    }

    pub(crate) fn subscriptions<'b>(
        &self,
        bytes: &'b [u8],
    ) -> impl Iterator<Item = Subscription<'b>> + use<'b> {
        self.subscriptions.iter(&self.outbox, bytes)
    }

    pub(crate) fn set_receive_capacity(&mut self, capacity: usize) -> Result<(), ConfigError> {
        if capacity < LEAST_CAPACITY {
            return Err(ConfigError::ReceiveCapacity { capacity });
        }
        self.limits.receive_capacity = capacity;
        Ok(())
    }

    pub(crate) const fn state(&self) -> ConnectionState {
        match self.phase {
            Phase::Stopped => ConnectionState::Stopped,
            Phase::Waiting => ConnectionState::Waiting,
            Phase::Opening | Phase::Handshake => ConnectionState::Connecting,
            Phase::Up => ConnectionState::Up,
            Phase::Leaving | Phase::Closing => ConnectionState::Closing,
        }
    }

    /// Starts the time after which a PINGREQ is due.
    fn arm(&mut self, timer: Timer, now: Instant) {
        let on = timer != Timer::Silence || self.limits.ping_on_silence;
        if self.ping_after != 0 && on {
            self.timers.set(timer, now.plus_millis(u64::from(self.ping_after)));
        }
    }

    /// Starts the time for the PINGRESP once the PINGREQ is out.
    fn expect_pong(&mut self, now: Instant) {
        let ahead = self.ping_end.wrapping_sub(self.counters.bytes_out) as i32;
        let awaited = self.ping_sent.is_some() && ahead <= 0;
        if awaited && !self.timers.is_set(Timer::PingResponse) {
            let patience = u64::from(self.limits.ping_timeout);
            self.timers.set(Timer::PingResponse, now.plus_millis(patience));
        }
    }

    /// The transport has taken bytes.
    fn sent_while_up(&mut self, now: Instant) {
        self.timers.clear(Timer::Stall);
        self.arm(Timer::KeepAlive, now);
        self.expect_pong(now);
    }

    /// The bytes ready for the transport.
    fn ready<'b>(&'b self, bytes: &'b [u8]) -> &'b [u8] {
        match self.phase {
            Phase::Handshake => self.preamble.ready(bytes),
            Phase::Leaving if self.disconnect_sent != 0 => {
                DISCONNECT.get(usize::from(self.disconnect_sent)..).unwrap_or_default()
            }
            Phase::Up | Phase::Leaving if self.purge.is_sending() => self.purge.ready(),
            Phase::Up | Phase::Leaving => {
                if self.subscriptions.is_sending() {
                    return self.subscriptions.ready(bytes);
                }
                match (self.outbox.ready(bytes), self.phase) {
                    ([], Phase::Leaving) => {
                        DISCONNECT.get(usize::from(self.disconnect_sent)..).unwrap_or_default()
                    }
                    (ready, _) => ready,
                }
            }
            Phase::Stopped | Phase::Waiting | Phase::Opening | Phase::Closing => &[],
        }
    }
}

impl<'a> Core<'a> {
    /// What to do next, most urgent first.
    pub(crate) fn poll(self, now: Instant) -> Action<'a> {
        let Self { machine, bytes, slots, .. } = self;
        let quiet = machine.phase == Phase::Up
            && !machine.timers.may_be_due(now)
            && !machine.journal.is_pending();
        if !quiet || machine.inbound.is_owed() {
            let mut core = Core { machine, bytes, slots, full: false };
            if let Some(action) = core.time_outs(now) {
                return action;
            }
            core.answer_settled();
            if let Some(hooks) = core.record_is_due(now) {
                let core = Core { machine, bytes, slots, full: false };
                return Action::Persist((hooks.record)(core));
            }
        }
        let ready = machine.ready(bytes);
        if ready.is_empty() { Action::Wait(machine.timers.next()) } else { Action::Transmit(ready) }
    }

    /// Carries out what is due by now.
    fn time_outs(&mut self, now: Instant) -> Option<Action<'static>> {
        while let Some(timer) = self.machine.timers.due(now) {
            if let Some(endpoint) = self.time_out(timer, now) {
                return Some(Action::Connect { endpoint });
            }
        }
        if self.machine.phase == Phase::Closing {
            return Some(Action::Close(self.machine.why));
        }
        let leaving = self.machine.phase == Phase::Leaving;
        if leaving && !self.machine.timers.is_set(Timer::Connect) {
            // A transport that takes no DISCONNECT holds nobody up for ever.
            let patience = u64::from(self.machine.limits.connect_timeout);
            self.machine.timers.set(Timer::Connect, now.plus_millis(patience));
        }
        None
    }

    /// `timer` has run out; gives the broker to connect to where it is time for that.
    fn time_out(&mut self, timer: Timer, now: Instant) -> Option<u8> {
        let machine = &mut *self.machine;
        match (timer, machine.phase) {
            (Timer::Reconnect, Phase::Waiting) => {
                let endpoint = machine.reconnect.endpoint(machine.endpoint_turn.into());
                machine.endpoint_turn = machine.endpoint_turn.wrapping_add(1);
                machine.phase = Phase::Opening;
                machine.journal.unused = false;
                if core::mem::take(&mut machine.connecting_first) {
                    machine.down = None;
                }
                machine.connecting = Some(endpoint);
                let patience = u64::from(machine.limits.connect_timeout);
                machine.timers.set(Timer::Connect, now.plus_millis(patience));
                return Some(endpoint);
            }
            (Timer::Connect, Phase::Opening | Phase::Handshake) => {
                machine.fail(Fatal::ConnectTimeout);
            }
            (Timer::Connect, Phase::Leaving) => machine.close(Reason::Requested),
            (Timer::PingResponse, Phase::Up) => {
                machine.fail(Fatal::PingTimeout);
            }
            (Timer::Stall, Phase::Up) => {
                machine.fail(Fatal::Stalled);
            }
            (Timer::KeepAlive | Timer::Silence, Phase::Up) => self.ping(timer, now),
            (Timer::Stable, Phase::Up) => machine.failures = 0,
            (Timer::Record, _) => machine.journal.need(),
            _ => {}
        }
        None
    }

    /// Nothing was sent, or received, for as long as the keep alive allows [MQTT-3.1.2-23].
    fn ping(&mut self, timer: Timer, now: Instant) {
        self.machine.arm(timer, now);
        if self.machine.purge.is_on() {
            if self.machine.purge.ping() && self.machine.ping_sent.is_none() {
                self.machine.ping_sent = Some(now);
                self.machine.ping_end = self.machine.counters.bytes_out.wrapping_add(2);
            }
            return;
        }
        let waiting = !self.machine.ready(self.bytes).is_empty();
        // Against silence one will do that waits for its answer; for the keep alive, any bytes that wait to be sent.
        let done = if timer == Timer::Silence { self.machine.ping_sent.is_some() } else { waiting };
        if !done && self.make_room(PINGREQ.len()) {
            let start = self.machine.outbox.append(PINGREQ.len(), false);
            self.write(start, &PINGREQ);
            if self.machine.ping_sent.is_none() {
                self.machine.ping_sent = Some(now);
                let ahead = self.machine.subscriptions.ready(self.bytes).len()
                    + self.machine.outbox.ready_len();
                self.machine.ping_end = self.machine.counters.bytes_out.wrapping_add(ahead as u32);
            }
        }
        // Should the transport take nothing, the PINGREQ gets no answer.
        let machine = &mut *self.machine;
        if !machine.timers.is_set(Timer::Stall) && !machine.ready(self.bytes).is_empty() {
            let patience = u64::from(machine.limits.ping_timeout);
            machine.timers.set(Timer::Stall, now.plus_millis(patience));
        }
    }

    /// The transport is open.
    pub(crate) fn connected(&mut self) {
        if self.machine.phase == Phase::Opening {
            self.machine.phase = Phase::Handshake;
            let protocol = self.machine.protocol;
            self.machine.preamble.begin(self.bytes, protocol);
        }
    }

    /// The transport has taken `count` bytes of what `poll` gave.
    pub(crate) fn transmitted(&mut self, count: usize, now: Instant) {
        if count == 0 {
            return;
        }
        let machine = &mut *self.machine;
        machine.counters.bytes_out = machine.counters.bytes_out.wrapping_add(count as u32);
        match machine.phase {
            Phase::Handshake => {
                machine.preamble.transmitted(count);
                machine.connect_sent = now;
                let packets = u32::from(machine.preamble.is_sent());
                machine.counters.packets_out = machine.counters.packets_out.wrapping_add(packets);
            }
            Phase::Leaving if machine.disconnect_sent != 0 => machine.close(Reason::Requested),
            Phase::Up | Phase::Leaving if machine.purge.is_sending() => {
                let packets = u32::from(machine.purge.transmitted(count));
                machine.counters.packets_out = machine.counters.packets_out.wrapping_add(packets);
                if machine.phase == Phase::Up {
                    machine.sent_while_up(now);
                }
            }
            Phase::Up | Phase::Leaving => {
                let mut rest = count;
                if machine.subscriptions.is_sending() {
                    rest = machine.subscriptions.transmitted(count);
                }
                let waiting = machine.outbox.ready_len();
                let packets = machine.outbox.transmitted(self.bytes, &mut machine.requests, rest);
                machine.counters.packets_out = machine.counters.packets_out.wrapping_add(packets);
                if machine.phase == Phase::Leaving {
                    let sent = usize::from(machine.disconnect_sent) + rest.saturating_sub(waiting);
                    machine.disconnect_sent = sent.min(DISCONNECT.len()) as u8;
                    // [MQTT-3.14.4-1], [MQTT-3.14.4-2]: nothing after it, and close.
                    if sent >= DISCONNECT.len() {
                        machine.close(Reason::Requested);
                    }
                } else {
                    machine.sent_while_up(now);
                }
            }
            Phase::Stopped | Phase::Waiting | Phase::Opening | Phase::Closing => {}
        }
    }

    /// Makes room for `len` bytes of an answer or a request at the end of the outbox.
    fn make_room(&mut self, len: usize) -> bool {
        self.machine.outbox.make_room(self.bytes, self.slots, &self.machine.requests, len)
    }

    fn write(&mut self, start: usize, packet: &[u8]) {
        if let Some(space) = self.bytes.get_mut(start..start + packet.len()) {
            space.copy_from_slice(packet);
        }
    }
}
