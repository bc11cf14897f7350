//! The client under test, with waits that have a limit.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mqtt_core::driver::blocking::{Client, Config, Error, Events};
use mqtt_core::{Event, Handle, Options, QoS, Reason, SessionStatus};

use crate::message::Message;
use crate::process::SOON;

/// A client of this project. The thread that waits for something drives it. If it is dropped, no DISCONNECT is sent.
#[derive(Debug)]
pub struct Device {
    client: Client,
    events: Events,
    /// Messages that came while the test waited for something else.
    messages: VecDeque<Message>,
    /// The message that is coming in pieces.
    begun: Option<Message>,
    /// The events so far, for the report of a failure.
    seen: VecDeque<String>,
}

impl Device {
    /// A client that the broker has accepted, with default sizes.
    ///
    /// # Panics
    /// If the broker has not accepted it.
    #[must_use]
    #[track_caller]
    pub fn connect(broker: SocketAddr, options: &Options<'_>) -> Self {
        Self::sized(broker, Config::new(options))
    }

    /// A client that the broker has accepted, with these sizes.
    ///
    /// # Panics
    /// If the broker has not accepted it.
    #[must_use]
    #[track_caller]
    pub fn sized(broker: SocketAddr, config: Config<'_>) -> Self {
        let parts = config.connect(&[&broker.to_string()]);
        Self::new(parts.unwrap_or_else(|error| panic!("no connection: {error}")))
    }

    /// The error of the driver if the broker does not accept.
    ///
    /// # Panics
    /// If the broker accepts it.
    #[must_use]
    #[track_caller]
    pub fn refused(broker: SocketAddr, options: &Options<'_>) -> Error {
        match Client::connect(&broker.to_string(), options) {
            Ok(_) => panic!("the broker accepted the connection"),
            Err(error) => error,
        }
    }

    /// A client made in another way.
    #[must_use]
    pub fn new((client, events): (Client, Events)) -> Self {
        Self { client, events, messages: VecDeque::new(), begun: None, seen: VecDeque::new() }
    }

    /// The requesting half.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Both halves, for a test that shares them among threads.
    #[must_use]
    pub fn into_parts(self) -> (Client, Events) {
        (self.client, self.events)
    }

    /// Waits for an event for which `pick` returns a value. Messages are kept for [`message`](Self::message), and other
    /// events are ignored.
    ///
    /// # Panics
    /// If it does not come within [`SOON`], or the client has stopped; shows the last events.
    #[track_caller]
    pub fn until<T>(&mut self, what: &str, mut pick: impl FnMut(&Event<'_>) -> Option<T>) -> T {
        let limit = Instant::now() + SOON;
        loop {
            let left = limit.saturating_duration_since(Instant::now());
            let picked = self.step(left, &mut pick);
            match picked {
                Step::Picked(picked) => return picked,
                Step::Event => {}
                Step::None => panic!("waited for {what}, saw {:#?}", self.seen),
            }
        }
    }

    /// Drives the client until `done`, which is called every few milliseconds. It is for results that are not events.
    ///
    /// # Panics
    /// If that takes longer than [`SOON`].
    #[track_caller]
    pub fn drive_until(&mut self, what: &str, mut done: impl FnMut() -> bool) {
        let limit = Instant::now() + SOON;
        while !done() {
            assert!(Instant::now() < limit, "waited for {what}, saw {:#?}", self.seen);
            let _ = self.step(Duration::from_millis(5), &mut |_| None::<()>);
        }
    }

    /// Waits until the broker has accepted a connection. Returns the state of the session.
    ///
    /// # Panics
    /// As [`until`](Self::until).
    #[track_caller]
    pub fn up(&mut self) -> SessionStatus {
        self.until("a connection", |event| {
            if let Event::Up { session, .. } = event { Some(*session) } else { None }
        })
    }

    /// Waits until the connection is over.
    ///
    /// # Panics
    /// As [`until`](Self::until).
    #[track_caller]
    pub fn down(&mut self) -> Reason {
        self.until("the end of the connection", |event| {
            if let Event::Down { reason, .. } = event { Some(*reason) } else { None }
        })
    }

    /// Subscribes and waits for the granted QoS.
    ///
    /// # Panics
    /// If the request is not taken, and as [`until`](Self::until).
    #[track_caller]
    pub fn subscribe(&mut self, filter: &str, qos: QoS) -> Vec<Option<QoS>> {
        let request = self.client.subscribe(filter, qos);
        self.granted(request)
    }

    /// Waits for the granted QoS of a subscription.
    ///
    /// # Panics
    /// As [`subscribe`](Self::subscribe).
    #[track_caller]
    pub fn granted(&mut self, request: Result<Handle, Error>) -> Vec<Option<QoS>> {
        let request =
            request.unwrap_or_else(|error| panic!("the subscription was not taken: {error}"));
        self.until("an answer to the subscription", |event| {
            let Event::Subscribed { handle, granted } = event else { return None };
            (*handle == request).then(|| granted.iter().collect())
        })
    }

    /// Unsubscribes and waits for the answer.
    ///
    /// # Panics
    /// As [`subscribe`](Self::subscribe).
    #[track_caller]
    pub fn unsubscribe(&mut self, filter: &str) {
        let request = self.client.unsubscribe(filter);
        let request = request.unwrap_or_else(|error| panic!("not taken: {error}"));
        self.until("an answer to the unsubscription", |event| {
            (*event == Event::Unsubscribed(request)).then_some(())
        });
    }

    /// Publishes and waits until the broker has the message.
    ///
    /// # Panics
    /// As [`subscribe`](Self::subscribe).
    #[track_caller]
    pub fn publish(&mut self, topic: &str, payload: &[u8], qos: QoS, retain: bool) {
        let request = self.client.publish(topic, payload, qos, retain);
        self.published(request);
    }

    /// Waits until the broker has the message.
    ///
    /// # Panics
    /// As [`subscribe`](Self::subscribe).
    #[track_caller]
    pub fn published(&mut self, request: Result<Handle, Error>) {
        let request = request.unwrap_or_else(|error| panic!("the message was not taken: {error}"));
        self.until("the end of a publish", |event| {
            (*event == Event::Published(request)).then_some(())
        });
    }

    /// The next message, in the order of arrival. A message that comes in pieces is put together.
    ///
    /// # Panics
    /// As [`until`](Self::until).
    #[track_caller]
    pub fn message(&mut self) -> Message {
        let limit = Instant::now() + SOON;
        loop {
            if let Some(message) = self.messages.pop_front() {
                return message;
            }
            let left = limit.saturating_duration_since(Instant::now());
            if let Step::None = self.step(left, &mut |_| None::<()>) {
                panic!("waited for a message, saw {:#?}", self.seen);
            }
        }
    }

    /// The next `count` messages.
    ///
    /// # Panics
    /// As [`until`](Self::until).
    #[must_use]
    #[track_caller]
    pub fn messages(&mut self, count: usize) -> Vec<Message> {
        std::iter::repeat_with(|| self.message()).take(count).collect()
    }

    /// Sends a DISCONNECT and waits until the client has stopped.
    ///
    /// # Panics
    /// If that takes longer than [`SOON`].
    #[track_caller]
    pub fn disconnect(mut self) {
        self.client.disconnect();
        let reason = self.down();
        assert_eq!(reason, Reason::Requested, "{:#?}", self.seen);
    }

    fn step<T>(
        &mut self,
        within: Duration,
        pick: &mut impl FnMut(&Event<'_>) -> Option<T>,
    ) -> Step<T> {
        let Some(event) = self.events.next_timeout(within) else { return Step::None };
        let picked = pick(&event);
        let mut note = None;
        if let Event::Message(message) = event {
            let (topic, payload) = (message.topic.as_str(), message.payload);
            let message = Message::new(topic, payload, message.qos, message.retain);
            note = Some(format!("{message:?}"));
            self.messages.push_back(message);
        } else if let Event::MessageStart(start) = event {
            let mut message = Message::new(start.topic.as_str(), &[], start.qos, start.retain);
            message.payload.reserve_exact(start.payload_len);
            self.begun = Some(message);
        } else if let Event::MessageChunk(bytes) = event {
            self.begun.as_mut().expect("a message has begun").payload.extend(bytes);
            note = Some(format!("MessageChunk({} bytes)", bytes.len()));
        } else if let Event::MessageEnd { .. } = event {
            self.messages.push_back(self.begun.take().expect("a message has begun"));
        } else if let Event::Down { .. } = event {
            self.begun = None;
        }
        self.seen.push_back(note.unwrap_or_else(|| format!("{event:?}")));
        if self.seen.len() > 50 {
            self.seen.pop_front();
        }
        picked.map_or(Step::Event, Step::Picked)
    }
}

enum Step<T> {
    Picked(T),
    Event,
    /// The time is over, or the client has stopped.
    None,
}
