//! How each action changes a world; here those of the application, and the faults.

use mqtt_core::{Action as Told, ConnectionState, Publish, QoS, RequestError, filter, topic};
use test_kit::text;

use super::{Action, Loss, State, sources};
use crate::{
    config::{Config, Driver},
    device::{LARGEST_OUTBOX, NOW, RECORD},
    rules::{Broken, Rule, Set, Verdict},
    trace::{self, Trace},
};

impl State {
    /// Carries `action` out. Returns false if it turns out to be impossible now.
    pub(crate) fn carry_out(&mut self, config: &Config, action: Action, trace: &mut Trace) -> bool {
        let done = match action {
            Action::Publish => self.publish(config, trace),
            Action::Subscribe => self.subscribe(config, trace),
            Action::Cancel(request) => self.cancel(config, request, trace),
            Action::Acknowledge(number) => self.acknowledge(config, number, trace),
            Action::Connect => Some(self.connect(config)),
            Action::Close => Some(self.close(config, trace)),
            Action::AnswerOverdue => Some(self.answer_overdue(config, trace)),
            Action::Show => Some(self.show()),
            Action::Report => {
                self.report();
                Some(Ok(()))
            }
            Action::Connected => {
                self.open = true;
                self.client.0.connected(NOW);
                Some(Ok(()))
            }
            Action::SourceFails => Some(self.source_fails(trace)),
            Action::SourcePauses => Some(self.source_pauses()),
            Action::SourceGoesOn => {
                self.source_goes_on();
                Some(Ok(()))
            }
            Action::TransmitPart => Some(self.transmit_part(config, trace)),
            Action::Transmit(count) => Some(self.transmit(config, count, trace)),
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
                self.cut(config, lose_session);
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
        let handle = if config.from_source.contains(&message) {
            self.client.0.publish_from(&sources::publish(config, message).qos(qos)).ok()?
        } else {
            let payload = vec![message; config.payload];
            self.client.0.publish(&Publish::new(topic!("o"), &payload).qos(qos)).ok()?
        };
        trace.say(|| format!("message {message}, QoS {}, id {}", qos as u8, text::id_of(handle)));
        self.next += 1;
        self.client.0.set_position(self.next.into());
        Some(self.requests.accepted(message, handle))
    }

    /// Returns `None` if there is no room, and the application waits for an event.
    fn subscribe(&mut self, config: &Config, trace: &mut Trace) -> Option<Verdict> {
        let handle = self.client.0.subscribe(&[(filter!("s"), QoS::AtLeastOnce)]).ok()?;
        trace.say(|| format!("id {}", text::id_of(handle)));
        self.subscribed = true;
        Some(self.requests.accepted(config.subscribe_number(), handle))
    }

    /// Returns `None` if it is too late, or there is no room.
    fn cancel(&mut self, config: &Config, request: u8, trace: &mut Trace) -> Option<Verdict> {
        let handle = self.requests.handle(request)?;
        let cancelled = self.client.0.cancel(handle);
        trace.say(|| format!("request {request}: {cancelled:?}"));
        let released = self.requests.is_released(request);
        match cancelled {
            Ok(()) if !released => {
                self.cancels -= 1;
                self.requests.take_back(request);
                Some(Ok(()))
            }
            Err(RequestError::Released) if released => None,
            Err(RequestError::OutboxFull { .. }) if config.outbox < LARGEST_OUTBOX => None,
            // After a power cut the client may know of an earlier PUBREC.
            Err(RequestError::Released) if self.power_cuts < config.power_cuts => None,
            Ok(()) => Some(Err(Broken::new(Rule::OneEvent, "taken back after the PUBREC"))),
            Err(_) => Some(Err(Broken::new(Rule::Progress, "a request cannot be taken back"))),
        }
    }

    /// The application has done its work on a message. It is durable before the broker gets the acknowledgement.
    fn acknowledge(&mut self, config: &Config, number: u8, trace: &mut Trace) -> Option<Verdict> {
        let (delivery, message) = *self.owed.get(usize::from(number))?;
        trace.say(|| format!("message {message}"));
        self.client.0.acknowledge(delivery).ok()?;
        self.owed.retain(|(owed, _)| *owed != delivery);
        self.client.0.set_position(self.next.into());
        let again = self.handed().has(message);
        self.held = self.held.with(message);
        let number = usize::from(message - self.broker.first_message());
        let exactly = config.inbound.get(number) == Some(&QoS::ExactlyOnce);
        Some(if again && exactly {
            Err(Broken::new(Rule::ExactlyOnce, "a QoS 2 message was handed over twice"))
        } else {
            Ok(())
        })
    }

    fn cut(&mut self, config: &Config, lose_session: bool) {
        self.cuts -= 1;
        self.ended();
        self.requests.interrupted();
        if lose_session {
            self.lost_sessions -= 1;
            self.loss = Loss::Untold;
            self.lost_at = self.here(config);
            self.broker.lose_session();
            self.requests.session_lost();
        }
    }

    /// Bytes and packets on their way are lost. If a broker or a client took a packet after the other side has seen the
    /// cut, the result would be the same as if it took the packet just before.
    pub(super) fn disconnect(&mut self) {
        if self.open && self.client.0.state() == ConnectionState::Connecting {
            self.versions.broke(self.endpoint, self.client.0.protocol());
        }
        self.open = false;
        self.anew = false;
        self.asked = Set::EMPTY;
        self.up.clear();
        self.down.clear();
        self.owed.clear();
        self.copied.clear();
        self.written = 0;
        self.paused = None;
        self.broker.disconnected();
        self.order.disconnected();
        for id in self.requests.disconnected() {
            self.order.given_up(id);
        }
    }

    /// After each action the driver takes the events that need no input, and polls. If the answer is to wait or to
    /// transmit, polling has changed only timers that are due at once, so the states before and after it count as one.
    fn look_after(&mut self, config: &Config, trace: &mut Trace) -> Verdict {
        while let Ok(Some(event)) = self.client.0.receive(&mut &[][..], NOW) {
            trace.say(|| text::event(&event));
            self.told(config, &event, None, trace)?;
        }
        let mut client = self.client.clone();
        match client.0.poll(NOW) {
            // To be shown bytes is a step of its own if the driver copies them.
            Told::Transmit(_) | Told::TransmitFrom(_) if config.driver == Driver::Copies => {}
            told @ (Told::Transmit(_) | Told::TransmitFrom(_)) => {
                if let Some(bytes) = sources::to_send(&told) {
                    self.shown(&bytes);
                }
                self.client = client;
            }
            Told::Wait(_) => self.client = client,
            Told::Connect { .. } | Told::Close(_) | Told::Persist(_) => {}
        }
        if self.power_cuts == 0 {
            // Power can no longer fail, so nothing is forgotten.
            self.stored = self.handed();
            self.storing = Set::EMPTY;
            self.held = Set::EMPTY;
        }
        Ok(())
    }
}
