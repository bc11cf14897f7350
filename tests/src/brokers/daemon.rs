//! A broker as a process: a port, a folder, one log for each start.

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use super::Broker;
use crate::broker::free_port;
use crate::process::{Lines, Process};

/// The limit for one start or one end. RabbitMQ takes 13 s on an idle machine with two cores.
const PATIENCE: Duration = Duration::from_secs(90);

/// How to start a broker.
pub(crate) struct Recipe {
    /// Its name, in messages and in the name of its folder.
    pub(crate) name: &'static str,
    /// A line of its output with this text says that it listens.
    pub(crate) ready: &'static str,
    /// Its output has this text if another program has its port.
    pub(crate) taken: &'static str,
    /// Writes the configuration into the folder and gives the command.
    pub(crate) command: MakeCommand,
}

/// Makes the command from the folder and the port.
pub(crate) type MakeCommand = Box<dyn Fn(&Path, u16) -> Command>;

/// A broker as a process that this project starts and ends.
pub(crate) struct Daemon {
    recipe: Recipe,
    folder: TempDir,
    port: u16,
    running: Option<Process>,
    /// Two logs for each start: standard output and standard error.
    logs: Vec<[Lines; 2]>,
}

impl Daemon {
    /// Starts it and waits until it listens.
    #[track_caller]
    pub(crate) fn start(recipe: Recipe) -> Self {
        let mut daemon = Self::new(recipe);
        for _ in 0..20 {
            daemon.port = free_port();
            if daemon.launch() {
                return daemon;
            }
        }
        panic!("20 ports in turn were taken before {} could bind them", daemon.recipe.name);
    }

    /// The same. `None` if another program has one of its ports.
    #[track_caller]
    pub(crate) fn try_start(recipe: Recipe) -> Option<Self> {
        let mut daemon = Self::new(recipe);
        daemon.port = free_port();
        daemon.launch().then_some(daemon)
    }

    fn new(recipe: Recipe) -> Self {
        let folder = TempDir::with_prefix(format!("{}-", recipe.name))
            .expect("a temporary folder can be made");
        Self { recipe, folder, port: 0, running: None, logs: Vec::new() }
    }

    /// Starts the process. Returns `false` if another one has its port.
    #[track_caller]
    fn launch(&mut self) -> bool {
        let mut command = (self.recipe.command)(self.folder.path(), self.port);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process::spawn(self.recipe.name, &mut command);
        let logs = [process.stdout(), process.stderr()];
        self.running = Some(process);
        let limit = Instant::now() + PATIENCE;
        // Brokers differ in the output that they use for their log.
        while logs.iter().all(|log| log.count(self.recipe.ready) == 0) {
            let taken = logs.iter().any(|log| log.count(self.recipe.taken) > 0);
            let over = Instant::now() > limit || logs.iter().all(Lines::ended_now);
            if taken || over {
                self.end(Signal::KILL);
                assert!(taken, "{} does not start\n{}{}", self.recipe.name, logs[0], logs[1]);
                return false;
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.logs.push(logs);
        true
    }

    #[track_caller]
    fn end(&mut self, signal: Signal) {
        let mut process = self.running.take().expect("the broker runs");
        // A start script may have a child that is the broker. Its file says which.
        match self.pid_file() {
            Some(pid) => drop(rustix::process::kill_process(pid, signal)),
            None => process.signal(signal),
        }
        process.exited(PATIENCE);
        let _ = fs::remove_file(self.folder.path().join(PID_FILE));
    }

    fn pid_file(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.folder.path().join(PID_FILE)).ok()?;
        Pid::from_raw(text.trim().parse().ok()?)
    }
}

/// The file in a broker's folder that names its process, if a script starts it.
pub(super) const PID_FILE: &str = "pid";

impl fmt::Debug for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Daemon")
            .field("name", &self.recipe.name)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Broker for Daemon {
    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    #[track_caller]
    fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    #[track_caller]
    fn stop(&mut self) {
        self.end(Signal::TERM);
    }

    #[track_caller]
    fn start_again(&mut self) {
        assert!(self.running.is_none(), "the broker still runs");
        let limit = Instant::now() + PATIENCE;
        // An outgoing connection of another program may have taken the port meanwhile.
        while !self.launch() {
            assert!(Instant::now() < limit, "port {} stays taken for {PATIENCE:?}", self.port);
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.running.is_some() {
            if let Some(pid) = self.pid_file() {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
        drop(self.running.take());
        if thread::panicking() {
            for log in self.logs.iter().flatten() {
                eprintln!("{log}");
            }
        }
    }
}

/// The first version number in the output of a program.
pub(super) fn version_of(program: &Path, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{}: {error}", program.display()))?;
    let text = [output.stdout, output.stderr].concat();
    first_version(&String::from_utf8_lossy(&text))
        .ok_or_else(|| format!("{} does not say its version", program.display()))
}

/// The first word that begins with a digit and has a dot, without a `v` before it.
pub(super) fn first_version(text: &str) -> Option<String> {
    let words = text
        .split(|c: char| c.is_whitespace() || c == ',')
        .map(|word| word.trim_start_matches('v'));
    let mut versions =
        words.filter(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'));
    versions.next().map(str::to_owned)
}

/// The path of a program of the system, or how to get it.
pub(crate) fn found(program: &str) -> Result<PathBuf, String> {
    crate::process::find(program).ok_or_else(|| format!("{program} is missing; {GET}"))
}

/// The way to the brokers.
pub(crate) const GET: &str = "`cargo xtask brokers` installs it";
