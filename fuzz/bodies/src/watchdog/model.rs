//! A simple model of a supervisor, without regard to interrupts or memory: whole instants, one list, no atomics.
//! [`run`] makes the same calls to the model and to `watchdog_core`, and compares every answer.

use watchdog_core::{
    Action, End, Failure, Fault, Instant, NotRescued, Poll, Refused, Rules, Stage, Supervisor,
    Task, TaskId, Timing, WatchError,
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
        window: timing.window_millis().into(),
        stages,
        rescues,
        started: start,
        latest: start,
        last_good: start,
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
    let had_failed = model.bite.is_some();
    let polled = supervisor.poll(Instant::from_millis(now));
    assert_eq!(polled, model.poll(now), "poll at {now}");
    assert!(!had_failed || polled.action != Action::Feed, "fed after a failure");
    let awaited = model.tasks.iter().flatten().filter(|task| task.state != State::Paused).count();
    assert_eq!(supervisor.awaited(), awaited);
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
            State::Failed { .. } => Err(Refused::Failed),
            _ if self.latest().is_some_and(|latest| now > latest) => Err(Refused::Late),
            State::Ready | State::Fed { .. } | State::Granted { .. } | State::Paused => Ok(()),
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
    from: u64,
    may_rescue: bool,
    past_rescue: bool,
}

struct Model<'a> {
    tasks: Vec<Option<Watched>>,
    heartbeat: u64,
    window: u64,
    stages: &'a [(Stage, u32)],
    rescues: u8,
    started: u64,
    latest: u64,
    last_good: u64,
    next_feed: u64,
    bite: Option<Bite>,
}

impl Model<'_> {
    fn poll(&mut self, now: u64) -> Poll {
        let now = now.max(self.latest);
        if self.bite.is_none() {
            self.bite = self.failure(now).map(|failure| Bite {
                failure,
                done: 0,
                from: now,
                may_rescue: false,
                past_rescue: false,
            });
        }
        self.latest = now;
        if self.bite.is_none() {
            self.last_good = now;
        }
        let Some(bite) = &mut self.bite else {
            let action = if now >= self.next_feed { Action::Feed } else { Action::Wait };
            if action == Action::Feed {
                let beats = (now - self.started) / self.heartbeat + 1;
                let next =
                    u128::from(self.started) + u128::from(beats) * u128::from(self.heartbeat);
                let opens = now.saturating_add(self.window);
                self.next_feed = u64::try_from(next).unwrap_or(u64::MAX).max(opens);
            }
            return Poll { action, next: Instant::from_millis(self.next_feed) };
        };
        let next = |bite: &Bite| {
            let due = self
                .stages
                .get(bite.done)
                .map(|(_, delay)| bite.from.saturating_add(u64::from(*delay)));
            Instant::from_millis(due.unwrap_or(u64::MAX))
        };
        let action = match self.stages.get(bite.done) {
            None => Action::Stopped(bite.failure),
            Some((_, delay)) if now - bite.from < u64::from(*delay) => Action::Wait,
            Some((stage, _)) => {
                bite.done += 1;
                bite.from = now;
                bite.may_rescue =
                    matches!(stage, Stage::Restart | Stage::ResetLink | Stage::Other(_));
                bite.past_rescue |= matches!(stage, Stage::LastWords | Stage::Reset);
                Action::Stage(*stage, bite.failure)
            }
        };
        Poll { action, next: next(bite) }
    }

    /// The task that failed first; of several tasks that failed at the same time, the first in the list.
    fn failure(&self, now: u64) -> Option<Failure> {
        let failed = (0..).zip(&self.tasks).filter_map(|(index, task)| {
            let task = task.as_ref()?;
            let (fault, since, failed_at) = self.fault(task, now)?;
            let (step, since, at) =
                (task.step, Instant::from_millis(since), Instant::from_millis(now));
            Some((failed_at, Failure { task: TaskId::new(index), fault, step, since, at }))
        });
        failed.min_by_key(|(failed_at, _)| *failed_at).map(|(_, failure)| failure)
    }

    /// The fault of a task, the time of its last sign of life, and the time at which it failed.
    fn fault(&self, task: &Watched, now: u64) -> Option<(Fault, u64, u64)> {
        let too_long = now - self.last_good > MOST_BETWEEN_POLLS;
        let (last, limit) = match task.state {
            State::Paused => return None,
            State::Failed { fault, .. } if too_long => {
                return Some((fault, self.last_good, self.last_good));
            }
            State::Failed { fault, at } => return Some((fault, at.min(now), at.min(now))),
            State::Ready => (self.started, task.grant),
            State::Fed { at, .. } => (at, task.deadline),
            State::Granted { at } => (at, task.grant),
        };
        let last = match task.state {
            State::Fed { .. } | State::Granted { .. } if too_long => self.last_good,
            State::Ready | State::Fed { .. } | State::Granted { .. } => last,
            State::Paused | State::Failed { .. } => return None,
        };
        if last.saturating_sub(now) > limit + self.heartbeat {
            return Some((Fault::Clock, now, now));
        }
        (now.saturating_sub(last) > limit).then(|| (Fault::Starved, last, last + limit))
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
        Ok(index)
    }

    fn restarted(&mut self, task: u8, now: u64) -> Result<(), NotRescued> {
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
