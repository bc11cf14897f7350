//! [`Countdown`]: the classic software watchdog, one counter checked at each heartbeat.
//!
//! For a program with one loop, or as the last resort behind a supervisor. A timer calls
//! [`heartbeat`](Countdown::heartbeat), and the work calls [`feed`](Countdown::feed). After a given number of
//! heartbeats without a feed the countdown bites, and stays bitten. For several tasks, windows or checkpoints use the
//! [`Supervisor`](crate::Supervisor).
//!
//! ```
//! use watchdog_core::{Beat, Countdown};
//!
//! static COUNTDOWN: Countdown = Countdown::new(3);
//!
//! assert_eq!(COUNTDOWN.heartbeat(), Beat::Left(2));
//! COUNTDOWN.feed();
//! assert_eq!(COUNTDOWN.heartbeat(), Beat::Left(2));
//! assert_eq!(COUNTDOWN.heartbeat(), Beat::Left(1));
//! assert_eq!(COUNTDOWN.heartbeat(), Beat::Bite);
//! COUNTDOWN.feed();
//! assert_eq!(COUNTDOWN.heartbeat(), Beat::Bitten, "a late feed changes nothing");
//! ```
//!
//! A feed stores the number of the current heartbeat; it does not reload a counter. If one side decremented a counter
//! and the other side reloaded it, a reload could be lost when the two meet. Invariants: only `heartbeat` writes `beat`
//! and `bitten`, only `feed` writes `fed`; each write is a single store.

use crate::sync::{AtomicBool, AtomicU32, Ordering, const_fn};

/// A counter that bites after a given number of heartbeats without a feed. It is shared by reference: interrupts and
/// other cores may feed it.
#[derive(Debug)]
pub struct Countdown {
    reload: u32,
    /// The number of heartbeats so far, wrapping.
    beat: AtomicU32,
    /// The number of the heartbeat at the last feed.
    fed: AtomicU32,
    bitten: AtomicBool,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Countdown>() <= 16);

/// The result of a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub enum Beat {
    /// The number of heartbeats left until the bite, after this one.
    Left(u32),
    /// No heartbeat is left: bite now. Returned once.
    Bite,
    /// The countdown has bitten before.
    Bitten,
}

impl Countdown {
    const_fn! {
        /// Bites at the `reload`-th heartbeat after a feed or after the start. 0 counts as 1.
        #[must_use]
        pub fn new(reload: u32) -> Self {
            Self {
                reload: if reload == 0 { 1 } else { reload },
                beat: AtomicU32::new(0),
                fed: AtomicU32::new(0),
                bitten: AtomicBool::new(false),
            }
        }
    }

    /// Reports that work has progressed, which reloads the countdown. One atomic load and one store. A feed during a
    /// heartbeat counts as a feed just before it.
    pub fn feed(&self) {
        self.fed.store(self.beat.load(Ordering::Acquire), Ordering::Release);
    }

    /// Counts a heartbeat. Call it from one place only.
    pub fn heartbeat(&self) -> Beat {
        if self.bitten.load(Ordering::Relaxed) {
            return Beat::Bitten;
        }
        let beat = self.beat.load(Ordering::Relaxed).wrapping_add(1);
        self.beat.store(beat, Ordering::Release);
        let passed = beat.wrapping_sub(self.fed.load(Ordering::Acquire));
        match self.reload.checked_sub(passed) {
            Some(0) | None => {
                self.bitten.store(true, Ordering::Release);
                Beat::Bite
            }
            Some(left) => Beat::Left(left),
        }
    }

    /// Whether the countdown has bitten. If so, do not feed the hardware any more.
    #[must_use]
    pub fn has_bitten(&self) -> bool {
        self.bitten.load(Ordering::Acquire)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_countdown_can_be_shared_by_interrupts_and_cores() {
        fn shared<T: Send + Sync>(_: &T) {}
        shared(&Countdown::new(1));
    }

    #[test]
    fn a_countdown_bites_at_the_last_heartbeat_and_returns_the_bite_once() {
        for reload in [1, 2, 10] {
            let countdown = Countdown::new(reload);
            for left in (1..reload).rev() {
                assert_eq!(countdown.heartbeat(), Beat::Left(left));
            }
            assert!(!countdown.has_bitten());
            assert_eq!(countdown.heartbeat(), Beat::Bite);
            countdown.feed();
            assert_eq!((countdown.heartbeat(), countdown.has_bitten()), (Beat::Bitten, true));
        }
        assert_eq!(Countdown::new(0).heartbeat(), Beat::Bite);
    }

    #[test]
    fn feeds_in_time_prevent_the_bite_also_when_the_numbers_wrap() {
        let countdown = Countdown::new(2);
        let start = u32::MAX - 3;
        countdown.beat.store(start, Ordering::Relaxed);
        countdown.fed.store(start, Ordering::Relaxed);
        for _ in 0..8 {
            assert_eq!(countdown.heartbeat(), Beat::Left(1));
            countdown.feed();
        }
        assert_eq!(countdown.heartbeat(), Beat::Left(1));
        assert_eq!(countdown.heartbeat(), Beat::Bite);
    }
}
