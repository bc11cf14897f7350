//! The thread that serves the connection: it takes events, carries out commands, and judges the health of the link.
//!
//! Its task is fed only if the link makes progress (`mqtt_examples::link_health`): a thread that connects again and again
//! is not alive. If the steps do not help, the task starves.

mod modem;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use mqtt_core::{
    Event, Handle, QoS, SessionStatus,
    driver::blocking::{Error, Events, Unfinished},
};
use mqtt_examples::link_health::{LinkHealth, Sample, Step};
use thiserror::Error;
use watchdog_core::{Refused, Timing, host::systemd::Service};

use crate::{
    beat::Beat,
    board::Board,
    budget,
    command::Command,
    config::LINK,
    inject::{AFTER, Inject},
    last_words::{LastWords, Told},
    sampling::Control,
    time::Span,
    topics::{ONLINE, STOPPED},
    uplink::Uplink,
    ways::Switch,
};

/// The connection is looked at this often, also without an event.
const LOOK: Duration = Duration::from_millis(250);

/// A sensor that can be told another period.
#[derive(Debug)]
pub struct Adjustable {
    /// Its thread.
    pub control: Arc<Control>,
    /// Its deadline, which stays.
    pub deadline: Span,
}

/// What the thread needs beside the events.
#[derive(Debug)]
pub struct Link {
    /// The client.
    pub uplink: Arc<Uplink>,
    /// Where events are shown.
    pub board: Arc<Board>,
    /// Last words of earlier runs.
    pub last_words: LastWords,
    /// The ways to the brokers.
    pub switch: Switch,
    /// The names of the brokers.
    pub brokers: Vec<String>,
    /// The sensors.
    pub sensors: Vec<Adjustable>,
    /// The plan that new periods have to fit.
    pub timing: Timing<'static>,
    /// The program that restarts the modem.
    pub modem: Vec<String>,
    /// systemd, which shows the state of the link.
    pub service: Option<Service>,
    /// The fault on purpose, until it has happened.
    pub inject: Option<Inject>,
    /// The endpoint of the last connection.
    pub endpoint: Option<u8>,
}

/// Why the thread has ended too early.
#[derive(Clone, Debug, Error)]
pub enum LinkError {
    /// A feed came too late.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl Link {
    /// Serves the connection until `stops` is set. Then it says that the gateway has stopped, waits `stop_within` for
    /// the answers, and ends the connection. What has no answer stays in the journal.
    ///
    /// # Errors
    ///
    /// [`LinkError`]: the watchdog bites.
    pub fn run(
        mut self,
        mut events: Events,
        mut health: LinkHealth,
        beat: Beat,
        stops: &AtomicBool,
        stop_within: Span,
    ) -> Result<Result<(), Unfinished>, LinkError> {
        let subscribed =
            self.uplink.client().subscribe(&self.uplink.topics().command, QoS::ExactlyOnce);
        self.board.tell_error("subscribe", subscribed);
        let mut next = self.board.clock().now();
        let mut failed = String::new();
        while !stops.load(Ordering::Acquire) {
            let told = self.last_words.publish(&self.uplink);
            self.tell(told);
            let left = next.millis_since(self.board.clock().now());
            let event = events.next_timeout(LOOK.min(Duration::from_millis(left)));
            let acknowledged = self.uplink.figures().acknowledged;
            if let Some(event) = event {
                self.on(event);
            }
            self.tell_failure(&events, &mut failed);
            if self.uplink.client().in_flight() == 0 {
                let told = self.last_words.all_answered();
                self.tell(told);
            }
            if acknowledged < AFTER && self.uplink.figures().acknowledged >= AFTER {
                self.inject();
            }
            let client = self.uplink.client();
            let sample = Sample { counters: client.counters(), in_flight: client.in_flight() };
            let look = health.look(&sample, self.board.clock().now());
            if look.progress {
                beat.feed()?;
            }
            next = look.next;
            if let Some(step) = look.step {
                self.step(step);
            }
        }
        let stopped = self.uplink.status(STOPPED);
        self.board.tell_error("status", stopped);
        let finished = events.finish(stop_within.duration(), |event| self.on(event));
        beat.retire()?;
        Ok(finished)
    }

    fn on(&mut self, event: Event<'_>) {
        match event {
            Event::Up { endpoint, session, .. } => self.up(endpoint, session),
            Event::Down { endpoint, reason } => {
                let broker = self.broker(endpoint);
                self.show_state(&format!("offline: {broker}: {reason}"));
            }
            Event::Message(message) if message.topic.as_str() == self.uplink.topics().command => {
                // A retained command is an old one, and would be carried out at each connection.
                let answer = if message.retain {
                    Err("a retained command is not carried out".into())
                } else {
                    Command::parse(message.payload).and_then(|command| self.carry_out(&command))
                };
                let answer = answer.unwrap_or_else(|error| error);
                self.board.tell(&format!("command: {answer}"));
                self.board.tell_error("answer", self.uplink.answer(&answer));
            }
            Event::Published(handle) | Event::Downgraded(handle) => {
                self.uplink.published(handle);
                let told = self.last_words.published(handle);
                self.tell(told);
            }
            Event::Lost(handle) => {
                let told = self.last_words.lost(handle);
                self.tell(told);
            }
            Event::Subscribed { granted, .. } if granted.iter().any(|one| one.is_none()) => {
                self.board.tell("the broker refuses the topic of commands");
            }
            Event::Stuck { handle, connections } => self.stuck(handle, connections),
            // A message that is longer than any command.
            Event::Message(_)
            | Event::MessageStart(_)
            | Event::MessageChunk(_)
            | Event::MessageEnd { .. }
            | Event::Skipped(_) => {}
            // Nothing has to be done.
            Event::Connecting { .. }
            | Event::Subscribed { .. }
            | Event::Unsubscribed(_)
            | Event::Cancelled { .. }
            | Event::GivenUp(_)
            | Event::SourceFailed(_)
            | Event::NotReclaimed
            | Event::Dropped(_)
            | Event::Renewed { .. }
            | Event::RenewalStuck { .. }
            | _ => {}
        }
    }

    fn up(&mut self, endpoint: u8, session: SessionStatus) {
        let broker = self.broker(endpoint);
        self.endpoint = Some(endpoint);
        self.board.set_broker(&broker);
        let session = match session {
            SessionStatus::Resumed => "the session goes on",
            SessionStatus::Lost => "the broker has lost the session",
            SessionStatus::New | SessionStatus::Found | _ => "a new session",
        };
        self.show_state(&format!("online: {broker}, {session}"));
        self.board.tell_error("status", self.uplink.birth(ONLINE));
    }

    /// Shows the state of the link, also to systemd.
    fn show_state(&self, state: &str) {
        self.board.tell(state);
        if let Some(service) = self.service {
            self.board.tell_error("systemd", service.status(&state.replace('\n', " ")));
        }
    }

    /// The broker closes each connection at this message.
    fn stuck(&self, handle: Handle, connections: u16) {
        self.board
            .tell(&format!("{connections} connections ended at one message: it is taken back"));
        self.board.tell_error("cancel", self.uplink.client().cancel(handle));
    }

    /// The answer to a command.
    fn carry_out(&self, command: &Command) -> Result<String, String> {
        let Command::Period { sensor, period } = command;
        let found = self.sensors.iter().find(|one| one.control.name == *sensor);
        let Some(Adjustable { control, deadline }) = found else {
            let names: Vec<&str> =
                self.sensors.iter().map(|one| one.control.name.as_str()).collect();
            return Err(format!("there is no such sensor; there are: {}", names.join(", ")));
        };
        let rules = budget::sensor_rules(sensor, period.as_millis(), deadline.as_millis());
        budget::fits(&self.timing, &rules, *period).map_err(|reason| {
            format!("{sensor}: a period of {period} is not possible: {reason}")
        })?;
        control.set_period(*period);
        Ok(format!("{sensor}: period {period}"))
    }

    fn step(&self, step: Step) {
        match step {
            Step::Reconnect => self.board.tell("the link makes no progress: connect again"),
            Step::NextBroker => self.board.tell("the link makes no progress: the next broker"),
            Step::RestartModem => {
                self.board.tell("the link makes no progress: restart the modem");
                modem::restart(&self.modem, &self.board);
            }
        }
        // A client goes on to the next broker when a connection has ended.
        self.switch.cut();
        self.uplink.client().reconnect();
    }

    /// Tells an error of the transport or of the journal, once.
    fn tell_failure(&self, events: &Events, failed: &mut String) {
        let error = events.last_error().map(Error::to_string).unwrap_or_default();
        if error != *failed {
            if !error.is_empty() {
                self.board.tell(&error);
            }
            *failed = error;
        }
    }

    fn tell(&self, told: Told) {
        match told {
            Ok(None) => {}
            Ok(Some(text)) => self.board.tell(&text),
            Err(error) => self.board.tell(&error.to_string()),
        }
    }

    fn broker(&self, endpoint: u8) -> String {
        self.brokers.get(usize::from(endpoint)).cloned().unwrap_or_default()
    }

    fn inject(&mut self) {
        let Some(inject) = self.inject.take() else { return };
        if let Some(fault) = inject.of_thread(LINK) {
            self.board.tell(&format!("{LINK}: {fault}, as injected"));
            fault.happen();
        }
        let (endpoint, time) = match inject {
            Inject::Link(time) => (None, time),
            Inject::Broker(time) => (self.endpoint, time),
            Inject::Hang(_) | Inject::Panic(_) => return,
        };
        let who = endpoint.map_or("the link".into(), |endpoint| self.broker(endpoint));
        self.board.tell(&format!("{who} falls silent, as injected"));
        self.switch.fall_silent(endpoint, time.map(Span::duration));
    }
}
