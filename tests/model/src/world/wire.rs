//! Packets that arrive: the client's at the broker, and the broker's at the client.

use mqtt_core::{
    Event, Fatal,
    codec::{Packet, Refusal, Subscribe},
};
use test_kit::text;

use super::{State, no_packet, packets::decode};
use crate::{
    broker::{Down, FILTERS},
    config::{Config, Manner},
    device::{LARGEST_MESSAGE, NOW},
    rules::{Broken, Rule, Set, Verdict},
    trace::{self, Trace},
};

/// Bytes of a payload that makes its message too large.
const TOO_LARGE: usize = LARGEST_MESSAGE as usize;

impl State {
    /// The broker gets the next packet. PUBRELs that reclaim ids come all at once.
    pub(super) fn arrive(&mut self, config: &Config, trace: &mut Trace) -> Verdict {
        let reclaims = self.next_reclaims(config);
        self.arrive_one(config, trace)?;
        while reclaims && self.next_reclaims(config) {
            self.arrive_one(config, trace)?;
        }
        Ok(())
    }

    /// Whether the next packet is a PUBREL that changes nothing at the broker.
    fn next_reclaims(&self, config: &Config) -> bool {
        let free = |id| self.broker.is_free(id);
        self.first_reclaimed(config, &self.up).is_some_and(free)
    }

    fn arrive_one(&mut self, config: &Config, trace: &mut Trace) -> Verdict {
        let bytes = std::mem::take(&mut self.up);
        let Some((packet, len)) = decode(&bytes, self.client.0.protocol()) else {
            return Err(no_packet());
        };
        self.up.extend_from_slice(bytes.get(len..).unwrap_or_default());
        trace.say(|| text::packet(&packet));
        match &packet {
            Packet::Publish(publish) => {
                let message = publish.payload.first().copied().unwrap_or(u8::MAX);
                let id = publish.id.map_or(0, |id| id.get());
                self.order.publish(2 * message + 1, id)?;
                self.sent_in_this_session(config, message, publish.dup)?;
                self.requests.arrived(message, id, publish.dup)?;
            }
            Packet::Subscribe(subscribe) => self.subscribe_arrives(config, subscribe)?,
            Packet::PubAck(id) => {
                self.order.puback(id.get())?;
                self.has_message(config, id.get())?;
            }
            Packet::PubRec(id) => {
                self.order.pubrec(id.get())?;
                self.has_message(config, id.get())?;
            }
            Packet::PubRel { id, .. } => {
                if self.order.reclaims(id.get()) {
                    self.reclaims(config, id.get())?;
                }
                self.order.pubrel(id.get())?;
            }
            Packet::Connect(connect) if connect.clean_session => self.ends_session(config)?,
            // Time stands still, so no keep alive is due. A reclaim without an answer is one cause for a question.
            Packet::PingReq if config.bad.is_some_and(|bad| bad.manner.is_at_reclaim()) => {}
            Packet::PingReq => {
                return Err(Broken::new(Rule::Protocol, "a PINGREQ without a cause"));
            }
            // There is no rule about these. The broker refuses wrong ones.
            Packet::Connect(_)
            | Packet::ConnAck(_)
            | Packet::PubComp(_)
            | Packet::SubAck(_)
            | Packet::Unsubscribe(_)
            | Packet::UnsubAck(_)
            | Packet::PingResp
            | Packet::Disconnect => {}
        }
        match self.treatment(config, &packet) {
            Some(Manner::Closes | Manner::ClosesAtRenewal | Manner::ClosesAtReclaim) => {
                trace.say(|| "broker closes".to_owned());
                return self.broker_closes(config);
            }
            Some(Manner::Ignores | Manner::NeverCompletes | Manner::IgnoresReclaim) => {
                trace.say(|| "ignored".to_owned());
                return Ok(());
            }
            None => {}
        }
        let (delivered, answers) = (self.broker.delivered(), self.down.len());
        let verdict = self.broker.take(&packet, config.outbound, config.inbound, &mut self.down);
        if self.broker.delivered() != delivered {
            trace.say(|| "handed on".to_owned());
        }
        let new = delivered.iter().fold(self.broker.delivered(), Set::without);
        let verdict = verdict.and_then(|()| self.handed_on(config, new));
        for answer in self.down.iter().skip(answers) {
            trace.say(|| format!("answered by {}", trace::down(*answer)));
        }
        verdict
    }

    /// Returns `None` if the client does not take the packet yet.
    pub(super) fn deliver(
        &mut self,
        config: &Config,
        number: u8,
        trace: &mut Trace,
    ) -> Option<Verdict> {
        let down = *self.down.get(usize::from(number))?;
        trace.say(|| trace::down(down));
        let too_large =
            matches!(down, Down::Publish { message, .. } if config.too_large == Some(message));
        let bytes = down.encode(if too_large { TOO_LARGE } else { config.payload });
        // Another client gets all bytes but the last first, and then the whole packet.
        let mut other = self.client.clone();
        let (_, part) = bytes.split_last().unwrap_or((&0, &[]));
        let mut input = part;
        let told = other.0.receive(&mut input, NOW);
        if !too_large && (told != Ok(None) || input.len() != part.len()) {
            return Some(Err(Broken::new(Rule::Protocol, "a part of a packet is taken")));
        }
        let (mut input, mut input_again) = (&bytes[..], &bytes[..]);
        let mut verdict = Ok(());
        loop {
            let event = self.client.0.receive(&mut input, NOW);
            // The front of a message that is too large is taken before its end.
            if !too_large && other.0.receive(&mut input_again, NOW) != event {
                let how = "a part of a packet changes its event";
                return Some(Err(Broken::new(Rule::Protocol, how)));
            }
            match event {
                Ok(Some(event)) => {
                    trace.say(|| text::event(&event));
                    verdict = verdict.and_then(|()| self.told(config, &event, Some(down), trace));
                    if matches!(event, Event::Message(message) if message.delivery.is_none()) {
                        other.0.set_position(self.next.into());
                    }
                }
                Ok(None) if input.is_empty() => break,
                Ok(None) => return None,
                Err(Fatal::Refused(Refusal::ProtocolVersion)) if down == Down::Refused => {
                    self.versions.refused(self.endpoint, self.client.0.protocol());
                    self.down.clear();
                    return Some(Ok(()));
                }
                Err(fatal) => {
                    trace.say(|| format!("refused: {fatal}"));
                    let how = "the client refuses what a faithful broker sends";
                    return Some(Err(Broken::new(Rule::Protocol, how)));
                }
            }
        }
        if !too_large && other != self.client {
            return Some(Err(Broken::new(Rule::Protocol, "a part of a packet changes the client")));
        }
        self.down.remove(usize::from(number));
        match down {
            Down::Publish { id, qos, .. } => self.order.message_came(id, qos),
            Down::PubRec(id) => {
                self.order.pubrec_came(id);
                self.requests.pubrec_came(id);
            }
            Down::PubComp(id) => {
                self.order.pubcomp_came(id, self.power_cuts > 0);
                self.requests.answered(id);
            }
            Down::PubAck(id) | Down::SubAck { id, .. } => self.requests.answered(id),
            Down::PubRel(id) => self.sessions.released(self.here(config), id),
            Down::ConnAck { .. } | Down::Refused | Down::PingResp => {}
        }
        Some(verdict)
    }

    /// A PUBLISH for `message` arrives.
    fn sent_in_this_session(&self, config: &Config, message: u8, dup: bool) -> Verdict {
        if self.requests.was_sent_elsewhere(message) && !config.resend_lost {
            let how = "a publish of QoS 2 that may have arrived in another session is sent again";
            return Err(Broken::new(Rule::ExactlyOnce, how));
        }
        if self.anew && dup {
            let how = "MQTT-3.3.1-1: DUP, though the request is new at this broker";
            return Err(Broken::new(Rule::Protocol, how));
        }
        Ok(())
    }

    /// The broker gets the first answer to its message under `id`, so the application has the message. In a new session
    /// that the client never heard of, the message may look like one of the old session.
    fn has_message(&self, config: &Config, id: u16) -> Verdict {
        let unheard = config.loss_unheard && self.lost_sessions < config.lost_sessions;
        match self.broker.message(id) {
            Some(message) if !self.handed().has(message) && !unheard => {
                let how = "a message is acknowledged that the application does not have";
                Err(Broken::new(Rule::AtLeastOnce, how))
            }
            // The broker refuses an answer to nothing.
            Some(_) | None => Ok(()),
        }
    }

    /// The broker's treatment of `packet`, if it is the request that it treats badly.
    fn treatment(&self, config: &Config, packet: &Packet<'_>) -> Option<Manner> {
        let bad = config.bad?;
        let is_it = match (packet, bad.manner) {
            (Packet::Publish(publish), Manner::Closes | Manner::Ignores) => {
                publish.payload.first() == Some(&bad.request)
            }
            (Packet::Subscribe(subscribe), Manner::Closes | Manner::Ignores) => {
                bad.request == config.subscribe_number() && is_late(subscribe)
            }
            (Packet::Subscribe(subscribe), Manner::ClosesAtRenewal) => {
                let mut filters = subscribe.filters();
                self.lost_sessions < config.lost_sessions
                    && filters.any(|(filter, _)| {
                        Some(&filter.as_str()) == FILTERS.get(usize::from(bad.request))
                    })
            }
            (Packet::PubRel { id, .. }, Manner::NeverCompletes) => {
                self.requests.stands_for(id.get(), bad.request)
            }
            (Packet::PubRel { id, .. }, Manner::ClosesAtReclaim | Manner::IgnoresReclaim) => {
                self.order.reclaims(id.get()) && self.broker.is_free(id.get())
            }
            _ => false,
        };
        is_it.then_some(bad.manner)
    }

    /// Only the SUBSCRIBE that the application makes in between is in the ledgers, and not its renewals.
    fn subscribe_arrives(&mut self, config: &Config, subscribe: &Subscribe<'_>) -> Verdict {
        if config.renew_each_time {
            for (filter, _) in subscribe.filters() {
                let at = FILTERS.iter().position(|known| *known == filter.as_str());
                self.asked = at.map_or(self.asked, |at| self.asked.with(at as u8));
            }
        }
        let filters = subscribe.filters().count();
        if filters > usize::from(config.filters_per_subscribe) {
            return Err(Broken::new(Rule::Protocol, "more filters in a SUBSCRIBE than allowed"));
        }
        let (number, id) = (config.subscribe_number(), subscribe.id.get());
        let is_open =
            self.requests.handle(number).is_some() || self.requests.stands_for(id, number);
        if !is_late(subscribe) || !is_open {
            return Ok(());
        }
        self.order.request(2 * config.subscribes_at.unwrap_or_default())?;
        // 3.1.1 has no DUP for it, so it may come again without.
        self.requests.arrived(number, id, true)
    }
}

/// Whether it is the SUBSCRIBE that the application makes in between.
fn is_late(subscribe: &Subscribe<'_>) -> bool {
    subscribe.filters().any(|(filter, _)| filter.as_str() == "s")
}
