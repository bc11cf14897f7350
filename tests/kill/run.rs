//! Starts the three processes, kills them, and counts messages.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use mqtt_examples::print;
use system_tests::{Config, Mosquitto, SOON};
use tempfile::TempDir;

use crate::{
    Driver, Error,
    evidence::{End, Evidence},
    report::{self, Kills, Part, Progress},
    subscriber::OUTPUT,
    verdict::Verdict,
    victim::Victim,
};

/// How often and when to kill.
pub(crate) struct Settings {
    pub(crate) times: u64,
    pub(crate) broker_times: u64,
    pub(crate) seed: u64,
    /// Of the publisher.
    pub(crate) driver: Driver,
}

/// Kills in one round, with a broker and a folder of its own; its log is kept in RAM.
const ROUND: u64 = 500;
/// Runs both parts. Returns whether all is right.
pub(crate) fn run(settings: &Settings) -> Result<bool, Error> {
    let Settings { times, broker_times, seed, driver } = *settings;
    print::line(&format!(
        "seed {seed}: {times} kills of the publisher ({}), {broker_times} of Mosquitto",
        driver.name()
    ));
    let mut random = fastrand::Rng::with_seed(seed);
    let progress = Progress::new(times + broker_times, "kills");
    let mut parts = Vec::new();
    for (name, kills, with_broker) in
        [("clients", times, false), ("Mosquitto too", broker_times, true)]
    {
        let start = Instant::now();
        let (mut verdict, mut done, mut left) = (Verdict::default(), Kills::default(), kills);
        while left > 0 {
            let now = left.min(ROUND);
            verdict.merge(round(&mut random, driver, now, with_broker, &mut done, &progress)?);
            left -= now;
        }
        parts.push(Part { name, kills: done, verdict, took: start.elapsed() });
    }
    progress.done();
    Ok(report::print(&parts))
}

/// Kills the publisher or the broker `kills` times, and the others in between. Then lets them finish.
fn round(
    random: &mut fastrand::Rng,
    driver: Driver,
    kills: u64,
    with_broker: bool,
    done: &mut Kills,
    progress: &Progress,
) -> Result<Verdict, Error> {
    let folder = TempDir::with_prefix("kill-")
        .map_err(|error| Error::File(format!("no temporary folder: {error}")))?;
    let mut world = World::start(folder.path(), driver)?;
    let killed = kill(&mut world, random, kills, with_broker, done, progress);
    let ended = killed.and_then(|()| world.finish());
    let verdict =
        ended.map(|(accepted, received, evidence)| Verdict::new(accepted, &received, &evidence));
    let blameless =
        |verdict: &Verdict| verdict.anomalies.iter().all(|what| what.is_excused(with_broker));
    if !verdict.as_ref().is_ok_and(blameless) {
        print::error(&format!("what is left of this round: {}", folder.keep().display()));
    }
    verdict
}

fn kill(
    world: &mut World<'_>,
    random: &mut fastrand::Rng,
    kills: u64,
    with_broker: bool,
    done: &mut Kills,
    progress: &Progress,
) -> Result<(), Error> {
    let mut left = kills;
    while left > 0 {
        thread::sleep(moment(random));
        let counts = match (random.u8(..4), with_broker) {
            (0, _) => {
                world.kill_subscriber(!with_broker)?;
                done.subscriber += 1;
                false
            }
            (1, true) => {
                world.kill_publisher()?;
                done.publisher += 1;
                false
            }
            (_, true) => {
                world.kill_broker();
                done.broker += 1;
                true
            }
            (_, false) => {
                world.kill_publisher()?;
                done.publisher += 1;
                true
            }
        };
        if counts {
            left -= 1;
            progress.one();
        }
    }
    Ok(())
}

/// The best that Mosquitto can do: it saves after each change, but only after it has acknowledged it.
pub(crate) fn saves_at_once() -> Config {
    saves_at_its_end().line("autosave_on_changes true").line("autosave_interval 1")
}

/// It saves when it is stopped.
pub(crate) fn saves_at_its_end() -> Config {
    Config::new()
        .persistence()
        .line("max_queued_messages 0")
        // With a limit it keeps a queue, and sends new messages before those in the queue.
        .line("max_inflight_messages 0")
        .line("set_tcp_nodelay true")
}

/// The time until the next kill, up to a fifth of a second. It is as often between 1 and 2 ms as between 100 and 200
/// ms.
pub(crate) fn moment(random: &mut fastrand::Rng) -> Duration {
    Duration::from_secs_f64(0.2 * 0.005_f64.powf(random.f64()))
}

/// The three processes and their state.
struct World<'f> {
    folder: &'f Path,
    driver: Driver,
    broker: Mosquitto,
    publisher: Victim,
    subscriber: Victim,
    evidence: Evidence,
    lives: usize,
}

impl<'f> World<'f> {
    fn start(folder: &'f Path, driver: Driver) -> Result<Self, Error> {
        let broker = saves_at_once().start();
        let start = |role| Victim::start(role, broker.address(), folder, driver, false);
        // Both sessions are saved before any process is killed. A lost session would not be about delivery.
        let subscriber = start("subscriber")?;
        let _ = subscriber.line("resumed", || false)?;
        let publisher = start("publisher")?;
        let _ = publisher.line("up", || false)?;
        broker.save();
        let evidence = Evidence::default();
        Ok(Self { folder, driver, broker, publisher, subscriber, evidence, lives: 0 })
    }

    fn victim(&self, role: &'static str, last: bool) -> Result<Victim, Error> {
        Victim::start(role, self.broker.address(), self.folder, self.driver, last)
    }

    fn kill_publisher(&mut self) -> Result<(), Error> {
        self.publisher.kill()?;
        self.publisher = self.victim("publisher", false)?;
        Ok(())
    }

    /// Kills the subscriber. The next one may be allowed to resume its session first. If the connection breaks before
    /// that, Mosquitto forgets which PUBRELs it has sent: see `evidence`.
    fn kill_subscriber(&mut self, resumes: bool) -> Result<(), Error> {
        self.subscriber.kill()?;
        self.subscriber = self.victim("subscriber", false)?;
        if resumes {
            let _ = self.subscriber.line("resumed", || false)?;
        }
        Ok(())
    }

    fn kill_broker(&mut self) {
        self.broker.kill();
        self.keep_log(End::Killed);
        self.broker.start_again();
    }

    /// Stops the kills and lets everything arrive. Returns the number of published messages, the file of received ones,
    /// and the evidence.
    fn finish(mut self) -> Result<(u64, String, Evidence), Error> {
        let output = self.folder.join(OUTPUT);
        let mut seen = 0;
        let mut goes_on = || {
            let len = fs::metadata(&output).map_or(0, |file| file.len());
            std::mem::replace(&mut seen, len) != len
        };
        self.publisher.kill()?;
        self.publisher = self.victim("publisher", true)?;
        let accepted = self.publisher.line("accepted", &mut goes_on)?;
        self.publisher.finish(&mut goes_on)?;
        self.subscriber.finish(&mut goes_on)?;
        self.broker.stop();
        self.keep_log(End::Stopped);
        let accepted = accepted
            .parse()
            .map_err(|_| Error::Run(format!("the publisher accepted {accepted:?}")))?;
        let received = fs::read_to_string(&output)
            .map_err(|error| Error::File(format!("{}: {error}", output.display())))?;
        Ok((accepted, received, self.evidence))
    }

    fn keep_log(&mut self, end: End) {
        let lines = self.broker.log().to_the_end(0, SOON);
        self.evidence.add_life(lines.iter().map(String::as_str), end);
        // The log is kept for a closer look.
        let name = format!("mosquitto-{}.log", self.lives);
        let _nowhere_to = fs::write(self.folder.join(name), lines.join("\n"));
        self.lives += 1;
    }
}
