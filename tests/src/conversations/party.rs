//! One client in a conversation, with waits that have a limit and note a difference if they fail.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use mqtt_core::{Handle, Protocol, QoS, SessionStatus};

use super::room::{Minutes, Stop};
use super::talker::{End, Ended, Heard, Talker};
use crate::message::Message;

/// The limit of a wait. A broker on a busy machine answers sooner.
const PATIENCE: Duration = Duration::from_secs(10);

/// The limit for an answer that should have come before another one that has come.
const OVERDUE: Duration = Duration::from_millis(500);

/// How many events a failed wait shows.
const SHOWN: usize = 30;

/// A client in a conversation. If it is dropped, no DISCONNECT is sent.
pub(super) struct Party {
    pub(super) talker: Box<dyn Talker>,
    minutes: Minutes,
    /// Why the last connection ended.
    ended: Option<Ended>,
    /// Events that nobody has waited for yet.
    unclaimed: VecDeque<Heard>,
    /// The last events, for the report of a failure.
    seen: VecDeque<String>,
}

/// Why a wait failed.
enum Miss {
    Late,
    Closed(Ended),
}

impl Party {
    pub(super) fn new(talker: Box<dyn Talker>, minutes: Minutes) -> Self {
        Self { talker, minutes, ended: None, unclaimed: VecDeque::new(), seen: VecDeque::new() }
    }

    /// The first event for which `pick` returns a value. Others are kept. The end of the connection is a miss unless
    /// `through_down`.
    fn find<T>(
        &mut self,
        within: Duration,
        through_down: bool,
        mut pick: impl FnMut(&Heard) -> Option<T>,
    ) -> Result<T, Miss> {
        let limit = Instant::now() + within;
        let mut looked = 0;
        loop {
            while let Some(heard) = self.unclaimed.get(looked) {
                if let Some(picked) = pick(heard) {
                    let _ = self.unclaimed.remove(looked);
                    if through_down {
                        self.unclaimed.retain(|heard| !matches!(heard, Heard::Down(_)));
                    }
                    return Ok(picked);
                }
                if let (Heard::Down(reason), false) = (heard, through_down) {
                    return Err(Miss::Closed(reason.clone()));
                }
                looked += 1;
            }
            if !self.drive(limit.saturating_duration_since(Instant::now())) {
                return Err(Miss::Late);
            }
        }
    }

    /// Drives the client until its next event, which is kept. Returns `false` if none came `within` this time.
    pub(super) fn drive(&mut self, within: Duration) -> bool {
        let Some(heard) = self.talker.hear(within) else { return false };
        if let Heard::Down(ended) = &heard {
            self.ended = Some(ended.clone());
        }
        self.seen.push_back(shown(&heard));
        if self.seen.len() > SHOWN {
            self.seen.pop_front();
        }
        self.unclaimed.push_back(heard);
        true
    }

    /// How many messages have come that nobody has waited for yet.
    pub(super) fn waiting_messages(&self) -> usize {
        self.unclaimed.iter().filter(|heard| matches!(heard, Heard::Message(_))).count()
    }

    /// Whether this event has come, and nobody has waited for it yet.
    pub(super) fn has(&self, heard: &Heard) -> bool {
        self.unclaimed.contains(heard)
    }

    /// Why the last connection ended, if one has.
    pub(super) fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// Waits for the end of the connection.
    pub(super) fn down(&mut self) -> Result<(), Stop> {
        self.wait_through("", "the end of the connection", |heard| {
            matches!(heard, Heard::Down(_)).then_some(())
        })
    }

    /// Whether the connection ends `within` this time.
    pub(super) fn ends(&mut self, within: Duration) -> bool {
        self.find(within, true, |heard| matches!(heard, Heard::Down(_)).then_some(())).is_ok()
    }

    fn missed(&self, statement: &'static str, what: &str, miss: &Miss) -> Stop {
        let seen = match miss {
            Miss::Late => missing(what),
            Miss::Closed(Ended::Closed) => format!("closes the connection before {what}"),
            Miss::Closed(Ended::Unanswered) => missing(what),
            Miss::Closed(Ended::Other(why)) => format!("connection ended before {what}: {why}"),
        };
        self.minutes.note(statement, seen, format!("saw {:#?}", self.seen));
        Stop::Noted
    }

    /// Waits for an event. The connection has to last.
    pub(super) fn wait<T>(
        &mut self,
        statement: &'static str,
        what: &str,
        pick: impl FnMut(&Heard) -> Option<T>,
    ) -> Result<T, Stop> {
        self.find(self.patience(what), false, pick)
            .map_err(|miss| self.missed(statement, what, &miss))
    }

    /// Waits for an event, over the ends of connections.
    pub(super) fn wait_through<T>(
        &mut self,
        statement: &'static str,
        what: &str,
        pick: impl FnMut(&Heard) -> Option<T>,
    ) -> Result<T, Stop> {
        self.find(self.patience(what), true, pick)
            .map_err(|miss| self.missed(statement, what, &miss))
    }

    /// A wait for something that is known to be missing is short.
    fn patience(&self, what: &str) -> Duration {
        if self.minutes.is_known(&missing(what)) { OVERDUE } else { PATIENCE }
    }

    /// An answer that should have come by now, because a later request was answered. `None` if it has not.
    pub(super) fn due<T>(&mut self, pick: impl FnMut(&Heard) -> Option<T>) -> Option<T> {
        self.find(OVERDUE, false, pick).ok()
    }

    /// Waits until the broker has accepted a connection.
    pub(super) fn up(&mut self) -> Result<(SessionStatus, Protocol), Stop> {
        self.wait_through("[MQTT-3.2.0-1]", "an accepted connection", |heard| {
            if let Heard::Up(session, protocol) = heard {
                Some((*session, *protocol))
            } else {
                None
            }
        })
    }

    /// Subscribes to one filter. Returns the granted QoS; `None` if refused.
    pub(super) fn subscribe(&mut self, filter: &str, qos: QoS) -> Result<Option<QoS>, Stop> {
        let granted = self.subscribe_all(&[(filter, qos)])?;
        Ok(granted.first().copied().flatten())
    }

    /// Subscribes to one filter, over the ends of connections.
    pub(super) fn subscribe_through(&mut self, filter: &str, qos: QoS) -> Result<(), Stop> {
        let request = self.talker.subscribe(&[(filter, qos)]).map_err(Stop::Refused)?;
        self.wait_through("[MQTT-3.8.4-1]", "an answer to SUBSCRIBE", |heard| {
            let Heard::Subscribed(handle, _) = heard else { return None };
            (*handle == request).then_some(())
        })
    }

    /// Subscribes with one packet.
    pub(super) fn subscribe_all(
        &mut self,
        filters: &[(&str, QoS)],
    ) -> Result<Vec<Option<QoS>>, Stop> {
        let request = self.talker.subscribe(filters).map_err(Stop::Refused)?;
        self.end_of(request, "[MQTT-3.8.4-1]", "an answer to SUBSCRIBE", |heard| {
            let Heard::Subscribed(handle, granted) = heard else { return None };
            (*handle == request).then(|| granted.clone())
        })
    }

    /// Makes a publish.
    pub(super) fn request(
        &mut self,
        topic: &str,
        payload: &[u8],
        qos: QoS,
    ) -> Result<Handle, Stop> {
        self.try_request(topic, payload, qos).map_err(Stop::Refused)
    }

    /// Makes a publish, which the client may refuse because its window is full.
    pub(super) fn try_request(
        &mut self,
        topic: &str,
        payload: &[u8],
        qos: QoS,
    ) -> Result<Handle, String> {
        self.talker.publish(&Message::new(topic, payload, qos, false))
    }

    /// Publishes and waits until that is done.
    pub(super) fn publish(&mut self, topic: &str, payload: &[u8], qos: QoS) -> Result<(), Stop> {
        let request = self.request(topic, payload, qos)?;
        self.published(request, qos)
    }

    /// Publishes with the retain flag and waits until that is done.
    pub(super) fn retain(&mut self, topic: &str, payload: &[u8]) -> Result<(), Stop> {
        let qos = QoS::AtLeastOnce;
        let request =
            self.talker.publish(&Message::new(topic, payload, qos, true)).map_err(Stop::Refused)?;
        self.published(request, qos)
    }

    /// Waits until a publish is done.
    pub(super) fn published(&mut self, request: Handle, qos: QoS) -> Result<(), Stop> {
        let (statement, what) = answer_to(qos);
        let end = self.end_of(request, statement, what, |heard| {
            heard.end_of(request).filter(|end| [End::Published, End::Downgraded].contains(end))
        })?;
        self.note_downgrade(end == End::Downgraded);
        Ok(())
    }

    /// Waits until a publish is done, over the ends of connections. If the broker closes at each attempt, the publish
    /// is taken back.
    pub(super) fn published_through(&mut self, request: Handle, qos: QoS) -> Result<End, Stop> {
        let (statement, what) = answer_to(qos);
        let end = self.wait_through(statement, what, |heard| heard.end_of(request))?;
        self.note_downgrade(end == End::Downgraded);
        if end == End::Stuck {
            let seen = if self.ended == Some(Ended::Closed) {
                format!("closes each connection before {what}")
            } else {
                format!("{what} is missing on each connection")
            };
            self.minutes.note(statement, seen, String::new());
            self.take_back(request)?;
        }
        Ok(end)
    }

    fn note_downgrade(&self, downgraded: bool) {
        if downgraded {
            self.minutes.note(
                "[MQTT-4.3.3-2]",
                "answers a QoS 2 publish with PUBACK".to_owned(),
                String::new(),
            );
        }
    }

    /// Waits for the answer to a request. If the broker closes at each attempt, the request is taken back and the
    /// conversation ends.
    fn end_of<T>(
        &mut self,
        request: Handle,
        statement: &'static str,
        what: &str,
        mut pick: impl FnMut(&Heard) -> Option<T>,
    ) -> Result<T, Stop> {
        let miss = match self.find(self.patience(what), false, &mut pick) {
            Ok(picked) => return Ok(picked),
            Err(miss) => miss,
        };
        let stop = self.missed(statement, what, &miss);
        if let Miss::Late = miss {
            return Err(stop);
        }
        let after = "an event about a request that ended the connection";
        let answer = self.wait_through("", after, |heard| {
            pick(heard).map(Ok).or_else(|| heard.end_of(request).map(Err))
        })?;
        match answer {
            // The next connection brought it.
            Ok(picked) => return Ok(picked),
            Err(End::Stuck) => self.take_back(request)?,
            Err(End::Lost | End::Published | End::Downgraded) => {}
        }
        Err(stop)
    }

    /// Takes back a request that was sent.
    pub(super) fn take_back(&mut self, request: Handle) -> Result<(), Stop> {
        self.talker.cancel(request).map_err(Stop::Refused)?;
        self.wait_through("", "the event that a request was taken back", |heard| {
            (*heard == Heard::Cancelled(request, true)).then_some(())
        })
    }

    /// The next message.
    pub(super) fn message(&mut self, statement: &'static str, what: &str) -> Result<Message, Stop> {
        self.wait(statement, what, as_message)
    }

    /// The next message, over the ends of connections.
    pub(super) fn message_through(
        &mut self,
        statement: &'static str,
        what: &str,
    ) -> Result<Message, Stop> {
        self.wait_through(statement, what, as_message)
    }

    /// Sends a DISCONNECT and waits for the end of the connection.
    pub(super) fn disconnect(mut self) -> Result<(), Stop> {
        self.talker.disconnect();
        self.down()
    }
}

/// The message, if the event is one.
pub(super) fn as_message(heard: &Heard) -> Option<Message> {
    if let Heard::Message(message) = heard { Some(message.clone()) } else { None }
}

fn answer_to(qos: QoS) -> (&'static str, &'static str) {
    match qos {
        QoS::AtMostOnce => ("", "the end of a QoS 0 publish"),
        QoS::AtLeastOnce => ("[MQTT-4.3.2-2]", "an answer to a QoS 1 publish"),
        QoS::ExactlyOnce => ("[MQTT-4.3.3-2]", "an answer to a QoS 2 publish"),
    }
}

fn missing(what: &str) -> String {
    format!("{what} is missing")
}

/// The event as a line.
fn shown(heard: &Heard) -> String {
    let text = format!("{heard:?}");
    text.chars().take(200).collect()
}
