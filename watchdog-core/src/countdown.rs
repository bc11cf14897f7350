//! [`Countdown`]: the classic software watchdog, one counter checked at each heartbeat.
//!
//! For a program with one loop, or as the last resort behind a supervisor: a timer calls
//! [`heartbeat`](Countdown::heartbeat), the work calls [`feed`](Countdown::feed), and when so many heartbeats have
//! passed without a feed it bites, for good. Several tasks, windows or checkpoints are what the
//! [`Supervisor`](crate::Supervisor) is for.
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
//! assert_eq!(COUNTDOWN.heartbeat(), Beat::Bitten, "a late feed rescues nothing");
//! ```
//!
//! Feeding stores the number of the current heartbeat instead of the counter itself: a counter would be decremented
//! by one side and reloaded by the other, and where the two meet a reload is lost. Invariants: only `heartbeat`
//! writes `beat` and `bitten`, only `feed` writes `fed`; each store is a single one.

use crate::sync::{AtomicBool, AtomicU32, Ordering, const_fn};

/// A counter that bites after so many heartbeats without a feed. Shared by reference: interrupts and other cores may
/// feed.
#[derive(Debug)]
pub struct Countdown {
    reload: u32,
    /// Heartbeats so far, wrapping.
    beat: AtomicU32,
    /// The heartbeat of the last feed.
    fed: AtomicU32,
    bitten: AtomicBool,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Countdown>() <= 16);

/// What a heartbeat came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub enum Beat {
    /// Heartbeats left until the bite, this one taken off.
    Left(u32),
    /// None is left: now. Told once.
    Bite,
    /// It has bitten before.
    Bitten,
}

impl Countdown {
    const_fn! {
        /// Bites at the heartbeat number `reload` after a feed, or after the start. 0 is taken for 1.
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

    /// Work has progressed: reloads the counter. One atomic load and one store; a feed that meets a heartbeat counts
    /// as one just before it.
    pub fn feed(&self) {
        self.fed.store(self.beat.load(Ordering::Acquire), Ordering::Release);
    }

    /// A heartbeat has passed. To be called from one place.
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

    /// Whether it has bitten. Then nothing may feed the hardware any more.
    #[must_use]
    pub fn has_bitten(&self) -> bool {
        self.bitten.load(Ordering::Acquire)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn it_can_be_shared_by_interrupts_and_cores() {
        fn shared<T: Send + Sync>(_: &T) {}
        shared(&Countdown::new(1));
    }

    #[test]
    fn it_bites_at_the_last_heartbeat_and_tells_so_once() {
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
    fn feeding_in_time_keeps_it_from_biting_through_the_wrap() {
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
