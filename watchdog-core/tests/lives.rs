//! 100,000 lives of devices in virtual time: they boot, run, and meet one event after another. The controller restarts
//! alone, values are dropped, tasks hang or are rescued, the chip is disarmed for long work, pins fail. The chips latch
//! RESET, have a window, or start in different ways, and each of their times is drawn from the range in the profile.
//!
//! Whatever happens, RESET is never latched, no feed is early, and no healthy device is reset. A device whose guard was
//! dropped, or one of whose tasks hangs, is reset.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
#![expect(clippy::drop_non_drop, reason = "a drop that does nothing is what the test shows")]

mod chip;

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use chip::random::Random;
use chip::{Board, Delay, Fault, GatePin, Part, WdiPin};
use embedded_hal::digital::{ErrorKind, ErrorType, OutputPin, PinState};
use watchdog_core::chips::{
    self, DuringReset, Edge, HighImpedance, Limits, Profile, ProfileBuilder, Spread, TPS3823_33,
    TPS3823A_33,
};
use watchdog_core::external::{
    Clocked, Disarmed, Enable, Error, ExternalWatchdog, Gate, NoGate, Takeover, Toggle,
};
use watchdog_core::hardware::StartError;
use watchdog_core::{
    Action, End, Guard, Instant, NotStopped, Plan, Rules, Stage, Supervisor, Task, TaskId, profile,
};

const LIVES: u64 = 100_000;

/// Counts both edges, has a window, and latches RESET.
const STRICT: Profile = profile!(
    ProfileBuilder::new("strict", Edge::Either, Spread::millis(3_000, 3_200, 3_500))
        .limits(Limits::FullRange)
        .window(Spread::millis(300, 400, 450))
        .high_impedance(HighImpedance::FeedsItself)
        .during_reset(DuringReset::LatchesReset)
        .reset_pulse(Spread::millis(120, 200, 300))
);

const fn starting(name: &'static str, start: chips::Start) -> ProfileBuilder {
    ProfileBuilder::new(name, Edge::Either, Spread::millis(900, 1_600, 2_500))
        .limits(Limits::FullRange)
        .start(start)
        .reset_pulse(Spread::millis(120, 200, 300))
}

/// Ignores edges in its start-up delay, as MAX6369.
const DEAF: Profile =
    profile!(starting("deaf", chips::Start::DeafDelay(Spread::millis(200, 400, 600))));
/// The first edge ends its start-up delay, and it latches RESET.
const DELAYED: Profile = profile!(
    starting("delayed", chips::Start::Delay(Spread::millis(500, 700, 900)))
        .high_impedance(HighImpedance::FeedsItself)
        .during_reset(DuringReset::LatchesReset)
);
/// Waits for the first edge, as MAX6373.
const FIRST_EDGE: Profile = profile!(starting("first edge", chips::Start::FirstEdge));
/// Has a long first time-out, as ADM8691.
const LONG_FIRST: Profile = profile!(
    starting("long first", chips::Start::LongFirst(Spread::millis(2_000, 2_500, 3_000)))
        .high_impedance(HighImpedance::FeedsItself)
);

#[test]
fn in_100_000_lives_no_healthy_device_is_reset_and_every_other_one_is() {
    for seed in 0..LIVES {
        let random = &mut Random::new(seed);
        let chip = match random.between(0, 6) {
            0 => &TPS3823_33,
            1 => &TPS3823A_33,
            2 => &DEAF,
            3 => &DELAYED,
            4 => &FIRST_EDGE,
            5 => &LONG_FIRST,
            _ => &STRICT,
        };
        let world = World { seed, chip, board: Board::new(chip, Part::Random(seed)) };
        if random.one_in(2) {
            world.lives::<Gate<GatePin>>(random);
        } else {
            world.lives::<NoGate>(random);
        }
    }
}

/// A pin that fails now and then; some of the failed orders are carried out.
struct Flaky {
    pin: WdiPin,
    board: Board,
    random: Random,
    /// When it may fail again, so that a device can survive a failure.
    good_until: Rc<Cell<u64>>,
}

impl Flaky {
    fn obey(&mut self, level: PinState) -> Result<(), ErrorKind> {
        let now = self.board.now().as_millis();
        let fails = now >= self.good_until.get() && self.random.one_in(12);
        if !fails || self.random.one_in(2) {
            let Ok(()) = self.pin.set_state(level);
        }
        if fails {
            self.good_until.set(now + 4_000);
            return Err(ErrorKind::Other);
        }
        Ok(())
    }
}

impl ErrorType for Flaky {
    type Error = ErrorKind;
}

impl OutputPin for Flaky {
    fn set_low(&mut self) -> Result<(), ErrorKind> {
        self.obey(PinState::Low)
    }

    fn set_high(&mut self) -> Result<(), ErrorKind> {
        self.obey(PinState::High)
    }
}

type Feeder<G, S> = ExternalWatchdog<Toggle<Flaky, Delay>, G, S>;
type Armed<G> = Clocked<Feeder<G, <G as Enable>::Armed>, Box<dyn FnMut() -> Instant>>;

/// How the chip is wired to the board.
trait Wiring: Enable<Error = Infallible> + Sized {
    fn of(board: &Board) -> Self;
    /// Stops the guard if the wiring allows it, and checks that a failed task prevents it.
    fn stop(guard: Guard<'_, Armed<Self>>, now: Instant, failed: bool) -> Option<Stopped<Self>>;
}

/// `None`: the guard does not stop, as it should be.
type Stopped<G> = Option<Feeder<G, Disarmed>>;

impl Wiring for NoGate {
    fn of(_: &Board) -> Self {
        Self
    }

    fn stop(_: Guard<'_, Armed<Self>>, _: Instant, _: bool) -> Option<Stopped<Self>> {
        None
    }
}

impl Wiring for Gate<GatePin> {
    fn of(board: &Board) -> Self {
        Self::active_high(board.gate(PinState::High))
    }

    fn stop(
        mut guard: Guard<'_, Armed<Self>>,
        now: Instant,
        failed: bool,
    ) -> Option<Stopped<Self>> {
        // A pin may fail, once in a while.
        loop {
            match guard.stop(now) {
                Ok(stopped) => {
                    assert!(!failed, "the failure is escaped");
                    return Some(Some(stopped.into_inner()));
                }
                Err(refused) => match refused.error {
                    NotStopped::Failed(_) => {
                        assert!(failed);
                        return Some(None);
                    }
                    // The level of the pin is unknown, so the device does not stop.
                    NotStopped::Hardware(Error::TooEarly { .. }) => return None,
                    NotStopped::Hardware(_) | _ => guard = refused.watchdog,
                },
            }
        }
    }
}

/// The start of a life.
enum Start<G> {
    /// The controller comes out of a reset, and takes the chip over.
    Boot(Takeover),
    /// The disarmed chip was kept.
    Kept(Feeder<G, Disarmed>),
}

struct World {
    seed: u64,
    chip: &'static Profile,
    board: Board,
}

impl World {
    fn now(&self) -> u64 {
        self.board.now().as_millis()
    }

    fn pass_to(&self, millis: u64) {
        self.board.advance_millis(millis.saturating_sub(self.now()));
    }

    /// Checks that nothing has harmed the board.
    fn is_unharmed(&self, what: &str) {
        let Self { seed, chip, board } = self;
        let early = board.bites().iter().any(|bite| bite.fault == Fault::Early);
        assert!(!board.is_latched(), "seed {seed}, {}: {what}: latched", chip.name());
        assert!(!early, "seed {seed}, {}: {what}: fed early", chip.name());
        assert_eq!(board.board_resets(), [], "seed {seed}, {}: {what}: reset", chip.name());
    }

    fn lives<G: Wiring>(&self, random: &mut Random) {
        let calm = Rc::new(Cell::new(0));
        let mut start = Start::<G>::Boot(Takeover::Floating(self.board.now()));
        for _ in 0..3 {
            let dog = self.boots(start, &calm, random);
            self.is_unharmed("boot");
            match self.runs(dog, random) {
                Some(next) => start = next,
                None => return,
            }
        }
    }

    fn takes_over<G: Wiring>(
        &self,
        mut takeover: Takeover,
        calm: &Rc<Cell<u64>>,
        random: &mut Random,
    ) -> Feeder<G, Disarmed> {
        loop {
            let (board, seed) = (self.board.clone(), random.next());
            let pin = Flaky {
                pin: board.wdi(),
                board,
                random: Random::new(seed),
                good_until: Rc::clone(calm),
            };
            let input = Toggle::new(pin, self.board.delay());
            match ExternalWatchdog::new(self.chip, input, G::of(&self.board), takeover) {
                Ok(dog) => return dog,
                Err(failed) => {
                    drop(failed.release());
                    takeover = Takeover::Floating(self.board.now());
                }
            }
        }
    }

    /// Boots for a random time, and arms the chip. A boot without a gate is short enough for the chip.
    fn boots<G: Wiring>(
        &self,
        start: Start<G>,
        calm: &Rc<Cell<u64>>,
        random: &mut Random,
    ) -> Feeder<G, G::Armed> {
        let mut dog = match start {
            Start::Boot(takeover) => self.takes_over(takeover, calm, random),
            Start::Kept(dog) => dog,
        };
        let longest = if G::CAN_BE_OFF && random.one_in(2) { 6_000 } else { 100 };
        self.board.advance_millis(random.between(0, longest));
        loop {
            if G::CAN_BE_OFF && random.one_in(3) {
                let _may_be_refused = dog.feed_early(self.board.now());
                self.board.advance_millis(random.between(0, 600));
            }
            match dog.arm(self.board.now()) {
                Ok(armed) => return armed,
                Err(StartError { error, device }) => match error {
                    Error::TooEarly { earliest } => {
                        self.pass_to(earliest.as_millis() + random.between(0, 20));
                        dog = device;
                    }
                    Error::MayHoldReset => {
                        drop(device.release());
                        self.board.advance_millis(random.between(0, 400));
                        dog = self.takes_over(Takeover::Floating(self.board.now()), calm, random);
                    }
                    Error::Wdi(_) | _ => dog = device,
                },
            }
        }
    }

    /// Runs until an event ends this life. `None`: the device was reset at the end.
    fn runs<G: Wiring>(&self, dog: Feeder<G, G::Armed>, random: &mut Random) -> Option<Start<G>> {
        const STAGES: &[(Stage, u32)] =
            &[(Stage::Warn, 0), (Stage::Restart, 10), (Stage::LastWords, 100), (Stage::Reset, 10)];
        let (late, heartbeat) = match self.chip.window() {
            Some(_) => (20, random.between(480, 560)),
            None => (20, random.between(100, 540)),
        };
        let plan = Plan::heartbeat(heartbeat as u32).late(late as u32).profile(self.chip);
        let timing = plan.stages(STAGES).rescues(1).check().unwrap();
        let rules = Rules::deadline(300).works(0, 200);
        let tasks = [Task::new(rules, timing).unwrap(), Task::new(rules, timing).unwrap()];

        let clock = self.board.clone();
        let armed_at = self.board.now();
        let dog = dog.clocked(Box::new(move || clock.now()) as Box<dyn FnMut() -> Instant>);
        self.board.advance_millis(random.between(0, 3));
        let supervisor = Supervisor::new(&tasks, timing, self.board.now());
        let supervisor = if random.one_in(2) { supervisor.last_fed(armed_at) } else { supervisor };
        let mut device = Device {
            world: self,
            guard: Guard::new(dog, supervisor),
            due: [self.now(); 2],
            tasks: &tasks,
            hung: false,
            poll_at: self.now(),
            late,
        };
        let goal = self.now() + random.between(0, 4_000);
        assert_eq!(device.runs_until(goal, random), None, "seed {}", self.seed);
        self.is_unharmed("a healthy run");
        let now = self.board.now();
        match random.between(0, 6) {
            // The guard goes out of scope, in the middle of a healthy run or after a failure.
            0 => {
                if random.one_in(2) {
                    device.hung = true;
                    let _stage = device.runs_until(self.now() + 5_000, random);
                }
                drop(device);
                self.is_reset("the guard is dropped");
                None
            }
            1 => {
                device.hung = true;
                let stage = device.runs_until(u64::MAX, random);
                assert_eq!(stage, Some(Stage::Warn), "seed {}", self.seed);
                while device.runs_until(u64::MAX, random) != Some(Stage::Reset) {}
                self.is_reset("a task hangs");
                None
            }
            2 => {
                device.hung = true;
                while device.runs_until(u64::MAX, random) != Some(Stage::Restart) {}
                let _handle = device.guard.restarted(TaskId::new(0), self.board.now()).unwrap();
                device.hung = false;
                device.due = [self.now(); 2];
                device.poll_at = self.now();
                let goal = self.now() + random.between(0, 6_000);
                assert_eq!(device.runs_until(goal, random), None, "seed {}", self.seed);
                self.is_unharmed("a rescue");
                self.restarts(device.guard, random)
            }
            3 => {
                let failed = random.one_in(2);
                if failed {
                    tasks.last().unwrap().handle().abandon(End::Panicked, now);
                }
                let guard = device.guard;
                match G::stop(guard, now, failed)? {
                    None => {
                        self.is_reset("a failure cannot be escaped by a stop");
                        None
                    }
                    Some(dog) => Some(Start::Kept(dog)),
                }
            }
            _ => self.restarts(device.guard, random),
        }
    }

    /// The controller restarts alone. A boot loader may drive the pin on.
    fn restarts<G: Wiring>(
        &self,
        guard: Guard<'_, Armed<G>>,
        random: &mut Random,
    ) -> Option<Start<G>> {
        drop(guard);
        if random.one_in(3) && self.chip.window().is_some() {
            // The gate floats, and the boot loader drives WDI at its last level.
            drop(G::of(&self.board));
            return Some(Start::Boot(Takeover::Unknown(self.board.now())));
        }
        self.board.restart_controller();
        self.board.advance_millis(random.between(0, 5));
        Some(Start::Boot(Takeover::Floating(self.board.now())))
    }

    /// Checks that the chip resets the board in time, again and again, although no one holds a value any more. A chip
    /// that waits for a first edge resets it once.
    fn is_reset(&self, what: &str) {
        let (delay, again) = match self.chip.start() {
            chips::Start::DeafDelay(delay) | chips::Start::Delay(delay) => (delay.max, 5),
            chips::Start::AtOnce | chips::Start::LongFirst(_) => (Duration::ZERO, 5),
            chips::Start::FirstEdge => (Duration::ZERO, 0),
        };
        self.board.advance(delay + self.chip.timeout().max);
        let (seed, resets) = (self.seed, self.board.board_resets().len());
        assert!(resets > 0, "seed {seed}, {}: {what}: not reset", self.chip.name());
        self.board.advance_millis(20_000);
        let all = self.board.board_resets().len();
        assert!(all >= resets + again, "seed {seed}, {}: {what}: only once", self.chip.name());
        assert!(self.board.bites().iter().all(|bite| bite.fault == Fault::Late), "seed {seed}");
    }
}

struct Device<'a, G: Wiring> {
    world: &'a World,
    guard: Guard<'a, Armed<G>>,
    tasks: &'a [Task; 2],
    due: [u64; 2],
    /// The first task hangs.
    hung: bool,
    poll_at: u64,
    late: u64,
}

impl<G: Wiring> Device<'_, G> {
    /// Runs until `goal`, or until a stage is handed out.
    fn runs_until(&mut self, goal: u64, random: &mut Random) -> Option<Stage> {
        loop {
            let due = if self.hung { self.due[1] } else { self.due[0].min(self.due[1]) };
            let next = due.min(self.poll_at);
            if next >= goal {
                self.world.pass_to(goal);
                return None;
            }
            self.world.pass_to(next);
            let now = self.world.board.now();
            if self.poll_at <= due {
                match self.guard.poll(now) {
                    Ok(polled) => {
                        self.poll_at =
                            polled.next.as_millis().saturating_add(random.between(0, self.late));
                        if let Action::Stage(stage, _) = polled.action {
                            return Some(stage);
                        }
                    }
                    Err(_) => self.poll_at = now.as_millis() + 1 + random.between(0, 3),
                }
                continue;
            }
            for (index, (task, due)) in self.tasks.iter().zip(&mut self.due).enumerate() {
                if *due <= now.as_millis() && !(self.hung && index == 0) {
                    // After a failure of the other task it does not matter.
                    let _counts = task.handle().feed(now);
                    *due = now.as_millis() + random.between(1, 200);
                }
            }
        }
    }
}
