//! The journal: records, and the client that is restored from them.

use std::sync::Arc;

use mqtt_core::{Action as Told, Instant};
use test_kit::record::bytes_of;

use super::{Loss, State, Writing, withdrawn};
use crate::{
    config::Config,
    device::{Device, NOW},
    rules::{Broken, Rule, Set, Verdict, Versions},
    trace::{self, Trace},
};

impl State {
    pub(super) fn persist(&mut self, now: Instant, trace: &mut Trace) -> Verdict {
        if now != NOW {
            // The time for the record begins with a call of `poll`.
            let _ = self.client.0.poll(NOW);
        }
        let Told::Persist(record) = self.client.0.poll(now) else { return Err(withdrawn()) };
        trace.say(|| trace::record(&record));
        // Its content matters as long as power can fail.
        let is_snapshot = record.is_snapshot();
        let record = if self.power_cuts > 0 { bytes_of(&record) } else { Vec::new() };
        self.writing = Some(Writing { record, is_snapshot });
        self.storing = self.storing.and(std::mem::take(&mut self.held));
        if self.loss == Loss::Unrecorded {
            self.loss = Loss::Recording;
        }
        self.requests.recording();
        Ok(())
    }

    pub(super) fn persisted(&mut self, config: &Config) -> Verdict {
        self.client.0.persisted();
        if self.loss == Loss::Recording {
            self.loss = Loss::Settled;
        }
        self.keep(config)
    }

    pub(super) fn persist_failed(&mut self, config: &Config, whole: bool) -> Verdict {
        self.failed_records -= 1;
        if whole {
            return self.keep(config);
        }
        self.writing = None;
        self.requests.not_recorded();
        if self.loss == Loss::Recording {
            self.loss = Loss::Unrecorded;
        }
        self.held = self.held.and(std::mem::take(&mut self.storing));
        Ok(())
    }

    /// The record that is being written is durable, and with it the work of the application until it was begun.
    ///
    /// Records before a snapshot may stay or go. The restored client is the same.
    fn keep(&mut self, config: &Config) -> Verdict {
        let Writing { record, is_snapshot } = self.writing.take().unwrap_or_default();
        self.stored = self.stored.and(std::mem::take(&mut self.storing));
        self.requests.recorded();
        let Some(restored) = &mut self.restored else { return Ok(()) };
        Arc::make_mut(restored).restore(&record)?;
        if is_snapshot {
            let mut alone = Device::new(config);
            alone.restore(&record)?;
            if alone != **restored {
                let how = "a snapshot restores something else without the records before it";
                return Err(Broken::new(Rule::AtLeastOnce, how));
            }
        }
        Ok(())
    }

    pub(super) fn power_cut(&mut self, config: &Config, whole: bool) -> Verdict {
        self.power_cuts -= 1;
        self.disconnect();
        if whole {
            self.keep(config)?;
        }
        self.writing = None;
        self.storing = Set::EMPTY;
        self.held = Set::EMPTY;
        let restored = self.restored.take().unwrap_or_else(|| Arc::new(Device::new(config)));
        let client = (*restored).clone();
        self.restored = (self.power_cuts > 0).then_some(restored);
        self.next = client.0.position() as u8;
        let handles = client.0.publishes().map(|(handle, _)| handle);
        self.requests.restarted(handles, self.next)?;
        self.order.restarted();
        self.sessions.restarted();
        self.versions = Versions::default();
        self.client = client;
        Ok(())
    }
}
