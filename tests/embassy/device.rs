//! A program of `examples/embassy`, and what a witness saw of it.

use std::net::SocketAddr;

use mqtt_core::QoS;
use system_tests::{
    Lines, Message, Mosquitto, Program, SOON, Subscriber, SubscriberConfig, embassy_program,
};

/// The client id of the device.
pub(crate) const ID: &str = "d";

/// The client id of the witness.
pub(crate) const WITNESS: &str = "witness";

/// A running device.
pub(crate) struct Device(pub(crate) Program);

impl Device {
    /// Starts the program `name`, which publishes `count` messages of each kind as fast as it may.
    #[track_caller]
    pub(crate) fn start(name: &str, broker: SocketAddr, count: usize, more: &[&str]) -> Self {
        let (broker, count) = (broker.to_string(), count.to_string());
        let args = ["--id", ID, "--broker", &broker, "--count", &count, "--interval", "2"];
        let path = embassy_program(name);
        let path = path.to_str().expect("the path of this repository is text");
        Self(Program::start(path, &[&args[..], more].concat()))
    }

    pub(crate) fn output(&self) -> &Lines {
        self.0.output()
    }

    /// Waits for its orderly end, and gives the outcome of each number: "published" or another one.
    #[track_caller]
    pub(crate) fn outcomes(self) -> Vec<String> {
        let (status, lines) = self.0.finish(SOON * 2);
        assert_eq!(status, Some(0), "{lines:#?}");
        let told = lines.iter().filter_map(|line| line.strip_prefix("counter "));
        let mut outcomes = Vec::new();
        for told in told {
            let (number, outcome) = told.split_once(": ").expect("a number and its outcome");
            outcomes.push(outcome.to_owned());
            assert_eq!(number, outcomes.len().to_string(), "{lines:#?}");
        }
        outcomes
    }
}

/// A subscriber to everything of the device, at QoS 0.
pub(crate) fn witness(broker: &Mosquitto) -> SubscriberConfig {
    Subscriber::new(broker, WITNESS).filter("d/#", QoS::AtMostOnce)
}

/// What the device has published, in the order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) temperatures: Vec<usize>,
    pub(crate) counters: Vec<usize>,
    pub(crate) states: Vec<String>,
    pub(crate) answers: Vec<String>,
}

impl Seen {
    /// Takes messages until `last` says that one is the last.
    #[track_caller]
    pub(crate) fn take(&mut self, witness: &Subscriber, mut last: impl FnMut(&Self) -> bool) {
        while !last(self) {
            self.add(&witness.next(SOON));
        }
    }

    /// Takes everything up to the orderly end of the device.
    #[track_caller]
    pub(crate) fn take_all(&mut self, witness: &Subscriber) {
        self.take(witness, |seen| seen.states.last().is_some_and(|state| state == "off"));
    }

    fn add(&mut self, message: &Message) {
        let payload = String::from_utf8(message.payload.clone()).expect("a text");
        let number = payload.split(' ').next().and_then(|number| number.parse().ok());
        match message.topic.as_str() {
            "d/temperature" => self.temperatures.push(number.expect("a number")),
            "d/counter" => self.counters.push(number.expect("a number")),
            "d/state" => self.states.push(payload),
            "d/answer" => self.answers.push(payload),
            "d/command" => {}
            topic => panic!("{topic}"),
        }
    }

    /// Each temperature came at least once, and each number that was told as published exactly once.
    #[track_caller]
    pub(crate) fn check(&self, count: usize, outcomes: &[String]) {
        assert_eq!(outcomes.len(), count, "{outcomes:?}");
        for number in 1..=count {
            assert!(self.temperatures.contains(&number), "temperature {number} in {self:?}");
        }
        for (number, outcome) in (1..).zip(outcomes) {
            let copies = self.counters.iter().filter(|seen| **seen == number).count();
            match outcome.as_str() {
                "published" => assert_eq!(copies, 1, "copies of {number}: {self:?}"),
                "lost with its session" => assert!(copies <= 1, "copies of {number}: {self:?}"),
                outcome => panic!("{number}: {outcome}"),
            }
        }
        assert!(self.counters.is_sorted(), "{:?}", self.counters);
    }

    /// As [`check`](Self::check), and nothing was lost or sent again.
    #[track_caller]
    pub(crate) fn check_all_once(&self, count: usize, outcomes: &[String]) {
        self.check(count, outcomes);
        assert!(outcomes.iter().all(|outcome| outcome == "published"), "{outcomes:?}");
        assert_eq!(self.temperatures, (1..=count).collect::<Vec<_>>());
        assert_eq!(self.states, ["on", "off"]);
    }
}

/// The broker is started again, after a kill or stop. The device waits until the witness is there.
#[track_caller]
pub(crate) fn start_again(broker: &mut Mosquitto, device: &Device) {
    device.0.freeze();
    broker.start_again();
    broker.log().wait(&format!("Sending SUBACK to {WITNESS}"), SOON);
    device.0.thaw();
}
