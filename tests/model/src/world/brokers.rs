//! The brokers: to which of them the client connects, and what that means for the ledgers of the rules.

use std::sync::Arc;

use mqtt_core::{Protocol, QoS, SessionStatus};

use super::{Loss, State};
use crate::{
    broker::{Broker, Down},
    config::{Brokers, Config},
    rules::{Broken, Rule, Set, Verdict},
};

impl State {
    /// The broker that the client does not connect to now, if there are two.
    pub(super) fn other_broker(config: &Config) -> Option<Arc<Broker>> {
        config.brokers.are_two().then(|| {
            let broker = Broker::new(config.method, config.broker_window);
            let broker = broker.numbered_from(config.inbound.len() as u8);
            Arc::new(broker.speaking(config.speaks.only(1)))
        })
    }

    /// The client connects to `endpoint`.
    pub(super) fn turn_to(&mut self, config: &Config, endpoint: u8) -> Verdict {
        if endpoint >= config.brokers.endpoints() {
            return Err(Broken::new(Rule::Protocol, "there is no such endpoint"));
        }
        if self.endpoint != endpoint {
            self.endpoint = endpoint;
            if let Some(other) = &mut self.elsewhere {
                std::mem::swap(Arc::make_mut(other), &mut self.broker);
            }
        }
        Ok(())
    }

    /// The number of the broker that the client connects to. The endpoints of a cluster are one broker.
    pub(super) const fn here(&self, config: &Config) -> u8 {
        if config.brokers.are_two() { self.endpoint } else { 0 }
    }

    /// An event names an endpoint.
    pub(super) fn is_at(&self, endpoint: u8) -> Verdict {
        if endpoint == self.endpoint {
            Ok(())
        } else {
            Err(Broken::new(Rule::SessionStatus, "an event names another endpoint"))
        }
    }

    /// `Up`, because of `down`.
    pub(super) fn up(
        &mut self,
        config: &Config,
        status: SessionStatus,
        protocol: Protocol,
        down: Option<Down>,
    ) -> Verdict {
        if self.broker.is_clean() {
            // A session that is only to be ended.
            return Ok(());
        }
        let Some(Down::ConnAck { session_present }) = down else {
            return Err(Broken::new(Rule::SessionStatus, "`Up` without a CONNACK"));
        };
        let present = (protocol == Protocol::V311).then_some(session_present);
        let here = self.here(config);
        // A client that takes two brokers for one says what follows from that.
        if config.brokers != Brokers::TwoAsCluster {
            self.sessions.judge(here, present, status)?;
        }
        let change = self.sessions.up(here, present, status);
        self.versions.accepted(self.endpoint, protocol);
        self.order.clears = self.sessions.holds_ids(here);
        if config.resend_lost && (change.begins || change.elsewhere) {
            self.broker.forgets_what_came();
        }
        if change.begins || change.elsewhere {
            self.order.session_lost();
        }
        if change.elsewhere || !change.certain {
            self.requests.session_lost();
        }
        if change.begins || change.elsewhere || !change.certain {
            self.requests.session_changed(change.certain);
        }
        self.anew = change.elsewhere && change.certain;
        if self.loss == Loss::Untold && self.lost_at == here {
            let journal = config.power_cuts != 0;
            self.loss = if journal { Loss::Unrecorded } else { Loss::Settled };
        }
        Ok(())
    }

    /// The client asks for a clean session.
    pub(super) fn ends_session(&mut self, config: &Config) -> Verdict {
        self.sessions.end(self.here(config))
    }

    /// Whether the client may end this connection to end the session.
    pub(super) fn may_end_session(&self, config: &Config) -> bool {
        self.sessions.may_end(self.here(config))
    }

    /// A PUBREL arrives that reclaims `id`: only if a publish of QoS 2 waits to be sent, or waited until it was taken
    /// back. After a power cut the id may be that of a publish.
    pub(super) fn reclaims(&self, config: &Config, id: u16) -> Verdict {
        let needs = |(message, qos): (u8, &QoS)| {
            let is_open = self.requests.handle(message).is_some();
            let waits = !self.order.has_come(2 * message + 1);
            let has_id = self.requests.stands_for(id, message);
            *qos == QoS::ExactlyOnce
                && (is_open && (waits || has_id) || self.requests.is_taken_back(message))
        };
        if (0..).zip(config.outbound).any(needs) {
            Ok(())
        } else {
            Err(Broken::new(Rule::Protocol, "ids are reclaimed before a publish needs one"))
        }
    }

    /// The client has given up to reclaim ids.
    pub(super) fn not_reclaimed(&mut self, config: &Config) -> Verdict {
        self.requests.interrupted();
        if config.bad.is_some_and(|bad| bad.manner.is_at_reclaim()) {
            Ok(())
        } else {
            let how = "a reclaim is given up, though the broker answers";
            Err(Broken::new(Rule::Progress, how))
        }
    }

    /// The driver is shown `bytes`: the publishes of QoS 2 among them may leave.
    pub(super) fn shown(&mut self, bytes: &[u8]) {
        let is_shown = |message, id: u16| {
            let [high, low] = id.to_be_bytes();
            // The end of the topic, the id and the first byte of the payload.
            bytes.windows(4).any(|window| *window == [b'o', high, low, message])
        };
        let shown = self.requests.unsent().filter(|(message, id)| is_shown(*message, *id));
        let shown = shown.fold(Set::EMPTY, |shown, (message, _)| shown.with(message));
        for message in shown.iter() {
            self.requests.shown(message);
        }
    }

    /// The messages of the client that any broker handed on.
    pub(super) fn delivered(&self) -> Set {
        let elsewhere = self.elsewhere.as_ref().map_or(Set::EMPTY, |other| other.delivered());
        self.broker.delivered().and(elsewhere)
    }

    /// Those that a broker handed on and does not hold.
    pub(super) fn released(&self) -> Set {
        let elsewhere = self.elsewhere.as_ref().map_or(Set::EMPTY, |other| other.released());
        self.broker.released().and(elsewhere)
    }

    /// This broker handed `messages` on. A QoS 2 message must not come from both, unless the client may double it.
    pub(super) fn handed_on(&self, config: &Config, messages: Set) -> Verdict {
        if config.resend_lost {
            return Ok(());
        }
        let elsewhere = self.elsewhere.as_ref().map_or(Set::EMPTY, |other| other.delivered());
        let exactly_once =
            |message: &u8| config.outbound.get(usize::from(*message)) == Some(&QoS::ExactlyOnce);
        let twice = messages.iter().filter(exactly_once).any(|message| elsewhere.has(message));
        if twice {
            return Err(Broken::new(Rule::ExactlyOnce, "both brokers handed a QoS 2 message on"));
        }
        Ok(())
    }
}
