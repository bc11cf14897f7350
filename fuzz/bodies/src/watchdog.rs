//! Target `watchdog`: all calls at all times agree with a simple model, and reading a crash record accepts any bytes.
//!
//! The first byte chooses the part: 4 the crash record, 5 a plan, 6 a countdown, any other value the supervisor. For
//! the supervisor the settings follow (see [`Settings::read`]), then the calls (see [`call`]).

use watchdog_core::{Beat, Countdown, CrashRecord, End, Plan, Reaction, Rules, Stage, Timing};

pub mod model;

use model::{Call, run};

/// Checks that the calls in `data` have the results of the model.
///
/// # Panics
///
/// A property does not hold.
pub fn watchdog(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    match choice {
        4 => record(rest),
        5 => plan(&mut Bytes(rest)),
        6 => countdown(rest),
        _ => supervisor(&mut Bytes(rest)),
    }
}

/// Reads bytes in order, and zeros past the end.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *byte
    }

    fn short(&mut self) -> u32 {
        u32::from(u16::from_le_bytes([self.byte(), self.byte()]))
    }

    fn word(&mut self) -> u32 {
        self.short() | self.short() << 16
    }
}

fn record(bytes: &[u8]) {
    let mut exact = [0; CrashRecord::LEN];
    for (to, from) in exact.iter_mut().zip(bytes) {
        *to = *from;
    }
    if let Ok(record) = CrashRecord::from_bytes(&exact) {
        assert_eq!(CrashRecord::from_bytes(&record.to_bytes()), Ok(record));
    }
    let read = CrashRecord::from_bytes(&exact);
    assert_eq!(CrashRecord::take(&mut exact), read);
    assert_eq!(exact, [0; CrashRecord::LEN]);
}

fn plan(bytes: &mut Bytes<'_>) {
    let stages = stages(bytes);
    let (heartbeat, late, min, max) = (bytes.word(), bytes.word(), bytes.word(), bytes.word());
    let (deadline, period, run, recovery) =
        (bytes.word(), bytes.word(), bytes.word(), bytes.word());
    let window = bytes.word();
    let earliest = bytes.word();
    let slack = bytes.word();
    let plan = Plan::heartbeat(heartbeat)
        .late(late)
        .chip(min, max)
        .slack(slack)
        .window(window)
        .stages(&stages)
        .recovery(recovery);
    let checked: Result<Timing<'_>, _> = plan.check();
    let Ok(timing) = checked else { return };
    let wide = u128::from;
    let delays: u128 = stages.iter().map(|(_, delay)| wide(*delay) + wide(late)).sum();
    let looked = wide(heartbeat) + wide(slack) + wide(late);
    assert!(looked + delays < wide(min), "the chip bites first");
    assert!(slack == 0 || slack < heartbeat, "a feed of no heartbeat");
    assert!(window == 0 || wide(heartbeat) >= wide(window) + wide(late), "too early for the chip");
    let rules = Rules::deadline(deadline).works(period, run).not_before(earliest);
    if timing.fits(&rules).is_ok() {
        assert!(wide(deadline) + wide(max) + wide(late) <= wide(recovery), "too slow");
        assert!(wide(deadline) > wide(period) + wide(run) + wide(late), "a healthy task is late");
        let gap = wide(period).saturating_sub(wide(run) + wide(late));
        assert!(earliest == 0 || period == 0 || wide(earliest) < gap, "a healthy task is early");
        assert!(period == 0 || heartbeat % period == 0 || period % heartbeat == 0);
    }
}

fn countdown(bytes: &[u8]) {
    let Some((reload, calls)) = bytes.split_first() else { return };
    let (countdown, reload) = (Countdown::new((*reload).into()), (*reload).max(1));
    let (mut left, mut bitten) = (reload, false);
    for call in calls {
        if call % 2 == 0 {
            countdown.feed();
            left = reload;
            continue;
        }
        left = left.saturating_sub(1);
        let expected = match (bitten, left) {
            (true, _) => Beat::Bitten,
            (false, 0) => Beat::Bite,
            (false, left) => Beat::Left(left.into()),
        };
        bitten |= left == 0;
        assert_eq!((countdown.heartbeat(), countdown.has_bitten()), (expected, bitten));
    }
}

fn supervisor(bytes: &mut Bytes<'_>) {
    let settings = Settings::read(bytes);
    let mut left = bytes.0;
    let calls = std::iter::from_fn(move || {
        let mut bytes = Bytes(left);
        let call = (!left.is_empty()).then(|| call(&mut bytes));
        left = bytes.0;
        call
    });
    let plan =
        Plan::heartbeat(settings.heartbeat).stages(&settings.stages).rescues(settings.rescues);
    let plan = plan.window(settings.window).sleep(settings.sleep).slack(settings.slack);
    let Ok(timing): Result<Timing<'_>, _> = plan.check() else { return };
    run(&settings.tasks, timing, &settings.stages, settings.rescues, settings.start, calls);
}

struct Settings {
    heartbeat: u32,
    rescues: u8,
    window: u32,
    sleep: u32,
    slack: u32,
    start: u64,
    stages: Vec<(Stage, u32)>,
    tasks: Vec<Option<Rules>>,
}

impl Settings {
    /// Reads the heartbeat (2 bytes), the rescues (bits 0 and 1) and flags, the window if bit 2 is set, the sleep if bit 3
    /// is set, the slack if bit 4 is set, the start (see below), the stages, the number of tasks (0 to 4), and their rules.
    fn read(bytes: &mut Bytes<'_>) -> Self {
        let heartbeat = bytes.short().max(1);
        let flags = bytes.byte();
        let rescues = flags & 3;
        let window = if flags & 4 != 0 { bytes.short() % (heartbeat + 1) } else { 0 };
        let sleep = if flags & 8 != 0 { bytes.short() } else { 0 };
        let slack = if flags & 16 != 0 { bytes.short() % heartbeat } else { 0 };
        // 0, near the wrap of stamps, near the wrap of 32 bits, anywhere, or near the latest instant.
        let start = match bytes.byte() % 5 {
            0 => 0,
            1 => (1 << 25) - u64::from(bytes.short()),
            2 => (1 << 32) - u64::from(bytes.short()),
            3 => u64::from(bytes.word()) << 24,
            _ => u64::MAX - u64::from(bytes.word()),
        };
        let stages = stages(bytes);
        let tasks = (0..bytes.byte() % 5).map(|_| rules(bytes)).collect();
        Self { heartbeat, rescues, window, sleep, slack, start, stages, tasks }
    }
}

/// Reads the number of stages, and for each its kind and delay. A reset with its delay is the last stage.
fn stages(bytes: &mut Bytes<'_>) -> Vec<(Stage, u32)> {
    let mut stages: Vec<_> = (0..bytes.byte() % 5)
        .map(|_| {
            let stage = match bytes.byte() % 6 {
                0 => Stage::Warn,
                1 => Stage::Restart,
                2 => Stage::ResetLink,
                3 => Stage::Other(bytes.byte()),
                4 => Stage::LastWords,
                _ => Stage::Reset,
            };
            (stage, bytes.short())
        })
        .collect();
    stages.push((Stage::Reset, bytes.byte().into()));
    stages
}

/// Reads the flags (bit 0 vacant, 1 window, 2 checkpoints, 3 grants, 4 paused, 5 long deadline, 6 and 7
/// the reaction), the deadline, and the values that the flags need.
fn rules(bytes: &mut Bytes<'_>) -> Option<Rules> {
    let flags = bytes.byte();
    let has = |bit: u8| flags & 1 << bit != 0;
    if has(0) {
        return None;
    }
    let deadline = if has(5) { bytes.word() % (Rules::MOST_MILLIS + 2) } else { bytes.short() };
    let mut rules = Rules::deadline(deadline);
    if has(1) {
        rules = rules.not_before(bytes.short());
    }
    if has(2) {
        rules = rules.steps(bytes.byte() % 17);
    }
    if has(3) {
        rules = rules.grants(bytes.byte() % 5, bytes.byte() % 20);
    }
    if has(4) {
        rules = rules.paused().named("paused");
    }
    let rules = match flags >> 6 {
        1 => rules.on_failure(Reaction::Reset),
        2 => rules.on_failure(Reaction::Report),
        _ => rules,
    };
    Some(rules)
}

/// Reads a call. The low four bits choose the call; the others choose the task, or how much time passes.
fn call(bytes: &mut Bytes<'_>) -> Call {
    let byte = bytes.byte();
    let (what, which) = (byte & 15, byte >> 4);
    let task = which & 3;
    match what {
        0 | 1 => Call::Feed(task),
        2 => Call::Step(task, bytes.byte() % 20),
        // The next checkpoint in order.
        3 => Call::NextStep(task),
        4 => Call::Grant(task),
        5 => Call::Pause(task),
        6 => Call::Resume(task),
        7 => Call::Retire(task),
        8 => Call::Abandon(task, if which & 4 == 0 { End::Returned } else { End::Panicked }),
        9 => rules(bytes).map_or(Call::Poll, Call::Watch),
        10 => Call::Restarted(task),
        11 => Call::Advance(bytes.short().into()),
        12 => Call::Advance(u64::from(which)),
        13 if which == 15 => Call::Advance(u64::from(bytes.word()) << 12),
        13 => Call::Back(bytes.short().into()),
        14 => Call::PollWhenDue,
        15 if which == 12 => Call::Suspend,
        15 if which == 13 => Call::Awake,
        15 if which == 14 => Call::Bite,
        _ => Call::Poll,
    }
}
