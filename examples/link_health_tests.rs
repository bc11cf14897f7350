//! Tests of `link_health.rs`, by its public parts only, so that it can be copied without them.

use mqtt_core::Counters;
use watchdog_core::Instant;

use crate::link_health::{LinkHealth, LinkRules, Look, Sample, Step};

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

    /// Looks, and once more if the client shall read first. Nothing comes.
    fn look(&mut self) -> Look {
        let look = self.look_once();
        if look.next > at(self.now) { look } else { self.look_once() }
    }

    fn look_once(&mut self) -> Look {
        self.health.look(&self.sample, at(self.now))
    }

    /// A packet comes in at `seconds`.
    fn hears(&mut self, seconds: u64) -> Look {
        self.now = seconds;
        self.receives();
        self.look()
    }

    fn receives(&mut self) {
        self.sample.counters.bytes_in += 2;
        self.sample.counters.packets_in += 1;
    }

    /// Looks each second up to `end`, and gives the steps with their times, and the number of feeds.
    fn passes(&mut self, end: u64) -> (Vec<(u64, Step)>, usize) {
        self.passes_while(end, |_, _| {})
    }

    /// The same, after something has happened in each second.
    fn passes_while(
        &mut self,
        end: u64,
        mut happens: impl FnMut(&mut Self, u64),
    ) -> (Vec<(u64, Step)>, usize) {
        let (mut steps, mut feeds) = (Vec::new(), 0);
        while self.now < end {
            self.now += 1;
            happens(self, self.now);
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
    let pings = |bench: &mut Bench, now: u64| {
        if now % 15 == 0 {
            bench.receives();
        }
    };
    // The time of an answer counts from the first look.
    let steps = vec![(22, Step::Reconnect), (32, Step::NextBroker), (52, Step::RestartModem)];
    assert_eq!(bench.passes_while(300, pings), (steps, 1));
}

/// The answer may stand behind what is read now, so the step waits; but not for ever.
#[test]
fn a_broker_that_floods_and_answers_no_publish_has_twice_the_time_of_an_answer() {
    let mut bench = Bench::new();
    bench.sample.in_flight = 3;
    let mut steps = Vec::new();
    for now in 1..300 {
        bench.now = now;
        bench.receives();
        steps.extend(bench.look_once().step.map(|step| (now, step)));
    }
    let expected = [(42, Step::Reconnect), (72, Step::NextBroker), (112, Step::RestartModem)];
    assert_eq!(steps, expected);
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

/// The handler of a message took two minutes, and everything that came meanwhile is still to be read.
#[test]
fn a_program_that_was_busy_reads_what_has_come_before_any_step() {
    let mut bench = Bench::new();
    bench.sample.in_flight = 1;
    assert!(bench.hears(10).progress);
    bench.now = 130;
    let look = bench.look_once();
    assert_eq!((look.progress, look.step, look.next), (false, None, at(130)));
    bench.sample.counters.answers += 1;
    bench.sample.in_flight = 0;
    let look = bench.hears(130);
    assert_eq!((look.progress, look.step), (true, None));
}

#[test]
fn a_program_that_was_busy_after_a_step_reads_what_has_come_before_the_next_one() {
    let mut bench = Bench::new();
    assert_eq!(bench.passes(46).0, [(46, Step::Reconnect)]);
    bench.now = 100;
    let look = bench.look_once();
    assert_eq!((look.step, look.next), (None, at(100)));
    assert!(bench.hears(100).progress);
}

#[test]
fn a_new_connection_has_the_time_of_an_answer_before_the_next_step_and_is_no_progress_itself() {
    let mut bench = Bench::new();
    bench.sample.in_flight = 1;
    assert_eq!(bench.passes(25).0, [(22, Step::Reconnect)]);
    bench.sample.counters.connections += 1;
    assert!(!bench.hears(26).progress);
    assert_eq!(bench.passes(46), (vec![(46, Step::NextBroker)], 0));
}

/// It accepts each connection, closes it, and answers nothing.
#[test]
fn a_broker_that_only_accepts_connections_delays_each_step_by_one_answer_and_does_not_prevent_it() {
    let mut bench = Bench::new();
    bench.sample.in_flight = 1;
    let accepts = |bench: &mut Bench, _| {
        bench.receives();
        bench.sample.counters.connections += 1;
    };
    let (steps, _) = bench.passes_while(600, accepts);
    // After 20 s and 1 ms; after 10 s; after 20 s: each of them, and up to 20 s more.
    let expected = [(23, Step::Reconnect), (53, Step::NextBroker), (93, Step::RestartModem)];
    for ((second, step), (latest, of)) in steps.iter().zip(expected) {
        assert!(*step == of && *second <= latest + 20, "{steps:?}");
    }
    assert_eq!(steps.len(), 3, "{steps:?}");
}

#[test]
fn an_intended_absence_is_fed_for_its_time_and_the_link_is_awaited_after_it() {
    let mut bench = Bench::new();
    assert!(bench.hears(10).progress);
    assert!(!bench.health.away(600_001, at(10)), "longer than the rules allow");
    assert!(bench.health.away(600_000, at(10)));
    assert!(!bench.health.away(1_000, at(20)), "no second one");
    // The end of an absence that was kept to is a feed as well.
    assert_eq!(bench.passes(655), (vec![], 600));
    assert_eq!(bench.passes(656).0, [(656, Step::Reconnect)]);
    assert!(!bench.health.away(1_000, at(656)), "nothing was heard since");
    assert!(bench.hears(657).progress);
    assert!(bench.health.away(1_000, at(657)));
}

#[test]
fn a_device_that_is_back_early_has_a_link_that_is_awaited() {
    let mut bench = Bench::new();
    bench.health.back(at(5));
    assert!(bench.hears(10).progress);
    assert!(bench.health.away(600_000, at(10)));
    assert_eq!(bench.passes(100), (vec![], 90));
    bench.health.back(at(100));
    assert_eq!(bench.passes(146), (vec![(146, Step::Reconnect)], 1));
}

/// A loop that looks at `next` only is fed seldom. The task must not starve by that.
#[test]
fn an_absence_and_the_silence_after_it_leave_no_gap_that_is_longer_than_the_deadline() {
    let mut health = LinkHealth::new(RULES, at(0));
    let mut sample = Sample { counters: Counters::default(), in_flight: 0 };
    sample.counters.bytes_in = 2;
    let _ = health.look(&sample, at(40));
    assert!(health.away(600_000, at(80)));
    let begins = health.look(&sample, at(80));
    assert_eq!((begins.progress, begins.next), (true, at(680)));
    let ends = health.look(&sample, at(680));
    assert_eq!((ends.progress, ends.next), (true, Instant::from_millis(680_000 + 45_001)));
}

/// 100 kB at 100 bytes a second: no PINGREQ fits into the packet, and its answer comes after it.
#[test]
fn a_long_packet_on_a_slow_link_is_progress_while_more_of_it_is_taken() {
    let mut bench = Bench::new();
    bench.sample.in_flight = 1;
    let sends = |bench: &mut Bench, _| bench.sample.counters.bytes_out += 100;
    assert_eq!(bench.passes_while(1_000, sends), (vec![], 1_000));
    // Its end. The time of an answer counts from here.
    bench.sample.counters.bytes_out += 100;
    bench.sample.counters.packets_out += 1;
    assert_eq!(bench.passes(1_021), (vec![], 1));
    assert_eq!(bench.passes(1_022).0, [(1_022, Step::Reconnect)]);
}

#[test]
fn a_long_packet_that_comes_in_delays_the_answers_behind_it() {
    let mut bench = Bench::new();
    bench.sample.in_flight = 1;
    let receives = |bench: &mut Bench, _| bench.sample.counters.bytes_in += 100;
    assert_eq!(bench.passes_while(1_000, receives), (vec![], 1_000));
}

#[test]
fn a_long_packet_that_the_transport_takes_no_more_of_is_no_progress() {
    let mut bench = Bench::new();
    bench.sample.in_flight = 1;
    let sends = |bench: &mut Bench, _| bench.sample.counters.bytes_out += 100;
    assert_eq!(bench.passes_while(100, sends).1, 100);
    assert_eq!(bench.passes(121), (vec![(121, Step::Reconnect)], 0));
}

#[test]
fn a_disconnect_and_whole_packets_that_nobody_answers_are_no_progress() {
    let mut bench = Bench::new();
    bench.sample.in_flight = 1;
    let sends = |bench: &mut Bench, now: u64| {
        if now % 10 == 0 {
            bench.sample.counters.bytes_out += 2;
        } else {
            bench.sample.counters.bytes_out += 50;
            bench.sample.counters.packets_out += 1;
        }
    };
    assert_eq!(bench.passes_while(31, sends).0, [(22, Step::Reconnect)]);
}

#[test]
fn the_deadline_of_the_task_leaves_time_for_all_steps() {
    // The absence; without it 45 s, delays of 30 s, an answer for each of three steps, and 1 ms.
    assert_eq!(RULES.deadline_millis(), 600_000);
    let without_absence = LinkRules::new(45_000, 20_000, STEPS).last_step(60_000);
    assert_eq!(without_absence.deadline_millis(), 195_001);
    assert_eq!(LinkRules::new(u32::MAX, 1, STEPS).deadline_millis(), u32::MAX);
}

/// Each combination of a silence, of seconds in which a broker accepts a connection, and of a flood.
#[test]
fn every_step_has_come_before_the_deadline_whatever_the_broker_does() {
    let rules = LinkRules::new(45_000, 20_000, STEPS).last_step(10_000);
    let last = Instant::from_millis(u64::from(rules.deadline_millis()) - 10_000);
    for accepts_each in 1..60 {
        for floods in [false, true] {
            let mut bench = Bench { health: LinkHealth::new(rules, at(0)), ..Bench::new() };
            bench.sample.in_flight = 1;
            assert!(bench.hears(0).progress);
            let (steps, _) = bench.passes_while(300, |bench, now| {
                if now % accepts_each == 0 {
                    bench.receives();
                    bench.sample.counters.connections += 1;
                } else if floods {
                    bench.receives();
                }
            });
            assert_eq!(steps.len(), STEPS.len(), "{accepts_each}, {floods}: {steps:?}");
            let in_time = steps.last().is_some_and(|(second, _)| at(*second) <= last);
            assert!(in_time, "{accepts_each}, {floods}: {steps:?}");
        }
    }
}
