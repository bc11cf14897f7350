//! A board with a watchdog chip, simulated in virtual time from the data of the chip's [`Profile`].
//!
//! A [`Board`] is shared by its parts: pins and a delay for the feeder, time for the test. It counts nanoseconds, and
//! time passes only when the test or the delay advances it. The times of the chip are drawn from its spreads for each
//! frame.
//!
//! The model covers: the edges that count, levels that are too short to be seen, the window, time-outs, each kind of
//! start after RESET (the edge that ends the delay, edges that are ignored, a first edge that is awaited for ever, a long
//! first time-out), a floating input, the length of RESET, edges while RESET is held, the enable gate, and the chip's own
//! enable input.
//!
//! The pins are those of a HAL that disconnects a pin when it is dropped, as embassy-stm32, -rp and -nrf do: WDI then
//! floats or follows its resistor, and the gate follows its resistor.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod random;

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{ErrorType, OutputPin, PinState};
use random::Random;
use watchdog_core::Instant;
use watchdog_core::chips::{DuringReset, Edge, HighImpedance, Profile, Spread, Start};

/// The length of RESET if the profile does not give one.
const SOME_RESET: Duration = Duration::from_millis(200);

/// The part that is on the board: parts of one chip differ in their times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Each of its times is the shortest one.
    Fastest,
    /// Each of its times is the longest one.
    Slowest,
    /// Time-outs are shortest and windows longest, which leaves the least room for a feed.
    Strictest,
    /// Each time is drawn from its spread, with this seed.
    Random(u64),
}

/// A fault that the chip saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A feed in the closed window.
    Early,
    /// No feed within the time-out.
    Late,
}

/// A bite of the chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bite {
    /// The time since power-on.
    pub(crate) at: Duration,
    /// The fault.
    pub(crate) fault: Fault,
}

/// A change of the WDI pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The time since power-on.
    pub(crate) at: Duration,
    /// The new level; `None`: the pin floats.
    pub(crate) level: Option<PinState>,
}

/// A board with a chip. All clones are the same board.
#[derive(Clone, Debug)]
pub(crate) struct Board(Rc<RefCell<State>>);

impl Board {
    /// A board just after power-on: WDI floats, RESET has just been released, and the chip is wired to RESET.
    pub(crate) fn new(chip: &Profile, part: Part) -> Self {
        let mut state = State {
            chip: *chip,
            part,
            random: Random::new(match part {
                Part::Random(seed) => seed ^ 0x9E37_79B9_7F4A_7C15,
                Part::Fastest | Part::Slowest | Part::Strictest => 0,
            }),
            now: 0,
            level: None,
            resistor: None,
            level_since: 0,
            unseen: false,
            frame: Frame::default(),
            starts_at: None,
            reset_until: None,
            has_gate: false,
            connected: true,
            enabled: true,
            fed: Vec::new(),
            bites: Vec::new(),
            board_resets: Vec::new(),
            changes: Vec::new(),
        };
        state.release_reset(0);
        Self(Rc::new(RefCell::new(state)))
    }

    /// The microcontroller's WDI pin. It becomes an output when its level is set first.
    pub(crate) fn wdi(&self) -> WdiPin {
        WdiPin(self.clone())
    }

    /// The pin of an enable gate that connects the chip to RESET while the pin is at level `on`. While nothing drives
    /// the pin, a resistor holds the gate off.
    pub(crate) fn gate(&self, on: PinState) -> GatePin {
        let mut state = self.0.borrow_mut();
        state.has_gate = true;
        state.connect(false);
        drop(state);
        GatePin { board: self.clone(), on }
    }

    /// The microcontroller's pin at the chip's enable input, which enables the chip while the pin is at level `on`. While
    /// nothing drives the pin, the chip is enabled.
    pub(crate) fn enable_input(&self, on: PinState) -> EnableInputPin {
        EnableInputPin { board: self.clone(), on }
    }

    /// A resistor holds WDI at this level while no pin drives it.
    pub(crate) fn resistor_at_wdi(&self, level: PinState) {
        let mut state = self.0.borrow_mut();
        state.resistor = Some(level);
        if state.now == 0 {
            // It was there at power-on.
            state.level = Some(level);
            state.release_reset(0);
        } else if state.level.is_none() {
            state.set_level(Some(level));
        }
    }

    /// A delay that passes virtual time.
    pub(crate) fn delay(&self) -> Delay {
        Delay(self.clone())
    }

    /// Lets time pass.
    pub(crate) fn advance(&self, by: Duration) {
        self.0.borrow_mut().advance(nanos(by));
    }

    /// Lets time pass, in milliseconds.
    pub(crate) fn advance_millis(&self, by: u64) {
        self.advance(Duration::from_millis(by));
    }

    /// The time since power-on, as the library counts it.
    pub(crate) fn now(&self) -> Instant {
        Instant::from_millis(self.0.borrow().now / 1_000_000)
    }

    /// The time since power-on.
    pub(crate) fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.0.borrow().now)
    }

    /// The WDI pin becomes an input, as it is after a reset of the microcontroller.
    pub(crate) fn float_wdi(&self) {
        let mut state = self.0.borrow_mut();
        let level = state.resistor;
        state.set_level(level);
    }

    /// The controller restarts alone, and its pins become inputs. The chip runs on.
    pub(crate) fn restart_controller(&self) {
        self.float_wdi();
        let mut state = self.0.borrow_mut();
        if state.has_gate {
            state.connect(false);
        }
    }

    /// The times of all feeds that the chip counted.
    pub(crate) fn feeds(&self) -> Vec<Duration> {
        self.0.borrow().fed.clone()
    }

    /// All bites, including bites that the gate kept from the board.
    pub(crate) fn bites(&self) -> Vec<Bite> {
        self.0.borrow().bites.clone()
    }

    /// The times at which RESET reached the board.
    pub(crate) fn board_resets(&self) -> Vec<Duration> {
        self.0.borrow().board_resets.clone()
    }

    /// Whether the chip holds RESET.
    pub(crate) fn holds_reset(&self) -> bool {
        self.0.borrow().reset_until.is_some()
    }

    /// Whether the chip holds RESET for ever.
    pub(crate) fn is_latched(&self) -> bool {
        self.0.borrow().reset_until == Some(u64::MAX)
    }

    /// Whether the chip is connected to RESET.
    pub(crate) fn is_connected(&self) -> bool {
        self.0.borrow().connected
    }

    /// Every change of the WDI pin.
    pub(crate) fn changes(&self) -> Vec<Change> {
        self.0.borrow().changes.clone()
    }
}

/// The WDI pin. Dropping it disconnects it.
#[derive(Debug)]
pub(crate) struct WdiPin(Board);

impl Drop for WdiPin {
    fn drop(&mut self) {
        self.0.float_wdi();
    }
}

impl ErrorType for WdiPin {
    type Error = Infallible;
}

impl OutputPin for WdiPin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.0.0.borrow_mut().set_level(Some(PinState::Low));
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.0.0.borrow_mut().set_level(Some(PinState::High));
        Ok(())
    }
}

/// The pin of the enable gate. Dropping it disconnects it.
#[derive(Debug)]
pub(crate) struct GatePin {
    board: Board,
    on: PinState,
}

impl Drop for GatePin {
    fn drop(&mut self) {
        self.board.0.borrow_mut().connect(false);
    }
}

impl ErrorType for GatePin {
    type Error = Infallible;
}

impl OutputPin for GatePin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.board.0.borrow_mut().connect(self.on == PinState::Low);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.board.0.borrow_mut().connect(self.on == PinState::High);
        Ok(())
    }
}

/// The pin at the chip's enable input. Dropping it enables the chip.
#[derive(Debug)]
pub(crate) struct EnableInputPin {
    board: Board,
    on: PinState,
}

impl Drop for EnableInputPin {
    fn drop(&mut self) {
        self.board.0.borrow_mut().enable(true);
    }
}

impl ErrorType for EnableInputPin {
    type Error = Infallible;
}

impl OutputPin for EnableInputPin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.board.0.borrow_mut().enable(self.on == PinState::Low);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.board.0.borrow_mut().enable(self.on == PinState::High);
        Ok(())
    }
}

/// Passes virtual time.
#[derive(Clone, Debug)]
pub(crate) struct Delay(Board);

impl DelayNs for Delay {
    fn delay_ns(&mut self, ns: u32) {
        self.0.advance(Duration::from_nanos(ns.into()));
    }
}

/// The time from a feed to the next one.
#[derive(Clone, Copy, Debug, Default)]
struct Frame {
    /// A feed before this time is a fault.
    opens: u64,
    /// No feed until this time is a fault.
    ends: u64,
}

/// Times are nanoseconds since power-on.
#[derive(Debug)]
struct State {
    chip: Profile,
    part: Part,
    random: Random,
    now: u64,
    level: Option<PinState>,
    /// The level of WDI while no pin drives it; `None`: it floats.
    resistor: Option<PinState>,
    level_since: u64,
    /// The last change has not lasted long enough yet for the chip to see it.
    unseen: bool,
    frame: Frame,
    /// The end of the start-up delay, while it lasts. `u64::MAX`: the chip waits for the first edge.
    starts_at: Option<u64>,
    /// `u64::MAX`: latched.
    reset_until: Option<u64>,
    has_gate: bool,
    connected: bool,
    /// Whether the chip's enable input enables it.
    enabled: bool,
    fed: Vec<Duration>,
    bites: Vec<Bite>,
    board_resets: Vec<Duration>,
    changes: Vec<Change>,
}

impl State {
    fn advance(&mut self, by: u64) {
        let to = self.now + by;
        if self.unseen && to - self.level_since >= nanos(self.chip.min_pulse()) {
            self.unseen = false;
            self.run_until(self.level_since);
            self.see_edge(self.level_since);
        }
        // If the last change may still count, later events have to wait until this is known.
        self.run_until(if self.unseen { self.level_since } else { to });
        self.now = to;
    }

    fn set_level(&mut self, level: Option<PinState>) {
        if level == self.level {
            return;
        }
        self.advance(0);
        let from = self.level;
        // The chip does not see a level that was too short.
        let glitch = self.unseen;
        self.level = level;
        self.level_since = self.now;
        self.changes.push(Change { at: Duration::from_nanos(self.now), level });
        self.unseen = from.is_some() && level.is_some() && !glitch;
        if from.is_none() && self.feeds_itself() {
            self.begin_frame(self.now, false);
        }
    }

    fn connect(&mut self, on: bool) {
        if on && !self.connected && self.reset_until.is_some() {
            self.board_resets.push(Duration::from_nanos(self.now));
        }
        self.connected = on;
    }

    /// A chip that is disabled neither counts nor holds RESET. It begins as after a RESET when it is enabled.
    fn enable(&mut self, on: bool) {
        self.advance(0);
        if self.enabled == on {
            return;
        }
        self.enabled = on;
        self.reset_until = None;
        if on {
            self.release_reset(self.now);
        }
    }

    /// Runs all events of the chip up to `to`.
    fn run_until(&mut self, to: u64) {
        while self.enabled {
            if let Some(end) = self.reset_until {
                if end > to || end == u64::MAX {
                    return;
                }
                self.release_reset(end);
            } else if let Some(start) = self.starts_at {
                if start > to {
                    return;
                }
                self.starts_at = None;
                self.begin_frame(start, true);
            } else {
                let is_off = self.level.is_none() && self.feeds_itself();
                if is_off || self.frame.ends > to {
                    return;
                }
                self.bite(self.frame.ends, Fault::Late);
            }
        }
    }

    fn see_edge(&mut self, at: u64) {
        let counts = match self.chip.edge() {
            Edge::Rising => self.level == Some(PinState::High),
            Edge::Falling => self.level == Some(PinState::Low),
            Edge::Either => true,
        };
        if !counts || !self.enabled {
            return;
        }
        if self.starts_at.is_some() && matches!(self.chip.start(), Start::DeafDelay(_)) {
            return;
        }
        if self.reset_until.is_some() {
            if self.chip.during_reset() == DuringReset::LatchesReset {
                self.reset_until = Some(u64::MAX);
            }
        } else if self.starts_at.take().is_none() && at < self.frame.opens {
            self.bite(at, Fault::Early);
        } else {
            self.fed.push(Duration::from_nanos(at));
            self.begin_frame(at, false);
        }
    }

    fn begin_frame(&mut self, at: u64, is_first: bool) {
        let window =
            self.chip.window().filter(|_| !is_first || self.chip.has_window_in_first_frame());
        let closed = window.map_or(0, |window| self.draw(window, self.part == Part::Strictest));
        let timeout = match self.chip.start() {
            Start::LongFirst(first) if is_first => first,
            Start::LongFirst(_)
            | Start::AtOnce
            | Start::Delay(_)
            | Start::DeafDelay(_)
            | Start::FirstEdge => self.chip.timeout(),
        };
        let timeout = self.draw(timeout, false);
        self.frame = Frame { opens: at + closed, ends: at + timeout };
    }

    fn bite(&mut self, at: u64, fault: Fault) {
        self.bites.push(Bite { at: Duration::from_nanos(at), fault });
        if self.connected {
            self.board_resets.push(Duration::from_nanos(at));
        }
        let width = match self.chip.reset_pulse() {
            Some(width) => self.draw(width, false),
            None => nanos(SOME_RESET),
        };
        self.reset_until = Some(at + width);
    }

    fn release_reset(&mut self, at: u64) {
        self.reset_until = None;
        match self.chip.start() {
            Start::Delay(delay) | Start::DeafDelay(delay) => {
                self.starts_at = Some(at + self.draw(delay, false));
            }
            Start::FirstEdge => self.starts_at = Some(u64::MAX),
            Start::AtOnce | Start::LongFirst(_) => self.begin_frame(at, true),
        }
    }

    fn feeds_itself(&self) -> bool {
        self.chip.high_impedance() == HighImpedance::FeedsItself
    }

    fn draw(&mut self, from: Spread, longest: bool) -> u64 {
        let (min, max) = (nanos(from.min), nanos(from.max));
        match self.part {
            Part::Slowest => max,
            Part::Strictest if longest => max,
            Part::Fastest | Part::Strictest => min,
            Part::Random(_) => self.random.between(min, max),
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).expect("584 years are enough")
}
