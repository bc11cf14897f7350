//! A daemon in virtual time: the clock, the hardware and the threads of the tests.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::Duration;

use watchdog_core::hardware::{ErrorKind, ErrorType, Watchdog};
use watchdog_core::host::clock::Clock;
use watchdog_core::host::daemon::{Daemon, Event, Settings, Watched};
use watchdog_core::{Instant, NotRescued, Plan, Refused, Rules, Stage, Timing, plan};

/// The time-out of each wait, longer than any step takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const STAGES: &[(Stage, u32)] =
    &[(Stage::Warn, 0), (Stage::Restart, 20), (Stage::LastWords, 20), (Stage::Reset, 20)];
pub(crate) const TIMING: Timing<'static> = plan!(Plan::heartbeat(100).stages(STAGES).rescues(1));
pub(crate) const RULES: Rules = Rules::deadline(250);
/// A clock that the test moves.
#[derive(Clone, Default)]
pub(crate) struct Virtual(pub(crate) Arc<(Mutex<Time>, Condvar)>);

#[derive(Default)]
pub(crate) struct Time {
    pub(crate) now: Instant,
    /// The instant until which the daemon waits.
    pub(crate) waiting: Option<Instant>,
    pub(crate) woken: bool,
    /// A thread that does not come back from `now` while it stands here.
    pub(crate) stalls: Option<ThreadId>,
    pub(crate) has_stalled: bool,
}

impl Clock for Virtual {
    fn now(&self) -> Instant {
        let mut time = self.0.0.lock().unwrap();
        let now = time.now;
        let me = thread::current().id();
        if time.stalls == Some(me) {
            time.has_stalled = true;
            self.0.1.notify_all();
            drop(self.0.1.wait_while(time, |time| time.stalls == Some(me)).unwrap());
        }
        now
    }

    fn wait(&self, until: Instant) {
        let (time, changed) = &*self.0;
        let mut time = time.lock().unwrap();
        time.waiting = Some(until);
        changed.notify_all();
        time = changed.wait_while(time, |time| !time.woken && time.now < until).unwrap();
        time.waiting = None;
        time.woken = false;
    }

    fn wake(&self) {
        self.0.0.lock().unwrap().woken = true;
        self.0.1.notify_all();
    }
}

impl Virtual {
    /// Waits until the daemon has nothing to do.
    pub(crate) fn settled(&self) -> MutexGuard<'_, Time> {
        let busy =
            |time: &mut Time| time.woken || time.waiting.is_none_or(|until| until <= time.now);
        let (time, timeout) =
            self.0.1.wait_timeout_while(self.0.0.lock().unwrap(), PATIENCE, busy).unwrap();
        assert!(!timeout.timed_out(), "the daemon does not wait");
        time
    }

    /// Moves the clock to `millis`, as if the process had been stopped until then: the daemon is not back yet.
    pub(crate) fn jump(&self, millis: u64) {
        self.settled().now = Instant::from_millis(millis);
    }

    /// Makes a thread pause when it reads the clock. `None`: it goes on.
    pub(crate) fn stall(&self, thread: Option<ThreadId>) {
        self.0.0.lock().unwrap().stalls = thread;
        self.0.1.notify_all();
    }

    /// Waits until the thread pauses.
    pub(crate) fn stall_seen(&self) {
        let runs = |time: &mut Time| !time.has_stalled;
        let time = self.0.0.lock().unwrap();
        let (_time, timeout) = self.0.1.wait_timeout_while(time, PATIENCE, runs).unwrap();
        assert!(!timeout.timed_out(), "the thread does not read the clock");
    }

    /// Waits until somebody has woken the daemon, which is busy. Its next wait ends at once.
    pub(crate) fn wake_seen(&self) {
        let asleep = |time: &mut Time| !time.woken;
        let time = self.0.0.lock().unwrap();
        let (_time, timeout) = self.0.1.wait_timeout_while(time, PATIENCE, asleep).unwrap();
        assert!(!timeout.timed_out(), "nobody wakes the daemon");
    }

    /// Moves the clock to `millis`, and lets the daemon do all that is due on the way.
    pub(crate) fn reach(&self, millis: u64) {
        let goal = Instant::from_millis(millis);
        loop {
            let mut time = self.settled();
            let until = time.waiting.unwrap();
            time.now = until.min(goal);
            self.0.1.notify_all();
            if until > goal {
                return;
            }
        }
    }
}

/// Sends a line for each feed. Its feeds fail while `broken` is set.
pub(crate) struct Hardware {
    pub(crate) clock: Virtual,
    pub(crate) lines: Sender<String>,
    pub(crate) broken: Arc<Mutex<bool>>,
}

impl ErrorType for Hardware {
    type Error = ErrorKind;
}

impl Watchdog for Hardware {
    fn feed(&mut self) -> Result<(), ErrorKind> {
        if *self.broken.lock().unwrap() {
            return Err(ErrorKind::Connection);
        }
        let _over = self.lines.send(format!("{} fed", self.clock.now().as_millis()));
        Ok(())
    }
}

/// A test may stop the clock for as long as it likes.
pub(crate) fn settings(clock: &Virtual) -> Settings {
    Settings::new().clock(clock.clone()).without_last_resort()
}

/// A daemon in virtual time, and the lines that it and its hardware send.
pub(crate) struct Bench {
    pub(crate) clock: Virtual,
    pub(crate) daemon: Daemon<Hardware>,
    pub(crate) lines: Receiver<String>,
    pub(crate) broken: Arc<Mutex<bool>>,
    /// The results of `Bite::restarted`.
    pub(crate) restarts: Receiver<Result<Watched, NotRescued>>,
}

pub(crate) fn bench(places: usize) -> Bench {
    bench_by(TIMING, places)
}

pub(crate) fn bench_by(timing: Timing<'static>, places: usize) -> Bench {
    let (sender, lines) = mpsc::channel();
    let (restarted, restarts) = mpsc::channel();
    let clock = Virtual::default();
    let broken = Arc::new(Mutex::new(false));
    let hardware =
        Hardware { clock: clock.clone(), lines: sender.clone(), broken: Arc::clone(&broken) };
    let time = clock.clone();
    let handler = move |event: Event<'_, ErrorKind>| {
        let now = time.now().as_millis();
        let line = match event {
            Event::Stage(mut bite) => {
                if bite.stage() == Stage::Restart {
                    // An error only means that the test is over.
                    let _over = restarted.send(bite.restarted());
                }
                format!("{now} {:?} {}: {}", bite.stage(), bite.name(), bite.failure())
            }
            Event::Report(report) => format!("{now} {}: {}", report.name(), report.failure()),
            Event::NotFed(error) => format!("{now} {error}"),
            Event::Late(by) => format!("{now} late by {} ms", by.as_millis()),
        };
        let _over = sender.send(line);
    };
    let daemon = Daemon::start_with(settings(&clock), hardware, places, timing, handler).unwrap();
    drop(clock.settled());
    Bench { clock, daemon, lines, broken, restarts }
}

impl Bench {
    pub(crate) fn lines(&self) -> Vec<String> {
        drop(self.clock.settled());
        self.lines.try_iter().collect()
    }
}

pub(crate) type Order = fn(&Watched) -> Result<(), Refused>;

/// A thread that carries out orders.
pub(crate) struct Worker {
    pub(crate) orders: Sender<Order>,
    pub(crate) answers: Receiver<Result<(), Refused>>,
    pub(crate) thread: JoinHandle<()>,
}

pub(crate) fn work(watched: Watched) -> Worker {
    let (orders, todo) = mpsc::channel::<Order>();
    let (answer, answers) = mpsc::channel();
    let thread = thread::spawn(move || {
        for order in todo {
            answer.send(order(&watched)).unwrap();
        }
    });
    Worker { orders, answers, thread }
}

impl Worker {
    pub(crate) fn does(&self, order: Order) -> Result<(), Refused> {
        self.orders.send(order).unwrap();
        self.answers.recv_timeout(PATIENCE).unwrap()
    }
}

/// Hardware that tells when it is dropped.
pub(crate) struct Dropped(pub(crate) Sender<()>);

impl ErrorType for Dropped {
    type Error = ErrorKind;
}

impl Watchdog for Dropped {
    fn feed(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

impl Drop for Dropped {
    fn drop(&mut self) {
        let _over = self.0.send(());
    }
}
