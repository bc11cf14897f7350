//! The example `watchdog_threads`: each fault is reported stage by stage and ends the program as a reset would.

use system_tests::Example;

/// The stages in order, and the words of the daemon about the fault.
#[track_caller]
fn bites(fault: &str, finding: &str) -> String {
    let done = Example::new("watchdog_threads").args(&["--inject", fault]).run();
    let text = String::from_utf8(done.out).expect("text");
    assert_eq!(done.status, Some(3), "{text}{}", done.err);
    let mut rest = text.as_str();
    for part in [
        "logger !! ",
        "-- warn: logger: task 1 ",
        finding,
        "-- reset the link",
        "-- last words",
        "-- reset\n",
    ] {
        let (_, after) = rest.split_once(part).unwrap_or_else(|| panic!("no {part:?} in {text}"));
        rest = after;
    }
    assert_eq!(rest, "", "the reset is the last thing that happens");
    // The record begins with its magic number and the number of its layout.
    assert!(text.contains(" 57 44 63 72 02 "), "{text}");
    done.err
}

#[test]
fn threads_that_retire_after_their_work_are_not_missed() {
    let text = Example::new("watchdog_threads").args(&["--rounds", "3"]).run().text();
    assert_eq!(text.matches("-- retires").count(), 3, "{text}");
    // Two checkpoints in each of three rounds.
    assert_eq!(text.matches(": 5 intervals of ").count(), 3, "{text}");
    assert!(text.ends_with("== all ended on purpose: nobody bites\n"), "{text}");
}

#[test]
fn a_thread_that_hangs_starves() {
    assert_eq!(bites("hang", "starved, nothing heard since "), "");
}

#[test]
fn a_thread_that_returns_too_soon_is_not_reported_as_one_that_hangs() {
    assert_eq!(bites("exit", "returned at "), "");
}

#[test]
fn a_thread_that_panics_is_not_reported_as_one_that_returns() {
    assert!(bites("panic", "panicked at ").contains("as injected"));
}

#[test]
fn a_thread_that_spins_around_a_checkpoint_is_reported_as_out_of_order() {
    assert_eq!(bites("spin", "reported a checkpoint out of order at "), "");
}

#[test]
fn wrong_options_of_watchdog_threads_are_named() {
    for (args, why) in [
        (&["--inject", "sleep"][..], "option --inject: \"sleep\" is not hang, exit, panic or spin"),
        (&["--inject"], "option --inject: a value is missing"),
        (&["--rounds", "x"], "option --rounds: \"x\" is not a number of rounds"),
        (&["--fast"], "unknown option --fast"),
        (&["hang"], "unexpected argument \"hang\""),
    ] {
        let done = Example::new("watchdog_threads").args(args).run();
        let told = format!("watchdog_threads: {why}\nwatchdog_threads: --help lists the options\n");
        // As all examples do: exit status 1, and nothing on standard output.
        assert_eq!((done.status, done.out, done.err), (Some(1), vec![], told));
    }
    let help = Example::new("watchdog_threads").args(&["--help"]).run().text();
    assert!(help.contains("--inject FAULT") && help.contains("Exit status: 0"), "{help}");
}
