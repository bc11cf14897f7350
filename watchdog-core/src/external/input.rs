//! The inputs that drive the WDI pin: [`Toggle`] or [`Pulse`]. They store the level of the pin, because a plain output
//! pin cannot be read. They cannot be cloned: a clone would not know the level, and could feed without the supervisor.
//!
//! A feed is a series of steps without waits ([`Steps`]); between the steps its driver waits until the chip has
//! detected the level. [`Input`] waits by blocking, `AsyncInput` (feature `embedded-hal-async`) by `.await`. Both run
//! the same steps.
//!
//! Invariants: if a feed returns `Counted::Yes`, the chip has counted an edge, whatever failed or was cancelled before,
//! and however short the time since the last edge is: each level lasts at least the chip's shortest pulse. For a chip
//! with a window, one feed makes at most one edge that counts. A feed may stop between any two steps: the level is
//! known then, and the next feed lets it last first.

use core::fmt::Debug;

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{OutputPin, PinState};

use crate::chips::{Edge, Profile};

/// Whether the chip has counted an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Counted {
    /// It has.
    Yes,
    /// The level before was unknown, so the change may have been an edge or none. The level is known now: the next
    /// change is an edge.
    Perhaps,
}

/// The next step of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The level has to last for the chip's [shortest pulse](Profile::min_pulse) from now on. Wait, call
    /// [`Steps::held`], and go on.
    Wait,
    /// The feed is done.
    Done(Counted),
}

/// How far a feed has got. Each feed begins with [`Progress::Begun`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Progress {
    /// No level was set.
    Begun,
    /// The level was unknown, and a known one was set.
    Known,
    /// The edge that counts was made.
    Edge,
}

/// A way to feed a chip at its WDI pin, in steps that do not wait.
pub trait Steps {
    /// The error of the pin.
    type Error: Debug;

    /// Whether this input can feed the chip: each feed makes an edge that counts, and none that is a fault.
    fn suits(&self, chip: &Profile) -> bool;

    /// Brings the pin to its resting level, from which the first feed starts. This is not called while the pin may be
    /// driven already.
    ///
    /// # Errors
    ///
    /// The error of the pin.
    fn rest(&mut self, chip: &Profile) -> Result<(), Self::Error>;

    /// Takes the next step towards an edge that the chip counts. If the chip has a window, a feed makes one such edge
    /// and no second one.
    ///
    /// # Errors
    ///
    /// The error of the pin. The chip may have seen the edge or not.
    fn step(&mut self, progress: &mut Progress, chip: &Profile) -> Result<Step, Self::Error>;

    /// The wait after the last step is over.
    fn held(&mut self);
}

/// An input that blocks while a level has to last.
pub trait Input: Steps {
    /// Blocks for this time.
    fn wait(&mut self, nanos: u32);

    /// Makes an edge that the chip counts, by [`steps`](Steps::step) and [waits](Self::wait).
    ///
    /// # Errors
    ///
    /// As [`Steps::step`].
    fn edge(&mut self, chip: &Profile) -> Result<Counted, Self::Error> {
        let mut progress = Progress::Begun;
        loop {
            match self.step(&mut progress, chip)? {
                Step::Wait => {
                    self.wait(chip.feeding().pulse_nanos);
                    self.held();
                }
                Step::Done(counted) => return Ok(counted),
            }
        }
    }
}

/// A pin and its level.
#[derive(Debug, PartialEq, Eq)]
struct Wire<P> {
    pin: P,
    /// `None`: the level is unknown.
    level: Option<PinState>,
    /// Whether the level has not lasted for the shortest pulse yet.
    fresh: bool,
}

impl<P> Wire<P> {
    const fn new(pin: P) -> Self {
        Self { pin, level: None, fresh: false }
    }
}

impl<P: OutputPin> Wire<P> {
    fn set(&mut self, level: PinState) -> Result<(), P::Error> {
        // If the pin fails, its level is unknown.
        self.level = None;
        self.fresh = false;
        self.pin.set_state(level)?;
        self.level = Some(level);
        self.fresh = true;
        Ok(())
    }
}

/// Feeds by a change of level, for chips that count [either edge](Edge::Either).
///
/// The pin is high half of the time. With a 1 kΩ resistor to ground, 3.3 mA flow then; [`Pulse`] saves this current.
#[derive(Debug, PartialEq, Eq)]
pub struct Toggle<P, D> {
    wire: Wire<P>,
    pub(super) delay: D,
}

impl<P, D> Toggle<P, D> {
    /// Toggles this pin. Without the delay after each change, two changes in a row could be a pulse that is too short
    /// for the chip, and the chip would see neither edge.
    pub fn new(wdi: P, delay: D) -> Self {
        Self { wire: Wire::new(wdi), delay }
    }

    /// The pin and the delay, in their current state.
    pub fn release(self) -> (P, D) {
        (self.wire.pin, self.delay)
    }
}

impl<P: OutputPin, D> Steps for Toggle<P, D> {
    type Error = P::Error;

    fn suits(&self, chip: &Profile) -> bool {
        chip.edge() == Edge::Either
    }

    fn rest(&mut self, _: &Profile) -> Result<(), P::Error> {
        self.wire.set(PinState::Low)
    }

    fn step(&mut self, progress: &mut Progress, chip: &Profile) -> Result<Step, P::Error> {
        if self.wire.fresh {
            return Ok(Step::Wait);
        }
        let level = match (*progress, self.wire.level) {
            (Progress::Begun, Some(level)) => {
                *progress = Progress::Edge;
                !level
            }
            // From any level, one of the two changes is an edge. Perhaps both are, and the window allows one.
            (Progress::Begun, None) => {
                *progress = Progress::Known;
                PinState::Low
            }
            (Progress::Known, _) if chip.has_window() => return Ok(Step::Done(Counted::Perhaps)),
            (Progress::Known, _) => {
                *progress = Progress::Edge;
                PinState::High
            }
            (Progress::Edge, _) => return Ok(Step::Done(Counted::Yes)),
        };
        self.wire.set(level)?;
        Ok(Step::Wait)
    }

    fn held(&mut self) {
        self.wire.fresh = false;
    }
}

impl<P: OutputPin, D: DelayNs> Input for Toggle<P, D> {
    fn wait(&mut self, nanos: u32) {
        self.delay.delay_ns(nanos);
    }
}

/// Feeds by a pulse of the chip's shortest length. For every chip without a window, and for chips that count one kind
/// of edge.
///
/// The pin rests at the level from which the counted edge starts: low, or high for chips that count
/// [falling edges](Edge::Falling).
#[derive(Debug, PartialEq, Eq)]
pub struct Pulse<P, D> {
    wire: Wire<P>,
    pub(super) delay: D,
}

impl<P, D> Pulse<P, D> {
    /// Makes pulses at this pin, and waits with this delay.
    pub fn new(wdi: P, delay: D) -> Self {
        Self { wire: Wire::new(wdi), delay }
    }

    /// The pin and the delay, in their current state.
    pub fn release(self) -> (P, D) {
        (self.wire.pin, self.delay)
    }
}

impl<P: OutputPin, D> Steps for Pulse<P, D> {
    type Error = P::Error;

    fn suits(&self, chip: &Profile) -> bool {
        chip.edge() != Edge::Either || !chip.has_window()
    }

    fn rest(&mut self, chip: &Profile) -> Result<(), P::Error> {
        self.wire.set(resting_level(chip))
    }

    fn step(&mut self, progress: &mut Progress, chip: &Profile) -> Result<Step, P::Error> {
        if self.wire.fresh {
            return Ok(Step::Wait);
        }
        let rest = resting_level(chip);
        let level = match (self.wire.level == Some(rest), *progress) {
            (true, Progress::Edge) => return Ok(Step::Done(Counted::Yes)),
            (true, Progress::Begun | Progress::Known) => {
                *progress = Progress::Edge;
                !rest
            }
            (false, _) => rest,
        };
        self.wire.set(level)?;
        Ok(Step::Wait)
    }

    fn held(&mut self) {
        self.wire.fresh = false;
    }
}

impl<P: OutputPin, D: DelayNs> Input for Pulse<P, D> {
    fn wait(&mut self, nanos: u32) {
        self.delay.delay_ns(nanos);
    }
}

fn resting_level(chip: &Profile) -> PinState {
    match chip.edge() {
        Edge::Falling => PinState::High,
        Edge::Rising | Edge::Either => PinState::Low,
    }
}
