//! 100,000 runs of a whole device in virtual time: tasks, supervisor, guard, and a TPS3823 on a simulated board. Each
//! time-out of the chip is drawn from the range in its data sheet. The chip never bites while all tasks are healthy,
//! and always bites after a task has failed: the feeds stop at most one heartbeat after the deadline.

mod chip;

use std::time::Duration;

use chip::random::Random;
use chip::{Board, Part};
use watchdog_core::chips::TPS3823_33;
use watchdog_core::external::{ExternalWatchdog, NoGate, Takeover, Toggle};
use watchdog_core::hardware::Watchdog;
use watchdog_core::{
    Action, End, Fault, Guard, Instant, Plan, Refused, Rules, Supervisor, Task, TaskHandle,
};

const SCHEDULES: u64 = 100_000;

#[test]
fn in_100_000_schedules_the_chip_bites_sick_systems_and_no_healthy_one() {
    let mut sick = 0;
    for seed in 0..SCHEDULES {
        sick += u64::from(schedule(seed));
    }
    assert!((SCHEDULES / 3..SCHEDULES).contains(&sick), "{sick} were sick");
}

/// The ways in which a task fails after its last good report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Illness {
    /// It never reports again.
    Hangs,
    /// It misses its deadline once, and goes on as if nothing had happened.
    ComesBackLate,
    /// It reports before its window opens.
    RunsAway,
    /// It skips a checkpoint.
    Skips,
    /// It ends without retiring.
    Ends,
}

impl Illness {
    const fn fault(self) -> Fault {
        match self {
            Self::Hangs | Self::ComesBackLate => Fault::Starved,
            Self::RunsAway => Fault::Early,
            Self::Skips => Fault::OutOfOrder,
            Self::Ends => Fault::Returned,
        }
    }
}

/// A task that works as intended.
struct Worker<'a> {
    handle: TaskHandle<'a>,
    rules: Rules,
    step: u8,
    paused: bool,
    /// It has resumed, so its next report is not too early.
    is_first: bool,
    /// The time of its next report.
    due: u64,
}

impl Worker<'_> {
    /// Makes the next report in order.
    fn reports(&mut self, now: u64) -> Result<(), Refused> {
        let at = Instant::from_millis(now);
        self.is_first = self.paused;
        if self.paused {
            self.paused = false;
            return self.handle.resume(at);
        }
        match self.rules.step_count() {
            0 => self.handle.feed(at),
            steps => {
                let step = self.step;
                self.step = (step + 1) % steps;
                self.handle.step(step, at)
            }
        }
    }

    /// Reports, and chooses the time of the next report: any time that is allowed.
    fn works(&mut self, now: u64, random: &mut Random) {
        self.reports(now).expect("the task is healthy");
        let at = Instant::from_millis(now);
        let deadline = u64::from(self.rules.deadline_millis());
        let mut longest = deadline;
        if random.one_in(20) {
            self.handle.pause(at).expect("the task is healthy");
            self.paused = true;
            longest = 20 * deadline;
        } else if random.one_in(4) && self.handle.grant(at).is_ok() {
            longest = self.rules.longest_millis().into();
        }
        let earliest = if self.may_be_early() { self.rules.not_before_millis() } else { 0 };
        self.due = now + random.between(earliest.into(), longest).max(1);
    }

    /// Whether the window counts for the next report: a feed, or the first checkpoint of a round.
    fn may_be_early(&self) -> bool {
        self.step == 0 && !self.is_first && !self.paused
    }

    /// An illness that is possible for this task.
    fn illness(&self, random: &mut Random) -> Illness {
        match random.between(0, 4) {
            0 if self.rules.not_before_millis() > 0 && self.may_be_early() => Illness::RunsAway,
            1 if self.rules.step_count() > 2 => Illness::Skips,
            2 => Illness::Ends,
            3 => Illness::ComesBackLate,
            _ => Illness::Hangs,
        }
    }
}

/// Random rules.
fn some_rules(random: &mut Random) -> Rules {
    let deadline = random.between(41, 1_500) as u32;
    let mut rules = Rules::deadline(deadline);
    if random.one_in(3) {
        rules = rules.not_before(random.between(1, u64::from(deadline) / 2) as u32);
    }
    if random.one_in(3) {
        rules = rules.steps(random.between(2, 15) as u8);
    }
    if random.one_in(3) {
        rules = rules.grants(random.between(1, 4) as u8, random.between(2, 6) as u8);
    }
    rules
}

/// The device, and the time on it.
struct Device<'a, W> {
    board: Board,
    guard: Guard<'a, W>,
    workers: Vec<Worker<'a>>,
    now: u64,
    poll_at: u64,
    fed_at: u64,
    heartbeat: u64,
    slack: u64,
    late: u64,
    /// The longest sleep; 0: the device stays awake.
    sleep: u64,
}

impl<W: Watchdog> Device<'_, W> {
    fn pass_to(&mut self, millis: u64) {
        self.board.advance(Duration::from_millis(millis - self.now));
        self.now = millis;
    }

    /// Polls, and chooses the time of the next poll, which may be late.
    fn polls(&mut self, random: &mut Random) -> Action {
        self.pass_to(self.poll_at);
        self.looks(random)
    }

    /// Polls now.
    fn looks(&mut self, random: &mut Random) -> Action {
        let Ok(polled) = self.guard.poll(Instant::from_millis(self.now)) else {
            panic!("pins of a board do not fail");
        };
        if polled.action == Action::Feed {
            self.fed_at = self.now;
            let next = polled.next.as_millis();
            let most = self.now + self.slack + self.heartbeat;
            assert!(next > self.now && next <= most, "the grid");
            self.poll_at = next + random.between(0, self.late);
        }
        polled.action
    }

    /// Sleeps, and polls after it. What the tasks were about to do, they do later.
    fn sleeps(&mut self, random: &mut Random) {
        let at = Instant::from_millis(self.now);
        let wake = self.guard.suspend(at).expect("the device is healthy");
        assert_eq!(wake, at.plus_millis(self.sleep));
        let slept = random.between(1, self.sleep);
        self.pass_to(self.now + slept);
        self.guard.resume(Instant::from_millis(self.now));
        self.workers.iter_mut().for_each(|worker| worker.due += slept);
        self.poll_at = self.now;
    }

    /// Runs until `goal`, or until a poll returns another action than a feed.
    fn runs_until(&mut self, goal: u64, random: &mut Random) -> Option<Action> {
        loop {
            let next = self.workers.iter_mut().min_by_key(|worker| worker.due);
            let due = next.as_ref().map_or(u64::MAX, |worker| worker.due);
            if goal <= due.min(self.poll_at) {
                // It may have slept beyond it.
                self.pass_to(goal.max(self.now));
                return None;
            }
            // Of two events at the same time, either may come first.
            match next {
                Some(next) if due < self.poll_at || due == self.poll_at && random.one_in(2) => {
                    self.board.advance(Duration::from_millis(due - self.now));
                    self.now = due;
                    next.works(due, random);
                    // The device is awake anyway.
                    if self.slack > 0 && random.one_in(2) {
                        match self.looks(random) {
                            Action::Feed | Action::Wait => {}
                            action @ (Action::Report(_)
                            | Action::Stage(..)
                            | Action::Stopped(_)) => return Some(action),
                        }
                    }
                }
                _ => match self.polls(random) {
                    Action::Feed => {
                        if self.sleep > 0 && random.one_in(8) {
                            self.sleeps(random);
                        }
                    }
                    action @ (Action::Wait
                    | Action::Report(_)
                    | Action::Stage(..)
                    | Action::Stopped(_)) => {
                        return Some(action);
                    }
                },
            }
        }
    }
}

/// Runs one device. Returns whether a task fell ill.
fn schedule(seed: u64) -> bool {
    let random = &mut Random::new(seed);
    let late = random.between(0, 40);
    let slack = if random.one_in(3) { random.between(1, 300) } else { 0 };
    let heartbeat = random.between(40.max(slack + 1), 764 - 2 * late - slack);
    let sleep = if random.one_in(3) { random.between(1, 764 - 3 * late) } else { 0 };
    let plan = Plan::heartbeat(heartbeat as u32).late(late as u32).profile(&TPS3823_33);
    let plan = plan.sleep(sleep as u32).slack(slack as u32);
    let timing = plan.check().expect("the chip covers it");
    let start = random.next() >> random.between(4, 60);

    let rules: Vec<Rules> = (0..random.between(1, 4)).map(|_| some_rules(random)).collect();
    let tasks: Vec<Task> = rules
        .iter()
        .map(|rules| Task::new(*rules, timing).expect("the rules can be kept"))
        .collect();
    let workers = tasks.iter().zip(&rules).map(|(task, rules)| Worker {
        handle: task.handle(),
        rules: *rules,
        step: 0,
        paused: false,
        is_first: true,
        due: start + random.between(0, rules.longest_millis().into()),
    });
    let workers = workers.collect();

    let board = Board::new(&TPS3823_33, Part::Random(seed));
    let input = Toggle::new(board.wdi(), board.delay());
    let dog = ExternalWatchdog::new(
        &TPS3823_33,
        input,
        NoGate,
        Takeover::Reset(Instant::from_millis(start)),
    )
    .expect("the input suits the chip");
    let dog = dog.arm(Instant::from_millis(start)).expect("pins of a board do not fail");
    let supervisor = Supervisor::new(&tasks, timing, Instant::from_millis(start));
    let guard = Guard::new(dog, supervisor);
    let (now, poll_at, fed_at) = (start, start, start);
    let mut device =
        Device { board, guard, workers, now, poll_at, fed_at, heartbeat, slack, late, sleep };

    let healthy = start + random.between(2, 8) * 1_000;
    assert_eq!(device.runs_until(healthy, random), None, "seed {seed}");
    if random.one_in(4) {
        assert_eq!(device.board.bites(), [], "seed {seed}: a healthy system");
        return false;
    }

    // One task falls ill after its next report, and the others go on.
    device.sleep = 0;
    let victim = random.between(0, device.workers.len() as u64 - 1) as usize;
    let last = device.workers.get(victim).expect("it is one of them").due;
    assert_eq!(device.runs_until(last, random), None, "seed {seed}");
    assert_eq!(device.board.bites(), [], "seed {seed}: a healthy system");
    let mut ill = device.workers.remove(victim);
    ill.reports(last).expect("this is its last good report");
    let deadline = last + u64::from(ill.rules.deadline_millis());
    let illness = ill.illness(random);
    let strikes_at = match illness {
        Illness::Hangs => u64::MAX,
        Illness::ComesBackLate => deadline + random.between(1, heartbeat),
        Illness::RunsAway => last + random.between(1, ill.rules.not_before_millis().into()) - 1,
        Illness::Skips | Illness::Ends => random.between(last, deadline),
    };
    let mut polled = device.runs_until(strikes_at, random);
    if polled.is_none() {
        let at = Instant::from_millis(device.now);
        let counts = match illness {
            Illness::Hangs => true,
            Illness::Ends => {
                ill.handle.abandon(End::Returned, at);
                false
            }
            Illness::Skips => {
                let after_next = (ill.step + 1) % ill.rules.step_count();
                ill.handle.step(after_next, at).is_ok()
            }
            Illness::ComesBackLate | Illness::RunsAway => ill.reports(device.now).is_ok(),
        };
        assert!(!counts, "seed {seed}: {illness:?}");
        polled = device.runs_until(u64::MAX, random);
    }
    let Some(Action::Stage(_, failure)) = polled else { panic!("seed {seed}: {polled:?}") };
    let failed_at = strikes_at.min(deadline);
    assert!(device.now >= failed_at, "seed {seed}: {illness:?} was found too early");
    let latest = failed_at + slack + heartbeat + late;
    assert!(device.now <= latest, "seed {seed}: {illness:?} was found late");
    assert_eq!((failure.fault, failure.task.index()), (illness.fault(), victim as u32), "{seed}");
    assert_eq!(device.board.bites(), [], "seed {seed}: the stage comes first");

    // Whatever the tasks and the supervisor's owner do now, the chip bites within its longest time-out.
    let end = device.fed_at + u64::from(TPS3823_33.longest_millis());
    while device.now < end {
        device.poll_at = (device.now + random.between(1, 300)).min(end);
        assert_eq!(device.polls(random), Action::Stopped(failure), "seed {seed}");
        let _does_not_count = ill.reports(device.now);
    }
    assert!(!device.board.bites().is_empty(), "seed {seed}: {illness:?}");
    true
}
