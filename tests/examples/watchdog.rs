//! The watchdog examples: the drawing of a simulated board, and a file in place of a Linux device.

use system_tests::Example;

/// The rows of the drawing by their names, each as one line.
fn row(drawing: &str, name: &str) -> Vec<char> {
    let rows =
        drawing.lines().filter_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix("  "));
    rows.flat_map(str::chars).collect()
}

/// Asserts that these lines come one after the other.
#[track_caller]
fn in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let (_, after) = rest.split_once(part).unwrap_or_else(|| panic!("no {part:?} in {rest}"));
        rest = after;
    }
}

#[test]
fn external_watchdog_lives_through_boot_run_and_update_and_bites_after_the_hang() {
    for part in ["fastest", "slowest", "1", "2", "3"] {
        let text = Example::new("watchdog_external").args(&["--part", part]).run().text();
        in_order(
            &text,
            &[
                "TPS3823-33 on a simulated board",
                "[b] boot",
                "armed",
                "[n] normal run",
                "[u] update",
                "[c] checking",
                "[e] erasing",
                "armed again",
                "[n] normal run again",
                "[h] the pump hangs",
                "Warn: pump starved",
                "LastWords: pump starved",
                "Reset, which is the chip's: pump starved",
                "RESET, ",
                " ms after the last feed",
            ],
        );
    }
}

#[test]
fn external_watchdog_draws_the_levels_of_its_pins() {
    let text = Example::new("watchdog_external").run().text();
    let [phase, wdi, gate, reset] = ["phase", "WDI", "gate", "/RESET"].map(|name| row(&text, name));
    let columns = phase.len();
    assert!(columns > 150, "{text}");
    assert_eq!([wdi.len(), gate.len(), reset.len()], [columns; 3]);
    let mut held = 0;
    for (column, phase) in phase.iter().enumerate() {
        let (wdi, gate, reset) = (wdi.get(column), gate.get(column), reset.get(column));
        // The chip is disarmed during boot and while no task can feed, and armed otherwise.
        assert_eq!(gate == Some(&'▁'), "be".contains(*phase), "column {column}");
        assert!(reset == Some(&'▔') || *phase == 'h', "column {column}");
        // The simulation drives the pin from its beginning.
        assert!(wdi.is_some_and(|wdi| "▁▔║".contains(*wdi)), "column {column}");
        held += usize::from(reset == Some(&'▁'));
    }
    assert!((1..=4).contains(&held), "RESET is low for 102 to 345 ms, not {held} columns");
    // Before the hang the level never stays for 765 ms.
    let healthy = phase.iter().position(|phase| *phase == 'h').expect("it hangs");
    let fed = wdi.get(..healthy).expect("as many columns");
    let moves = |levels: &[char]| {
        levels.contains(&'║') || levels.iter().any(|level| Some(level) != levels.first())
    };
    assert!(fed.windows(8).all(moves), "{text}");
    // After the hang it does not change.
    let starved = wdi.get(healthy + 10..).expect("columns after the hang");
    assert!(!moves(starved), "{text}");
}

#[test]
fn external_watchdog_names_unknown_options() {
    assert_eq!(
        Example::new("watchdog_external").args(&["--part", "slow"]).run().failure(),
        "watchdog_external: option --part: \"slow\" is not fastest, slowest or a number"
    );
    assert_eq!(
        Example::new("watchdog_external").args(&["-x"]).run().failure(),
        "watchdog_external: unknown option -x"
    );
}

#[test]
fn external_watchdog_names_what_is_wrong_with_a_line() {
    for (args, expected) in [
        (&["--gpio"][..], "option --gpio: a value is missing"),
        (&["--gpio", "x"], "option --gpio: \"x\" is not CHIP:LINE, such as gpiochip0:17"),
        (&["--gpio", ":1"], "option --gpio: \":1\" is not CHIP:LINE, such as gpiochip0:17"),
        (&["--gpio", "a:-1"], "option --gpio: \"a:-1\" is not CHIP:LINE, such as gpiochip0:17"),
        (
            &["--gpio", "a:1", "--gate", "b"],
            "option --gate: \"b\" is not CHIP:LINE, such as gpiochip0:17",
        ),
        (&["--gpio", "a:1", "--feeds", "b"], "option --feeds: \"b\" is not a number of feeds"),
        (
            &["--gpio", "a:1", "--part", "1"],
            "--part is for the simulated board, --gpio for a real one",
        ),
        (&["--feeds", "1"], "--gate, --gate-low and --feeds need --gpio"),
        (&["--part", "1", "--gate", "a:1"], "--gate, --gate-low and --feeds need --gpio"),
        (&["--gpio", "a:1", "--gate-low"], "--gate-low needs --gate"),
    ] {
        let error = Example::new("watchdog_external").args(args).run().failure();
        assert_eq!(error, format!("watchdog_external: {expected}"), "{args:?}");
    }
}

#[test]
fn watchdog_examples_print_their_usage() {
    for name in ["watchdog_external", "watchdog_linux", "watchdog_threads"] {
        for wish in ["--help", "-h"] {
            let help = Example::new(name).args(&[wish]).run().text();
            assert!(help.contains(&format!("usage: {name}")) && help.contains("Exit status: 0"));
        }
    }
}

#[cfg(target_os = "linux")]
mod on_linux {
    use std::fs;
    use std::io::{BufRead, BufReader};
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;

    /// A file in place of a device, in a directory that is removed when the first value is dropped.
    fn device() -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("watchdog0");
        fs::write(&path, "").expect("a file");
        (dir, path)
    }

    fn linux(path: &str, args: &[&str]) -> Example {
        Example::new("watchdog_linux").args(&[path]).args(args)
    }

    #[test]
    fn external_watchdog_names_chip_and_line_that_it_cannot_open_and_what_it_expected() {
        let (_dir, file) = device();
        let file = file.to_str().expect("UTF-8");
        let at_file = format!("{file}:17");
        for (args, place) in [
            (&["--gpio", "no-such-chip:17"][..], "line 17 of /dev/no-such-chip"),
            (&["--gpio", "/dev/null:0"], "line 0 of /dev/null"),
            (&["--gpio", &at_file], &format!("line 17 of {file}")),
            // The gate comes first.
            (
                &["--gpio", "/dev/null:0", "--gate", "no-such-chip:3", "--gate-low"],
                "line 3 of /dev/no-such-chip",
            ),
        ] {
            let error = Example::new("watchdog_external").args(args).run().failure();
            assert!(error.starts_with(&format!("watchdog_external: {place}: ")), "{error}");
            assert!(error.contains("expected a GPIO character device"), "{error}");
        }
    }

    #[test]
    fn linux_watchdog_is_fed_and_stopped_by_the_magic_close() {
        let (_dir, file) = device();
        let path = file.to_str().expect("UTF-8");
        let text = linux(path, &["--every", "20", "--feeds", "3"]).run().text();
        in_order(
            &text,
            &["runs, is fed each 20 ms", "fed, 1\n", "fed, 2\n", "fed, 3\n", "is stopped\n"],
        );
        // The daemon may feed once more before it stops.
        let bytes = fs::read(&file).expect("it is there");
        assert!(bytes.starts_with(b"\0\0\0") && bytes.ends_with(b"\0V"), "{bytes:?}");
    }

    #[test]
    fn linux_watchdog_is_stopped_when_the_program_is_interrupted() {
        let (_dir, file) = device();
        let mut running = linux(file.to_str().expect("UTF-8"), &["--every", "20"]).start();
        let mut out = BufReader::new(running.out.take().expect("its output"));
        let mut line = String::new();
        while line != "fed, 2\n" {
            line.clear();
            assert!(out.read_line(&mut line).expect("text") > 0, "it ended");
        }
        running.interrupt();
        let done = running.done();
        assert_eq!((done.status, done.err.as_str()), (Some(0), ""));
        let bytes = fs::read(&file).expect("it is there");
        assert_eq!(bytes.last(), Some(&b'V'));
        assert!(bytes.len() > 2);
    }

    #[test]
    fn linux_watchdog_is_left_running_when_the_program_is_killed() {
        let (_dir, file) = device();
        let mut running = linux(file.to_str().expect("UTF-8"), &["--every", "20"]).start();
        let mut out = BufReader::new(running.out.take().expect("its output"));
        let mut line = String::new();
        while line != "fed, 1\n" {
            line.clear();
            assert!(out.read_line(&mut line).expect("text") > 0, "it ended");
        }
        // Dropping kills it.
        drop(running);
        assert!(!fs::read(&file).expect("it is there").contains(&b'V'));
    }

    #[test]
    fn linux_watchdog_reports_each_failure_with_its_device() {
        let (_dir, file) = device();
        let path = file.to_str().expect("UTF-8");
        let no_ioctl = "Inappropriate ioctl for device (os error 25)";
        for (args, expected) in [
            (
                &[][..],
                format!(
                    "{path}: it does not report its time-out: {no_ioctl}; --every has to say how often to feed"
                ),
            ),
            (
                &["--timeout", "5"],
                format!("{path}: it does not take 5s as its time-out: {no_ioctl}"),
            ),
            (
                &["--pretimeout", "5"],
                format!("{path}: it does not take 5s as its pretimeout: {no_ioctl}"),
            ),
            (
                &["--timeout", "0"],
                format!("{path}: it does not take 0ns as its time-out: it takes 1s to 2147483647s"),
            ),
            (&["--every", "0"], "feeding each 0 ms: the heartbeat is 0".into()),
            (
                &["--status"],
                format!("{path}: there is no /sys/class/watchdog/watchdog0 of it: it is no device"),
            ),
        ] {
            let error = linux(path, args).run().failure();
            assert_eq!(error, format!("watchdog_linux: {expected}"), "{args:?}");
        }
        assert!(!fs::read(&file).expect("it is there").contains(&0), "a feed without --every");
        assert_eq!(
            linux("/nowhere/watchdog0", &[]).run().failure(),
            "watchdog_linux: /nowhere/watchdog0: it cannot be opened: No such file or directory (os error 2)"
        );
    }

    #[test]
    fn linux_watchdog_names_options_that_are_wrong() {
        for (args, expected) in [
            (
                &["--status", "--feeds", "1"][..],
                "--status opens nothing, so it takes no other option",
            ),
            (&["another"], "unexpected argument \"another\""),
            (&["--timeout", "soon"], "option --timeout: \"soon\" is not a number of seconds"),
            (&["--nowayout"], "unknown option --nowayout"),
        ] {
            let error = linux("device", args).run().failure();
            assert_eq!(error, format!("watchdog_linux: {expected}"), "{args:?}");
        }
        let error = Example::new("watchdog_linux").run().failure();
        assert_eq!(error, "watchdog_linux: a device is missing");
    }
}
