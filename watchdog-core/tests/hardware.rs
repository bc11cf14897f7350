//! The hardware traits, with scripted hardware: a start that fails, a watchdog that runs already, a window whose early
//! feed resets the device, a bite on order, and pairs under a guard in all orders of failures.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod scripted;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use scripted::{Device, Outcome, Scripted, Time};
use watchdog_core::hardware::{
    Adopt, AdoptError, BiteNow, Clocked, Error as _, ErrorKind, FeedAt, NotStarted, Pair,
    PairError, Setting, Settings, Spread, Start, Started, State, Stop, Unsupported, Watchdog,
    Windowed, WindowedError,
};
use watchdog_core::{Action, Guard, Instant, Plan, Supervisor};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

#[test]
fn a_start_gives_the_time_that_was_set_and_its_spread_for_a_plan() {
    let device = Device::stopped();
    assert_eq!(device.timeout_range(), ms(1)..=ms(16_000));
    let started = device.start(Settings::new(ms(2_001)).window(ms(499))).unwrap();
    // Steps of 10 ms: the time-out is rounded up, the window down; the clock has 10 %.
    assert_eq!(started.timeout, Spread::percent(ms(2_010), 10));
    assert_eq!(started.window, Some(Spread::percent(ms(490), 10)));
    let millis = [started.shortest_millis(), started.longest_millis(), started.window_millis()];
    assert_eq!(millis, [1_809, 2_211, 540]);
    assert!(!started.adopted);
    let [shortest, longest, window] = millis;
    assert!(Plan::heartbeat(1_000).chip(shortest, longest).window(window).check().is_ok());
    let mapped = started.map(drop);
    assert_eq!((mapped.window_millis(), mapped.adopted), (540, false));
}

#[test]
fn a_setting_that_cannot_be_kept_is_refused_before_anything_starts() {
    let wanted = Settings::new(ms(2_000));
    for (settings, setting) in [
        (Settings::new(ms(16_001)), Setting::Timeout),
        (wanted.window(ms(2_000)), Setting::Window),
        (wanted.pretimeout(ms(1)), Setting::Pretimeout),
        (wanted.pause_in_sleep(true), Setting::PauseInSleep),
        (wanted.pause_in_debug(false), Setting::PauseInDebug),
    ] {
        let failed = Device::stopped().start(settings).map(drop).unwrap_err();
        assert_eq!(failed.error, NotStarted::Unsupported(Unsupported(setting)));
        assert_eq!(failed.device.state(), State::NotRunning);
    }
}

#[test]
fn a_watchdog_that_runs_already_says_so_when_it_cannot_be_started() {
    let failed = Device::running(ms(512)).start(Settings::new(ms(2_000))).map(drop).unwrap_err();
    assert_eq!(failed.error.kind(), ErrorKind::InvalidState);
    assert_eq!(failed.device.state(), State::Running);
    let adopted = failed.device.adopt().unwrap();
    assert_eq!(adopted.timeout.typical, ms(512), "its own time-out, not the one that was wanted");
    assert!(adopted.adopted);
}

#[test]
fn adopt_or_start_adopts_what_runs_and_starts_what_does_not() {
    let settings = Settings::new(ms(2_000));
    let adopted = Device::running(ms(512)).adopt_or_start(settings).unwrap();
    assert_eq!((adopted.adopted, adopted.timeout.typical), (true, ms(512)));
    let started = Device::stopped().adopt_or_start(settings).unwrap();
    assert_eq!((started.adopted, started.timeout.typical), (false, ms(2_000)));
    let failed = Device::stopped().adopt().map(drop).unwrap_err();
    assert_eq!(failed.to_string(), "the watchdog is not running");
    assert_eq!(format!("{failed:?}"), "NotRunning(..)");
}

#[test]
fn a_running_watchdog_that_cannot_be_taken_over_is_neither_adopted_nor_started() {
    let failed = Device::locked().adopt().map(drop).unwrap_err();
    assert_eq!(format!("{failed:?}"), "Refused { error: RunsAlready, .. }");
    let AdoptError::Refused { device, .. } = failed else { panic!("it runs") };
    let failed = device.adopt_or_start(Settings::new(ms(2_000))).map(drop).unwrap_err();
    assert_eq!(failed.error.kind(), ErrorKind::InvalidState);
    assert_eq!(failed.device.state(), State::Running);
}

/// A window of 90 to 100 ms, so 101 ms by whole milliseconds, and its clock.
fn windowed(time: &Time, dog: Scripted) -> Clocked<Windowed<Scripted>, impl FnMut() -> Instant> {
    let window = Spread::millis(90, 95, 100);
    let started = Started::new(dog, Spread::millis(900, 1_000, 1_100)).with_window(window);
    let clock = time.clone();
    Clocked::new(Windowed::new(started, time.now()), move || clock.now())
}

#[test]
fn a_feed_before_the_window_is_open_never_reaches_the_hardware() {
    let time = Time::default();
    let mut naive = Scripted::new(&time, 100, []);
    time.set(99);
    naive.feed().unwrap();
    assert!(naive.was_fed_early(), "alone, it takes the feed and resets the device");

    time.set(0);
    let mut dog = windowed(&time, Scripted::new(&time, 100, []));
    for millis in 0..101 {
        time.set(millis);
        let early = dog.feed().unwrap_err();
        assert_eq!(early, WindowedError::TooEarly { earliest: at(101) });
        assert_eq!(early.kind(), ErrorKind::TooEarly);
    }
    time.set(101);
    dog.feed().unwrap();
    time.set(201);
    assert_eq!(dog.feed(), Err(WindowedError::TooEarly { earliest: at(202) }));
    time.set(202);
    dog.feed().unwrap();
    assert_eq!((dog.get().get().feeds(), dog.get().get().was_fed_early()), (2, false));
}

#[test]
fn an_interrupt_before_the_feed_does_not_shorten_the_next_window() {
    let time = Time::default();
    let mut dog = windowed(&time, Scripted::new(&time, 100, []).delayed_by(50));
    time.set(101);
    dog.feed().unwrap(); // it reaches the hardware at 151
    time.set(251);
    assert_eq!(dog.feed(), Err(WindowedError::TooEarly { earliest: at(252) }));
    assert!(!dog.get().get().was_fed_early());
}

#[test]
fn after_a_feed_that_may_have_counted_a_whole_window_passes() {
    let time = Time::default();
    let script = [Outcome::FailsFed, Outcome::TooEarly, Outcome::Fed];
    let mut dog = windowed(&time, Scripted::new(&time, 100, script));
    time.set(500);
    assert_eq!(dog.feed(), Err(WindowedError::Hardware(ErrorKind::Connection)));
    time.set(600);
    assert_eq!(dog.feed(), Err(WindowedError::TooEarly { earliest: at(601) }));
    // The hardware itself refuses, so it was not fed, and the next try may come at once.
    time.set(601);
    let refused = dog.feed().unwrap_err();
    assert_eq!(refused, WindowedError::Hardware(ErrorKind::TooEarly));
    assert_eq!((refused.kind(), refused.to_string()), (ErrorKind::TooEarly, "TooEarly".into()));
    dog.feed().unwrap();
    assert!(!dog.get().get().was_fed_early());
}

#[test]
fn a_clock_that_stands_still_or_runs_back_opens_no_window() {
    let time = Time::default();
    let mut dog = windowed(&time, Scripted::new(&time, 100, [])).into_inner();
    dog.feed_at(at(101)).unwrap();
    dog.fed_until(at(50));
    let mut borrowed = &mut dog;
    let early = FeedAt::feed_at(&mut borrowed, at(201)).unwrap_err();
    FeedAt::fed_until(&mut borrowed, at(102));
    assert_eq!(early, WindowedError::TooEarly { earliest: at(202) });
    assert_eq!(dog.feed_at(at(202)), Err(WindowedError::TooEarly { earliest: at(203) }));
}

#[test]
fn a_windowed_watchdog_under_a_guard_stops_and_comes_back_if_it_does_not() {
    let time = Time::default();
    let timing = Plan::heartbeat(500).chip(900, 1_100).window(101).check().unwrap();
    let stays = windowed(&time, Scripted::new(&time, 100, []).that_stays());
    let mut guard = Guard::new(stays, Supervisor::new(&[], timing, at(0)));
    time.set(500);
    assert_eq!(guard.poll(at(500)).unwrap().action, Action::Feed);
    let mut guard = guard.stop(at(502)).unwrap_err().watchdog;
    time.set(1_000);
    assert_eq!(guard.poll(at(1_000)).unwrap().action, Action::Feed);
    assert!(!guard.hardware().get().get().was_fed_early());
    assert!(windowed(&time, Scripted::new(&time, 100, [])).stop().is_ok());
}

/// The reset of the device, as a panic.
fn bites<W: BiteNow>(dog: W) -> bool {
    catch_unwind(AssertUnwindSafe(|| dog.bite_now().map(drop))).is_err()
}

#[test]
fn a_bite_on_order_does_not_return_and_gives_the_watchdog_back_if_it_fails() {
    let time = Time::default();
    let dog = || Scripted::new(&time, 100, []);
    assert!(bites(dog()));
    assert!(bites(windowed(&time, dog())));
    let failed = windowed(&time, dog().that_stays()).bite_now().unwrap_err();
    assert_eq!(failed.error, WindowedError::Hardware(ErrorKind::InvalidState));
    assert_eq!(format!("{failed:?}"), "NoBite { error: Hardware(InvalidState), .. }");
    let mut dog = failed.watchdog;
    assert_eq!(dog.feed(), Err(WindowedError::TooEarly { earliest: at(101) }), "as before");
}

#[test]
fn of_a_pair_one_bite_is_enough() {
    let time = Time::default();
    let able = || Scripted::new(&time, 100, []);
    let stays = || able().that_stays();
    assert!(bites(Pair::new(able(), able())));
    assert!(bites(Pair::new(stays(), able())));
    assert!(bites(Pair::new(able(), stays())));
    let failed = Pair::new(stays(), stays()).bite_now().unwrap_err();
    let (first, second) = (ErrorKind::InvalidState, ErrorKind::InvalidState);
    assert_eq!(failed.error, PairError::Both { first, second });
    assert_eq!(failed.error.to_string(), "both watchdogs: InvalidState, InvalidState");
    let (_first, _second) = failed.watchdog.into_inner();
}

#[test]
fn a_pair_says_which_one_failed_and_its_kind_is_too_early_only_if_neither_was_fed() {
    use Outcome::{Fails, Fed, TooEarly};
    let (failed, early) = (ErrorKind::Connection, ErrorKind::TooEarly);
    for (script, result, feeds) in [
        ((Fed, Fed), Ok(()), (1, 1)),
        ((TooEarly, Fed), Err((PairError::First(early), early)), (0, 0)),
        ((Fails, Fed), Err((PairError::First(failed), failed)), (0, 1)),
        ((Fed, Fails), Err((PairError::Second(failed), failed)), (1, 0)),
        ((Fed, TooEarly), Err((PairError::Second(early), ErrorKind::Other)), (1, 0)),
        (
            (Fails, TooEarly),
            Err((PairError::Both { first: failed, second: early }, failed)),
            (0, 0),
        ),
    ] {
        let time = Time::default();
        let first = Scripted::new(&time, 0, [script.0]);
        let second = Scripted::new(&time, 0, [script.1]);
        let mut pair = Pair::new(first, second);
        assert_eq!(pair.feed().map_err(|error| (error, error.kind())), result, "{script:?}");
        assert_eq!((pair.first().feeds(), pair.second().feeds()), feeds, "{script:?}");
    }
    // No pair makes this, and it is safe nevertheless.
    let both: PairError<_, ErrorKind> = PairError::Both { first: early, second: early };
    assert_eq!(both.kind(), ErrorKind::Other);
}

#[test]
fn the_plan_of_a_pair_fits_both() {
    let short = Started::new((), Spread::millis(900, 1_600, 2_500));
    let windowed = Started::adopted((), Spread::millis(1_000, 1_100, 3_000));
    let windowed = windowed.with_window(Spread::millis(90, 100, 110));
    let wider = short.with_window(Spread::millis(80, 100, 120));
    let pair = short.pair(windowed);
    assert_eq!(pair.timeout, Spread::millis(900, 1_100, 3_000));
    assert_eq!((pair.window_millis(), pair.adopted), (111, true));
    assert_eq!(windowed.pair(wider).window_millis(), 121);
    assert_eq!(short.pair(short).window, None);
}

/// Lets a guard poll a pair each millisecond, and gives the longest time without a feed for each of the two.
fn longest_gaps(script: [(Outcome, Outcome); 3], own_window: bool) -> (u64, u64) {
    let time = Time::default();
    let first = Scripted::new(&time, 100, script.map(|(first, _)| first));
    let second = Scripted::new(&time, 100, script.map(|(_, second)| second));
    let timing = Plan::heartbeat(500).chip(900, 1_100).window(101).check().unwrap();
    let supervisor = Supervisor::new(&[], timing, at(0));
    let check = |dogs: [&Scripted; 2]| {
        for dog in dogs {
            assert!(!dog.was_fed_early(), "fed inside of its window: {script:?}");
        }
    };
    if own_window {
        let mut guard = Guard::new(Pair::new(windowed(&time, first), second), supervisor);
        for millis in 400..1_500 {
            time.set(millis);
            let _refused = guard.poll(at(millis)).is_err();
        }
        let (first, second) = (guard.hardware().first().get().get(), guard.hardware().second());
        check([first, second]);
        (first.longest_gap(), second.longest_gap())
    } else {
        let mut guard = Guard::new(Pair::new(first, second), supervisor);
        for millis in 400..1_500 {
            time.set(millis);
            let _refused = guard.poll(at(millis)).is_err();
        }
        let (first, second) = (guard.hardware().first(), guard.hardware().second());
        check([first, second]);
        (first.longest_gap(), second.longest_gap())
    }
}

#[test]
fn under_a_guard_no_order_of_failures_feeds_a_pair_early_or_starves_one_for_the_other() {
    const ALL: [Outcome; 4] = [Outcome::Fed, Outcome::Fails, Outcome::FailsFed, Outcome::TooEarly];
    for number in 0..16_usize.pow(3) {
        let script = [1, 16, 256].map(|place| {
            let digit = number / place % 16;
            (ALL[digit / 4], ALL[digit % 4])
        });
        for own_window in [false, true] {
            let (one, other) = longest_gaps(script, own_window);
            // After a heartbeat: three failures and three windows, and three tries at once.
            assert!(one.max(other) <= 500 + 3 * 101 + 3, "{script:?}: {one}, {other}");
            // One that does not fail is fed at each try. A try that is too early is repeated at once.
            if script.iter().all(|(first, _)| *first == Outcome::Fed) {
                assert!(one <= 500, "{script:?}: {one}");
            }
            if script.iter().all(|(_, second)| *second == Outcome::Fed) {
                assert!(other <= 503, "{script:?}: {other}");
            }
        }
    }
}

#[test]
fn nested_pairs_feed_three_and_name_the_one_that_failed() {
    let time = Time::default();
    let dog = |outcome| Scripted::new(&time, 0, [outcome]);
    let inner = Pair::new(dog(Outcome::Fed), dog(Outcome::Fails));
    let mut dogs = Pair::new(inner, dog(Outcome::Fed));
    let error = dogs.feed().unwrap_err();
    assert_eq!(error, PairError::First(PairError::Second(ErrorKind::Connection)));
    assert_eq!(error.to_string(), "the first watchdog: Second(Connection)");
    let fed = |dogs: &Pair<Pair<Scripted, Scripted>, Scripted>| {
        [dogs.first().first(), dogs.first().second(), dogs.second()].map(Scripted::feeds)
    };
    assert_eq!(fed(&dogs), [1, 0, 1]);
    dogs.feed().unwrap();
    assert_eq!(fed(&dogs), [2, 1, 2]);
    // The second one of the inner pair is too early, but the first one has been fed; so the third one is fed, too.
    let inner = Pair::new(dog(Outcome::Fed), dog(Outcome::TooEarly));
    let mut dogs = Pair::new(inner, dog(Outcome::Fed));
    assert_eq!(dogs.feed().unwrap_err().kind(), ErrorKind::Other);
    assert_eq!(fed(&dogs), [1, 0, 1]);
}
