//! The last words of earlier runs, published exactly once each.
//!
//! The publish is in the journal of the client from its acceptance on, so it is not lost by another reset. To know after
//! a reset whether it was accepted, it takes the next number of the gateway, which is recorded together with it, and the
//! file is named by this number before. If the number in the journal has reached that of the file, the publish was
//! accepted; if not, it was not. QoS 2 doubles nothing on the way. The file is removed once the broker has the message.

use mqtt_core::{Handle, driver::blocking};
use watchdog_core::CrashRecord;

use crate::{
    records::{Records, RecordsError},
    uplink::Uplink,
};

/// The last words that the broker does not have yet.
#[derive(Debug)]
pub struct LastWords {
    records: Records,
    /// Published in this run.
    sent: Vec<(Handle, u64)>,
    /// Published in an earlier run, and not told yet: the journal has them.
    restored: Vec<u64>,
    /// Some are not in the journal yet.
    unsent: bool,
}

/// Something to show.
pub type Told = Result<Option<String>, RecordsError>;

impl LastWords {
    /// Those in `records`. The client has been restored, and nobody has published anything.
    ///
    /// # Errors
    ///
    /// [`RecordsError`].
    pub fn new(records: Records, uplink: &Uplink) -> Result<Self, RecordsError> {
        let mut restored = Vec::new();
        for (number, _) in records.sent()? {
            if number <= uplink.position() {
                restored.push(number);
            } else {
                // The power failed between the name of the file and the journal.
                records.take_back(number)?;
            }
        }
        let unsent = !records.unsent()?.is_empty();
        Ok(Self { records, sent: Vec::new(), restored, unsent })
    }

    /// Publishes those that are not in the journal yet, as far as there is room.
    ///
    /// # Errors
    ///
    /// [`RecordsError`].
    pub fn publish(&mut self, uplink: &Uplink) -> Told {
        if !self.unsent {
            return Ok(None);
        }
        for (unsent, record) in self.records.unsent()? {
            let mut named = None;
            let published = uplink.last_words(&text_of(&record), |number| {
                named = Some(number);
                self.records.sending(unsent, number)
            })?;
            match (published, named) {
                (Ok(handle), Some(number)) => self.sent.push((handle, number)),
                (Err(error), Some(number)) => {
                    self.records.take_back(number)?;
                    return Ok(not_full(&error).then(|| format!("last words: {error}")));
                }
                (_, None) => {}
            }
        }
        self.unsent = false;
        Ok(None)
    }

    /// The broker has the message of this request.
    ///
    /// # Errors
    ///
    /// [`RecordsError`].
    pub fn published(&mut self, handle: Handle) -> Told {
        let Some(place) = self.sent.iter().position(|(sent, _)| *sent == handle) else {
            return Ok(None);
        };
        let (_, number) = self.sent.swap_remove(place);
        self.records.told(number)?;
        Ok(Some(format!("the broker has the last words, number {number}")))
    }

    /// Nobody knows whether the broker has the message of this request: it is published again. Only last words can be
    /// lost, because all other messages are of QoS 1. One that this run did not publish is the oldest of those from
    /// before.
    ///
    /// # Errors
    ///
    /// [`RecordsError`].
    pub fn lost(&mut self, handle: Handle) -> Told {
        let number = match self.sent.iter().position(|(sent, _)| *sent == handle) {
            Some(place) => self.sent.swap_remove(place).1,
            None if self.restored.is_empty() => return Ok(None),
            None => self.restored.remove(0),
        };
        self.records.take_back(number)?;
        self.unsent = true;
        Ok(Some(format!("last words, number {number}: another broker, published again")))
    }

    /// No request is unanswered, so those from before are told, too.
    ///
    /// # Errors
    ///
    /// [`RecordsError`].
    pub fn all_answered(&mut self) -> Told {
        let mut told = None;
        for number in std::mem::take(&mut self.restored) {
            self.records.told(number)?;
            told = Some(format!("the broker has the last words, number {number}"));
        }
        Ok(told)
    }
}

fn not_full(error: &blocking::Error) -> bool {
    !matches!(error, blocking::Error::Request(refused) if refused.is_full())
}

/// The payload: what ended the run.
#[must_use]
pub fn text_of(record: &CrashRecord) -> String {
    let in_a_row = record.in_a_row;
    match record.failure {
        None => format!("{{\"ended\":\"without last words\",\"in_a_row\":{in_a_row}}}"),
        Some(failure) => {
            let (name, fault) = (failure.name, failure.fault);
            let (at, silent) = (failure.at.as_millis(), failure.at.millis_since(failure.since));
            format!(
                "{{\"ended\":\"{fault}\",\"task\":\"{name}\",\"after_ms\":{at},\"silent_ms\":{silent},\"in_a_row\":{in_a_row}}}"
            )
        }
    }
}
