//! The health of an MQTT link, as a watched task: the watchdog is fed only while the link makes progress.
//!
//! A client that reconnects for ever looks busy, and so does a broker that answers each PINGREQ and no publish. Neither
//! does the work of the device. So progress is what the wire shows:
//!
//! - something was received, at the latest [`LinkRules::new`]'s `silence` after the last time; while nothing else is
//!   expected, the keep alive makes the broker answer;
//! - while requests are in flight, an answer has moved them, at the latest `answer` after the last one;
//! - a packet that takes long is on its way, in either direction, and more of it was taken: nothing else can come
//!   meanwhile;
//! - or the absence is intended ([`LinkHealth::away`]): a radio that is off, a flight mode. It is bounded.
//!
//! If one of the times is over, the steps follow, each with its own delay: connect again, take the next broker, restart
//! the modem. Meanwhile the task of the link is not fed. If the last step does not help either, it starves, and the
//! watchdog bites. Progress ends the steps. A new connection alone is no progress while requests wait for their answer:
//! it only gets the time of one answer before the next step.
//!
//! A program that was busy finds a time over, and the bytes that came meanwhile still unread. So a step follows only if
//! a second look finds nothing new either.
//!
//! To take it into a program, copy this file: it needs the public parts of both crates only. `docs/link-health.md` has
//! the whole loop. [`LinkHealth`] reads no clock and does nothing itself:
//!
//! ```
//! use mqtt_core::Counters;
//! use mqtt_examples::link_health::{LinkHealth, LinkRules, Sample, Step};
//! use watchdog_core::{Instant, Plan, Rules, Supervisor, Task, Timing, plan, task};
//!
//! const STEPS: &[(Step, u32)] = &[(Step::Reconnect, 0), (Step::RestartModem, 30_000)];
//! // Keep alive 30 s: a PINGRESP comes at the latest after 45 s.
//! const LINK: LinkRules = LinkRules::new(45_000, 20_000, STEPS).last_step(60_000);
//! const TIMING: Timing<'static> = plan!(Plan::heartbeat(1_000).recovery(240_000));
//! // The deadline leaves time for all steps, and the plan checks that the reset still comes within four minutes.
//! static TASKS: [Task; 1] = [task!(TIMING, Rules::deadline(LINK.deadline_millis()).named("link"))];
//!
//! let now = Instant::from_millis;
//! let mut supervisor = Supervisor::new(&TASKS, TIMING, now(0));
//! let (task, mut health) = (TASKS[0].handle(), LinkHealth::new(LINK, now(0)));
//!
//! // In the loop of the link, at each event and at the latest at `next`:
//! let mut sample = Sample { counters: Counters::default(), in_flight: 1 };
//! (sample.counters.bytes_in, sample.counters.packets_in, sample.counters.answers) = (4, 1, 1);
//! let look = health.look(&sample, now(1_000));
//! if look.progress {
//!     task.feed(now(1_000))?;
//! }
//! assert_eq!((look.step, look.next), (None, now(21_001)));
//! // The broker does not answer any more, and TCP has not noticed yet. Bytes may wait, so the client reads once more.
//! let look = health.look(&sample, now(21_001));
//! assert_eq!((look.progress, look.step, look.next), (false, None, now(21_001)));
//! let look = health.look(&sample, now(21_001));
//! assert_eq!((look.progress, look.step), (false, Some(Step::Reconnect)));
//! # let _ = supervisor.poll(now(1_000));
//! # Ok::<(), watchdog_core::Refused>(())
//! ```

use mqtt_core::Counters;
use watchdog_core::Instant;

/// A step that may help. The program carries it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// End the connection and connect again.
    Reconnect,
    /// End the connection and connect to the next broker of the list. A client of mqtt-core goes on to its next endpoint
    /// by itself when a connection fails, so with one broker this is the same as [`Reconnect`](Self::Reconnect).
    NextBroker,
    /// Switch the modem off and on, or reset the network chip.
    RestartModem,
}

/// The times of a link, in milliseconds, and its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct LinkRules {
    silence: u32,
    answer: u32,
    absence: u32,
    last_step: u32,
    steps: &'static [(Step, u32)],
}

impl LinkRules {
    /// Something is received within `silence` milliseconds: at least one and a half times the keep alive. While requests
    /// are in flight, an answer moves them within `answer` milliseconds: the round trip, and the time that the program
    /// takes for the messages before it. Each step has its delay after the one before.
    pub const fn new(silence: u32, answer: u32, steps: &'static [(Step, u32)]) -> Self {
        Self { silence, answer, absence: 0, last_step: 0, steps }
    }

    /// An intended absence lasts up to `millis` milliseconds. By default none is allowed.
    pub const fn absence(mut self, millis: u32) -> Self {
        self.absence = millis;
        self
    }

    /// The last step has this time to help, before the task starves.
    pub const fn last_step(mut self, millis: u32) -> Self {
        self.last_step = millis;
        self
    }

    /// The deadline for the task of the link, for [`Rules::deadline`](watchdog_core::Rules::deadline): the longest
    /// healthy silence and all steps after it, each of which may wait for an answer, or the longest absence if that is
    /// longer. It saturates.
    #[must_use]
    pub const fn deadline_millis(&self) -> u32 {
        // A time is over a millisecond after it.
        let mut sum = longer(self.silence, self.answer).saturating_add(1);
        let mut rest = self.steps;
        while let [(_, delay), left @ ..] = rest {
            sum = sum.saturating_add(*delay).saturating_add(self.answer);
            rest = left;
        }
        longer(sum.saturating_add(self.last_step), self.absence)
    }
}

const fn longer(a: u32, b: u32) -> u32 {
    if a > b { a } else { b }
}

/// What a client shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The counters.
    pub counters: Counters,
    /// Requests in flight.
    pub in_flight: usize,
}

impl Sample {
    /// Of a client that the program drives itself.
    pub fn of<B, S>(client: &mqtt_core::Client<B, S>) -> Self
    where
        B: AsRef<[u8]> + AsMut<[u8]>,
        S: AsRef<[mqtt_core::Slot]> + AsMut<[mqtt_core::Slot]>,
    {
        Self { counters: *client.counters(), in_flight: client.in_flight() }
    }
}

/// The answer of [`LinkHealth::look`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Look {
    /// The link has made progress since the last look, or its absence is intended: feed its task.
    pub progress: bool,
    /// A step to carry out now, once.
    pub step: Option<Step>,
    /// When to look again. If that is not after now, the client first reads what has come, without waiting. Looking
    /// sooner does no harm.
    pub next: Instant,
}

/// The health of one link.
#[derive(Clone, Debug)]
pub struct LinkHealth {
    rules: LinkRules,
    /// The counters at the last look.
    counters: Counters,
    /// A packet that takes long was on its way at the last look.
    streams: bool,
    /// Something was received.
    heard: Instant,
    /// An answer has moved the requests, or the first of them was made. `None`: none is in flight.
    moved: Option<Instant>,
    /// The first connection since then, or since the last step.
    connected: Option<Instant>,
    /// The end of an intended absence.
    away_until: Option<Instant>,
    /// Something was received since the last absence.
    may_leave: bool,
    /// The steps to come.
    steps: &'static [(Step, u32)],
    /// The last step. `None`: none was due since all was well.
    stepped: Option<Instant>,
    /// The next step is due, and the last look has asked for a second one.
    asked: bool,
}

impl LinkHealth {
    /// The times count from `now` on.
    #[must_use]
    pub fn new(rules: LinkRules, now: Instant) -> Self {
        Self {
            rules,
            counters: Counters::default(),
            streams: false,
            heard: now,
            moved: None,
            connected: None,
            away_until: None,
            may_leave: true,
            steps: rules.steps,
            stepped: None,
            asked: false,
        }
    }

    /// The device is offline on purpose for `millis` milliseconds; look right after it. Returns whether this is allowed:
    /// the rules allow it, all is well, and something was received since the last absence.
    #[must_use]
    pub fn away(&mut self, millis: u32, now: Instant) -> bool {
        let allowed = millis <= self.rules.absence && self.may_leave && now < self.over();
        if allowed {
            self.away_until = Some(now.plus_millis(millis.into()));
            self.may_leave = false;
        }
        allowed
    }

    /// The device is online again before the end of its absence: the times count from now on.
    pub fn back(&mut self, now: Instant) {
        self.away_until = self.away_until.map(|end| end.min(now));
    }

    /// Looks at the link at `now`. Look after each event and each request: the time for its answer counts from the look.
    pub fn look(&mut self, sample: &Sample, now: Instant) -> Look {
        let before = core::mem::replace(&mut self.counters, sample.counters);
        let heard = sample.counters.bytes_in != before.bytes_in;
        let streams = self.takes_more_of_a_packet(&before);
        let moved = streams || sample.counters.answers != before.answers;
        if heard || streams {
            self.heard = now;
        }
        self.moved = match self.moved {
            _ if sample.in_flight == 0 => None,
            Some(since) if !moved => Some(since),
            _ => Some(now),
        };
        if self.moved.is_none_or(|since| since == now) {
            self.connected = None;
        }
        if sample.counters.connections != before.connections {
            self.connected = self.connected.or(Some(now));
        }
        let returned = match self.away_until {
            Some(end) if now < end => return Look { progress: true, step: None, next: end },
            Some(end) => {
                self.away_until = None;
                self.heard = self.heard.max(end);
                self.moved = self.moved.map(|since| since.max(end));
                true
            }
            None => false,
        };
        self.may_leave |= heard;
        let over = self.over();
        if now < over {
            (self.steps, self.stepped, self.asked) = (self.rules.steps, None, false);
            return Look { progress: heard || moved || returned, step: None, next: over };
        }
        let (step, next) = self.step(over, heard, now);
        Look { progress: false, step, next }
    }

    /// Whether a packet takes so long that it was on its way at this look or at the last one, and more of it was taken.
    /// Nothing else of its direction can come meanwhile: no PINGREQ and no answer.
    fn takes_more_of_a_packet(&mut self, before: &Counters) -> bool {
        let Counters { bytes_out, bytes_in, packets_out, packets_in, .. } = self.counters;
        // A DISCONNECT has two bytes and does not count as a packet.
        let sent = bytes_out.wrapping_sub(before.bytes_out) > 2;
        let received = bytes_in != before.bytes_in;
        let streamed = self.streams;
        self.streams = sent && packets_out == before.packets_out
            || received && packets_in == before.packets_in;
        self.streams || streamed && (sent || received)
    }

    /// The step that is due, and the time of the next look.
    fn step(&mut self, over: Instant, heard: bool, now: Instant) -> (Option<Step>, Instant) {
        let [(step, delay), rest @ ..] = self.steps else { return (None, Instant::FAR_FUTURE) };
        let answer = u64::from(self.rules.answer);
        let due = self.stepped.unwrap_or(over).plus_millis((*delay).into());
        let latest = due.plus_millis(answer);
        // A connection that has just begun gets the time of an answer.
        let proves_until = self.connected.map_or(due, |at| at.plus_millis(answer).min(latest));
        let due = due.max(proves_until);
        if now < due {
            return (None, due);
        }
        // The program may have been busy, and the answer waits to be read, perhaps behind other packets.
        let asked = core::mem::replace(&mut self.asked, true);
        if !asked || heard && now < latest {
            return (None, now);
        }
        (self.steps, self.stepped) = (rest, Some(now));
        (self.connected, self.asked) = (None, false);
        let next = rest.first().map(|(_, delay)| now.plus_millis((*delay).into()));
        (Some(*step), next.unwrap_or(Instant::FAR_FUTURE))
    }

    /// When the first of the times is over.
    fn over(&self) -> Instant {
        let silent = self.heard.plus_millis(self.rules.silence.into());
        let unmoved = self.moved.map(|moved| moved.plus_millis(self.rules.answer.into()));
        unmoved.map_or(silent, |unmoved| silent.min(unmoved)).plus_millis(1)
    }
}
