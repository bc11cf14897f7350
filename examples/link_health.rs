//! The health of an MQTT link, as a watched task: the watchdog is fed only while the link makes progress.
//!
//! A client that reconnects for ever looks busy, and so does a broker that answers each PINGREQ and no publish. Neither
//! does the work of the device. So progress is what the wire shows:
//!
//! - something was received, at the latest [`LinkRules::silence`] after the last time; while nothing else is expected,
//!   the keep alive makes the broker answer;
//! - while requests are in flight, an answer has moved them, at the latest [`LinkRules::answer`] after the last one;
//! - or the absence is intended ([`LinkHealth::away`]): a radio that is off, a flight mode. It is bounded.
//!
//! If one of the times is over, the steps follow, each with its own delay: connect again, take the next broker, restart
//! the modem. Meanwhile the task of the link is not fed. If the last step does not help either, it starves, and the
//! watchdog bites. Progress ends the steps. A new connection alone is no progress while requests wait for their answer:
//! it only gets the time of one answer before the next step.
//!
//! To take it into a program, copy this file: it needs the public parts of both crates only. [`LinkHealth`] reads no
//! clock and does nothing itself:
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
//! (sample.counters.bytes_in, sample.counters.answers) = (4, 1);
//! let look = health.look(&sample, now(1_000));
//! if look.progress {
//!     task.feed(now(1_000))?;
//! }
//! assert_eq!((look.step, look.next), (None, now(21_001)));
//! // The broker does not answer any more, and TCP has not noticed yet.
//! let look = health.look(&sample, look.next);
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
    /// are in flight, an answer moves them within `answer` milliseconds. Each step has its delay after the one before.
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
    /// healthy silence, or the longest absence, and all steps after it. It saturates.
    #[must_use]
    pub const fn deadline_millis(&self) -> u32 {
        let mut steps = self.last_step;
        let mut rest = self.steps;
        while let [(_, delay), left @ ..] = rest {
            steps = steps.saturating_add(*delay);
            rest = left;
        }
        longer(longer(self.silence, self.answer), self.absence).saturating_add(steps)
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
    /// When to look again. Looking sooner does no harm.
    pub next: Instant,
}

/// The health of one link.
#[derive(Clone, Debug)]
pub struct LinkHealth {
    rules: LinkRules,
    /// The counters at the last look.
    counters: Counters,
    /// Something was received.
    heard: Instant,
    /// An answer has moved the requests, or the first of them was made. `None`: none is in flight.
    moved: Option<Instant>,
    /// The last connection began.
    connected: Option<Instant>,
    /// The end of an intended absence, until something is received after it.
    away_until: Option<Instant>,
    /// The steps to come.
    steps: &'static [(Step, u32)],
    /// The delay of the next step counts from here. `None`: all is well.
    stepped: Option<Instant>,
}

impl LinkHealth {
    /// The times count from `now` on.
    #[must_use]
    pub fn new(rules: LinkRules, now: Instant) -> Self {
        Self {
            rules,
            counters: Counters::default(),
            heard: now,
            moved: None,
            connected: None,
            away_until: None,
            steps: rules.steps,
            stepped: None,
        }
    }

    /// The device is offline on purpose for `millis` milliseconds. Returns whether this is allowed: the rules allow it,
    /// all is well, and something was received since the last absence.
    #[must_use]
    pub fn away(&mut self, millis: u32, now: Instant) -> bool {
        let allowed =
            millis <= self.rules.absence && self.away_until.is_none() && now < self.over();
        if allowed {
            self.away_until = Some(now.plus_millis(millis.into()));
        }
        allowed
    }

    /// Looks at the link at `now`. Look after each event and each request: the time for its answer counts from the look.
    pub fn look(&mut self, sample: &Sample, now: Instant) -> Look {
        let Sample { counters, in_flight } = *sample;
        let heard = counters.bytes_in != self.counters.bytes_in;
        let moved = counters.answers != self.counters.answers;
        if counters.connections != self.counters.connections {
            self.connected = Some(now);
        }
        self.counters = counters;
        if heard {
            self.heard = now;
        }
        self.moved = match self.moved {
            _ if in_flight == 0 => None,
            Some(before) if !moved => Some(before),
            _ => Some(now),
        };
        if let Some(end) = self.away_until {
            if now < end {
                return Look { progress: true, step: None, next: end };
            }
            self.heard = self.heard.max(end);
            self.moved = self.moved.map(|moved| moved.max(end));
            self.away_until = self.away_until.filter(|_| !heard);
        }
        let over = self.over();
        if now < over {
            (self.steps, self.stepped) = (self.rules.steps, None);
            return Look { progress: heard || moved, step: None, next: over };
        }
        let (step, next) = self.step(now);
        Look { progress: false, step, next }
    }

    /// The step that is due, and the time of the next one.
    fn step(&mut self, now: Instant) -> (Option<Step>, Instant) {
        let from = *self.stepped.get_or_insert(now);
        let [(step, delay), rest @ ..] = self.steps else { return (None, Instant::FAR_FUTURE) };
        let due = from.plus_millis((*delay).into());
        // A connection that has just begun gets the time of an answer.
        let proves_until = self.connected.map(|at| at.plus_millis(self.rules.answer.into()));
        let due = proves_until.map_or(due, |proves_until| due.max(proves_until));
        if now < due {
            return (None, due);
        }
        (self.steps, self.stepped) = (rest, Some(now));
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

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: &[(Step, u32)] =
        &[(Step::Reconnect, 0), (Step::NextBroker, 10_000), (Step::RestartModem, 20_000)];
    const RULES: LinkRules = LinkRules::new(45_000, 20_000, STEPS).absence(600_000);

    const fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1_000)
    }

    /// A link whose looks come each second.
    struct Bench {
        health: LinkHealth,
        sample: Sample,
        now: u64,
    }

    impl Bench {
        fn new() -> Self {
            let sample = Sample { counters: Counters::default(), in_flight: 0 };
            Self { health: LinkHealth::new(RULES, at(0)), sample, now: 0 }
        }

        fn look(&mut self) -> Look {
            self.health.look(&self.sample, at(self.now))
        }

        /// Something comes in at `seconds`.
        fn hears(&mut self, seconds: u64) -> Look {
            self.now = seconds;
            self.sample.counters.bytes_in += 2;
            self.look()
        }

        /// Looks each second up to `end`, and gives the steps with their times, and the number of feeds.
        fn passes(&mut self, end: u64) -> (Vec<(u64, Step)>, usize) {
            let (mut steps, mut feeds) = (Vec::new(), 0);
            while self.now < end {
                self.now += 1;
                let look = self.look();
                steps.extend(look.step.map(|step| (self.now, step)));
                feeds += usize::from(look.progress);
            }
            (steps, feeds)
        }
    }

    #[test]
    fn a_link_that_hears_its_keep_alive_is_fed_by_it_and_by_nothing_else() {
        let mut bench = Bench::new();
        for ping in 1..=20 {
            assert_eq!(bench.passes(ping * 30 - 1), (vec![], 0));
            let look = bench.hears(ping * 30);
            let next = Instant::from_millis(ping * 30_000 + 45_001);
            assert_eq!((look.progress, look.next), (true, next));
        }
    }

    #[test]
    fn after_a_silence_each_step_follows_once_and_then_the_task_starves() {
        let mut bench = Bench::new();
        assert!(bench.hears(10).progress);
        let steps = vec![(56, Step::Reconnect), (66, Step::NextBroker), (86, Step::RestartModem)];
        assert_eq!(bench.passes(3_600), (steps, 0));
        assert_eq!(bench.look().next, Instant::FAR_FUTURE);
    }

    #[test]
    fn a_broker_that_answers_pings_and_no_publish_makes_no_progress() {
        let mut bench = Bench::new();
        bench.sample.in_flight = 3;
        let mut steps = Vec::new();
        let mut feeds = Vec::new();
        for second in 1..300 {
            let look = bench.hears(second);
            steps.extend(look.step.map(|step| (second, step)));
            feeds.extend(look.progress.then_some(second));
        }
        // The time of an answer counts from the first look.
        assert_eq!(
            steps,
            [(22, Step::Reconnect), (32, Step::NextBroker), (52, Step::RestartModem)]
        );
        assert_eq!(feeds.last(), Some(&21));
    }

    #[test]
    fn answers_that_move_the_queue_are_progress() {
        let mut bench = Bench::new();
        bench.sample.in_flight = 8;
        for answer in 1..100 {
            assert_eq!(bench.passes(answer * 19 - 1), (vec![], 0));
            bench.sample.counters.answers += 1;
            assert!(bench.hears(answer * 19).progress);
        }
    }

    #[test]
    fn progress_ends_the_steps_and_they_begin_anew() {
        let mut bench = Bench::new();
        assert!(bench.hears(10).progress);
        assert_eq!(bench.passes(60).0, [(56, Step::Reconnect)]);
        assert!(bench.hears(61).progress);
        assert_eq!(bench.passes(107).0, [(107, Step::Reconnect)]);
    }

    #[test]
    fn a_new_connection_has_the_time_of_an_answer_before_the_next_step_and_is_no_progress_itself() {
        let mut bench = Bench::new();
        bench.sample.in_flight = 1;
        assert_eq!(bench.passes(25).0, [(22, Step::Reconnect)]);
        bench.sample.counters.connections += 1;
        assert!(!bench.hears(26).progress);
        assert_eq!(bench.passes(60), (vec![(46, Step::NextBroker)], 0));
        // A broker that accepts connections and answers nothing does not keep the device alive.
        for second in 61..200 {
            bench.sample.counters.connections += 1;
            assert_eq!((bench.hears(second).progress, bench.look().step), (false, None));
        }
    }

    #[test]
    fn an_intended_absence_is_fed_for_its_time_and_the_link_is_awaited_after_it() {
        let mut bench = Bench::new();
        assert!(bench.hears(10).progress);
        assert!(!bench.health.away(600_001, at(10)), "longer than the rules allow");
        assert!(bench.health.away(600_000, at(10)));
        assert!(!bench.health.away(1_000, at(20)), "no second one");
        assert_eq!(bench.passes(609), (vec![], 599));
        assert_eq!(bench.passes(656).0, [(656, Step::Reconnect)]);
        assert!(!bench.health.away(1_000, at(656)), "nothing was heard since");
        assert!(bench.hears(657).progress);
        assert!(bench.health.away(1_000, at(657)));
    }

    #[test]
    fn the_deadline_of_the_task_leaves_time_for_all_steps() {
        assert_eq!(RULES.deadline_millis(), 600_000 + 30_000);
        let without_absence = LinkRules::new(45_000, 20_000, STEPS).last_step(60_000);
        assert_eq!(without_absence.deadline_millis(), 135_000);
        assert_eq!(LinkRules::new(u32::MAX, 1, STEPS).deadline_millis(), u32::MAX);
    }
}
