//! The examples as processes: built if necessary, started, and awaited.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::SystemTime;
use std::{env, fs, thread};

use crate::process::{Lines, SOON};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// An example to be run.
#[derive(Debug)]
#[must_use]
pub struct Example {
    command: Command,
    input: Vec<u8>,
}

impl Example {
    /// The example called `name`, without arguments.
    ///
    /// # Panics
    /// If it does not build; shows the errors of the compiler.
    pub fn new(name: &str) -> Self {
        let mut command = Command::new(built(name));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command, input: Vec::new() }
    }

    /// More arguments.
    pub fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    /// A variable of its environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Its program and arguments, for a test that starts it in a way of its own.
    #[must_use]
    pub fn into_command(self) -> Command {
        self.command
    }

    /// `-h` and `-p`.
    pub fn broker(self, address: SocketAddr) -> Self {
        self.args(&["-h", &address.ip().to_string(), "-p", &address.port().to_string()])
    }

    /// Its standard input.
    pub fn input(mut self, bytes: &[u8]) -> Self {
        self.input = bytes.into();
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(self) -> Running {
        let Self { mut command, input } = self;
        let mut child = command.spawn().expect("it was built");
        let mut stdin = child.stdin.take().expect("standard input is piped");
        // A program that ends early does not read all of it. Its exit status shows that.
        thread::spawn(move || drop(stdin.write_all(&input)));
        let out = child.stdout.take().expect("standard output is piped");
        let err = Some(read_all(child.stderr.take().expect("standard error is piped")));
        Running { child, out: Some(out), err }
    }

    /// Starts it as the client `id`, and waits until the broker has acknowledged its subscriptions.
    ///
    /// # Panics
    /// If that takes too long; shows the broker's log.
    pub fn subscribed(self, id: &str, log: &Lines) -> Running {
        let running = self.args(&["-i", id]).start();
        log.wait(&format!("Sending SUBACK to {id}"), SOON);
        running
    }

    /// Starts it, and waits for its end.
    ///
    /// # Panics
    /// If that takes too long.
    #[track_caller]
    pub fn run(self) -> Done {
        self.start().done()
    }
}

/// A running example; killed when dropped.
#[derive(Debug)]
#[must_use]
pub struct Running {
    child: Child,
    /// Its standard output, unless the test has taken it.
    pub out: Option<ChildStdout>,
    err: Option<Receiver<Vec<u8>>>,
}

impl Running {
    /// Interrupts it (SIGINT).
    ///
    /// # Panics
    /// If it has ended.
    pub fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).expect("it runs");
    }

    /// Asks it to end (SIGTERM).
    ///
    /// # Panics
    /// If it has ended.
    pub fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it runs");
    }

    /// Stops it (SIGSTOP), and waits until it stands still.
    ///
    /// # Panics
    /// If it has ended.
    pub fn freeze(&self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::STOP).expect("it runs");
        let _ = waitid(WaitId::Pid(pid), WaitIdOptions::STOPPED).expect("it stops");
    }

    /// Ends a [`freeze`](Self::freeze).
    ///
    /// # Panics
    /// If it has ended.
    pub fn thaw(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).expect("it is there");
    }

    /// Ends it at once (SIGKILL), and waits for its end.
    pub fn kill(self) {
        drop(self);
    }

    /// The most memory that it has had so far, in bytes (`VmHWM` of Linux).
    ///
    /// # Panics
    /// If it has ended, or the system does not tell.
    #[must_use]
    pub fn peak_memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).expect("it runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.trim().strip_suffix("kB")).expect("Linux tells");
        peak.trim().parse::<u64>().expect("a number") << 10
    }

    /// Its standard output line by line, for tests that wait for a line.
    ///
    /// # Panics
    /// If the test has taken its output before.
    #[must_use]
    pub fn lines(&mut self) -> Lines {
        Lines::read("the example", self.out.take().expect("its output is not taken yet"))
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If that takes too long.
    #[track_caller]
    pub fn done(mut self) -> Done {
        let out = self.out.take().map(read_all);
        let out = out.map(|out| out.recv_timeout(SOON).expect("the end of its standard output"));
        let err = self.err.take().map(|err| err.recv_timeout(SOON).expect("the end of its errors"));
        let status = self.child.wait().expect("it can be reaped").code();
        let err = String::from_utf8_lossy(&err.unwrap_or_default()).into_owned();
        Done { status, out: out.unwrap_or_default(), err }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, unless the test is failing.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The exit status of an example, and its output.
#[derive(Debug)]
#[must_use]
pub struct Done {
    /// Its exit status; `None` if a signal ended it.
    pub status: Option<i32>,
    /// Standard output.
    pub out: Vec<u8>,
    /// Standard error.
    pub err: String,
}

impl Done {
    /// Its standard output, after it ended with success and without a word on standard error.
    ///
    /// # Panics
    /// If it did not.
    #[must_use = "or drop it"]
    #[track_caller]
    pub fn well(self) -> Vec<u8> {
        assert_eq!((self.status, self.err.as_str()), (Some(0), ""));
        self.out
    }

    /// As [`well`](Self::well), as text.
    ///
    /// # Panics
    /// As [`well`](Self::well).
    #[track_caller]
    #[must_use]
    pub fn text(self) -> String {
        String::from_utf8(self.well()).expect("text")
    }

    /// The first line of its standard error, after it failed and wrote nothing else.
    ///
    /// # Panics
    /// If it did not.
    #[must_use]
    #[track_caller]
    pub fn failure(self) -> String {
        assert_eq!((self.status, self.out.as_slice()), (Some(1), &b""[..]), "{}", self.err);
        self.err.lines().next().unwrap_or_default().into()
    }
}

/// The whole content of `source`, read on a thread of its own.
fn read_all(mut source: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        source.read_to_end(&mut bytes).expect("a pipe can be read");
        // After a failed test no thread waits.
        let _ = sender.send(bytes);
    });
    receiver
}

/// The program `name` of `examples/embassy`, a workspace of its own. It is built if it is missing or older than its
/// sources.
///
/// # Panics
/// If it does not build; shows the errors of the compiler.
#[must_use]
#[track_caller]
pub fn embassy_program(name: &str) -> PathBuf {
    let this = env::current_exe().expect("a process knows its program");
    let target = this.ancestors().nth(3).expect("tests lie in target/PROFILE/deps").join("embassy");
    let program = target.join("debug").join(name).with_extension(env::consts::EXE_EXTENSION);
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let sources = ["examples/embassy/src", "mqtt-core/src", "watchdog-core/src"];
    let sources = sources.iter().map(|dir| newest(&workspace.join(dir))).max().flatten();
    let sources = sources.max(modified(&workspace.join("examples/link_health.rs")));
    if modified(&program).is_some_and(|built| Some(built) >= sources) {
        return program;
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from(env!("CARGO")));
    let output = Command::new(cargo)
        .current_dir(workspace)
        .args(["build", "--manifest-path", "examples/embassy/Cargo.toml", "--target-dir"])
        .arg(target)
        .output()
        .expect("cargo has built this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

/// The example's program. It is built if it is missing or older than its sources.
fn built(name: &str) -> PathBuf {
    let this = env::current_exe().expect("a process knows its program");
    let profile_dir =
        this.parent().and_then(Path::parent).expect("tests lie in target/PROFILE/deps");
    let program =
        profile_dir.join("examples").join(name).with_extension(env::consts::EXE_EXTENSION);
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let sources = ["examples", "mqtt-core/src", "watchdog-core/src", "watchdog-core/tests/chip"];
    let sources = sources.iter().map(|dir| newest(&workspace.join(dir))).max().flatten();
    if modified(&program).is_some_and(|built| Some(built) >= sources) {
        return program;
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from(env!("CARGO")));
    let package = match name {
        "gateway" => "mqtt-gateway",
        "fota" => "mqtt-fota",
        "quickstart" => "mqtt-quickstart",
        _ => "mqtt-examples",
    };
    let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
        None | Some("debug") => "dev",
        Some(profile) => profile,
    };
    let output = Command::new(cargo)
        .current_dir(workspace)
        .args(["build", "--package", package, "--examples", "--profile", profile])
        .arg("--target-dir")
        .arg(profile_dir.parent().expect("a profile lies in the target folder"))
        .output()
        .expect("cargo has built this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|file| file.modified()).ok()
}

/// When the newest file under `folder` was written. Nothing is built from Markdown.
fn newest(folder: &Path) -> Option<SystemTime> {
    fs::read_dir(folder)
        .expect("a folder of the workspace")
        .filter_map(|entry| {
            let path = entry.expect("a folder can be read").path();
            if path.extension().is_some_and(|extension| extension == "md") {
                return None;
            }
            if path.is_dir() { newest(&path) } else { modified(&path) }
        })
        .max()
}
