//! The hands of a driver: what a single action does outside the client.

use mqtt_core::{Piece, Protocol, Reason, Record};
use test_kit::drive::{Opening, Persisting, Reading, World};

use super::{copying::Copying, record_log::Journal, sources::Paused, tap::Tap};
use crate::{
    checks::Invariant,
    faults::Fault,
    link::{Link, Way},
    quirks::Quirk,
    setup::Copies,
    stage::Stage,
};

/// The effect of an action outside the client. The device reacts to it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Did {
    Nothing,
    Connect(u8),
    Close(Reason),
    Persist,
    Transmit {
        link: usize,
        taken: usize,
    },
    /// The bytes are copied, and written later.
    Copy,
    /// A source has given no bytes.
    Source,
}

/// The world of the client for the time of one action: the parts of the device that are not the client.
pub(super) struct Hands<'h, 's> {
    pub(super) stage: &'h mut Stage<'s>,
    pub(super) links: &'h mut [Link],
    pub(super) device: usize,
    pub(super) endpoints: u8,
    pub(super) protocol: Protocol,
    pub(super) link: Option<usize>,
    pub(super) tap: &'h mut Tap,
    pub(super) journal: Option<&'h mut Journal>,
    /// For a driver that copies.
    pub(super) copying: Option<(Copies, &'h mut Copying)>,
    /// For the bytes of a source.
    pub(super) payload: Vec<u8>,
    pub(super) paused: &'h mut Option<Paused>,
    pub(super) did: Did,
}

impl<B, S> World<B, S> for Hands<'_, '_> {
    fn connect(&mut self, endpoint: u8) -> Opening {
        if endpoint >= self.endpoints {
            let words = || format!("endpoint {endpoint}");
            self.stage.fail(Invariant::Protocol, self.device, words);
        }
        self.did = Did::Connect(endpoint);
        Opening::Later
    }

    fn close(&mut self, reason: Reason) {
        self.did = Did::Close(reason);
    }

    fn persist(&mut self, record: &Record<'_>) -> Persisting {
        let journal = self.journal.as_mut().expect("only with a journal");
        journal.begin(self.stage, self.device, record);
        self.did = Did::Persist;
        Persisting::NotYet
    }

    fn read(&mut self, piece: &Piece<'_>, space: &mut [u8]) -> Reading {
        self.read_source(piece, space)
    }

    fn transmit(&mut self, bytes: &[u8]) -> usize {
        let mut len = bytes.len();
        if len > 1 && self.stage.fault_one_in(16) {
            self.stage.fault(self.device, Fault::ShortWrite);
            len = self.stage.rng.usize(1..len);
        }
        let Some(link) = self.link else {
            let words = || "bytes for no link".to_owned();
            self.stage.fail(Invariant::Protocol, self.device, words);
            return 0;
        };
        if self.copying.is_some() {
            self.copy(link, bytes, len);
            return 0;
        }
        let taken = self.links[link].write(self.stage, Way::Up, &bytes[..len]);
        self.tap.sent(self.stage, self.device, self.protocol, &bytes[..taken]);
        self.tap.shown(self.stage, self.device, &bytes[taken..]);
        self.did = Did::Transmit { link, taken };
        taken
    }
}

impl Hands<'_, '_> {
    /// Copies `bytes`, and writes the first `len` of them now or later.
    fn copy(&mut self, link: usize, bytes: &[u8], len: usize) {
        self.did = Did::Copy;
        let Some((kind, copying)) = &mut self.copying else { return };
        if copying.is_under_way() {
            copying.compare(self.stage, self.device, bytes);
            let rest = bytes.get(copying.taken..).unwrap_or_default();
            self.tap.shown(self.stage, self.device, rest);
            return;
        }
        let due = self.stage.now + self.stage.rng.u64(..150);
        let (quirk, now) = match kind {
            Copies::WritesLate => (Quirk::WritesLate, 0),
            Copies::ReportsLate => (Quirk::ReportsLate, len),
        };
        self.stage.quirk(self.device, quirk);
        let taken = self.links[link].write(self.stage, Way::Up, &bytes[..now]);
        copying.begin(&bytes[..len], taken, due);
        self.tap.sent(self.stage, self.device, self.protocol, &bytes[..taken]);
        self.tap.shown(self.stage, self.device, &bytes[taken..]);
    }
}
