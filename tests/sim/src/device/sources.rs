//! Sources of payloads: the payload of a message, by its number. They may have no bytes for a while, or fail.

use mqtt_core::{Handle, Piece, SourceFault};
use test_kit::drive::Reading;

use super::{
    Device,
    hands::{Did, Hands},
};
use crate::{faults::Fault, ledger::Sent, quirks::Quirk};

/// The longest time for which a source has no bytes, in milliseconds.
const LONGEST_PAUSE: u64 = 5_000;

/// A source that has no bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paused {
    handle: Handle,
    until: u64,
}

impl Hands<'_, '_> {
    /// Reads some bytes of a source.
    pub(super) fn read_source(&mut self, piece: &Piece<'_>, space: &mut [u8]) -> Reading {
        let number = piece.source.get();
        self.stage.quirk(self.device, Quirk::FromSource);
        self.stage.ledger.write_payload(number, &mut self.payload);
        let rest = self.payload.get(piece.offset as usize..).unwrap_or_default();
        assert_eq!(rest.len(), piece.left as usize, "the offset is in the payload");
        // A driver that copies has shown these bytes to its transport.
        let writes = self.copying.as_ref().is_some_and(|(_, copying)| copying.is_under_way());
        if !writes && self.stage.fault_one_in(40) {
            return self.fails(piece);
        }
        if !writes && self.stage.fault_one_in(12) {
            return self.pauses(piece);
        }
        space.copy_from_slice(&rest[..space.len()]);
        Reading::Bytes(space.len())
    }

    fn fails(&mut self, piece: &Piece<'_>) -> Reading {
        self.stage.fault(self.device, Fault::SourceFails);
        // If it was shown before, its id stays out of use.
        let was_shown = self.stage.ledger.message(piece.source.get()).sent != Sent::Nothing;
        if let Some(id) = piece.handle.packet_id().filter(|_| was_shown) {
            self.stage.ledger.cancels_id(self.device, id.get());
        }
        self.did = Did::Source;
        Reading::Failed(SourceFault::Failed)
    }

    fn pauses(&mut self, piece: &Piece<'_>) -> Reading {
        self.stage.fault(self.device, Fault::SourcePauses);
        // The client was about to send its head, and does not know that none of it went out.
        let message = self.stage.ledger.message_mut(piece.source.get());
        if message.sent == Sent::Nothing {
            message.sent = Sent::Perhaps;
        }
        message.sent_to[self.tap.broker] = true;
        let until = self.stage.now + self.stage.rng.u64(1..=LONGEST_PAUSE);
        *self.paused = Some(Paused { handle: piece.handle, until });
        self.did = Did::Source;
        Reading::Pending
    }
}

impl Device {
    /// A source that had no bytes has some now.
    pub(super) fn source_goes_on(&mut self, now: u64) {
        let (Some(paused), Some(client)) = (self.paused, &mut self.client) else { return };
        if paused.until <= now {
            self.paused = None;
            self.waits_until = None;
            client.source_ready(paused.handle);
        }
    }

    /// When it has, counted from `now`.
    pub(super) fn source_pause(&self, now: u64) -> Option<u64> {
        self.paused.map(|paused| paused.until.saturating_sub(now).max(1))
    }
}
