//! The journal: when a record is due, and the calls of its driver. `session/changes.rs` says which packets wait for a
//! record.

use super::Machine;
use crate::{error::RestoreError, session::Recorder, time::Instant, timers::Timer};

impl Machine<'_> {
    /// The recorder, if a record is due now. If the changes can wait, starts the time after which their record is due.
    pub(super) fn record_is_due(&mut self, now: Instant) -> Option<&'static Recorder> {
        let due = self.session.recorder_due();
        let waits = due.is_none() && self.session.has_changes();
        if waits && !self.state.timers.is_set(Timer::Record) {
            let delay = u64::from(self.state.settings.record_delay);
            self.state.timers.set(Timer::Record, now.plus_millis(delay));
        }
        due
    }

    /// The record that `poll` gave is durable.
    pub(crate) fn persisted(&mut self) {
        if self.session.persisted() {
            self.state.timers.clear(Timer::Record);
        }
    }

    /// Rebuilds the session from `record`.
    pub(crate) fn restore(&mut self, record: &[u8]) -> Result<(), RestoreError> {
        self.session.restore(record, self.state.settings.largest_suback())
    }
}
