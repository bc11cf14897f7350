//! Runs: the run of one seed, or of many seeds on several threads. The number of threads changes no result.

use std::{
    cell::RefCell,
    panic::{self, AssertUnwindSafe},
    sync::{
        Mutex, Once, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use crate::{
    chart as drawing,
    checks::{Invariant, Violation},
    fleet::{self, Fleet},
    quirks::Quirk,
    totals::Totals,
    trace::Trace,
    world::World,
};

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// A hash of everything that happened. It is the same for the same seed.
    pub hash: u64,
    /// The promise that was broken.
    pub violation: Option<Violation>,
    /// The numbers of the run.
    pub totals: Totals,
}

/// The run of a seed.
#[must_use]
pub fn run(seed: u64) -> Outcome {
    traced(seed, true, &mut Trace::default())
}

/// The run of a seed in a world where nothing goes wrong.
#[must_use]
pub fn run_without_faults(seed: u64) -> Outcome {
    traced(seed, false, &mut Trace::default())
}

/// The last events in the run of a seed, as Mermaid text: `most` notes of the device that broke a promise.
#[must_use]
pub fn chart(seed: u64, most: usize) -> String {
    let mut trace = Trace::keeping();
    let outcome = traced(seed, true, &mut trace);
    drawing::draw(
        seed,
        outcome.violation.as_ref(),
        trace.notes.as_deref().unwrap_or_default(),
        most,
    )
}

fn traced(seed: u64, faults: bool, trace: &mut Trace) -> Outcome {
    listen();
    HEARD.set(Some(String::new()));
    let ran = panic::catch_unwind(AssertUnwindSafe(|| {
        if faults && fleet::is_one(seed) {
            let mut fleet = Fleet::new(seed, trace);
            fleet.run();
            return (fleet.stage.broken.take(), std::mem::take(&mut fleet.stage.totals));
        }
        let mut world = World::new(seed, faults, trace);
        world.run();
        (world.stage.broken.take(), std::mem::take(&mut world.stage.totals))
    }));
    let words = HEARD.take().unwrap_or_default();
    let (at, device) = trace.last;
    let (violation, mut totals) = ran.unwrap_or_else(|_| {
        let violation = Violation { invariant: Invariant::Panic, device, at, words };
        (Some(violation), Totals::default())
    });
    totals.end(violation.is_some());
    Outcome { hash: trace.hash(), violation, totals }
}

thread_local! {
    /// The message of a panic in the run in progress; `None`: this thread runs nothing.
    static HEARD: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the panics of runs, and passes all others on to the hook that was there before.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let ours = HEARD.with_borrow_mut(|heard| match heard {
                Some(words) => {
                    *words = info.to_string();
                    true
                }
                None => false,
            });
            if !ours {
                before(info);
            }
        }));
    });
}

/// A seed that broke a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The promise that it broke.
    pub violation: Violation,
    /// The quirks that showed.
    pub quirks: Vec<Quirk>,
}

impl Failure {
    /// The command line that replays it.
    #[must_use]
    pub fn replay(&self) -> String {
        format!("cargo xtask sim --seeds 1 --from {}", self.seed)
    }
}

/// Many seeds.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// The first one.
    pub from: u64,
    /// How many.
    pub seeds: u64,
    /// Threads to run them on; 0 counts as 1.
    pub threads: usize,
    /// Whether to stop at the first failure that is found. Which failure that is may depend on the threads.
    pub stop_at_first: bool,
}

impl Campaign {
    /// Runs all seeds. Returns the totals and the failures, the lowest seed first.
    #[must_use]
    pub fn run(&self) -> (Totals, Vec<Failure>) {
        let next = AtomicU64::new(0);
        let sum = Mutex::new((Totals::default(), Vec::new()));
        thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(|| {
                    let mut totals = Totals::default();
                    loop {
                        let nth = next.fetch_add(1, Ordering::Relaxed);
                        if nth >= self.seeds {
                            break;
                        }
                        let seed = self.from.wrapping_add(nth);
                        let outcome = run(seed);
                        totals.add(&outcome.totals);
                        if let Some(violation) = outcome.violation {
                            let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
                            let quirks = outcome.totals.quirks_shown();
                            sum.1.push(Failure { seed, violation, quirks });
                            if self.stop_at_first {
                                next.store(self.seeds, Ordering::Relaxed);
                            }
                        }
                    }
                    sum.lock().unwrap_or_else(PoisonError::into_inner).0.add(&totals);
                });
            }
        });
        let (totals, mut failures) = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
        failures.sort_by_key(|failure| failure.seed.wrapping_sub(self.from));
        (totals, failures)
    }
}
