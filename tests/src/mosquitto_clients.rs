//! `mosquitto_sub` and `mosquitto_pub`, the independent clients in C.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use mqtt_core::{Protocol, QoS};

use crate::broker::Mosquitto;
use crate::message::Message;
use crate::process::{Lines, Process, SOON, program};

/// A `mosquitto_sub` to be started.
#[derive(Debug)]
#[must_use = "nothing runs before `start`"]
pub struct SubscriberConfig {
    log: Lines,
    command: Command,
    id: String,
}

impl SubscriberConfig {
    /// The protocol version; 3.1.1 otherwise.
    pub fn version(self, version: Protocol) -> Self {
        self.args(["-V", version_name(version)])
    }

    /// Subscribes to this as well.
    ///
    /// `mosquitto_sub` has one QoS for all filters: the last one given.
    pub fn filter(self, filter: &str, qos: QoS) -> Self {
        self.args(["-t", filter, "-q", level(qos)])
    }

    /// Logs in.
    pub fn login(self, user: &str, password: &str) -> Self {
        self.args(["-u", user, "-P", password])
    }

    /// Leaves a will.
    pub fn will(self, message: &Message) -> Self {
        let payload =
            std::str::from_utf8(&message.payload).expect("mosquitto_sub takes text for a will");
        let qos = level(message.qos);
        let will = self.args([
            "--will-topic",
            &message.topic,
            "--will-payload",
            payload,
            "--will-qos",
            qos,
        ]);
        if message.retain { will.args(["--will-retain"]) } else { will }
    }

    /// Asks for a session that outlives the connection (clean session off).
    pub fn keep_session(self) -> Self {
        self.args(["-c"])
    }

    /// Any other options of `mosquitto_sub`.
    pub fn args<const N: usize>(mut self, args: [&str; N]) -> Self {
        self.command.args(args);
        self
    }

    /// Starts it and waits until the broker has acknowledged its subscriptions.
    ///
    /// # Panics
    /// If it is missing, or the broker does not acknowledge; shows the broker's log.
    #[must_use]
    #[track_caller]
    pub fn start(self) -> Subscriber {
        let suback = format!("Sending SUBACK to {}", self.id);
        let (log, before) = (self.log.clone(), self.log.count(&suback));
        let subscriber = self.start_unawaited();
        log.nth(before + 1, &suback, SOON);
        subscriber
    }

    /// Subscribes, disconnects in good order and ends. Its session remains if it is to be kept.
    ///
    /// (A running one cannot disconnect at any time: if it is interrupted at the wrong moment, it hangs on its own
    /// lock.)
    ///
    /// # Panics
    /// If it is missing, or fails.
    #[track_caller]
    pub fn subscribe_and_leave(self) {
        let (status, errors) = self.args(["-E"]).start().finish(SOON);
        assert!(status.success(), "mosquitto_sub: {status}\n{errors}");
    }

    /// Disconnects in good order and ends after this many messages; [`finish`](Subscriber::finish) waits for that.
    pub fn leave_after(self, messages: usize) -> Self {
        self.args(["-C", &messages.to_string()])
    }

    /// Starts it without waiting, for a client that is going to be refused.
    ///
    /// # Panics
    /// If it is missing.
    #[must_use]
    #[track_caller]
    pub fn start_unawaited(mut self) -> Subscriber {
        self.command.args(["-F", "%q %r %x %t"]).stdin(Stdio::null());
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process::spawn("mosquitto_sub", &mut self.command);
        let (output, errors) = (process.stdout(), process.stderr());
        Subscriber { process, output, errors, seen: AtomicUsize::new(0) }
    }

    /// Starts it for the payload of one message, and waits until it is subscribed.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    #[track_caller]
    pub fn start_raw(mut self) -> RawSubscriber {
        self.command
            .args(["-C", "1", "-N"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut process = Process::spawn("mosquitto_sub", &mut self.command);
        let mut output = process.raw_stdout();
        let (sender, payload) = mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let read = output.read_to_end(&mut bytes);
            // After a failed test no thread waits.
            let _ = sender.send(read.map(|_| bytes));
        });
        self.log.wait(&format!("Sending SUBACK to {}", self.id), SOON);
        RawSubscriber { payload, _process: process }
    }
}

/// A running `mosquitto_sub`.
#[derive(Debug)]
pub struct Subscriber {
    process: Process,
    output: Lines,
    errors: Lines,
    seen: AtomicUsize,
}

impl Subscriber {
    /// A client of `broker` with this client id, which has to differ from all others.
    ///
    /// # Panics
    /// If `mosquitto_sub` is missing.
    #[track_caller]
    #[expect(clippy::new_ret_no_self, reason = "the builder is the way to it")]
    pub fn new(broker: &Mosquitto, id: &str) -> SubscriberConfig {
        let command = client("mosquitto_sub", broker.address());
        SubscriberConfig { log: broker.log().clone(), command, id: id.into() }.args(["-i", id])
    }

    /// The next message, in the order of arrival.
    ///
    /// # Panics
    /// If none has come `within` this time.
    #[track_caller]
    pub fn next(&self, within: Duration) -> Message {
        let number = self.seen.fetch_add(1, Ordering::Relaxed);
        let line = self.output.until(within, |lines| lines.get(number).cloned());
        let line = line.unwrap_or_else(|| {
            panic!("waited {within:?} for message {}\n{}\n{}", number + 1, self.output, self.errors)
        });
        Message::parse(&line).unwrap_or_else(|| panic!("no message: {line:?}"))
    }

    /// The next `count` messages.
    ///
    /// # Panics
    /// If one of them has not come `within` this time after the one before.
    #[track_caller]
    #[must_use]
    pub fn take(&self, count: usize, within: Duration) -> Vec<Message> {
        std::iter::repeat_with(|| self.next(within)).take(count).collect()
    }

    /// Waits for the end of the program, which comes with [`leave_after`](SubscriberConfig::leave_after) or a refusal.
    /// Returns its exit status and its standard error.
    ///
    /// # Panics
    /// If it has not ended `within` this time.
    #[track_caller]
    pub fn finish(mut self, within: Duration) -> (ExitStatus, String) {
        let status = self.process.ended(&self.output, within);
        (status, self.errors.to_the_end(0, within).join("\n"))
    }

    /// Ends it at once: no DISCONNECT is sent, the connection is closed by the system.
    pub fn kill(self) {
        drop(self);
    }

    /// Stops it (SIGSTOP): it answers nothing and sends no keep-alive.
    pub fn freeze(&self) {
        self.process.freeze();
    }

    /// Ends a [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        self.process.thaw();
    }
}

/// A `mosquitto_sub` that takes one payload of any size unchanged.
#[derive(Debug)]
pub struct RawSubscriber {
    payload: Receiver<std::io::Result<Vec<u8>>>,
    _process: Process,
}

impl RawSubscriber {
    /// The payload of the one message.
    ///
    /// # Panics
    /// If it has not come `within` this time.
    #[track_caller]
    #[must_use]
    pub fn payload(self, within: Duration) -> Vec<u8> {
        let read = self.payload.recv_timeout(within);
        read.unwrap_or_else(|_| panic!("waited {within:?} for a payload"))
            .expect("the pipe can be read")
    }
}

/// `mosquitto_pub`: one connection for each message.
#[derive(Clone, Debug)]
#[must_use = "nothing runs before `publish`"]
pub struct Publisher {
    address: SocketAddr,
    args: Vec<String>,
}

impl Publisher {
    /// A client of `broker` with this client id, which has to differ from all others.
    pub fn new(broker: &Mosquitto, id: &str) -> Self {
        Self { address: broker.address(), args: Vec::new() }.args(["-i", id])
    }

    /// The protocol version; 3.1.1 otherwise.
    pub fn version(self, version: Protocol) -> Self {
        self.args(["-V", version_name(version)])
    }

    /// Logs in.
    pub fn login(self, user: &str, password: &str) -> Self {
        self.args(["-u", user, "-P", password])
    }

    /// Any other options of `mosquitto_pub`.
    pub fn args<const N: usize>(mut self, args: [&str; N]) -> Self {
        self.args.extend(args.map(String::from));
        self
    }

    /// Publishes a message and waits until the broker has acknowledged it (for QoS 0: until it is sent).
    ///
    /// # Panics
    /// If the program is missing, or fails; shows its output.
    #[track_caller]
    pub fn publish(&self, topic: &str, payload: &[u8], qos: QoS, retain: bool) {
        let (status, errors) = self.try_publish(topic, payload, qos, retain);
        assert!(status.success(), "mosquitto_pub: {status}\n{errors}");
    }

    /// Publishes each of these lines as a message, over one connection, and waits until all are acknowledged.
    ///
    /// # Panics
    /// As [`publish`](Self::publish).
    #[track_caller]
    pub fn publish_lines(&self, topic: &str, lines: &str, qos: QoS) {
        let (status, errors) = self.run(&["-t", topic, "-q", level(qos), "-l"], lines.as_bytes());
        assert!(status.success(), "mosquitto_pub: {status}\n{errors}");
    }

    /// As [`publish`](Self::publish), but returns the exit status and the standard error.
    ///
    /// # Panics
    /// If the program is missing, or does not end.
    #[track_caller]
    #[must_use = "a failure is in the result"]
    pub fn try_publish(
        &self,
        topic: &str,
        payload: &[u8],
        qos: QoS,
        retain: bool,
    ) -> (ExitStatus, String) {
        // It takes an empty input for no input, and sends nothing.
        let source = if payload.is_empty() { "-n" } else { "-s" };
        let mut args = vec!["-t", topic, "-q", level(qos), source];
        args.extend(retain.then_some("-r"));
        self.run(&args, payload)
    }

    #[track_caller]
    fn run(&self, args: &[&str], input: &[u8]) -> (ExitStatus, String) {
        let mut command = client("mosquitto_pub", self.address);
        command.args(&self.args).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = Process::spawn("mosquitto_pub", &mut command);
        let errors = process.stderr();
        // A program that ends early does not read all of it. Its exit status shows that.
        let _ = process.stdin().write_all(input);
        let status = process.ended(&errors, SOON);
        (status, errors.to_the_end(0, SOON).join("\n"))
    }
}

#[track_caller]
fn client(name: &str, broker: SocketAddr) -> Command {
    let mut command = Command::new(program(name));
    command.args(["-h", &broker.ip().to_string(), "-p", &broker.port().to_string()]);
    command
}

const fn version_name(version: Protocol) -> &'static str {
    match version {
        Protocol::V31 => "mqttv31",
        Protocol::V311 => "mqttv311",
    }
}

const fn level(qos: QoS) -> &'static str {
    match qos {
        QoS::AtMostOnce => "0",
        QoS::AtLeastOnce => "1",
        QoS::ExactlyOnce => "2",
    }
}
