//! A client whose link is a watched task: the loop of `docs/link-health.md` in the thread of the test, and a daemon that
//! watches it in real time.

use std::collections::VecDeque;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use mqtt_core::driver::blocking::{Client, Config, Events};
use mqtt_core::{ConnectionState, Event, Options, QoS};
use mqtt_examples::link_health::{LinkHealth, LinkRules, Look, Sample, Step};
use system_tests::SOON;
use watchdog_core::host::daemon::{Daemon, Event as Told, NoHardware, Settings, Watched};
use watchdog_core::{Failure, Rules, Timing};

/// The longest wait between two looks at what a test waits for.
const GLANCE: Duration = Duration::from_millis(20);

/// A running client, its link, and the watchdog.
pub(crate) struct Life<'t> {
    pub(crate) client: Client,
    events: Events,
    pub(crate) health: LinkHealth,
    link: Watched,
    daemon: Daemon<NoHardware>,
    bites: Receiver<(Instant, Failure)>,
    start: Instant,
    /// When the link was fed last.
    pub(crate) fed: Instant,
    /// The steps so far.
    pub(crate) steps: Vec<Step>,
    /// What the handler of a message does.
    pub(crate) work: Box<dyn FnMut() + 't>,
    /// Restarts the modem.
    modem: Box<dyn FnMut() + 't>,
    seen: VecDeque<String>,
}

impl<'t> Life<'t> {
    /// Starts a client of `brokers`, of which one has accepted it. `timing` promises the bite.
    #[track_caller]
    pub(crate) fn start(
        brokers: &[&str],
        options: &Options<'_>,
        rules: LinkRules,
        timing: Timing<'static>,
        modem: impl FnMut() + 't,
    ) -> Self {
        let (client, events) = Config::new(options).connect(brokers).expect("one accepts it");
        let (tell, bites) = mpsc::channel();
        let settings = Settings::new().without_last_resort();
        let daemon = Daemon::start_with(settings, NoHardware, 1, timing, move |told| {
            if let Told::Stage(bite) = told {
                // After a failed test nobody waits.
                let _ = tell.send((Instant::now(), bite.failure()));
            }
        });
        let daemon = daemon.expect("there are threads");
        let task = Rules::deadline(rules.deadline_millis());
        let link = daemon.watch("link", task).expect("the rules fit the plan");
        let start = Instant::now();
        let health = LinkHealth::new(rules, since(start));
        Self {
            client,
            events,
            health,
            link,
            daemon,
            bites,
            start,
            fed: start,
            steps: Vec::new(),
            work: Box::new(|| {}),
            modem: Box::new(modem),
            seen: VecDeque::new(),
        }
    }

    pub(crate) fn now(&self) -> watchdog_core::Instant {
        since(self.start)
    }

    /// One round of the loop. Gives what `pick` makes of the event.
    fn round<T>(&mut self, pick: &mut impl FnMut(&Event<'_>) -> Option<T>) -> Option<T> {
        let sample =
            Sample { counters: self.client.counters(), in_flight: self.client.in_flight() };
        let Look { progress, step, next } = self.health.look(&sample, self.now());
        if progress && self.link.feed().is_ok() {
            self.fed = Instant::now();
        }
        if let Some(step) = step {
            self.seen.push_back(format!("{step:?} after {:?}", self.start.elapsed()));
            self.steps.push(step);
            if step == Step::RestartModem {
                (self.modem)();
            }
            reconnect(&self.client);
        }
        let wait = Duration::from_millis(next.millis_since(self.now()));
        let event = self.events.next_timeout(wait.min(GLANCE))?;
        self.seen.push_back(format!("{event:?} after {:?}", self.start.elapsed()));
        if self.seen.len() > 40 {
            self.seen.pop_front();
        }
        if let Event::Message(_) = event {
            (self.work)();
        }
        pick(&event)
    }

    /// Goes on until `pick` gives a value for an event.
    #[track_caller]
    pub(crate) fn until<T>(
        &mut self,
        what: &str,
        mut pick: impl FnMut(&Event<'_>) -> Option<T>,
    ) -> T {
        let limit = Instant::now() + SOON;
        loop {
            if let Some(picked) = self.round(&mut pick) {
                return picked;
            }
            assert!(Instant::now() < limit, "waited for {what}, saw {:#?}", self.seen);
        }
    }

    /// Goes on until `done`.
    #[track_caller]
    pub(crate) fn while_not(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let limit = Instant::now() + SOON;
        while !done(self) {
            let _ = self.round(&mut |_| None::<()>);
            assert!(Instant::now() < limit, "waited for {what}, saw {:#?}", self.seen);
        }
    }

    /// Publishes at QoS 1, and goes on until the broker has the message.
    #[track_caller]
    pub(crate) fn publish(&mut self, topic: &str, payload: &str) {
        let publish = self.client.publish(topic, payload.as_bytes(), QoS::AtLeastOnce, false);
        let handle = publish.expect("there is room");
        self.until("an answer", |event| (*event == Event::Published(handle)).then_some(()));
    }

    /// Goes on until the watchdog bites. Gives the time since the last feed.
    #[track_caller]
    pub(crate) fn bite(&mut self) -> Duration {
        let mut bite = None;
        self.while_not("a bite", |life| {
            bite = bite.or(life.bites.try_recv().ok());
            bite.is_some()
        });
        let (at, _) = bite.expect("it was awaited");
        at.saturating_duration_since(self.fed)
    }

    /// Ends all in order. The watchdog has not bitten: a daemon with a failure does not stop.
    #[track_caller]
    pub(crate) fn end_well(self) {
        let retired = self.link.retire();
        assert!(retired.is_ok(), "{retired:?}, saw {:#?}", self.seen);
        let stopped = self.daemon.stop();
        assert!(stopped.is_ok(), "{stopped:?}, saw {:#?}", self.seen);
        assert!(self.bites.try_recv().is_err());
    }
}

/// Connects again, now: ends what there is, but not a pause between two attempts.
fn reconnect(client: &Client) {
    if client.state() != ConnectionState::Waiting {
        client.disconnect();
    }
    client.reconnect();
}

fn since(start: Instant) -> watchdog_core::Instant {
    let millis = u64::try_from(start.elapsed().as_millis());
    watchdog_core::Instant::from_millis(millis.expect("a test is not that long"))
}
