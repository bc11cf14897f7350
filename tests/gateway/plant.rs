//! A gateway with short times, its folder, and a client that sees everything it publishes.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use mqtt_core::QoS;
use system_tests::{Done, Example, Lines, Message, Mosquitto, Running, SOON, Subscriber};
use tempfile::TempDir;

/// Exit status after a bite.
pub(crate) const BITTEN: Option<i32> = Some(3);

/// The folder of a gateway: its configuration, its journal, its last words.
pub(crate) struct Plant {
    folder: TempDir,
    config: Config,
}

/// What differs between the tests.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) brokers: Vec<String>,
    /// Further lines of the table `broker`.
    pub(crate) broker: String,
    /// Further lines of the table `watchdog`.
    pub(crate) watchdog: String,
    /// The program that restarts the modem.
    pub(crate) modem: String,
    pub(crate) survive: &'static str,
}

impl Config {
    pub(crate) fn to(brokers: &[&Mosquitto]) -> Self {
        let urls = brokers.iter().map(|broker| format!("mqtt://{}", broker.address()));
        Self::to_urls(urls.collect())
    }

    pub(crate) fn to_urls(brokers: Vec<String>) -> Self {
        let (broker, watchdog, modem) = (String::new(), String::new(), String::new());
        Self { brokers, broker, watchdog, modem, survive: "process-kill" }
    }

    /// All times are short. The link starves 9 s after its last sign of life if there is a modem, else after 8 s.
    fn text(&self, state: &str) -> String {
        let Self { brokers, broker, watchdog, modem, survive } = self;
        format!(
            r#"name = "gw"
topic = "gw"
state = "{state}"
stop_within = "1s"
[broker]
addresses = {brokers:?}
keep_alive = "1s"
connect_timeout = "1s"
retry_at_most = "500ms"
{broker}
[queue]
survive = "{survive}"
[link]
silence = "2s"
answer = "2s"
step = "1s"
last_step = "5s"
modem = [{modem}]
[watchdog]
heartbeat = "100ms"
{watchdog}
[[sensors]]
name = "boiler"
kind = "temperature"
period = "100ms"
deadline = "3s"
[[sensors]]
name = "tank"
kind = "level"
period = "200ms"
deadline = "3s"
"#
        )
    }
}

impl Plant {
    pub(crate) fn new(config: Config) -> Self {
        let folder = TempDir::with_prefix("gateway-").expect("a temporary folder");
        let plant = Self { folder, config };
        let text = plant.config.text(&plant.path("state").display().to_string());
        fs::write(plant.path("gateway.toml"), text).expect("the folder is writable");
        plant
    }

    pub(crate) fn at(broker: &Mosquitto) -> Self {
        Self::new(Config::to(&[broker]))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn example(&self, args: &[&str]) -> Example {
        let config = self.path("gateway.toml").display().to_string();
        Example::new("gateway").args(&["--config", &config]).args(args)
    }

    /// Starts the gateway. It prints lines.
    pub(crate) fn start(&self, args: &[&str]) -> Gateway {
        Gateway::of(self.example(&["--plain"]).args(args).start())
    }

    /// The names of the records that wait to be told, and of that of a run.
    pub(crate) fn records(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("state")).expect("the gateway has made it");
        let names = entries.map(|entry| entry.expect("readable").file_name());
        let names = names.map(|name| name.into_string().expect("UTF-8"));
        let mut names: Vec<_> = names.filter(|name| name.ends_with(".record")).collect();
        names.sort_unstable();
        names
    }
}

/// A running gateway. It is killed when dropped.
pub(crate) struct Gateway {
    running: Running,
    pub(crate) lines: Lines,
}

impl Gateway {
    pub(crate) fn of(mut running: Running) -> Self {
        let lines = running.lines();
        Self { running, lines }
    }

    /// Waits until the broker has accepted the connection.
    #[track_caller]
    pub(crate) fn comes_online(self) -> Self {
        self.lines.wait(" online: ", SOON);
        self
    }

    /// Ends it at once (SIGKILL).
    pub(crate) fn kill(self) {
        drop(self.running);
    }

    /// Stops it (SIGSTOP).
    pub(crate) fn freeze(&self) {
        self.running.freeze();
    }

    /// Ends a [`freeze`](Self::freeze).
    pub(crate) fn thaw(&self) {
        self.running.thaw();
    }

    pub(crate) fn terminate(&self) {
        self.running.terminate();
    }

    pub(crate) fn interrupt(&self) {
        self.running.interrupt();
    }

    /// Waits for its end. Returns the exit status and the standard error.
    #[track_caller]
    pub(crate) fn done(self) -> (Option<i32>, String) {
        let Done { status, err, .. } = self.running.done();
        (status, err)
    }

    /// Asks it to end, and waits for its clean end.
    #[track_caller]
    pub(crate) fn ends_well(self) {
        self.terminate();
        let lines = self.lines.clone();
        assert_eq!(self.done(), (Some(0), String::new()), "{lines}");
    }
}

impl Gateway {
    /// Asks it to end while there is no broker, and waits for its end: clean, with what stays in the journal.
    #[track_caller]
    pub(crate) fn ends_well_offline(self) -> Lines {
        self.terminate();
        let lines = self.lines.clone();
        let (status, errors) = self.done();
        assert_eq!(status, Some(0), "{errors}{lines}");
        assert!(errors.contains("they stay in the journal for the next start"), "{errors}{lines}");
        lines
    }
}

/// A client that sees everything that the gateway publishes at one broker.
pub(crate) struct Witness {
    subscriber: Subscriber,
    /// Everything up to now.
    pub(crate) seen: Vec<Message>,
}

impl Witness {
    pub(crate) fn of(broker: &Mosquitto) -> Self {
        Self::named(broker, "witness")
    }

    pub(crate) fn named(broker: &Mosquitto, id: &str) -> Self {
        let subscriber = Subscriber::new(broker, id).filter("gw/#", QoS::ExactlyOnce).start();
        Self { subscriber, seen: Vec::new() }
    }

    /// With a session that the broker keeps, for one that is restarted.
    pub(crate) fn lasting(broker: &Mosquitto) -> Self {
        let subscriber = Subscriber::new(broker, "witness").keep_session();
        let subscriber = subscriber.filter("gw/#", QoS::ExactlyOnce).start();
        Self { subscriber, seen: Vec::new() }
    }

    /// Waits for the next message to this topic that is no retained one, and returns its payload.
    #[track_caller]
    pub(crate) fn next_at(&mut self, topic: &str) -> String {
        loop {
            let message = self.subscriber.next(SOON);
            let text = String::from_utf8(message.payload.clone()).expect("text");
            let found = message.topic == topic && !message.retain;
            self.seen.push(message);
            if found {
                return text;
            }
        }
    }

    /// Waits for this status as the next one.
    #[track_caller]
    pub(crate) fn status(&mut self, status: &str) {
        assert_eq!(self.next_at("gw/status"), status);
    }

    /// Waits for `count` readings more, and returns the number of the last one.
    #[track_caller]
    pub(crate) fn readings(&mut self, count: usize) -> u64 {
        for _ in 0..count {
            let _ = self.next_at("gw/sensors/boiler");
        }
        *self.numbers().last().expect("there are some")
    }

    /// The numbers of all readings up to now.
    pub(crate) fn numbers(&self) -> BTreeSet<u64> {
        let readings = self.seen.iter().filter(|message| message.topic.starts_with("gw/sensors/"));
        readings.map(number).collect()
    }

    /// Asserts that no reading is missing from the first number on. Last words have a number, too: so many may be left
    /// out.
    #[track_caller]
    pub(crate) fn has_all_from(&self, first: u64, last_words: usize) {
        let numbers = self.numbers();
        let last = *numbers.last().expect("there are readings");
        let missing: Vec<u64> = (first..=last).filter(|number| !numbers.contains(number)).collect();
        assert_eq!(missing.len(), last_words, "missing {missing:?} of {first} to {last}");
    }

    /// The last words that came, without retained ones.
    pub(crate) fn last_words(&self) -> Vec<String> {
        let words = self.seen.iter().filter(|one| one.topic == "gw/last-words" && !one.retain);
        words.map(|one| String::from_utf8(one.payload.clone()).expect("text")).collect()
    }
}

/// The number of a reading.
fn number(message: &Message) -> u64 {
    let text = std::str::from_utf8(&message.payload).expect("text");
    let digits = text.strip_prefix("{\"number\":").expect("a reading");
    digits.split(',').next().and_then(|digits| digits.parse().ok()).expect("a number")
}
