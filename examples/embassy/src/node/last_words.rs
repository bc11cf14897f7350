//! The last words of a run, published at the next start.

use core::fmt::Write as _;

use mqtt_core::{Publish, QoS};
use watchdog_core::{CrashRecord, RecordError};

use super::Node;
use crate::memory::Client;

/// The longest text; what is too long is cut off.
type Words = heapless::String<128>;

/// The end of the last run in words; `None`: it ended on purpose, or the power was off.
#[must_use]
pub fn words(last: &Result<CrashRecord, RecordError>) -> Option<Words> {
    let mut words = Words::new();
    let _cut = match last {
        Err(RecordError::Absent) => return None,
        Err(error) => write!(words, "{error}"),
        Ok(CrashRecord { failure: Some(failure), in_a_row, .. }) => {
            write!(words, "{failure}; bite {in_a_row} in a row")
        }
        Ok(CrashRecord { failure: None, in_a_row, .. }) => {
            write!(words, "no last words: nothing polled the guard; bite {in_a_row} in a row")
        }
    };
    Some(words)
}

/// Publishes them, retained: whoever looks in the morning sees them as well. It waits for the broker for as long as it
/// takes.
#[embassy_executor::task]
pub async fn publish(client: Client, node: Node, words: Words) {
    let message = Publish::new(node.last_words, words.as_bytes()).qos(QoS::AtLeastOnce);
    match client.publish_wait(&message.retain(true)).await {
        Ok(outcome) => log::info!("last words: {outcome}"),
        Err(error) => log::warn!("last words: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use watchdog_core::{Failure, Fault, Instant, Name, TaskId};

    use super::*;

    #[test]
    fn the_words_name_the_task_its_fault_and_how_often_it_came_so_far() {
        let failure = Failure {
            task: TaskId::new(1),
            name: Name::cut("pressure"),
            fault: Fault::Starved,
            step: None,
            since: Instant::from_millis(2_000),
            at: Instant::from_millis(5_500),
        };
        let record = CrashRecord::new(failure).after(Some(&CrashRecord::running()));
        let starved = "task 1 (pressure) starved, nothing heard since 2000 ms; bite 2 in a row";
        assert_eq!(words(&Ok(record)).as_deref(), Some(starved));
        let silent = "no last words: nothing polled the guard; bite 1 in a row";
        assert_eq!(words(&Ok(CrashRecord::running())).as_deref(), Some(silent));
        assert_eq!(words(&Err(RecordError::Absent)), None);
        let damaged = words(&Err(RecordError::Damaged));
        assert_eq!(damaged.as_deref(), Some("the crash record is damaged"));
    }
}
