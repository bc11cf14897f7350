//! The sizes that the documents state are those of the code.

use watchdog_core::{Countdown, CrashRecord, Intervals, Task};

const README: &str = include_str!("../README.md");
const PEERS: &str = include_str!("../docs/peers.md");

#[test]
fn the_sizes_in_the_documents_are_those_of_the_code() {
    let task = size_of::<Task>();
    let record = CrashRecord::LEN;
    let (countdown, intervals) = (size_of::<Countdown>(), size_of::<Intervals>());
    for (document, text) in [
        (README, format!("| {task} | each task")),
        (README, format!("| {countdown} | a countdown")),
        (README, format!("| {intervals} | the measured intervals")),
        (README, format!("| {record} | a crash record")),
        (PEERS, format!("| bytes for a task | {task}, with its name")),
        (PEERS, format!("| record over the reset | {record} bytes")),
    ] {
        assert!(document.contains(&text), "{text}");
    }
}
