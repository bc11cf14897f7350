//! A simple model of a supervisor, without regard to interrupts or memory: whole instants, one list, no atomics.
//! [`run`] makes the same calls to the model and to `watchdog_core`, and compares every answer.

use watchdog_core::{
    Action, End, Failure, Fault, Instant, Name, NotRescued, NotSuspended, Poll, Reaction, Refused,
    Rules, Stage, Supervisor, Task, TaskId, Timing, WatchError,
};

/// A call, made at the current time.
#[derive(Clone, Copy, Debug)]
pub enum Call {
    /// Time advances by this many milliseconds.
    Advance(u64),
    /// The clock goes back, to at most a quarter of an hour before its latest time.
    Back(u64),
    /// This task feeds.
    Feed(u8),
    /// This task reports this checkpoint.
    Step(u8, u8),
    /// This task reports its next checkpoint in order.
    NextStep(u8),
    /// This task takes a grant.
    Grant(u8),
    /// This task pauses.
    Pause(u8),
    /// This task resumes.
    Resume(u8),
    /// This task retires.
    Retire(u8),
    /// This task ends unexpectedly.
    Abandon(u8, End),
    /// Another task is watched.
    Watch(Rules),
    /// A restarted task is taken back.
    Restarted(u8),
    /// The device falls asleep.
    Suspend,
    /// The device is awake again.
    Awake,
    /// The supervisor is asked to bite.
    Bite,
    /// The supervisor is polled.
    Poll,
    /// Time advances to the next poll that the supervisor asked for, and the supervisor is polled.
    PollWhenDue,
}

/// The longest time without a poll after which a supervisor still trusts the stamps.
const MOST_BETWEEN_POLLS: u64 = (1 << 25) - (1 << 22) - Rules::MOST_MILLIS as u64 - 1;
const MOST_BACK: u64 = 15 * 60 * 1_000;

/// Makes the calls to a supervisor and to the model. Both begin with these tasks; rules that cannot be kept give a
/// vacant place.
///
/// # Panics
///
/// They differ.
pub fn run(
    rules: &[Option<Rules>],
    timing: Timing<'_>,
    stages: &[(Stage, u32)],
    rescues: u8,
    start: u64,
    calls: impl IntoIterator<Item = Call>,
) {
    let rules: Vec<_> =
        rules.iter().map(|rules| rules.filter(|rules| rules.check().is_ok())).collect();
    let tasks: Vec<_> = rules
        .iter()
        .map(|rules| {
            rules.and_then(|rules| Task::new(rules, timing).ok()).unwrap_or(Task::vacant())
        })
        .collect();
    let mut model = Model {
        tasks: rules
            .iter()
            .map(|rules| rules.as_ref().map(|rules| Watched::at_start(rules, start)))
            .collect(),
        heartbeat: timing.heartbeat_millis().into(),
        slack: timing.slack_millis().into(),
        window: timing.window_millis().into(),
        stages,
        rescues,
        sleep: timing.sleep_millis().into(),
        latest: start,
        last_good: start,
        beat: start,
        opens: start.saturating_add(timing.window_millis().into()),
        asleep: None,
        unfed: true,
        next_feed: match timing.window_millis() {
            0 => start,
            _ => start.saturating_add(timing.heartbeat_millis().into()),
        },
        bite: None,
    };
    let mut supervisor = Supervisor::new(&tasks, timing, Instant::from_millis(start));
    let (mut now, mut latest, mut due) = (start, start, start);
    for call in calls {
        match call {
            Call::Advance(millis) => {
                now = now.saturating_add(millis);
                if now.saturating_sub(model.latest) > Rules::MOST_MILLIS.into() {
                    due = poll(&mut supervisor, &mut model, now);
                }
                // The device was not reset for hours after a failure. The answers to failed tasks do not matter any
                // more.
                if model.bite.is_some() && now.saturating_sub(model.last_good) > MOST_BETWEEN_POLLS
                {
                    return;
                }
            }
            Call::Back(millis) => {
                now = now.saturating_sub(millis).max(latest.saturating_sub(MOST_BACK)).max(start);
            }
            Call::Suspend => {
                let suspended = supervisor.suspend(Instant::from_millis(now));
                assert_eq!(suspended, model.suspend(now), "{call:?} at {now}");
            }
            Call::Awake => {
                supervisor.resume(Instant::from_millis(now));
                model.resume(now);
            }
            Call::Bite => {
                supervisor.bite(Instant::from_millis(now));
                model.bite_now(now);
            }
            Call::Poll => due = poll(&mut supervisor, &mut model, now),
            Call::PollWhenDue => {
                // After the last stage, the supervisor asks for no further poll.
                now = if due == u64::MAX { now } else { now.max(due) };
                due = poll(&mut supervisor, &mut model, now);
            }
            Call::Watch(rules) => {
                let at = Instant::from_millis(now);
                let watched = supervisor.watch(rules, at).map(|(id, _)| id.index());
                assert_eq!(watched, model.watch(rules, now), "{call:?} at {now}");
            }
            Call::Restarted(task) => {
                let at = Instant::from_millis(now);
                let restarted = supervisor.restarted(TaskId::new(task.into()), at).map(drop);
                assert_eq!(restarted, model.restarted(task, now), "{call:?} at {now}");
            }
            Call::Feed(index)
            | Call::Step(index, _)
            | Call::NextStep(index)
            | Call::Grant(index)
            | Call::Pause(index)
            | Call::Resume(index)
            | Call::Retire(index)
            | Call::Abandon(index, _) => {
                let index = usize::from(index);
                if let (Some(task), Some(watched)) = (tasks.get(index), model.tasks.get_mut(index))
                {
                    report(call, task, watched, now);
                }
            }
        }
        latest = latest.max(now);
        let failure = model.bite.as_ref().map(|bite| bite.failure);
        assert_eq!(supervisor.failure(), failure, "after {call:?} at {now}");
    }
}

fn poll(supervisor: &mut Supervisor<'_>, model: &mut Model<'_>, now: u64) -> u64 {
    let had_failed = model.bite.as_ref().is_some_and(|bite| !bite.is_report);
    let polled = loop {
        let polled = supervisor.poll(Instant::from_millis(now));
        assert_eq!(polled, model.poll(now), "poll at {now}");
        // After a report there may be more to do at once.
        if !matches!(polled.action, Action::Report(_)) {
            break polled;
        }
    };
    assert!(!had_failed || polled.action != Action::Feed, "fed after a failure");
    let is_awaited = |task: &&Watched| task.state != State::Paused && !task.reported;
    assert_eq!(supervisor.awaited(), model.tasks.iter().flatten().filter(is_awaited).count());
    for (id, task) in (0..).zip(&model.tasks) {
        let left = supervisor.time_left(TaskId::new(id), Instant::from_millis(now));
        // After hours without a good poll the task has failed anyway.
        if let (Some(task), true) =
            (task, now.saturating_sub(model.last_good) <= MOST_BETWEEN_POLLS)
        {
            assert_eq!(left, Ok(task.time_left(now)), "task {id} at {now}");
        }
    }
    polled.next.as_millis()
}

/// Makes the same report to both.
fn report(call: Call, task: &Task, watched: &mut Option<Watched>, now: u64) {
    let (handle, at) = (task.handle(), Instant::from_millis(now));
    let next = watched.as_ref().map_or(0, Watched::next_step);
    let (answer, expected) = match call {
        Call::Feed(_) => (handle.feed(at), with(watched, |task| task.feed(now))),
        Call::Step(_, step) => (handle.step(step, at), with(watched, |task| task.step(step, now))),
        Call::NextStep(_) => (handle.step(next, at), with(watched, |task| task.step(next, now))),
        Call::Grant(_) => (handle.grant(at), with(watched, |task| task.grant(now))),
        Call::Pause(_) => (handle.pause(at), with(watched, |task| task.pause(now))),
        Call::Resume(_) => (handle.resume(at), with(watched, |task| task.resume(now))),
        Call::Retire(_) => {
            let expected = with(watched, |task| task.in_time(now));
            if expected.is_ok() {
                *watched = None;
            }
            (handle.retire(at), expected)
        }
        Call::Abandon(_, how) => {
            handle.abandon(how, at);
            watched.iter_mut().for_each(|task| task.abandon(how, now));
            return;
        }
        Call::Advance(_)
        | Call::Back(_)
        | Call::Watch(_)
        | Call::Restarted(_)
        | Call::Suspend
        | Call::Awake
        | Call::Bite
        | Call::Poll
        | Call::PollWhenDue => return,
    };
    assert_eq!(answer, expected, "{call:?} at {now}");
}

fn with(
    watched: &mut Option<Watched>,
    report: impl FnOnce(&mut Watched) -> Result<(), Refused>,
) -> Result<(), Refused> {
    watched.as_mut().map_or(Err(Refused::NotWatched), report)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Ready,
    /// `is_first`: the task has resumed, so the next feed is not too early.
    Fed {
        at: u64,
        is_first: bool,
    },
    Granted {
        at: u64,
    },
    Paused,
    Failed {
        fault: Fault,
        at: u64,
    },
}

#[derive(Clone, Debug)]
struct Watched {
    deadline: u64,
    grant: u64,
    earliest: u64,
    steps: u8,
    grants_left: u8,
    has_grants: bool,
    started: u64,
    state: State,
    step: Option<u8>,
    reaction: Reaction,
    name: Name,
    reported: bool,
}

impl Watched {
    fn new(rules: &Rules, state: State) -> Self {
        Self {
            deadline: rules.deadline_millis().into(),
            grant: rules.longest_millis().into(),
            earliest: rules.not_before_millis().into(),
            steps: rules.step_count(),
            grants_left: rules.grant_count().saturating_sub(u8::from(!rules.is_paused())),
            has_grants: rules.grant_count() > 0,
            started: 0,
            state,
            step: None,
            reaction: rules.reaction(),
            name: rules.name(),
            reported: false,
        }
    }

    fn at_start(rules: &Rules, started: u64) -> Self {
        let state = if rules.is_paused() { State::Paused } else { State::Ready };
        Self { started, ..Self::new(rules, state) }
    }

    /// The last instant at which a report is in time.
    fn latest(&self) -> Option<u64> {
        match self.state {
            State::Fed { at, .. } => Some(at.saturating_add(self.deadline)),
            State::Granted { at } => Some(at.saturating_add(self.grant)),
            State::Ready => Some(self.started.saturating_add(self.grant)),
            State::Paused | State::Failed { .. } => None,
        }
    }

    fn in_time(&self, now: u64) -> Result<(), Refused> {
        match self.state {
            _ if self.reported => Err(Refused::Failed),
            State::Failed { .. } => Err(Refused::Failed),
            _ if self.latest().is_some_and(|latest| now > latest) => Err(Refused::Late),
            State::Ready | State::Fed { .. } | State::Granted { .. } | State::Paused => Ok(()),
        }
    }

    fn time_left(&self, now: u64) -> Option<u32> {
        let (last, limit) = match self.state {
            State::Fed { at, .. } => (at, self.deadline),
            State::Granted { at } => (at, self.grant),
            State::Ready => (self.started, self.grant),
            State::Paused | State::Failed { .. } => return None,
        };
        let left = limit.checked_sub(now.saturating_sub(last))?;
        (!self.reported).then(|| u32::try_from(left).expect("a limit has 32 bits"))
    }

    /// Of a sleep until `now`, `slept` milliseconds do not count.
    fn sleep(&mut self, slept: u64, now: u64) {
        let shift = |at: &mut u64| *at += slept.min(now.saturating_sub(*at));
        shift(&mut self.started);
        // No report is too early then.
        if let (State::Fed { is_first, .. }, true) = (&mut self.state, self.earliest > 0) {
            *is_first = true;
            self.step = self.step.filter(|step| step + 1 < self.steps);
        }
        match &mut self.state {
            State::Fed { at, .. } | State::Granted { at } | State::Failed { at, .. } => shift(at),
            State::Ready | State::Paused => {}
        }
    }

    fn awaited(&self, now: u64) -> Result<(), Refused> {
        self.in_time(now)?;
        if self.state == State::Paused { Err(Refused::Paused) } else { Ok(()) }
    }

    fn progress(&mut self, step: Option<u8>, now: u64) -> Result<(), Refused> {
        if let State::Fed { at, is_first: false } = self.state {
            let begins = step.is_none_or(|step| step == 0);
            if begins && now.saturating_sub(at) < self.earliest {
                self.state = State::Failed { fault: Fault::Early, at: now };
                return Err(Refused::Early);
            }
        }
        self.state = State::Fed { at: now, is_first: false };
        self.step = step;
        Ok(())
    }

    fn feed(&mut self, now: u64) -> Result<(), Refused> {
        self.awaited(now)?;
        if self.steps > 0 { Err(Refused::NeedsStep) } else { self.progress(None, now) }
    }

    fn next_step(&self) -> u8 {
        self.step.map_or(0, |step| if step + 1 < self.steps { step + 1 } else { 0 })
    }

    fn step(&mut self, step: u8, now: u64) -> Result<(), Refused> {
        self.awaited(now)?;
        if self.steps == 0 {
            return Err(Refused::NoSteps);
        }
        if step != self.next_step() {
            self.state = State::Failed { fault: Fault::OutOfOrder, at: now };
            self.step = (step < Rules::MOST_STEPS).then_some(step);
            return Err(Refused::OutOfOrder);
        }
        self.progress(Some(step), now)
    }

    fn grant(&mut self, now: u64) -> Result<(), Refused> {
        self.awaited(now)?;
        if !self.has_grants {
            return Err(Refused::NoGrant);
        }
        let State::Fed { .. } = self.state else { return Err(Refused::NoProgress) };
        self.grants_left = self.grants_left.checked_sub(1).ok_or(Refused::NoGrant)?;
        self.state = State::Granted { at: now };
        Ok(())
    }

    fn pause(&mut self, now: u64) -> Result<(), Refused> {
        self.awaited(now)?;
        let in_grant = matches!(self.state, State::Ready | State::Granted { .. });
        if self.has_grants && in_grant {
            return Err(Refused::NoProgress);
        }
        self.state = State::Paused;
        Ok(())
    }

    fn resume(&mut self, now: u64) -> Result<(), Refused> {
        self.in_time(now)?;
        if self.state != State::Paused {
            return Err(Refused::NotPaused);
        }
        self.state = State::Fed { at: now, is_first: true };
        // After a whole round the next one begins anew.
        self.step = self.step.filter(|step| step + 1 < self.steps);
        Ok(())
    }

    fn abandon(&mut self, how: End, now: u64) {
        if self.in_time(now).is_ok() {
            let fault = match how {
                End::Returned => Fault::Returned,
                End::Panicked => Fault::Panicked,
            };
            self.state = State::Failed { fault, at: now };
        }
    }
}

struct Bite {
    failure: Failure,
    done: usize,
    due: u64,
    may_rescue: bool,
    past_rescue: bool,
    /// The failure is only reported.
    is_report: bool,
}

struct Model<'a> {
    tasks: Vec<Option<Watched>>,
    heartbeat: u64,
    slack: u64,
    window: u64,
    stages: &'a [(Stage, u32)],
    rescues: u8,
    sleep: u64,
    latest: u64,
    last_good: u64,
    /// A heartbeat of the grid.
    beat: u64,
    /// When the window of the hardware opens.
    opens: u64,
    asleep: Option<u64>,
    /// The hardware was not fed since the start.
    unfed: bool,
    next_feed: u64,
    bite: Option<Bite>,
}

impl Model<'_> {
    fn judge(&mut self, now: u64) -> u64 {
        let now = now.max(self.latest);
        self.latest = now;
        // The device did not say that it is awake: the sleep counts, and the window may have begun just now.
        if self.asleep.take().is_some() {
            self.opens = now.saturating_add(self.window);
            self.next_feed = self.next_feed.max(self.opens);
        }
        if self.bite.is_none() {
            match self.failure(now) {
                None => self.last_good = now,
                Some((Reaction::Stages, failure)) => self.bite = Some(self.bite(failure, 0, now)),
                Some((Reaction::Reset, failure)) => {
                    self.bite = Some(self.bite_at_once(failure, now));
                }
                Some((Reaction::Report, failure)) => {
                    self.bite = Some(Bite { is_report: true, ..self.bite(failure, 0, now) });
                }
            }
        }
        now
    }

    /// A bite from the stage `done` on, whose delay counts from `from`.
    fn bite(&self, failure: Failure, done: usize, from: u64) -> Bite {
        Bite {
            failure,
            done,
            due: self.due(done, from),
            may_rescue: false,
            past_rescue: false,
            is_report: false,
        }
    }

    fn bite_at_once(&self, failure: Failure, now: u64) -> Bite {
        let is_last = |(stage, _): &(Stage, u32)| matches!(stage, Stage::LastWords | Stage::Reset);
        let first = self.stages.iter().position(is_last).expect("a reset is the last stage");
        Bite { due: now, ..self.bite(failure, first, now) }
    }

    fn due(&self, stage: usize, from: u64) -> u64 {
        let stage = self.stages.get(stage);
        stage.map_or(u64::MAX, |(_, delay)| from.saturating_add(u64::from(*delay)))
    }

    fn bite_now(&mut self, now: u64) {
        let now = self.judge(now);
        if self.bite.as_ref().is_none_or(|bite| bite.is_report) {
            let (task, name, fault) = (TaskId::SUPERVISOR, Name::NONE, Fault::Requested);
            let at = Instant::from_millis(now);
            let failure = Failure { task, name, fault, step: None, since: at, at };
            self.bite = Some(self.bite_at_once(failure, now));
        }
    }

    /// A feed at `now`; the heartbeats up to `covered` are served.
    fn feeds(&mut self, now: u64, covered: u64) {
        self.unfed = false;
        // After 49 days a new grid begins.
        let since = Some(covered - self.beat).filter(|since| *since <= u32::MAX.into());
        self.beat =
            since.map_or(covered, |since| self.beat + since / self.heartbeat * self.heartbeat);
        self.opens = now.saturating_add(self.window);
        self.next_feed = self.beat.saturating_add(self.heartbeat).max(self.opens);
    }

    fn suspend(&mut self, now: u64) -> Result<Poll, NotSuspended> {
        if self.sleep == 0 {
            return Err(NotSuspended::NotPlanned);
        }
        let now = self.judge(now);
        if let Some(bite) = &self.bite {
            return Err(NotSuspended::Failed(bite.failure));
        }
        if now < self.opens && self.unfed {
            return Err(NotSuspended::NotFed);
        }
        // The latest instant means 'awake'.
        self.asleep = Some(now).filter(|now| *now < u64::MAX);
        let action = if now >= self.opens { Action::Feed } else { Action::Wait };
        if action == Action::Feed {
            self.feeds(now, now.max(self.beat));
        }
        Ok(Poll { action, next: Instant::from_millis(now.saturating_add(self.sleep)) })
    }

    fn resume(&mut self, now: u64) {
        let Some(asleep) = self.asleep.take() else { return };
        let slept = now.saturating_sub(asleep).min(self.sleep);
        self.tasks.iter_mut().flatten().for_each(|task| task.sleep(slept, now));
        if now.saturating_sub(asleep) <= MOST_BETWEEN_POLLS {
            self.last_good += slept;
        }
        self.latest = self.latest.max(now);
        self.beat = self.latest;
        self.next_feed = self.latest.max(self.opens);
    }

    fn poll(&mut self, now: u64) -> Poll {
        let now = self.judge(now);
        let poll = |action, next| Poll { action, next: Instant::from_millis(next) };
        if let Some(Bite { failure, .. }) = self.bite.take_if(|bite| bite.is_report) {
            let index = usize::try_from(failure.task.index()).expect("a small number");
            let failed = self.tasks.get_mut(index).and_then(Option::as_mut);
            // It may have retired by a clock that is behind.
            failed.into_iter().for_each(|task| task.reported = true);
            return poll(Action::Report(failure), self.next_feed.max(now));
        }
        let Some(mut bite) = self.bite.take() else {
            let covered = if now >= self.next_feed {
                now
            } else if now >= self.opens && self.next_feed - now <= self.slack {
                self.next_feed
            } else {
                return poll(Action::Wait, self.next_feed);
            };
            self.feeds(now, covered);
            return poll(Action::Feed, self.next_feed);
        };
        let action = match self.stages.get(bite.done) {
            None => Action::Stopped(bite.failure),
            Some(_) if now < bite.due => Action::Wait,
            Some((stage, _)) => {
                bite.done += 1;
                bite.due = self.due(bite.done, now);
                bite.may_rescue =
                    matches!(stage, Stage::Restart | Stage::ResetLink | Stage::Other(_));
                bite.past_rescue |= matches!(stage, Stage::LastWords | Stage::Reset);
                Action::Stage(*stage, bite.failure)
            }
        };
        let due = bite.due;
        self.bite = Some(bite);
        poll(action, due)
    }

    /// The task that failed first; of several tasks that failed at the same time, the first in the list.
    /// Tasks whose failure is only reported come after all others.
    fn failure(&self, now: u64) -> Option<(Reaction, Failure)> {
        let failed = (0..).zip(&self.tasks).filter_map(|(index, task)| {
            let task = task.as_ref().filter(|task| !task.reported)?;
            let (fault, since, failed_at) = self.fault(task, now)?;
            let (step, since, at) =
                (task.step, Instant::from_millis(since), Instant::from_millis(now));
            let task_id = TaskId::new(index);
            let failure = Failure { task: task_id, name: task.name, fault, step, since, at };
            // More than 24 days count as 24 days.
            let failed_at = failed_at.max(now.saturating_sub(i32::MAX as u64));
            let rank = (task.reaction == Reaction::Report, failed_at);
            Some((rank, (task.reaction, failure)))
        });
        failed.min_by_key(|(rank, _)| *rank).map(|(_, failure)| failure)
    }

    /// The fault of a task, the time of its last sign of life, and the time at which it failed.
    fn fault(&self, task: &Watched, now: u64) -> Option<(Fault, u64, u64)> {
        let too_long = now - self.last_good > MOST_BETWEEN_POLLS;
        // More than 49 days count as 49 days.
        let last_good = self.last_good.max(now.saturating_sub(u32::MAX.into()));
        let (last, limit) = match task.state {
            State::Paused => return None,
            State::Failed { fault, .. } if too_long => {
                return Some((fault, self.last_good, last_good));
            }
            State::Failed { fault, at } => return Some((fault, at.min(now), at.min(now))),
            State::Ready => (task.started, task.grant),
            State::Fed { at, .. } => (at, task.deadline),
            State::Granted { at } => (at, task.grant),
        };
        let last = match task.state {
            State::Ready | State::Fed { .. } | State::Granted { .. } if too_long => last_good,
            State::Ready | State::Fed { .. } | State::Granted { .. } => last,
            State::Paused | State::Failed { .. } => return None,
        };
        if last.saturating_sub(now) > limit + self.heartbeat {
            return Some((Fault::Clock, now, now));
        }
        let since = if too_long { self.last_good } else { last };
        (now.saturating_sub(last) > limit).then(|| (Fault::Starved, since, last + limit))
    }

    fn watch(&mut self, rules: Rules, now: u64) -> Result<u32, WatchError> {
        rules.check()?;
        let now = now.max(self.latest);
        let vacant = (0..).zip(&mut self.tasks).find(|(_, task)| task.is_none());
        let (index, place) = vacant.ok_or(WatchError::NoVacancy)?;
        let mut watched = Watched::at_start(&rules, now);
        if watched.state == State::Ready {
            watched.state = State::Granted { at: now };
        }
        *place = Some(watched);
        self.bite.take_if(|bite| bite.is_report && bite.failure.task.index() == index);
        Ok(index)
    }

    fn restarted(&mut self, task: u8, now: u64) -> Result<(), NotRescued> {
        let place = self.tasks.get_mut(usize::from(task)).and_then(Option::as_mut);
        if let Some(reported) = place.filter(|task| task.reported) {
            reported.state = State::Granted { at: now.max(self.latest) };
            (reported.step, reported.reported) = (None, false);
            return Ok(());
        }
        let failed = self.bite.as_ref();
        let bite = failed.filter(|bite| bite.failure.task.index() == u32::from(task));
        let bite = bite.ok_or(NotRescued::NotFailed)?;
        if bite.past_rescue {
            return Err(NotRescued::TooLate);
        }
        if !bite.may_rescue {
            return Err(NotRescued::TooSoon);
        }
        let rescues = self.rescues.checked_sub(1).ok_or(NotRescued::NoneLeft)?;
        let Some(Some(watched)) = self.tasks.get_mut(usize::from(task)) else {
            return Err(NotRescued::Retired);
        };
        self.rescues = rescues;
        self.bite = None;
        let now = now.max(self.latest);
        watched.step = None;
        watched.state = State::Granted { at: now };
        Ok(())
    }
}
