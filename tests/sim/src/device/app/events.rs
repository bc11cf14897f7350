//! The events of an application: messages to keep, and the ends of its requests.

use mqtt_core::{BoxedClient, Delivery, Event, Protocol, QoS, Queue, SessionStatus};

use super::{App, Asked, Receipt, durable::marks_output};
use crate::{
    checks::{self, Invariant},
    ledger::{Sent, Status},
    setup::DeviceSetup,
    stage::Stage,
    topics,
    trace::What,
};

/// A message that comes in pieces.
#[derive(Debug)]
pub(super) struct Streaming {
    topic: usize,
    qos: QoS,
    retain: bool,
    len: usize,
    payload: Vec<u8>,
}

impl App {
    /// Takes an event of the client.
    pub(crate) fn event(
        &mut self,
        stage: &mut Stage<'_>,
        client: &mut BoxedClient,
        event: Event<'_>,
        setup: &DeviceSetup,
    ) {
        let device = self.device;
        match event {
            Event::Connecting { .. } => stage.note(device, What::Connecting),
            Event::Up { session, protocol, .. } => {
                stage.note(device, What::Up(session));
                stage.totals.connections += 1;
                // 3.1 does not say whether there was a session.
                if session == SessionStatus::Found || protocol == Protocol::V31 && !setup.clean {
                    stage.ledger.set_found(device, true);
                } else if session != SessionStatus::Resumed {
                    stage.ledger.set_found(device, false);
                }
                if matches!(session, SessionStatus::New | SessionStatus::Lost) {
                    stage.ledger.hears_of_a_new_session(device);
                }
                self.news |= matches!(session, SessionStatus::New | SessionStatus::Lost);
                let lost = session == SessionStatus::Lost;
                self.lost_in_a_row = if lost { self.lost_in_a_row.saturating_add(1) } else { 0 };
            }
            Event::Down { reason, .. } => {
                stage.note(device, What::Down(reason));
                self.went_down(stage, client, reason);
            }
            Event::Message(message) => {
                let topic = topics::topic_index(message.topic);
                let receipt = self.hand_over(
                    stage,
                    topic,
                    message.payload,
                    (message.qos, message.retain),
                    setup,
                );
                self.take(stage, client, receipt, message.delivery, setup);
            }
            Event::MessageStart(start) => {
                if self.stream.is_some() {
                    stage.fail(Invariant::Content, device, || "a start in a message".to_owned());
                }
                self.stream = Some(Streaming {
                    topic: topics::topic_index(start.topic).unwrap_or(usize::MAX),
                    qos: start.qos,
                    retain: start.retain,
                    len: start.payload_len,
                    payload: Vec::new(),
                });
            }
            Event::MessageChunk(chunk) => match &mut self.stream {
                Some(stream) => stream.payload.extend(chunk),
                None => stage.fail(Invariant::Content, device, || "a chunk alone".to_owned()),
            },
            Event::MessageEnd { delivery } => {
                let Some(Streaming { topic, qos, retain, len, payload }) = self.stream.take()
                else {
                    stage.fail(Invariant::Content, device, || "an end alone".to_owned());
                    return;
                };
                if len != payload.len() {
                    stage.fail(Invariant::Content, device, || {
                        format!("{} bytes in pieces, {len} were said", payload.len())
                    });
                }
                let receipt = self.hand_over(stage, Some(topic), &payload, (qos, retain), setup);
                self.take(stage, client, receipt, delivery, setup);
            }
            Event::Published(handle) => {
                let Some(Asked::Publish(number)) = self.end(stage, handle) else {
                    stage.fail(Invariant::OneEvent, device, || format!("{handle:?} published"));
                    return;
                };
                stage.note(device, What::Published { number });
                let message = stage.ledger.message_mut(number);
                message.status = Status::Published;
                if message.qos == QoS::AtMostOnce && message.sent != Sent::Whole && message.len != 0
                {
                    stage.fail(Invariant::OneEvent, device, || {
                        format!("QoS 0 message #{number} published, not sent")
                    });
                }
                checks::published_means_arrived(stage, number);
            }
            Event::Lost(handle) => {
                let Some(Asked::Publish(number)) = self.end(stage, handle) else {
                    stage.fail(Invariant::OneEvent, device, || format!("{handle:?} lost"));
                    return;
                };
                stage.totals.lost += 1;
                stage.note(device, What::Lost { number });
                let message = stage.ledger.message_mut(number);
                message.status = Status::Lost;
                let (qos, sent) = (message.qos, message.sent);
                let wrong = qos == QoS::AtLeastOnce || (sent == Sent::Nothing && message.len != 0);
                if wrong {
                    stage.fail(Invariant::OneEvent, device, || {
                        format!("message #{number}, {qos:?}, sent: {sent:?}, is lost")
                    });
                }
            }
            Event::Dropped(handle) => {
                let Some(Asked::Publish(number)) = self.end(stage, handle) else {
                    stage.fail(Invariant::OneEvent, device, || format!("{handle:?} dropped"));
                    return;
                };
                stage.totals.dropped += 1;
                stage.note(device, What::Dropped { number });
                let message = stage.ledger.message_mut(number);
                message.status = Status::Dropped;
                let (qos, sent) = (message.qos, message.sent);
                if setup.queue == Queue::RefuseNew
                    || qos != QoS::AtMostOnce
                    || sent != Sent::Nothing
                {
                    stage.fail(Invariant::OneEvent, device, || {
                        format!("message #{number}, {qos:?}, sent: {sent:?}, gave way")
                    });
                }
            }
            Event::Subscribed { handle, granted } => {
                let Some(Asked::Subscribe(filters)) = self.end(stage, handle) else {
                    stage.fail(Invariant::OneEvent, device, || format!("{handle:?} subscribed"));
                    return;
                };
                for ((filter, qos), granted) in filters.into_iter().zip(granted.iter()) {
                    if granted.is_some() && setup.renew {
                        self.subscriptions.retain(|(known, _)| *known != filter);
                        self.subscriptions.push((filter, qos));
                    }
                }
            }
            Event::Unsubscribed(handle) => {
                let Some(Asked::Unsubscribe(filters)) = self.end(stage, handle) else {
                    stage.fail(Invariant::OneEvent, device, || format!("{handle:?} unsubscribed"));
                    return;
                };
                self.subscriptions.retain(|(known, _)| !filters.contains(known));
            }
            Event::Renewed { first, granted } => {
                let kept = client.subscriptions().count();
                if first + granted.len() > kept {
                    let count = granted.len();
                    stage.fail(Invariant::Subscriptions, device, || {
                        format!("{count} of {kept} subscriptions were renewed, from {first} on")
                    });
                }
            }
            Event::Cancelled { handle, sent } => self.was_cancelled(stage, handle, sent),
            Event::GivenUp(handle) => self.was_given_up(stage, handle, setup),
            Event::Downgraded(handle) => self.was_downgraded(stage, handle),
            Event::Skipped(skipped) => self.was_skipped(stage, &skipped, setup),
            Event::Stuck { handle, connections } => {
                self.is_stuck(stage, client, handle, connections, setup);
            }
            Event::RenewalStuck { first, count, connections } => {
                self.renewal_is_stuck(stage, client, (first, count), connections, setup);
            }
            other => {
                stage.fail(Invariant::OneEvent, device, || format!("an event unknown: {other:?}"));
            }
        }
    }

    /// A message has arrived in full.
    fn hand_over(
        &self,
        stage: &mut Stage<'_>,
        topic: Option<usize>,
        payload: &[u8],
        (qos, retain): (QoS, bool),
        setup: &DeviceSetup,
    ) -> Receipt {
        let device = self.device;
        let known = topic
            .ok_or("a topic that nobody has")
            .and_then(|topic| stage.ledger.identify(topic, payload));
        let number = known.unwrap_or_else(|why| {
            stage.fail(Invariant::Content, device, || format!("the application got {why}"));
            None
        });
        stage.note(device, What::HandedOver { number, qos });
        if let Some(number) = number {
            let len = stage.ledger.packet_len(number, qos);
            if setup.max_packet.is_some_and(|most| len > most as usize) {
                stage.fail(Invariant::Content, device, || {
                    format!("a packet of {len} bytes for message #{number} is above the limit")
                });
            }
        }
        if let Some(number) = number.filter(|_| !retain) {
            if stage.ledger.message(number).status != Status::Will {
                checks::comes_in_order(stage, device, number, qos);
            }
        }
        Receipt { number, qos }
    }

    /// The message belongs to the application, now or once it has acknowledged it.
    fn take(
        &mut self,
        stage: &mut Stage<'_>,
        client: &mut BoxedClient,
        receipt: Receipt,
        delivery: Option<Delivery>,
        setup: &DeviceSetup,
    ) {
        if delivery.is_some() != (setup.manual && receipt.qos != QoS::AtMostOnce) {
            stage.fail(Invariant::Content, self.device, || format!("{receipt:?}: {delivery:?}"));
        }
        match delivery {
            Some(delivery) => self.unacknowledged.push((delivery, receipt)),
            None => self.keep(stage, client, receipt, setup),
        }
    }

    pub(super) fn keep(
        &mut self,
        stage: &mut Stage<'_>,
        client: &mut BoxedClient,
        receipt: Receipt,
        setup: &DeviceSetup,
    ) {
        if marks_output(setup) {
            // The message goes into the store at once. Messages behind the position are cut off after a restart.
            self.recent.push(receipt);
            self.output += 1;
            client.set_position(self.output);
        } else if setup.journal && receipt.qos == QoS::ExactlyOnce {
            self.recent.push(receipt);
        } else {
            // A QoS 1 message may come twice, so it is kept before it is acknowledged.
            self.has(stage, receipt);
        }
    }

    /// The receipt is durable.
    pub(super) fn has(&self, stage: &mut Stage<'_>, Receipt { number, qos }: Receipt) {
        stage.note(self.device, What::Kept { number, qos });
        stage.totals.received[qos as usize] += 1;
        if let Some(number) = number {
            checks::is_received_as_often_as_promised(stage, self.device, number, qos);
        }
    }
}
