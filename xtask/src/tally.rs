//! Counts the tests that passed and failed, from the summaries that the runners print.

use std::fmt;
use std::ops::AddAssign;

/// Tests by result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Passed, including slow tests and tests that needed a second try.
    pub(crate) passed: u64,
    /// Failed, timed out, or could not be started.
    pub(crate) failed: u64,
    /// Ignored.
    pub(crate) skipped: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    /// As in the closing line. Skipped tests are printed elsewhere.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// Reads the `Summary` line of `cargo nextest`, or else sums the `test result:` lines of `cargo test`.
pub(crate) fn read(output: &str) -> Tally {
    if let Some(summary) = output.lines().find(|line| is_summary(line)) {
        // '10 tests run: 6 passed (1 slow), 2 failed, 1 timed out, 3 skipped'. The output of a failed test holds a
        // 'test result:' of its own, which is in these numbers already.
        let counts = summary.split_once(" run:").map_or("", |(_, counts)| counts);
        return sum(counts.split(','));
    }
    let mut tally = Tally::default();
    for line in output.lines() {
        if let Some(counts) = line.trim().strip_prefix("test result:") {
            // 'ok. 3 passed; 1 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s'
            tally += sum(counts.split(['.', ';']));
        }
    }
    tally
}

/// The names of the tests that failed.
pub(crate) fn failures(output: &str) -> Vec<&str> {
    if output.lines().any(is_summary) {
        // '        FAIL [   0.004s] ( 3/26) crate::binary module::test', or TIMEOUT, SIGABRT and so on.
        return output
            .lines()
            .skip_while(|line| !is_summary(line))
            .filter_map(|line| line.trim().split_once(" ["))
            .filter(|(word, _)| !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase()))
            .filter_map(|(_, rest)| rest.split_once("s] (")?.1.split_once(") "))
            .map(|(_, name)| name)
            .collect();
    }
    output
        .lines()
        .filter_map(|line| line.trim().strip_prefix("test ")?.strip_suffix(" ... FAILED"))
        .collect()
}

fn is_summary(line: &str) -> bool {
    line.trim().starts_with("Summary [")
}

fn sum<'a>(counts: impl Iterator<Item = &'a str>) -> Tally {
    let mut tally = Tally::default();
    for count in counts {
        let Some((number, result)) = count.trim().split_once(' ') else { continue };
        let Ok(number) = number.parse::<u64>() else { continue };
        let result = result.split(" (").next().unwrap_or(result);
        match result {
            "passed" => tally.passed += number,
            "failed" | "timed out" | "exec failed" => tally.failed += number,
            "skipped" | "ignored" => tally.skipped += number,
            _ => {}
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_cargo_test_are_summed_over_binaries() {
        let output = "\
running 3 tests
test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s

test result: FAILED. 5 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s
";
        assert_eq!(read(output), Tally { passed: 8, failed: 2, skipped: 1 });
    }

    #[test]
    fn the_summary_of_nextest_is_read() {
        let output = "     Summary [   0.123s] 17 tests run: 12 passed (2 slow, 1 flaky), \
                      2 failed, 1 timed out, 2 exec failed, 3 skipped\n";
        assert_eq!(read(output), Tally { passed: 12, failed: 5, skipped: 3 });
    }

    #[test]
    fn a_single_test_and_a_cancelled_run_are_read() {
        let one = "     Summary [   0.001s] 1 test run: 1 passed, 0 skipped\n";
        assert_eq!(read(one), Tally { passed: 1, failed: 0, skipped: 0 });
        let cancelled = "     Summary [   9.0s] 2/10 tests run: 1 passed, 1 failed, 0 skipped\n";
        assert_eq!(read(cancelled), Tally { passed: 1, failed: 1, skipped: 0 });
    }

    #[test]
    fn the_output_of_a_failed_test_is_not_counted() {
        let output = "  test result: FAILED. 0 passed; 1 failed; 0 ignored\n\
                      \x20    Summary [   0.1s] 2 tests run: 1 passed, 1 failed, 0 skipped\n";
        assert_eq!(read(output), Tally { passed: 1, failed: 1, skipped: 0 });
    }

    #[test]
    fn failures_are_named() {
        let nextest = "\
        FAIL [   0.154s] (256/375) system-tests::broken_peers a_suback
     Summary [  49.175s] 375 tests run: 373 passed, 1 failed, 1 timed out, 0 skipped
        FAIL [   0.154s] (256/375) system-tests::broken_peers a_suback
    test a_suback ... FAILED
     TIMEOUT [ 300.000s] ( 25/375) mqtt-core session::tests::waits
    thread panicked: [1] (2) 3
error: test run failed
";
        assert_eq!(
            failures(nextest),
            ["system-tests::broken_peers a_suback", "mqtt-core session::tests::waits"]
        );
        let cargo = "test a::b ... ok\ntest a::c ... FAILED\n";
        assert_eq!(failures(cargo), ["a::c"]);
    }

    #[test]
    fn other_output_counts_nothing() {
        assert_eq!(read("error[E0425]: 3 passed; 4 failed\n"), Tally::default());
    }

    #[test]
    fn the_closing_line_is_plain() {
        let tally = Tally { passed: 3, failed: 1, skipped: 9 };
        assert_eq!(tally.to_string(), "3 passed, 1 failed");
    }
}
