//! The node: sensor, link and watchdog share their wake-ups. It reads no clock and does no IO; a [`Board`] does.

use mqtt_core::{
    Action, ConnectionState, Filter, Instant, Publish, QoS, Record, StaticClient, Topic,
};
use watchdog_core::{Action as Verdict, Supervisor, TaskHandle};

use crate::{
    Error,
    settings::{MEASUREMENTS_PER_PUBLISH, MEASUREMENTS_PER_STATE, MINUTE, Settings},
};

/// The hardware of a node.
pub(crate) trait Board {
    /// Begins to open a transport. The board reports the end by [`Node::opened`] or [`Node::lost`].
    fn connect(&mut self, now: u64);
    /// Sends; gives how many bytes were taken.
    fn send(&mut self, bytes: &[u8], now: u64) -> usize;
    fn close(&mut self);
    /// Writes a record to the flash.
    fn store(&mut self, record: &Record<'_>);
    fn feed_chip(&mut self, now: u64);
    /// Whether the radio is on, so that traffic now switches nothing on.
    fn radio_is_on(&self, now: u64) -> bool;
}

/// The reason for a wake-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Measure,
    /// A measurement that is published.
    Publish,
    Ping,
    Record,
    Feed,
    /// An attempt to connect, the end of a dead connection, or the time after which a new one is stable.
    Reconnect,
}

impl Cause {
    pub(crate) const ALL: [Self; 6] =
        [Self::Measure, Self::Publish, Self::Ping, Self::Record, Self::Feed, Self::Reconnect];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Measure => "measure",
            Self::Publish => "publish",
            Self::Ping => "PINGREQ",
            Self::Record => "record",
            Self::Feed => "feed",
            Self::Reconnect => "reconnect",
        }
    }
}

/// What was done at one time.
#[derive(Clone, Copy, Debug, Default)]
struct Did {
    measured: bool,
    published: bool,
    sent: bool,
    recorded: bool,
    /// A connection was opened or closed.
    connection: bool,
}

/// A node that sleeps.
pub(crate) struct Node<'a> {
    settings: Settings,
    client: StaticClient<1024, 8>,
    supervisor: Supervisor<'a>,
    sensor: TaskHandle<'a>,
    link: TaskHandle<'a>,
    topics: [String; 2],
    /// Bytes of the broker that the client has not taken.
    input: Vec<u8>,
    /// Measurements so far.
    pub(crate) measured: u64,
    pub(crate) published: u64,
    next_measure: u64,
    client_due: u64,
    feed_due: u64,
}

impl<'a> Node<'a> {
    /// The first measurement is at `first`; the heartbeats of the watchdog begin now, as after a boot.
    pub(crate) fn new(
        id: &str,
        settings: Settings,
        supervisor: Supervisor<'a>,
        [sensor, link]: [TaskHandle<'a>; 2],
        first: u64,
    ) -> Result<Self, Error> {
        let mut client = settings.client(id)?;
        let topics = [format!("{id}/measured"), format!("{id}/state")];
        let orders = format!("{id}/orders");
        let _answered_later = client.subscribe(&[(Filter::new(&orders)?, QoS::AtLeastOnce)])?;
        Ok(Self {
            settings,
            client,
            supervisor,
            sensor,
            link,
            topics,
            input: Vec::new(),
            measured: 0,
            published: 0,
            next_measure: first,
            client_due: 0,
            feed_due: 0,
        })
    }

    /// The device is awake at `now`: does what is due, and with slack what will be soon. Gives the reason.
    pub(crate) fn wake(&mut self, board: &mut impl Board, now: u64) -> Result<Cause, Error> {
        let client_was_due = now >= self.client_due;
        let mut did = Did::default();
        if now >= self.next_measure {
            self.measure(now, &mut did)?;
        }
        // Once before the bytes go out, and once after their answers have come.
        self.use_slack(did.published || board.radio_is_on(now), now);
        self.drive(board, now, &mut did);
        self.use_slack(did.published || board.radio_is_on(now), now);
        self.drive(board, now, &mut did);

        let polled = self.supervisor.poll(watchdog_core::Instant::from_millis(now));
        match polled.action {
            Verdict::Feed => board.feed_chip(now),
            Verdict::Wait => {}
            Verdict::Report(failure) | Verdict::Stage(_, failure) | Verdict::Stopped(failure) => {
                return Err(Error::Failed(failure));
            }
        }
        self.feed_due = polled.next.as_millis();
        Ok(match did {
            Did { published: true, .. } => Cause::Publish,
            Did { measured: true, .. } => Cause::Measure,
            _ if !client_was_due => Cause::Feed,
            Did { connection: true, .. } => Cause::Reconnect,
            Did { recorded: true, .. } => Cause::Record,
            Did { sent: true, .. } => Cause::Ping,
            Did { .. } => Cause::Reconnect,
        })
    }

    /// Measures, and publishes if it is time.
    fn measure(&mut self, now: u64, did: &mut Did) -> Result<(), Error> {
        did.measured = true;
        self.sensor.feed(watchdog_core::Instant::from_millis(now))?;
        self.measured += 1;
        self.next_measure += u64::from(self.settings.scaled(MINUTE));
        let text = format!("{}", self.measured);
        let mut due = vec![(0, MEASUREMENTS_PER_PUBLISH, self.settings.qos)];
        due.push((1, MEASUREMENTS_PER_STATE, QoS::AtLeastOnce));
        for (topic, every, qos) in due {
            if self.measured % every == 0 {
                let [measured, state] = &self.topics;
                let topic = Topic::new(if topic == 0 { measured } else { state })?;
                did.published = true;
                // A long outage fills the outbox: the message is left out, as a sensor does.
                let publish = Publish::new(topic, text.as_bytes()).qos(qos);
                self.published += u64::from(self.client.publish(&publish).is_ok());
            }
        }
        Ok(())
    }

    /// The slack is the time to the next wake-up that can do the same: the next publish if the radio is on, and
    /// otherwise the next measurement. More would do early what that wake-up does in time.
    fn use_slack(&mut self, radio: bool, now: u64) {
        let minute = u64::from(self.settings.scaled(MINUTE));
        let to_publish = MEASUREMENTS_PER_PUBLISH - 1 - self.measured % MEASUREMENTS_PER_PUBLISH;
        let next = self.next_measure + if radio { to_publish * minute } else { 0 };
        let before_next = next.saturating_sub(now).saturating_sub(1);
        let slack = u32::try_from(before_next).unwrap_or(u32::MAX).min(self.settings.slack);
        if slack != 0 {
            self.client.awake(slack, Instant::from_millis(now));
        }
    }

    /// Takes events and carries out the actions of the client until it waits.
    fn drive(&mut self, board: &mut impl Board, now: u64, did: &mut Did) {
        let at = Instant::from_millis(now);
        let mut looked = false;
        loop {
            self.receive(now);
            match self.client.poll(at) {
                Action::Connect { .. } => {
                    did.connection = true;
                    board.connect(now);
                    looked = false;
                }
                Action::Close(_) => {
                    did.connection = true;
                    board.close();
                    self.client.closed(at);
                }
                Action::Persist(record) => {
                    did.recorded = true;
                    board.store(&record);
                    self.client.persisted();
                }
                Action::Transmit(bytes) => {
                    let taken = board.send(bytes, now);
                    did.sent = true;
                    self.client.transmitted(taken, at);
                    if taken == 0 {
                        self.client_due = now + u64::from(self.settings.scaled(1_000));
                        return;
                    }
                }
                // A time-out for input is judged after another look.
                Action::Wait(until) if until <= at && !looked => looked = true,
                Action::Wait(until) => {
                    self.client_due = until.as_millis();
                    return;
                }
                // Nothing is published from a source.
                Action::TransmitFrom(piece) => {
                    let handle = piece.handle;
                    self.client.source_failed(handle, mqtt_core::SourceFault::Gone);
                }
            }
        }
    }

    fn receive(&mut self, now: u64) {
        let mut rest = self.input.as_slice();
        // An error needs no handling: `poll` says to close.
        while let Ok(Some(_)) = self.client.receive(&mut rest, Instant::from_millis(now)) {}
        let taken = self.input.len() - rest.len();
        self.input.drain(..taken);
    }

    /// Bytes came. They are the sign of life of the link.
    pub(crate) fn heard(&mut self, bytes: &[u8], now: u64) -> Result<(), Error> {
        self.input.extend_from_slice(bytes);
        Ok(self.link.feed(watchdog_core::Instant::from_millis(now))?)
    }

    pub(crate) fn opened(&mut self, now: u64) {
        self.client.connected(Instant::from_millis(now));
    }

    pub(crate) fn lost(&mut self, now: u64) {
        self.input.clear();
        self.client.closed(Instant::from_millis(now));
    }

    pub(crate) fn disconnect(&mut self) {
        self.client.disconnect();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.client.state() == ConnectionState::Stopped
    }

    /// When to wake up again. An attempt to connect may be late, so with slack it waits for a measurement.
    pub(crate) fn alarm(&self) -> u64 {
        let waits = self.client.state() == ConnectionState::Waiting;
        let late = self.next_measure.saturating_sub(self.client_due) <= self.settings.slack.into();
        let client = if waits && late { self.next_measure } else { self.client_due };
        self.next_measure.min(client).min(self.feed_due)
    }
}
