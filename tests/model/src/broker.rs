//! A broker that follows sections 4.3, 4.4 and 4.6 of MQTT 3.1.1. It has one client. Behind it, one application
//! receives the messages of the client, and another one publishes messages to the client.
//!
//! It handles a packet when it arrives, and answers at once. The link decides how long the answer takes.

mod down;

use mqtt_core::{
    Protocol, Publish, QoS,
    codec::{Connect, Packet},
};

use crate::rules::{Broken, Rule, Set, Verdict, hand_over};
pub(crate) use down::Down;

/// When a QoS 2 message is handed on to its subscribers: figure 4.3 of the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Stores the message with its PUBLISH, and hands it on with its PUBREL.
    A,
    /// Hands it on with its PUBLISH, and keeps its id until its PUBREL.
    B,
}

/// The most filters in one SUBSCRIBE.
const MOST_FILTERS: usize = 4;

/// The filters that the client may subscribe to, in the order of their bits in [`Broker::subscribed`].
pub(crate) const FILTERS: [&str; MOST_FILTERS] = ["i", "j", "k", "s"];

/// A message on its way to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Sending {
    id: u16,
    message: u8,
    /// Its PUBREC came.
    released: bool,
}

/// The broker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Broker {
    method: Method,
    /// Messages that it has in flight at once.
    window: usize,
    /// The number of its first message for the client.
    first: u8,
    /// The only version that it speaks.
    only: Option<Protocol>,
    /// A session is kept for the client.
    session: bool,
    /// The session ends with this connection.
    clean: bool,
    /// A bit for each of [`FILTERS`].
    subscribed: u8,
    connected: bool,
    /// The client has completed a message since the last DISCONNECT that it sent of itself.
    completed: bool,
    /// It has left without that once.
    left: bool,
    /// Ids of QoS 2 between PUBLISH and PUBREL, with their messages.
    taken: Vec<(u16, u8)>,
    /// The messages that were handed on to the application behind it.
    delivered: Set,
    /// Those that may come again, because the client sends them once more in another session.
    earlier: Set,
    sending: Vec<Sending>,
    /// The next message for the client, counted from the first one.
    next: u8,
    /// Messages that were in flight when the client ended the session.
    lost: Set,
}

impl Broker {
    /// A broker without a session.
    pub(crate) const fn new(method: Method, window: usize) -> Self {
        Self {
            method,
            window,
            first: 0,
            only: None,
            session: false,
            clean: false,
            subscribed: 0,
            connected: false,
            completed: false,
            left: false,
            taken: Vec::new(),
            delivered: Set::EMPTY,
            earlier: Set::EMPTY,
            sending: Vec::new(),
            next: 0,
            lost: Set::EMPTY,
        }
    }

    /// The same with other numbers for its messages: the first one is `first`.
    pub(crate) fn numbered_from(self, first: u8) -> Self {
        Self { first, ..self }
    }

    /// The same with `only` one version.
    pub(crate) fn speaking(self, only: Option<Protocol>) -> Self {
        Self { only, ..self }
    }

    /// The number of its first message.
    pub(crate) const fn first_message(&self) -> u8 {
        self.first
    }

    /// The messages that it handed on.
    pub(crate) const fn delivered(&self) -> Set {
        self.delivered.and(self.earlier)
    }

    /// The messages that it handed on may come again as new ones.
    pub(crate) fn forgets_what_came(&mut self) {
        self.earlier = self.delivered();
        self.delivered = Set::EMPTY;
    }

    /// The messages that it handed on and does not hold: a publish of them is done.
    pub(crate) fn released(&self) -> Set {
        self.taken.iter().fold(self.delivered(), |set, (_, message)| set.without(*message))
    }

    /// The messages for the client that were in flight when the client ended the session.
    pub(crate) const fn lost(&self) -> Set {
        self.lost
    }

    /// The connection is over.
    pub(crate) fn disconnected(&mut self) {
        self.connected = false;
        if std::mem::take(&mut self.clean) {
            // [MQTT-3.1.2-6]
            self.lose_session();
        }
    }

    /// The session is lost, with all that was in flight, and the connection is over.
    pub(crate) fn lose_session(&mut self) {
        self.connected = false;
        self.session = false;
        self.subscribed = 0;
        self.taken.clear();
        self.sending.clear();
    }

    /// Whether it has done all that it can for messages of `inbound`. Messages that the client `gave_up` may wait for
    /// their PUBREL.
    pub(crate) fn is_idle(&self, inbound: &[QoS], gave_up: impl Fn(u8) -> bool) -> bool {
        self.connected
            && self.taken.iter().all(|(_, message)| gave_up(*message))
            && self.sending.is_empty()
            && usize::from(self.next) == inbound.len()
    }

    /// Whether a message waits for an answer of the client.
    pub(crate) fn awaits_answer(&self) -> bool {
        !self.sending.is_empty()
    }

    /// The message in flight to the client under `id`.
    pub(crate) fn message(&self, id: u16) -> Option<u8> {
        let sending = self.sending.iter().find(|sending| sending.id == id)?;
        Some(self.first + sending.message)
    }

    /// Whether no publish of the client is held under `id`.
    pub(crate) fn is_free(&self, id: u16) -> bool {
        self.taken.iter().all(|(taken, _)| *taken != id)
    }

    /// Whether the client is subscribed to the first `filters` filters.
    pub(crate) const fn has_subscriptions(&self, filters: u8) -> bool {
        let all = (1 << filters) - 1;
        self.subscribed & all == all
    }

    /// Whether the client is subscribed to the last filter.
    pub(crate) const fn has_late_subscription(&self) -> bool {
        self.subscribed >> (MOST_FILTERS - 1) != 0
    }

    /// Whether the session ends with this connection.
    pub(crate) const fn is_clean(&self) -> bool {
        self.clean
    }

    /// Whether there is a session for the client.
    pub(crate) const fn has_session(&self) -> bool {
        self.session
    }

    /// Whether it may send the next message.
    pub(crate) fn can_send(&self, inbound: &[QoS]) -> bool {
        self.connected
            && self.subscribed & 1 != 0
            && self.sending.len() < self.window
            && usize::from(self.next) < inbound.len()
    }

    /// Sends the next message, if it may.
    pub(crate) fn send(&mut self, inbound: &[QoS]) -> Option<Down> {
        if !self.can_send(inbound) {
            return None;
        }
        let message = self.next;
        let qos = *inbound.get(usize::from(message))?;
        // The lowest free id is used, so that an id is used again as soon as possible.
        let id = (1..).find(|id| self.sending.iter().all(|sending| sending.id != *id))?;
        self.next += 1;
        self.sending.push(Sending { id, message, released: false });
        Some(Down::Publish { id, message: self.first + message, qos, dup: false })
    }

    /// Takes a packet from the client, publishing messages of `outbound`, and answers.
    ///
    /// # Errors
    ///
    /// The rule that the packet breaks.
    pub(crate) fn take(
        &mut self,
        packet: &Packet<'_>,
        outbound: &[QoS],
        inbound: &[QoS],
        answers: &mut Vec<Down>,
    ) -> Verdict {
        if let Packet::Connect(connect) = packet {
            return self.connect(connect, inbound, answers);
        }
        if !self.connected {
            return Err(refused("MQTT-3.1.0-1: a packet ahead of the CONNECT"));
        }
        if self.clean && *packet != Packet::Disconnect {
            return Err(refused("a packet in a session that is only to be ended"));
        }
        match packet {
            Packet::Publish(publish) => self.publish(publish, outbound, answers),
            Packet::PubRel { id, .. } => self.release(id.get(), outbound, answers),
            Packet::PubAck(id) => self.acknowledged(id.get(), QoS::AtLeastOnce, inbound),
            Packet::PubRec(id) => {
                let sending = self.sending_mut(id.get(), QoS::ExactlyOnce, inbound)?;
                // [MQTT-4.3.3-1]
                sending.released = true;
                answers.push(Down::PubRel(id.get()));
                Ok(())
            }
            Packet::PubComp(id) => self.acknowledged(id.get(), QoS::ExactlyOnce, inbound),
            Packet::Subscribe(subscribe) => {
                let mut filters = 0;
                for (filter, _) in subscribe.filters() {
                    let at = FILTERS.iter().position(|known| *known == filter.as_str());
                    let Some(at) = at else { return Err(refused("an unknown filter")) };
                    self.subscribed |= 1 << at;
                    filters += 1;
                }
                answers.push(Down::SubAck { id: subscribe.id.get(), filters });
                Ok(())
            }
            Packet::PingReq => {
                answers.push(Down::PingResp);
                Ok(())
            }
            Packet::Disconnect => self.leave(),
            Packet::Connect(_)
            | Packet::ConnAck(_)
            | Packet::SubAck(_)
            | Packet::Unsubscribe(_)
            | Packet::UnsubAck(_)
            | Packet::PingResp => Err(refused("a packet that this client has no reason for")),
        }
    }

    fn connect(
        &mut self,
        connect: &Connect<'_>,
        inbound: &[QoS],
        answers: &mut Vec<Down>,
    ) -> Verdict {
        if self.connected {
            return Err(refused("MQTT-3.1.0-2: a second CONNECT"));
        }
        if self.only.is_some_and(|only| only != connect.protocol) {
            // [MQTT-3.1.2-2]
            answers.push(Down::Refused);
            return Ok(());
        }
        if connect.clean_session {
            // [MQTT-3.1.2-6]: the former session is discarded.
            let in_flight = self.sending.iter().map(|sending| self.first + sending.message);
            self.lost = in_flight.fold(self.lost, Set::with);
            self.lose_session();
            self.clean = true;
        }
        // 3.1 has no such flag.
        let session_present = self.session && connect.protocol == Protocol::V311;
        answers.push(Down::ConnAck { session_present });
        self.connected = true;
        self.session = true;
        // [MQTT-4.4.0-1]: all unanswered packets, in their order.
        for Sending { id, message, released } in &self.sending {
            answers.push(match inbound.get(usize::from(*message)) {
                Some(qos) if !released => {
                    let message = self.first + message;
                    Down::Publish { id: *id, message, qos: *qos, dup: true }
                }
                _ => Down::PubRel(*id),
            });
        }
        Ok(())
    }

    /// The client leaves to connect again, because it had to pass messages over. Each connection has to leave less to
    /// do for the next one. One may be needed to find out that the session is a new one.
    fn leave(&mut self) -> Verdict {
        if self.clean {
            self.disconnected();
            return Ok(());
        }
        self.connected = false;
        if self.left && !self.completed {
            return Err(Broken::new(Rule::Progress, "a DISCONNECT, and no message was completed"));
        }
        self.left = !self.completed;
        self.completed = false;
        Ok(())
    }

    fn publish(
        &mut self,
        publish: &Publish<'_>,
        outbound: &[QoS],
        answers: &mut Vec<Down>,
    ) -> Verdict {
        let (Some(id), Some(message)) = (publish.id, publish.payload.first()) else {
            return Err(refused("a PUBLISH that the application did not ask for"));
        };
        if outbound.get(usize::from(*message)) != Some(&publish.qos) {
            return Err(refused("a PUBLISH that the application did not ask for"));
        }
        if publish.qos != QoS::ExactlyOnce {
            self.hand_on(*message, outbound)?;
            answers.push(Down::PubAck(id.get()));
            return Ok(());
        }
        // Between PUBLISH and PUBREL only the id counts [MQTT-4.3.3-2].
        if self.is_free(id.get()) {
            self.taken.push((id.get(), *message));
            if self.method == Method::B {
                self.hand_on(*message, outbound)?;
            }
        }
        answers.push(Down::PubRec(id.get()));
        Ok(())
    }

    fn release(&mut self, id: u16, outbound: &[QoS], answers: &mut Vec<Down>) -> Verdict {
        if let Some(at) = self.taken.iter().position(|(taken, _)| *taken == id) {
            let (_, message) = self.taken.remove(at);
            if self.method == Method::A {
                self.hand_on(message, outbound)?;
            }
        }
        // [MQTT-4.3.3-2]: a PUBREL with an unknown id gets a PUBCOMP as well.
        answers.push(Down::PubComp(id));
        Ok(())
    }

    fn hand_on(&mut self, message: u8, outbound: &[QoS]) -> Verdict {
        hand_over(self.delivered, message, outbound, self.method == Method::A)?;
        self.delivered = self.delivered.with(message);
        Ok(())
    }

    /// The message with this id and QoS that waits for its first answer.
    fn sending_mut(&mut self, id: u16, qos: QoS, inbound: &[QoS]) -> Result<&mut Sending, Broken> {
        self.sending
            .iter_mut()
            .find(|sending| sending.id == id && !sending.released)
            .filter(|sending| inbound.get(usize::from(sending.message)) == Some(&qos))
            .ok_or(refused("an answer to a PUBLISH that was not sent"))
    }

    /// A PUBACK or PUBCOMP came, and the id is free.
    fn acknowledged(&mut self, id: u16, qos: QoS, inbound: &[QoS]) -> Verdict {
        let at = self.sending.iter().position(|sending| {
            sending.id == id
                && sending.released == (qos == QoS::ExactlyOnce)
                && inbound.get(usize::from(sending.message)) == Some(&qos)
        });
        let Some(at) = at else {
            return Err(refused("an answer to a packet that was not sent"));
        };
        self.sending.remove(at);
        self.completed = true;
        Ok(())
    }
}

const fn refused(how: &'static str) -> Broken {
    Broken::new(Rule::Protocol, how)
}

#[cfg(test)]
mod tests;
