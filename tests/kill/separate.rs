//! Shows that a client of two brokers that share nothing tells the truth about its messages of QoS 2.
//!
//! One publisher takes two Mosquittos in turn. They are ended in turn, and the connections to them are cut at packets
//! that the seed chooses. A subscriber at each reads all the time. At the end each message must be told once: as lost,
//! or as published, and then it must have arrived at one of the brokers, once and in order.
//!
//! The publisher has no journal and is not killed: the other parts of this program do that. So the events of one process
//! cover each message, and the run is quick.
//!
//! In the first part the brokers are stopped (SIGTERM), and save their state. In the second one they are killed. Then a
//! message may be missing that a broker has acknowledged and not yet saved, if its log shows that. In both parts a
//! message may arrive twice if the log shows that Mosquitto sent it again after its PUBREL, as 2.0.11 does after a
//! restart.
//!
//! The run was seen to fail: with `Options::cluster`, as if the brokers shared their sessions, the publisher tells
//! messages as published that are at neither.

mod publisher;
mod reader;
mod verdict;

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use mqtt_core::{Event, Options, QoS, driver::blocking::Client};
use mqtt_examples::print;
use system_tests::{
    Mosquitto, SOON, Tap, To,
    packets::{PUBCOMP, PUBLISH, PUBREC, PUBREL},
};
use tempfile::TempDir;

use self::{
    publisher::{Account, Publisher},
    reader::Reader,
    verdict::Verdict,
};
use crate::{
    Error, PATIENCE,
    evidence::{End, Evidence},
    message,
    report::Progress,
    run::{moment, saves_at_its_end, saves_at_once},
};

/// How many messages, and what happens meanwhile.
pub(crate) struct Settings {
    pub(crate) messages: u64,
    pub(crate) seed: u64,
}

/// The fewest messages of a run: both brokers are ended at least once.
pub(crate) const FEWEST: u64 = 4 * GAP;

/// Messages from one disturbance to the next.
const GAP: u64 = 50;

/// How long to wait before a look at something that another thread changes.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// The packets of the publisher at which a connection is cut.
const CUTS: [(To, u8); 4] =
    [(To::Broker, PUBLISH), (To::Client, PUBREC), (To::Broker, PUBREL), (To::Client, PUBCOMP)];

/// What happened to the brokers and the connections.
#[derive(Clone, Copy, Default)]
struct Disturbances {
    ends: u64,
    cuts: u64,
}

/// Runs both parts. Returns whether all is right.
pub(crate) fn run(settings: &Settings) -> Result<bool, Error> {
    let Settings { messages, seed } = *settings;
    print::line(&format!("seed {seed}: twice {messages} messages, with two brokers"));
    let mut random = fastrand::Rng::with_seed(seed);
    let progress = Progress::new(2 * (messages / GAP), "disturbances");
    let mut parts = Vec::new();
    for end in [End::Stopped, End::Killed] {
        let start = Instant::now();
        let (verdict, disturbances) = part(&mut random, messages, end, &progress)?;
        parts.push((end, verdict, disturbances, start.elapsed()));
    }
    progress.done();
    Ok(report(&parts))
}

/// One part, with brokers and a folder of its own.
fn part(
    random: &mut fastrand::Rng,
    messages: u64,
    end: End,
    progress: &Progress,
) -> Result<(Verdict, Disturbances), Error> {
    let folder = TempDir::with_prefix("kill-")
        .map_err(|error| Error::File(format!("no temporary folder: {error}")))?;
    let mut world = World::start(folder.path(), messages, end)?;
    let verdict = world.disturb(random, messages, progress).and_then(|()| world.finish());
    if !verdict.as_ref().is_ok_and(|(verdict, _)| verdict.is_right()) {
        print::error(&format!("the logs of the brokers: {}", folder.keep().display()));
    }
    verdict
}

/// The brokers, the publisher, and the subscribers.
struct World<'f> {
    folder: &'f Path,
    messages: u64,
    end: End,
    sites: [Site; 2],
    publisher: Publisher,
    /// How many messages the publisher may publish by now.
    allowed: Arc<AtomicU64>,
    disturbances: Disturbances,
}

/// One of the two brokers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    First,
    Second,
}

impl Place {
    const BOTH: [Self; 2] = [Self::First, Self::Second];

    const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// A broker and those around it.
struct Site {
    broker: Mosquitto,
    tap: Tap,
    reader: Reader,
    evidence: Evidence,
}

impl Site {
    fn start(end: End) -> Result<Self, Error> {
        let config = match end {
            End::Stopped => saves_at_its_end(),
            End::Killed => saves_at_once(),
        };
        let broker = config.start();
        let reader = Reader::start(broker.address())?;
        // The subscription is saved, so no later loss is about that.
        broker.save();
        let tap = Tap::new(broker.address());
        Ok(Self { broker, tap, reader, evidence: Evidence::default() })
    }

    /// Ends the broker and keeps its log.
    fn end(&mut self, end: End, log: &Path) {
        match end {
            End::Stopped => self.broker.stop(),
            End::Killed => self.broker.kill(),
        }
        let lines = self.broker.log().to_the_end(0, SOON);
        self.evidence.add_life(lines.iter().map(String::as_str), end);
        // The log is kept for a closer look.
        let _nowhere_to = fs::write(log, lines.join("\n"));
    }
}

impl<'f> World<'f> {
    fn start(folder: &'f Path, messages: u64, end: End) -> Result<Self, Error> {
        let sites = [Site::start(end)?, Site::start(end)?];
        let allowed = Arc::new(AtomicU64::new(0));
        let taps = sites.each_ref().map(|site| site.tap.address());
        let publisher = Publisher::start(taps, messages, Arc::clone(&allowed))?;
        let disturbances = Disturbances::default();
        Ok(Self { folder, messages, end, sites, publisher, allowed, disturbances })
    }

    /// Lets the publisher go on from one disturbance to the next.
    fn disturb(
        &mut self,
        random: &mut fastrand::Rng,
        messages: u64,
        progress: &Progress,
    ) -> Result<(), Error> {
        let mut next = Place::First;
        for from in (0..messages / GAP).map(|number| number * GAP) {
            let at = from + random.u64(..GAP / 4);
            self.allow(at);
            self.await_or_fail("the publisher to go on", || self.publisher.accepted() >= at)?;
            let cut = random.choice(CUTS).unwrap_or((To::Broker, PUBREL));
            match random.u8(..4) {
                0 | 1 => self.cut(&Place::BOTH, cut, from + GAP)?,
                way => {
                    self.allow(from + GAP / 2);
                    self.end(next);
                    if way == 2 {
                        self.cut(&[next.other()], cut, from + GAP)?;
                    }
                    thread::sleep(moment(random));
                    self.site_mut(next).broker.start_again();
                    next = next.other();
                }
            }
            progress.one();
        }
        self.allow(messages);
        Ok(())
    }

    const fn site(&self, place: Place) -> &Site {
        let [first, second] = &self.sites;
        match place {
            Place::First => first,
            Place::Second => second,
        }
    }

    const fn site_mut(&mut self, place: Place) -> &mut Site {
        let [first, second] = &mut self.sites;
        match place {
            Place::First => first,
            Place::Second => second,
        }
    }

    fn allow(&self, messages: u64) {
        self.allowed.store(messages, Ordering::SeqCst);
    }

    /// Cuts the connection to one of these brokers at the next packet of this kind. The publisher goes on to `allowed`,
    /// so there are such packets.
    fn cut(&mut self, places: &[Place], (to, kind): (To, u8), allowed: u64) -> Result<(), Error> {
        let taps: Vec<&Tap> = places.iter().map(|place| &self.site(*place).tap).collect();
        for tap in &taps {
            tap.cut_at(to, kind);
        }
        self.allow(allowed);
        self.await_or_fail("a packet", || taps.iter().any(|tap| tap.has_cut()))?;
        for tap in taps {
            tap.do_not_cut();
        }
        self.disturbances.cuts += 1;
        Ok(())
    }

    /// Ends a broker while messages are under way.
    fn end(&mut self, place: Place) {
        let log = self.folder.join(format!("{place:?}-{}.log", self.disturbances.ends));
        let end = self.end;
        self.site_mut(place).end(end, &log);
        self.disturbances.ends += 1;
    }

    /// Waits, as long as the publisher runs.
    fn await_or_fail(&self, what: &str, mut done: impl FnMut() -> bool) -> Result<(), Error> {
        let limit = Instant::now() + PATIENCE;
        while !done() {
            if Instant::now() > limit || self.publisher.is_finished() {
                return Err(Error::Run(format!("waited for {what}")));
            }
            thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    /// Lets everything arrive, and compares.
    fn finish(self) -> Result<(Verdict, Disturbances), Error> {
        let account = self.publisher.finish()?;
        let mut received = Vec::new();
        let mut evidence = Vec::new();
        for (place, mut site) in Place::BOTH.into_iter().zip(self.sites) {
            publish_last(site.broker.address())?;
            site.reader.await_last()?;
            site.end(End::Stopped, &self.folder.join(format!("{place:?}-last.log")));
            received.push(site.reader.received()?);
            evidence.push(site.evidence);
        }
        let verdict = Verdict::new(self.messages, &account, &received, &evidence);
        Ok((verdict, self.disturbances))
    }
}

/// Publishes the message that ends a subscriber.
fn publish_last(broker: SocketAddr) -> Result<(), Error> {
    let (client, mut events) = Client::connect(&broker.to_string(), &Options::new("last"))?;
    // At QoS 2 a subscriber may take it for another message whose packet id a killed broker uses again.
    let topic = message::last_topic(QoS::AtLeastOnce);
    let request = |error| Error::Request { what: "publish", error };
    let _ = client.publish(&topic, b"", QoS::AtLeastOnce, false).map_err(request)?;
    while let Some(event) = events.next_timeout(PATIENCE) {
        if let Event::Published(_) = event {
            client.disconnect();
        }
    }
    Ok(())
}

/// A part for the report: how the brokers were ended, the verdict, what happened, and how long it took.
type Part = (End, Verdict, Disturbances, Duration);

/// Prints the result. Returns whether all is right.
fn report(parts: &[Part]) -> bool {
    print::line(&format!(
        "\n{:<9} {:>6} {:>5} {:>6} {:>9} {:>9} {:>5} {:>12} {:>7} {:>7} {:>8} {:>6}",
        "brokers",
        "ended",
        "cuts",
        "moves",
        "messages",
        "published",
        "lost",
        "but arrived",
        "missing",
        "doubled",
        "disorder",
        "time"
    ));
    let (mut messages, mut disturbances, mut explained, mut blamed) = (0, 0, 0, 0);
    for (end, verdict, happened, took) in parts {
        let name = match end {
            End::Stopped => "stopped",
            End::Killed => "killed",
        };
        let Account { moves, .. } = verdict.account;
        let [missing, doubled, disorder] = verdict.counts();
        print::line(&format!(
            "{name:<9} {:>6} {:>5} {moves:>6} {:>9} {:>9} {:>5} {:>12} {missing:>7} {doubled:>7} {disorder:>8} {:>4} s",
            happened.ends,
            happened.cuts,
            verdict.messages,
            verdict.published,
            verdict.lost,
            verdict.lost_and_arrived,
            took.as_secs()
        ));
        explained += verdict.print();
        blamed += verdict.blamed();
        messages += verdict.messages;
        disturbances += happened.ends + happened.cuts;
    }
    print::line(&format!(
        "\n{disturbances} disturbances, {messages} messages: {blamed} missing, doubled or out of order by the client; {explained} by Mosquitto, with evidence"
    ));
    blamed == 0
}
