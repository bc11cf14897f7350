//! The board: facts that threads write, and that the view and the lines show. Writing never waits for a terminal.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mqtt_core::{ConnectionState, Counters};

use crate::{
    beat::Task,
    time::Clock,
    uplink::{Figures, Uplink},
};

/// Lines that are kept. If nobody shows them for a while, the oldest are left out.
const KEPT: usize = 200;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When, in milliseconds since the start.
    pub at: u64,
    /// What.
    pub text: String,
}

/// What the threads write.
#[derive(Debug)]
pub struct Board {
    clock: Clock,
    name: String,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Line>,
    /// Lines that came before those that are kept.
    before: u64,
    tasks: Vec<Arc<Task>>,
    /// The broker of the last connection.
    broker: String,
    hardware: String,
    ended: bool,
}

impl Board {
    /// An empty board of the gateway `name`.
    #[must_use]
    pub fn new(name: &str, clock: Clock) -> Self {
        Self { clock, name: name.into(), state: Mutex::default(), changed: Condvar::new() }
    }

    /// The clock of the program.
    #[must_use]
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// Something has happened.
    pub fn tell(&self, text: &str) {
        let at = self.clock.millis();
        let mut state = self.lock();
        if state.lines.len() >= KEPT {
            state.lines.pop_front();
            state.before += 1;
        }
        // One event is one line, whatever an error says.
        state.lines.push_back(Line { at, text: text.replace(['\n', '\r'], " ") });
        self.changed.notify_all();
    }

    /// This went wrong, if it did.
    pub fn tell_error<T, E: std::fmt::Display>(&self, what: &str, result: Result<T, E>) {
        if let Err(error) = result {
            self.tell(&format!("{what}: {error}"));
        }
    }

    /// A task to show.
    pub fn add_task(&self, task: &Arc<Task>) {
        self.lock().tasks.push(Arc::clone(task));
    }

    /// The broker of the connection.
    pub fn set_broker(&self, broker: &str) {
        self.lock().broker = broker.into();
    }

    /// What bites.
    pub fn set_hardware(&self, hardware: &str) {
        self.lock().hardware = hardware.into();
    }

    /// No line follows.
    pub fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// The lines from number `from` on, waited for; empty if none came in `time`. `None`: the end. And the number of the
    /// next line.
    #[must_use]
    pub fn lines(&self, from: u64, time: Duration) -> (Option<Vec<Line>>, u64) {
        let state = self.lock();
        let nothing = |state: &mut State| state.next() <= from && !state.ended;
        let waited = self.changed.wait_timeout_while(state, time, nothing);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let shown = usize::try_from(from.saturating_sub(state.before)).unwrap_or(usize::MAX);
        let lines: Vec<Line> = state.lines.iter().skip(shown).cloned().collect();
        let over = lines.is_empty() && state.ended;
        ((!over).then_some(lines), state.next())
    }

    /// Everything as it is now.
    #[must_use]
    pub fn snapshot(&self, uplink: &Uplink) -> Snapshot {
        let client = uplink.client();
        let (link, counters, unanswered) = (client.state(), client.counters(), client.in_flight());
        let figures = uplink.figures();
        let now = self.clock.millis();
        let state = self.lock();
        let tasks = state.tasks.iter().map(|task| TaskRow {
            name: task.name.clone(),
            left: task.left(now),
            deadline: task.deadline,
        });
        Snapshot {
            name: self.name.clone(),
            uptime: now,
            link,
            broker: state.broker.clone(),
            hardware: state.hardware.clone(),
            unanswered,
            counters,
            figures,
            tasks: tasks.collect(),
            lines: state.lines.iter().cloned().collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The number of the next line.
    fn next(&self) -> u64 {
        self.before + self.lines.len() as u64
    }
}

/// Everything that the view shows.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The name of the gateway.
    pub name: String,
    /// Milliseconds since the start.
    pub uptime: u64,
    /// The state of the connection.
    pub link: ConnectionState,
    /// The broker of the last connection; empty if there was none.
    pub broker: String,
    /// What bites.
    pub hardware: String,
    /// Messages without an answer: in flight, or waiting for the link.
    pub unanswered: usize,
    /// The counters of the client.
    pub counters: Counters,
    /// The figures of the gateway.
    pub figures: Figures,
    /// The tasks.
    pub tasks: Vec<TaskRow>,
    /// The last events, the newest last.
    pub lines: Vec<Line>,
}

/// A task with its countdown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRow {
    /// Its name.
    pub name: String,
    /// The rest of its deadline, in milliseconds.
    pub left: u32,
    /// Its deadline, in milliseconds.
    pub deadline: u32,
}

impl Snapshot {
    /// The state of the link in a word.
    #[must_use]
    pub fn link_word(&self) -> &'static str {
        match self.link {
            ConnectionState::Up => "online",
            ConnectionState::Connecting => "connecting",
            ConnectionState::Waiting => "offline",
            ConnectionState::Closing => "closing",
            ConnectionState::Stopped | _ => "stopped",
        }
    }

    /// The round trip in words.
    #[must_use]
    pub fn round_trip(&self) -> String {
        let Some(time) = self.figures.round_trip else { return "-".into() };
        match time.as_micros() {
            micros @ 0..10_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
            micros => format!("{} ms", micros / 1_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_and_the_oldest_are_left_out() {
        let board = Board::new("g", Clock::start());
        let wait = Duration::from_millis(1);
        assert_eq!(board.lines(0, wait), (Some(vec![]), 0));
        for number in 0..KEPT + 10 {
            board.tell(&format!("line\n{number}"));
        }
        let (lines, next) = board.lines(0, wait);
        let lines = lines.expect("it goes on");
        assert_eq!((lines.len(), next), (KEPT, KEPT as u64 + 10));
        assert_eq!(lines.first().map(|line| line.text.as_str()), Some("line 10"));
        board.tell("last");
        board.end();
        let (lines, next) = board.lines(next, wait);
        assert_eq!(lines.map(|lines| lines.len()), Some(1));
        assert_eq!(board.lines(next, wait).0, None);
    }
}
