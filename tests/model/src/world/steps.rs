//! How each action changes a world, and which events the ledgers of the rules get.

use std::sync::Arc;

use mqtt_core::{
    Action as Told, Event, Instant, Publish, QoS, SessionStatus, codec::Packet, topic,
};
use test_kit::{record::bytes_of, text};

use super::{Action, Loss, State, Writing, decode, packet_len, packets};
use crate::{
    broker::Down,
    config::{Config, Partial},
    device::{Device, NOW, RECONNECT, RECORD},
    rules::{Broken, Rule, Set, Verdict, hand_over},
    trace::{self, Trace},
};

impl State {
    /// Carries `action` out. Returns false if it turns out to be impossible now.
    pub(crate) fn carry_out(&mut self, config: &Config, action: Action, trace: &mut Trace) -> bool {
        let done = match action {
            Action::Publish => self.publish(config, trace),
            Action::Connect => Some(self.connect()),
            Action::Connected => {
                self.open = true;
                self.client.0.connected(NOW);
                Some(Ok(()))
            }
            Action::TransmitPart => Some(self.transmit_part(config, trace)),
            Action::Transmit(count) => Some(self.transmit(count, trace)),
            Action::Arrive => Some(self.arrive(config, trace)),
            Action::Send => {
                let sent = self.broker.send(config.inbound);
                if let Some(down) = sent {
                    trace.say(|| trace::down(down));
                }
                self.down.extend(sent);
                Some(Ok(()))
            }
            Action::Deliver(number) => self.deliver(config, number, trace),
            Action::Persist => Some(self.persist(NOW, trace)),
            Action::PersistAtLast => Some(self.persist(RECORD, trace)),
            Action::Persisted => Some(self.persisted(config)),
            Action::PersistFailed { whole } => Some(self.persist_failed(config, whole)),
            Action::Compact => {
                self.snapshots -= 1;
                self.client.0.compact();
                Some(Ok(()))
            }
            Action::Cut { lose_session } => {
                self.cut(lose_session);
                Some(Ok(()))
            }
            Action::PowerCut { whole } => Some(self.power_cut(config, whole)),
        };
        let Some(verdict) = done else { return false };
        self.broken = verdict.and_then(|()| self.look_after(config, trace)).err();
        true
    }

    /// Returns `None` if there is no room, and the application waits for an event.
    fn publish(&mut self, config: &Config, trace: &mut Trace) -> Option<Verdict> {
        let message = self.next;
        let qos = *config.outbound.get(usize::from(message))?;
        let payload = vec![message; config.payload];
        let publish = Publish::new(topic!("o"), &payload).qos(qos);
        let handle = self.client.0.publish(&publish).ok()?;
        trace.say(|| format!("message {message}, QoS {}, id {}", qos as u8, text::id_of(handle)));
        self.next += 1;
        self.client.0.set_position(self.next.into());
        Some(self.requests.accepted(message, handle))
    }

    fn connect(&mut self) -> Verdict {
        match self.client.0.poll(RECONNECT) {
            Told::Connect { .. } => Ok(()),
            Told::Close(_) | Told::Persist(_) | Told::Transmit(_) | Told::Wait(_) => {
                Err(Broken::new(Rule::AtLeastOnce, "the client does not connect when it is time"))
            }
        }
    }

    fn transmit_part(&mut self, config: &Config, trace: &mut Trace) -> Verdict {
        let Told::Transmit(bytes) = self.client.0.poll(NOW) else { return Err(withdrawn()) };
        let Some(len) = packet_len(bytes) else { return Err(no_packet()) };
        let count = match config.partial {
            Partial::Never | Partial::FirstByte => 1,
            Partial::LastByte => len - 1,
        };
        trace.say(|| format!("{count} of {len} bytes"));
        self.up.extend(bytes.iter().take(count));
        self.client.0.transmitted(count, NOW);
        Ok(())
    }

    fn transmit(&mut self, count: u8, trace: &mut Trace) -> Verdict {
        let Told::Transmit(bytes) = self.client.0.poll(NOW) else { return Err(withdrawn()) };
        let (_, part) = packets(&self.up);
        let (had, mut at) = (self.up.len(), self.up.len() - part.len());
        self.up.extend_from_slice(bytes);
        for _ in 0..count {
            let rest = self.up.get(at..).unwrap_or_default();
            let Some((packet, len)) = decode(rest) else { return Err(no_packet()) };
            trace.say(|| text::packet(&packet));
            at += len;
        }
        self.up.truncate(at);
        self.client.0.transmitted(at - had, NOW);
        Ok(())
    }

    fn arrive(&mut self, config: &Config, trace: &mut Trace) -> Verdict {
        let bytes = std::mem::take(&mut self.up);
        let Some((packet, len)) = decode(&bytes) else { return Err(no_packet()) };
        self.up.extend_from_slice(bytes.get(len..).unwrap_or_default());
        trace.say(|| text::packet(&packet));
        match &packet {
            Packet::Publish(publish) => {
                let message = publish.payload.first().copied().unwrap_or(u8::MAX);
                let id = publish.id.map_or(0, |id| id.get());
                self.order.publish(message, id)?;
                self.requests.published(message, id, publish.dup)?;
            }
            Packet::PubAck(id) => self.order.puback(id.get())?,
            Packet::PubRec(id) => self.order.pubrec(id.get())?,
            Packet::PubRel { id, .. } => self.order.pubrel(id.get())?,
            // There is no rule about these. The broker refuses wrong ones.
            Packet::Connect(_)
            | Packet::ConnAck(_)
            | Packet::PubComp(_)
            | Packet::Subscribe(_)
            | Packet::SubAck(_)
            | Packet::Unsubscribe(_)
            | Packet::UnsubAck(_)
            | Packet::PingReq
            | Packet::PingResp
            | Packet::Disconnect => {}
        }
        let (delivered, answers) = (self.broker.delivered(), self.down.len());
        let verdict = self.broker.take(&packet, config.outbound, config.inbound, &mut self.down);
        if self.broker.delivered() != delivered {
            trace.say(|| "handed on".to_owned());
        }
        for answer in self.down.iter().skip(answers) {
            trace.say(|| format!("answered by {}", trace::down(*answer)));
        }
        verdict
    }

    /// Returns `None` if the client does not take the packet yet.
    fn deliver(&mut self, config: &Config, number: u8, trace: &mut Trace) -> Option<Verdict> {
        let down = *self.down.get(usize::from(number))?;
        trace.say(|| trace::down(down));
        let bytes = down.encode(config.payload);
        if let Err(broken) = self.deliver_part(&bytes) {
            return Some(Err(broken));
        }
        let mut input = &bytes[..];
        let mut verdict = Ok(());
        loop {
            match self.client.0.receive(&mut input, NOW) {
                Ok(Some(event)) => {
                    trace.say(|| text::event(&event));
                    verdict = verdict.and_then(|()| self.told(config, &event));
                }
                Ok(None) if input.is_empty() => break,
                Ok(None) => return None,
                Err(fatal) => {
                    trace.say(|| format!("refused: {fatal}"));
                    let how = "the client refuses what a faithful broker sends";
                    return Some(Err(Broken::new(Rule::Protocol, how)));
                }
            }
        }
        self.down.remove(usize::from(number));
        match down {
            Down::Publish { id, qos, .. } => self.order.message_came(id, qos),
            Down::PubRec(id) => self.order.pubrec_came(id),
            Down::PubComp(id) => self.order.pubcomp_came(id, self.power_cuts > 0),
            Down::ConnAck { .. } | Down::PubAck(_) | Down::PubRel(_) | Down::SubAck(_) => {}
        }
        Some(verdict)
    }

    /// All bytes but the last come first. That changes nothing, so it is enough to explore whole packets.
    fn deliver_part(&self, bytes: &[u8]) -> Verdict {
        let mut client = self.client.clone();
        let (_, part) = bytes.split_last().unwrap_or((&0, &[]));
        let mut input = part;
        let told = client.0.receive(&mut input, NOW);
        if told != Ok(None) || input.len() != part.len() || client != self.client {
            return Err(Broken::new(Rule::Protocol, "a part of a packet changes the client"));
        }
        Ok(())
    }

    fn persist(&mut self, now: Instant, trace: &mut Trace) -> Verdict {
        let Told::Persist(record) = self.client.0.poll(now) else { return Err(withdrawn()) };
        trace.say(|| trace::record(&record));
        // Its content matters as long as power can fail.
        let is_snapshot = record.is_snapshot();
        let record = if self.power_cuts > 0 { bytes_of(&record) } else { Vec::new() };
        self.writing = Some(Writing { record, is_snapshot });
        self.storing = self.storing.and(std::mem::take(&mut self.held));
        if self.loss == Loss::Unrecorded {
            self.loss = Loss::Recording;
        }
        Ok(())
    }

    fn persisted(&mut self, config: &Config) -> Verdict {
        self.client.0.persisted();
        if self.loss == Loss::Recording {
            self.loss = Loss::Settled;
        }
        self.keep(config)
    }

    fn persist_failed(&mut self, config: &Config, whole: bool) -> Verdict {
        self.failed_records -= 1;
        if whole {
            return self.keep(config);
        }
        self.writing = None;
        if self.loss == Loss::Recording {
            self.loss = Loss::Unrecorded;
        }
        self.held = self.held.and(std::mem::take(&mut self.storing));
        Ok(())
    }

    /// The record that is being written is durable, and with it the work of the application until it was begun.
    ///
    /// Records before a snapshot may stay or go. The restored client is the same.
    fn keep(&mut self, config: &Config) -> Verdict {
        let Writing { record, is_snapshot } = self.writing.take().unwrap_or_default();
        self.stored = self.stored.and(std::mem::take(&mut self.storing));
        let Some(restored) = &mut self.restored else { return Ok(()) };
        Arc::make_mut(restored).restore(&record)?;
        if is_snapshot {
            let mut alone = Device::new(config);
            alone.restore(&record)?;
            if alone != **restored {
                let how = "a snapshot restores something else without the records before it";
                return Err(Broken::new(Rule::AtLeastOnce, how));
            }
        }
        Ok(())
    }

    fn cut(&mut self, lose_session: bool) {
        self.cuts -= 1;
        self.disconnect();
        self.client.0.closed(NOW);
        if lose_session {
            self.lost_sessions -= 1;
            self.loss = Loss::Untold;
            self.broker.lose_session();
            self.requests.session_lost();
        }
    }

    /// Bytes and packets on their way are lost. If a broker or a client took a packet after the other side has seen the
    /// cut, the result would be the same as if it took the packet just before.
    fn disconnect(&mut self) {
        self.open = false;
        self.up.clear();
        self.down.clear();
        self.broker.disconnected();
        self.order.disconnected();
    }

    fn power_cut(&mut self, config: &Config, whole: bool) -> Verdict {
        self.power_cuts -= 1;
        self.disconnect();
        if whole {
            self.keep(config)?;
        }
        self.writing = None;
        self.storing = Set::EMPTY;
        self.held = Set::EMPTY;
        let restored = self.restored.take().unwrap_or_else(|| Arc::new(Device::new(config)));
        let client = (*restored).clone();
        self.restored = (self.power_cuts > 0).then_some(restored);
        self.next = client.0.position() as u8;
        self.requests.restarted(client.0.in_flight(), self.next);
        self.order.restarted();
        self.client = client;
        Ok(())
    }

    /// After each action the driver takes the events that need no input, and polls. If the answer is to wait or to
    /// transmit, polling has changed only timers that are due at once, so the states before and after it count as one.
    fn look_after(&mut self, config: &Config, trace: &mut Trace) -> Verdict {
        while let Ok(Some(event)) = self.client.0.receive(&mut &[][..], NOW) {
            trace.say(|| text::event(&event));
            self.told(config, &event)?;
        }
        let mut client = self.client.clone();
        if matches!(client.0.poll(NOW), Told::Transmit(_) | Told::Wait(_)) {
            self.client = client;
        }
        if self.power_cuts == 0 {
            // Power can no longer fail, so nothing is forgotten.
            self.stored = self.handed();
            self.storing = Set::EMPTY;
            self.held = Set::EMPTY;
        }
        Ok(())
    }

    fn told(&mut self, config: &Config, event: &Event<'_>) -> Verdict {
        match event {
            Event::Message(message) => {
                let Some(number) = message.payload.first() else {
                    return Err(Broken::new(Rule::Protocol, "a message that was not sent"));
                };
                hand_over(self.handed(), *number, config.inbound, false)?;
                self.held = self.held.with(*number);
                // The work on the message has to be durable before the broker gets its acknowledgement.
                self.client.0.set_position(self.next.into());
                Ok(())
            }
            Event::Published(handle) => {
                let message = self.requests.done(*handle)?;
                if self.broker.delivered().has(message) {
                    Ok(())
                } else {
                    Err(Broken::new(Rule::OneEvent, "published, though it was not delivered"))
                }
            }
            Event::Lost(handle) => {
                let message = self.requests.lost(*handle)?;
                let exactly = config.outbound.get(usize::from(message)) == Some(&QoS::ExactlyOnce);
                if exactly && self.lost_sessions < config.lost_sessions {
                    Ok(())
                } else {
                    Err(Broken::new(Rule::AtLeastOnce, "lost, though no session was"))
                }
            }
            Event::Up { session, .. } => {
                if self.loss == Loss::Untold {
                    let journal = config.power_cuts != 0;
                    self.loss = if journal { Loss::Unrecorded } else { Loss::Settled };
                }
                match session {
                    SessionStatus::Found => self.order.clears = true,
                    SessionStatus::Lost | SessionStatus::New => self.order.session_lost(),
                    SessionStatus::Resumed | _ => {}
                }
                Ok(())
            }
            Event::Connecting { .. }
            | Event::Down(_)
            | Event::Subscribed { .. }
            | Event::Renewed { .. } => Ok(()),
            // No message is that large, none has QoS 0, and the application does not unsubscribe.
            Event::MessageStart(_)
            | Event::MessageChunk(_)
            | Event::MessageEnd { .. }
            | Event::Unsubscribed(_)
            | Event::Dropped(_)
            | _ => Err(Broken::new(Rule::OneEvent, "an event of which there is no reason")),
        }
    }
}

const fn withdrawn() -> Broken {
    Broken::new(Rule::Protocol, "the client does not say again what it has just said")
}

const fn no_packet() -> Broken {
    Broken::new(Rule::Protocol, "the client sends what is no packet")
}
