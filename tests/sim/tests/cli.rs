//! The program `sim`: its output and its exit status.

use std::process::{Command, Output};

fn sim(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sim")).args(args).output().expect("it runs")
}

fn text(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_seed_that_is_replayed_gives_the_same_totals_in_the_last_line() {
    let play = || {
        let output = sim(&["--seeds", "1", "--from", "77"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        text(&output).0.lines().last().expect("a line").to_owned()
    };
    let line = play();
    assert!(line.starts_with("1 seeds, ") && line.ends_with(" 0 failed"), "{line}");
    assert_eq!(play(), line);
}

#[test]
fn the_report_names_every_fault_and_the_rates() {
    let (report, _) = text(&sim(&["--seeds", "3", "--threads", "2"]));
    for words in ["half-open", "power loss in a record", "published, QoS 0 / 1 / 2", "per second"] {
        assert!(report.contains(words), "{words}: {report}");
    }
}

#[test]
fn bad_arguments_are_named_and_run_nothing() {
    for (args, words) in [
        (&["--seeds", "few"][..], "--seeds: 'few'"),
        (&["--seeds", "0"], "--seeds: at least 1"),
        (&["--from", "-1"], "--from"),
        (&["--threads", "0"], "--threads: at least 1"),
        (&["--speed", "9"], "--speed"),
        (&["--mutation", "Nonsense"], "--mutation: "),
    ] {
        let output = sim(args);
        let (out, error) = text(&output);
        assert_eq!((output.status.code(), out.as_str()), (Some(2), ""), "{args:?}");
        assert!(error.contains(words), "{args:?}: {error}");
    }
}

#[test]
fn help_tells_every_flag() {
    let (help, _) = text(&sim(&["--help"]));
    for flag in
        ["--seeds", "--from", "--threads", "--tell", "--notes", "--charts", "--mutation", "--help"]
    {
        assert!(help.contains(flag), "{flag}");
    }
}
