//! The client of `driver::blocking` as a [`Talker`].

use std::net::SocketAddr;
use std::time::Duration;

use mqtt_core::driver::blocking::{Client, Config, Events};
use mqtt_core::{Event, Fatal, Filter, Handle, Options, QoS, Reason};

use super::talker::{Ended, Heard, Talker};
use crate::message::Message;
use crate::transports::{Transport, Way};

/// Starts a client with the default sizes over a transport.
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
    Box::new(Blocking { client, events, begun: None, _way: way })
}

struct Blocking {
    client: Client,
    events: Events,
    /// The message that is coming in pieces.
    begun: Option<Message>,
    /// It outlives the client.
    _way: Way,
}

impl Talker for Blocking {
    fn hear(&mut self, within: Duration) -> Option<Heard> {
        loop {
            // A message that comes in pieces is an event once it is whole.
            let event = self.events.next_timeout(within)?;
            if let Some(heard) = heard(&event, &mut self.begun) {
                return Some(heard);
            }
        }
    }

    fn publish(&mut self, message: &Message) -> Result<Handle, String> {
        let Message { topic, payload, qos, retain } = message;
        self.client.publish(topic, payload, *qos, *retain).map_err(|error| error.to_string())
    }

    fn subscribe(&mut self, filters: &[(&str, QoS)]) -> Result<Handle, String> {
        let filters = filters.iter().map(|(filter, qos)| Ok((Filter::new(filter)?, *qos)));
        let filters: Result<Vec<_>, mqtt_core::TopicError> = filters.collect();
        let filters = filters.map_err(|error| error.to_string())?;
        self.client.subscribe_all(&filters).map_err(|error| error.to_string())
    }

    fn unsubscribe(&mut self, filters: &[&str]) -> Result<Handle, String> {
        let filters: Result<Vec<_>, _> = filters.iter().map(|filter| Filter::new(filter)).collect();
        let filters = filters.map_err(|error| error.to_string())?;
        self.client.unsubscribe_all(&filters).map_err(|error| error.to_string())
    }

    fn cancel(&mut self, request: Handle) -> Result<(), String> {
        self.client.cancel(request).map_err(|error| error.to_string())
    }

    fn disconnect(&mut self) {
        self.client.disconnect();
    }
}

/// The event as an owned one. `None` for a part of a message.
#[expect(clippy::wildcard_enum_match_arm, reason = "any other event is only shown")]
fn heard(event: &Event<'_>, begun: &mut Option<Message>) -> Option<Heard> {
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
