//! The journal of a device: a log of records that survives a power cut. The last record may be whole, torn or missing.

use mqtt_core::{BoxedClient, Record, RestoreError};

use crate::{checks::Invariant, stage::Stage, trace::What};

/// The log.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    bytes: Vec<u8>,
    /// Where each record ends. Bytes behind the last end are a torn record.
    ends: Vec<usize>,
    /// The record that is being written, and whether it replaces all records before it.
    record: Vec<u8>,
    snapshot: bool,
}

impl Journal {
    /// Bytes in the log.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// `record` is to be written.
    pub(crate) fn begin(&mut self, stage: &mut Stage<'_>, device: usize, record: &Record<'_>) {
        self.record.clear();
        for chunk in record.chunks() {
            self.record.extend(chunk.as_ref());
        }
        self.snapshot = record.is_snapshot();
        if record.len() != self.record.len() {
            stage.fail(Invariant::Journal, device, || {
                format!("a record of {} bytes has {}", record.len(), self.record.len())
            });
        }
    }

    /// All of the record is in the log.
    pub(crate) fn append(&mut self, stage: &mut Stage<'_>, device: usize) {
        self.bytes.extend(&self.record);
        self.ends.push(self.bytes.len());
        stage.totals.records += 1;
        stage.totals.snapshots += u64::from(self.snapshot);
        let len = self.record.len() as u32;
        stage.note(device, What::Recorded { len, snapshot: self.snapshot });
    }

    /// Power fails in the middle of the record.
    pub(crate) fn tear(&mut self, stage: &mut Stage<'_>) {
        let written = stage.rng.usize(1..self.record.len());
        self.bytes.extend(&self.record[..written]);
    }

    /// If the last record is a snapshot, drops the records before it.
    pub(crate) fn trim(&mut self) {
        if std::mem::take(&mut self.snapshot) {
            let last = self.bytes.len() - self.record.len();
            self.bytes.drain(..last);
            self.ends.clear();
            self.ends.push(self.bytes.len());
        }
    }

    /// Hands all records to a new client.
    pub(crate) fn restore(
        &mut self,
        stage: &mut Stage<'_>,
        device: usize,
        client: &mut BoxedClient,
    ) {
        let mut start = 0;
        for end in &self.ends {
            if let Err(error) = client.restore(&self.bytes[start..*end]) {
                stage.fail(Invariant::Journal, device, || {
                    format!("record from {start} to {end} of the log: {error}")
                });
            }
            start = *end;
        }
        if start != self.bytes.len() {
            let torn = client.restore(&self.bytes[start..]);
            if torn != Err(RestoreError::Torn) {
                stage.fail(Invariant::Journal, device, || format!("a torn record: {torn:?}"));
            }
            self.bytes.truncate(start);
        }
        let records = self.ends.len() as u32;
        stage.totals.restores += u64::from(records != 0);
        stage.note(device, What::Restored { records, position: client.position() });
    }
}
