//! The clients of `driver::blocking` and `driver::tokio` as [`Talker`]s.

use std::net::SocketAddr;
use std::time::Duration;

use mqtt_core::driver::blocking::{self, Config, Requests};
use mqtt_core::driver::tokio as tasks;
use mqtt_core::{Event, Fatal, Handle, Options, QoS, Reason};
use tokio::runtime::{Builder, Runtime};

use super::talker::{Ended, Heard, Talker, checked, subscription};
use crate::message::Message;
use crate::transports::{Transport, Way};

/// Starts a client for threads with the default sizes over a transport.
///
/// # Panics
/// If its options are not possible.
#[must_use]
#[track_caller]
pub fn blocking(
    transport: &Transport,
    broker: SocketAddr,
    options: &Options<'_>,
) -> Box<dyn Talker> {
    let way = transport.to(broker);
    let (client, events) =
        way.start(Config::new(options)).unwrap_or_else(|error| panic!("no client: {error}"));
    Box::new(OnHost { requests: Requests::clone(&client), events, begun: None, _way: way })
}

/// Starts a client for tasks with the default sizes over a transport.
///
/// # Panics
/// If its options are not possible.
#[must_use]
#[track_caller]
pub fn tasks(transport: &Transport, broker: SocketAddr, options: &Options<'_>) -> Box<dyn Talker> {
    let way = transport.to(broker);
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (client, events) = runtime
        .block_on(async { way.start_tasks(Config::new(options)) })
        .unwrap_or_else(|error| panic!("no client: {error}"));
    let events = InTask { events, runtime };
    Box::new(OnHost { requests: Requests::clone(&client), events, begun: None, _way: way })
}

/// The serving half of a client.
trait Serving {
    /// Waits for the next event, and gives what `look` makes of it.
    fn next<T>(&mut self, within: Duration, look: impl FnOnce(&Event<'_>) -> T) -> Option<T>;
}

impl Serving for blocking::Events {
    fn next<T>(&mut self, within: Duration, look: impl FnOnce(&Event<'_>) -> T) -> Option<T> {
        self.next_timeout(within).map(|event| look(&event))
    }
}

/// Nothing goes on in the runtime while nobody waits for an event, as with the client for threads.
struct InTask {
    events: tasks::Events,
    runtime: Runtime,
}

impl Serving for InTask {
    fn next<T>(&mut self, within: Duration, look: impl FnOnce(&Event<'_>) -> T) -> Option<T> {
        let Self { events, runtime } = self;
        runtime.block_on(async {
            let event = tokio::time::timeout(within, events.next()).await;
            event.ok().flatten().map(|event| look(&event))
        })
    }
}

struct OnHost<E> {
    requests: Requests,
    events: E,
    /// The message that is coming in pieces.
    begun: Option<Message>,
    /// It outlives the client.
    _way: Way,
}

impl<E: Serving> Talker for OnHost<E> {
    fn hear(&mut self, within: Duration) -> Option<Heard> {
        loop {
            // A message that comes in pieces is an event once it is whole.
            let Self { events, begun, .. } = self;
            if let Some(heard) = events.next(within, |event| heard(event, begun))? {
                return Some(heard);
            }
        }
    }

    fn publish(&mut self, message: &Message) -> Result<Handle, String> {
        let Message { topic, payload, qos, retain } = message;
        self.requests.publish(topic, payload, *qos, *retain).map_err(|error| error.to_string())
    }

    fn subscribe(&mut self, filters: &[(&str, QoS)]) -> Result<Handle, String> {
        let filters = subscription(filters)?;
        self.requests.subscribe_all(&filters).map_err(|error| error.to_string())
    }

    fn unsubscribe(&mut self, filters: &[&str]) -> Result<Handle, String> {
        let filters = filters.iter().copied().map(checked).collect::<Result<Vec<_>, _>>()?;
        self.requests.unsubscribe_all(&filters).map_err(|error| error.to_string())
    }

    fn cancel(&mut self, request: Handle) -> Result<(), String> {
        self.requests.cancel(request).map_err(|error| error.to_string())
    }

    fn disconnect(&mut self) {
        self.requests.disconnect();
    }
}

/// The event as an owned one. `None` for a part of a message.
#[expect(clippy::wildcard_enum_match_arm, reason = "any other event is only shown")]
pub(super) fn heard(event: &Event<'_>, begun: &mut Option<Message>) -> Option<Heard> {
    Some(match event {
        Event::Up { session, protocol, .. } => Heard::Up(*session, *protocol),
        Event::Down { reason, .. } => {
            *begun = None;
            Heard::Down(match reason {
                Reason::TransportClosed | Reason::KickedOut { .. } => Ended::Closed,
                Reason::Fatal(Fatal::Unanswered(_)) => Ended::Unanswered,
                other => Ended::Other(other.to_string()),
            })
        }
        Event::Message(message) => {
            let (topic, payload) = (message.topic.as_str(), message.payload);
            Heard::Message(Message::new(topic, payload, message.qos, message.retain))
        }
        Event::MessageStart(start) => {
            *begun = Some(Message::new(start.topic.as_str(), &[], start.qos, start.retain));
            return None;
        }
        Event::MessageChunk(bytes) => {
            begun.as_mut()?.payload.extend(*bytes);
            return None;
        }
        Event::MessageEnd { .. } => Heard::Message(begun.take()?),
        Event::Published(handle) => Heard::Published(*handle),
        Event::Lost(handle) => Heard::Lost(*handle),
        Event::Subscribed { handle, granted } => {
            Heard::Subscribed(*handle, granted.iter().collect())
        }
        Event::Renewed { granted, .. } => Heard::Renewed(granted.iter().collect()),
        Event::Unsubscribed(handle) => Heard::Unsubscribed(*handle),
        Event::NotReclaimed => Heard::NotReclaimed,
        Event::Downgraded(handle) => Heard::Downgraded(*handle),
        Event::Cancelled { handle, sent } => Heard::Cancelled(*handle, *sent),
        Event::Stuck { handle, .. } => Heard::Stuck(*handle),
        other => Heard::Other(format!("{other:?}")),
    })
}
