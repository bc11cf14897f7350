//! paho-mqtt from PyPI, the independent client in Python: a second opinion that shares nothing with Mosquitto.
//!
//! It lives in a virtual environment in the target folder, made at first use.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mqtt_core::{Protocol, QoS};
use rustix::fs::FlockOperation;

use crate::broker::Mosquitto;
use crate::message::{Message, to_hex};
use crate::process::{Lines, Process, SOON, program};

const PACKAGE: &str = "paho-mqtt==2.1.0";

/// A paho client to be started.
#[derive(Debug)]
#[must_use = "nothing runs before `start` or `connect`"]
pub struct PahoConfig {
    port: u16,
    id: String,
    version: Protocol,
    clean_session: bool,
    options: Vec<String>,
}

impl PahoConfig {
    /// The protocol version; 3.1.1 otherwise.
    pub fn version(mut self, version: Protocol) -> Self {
        self.version = version;
        self
    }

    /// Asks for a session that outlives the connection (clean session off).
    pub fn keep_session(mut self) -> Self {
        self.clean_session = false;
        self
    }

    /// Logs in.
    pub fn login(mut self, user: &str, password: &str) -> Self {
        self.options.push(format!("user={user}"));
        self.options.push(format!("password={password}"));
        self
    }

    /// Leaves a will.
    pub fn will(mut self, will: &Message) -> Self {
        self.options
            .push(format!("will={}", fields(&will.topic, &will.payload, will.qos, will.retain)));
        self
    }

    /// Starts it and waits until the broker accepts it.
    ///
    /// # Panics
    /// If Python or paho is missing, or the broker refuses or does not answer.
    #[must_use]
    #[track_caller]
    pub fn connect(self) -> Paho {
        let (paho, code) = self.start();
        assert_eq!(code, 0, "the broker refused paho");
        paho
    }

    /// Starts it. Returns also the return code of the broker's answer.
    ///
    /// # Panics
    /// If Python or paho is missing, or the broker does not answer.
    #[must_use]
    #[track_caller]
    pub fn start(self) -> (Paho, u8) {
        let mut command = Command::new(python());
        let version = match self.version {
            Protocol::V31 => "3",
            Protocol::V311 => "4",
        };
        let clean = if self.clean_session { "1" } else { "0" };
        command.arg("-c").arg(include_str!("paho.py"));
        command.args([&self.port.to_string(), &self.id, version, clean, "60"]).args(&self.options);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut process = Process::spawn("paho", &mut command);
        let (input, output) = (process.stdin(), process.stdout());
        let mut paho = Paho {
            process,
            input,
            output,
            seen: AtomicUsize::new(0),
            session_present: false,
            counts: Counts::default(),
        };
        let answer = paho.said(1, "up ", SOON);
        let mut words = answer.split(' ').skip(1);
        let code =
            words.next().and_then(|code| code.parse().ok()).expect("paho says the return code");
        paho.session_present = words.next() == Some("1");
        (paho, code)
    }
}

/// A running paho client.
#[derive(Debug)]
pub struct Paho {
    process: Process,
    input: ChildStdin,
    output: Lines,
    seen: AtomicUsize,
    session_present: bool,
    counts: Counts,
}

/// How many answers of each kind have been awaited.
#[derive(Debug, Default)]
struct Counts {
    published: usize,
    granted: usize,
    unsubscribed: usize,
}

impl Paho {
    /// A client of `broker` with this client id, which has to differ from all others.
    #[expect(clippy::new_ret_no_self, reason = "the builder is the way to it")]
    pub fn new(broker: &Mosquitto, id: &str) -> PahoConfig {
        let port = broker.address().port();
        PahoConfig {
            port,
            id: id.into(),
            version: Protocol::V311,
            clean_session: true,
            options: Vec::new(),
        }
    }

    /// Whether the broker had kept the session.
    #[must_use]
    pub fn session_present(&self) -> bool {
        self.session_present
    }

    /// Publishes a message and waits until it is acknowledged (for QoS 0: sent).
    ///
    /// # Panics
    /// If that does not happen.
    #[track_caller]
    pub fn publish(&mut self, topic: &str, payload: &[u8], qos: QoS, retain: bool) {
        self.send(&format!("publish {}", fields(topic, payload, qos, retain)));
        self.counts.published += 1;
        self.said(self.counts.published, "published", SOON);
    }

    /// Subscribes to these filters with one SUBSCRIBE and returns the codes of the SUBACK (128: refused).
    ///
    /// # Panics
    /// If there is no answer.
    #[track_caller]
    pub fn subscribe(&mut self, filters: &[(&str, QoS)]) -> Vec<u8> {
        let pairs: Vec<_> =
            filters.iter().map(|(filter, qos)| format!("{}\t{filter}", *qos as u8)).collect();
        self.send(&format!("subscribe {}", pairs.join("\t")));
        self.counts.granted += 1;
        let line = self.said(self.counts.granted, "granted ", SOON);
        line.split(' ').skip(1).map(|code| code.parse().expect("paho says numbers")).collect()
    }

    /// Unsubscribes and waits for the answer.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn unsubscribe(&mut self, filter: &str) {
        self.send(&format!("unsubscribe {filter}"));
        self.counts.unsubscribed += 1;
        self.said(self.counts.unsubscribed, "unsubscribed", SOON);
    }

    /// The next message, in the order of arrival.
    ///
    /// # Panics
    /// If none has come `within` this time.
    #[track_caller]
    pub fn next(&self, within: Duration) -> Message {
        let number = self.seen.fetch_add(1, Ordering::Relaxed);
        let line = self.said(number + 1, "message ", within);
        let message = line.strip_prefix("message ").and_then(Message::parse);
        message.unwrap_or_else(|| panic!("no message: {line:?}"))
    }

    /// Disconnects in good order.
    ///
    /// # Panics
    /// If the program does not end.
    #[track_caller]
    pub fn disconnect(mut self) {
        self.send("disconnect");
        self.process.ended(&self.output, SOON);
    }

    /// Ends it at once: no DISCONNECT is sent, the connection is closed by the system.
    pub fn kill(self) {
        drop(self);
    }

    /// The `n`th line (from 1) with this beginning.
    #[track_caller]
    fn said(&self, n: usize, start: &str, within: Duration) -> String {
        let line = self.output.until(within, |lines| {
            lines.iter().filter(|line| line.starts_with(start)).nth(n - 1).cloned()
        });
        line.unwrap_or_else(|| {
            panic!("waited {within:?} for line {n} starting with {start:?}\n{}", self.output)
        })
    }

    #[track_caller]
    fn send(&mut self, command: &str) {
        let line = format!("{command}\n");
        self.input
            .write_all(line.as_bytes())
            .unwrap_or_else(|error| panic!("paho has ended: {error}\n{}", self.output));
    }
}

fn fields(topic: &str, payload: &[u8], qos: QoS, retain: bool) -> String {
    format!("{} {} {} {topic}", qos as u8, u8::from(retain), to_hex(payload))
}

/// The interpreter of the virtual environment, which is created if it is missing.
///
/// # Panics
/// If it cannot be created; shows the command and its output.
#[track_caller]
fn python() -> PathBuf {
    let folder = target_folder().join(PACKAGE.replace("==", "-"));
    let ready = folder.join("ready");
    let python = folder.join("bin").join("python");
    if ready.is_file() {
        return python;
    }
    // Several tests may do this at once.
    let lock = File::create(folder.with_extension("lock")).expect("the target folder is writable");
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).expect("a file can be locked");
    if !ready.is_file() {
        setup(Command::new(program("python3")).args(["-m", "venv", "--clear"]).arg(&folder));
        setup(Command::new(&python).args(["-m", "pip", "install", "--quiet", PACKAGE]));
        fs::write(&ready, "").expect("the target folder is writable");
    }
    python
}

#[track_caller]
fn setup(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    assert!(
        output.status.success(),
        "{command:?} failed. Debian: `apt-get install python3-venv`; it also needs {PACKAGE} from PyPI.\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// `target`, found from the path of the test program: `target/<profile>/deps/<program>`.
fn target_folder() -> PathBuf {
    let program = std::env::current_exe().expect("a program knows its path");
    program.ancestors().nth(3).map_or_else(std::env::temp_dir, Path::to_path_buf)
}
