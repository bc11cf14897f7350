//! The parts that all participants of a world share: clock, dice, agenda, ledger of messages, and checks.

use fastrand::Rng;

use crate::{
    agenda::{Agenda, Event},
    checks::{Invariant, Violation},
    faults::Fault,
    ledger::Ledger,
    quirks::Quirk,
    totals::Totals,
    trace::{Trace, What},
};

/// The world without its participants.
pub(crate) struct Stage<'t> {
    /// Milliseconds since the beginning.
    pub(crate) now: u64,
    pub(crate) rng: Rng,
    pub(crate) agenda: Agenda,
    pub(crate) ledger: Ledger,
    pub(crate) totals: Totals,
    /// The first promise that was broken.
    pub(crate) broken: Option<Violation>,
    /// Whether faults still occur.
    pub(crate) faults_on: bool,
    /// Nothing new is begun, and all that was begun has to be done.
    pub(crate) healing: bool,
    /// Outside of the world, so that it survives a panic.
    pub(crate) trace: &'t mut Trace,
}

impl<'t> Stage<'t> {
    pub(crate) fn new(rng: Rng, trace: &'t mut Trace) -> Self {
        Self {
            now: 0,
            rng,
            agenda: Agenda::default(),
            ledger: Ledger::default(),
            totals: Totals::default(),
            broken: None,
            faults_on: true,
            healing: false,
            trace,
        }
    }

    /// Plans `event` in `delay` milliseconds.
    pub(crate) fn plan(&mut self, delay: u64, event: Event) {
        self.agenda.plan(self.now.saturating_add(delay), event);
    }

    /// True once in `chances` times.
    pub(crate) fn one_in(&mut self, chances: u32) -> bool {
        self.rng.u32(..chances) == 0
    }

    /// As [`Stage::one_in`], and never once faults have stopped.
    pub(crate) fn fault_one_in(&mut self, chances: u32) -> bool {
        self.faults_on && self.one_in(chances)
    }

    /// Faults stop.
    pub(crate) fn heal(&mut self) {
        self.faults_on = false;
        self.healing = true;
        self.note(0, What::Heal);
    }

    /// Notes an event of `device`.
    pub(crate) fn note(&mut self, device: usize, what: What) {
        self.trace.note(self.now, device, what);
    }

    /// Notes and counts a fault of `device`.
    pub(crate) fn fault(&mut self, device: usize, fault: Fault) {
        self.totals.faults[fault as usize] += 1;
        self.note(device, What::Fault(fault));
    }

    /// Notes that a quirk shows at `device`.
    pub(crate) fn quirk(&mut self, device: usize, quirk: Quirk) {
        self.totals.shows(quirk);
        self.note(device, What::Quirk(quirk));
    }

    /// A promise is broken. Only the first one counts, and `words` is only called for it.
    pub(crate) fn fail(
        &mut self,
        invariant: Invariant,
        device: usize,
        words: impl FnOnce() -> String,
    ) {
        if self.broken.is_none() {
            self.broken = Some(Violation { invariant, device, at: self.now, words: words() });
        }
    }
}
