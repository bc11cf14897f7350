//! A task's last report in one 32-bit word, so that a feed is one store and a read is never torn.
//!
//! From the top: 3 bits hold the kind of report, 4 bits the checkpoint, 25 bits the time stamp (milliseconds, wrapping
//! after 9.3 hours). An age of up to 8.1 hours is computed correctly. So is a stamp up to 1.2 hours ahead of the
//! reader's clock: a feeder that interrupts the reader makes such a stamp.

use crate::time::Instant;

const STAMP_BITS: u32 = 25;
const SPAN: u32 = 1 << STAMP_BITS;
const STAMP_MASK: u32 = SPAN - 1;
const NUMBER_BITS: u32 = 4;
const NUMBER_MASK: u32 = (1 << NUMBER_BITS) - 1;
const KIND_SHIFT: u32 = STAMP_BITS + NUMBER_BITS;

/// A stamp up to this far ahead of the reader's clock is not mistaken for an old one, in milliseconds.
pub(crate) const MOST_AHEAD: u32 = 1 << 22;
/// The longest deadline or grant, in milliseconds: 4 hours.
pub(crate) const MOST_MILLIS: u32 = 4 * 60 * 60 * 1_000;
/// The longest time between two polls at which stamps are still valid, in milliseconds (4.2 hours).
pub(crate) const MOST_BETWEEN_POLLS: u32 = SPAN - MOST_AHEAD - MOST_MILLIS - 1;
/// The most checkpoints that a report can distinguish.
pub(crate) const MOST_STEPS: u8 = NUMBER_MASK as u8;

// The three fields fill the word: `Report::kind` has no bit pattern without a meaning.
const _: () = assert!(u32::BITS - KIND_SHIFT == 3 && Kind::Panicked as u32 == 7);
// A report that is just in time at one poll still looks old, and not ahead of the clock, at the next poll.
const _: () = assert!(MOST_MILLIS + MOST_BETWEEN_POLLS < SPAN - MOST_AHEAD);
// A stamp that is ahead of the clock has no short age.
const _: () = assert!(SPAN - MOST_AHEAD > MOST_MILLIS);
// At least four hours may pass between two polls.
const _: () = assert!(MOST_BETWEEN_POLLS >= MOST_MILLIS);

/// The kind of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No report yet. The task is awaited from the supervisor's start on.
    Ready = 0,
    /// The task fed.
    Fed = 1,
    /// The task took a grant.
    Granted = 2,
    /// The task is not awaited until it resumes.
    Paused = 3,
    /// The task fed before its window opened. This kind and the kinds below are final.
    Early = 4,
    /// The task reported a checkpoint that was not the next one.
    OutOfOrder = 5,
    /// The task ended without retiring first.
    Returned = 6,
    /// The task panicked.
    Panicked = 7,
}

/// The time from a stamp to another instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// The stamp is this many milliseconds before the instant.
    Past(u32),
    /// The stamp is this many milliseconds after the instant.
    Ahead(u32),
}

impl Kind {
    /// Whether the report is a fault, which stays.
    pub(crate) const fn is_fault(self) -> bool {
        self as u8 >= Self::Early as u8
    }
}

impl Age {
    /// The age in milliseconds; 0 for a stamp that is ahead.
    pub(crate) const fn millis(self) -> u32 {
        match self {
            Self::Past(millis) => millis,
            Self::Ahead(_) => 0,
        }
    }
}

/// A task's last report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Report(u32);

impl Report {
    /// No report yet.
    pub(crate) const READY: Self = Self(0);
    /// The task is not awaited until it resumes.
    pub(crate) const PAUSED: Self = Self((Kind::Paused as u32) << KIND_SHIFT);

    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    /// A report at `now`. `number` is the checkpoint reported last, counted from 1; 0 means none.
    pub(crate) const fn new(kind: Kind, number: u8, now: Instant) -> Self {
        debug_assert!(number <= MOST_STEPS, "the number of a checkpoint fits its four bits");
        let stamp = (now.as_millis() & STAMP_MASK as u64) as u32;
        Self((kind as u32) << KIND_SHIFT | (number as u32 & NUMBER_MASK) << STAMP_BITS | stamp)
    }

    /// A feed of a task without checkpoints.
    #[inline]
    pub(crate) const fn feed(now: Instant) -> Self {
        Self((Kind::Fed as u32) << KIND_SHIFT | now.as_millis() as u32 & STAMP_MASK)
    }

    /// Whether this is the report that [`feed`](Self::feed) makes.
    #[inline]
    pub(crate) const fn is_feed(self) -> bool {
        self.0 >> STAMP_BITS == (Kind::Fed as u32) << NUMBER_BITS
    }

    /// Whether this is a checkpoint of a task that has begun a round.
    #[inline]
    pub(crate) const fn is_checkpoint(self) -> bool {
        let above = self.0 >> STAMP_BITS;
        above > (Kind::Fed as u32) << NUMBER_BITS && above < (Kind::Granted as u32) << NUMBER_BITS
    }

    /// The same report with another number.
    pub(crate) const fn with_number(self, number: u8) -> Self {
        Self(self.0 & !(NUMBER_MASK << STAMP_BITS) | (number as u32 & NUMBER_MASK) << STAMP_BITS)
    }

    /// The same report, made `millis` milliseconds later, but not after `now`.
    pub(crate) const fn later(self, millis: u32, now: Instant) -> Self {
        let age = self.age(now).millis();
        let later = if millis < age { millis } else { age };
        Self(self.0 & !STAMP_MASK | self.0.wrapping_add(later) & STAMP_MASK)
    }

    pub(crate) const fn kind(self) -> Kind {
        match self.0 >> KIND_SHIFT {
            0 => Kind::Ready,
            1 => Kind::Fed,
            2 => Kind::Granted,
            3 => Kind::Paused,
            4 => Kind::Early,
            5 => Kind::OutOfOrder,
            6 => Kind::Returned,
            _ => Kind::Panicked,
        }
    }

    /// The checkpoint reported last, counted from 1; 0 means none.
    pub(crate) const fn number(self) -> u8 {
        (self.0 >> STAMP_BITS & NUMBER_MASK) as u8
    }

    /// The checkpoint that follows in a round of `steps`, counted from 0: the first one after a whole round, or after none.
    pub(crate) const fn next_step(self, steps: u8) -> u8 {
        if self.number() >= steps { 0 } else { self.number() }
    }

    /// The checkpoint reported last, counted from 0.
    pub(crate) const fn step(self) -> Option<u8> {
        self.number().checked_sub(1)
    }

    /// The time from the report to `now`, if it is at most [`MOST_MILLIS`]; otherwise more than that.
    #[inline]
    pub(crate) const fn short_age(self, now: Instant) -> u32 {
        (now.as_millis() as u32).wrapping_sub(self.0) & STAMP_MASK
    }

    /// The time from the report to `now`.
    pub(crate) const fn age(self, now: Instant) -> Age {
        let age = self.short_age(now);
        if age >= SPAN - MOST_AHEAD { Age::Ahead(SPAN - age) } else { Age::Past(age) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn a_report_returns_its_kind_number_and_time() {
        use Kind::{Early, Fed, Granted, OutOfOrder, Panicked, Paused, Ready, Returned};
        for kind in [Ready, Fed, Granted, Paused, Early, OutOfOrder, Returned, Panicked] {
            for number in 0..=MOST_STEPS {
                let report = Report::new(kind, number, at(0xFFFF_FFFF_FFFF));
                assert_eq!((report.kind(), report.number()), (kind, number));
                assert_eq!(report.age(at(0xFFFF_FFFF_FFFF)), Age::Past(0));
                assert_eq!(Report::from_bits(report.bits()), report);
            }
        }
        assert_eq!(Report::READY, Report::new(Ready, 0, at(0)));
        assert_eq!(Report::PAUSED, Report::new(Paused, 0, at(0)));
    }

    #[test]
    fn ages_are_right_at_every_wrap_of_the_stamp() {
        let longest = SPAN - MOST_AHEAD - 1;
        for start in [0, 1, u64::from(STAMP_MASK), u64::from(u32::MAX), 1 << 40, (1 << 40) + 12_345]
        {
            let report = Report::new(Kind::Fed, 0, at(start));
            for age in [0, 1, 1_000, MOST_MILLIS, MOST_MILLIS + MOST_BETWEEN_POLLS, longest] {
                assert_eq!(report.age(at(start + u64::from(age))), Age::Past(age), "{start}");
            }
        }
    }

    #[test]
    fn a_report_made_later_is_never_made_after_now() {
        let report = Report::new(Kind::Granted, 7, at(u64::from(SPAN) - 10));
        let now = at(u64::from(SPAN) + 90);
        for (millis, age) in [(0, 100), (1, 99), (60, 40), (100, 0), (101, 0), (MOST_MILLIS, 0)] {
            let later = report.later(millis, now);
            assert_eq!((later.kind(), later.number()), (Kind::Granted, 7));
            assert_eq!(later.age(now), Age::Past(age));
        }
    }

    #[test]
    fn a_stamp_ahead_of_the_clock_is_not_mistaken_for_an_old_one() {
        for now in [10_000_000, u64::from(u32::MAX) + 7, 1 << 41] {
            for ahead in [1, 1_000, MOST_AHEAD] {
                let report = Report::new(Kind::Fed, 0, at(now + u64::from(ahead)));
                assert_eq!(report.age(at(now)), Age::Ahead(ahead));
                assert_eq!(report.age(at(now)).millis(), 0);
            }
        }
    }
}
