//! `async_node`: a node whose tasks are watched. What a witness saw of each fault, of a broker that is started again and
//! of a slow link.

use std::net::SocketAddr;
use std::time::Duration;

use mqtt_core::QoS;
use system_tests::{
    Config, Line, Lines, Mosquitto, Program, Publisher, SOON, Subscriber, embassy_program,
};
use tempfile::TempDir;

use super::device::{WITNESS, witness};

/// A reset by the guard, or by the hardware behind it.
const RESET: Option<i32> = Some(3);

/// A longer time than the budget of the node gives to its link before the reset.
const BITE: Duration = Duration::from_secs(60);

/// A node, and the RAM that survives its resets.
struct Node {
    broker: SocketAddr,
    folder: TempDir,
}

impl Node {
    fn new(broker: SocketAddr) -> Self {
        Self { broker, folder: TempDir::with_prefix("node-").expect("a temporary folder") }
    }

    /// Starts it. Each sensor publishes every 50 ms.
    #[track_caller]
    fn start(&self, more: &[&str]) -> Program {
        let memory = self.folder.path().join("ram");
        let memory = memory.to_str().expect("a path of text");
        let broker = self.broker.to_string();
        let args = ["--id", "d", "--broker", &broker, "--memory", memory, "--interval", "50"];
        let path = embassy_program("async_node");
        let path = path.to_str().expect("the path of this repository is text");
        Program::start(path, &[&args[..], more].concat())
    }
}

/// Waits for the end of a program that is reset, and gives its lines.
#[track_caller]
fn reset(program: Program) -> Vec<String> {
    let (status, lines) = program.finish(BITE);
    assert_eq!(status, RESET, "{lines:#?}");
    lines
}

/// Ends a program in order, and gives its lines.
#[track_caller]
fn terminate(program: Program) -> Vec<String> {
    program.terminate();
    let (status, lines) = program.finish(SOON);
    assert_eq!(status, Some(0), "{lines:#?}");
    lines
}

/// What the witness saw, by topic.
struct Seen {
    witness: Subscriber,
    messages: Vec<(String, String)>,
}

impl Seen {
    fn new(witness: Subscriber) -> Self {
        Self { witness, messages: Vec::new() }
    }

    /// The payloads of a topic so far.
    fn of(&self, leaf: &str) -> Vec<&str> {
        let topic = format!("d/{leaf}");
        let messages = self.messages.iter().filter(|(of, _)| *of == topic);
        messages.map(|(_, payload)| payload.as_str()).collect()
    }

    /// The numbers of the readings of a sensor so far.
    fn readings(&self, sensor: &str) -> Vec<u32> {
        let number = |payload: &&str| payload.split(' ').next().and_then(|word| word.parse().ok());
        self.of(sensor).iter().map(|payload| number(payload).expect("a number")).collect()
    }

    /// Takes messages until this one comes.
    #[track_caller]
    fn until(&mut self, leaf: &str, payload: &str) {
        let before = self.messages.len();
        let awaited = (format!("d/{leaf}"), payload.to_owned());
        self.take(|seen| seen.messages.len() > before && seen.messages.last() == Some(&awaited));
    }

    /// Takes messages until `last` says that one is the last.
    #[track_caller]
    fn take(&mut self, last: impl Fn(&Self) -> bool) {
        while !last(self) {
            let message = self.witness.next(BITE);
            let payload = String::from_utf8(message.payload).expect("a text");
            self.messages.push((message.topic, payload));
        }
    }

    /// Takes messages until each sensor has sent `more` readings from now on.
    #[track_caller]
    fn take_readings(&mut self, more: usize) {
        let wanted = ["temperature", "pressure"].map(|of| (of, self.of(of).len() + more));
        self.take(|seen| wanted.iter().all(|(of, count)| seen.of(of).len() >= *count));
    }
}

/// Nothing was wrong with any task.
#[track_caller]
fn no_bite(output: &Lines) {
    for word in ["guard:", "chip:", "modem:"] {
        assert_eq!(output.count(word), 0, "{output}");
    }
}

#[test]
fn every_reading_arrives_and_an_orderly_end_leaves_no_will_and_no_last_words() {
    let broker = Mosquitto::start();
    let mut seen = Seen::new(witness(&broker).start());
    let node = Node::new(broker.address());
    for _ in 0..2 {
        let (status, lines) = node.start(&["--count", "40"]).finish(SOON);
        assert_eq!(status, Some(0), "{lines:#?}");
        seen.until("state", "off");
    }
    let all: Vec<_> = (1..=40).chain(1..=40).collect();
    assert_eq!((seen.readings("temperature"), seen.readings("pressure")), (all.clone(), all));
    // A will would come before it.
    Publisher::new(&broker, "p").publish("d/state", b"later", QoS::AtLeastOnce, false);
    seen.until("state", "later");
    assert_eq!(seen.of("state"), ["on", "off", "on", "off", "later"]);
    assert!(seen.of("last-words").is_empty());
}

#[test]
fn a_signal_ends_the_node_in_order() {
    let broker = Mosquitto::start();
    let mut seen = Seen::new(witness(&broker).start());
    let node = Node::new(broker.address());
    let program = node.start(&[]);
    seen.take_readings(3);
    let _ = terminate(program);
    seen.until("state", "off");
    Publisher::new(&broker, "p").publish("d/state", b"later", QoS::AtLeastOnce, false);
    seen.until("state", "later");
    assert_eq!(seen.of("state"), ["on", "off", "later"]);
    let program = node.start(&["--count", "1"]);
    seen.until("state", "off");
    assert!(seen.of("last-words").is_empty());
    let (status, _) = program.finish(SOON);
    assert_eq!(status, Some(0));
}

#[test]
fn commands_are_carried_out_once_and_answered_once() {
    let broker = Mosquitto::start();
    let mut seen = Seen::new(witness(&broker).start());
    let node = Node::new(broker.address());
    let program = node.start(&[]);
    program.output().wait("commands: subscribed", SOON);
    let send = |text: &str| {
        Publisher::new(&broker, "p").publish("d/command", text.as_bytes(), QoS::ExactlyOnce, false);
    };
    send("interval 60000");
    seen.until("answer", "interval: at most 1000");
    send("interval 100");
    seen.until("answer", "interval 100");
    // The task was not awaited meanwhile, for longer than its deadline.
    seen.take_readings(25);
    send("dance");
    seen.until("answer", "unknown command");
    send("interval 50");
    seen.until("answer", "interval 50");
    let answers = ["interval: at most 1000", "interval 100", "unknown command", "interval 50"];
    assert_eq!(seen.of("answer"), answers);
    let lines = terminate(program);
    assert!(!lines.iter().any(|line| line.contains("commands: the task")), "{lines:#?}");
}

/// Lets the node fail by a task that hangs or spins. The will shows it, and the next run says it in `words`.
#[track_caller]
fn fails(fault: &str, provoke: impl FnOnce(&Mosquitto, &Program), words: &str) {
    let broker = Mosquitto::start();
    let mut seen = Seen::new(witness(&broker).start());
    let node = Node::new(broker.address());
    let program = node.start(&["--inject", fault]);
    provoke(&broker, &program);
    let lines = reset(program);
    assert!(lines.iter().any(|line| line.starts_with("fault: ")), "{lines:#?}");
    seen.until("state", "gone");
    assert!(seen.of("last-words").is_empty());

    let program = node.start(&[]);
    seen.take(|seen| !seen.of("last-words").is_empty());
    seen.take_readings(3);
    let _ = terminate(program);
    seen.until("state", "off");
    let told = seen.of("last-words");
    assert!(told.len() == 1 && told.iter().all(|told| told.starts_with(words)), "{told:?}");
    assert!(told.iter().all(|told| told.ends_with("bite 1 in a row")), "{told:?}");
    assert_eq!(seen.of("state"), ["on", "gone", "on", "off"]);
}

const SILENT: &str = "no last words: nothing polled the guard";

#[test]
fn a_sensor_that_hangs_bites_and_the_next_run_says_which_one() {
    fails("hang:pressure", |_, _| {}, "task 1 (pressure) starved");
}

#[test]
fn a_command_task_that_hangs_with_a_command_bites() {
    let send = |broker: &Mosquitto, program: &Program| {
        program.output().wait("commands: subscribed", SOON);
        Publisher::new(broker, "p").publish("d/command", b"report", QoS::ExactlyOnce, false);
    };
    fails("hang:commands", send, "task 2 (commands) starved");
}

/// Nothing else runs any more, so the guard cannot have any last words.
#[test]
fn a_sensor_that_never_lets_go_is_reset_by_the_hardware() {
    fails("spin:temperature", |_, _| {}, SILENT);
}

#[test]
fn a_guard_that_hangs_is_reset_by_the_hardware() {
    fails("hang:guard", |_, _| {}, SILENT);
}

#[test]
fn a_link_that_stays_dead_is_mended_in_vain_and_then_bites() {
    let steps = |_: &Mosquitto, program: &Program| {
        program.output().wait("link: no progress, Reconnect", SOON);
        program.output().wait("link: no progress, RestartModem", SOON);
        program.output().wait("modem: restarted", SOON);
    };
    fails("link", steps, "task 3 (link) starved");
}

#[test]
fn a_link_that_a_restart_of_the_modem_mends_does_not_bite() {
    let broker = Mosquitto::start();
    let mut seen = Seen::new(witness(&broker).start());
    let node = Node::new(broker.address());
    let program = node.start(&["--inject", "modem"]);
    program.output().wait("modem: restarted", SOON);
    program.output().wait("up, session Resumed", SOON);
    seen.take_readings(20);
    let lines = terminate(program);
    seen.until("state", "off");
    assert!(!lines.iter().any(|line| line.starts_with("guard:")), "{lines:#?}");
    // Readings were dropped for want of room, and none came out of order or twice but those sent again.
    let readings = seen.readings("temperature");
    assert!(readings.is_sorted(), "{readings:?}");
    assert!(seen.of("last-words").is_empty());
}

#[test]
fn a_broker_that_is_started_again_does_not_bite() {
    let mut broker = Config::new().persistence().start();
    // The witness comes back by itself.
    let mut seen = Seen::new(witness(&broker).start());
    let node = Node::new(broker.address());
    let program = node.start(&[]);
    for round in 1..=2 {
        seen.take_readings(10);
        broker.stop();
        program.output().nth(round, "down: ", SOON).clear();
        broker.start_again();
        broker.log().wait(&format!("Sending SUBACK to {WITNESS}"), SOON);
        program.output().nth(round, "up, session Resumed", SOON).clear();
    }
    seen.take_readings(10);
    no_bite(program.output());
    let _ = terminate(program);
    seen.until("state", "off");
    let readings = seen.readings("temperature");
    assert!(readings.is_sorted(), "{readings:?}");
    assert!(seen.of("last-words").is_empty());
}

/// Each packet takes 300 ms in each direction. The sensors publish less than fits through.
#[test]
fn a_slow_link_does_not_bite_and_every_reading_arrives() {
    let broker = Mosquitto::start();
    let mut seen = Seen::new(witness(&broker).start());
    let line = Line::new(broker.address());
    line.slow(Duration::from_millis(300));
    let node = Node::new(line.address());
    let program = node.start(&["--count", "15", "--interval", "500"]);
    seen.until("state", "off");
    no_bite(program.output());
    assert_eq!(program.output().count("link:"), 0, "{}", program.output());
    let (status, lines) = program.finish(SOON);
    assert_eq!(status, Some(0), "{lines:#?}");
    let all: Vec<_> = (1..=15).collect();
    assert_eq!((seen.readings("temperature"), seen.readings("pressure")), (all.clone(), all));
    assert_eq!((line.connections(), seen.of("state")), (1, vec!["on", "off"]));
}

#[test]
fn a_fault_that_does_not_exist_is_refused() {
    let node = Node::new(Mosquitto::start().address());
    for fault in ["", "hang:link", "spin"] {
        let (status, lines) = node.start(&["--inject", fault]).finish(SOON);
        assert_eq!((status, lines), (Some(1), vec![]));
    }
}
