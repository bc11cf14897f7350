//! A driver that copies the bytes that it is shown, as one does whose transport works in the background.
//!
//! It writes the copy at once or later, and reports later how many bytes were taken, perhaps in parts. It takes events
//! and makes requests in between. Sometimes it never reports: its future is dropped, and the connection with it.

use mqtt_core::Instant;

use super::{Device, drive::CONGESTED};
use crate::{
    checks::Invariant,
    faults::Fault,
    link::{Link, Way},
    setup::Copies,
    stage::Stage,
};

/// The write in progress.
#[derive(Debug, Default)]
pub(super) struct Copying {
    /// The copy of the bytes that are not reported; empty: there is no write in progress.
    shown: Vec<u8>,
    /// The transport has taken so many of them.
    pub(super) taken: usize,
    /// When the driver goes on.
    pub(super) due: u64,
}

impl Copying {
    /// The connection is gone.
    pub(super) fn forget(&mut self) {
        self.shown.clear();
    }

    pub(super) fn is_under_way(&self) -> bool {
        !self.shown.is_empty()
    }

    /// A write of `bytes` begins. The transport has taken so many of them.
    pub(super) fn begin(&mut self, bytes: &[u8], taken: usize, due: u64) {
        self.shown.clear();
        self.shown.extend(bytes);
        self.taken = taken;
        self.due = due;
    }

    /// Bytes that were shown stay what they are until they are taken: `bytes` are shown now.
    pub(super) fn compare(&self, stage: &mut Stage<'_>, device: usize, bytes: &[u8]) {
        if bytes.starts_with(&self.shown) {
            return;
        }
        let differs = self.shown.iter().zip(bytes).position(|(before, now)| before != now);
        stage.fail(Invariant::Shown, device, || {
            let len = self.shown.len();
            match differs {
                Some(at) => format!("byte {at} of {len} that were shown is another one now"),
                None => format!("{len} bytes were shown, now {}", bytes.len()),
            }
        });
    }
}

impl Device {
    /// A driver that copies goes on: it writes, or reports some of the bytes that were taken.
    pub(super) fn goes_on_writing(&mut self, stage: &mut Stage<'_>, links: &mut [Link]) {
        let copying = &mut self.copying;
        let (Some(kind), Some(client), Some(link)) =
            (self.setup.copies, &mut self.client, self.link)
        else {
            return;
        };
        if !copying.is_under_way() || stage.now < copying.due {
            return;
        }
        if copying.taken == 0 {
            copying.taken = links[link].write(stage, Way::Up, &copying.shown);
            self.tap.sent(stage, self.index, client.protocol(), &copying.shown[..copying.taken]);
        }
        if copying.taken == 0 {
            copying.due = stage.now + CONGESTED;
            return;
        }
        self.waits_until = None;
        self.last_sent = stage.now;
        if stage.fault_one_in(24) {
            // Nobody reports the bytes, and the connection ends.
            stage.fault(self.index, Fault::DroppedWrite);
            self.close(stage, links);
            return;
        }
        let count = match kind {
            Copies::WritesLate => copying.taken,
            Copies::ReportsLate => stage.rng.usize(1..=copying.taken),
        };
        client.transmitted(count, Instant::from_millis(stage.now));
        if count == copying.taken {
            // Bytes that the transport did not take are shown again.
            copying.forget();
        } else {
            copying.shown.drain(..count);
            copying.taken -= count;
            copying.due = stage.now + stage.rng.u64(1..50);
        }
    }
}
