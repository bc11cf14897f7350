//! A small table of named deadlines.
//!
//! Keep alive moves its deadline with every write, so `set` has to be cheap. [`Timers::due`] compares with a lower
//! bound, and searches the table only if that has passed. [`Timers::next`], which is called before a wait, is exact.

use crate::time::Instant;

/// The purpose of a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// Connecting (transport and CONNACK) or sending the DISCONNECT takes too long. While a connection is up: a message
    /// that was passed over is overdue.
    Connect,
    /// No bytes were sent for three quarters of the keep alive.
    KeepAlive,
    /// No bytes were received for three quarters of the keep alive.
    Silence,
    /// A PINGRESP is overdue.
    PingResponse,
    /// A PUBREL is overdue, while messages are passed over.
    Release,
    /// A PUBCOMP is overdue, while packet ids are reclaimed.
    Reclaim,
    /// An answer to a request is overdue.
    Answer,
    /// The client has refused input for too long.
    Unread,
    /// The transport has taken no bytes though some are ready.
    Stall,
    /// The next attempt to connect. While a connection is up: the return to the first broker.
    Reconnect,
    /// The connection has lasted long enough to forget failed attempts.
    Stable,
    /// A change that may be recorded late has waited long enough.
    Record,
}

const ALL: [Timer; 12] = [
    Timer::Connect,
    Timer::PingResponse,
    Timer::Release,
    Timer::Reclaim,
    Timer::Answer,
    Timer::Unread,
    Timer::Stall,
    Timer::KeepAlive,
    Timer::Silence,
    Timer::Reconnect,
    Timer::Stable,
    Timer::Record,
];

#[derive(Clone, Debug, Hash)]
pub(crate) struct Timers {
    deadlines: [Instant; ALL.len()],
    /// No deadline is earlier than this one.
    bound: Instant,
}

impl Timers {
    pub(crate) const fn new() -> Self {
        Self { deadlines: [Instant::FAR_FUTURE; ALL.len()], bound: Instant::FAR_FUTURE }
    }

    fn slot(&mut self, timer: Timer) -> Option<&mut Instant> {
        self.deadlines.get_mut(timer as usize)
    }

    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        if let Some(deadline) = self.slot(timer) {
            *deadline = at;
        }
        self.bound = self.bound.min(at);
    }

    pub(crate) fn clear(&mut self, timer: Timer) {
        if let Some(deadline) = self.slot(timer) {
            *deadline = Instant::FAR_FUTURE;
        }
    }

    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.deadlines.get(timer as usize).is_some_and(|at| *at != Instant::FAR_FUTURE)
    }

    /// Moves a deadline that is set to `at`, if `at` is later.
    pub(crate) fn postpone(&mut self, timer: Timer, at: Instant) {
        let deadline = self.deadlines.get(timer as usize).copied();
        if let Some(deadline) = deadline.filter(|deadline| *deadline != Instant::FAR_FUTURE) {
            // If it rested, the bound may be later than it is.
            self.set(timer, deadline.max(at));
        }
    }

    pub(crate) fn clear_all(&mut self) {
        *self = Self::new();
    }

    /// Whether [`Timers::due`] is worth a call.
    pub(crate) fn may_be_due(&self, now: Instant) -> bool {
        now >= self.bound
    }

    /// `timers` as a set of bits.
    pub(crate) const fn set_of(timers: &[Timer]) -> u16 {
        let mut set = 0;
        let mut rest = timers;
        while let [timer, behind @ ..] = rest {
            set |= 1 << *timer as u8;
            rest = behind;
        }
        set
    }

    /// Whether a deadline of this set has passed.
    pub(crate) fn has_passed(&self, set: u16, now: Instant) -> bool {
        self.first_passed(set, now).is_some()
    }

    /// The most urgent deadline of this set that has passed.
    #[inline(never)] // for less flash
    fn first_passed(&self, set: u16, now: Instant) -> Option<Timer> {
        // Also at `FAR_FUTURE` only a deadline that was set has passed.
        let passed = |at: &Instant| *at <= now && *at != Instant::FAR_FUTURE;
        ALL.into_iter().find(|timer| {
            set & 1 << *timer as u8 != 0 && self.deadlines.get(*timer as usize).is_some_and(passed)
        })
    }

    /// Takes the most urgent deadline that has passed. Those of `unproven` and of `resting` stay; the latter are as if
    /// they were not set.
    pub(crate) fn due(&mut self, now: Instant, unproven: u16, resting: u16) -> Option<Timer> {
        if self.may_be_due(now) { self.search(now, unproven, resting) } else { None }
    }

    fn search(&mut self, now: Instant, unproven: u16, resting: u16) -> Option<Timer> {
        let due = self.first_passed(!(unproven | resting), now);
        match due {
            Some(timer) => {
                self.clear(timer);
                Some(timer)
            }
            None => {
                self.bound = self.next(resting);
                None
            }
        }
    }

    /// The earliest deadline after `now` that is not among `resting`; `FAR_FUTURE` if there is none.
    #[cfg(feature = "embedded-io-async")]
    pub(crate) fn next_after(&self, now: Instant, resting: u16) -> Instant {
        let counts =
            |&(timer, deadline): &(usize, &Instant)| resting & 1 << timer == 0 && *deadline > now;
        let later = self.deadlines.iter().enumerate().filter(counts);
        later.map(|(_, deadline)| *deadline).min().unwrap_or(Instant::FAR_FUTURE)
    }

    /// The earliest deadline that is not among `resting`; `FAR_FUTURE` if none is set.
    #[inline(never)] // for less flash
    pub(crate) fn next(&self, resting: u16) -> Instant {
        let mut earliest = Instant::FAR_FUTURE;
        for (timer, deadline) in self.deadlines.iter().enumerate() {
            if resting & 1 << timer == 0 {
                earliest = earliest.min(*deadline);
            }
        }
        earliest
    }
}

#[cfg(test)]
mod tests {
    use super::{Timer, Timers};
    use crate::time::Instant;

    const fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn a_deadline_is_due_at_its_instant_and_once() {
        let mut timers = Timers::new();
        timers.set(Timer::KeepAlive, at(10));
        assert_eq!(timers.due(at(9), 0, 0), None);
        assert_eq!(timers.due(at(10), 0, 0), Some(Timer::KeepAlive));
        assert_eq!(timers.due(at(10), 0, 0), None);
    }

    #[test]
    fn the_next_deadline_is_exact_after_one_moved_away() {
        let mut timers = Timers::new();
        timers.set(Timer::KeepAlive, at(10));
        timers.set(Timer::KeepAlive, at(30));
        timers.set(Timer::Stable, at(20));
        assert_eq!(timers.next(0), at(20));
        assert_eq!(timers.due(at(15), 0, 0), None);
        timers.clear(Timer::Stable);
        assert_eq!(timers.next(0), at(30));
    }

    #[test]
    fn a_missing_pingresp_is_reported_before_a_keep_alive_of_the_same_instant() {
        let mut timers = Timers::new();
        timers.set(Timer::KeepAlive, at(5));
        timers.set(Timer::PingResponse, at(5));
        assert_eq!(timers.due(at(6), 0, 0), Some(Timer::PingResponse));
        assert_eq!(timers.due(at(6), 0, 0), Some(Timer::KeepAlive));
    }

    #[test]
    fn a_deadline_that_proves_nothing_yet_stays() {
        let mut timers = Timers::new();
        timers.set(Timer::PingResponse, at(5));
        timers.set(Timer::Stable, at(7));
        let but = Timers::set_of(&[Timer::PingResponse]);
        assert_eq!(timers.due(at(6), but, 0), None);
        assert_eq!(timers.due(at(7), but, 0), Some(Timer::Stable));
        assert_eq!((timers.due(at(7), but, 0), timers.next(0)), (None, at(5)));
        assert_eq!(timers.due(at(7), 0, 0), Some(Timer::PingResponse));
    }

    #[test]
    fn a_deadline_that_rests_is_as_if_it_were_not_set() {
        let mut timers = Timers::new();
        timers.set(Timer::Answer, at(5));
        timers.set(Timer::Stable, at(9));
        let resting = Timers::set_of(&[Timer::Answer]);
        assert_eq!((timers.due(at(6), 0, resting), timers.next(resting)), (None, at(9)));
        timers.postpone(Timer::Answer, at(3));
        assert_eq!(timers.due(at(6), 0, 0), Some(Timer::Answer), "it was late already");
        timers.postpone(Timer::Answer, at(3));
        assert_eq!(timers.next(0), at(9), "it is not set");
        timers.postpone(Timer::Stable, at(20));
        assert_eq!(timers.next(0), at(20));
    }

    #[test]
    fn the_last_instant_is_no_deadline() {
        let mut timers = Timers::new();
        assert_eq!(timers.due(Instant::FAR_FUTURE, 0, 0), None);
        timers.set(Timer::Connect, at(1));
        assert_eq!(timers.due(Instant::FAR_FUTURE, 0, 0), Some(Timer::Connect));
    }
}
