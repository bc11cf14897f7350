//! Sessions at several brokers.
//!
//! A session belongs to the broker that it was made with, and a separate broker keeps it while the client is elsewhere
//! [MQTT-3.1.2-4]. So the client knows one broker as its *home*: the one that accepted the last connection. The
//! requests in flight are an exchange with that broker. If another broker accepts a connection, it becomes the home:
//!
//! - Publishes of QoS 2 that were sent are lost, because nobody can say whether they arrived. Publishes of QoS 1, and
//!   requests that were never sent, start anew.
//! - The memory of messages between PUBLISH and PUBREL stays: each id in the [table](super::inbound) names its broker.
//! - A byte for each broker keeps what else the client has to know when it comes back. So the messages that wait there
//!   arrive, and each of QoS 2 arrives once.
//!
//! The alternative was to end the session of a broker by a CONNECT with a clean session whenever the client comes back.
//! It needs less memory, and it loses all messages that wait there. It is used only if there is no other way: if ids of
//! an absent broker take the places that messages need here, they give way, and the client ends the session of that
//! broker when it comes back. Otherwise messages would be delivered twice.
//!
//! The nodes of a cluster share their sessions, so all of them are one broker here.

use super::{
    AtBroker, Lifetime, SessionMut,
    known::Known,
    pass_over::PassOver,
    requests::{Abandoned, Ids, Table},
};

impl SessionMut<'_> {
    /// The broker behind `endpoint` has accepted a connection: from now on it is the home. If it was not the home
    /// before, requests that were sent to the other one start anew or are lost.
    pub(crate) fn arrive(&mut self, endpoint: u8) {
        let broker = self.session.brokers.broker(endpoint);
        if broker != self.session.brokers.home {
            self.move_to(broker);
        }
    }

    #[cold]
    fn move_to(&mut self, broker: u8) {
        let left = self.session.brokers.home;
        self.leave_home();
        self.start_requests_anew();
        let session = &mut *self.session;
        session.brokers.home = broker;
        let known = session.brokers.of(broker);
        session.at_broker = known.at_broker();
        session.pass_over = PassOver::Off;
        session.forgetful = false;
        session.reclaim.cancel();
        session.requests.abandoned = Abandoned::NONE;
        session.requests.set_ids(self.slots, Ids::MoveOn);
        session.subscriptions.set_due(known.has(Known::RENEWAL_DUE));
        if session.lifetime == Lifetime::Connection {
            session.inbound.clear_all(self.slots);
        }
        if session.inbound.move_to(self.slots, session.brokers.home()) {
            session.brokers.add(left, Known::UNCERTAIN);
        }
        session.changes.need_snapshot();
        if known.has(Known::HOLDS_IDS) {
            self.reclaim_is_due();
            self.session.reclaim.go_on(known.attempts());
        }
    }

    /// Keeps what the client has to know when it comes back.
    fn leave_home(&mut self) {
        let session = &mut *self.session;
        if session.lifetime == Lifetime::Connection {
            return;
        }
        let mut known = match session.at_broker {
            AtBroker::None => Known::NOTHING,
            AtBroker::Expected => Known(Known::EXPECTED),
            AtBroker::Uncertain => Known(Known::EXPECTED | Known::UNCERTAIN),
        };
        let holds_ids = session.requests.reclaimed_range().is_some()
            || !session.requests.abandoned.is_empty()
            || session.outbox.has_sent_qos_2(self.bytes);
        if holds_ids {
            known.add(Known::HOLDS_IDS);
            known.add(session.reclaim.attempts_to_keep() << Known::ATTEMPTS_SHIFT);
        }
        if session.subscriptions.is_due() {
            known.add(Known::RENEWAL_DUE);
        }
        session.brokers.set(session.brokers.home, known);
    }

    /// A CONNECT to `endpoint` went out and its CONNACK did not come: the broker may have begun a new session.
    pub(crate) fn unanswered_connect(&mut self, endpoint: u8) {
        let session = &mut *self.session;
        let broker = session.brokers.broker(endpoint);
        if broker != session.brokers.home {
            if session.brokers.of(broker).has(Known::EXPECTED) {
                session.brokers.add(broker, Known::UNCERTAIN);
            }
        } else if session.at_broker == AtBroker::Expected {
            session.at_broker = AtBroker::Uncertain;
        }
    }

    /// Whether the session behind `endpoint` has to be ended before another one begins.
    pub(crate) fn is_to_be_ended(&self, endpoint: u8) -> bool {
        let brokers = &self.session.brokers;
        let broker = brokers.broker(endpoint);
        broker != brokers.home && brokers.of(broker).has(Known::TO_BE_ENDED)
    }

    /// It was ended.
    pub(crate) fn session_ended(&mut self, endpoint: u8) {
        let session = &mut *self.session;
        let broker = session.brokers.broker(endpoint);
        session.brokers.set(broker, Known(Known::ENDED));
        session.changes.need_snapshot();
    }

    /// Makes room in the table for a message of the home, by forgetting the ids of an absent broker. Gives whether
    /// there were any.
    #[cold]
    pub(super) fn forget_absent_messages(&mut self) -> bool {
        let session = &mut *self.session;
        let Some(broker) = session.inbound.forget_absent(self.slots) else { return false };
        session.brokers.add(broker, Known::TO_BE_ENDED);
        session.changes.need_snapshot();
        true
    }

    /// Another session begins: requests that were sent start anew, or are lost. See [`Outbox::start_session`].
    ///
    /// [`Outbox::start_session`]: super::outbox::Outbox::start_session
    pub(super) fn start_requests_anew(&mut self) {
        let session = &mut *self.session;
        let mut table = Table { requests: &mut session.requests, slots: self.slots };
        session.outbox.start_session(self.bytes, &mut table, session.in_doubt);
    }
}
