//! Child processes that end with their test, and their output, line by line.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

/// The limit of a wait that takes milliseconds on an idle machine. It is long enough for a busy one.
pub const SOON: Duration = Duration::from_secs(30);

const INSTALL: &str = "Debian: `apt-get install mosquitto mosquitto-clients openssl tshark`; or `cargo xtask test`, which does it";

/// The lines that a process has printed so far, kept from its start. Clones share them.
#[derive(Clone, Debug)]
pub struct Lines {
    name: Arc<str>,
    shared: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<String>,
    /// The process closed this output, at the latest by ending.
    ended: bool,
}

impl Lines {
    /// Reads `source` on a thread of its own until it ends.
    pub(crate) fn read(name: &str, source: impl Read + Send + 'static) -> Self {
        let lines = Self { name: name.into(), shared: Arc::default() };
        let shared = Arc::clone(&lines.shared);
        thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            while matches!(source.read_until(b'\n', &mut line), Ok(1..)) {
                let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
                lock(&shared.0).lines.push(text);
                shared.1.notify_all();
                line.clear();
            }
            lock(&shared.0).ended = true;
            shared.1.notify_all();
        });
        lines
    }

    /// Waits for a line that contains `text`, from the first line on, and returns it.
    ///
    /// # Panics
    /// If no such line came `within` this time, or none can come any more; shows all the lines that came.
    #[track_caller]
    #[must_use = "or call `wait`"]
    pub fn line(&self, text: &str, within: Duration) -> String {
        self.nth(1, text, within)
    }

    /// Waits for a line that contains `text`.
    ///
    /// # Panics
    /// As [`line`](Self::line).
    #[track_caller]
    pub fn wait(&self, text: &str, within: Duration) {
        let _ = self.nth(1, text, within);
    }

    /// Waits for the `n`th line (from 1) that contains `text`, and returns it.
    ///
    /// # Panics
    /// As [`line`](Self::line).
    #[track_caller]
    pub fn nth(&self, n: usize, text: &str, within: Duration) -> String {
        let found = self.until(within, |lines| {
            lines.iter().filter(|line| line.contains(text)).nth(n.saturating_sub(1)).cloned()
        });
        found.unwrap_or_else(|| panic!("waited {within:?} for line {n} with {text:?}\n{self}"))
    }

    /// How many of the lines so far contain `text`.
    ///
    /// Lines are read some time after they were printed. The number is final for lines before one that was awaited, and
    /// after the end of the program ([`Mosquitto::stop`](crate::Mosquitto::stop)).
    #[must_use]
    pub fn count(&self, text: &str) -> usize {
        lock(&self.shared.0).lines.iter().filter(|line| line.contains(text)).count()
    }

    /// The lines from number `from` (from 0) to the end of the output.
    ///
    /// # Panics
    /// If the output has not ended `within` this time.
    #[track_caller]
    #[must_use]
    pub fn to_the_end(&self, from: usize, within: Duration) -> Vec<String> {
        self.wait_ended(within);
        lock(&self.shared.0).lines.iter().skip(from).cloned().collect()
    }

    /// Whether the process has closed this output.
    pub(crate) fn ended_now(&self) -> bool {
        lock(&self.shared.0).ended
    }

    #[track_caller]
    pub(crate) fn wait_ended(&self, within: Duration) {
        let (state, shared) = (lock(&self.shared.0), &self.shared.1);
        let waited = shared.wait_timeout_while(state, within, |state| !state.ended);
        let ended = waited.unwrap_or_else(PoisonError::into_inner).0.ended;
        assert!(ended, "waited {within:?} for the end of {}\n{self}", self.name);
    }

    /// Waits until `pick` returns a value for the lines; `None` if the time is over or the output has ended.
    pub(crate) fn until<T>(
        &self,
        within: Duration,
        mut pick: impl FnMut(&[String]) -> Option<T>,
    ) -> Option<T> {
        let limit = Instant::now() + within;
        let mut state = lock(&self.shared.0);
        loop {
            let found = pick(&state.lines);
            let left = limit.saturating_duration_since(Instant::now());
            if found.is_some() || state.ended || left.is_zero() {
                return found;
            }
            state =
                self.shared.1.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The lines as they are shown if a test fails. Long lines are cut.
impl std::fmt::Display for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = lock(&self.shared.0);
        let end = if state.ended { ", which has ended" } else { "" };
        writeln!(f, "--- {} lines of {}{end}:", state.lines.len(), self.name)?;
        let hidden = state.lines.len().saturating_sub(300);
        if hidden > 0 {
            writeln!(f, "    ({hidden} lines left out)")?;
        }
        for line in state.lines.iter().skip(hidden) {
            let shown: String = line.chars().take(200).collect();
            f.write_str("    ")?;
            f.write_str(&shown)?;
            f.write_char('\n')?;
        }
        f.write_str("---")
    }
}

/// A running child process: killed and reaped when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Starts `command` with no standard input unless the command has set one.
    pub(crate) fn spawn(name: &str, command: &mut Command) -> Self {
        let child =
            command.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { child, name: name.into() }
    }

    /// The child's lines of standard output.
    pub(crate) fn stdout(&mut self) -> Lines {
        let name = format!("{} (stdout)", self.name);
        Lines::read(
            &name,
            self.child.stdout.take().expect("standard output is piped and not yet taken"),
        )
    }

    /// The child's lines of standard error.
    pub(crate) fn stderr(&mut self) -> Lines {
        let name = format!("{} (stderr)", self.name);
        Lines::read(
            &name,
            self.child.stderr.take().expect("standard error is piped and not yet taken"),
        )
    }

    pub(crate) fn stdin(&mut self) -> std::process::ChildStdin {
        self.child.stdin.take().expect("standard input is piped and not yet taken")
    }

    pub(crate) fn raw_stdout(&mut self) -> std::process::ChildStdout {
        self.child.stdout.take().expect("standard output is piped and not yet taken")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid(), signal)
            .unwrap_or_else(|error| panic!("{} is not there for a signal: {error}", self.name));
    }

    /// Stops the process as a debugger would: its sockets stay open, its kernel buffers go on taking bytes.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
        // The signal takes effect some time after it was sent.
        rustix::process::waitid(WaitId::Pid(self.pid()), WaitIdOptions::STOPPED)
            .unwrap_or_else(|error| panic!("{} did not stop: {error}", self.name));
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Reaps the process, which has closed `output` or is about to.
    #[track_caller]
    pub(crate) fn ended(&mut self, output: &Lines, within: Duration) -> ExitStatus {
        output.wait_ended(within);
        self.child.wait().unwrap_or_else(|error| panic!("{} cannot be reaped: {error}", self.name))
    }

    /// Whether it has not ended yet.
    pub(crate) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Reaps the process, which ends on its own or was told to. Unlike [`ended`](Self::ended) it does not wait for the
    /// end of the output, which a child of the process may hold open.
    #[track_caller]
    pub(crate) fn exited(&mut self, within: Duration) {
        let limit = Instant::now() + within;
        while self.runs() {
            assert!(Instant::now() < limit, "waited {within:?} for the end of {}", self.name);
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has been reaped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program of this project in a process of its own, such as one that the test wants to kill.
#[derive(Debug)]
pub struct Program {
    process: Process,
    output: Lines,
}

impl Program {
    /// Starts the program at `path`, which Cargo's `CARGO_BIN_EXE_…` names.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    #[track_caller]
    pub fn start(path: &str, args: &[&str]) -> Self {
        let mut command = Command::new(path);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut process = Process::spawn(path, &mut command);
        let output = process.stdout();
        Self { process, output }
    }

    /// Its standard output so far.
    #[must_use]
    pub fn output(&self) -> &Lines {
        &self.output
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(self) {
        drop(self);
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&self) {
        self.process.signal(Signal::TERM);
    }

    /// Stops it (SIGSTOP).
    pub fn freeze(&self) {
        self.process.freeze();
    }

    /// Ends a [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        self.process.thaw();
    }

    /// Waits for its end; gives its exit status, or `None` if a signal ended it, and its lines.
    ///
    /// # Panics
    /// If it has not ended `within` this time; shows its output.
    #[track_caller]
    #[must_use]
    pub fn finish(mut self, within: Duration) -> (Option<i32>, Vec<String>) {
        let status = self.process.ended(&self.output, within);
        (status.code(), self.output.to_the_end(0, within))
    }
}

/// Runs a program to its end.
///
/// # Panics
/// If it fails; shows its output.
#[track_caller]
pub(crate) fn run(name: &str, command: &mut Command) {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{name} does not start: {error}"));
    assert!(
        output.status.success(),
        "{name}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The path of a program: on `PATH`, or in a system folder for daemons that a user's `PATH` lacks.
///
/// # Panics
/// If it is missing; names the command that installs it.
#[track_caller]
pub(crate) fn program(name: &str) -> PathBuf {
    find(name).unwrap_or_else(|| panic!("`{name}` is missing. {INSTALL}"))
}

/// The path of a program, if it is there.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(
        ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin"].into_iter().map(PathBuf::from),
    );
    folders.map(|folder| folder.join(OsStr::new(name))).find(|candidate| candidate.is_file())
}

/// Ignores that a thread panicked while it held the lock. That thread has reported it.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(
        expected = "`mosquitto-of-tomorrow` is missing. Debian: `apt-get install mosquitto "
    )]
    fn a_missing_program_is_reported_with_the_command_that_installs_it() {
        let _ = program("mosquitto-of-tomorrow");
    }

    #[test]
    #[should_panic(
        expected = "waited 1ms for line 1 with \"three\"\n--- 2 lines of test:\n    one\n    two\n---"
    )]
    fn a_wait_that_fails_names_what_was_awaited_and_seen() {
        let (reader, mut writer) = std::os::unix::net::UnixStream::pair().expect("a pipe");
        let lines = Lines::read("test", reader);
        std::io::Write::write_all(&mut writer, b"one\ntwo\n").expect("the reader is there");
        lines.wait("two", SOON);
        lines.wait("three", Duration::from_millis(1));
    }

    #[test]
    #[should_panic(expected = "test, which has ended")]
    fn a_wait_for_an_ended_program_fails_at_once() {
        Lines::read("test", &b"one"[..]).wait("two", Duration::from_secs(3600));
    }
}
