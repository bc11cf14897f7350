//! A client under test, whatever drives it.

use std::net::SocketAddr;
use std::time::Duration;

use mqtt_core::{Filter, Handle, Options, Protocol, QoS, SessionStatus};

use crate::message::Message;

/// A client that talks to a broker. Errors of requests are told as text.
pub trait Talker {
    /// Drives the client until its next event; `None` if none came `within` this time, or the client has stopped.
    fn hear(&mut self, within: Duration) -> Option<Heard>;

    /// Publishes a message.
    ///
    /// # Errors
    /// If the client refuses.
    fn publish(&mut self, message: &Message) -> Result<Handle, String>;

    /// Subscribes to all filters with one packet.
    ///
    /// # Errors
    /// If the client refuses.
    fn subscribe(&mut self, filters: &[(&str, QoS)]) -> Result<Handle, String>;

    /// Unsubscribes from all filters with one packet.
    ///
    /// # Errors
    /// If the client refuses.
    fn unsubscribe(&mut self, filters: &[&str]) -> Result<Handle, String>;

    /// Takes a request back.
    ///
    /// # Errors
    /// If the client refuses.
    fn cancel(&mut self, request: Handle) -> Result<(), String>;

    /// Asks for the end of the connection. The last event is [`Heard::Down`].
    fn disconnect(&mut self);
}

/// The filters of a SUBSCRIBE, as a client takes them.
pub(super) fn subscription<'f>(
    filters: &[(&'f str, QoS)],
) -> Result<Vec<(Filter<'f>, QoS)>, String> {
    filters.iter().map(|(filter, qos)| Ok((checked(filter)?, *qos))).collect()
}

/// A filter, as a client takes it.
pub(super) fn checked(filter: &str) -> Result<Filter<'_>, String> {
    Filter::new(filter).map_err(|error| error.to_string())
}

/// Starts a client of the broker at this address. It need not wait for the connection.
pub type Connect<'a> = &'a dyn Fn(SocketAddr, &Options<'_>) -> Box<dyn Talker>;

/// An event of the client, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The broker accepted the connection.
    Up(SessionStatus, Protocol),
    /// The connection, or the attempt, is over, for this reason.
    Down(Ended),
    /// A message, put together if it came in pieces.
    Message(Message),
    /// A publish is done.
    Published(Handle),
    /// A QoS 2 publish is done, but the broker knows no QoS 2: it arrives at least once.
    Downgraded(Handle),
    /// A publish was lost with its session.
    Lost(Handle),
    /// A request was taken back; whether it had been sent.
    Cancelled(Handle, bool),
    /// A request ends every connection.
    Stuck(Handle),
    /// A subscription was answered.
    Subscribed(Handle, Vec<Option<QoS>>),
    /// Some of the subscriptions of a lost session were made again.
    Renewed(Vec<Option<QoS>>),
    /// Filters are unsubscribed.
    Unsubscribed(Handle),
    /// The broker does not let the client reclaim packet ids.
    NotReclaimed,
    /// Anything else, as the client prints it.
    Other(String),
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The broker closed it, or something between.
    Closed,
    /// The client closed it, because a request was not answered.
    Unanswered,
    /// Another reason, as the client tells it.
    Other(String),
}

/// How a request ended, or why it cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Published,
    Downgraded,
    Lost,
    Stuck,
}

impl Heard {
    /// The end of a publish, or of another request that is lost or stuck.
    pub(super) fn end_of(&self, request: Handle) -> Option<End> {
        let (end, handle) = if let Self::Published(handle) = self {
            (End::Published, handle)
        } else if let Self::Downgraded(handle) = self {
            (End::Downgraded, handle)
        } else if let Self::Lost(handle) = self {
            (End::Lost, handle)
        } else if let Self::Stuck(handle) = self {
            (End::Stuck, handle)
        } else {
            return None;
        };
        (*handle == request).then_some(end)
    }

    /// The broker's answer to a connection: accepted, or over for this reason.
    pub(super) fn answer(&self) -> Option<Result<(), String>> {
        if let Self::Up(..) = self {
            Some(Ok(()))
        } else if let Self::Down(ended) = self {
            Some(Err(match ended {
                Ended::Closed => "the end of the connection".to_owned(),
                Ended::Unanswered => "silence".to_owned(),
                Ended::Other(reason) => reason.clone(),
            }))
        } else {
            None
        }
    }
}
