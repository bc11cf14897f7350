//! The events of an application: messages to keep, and the ends of its requests.

use mqtt_core::{BoxedClient, Delivery, Event, QoS, Queue};

use super::{App, Asked, Receipt, durable::marks_output};
use crate::{
    checks::{self, Invariant},
    ledger::{Pair, Sent, Status},
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
            Event::Connecting { endpoint } => self.connects_to(stage, endpoint),
            Event::Up { endpoint, session, protocol } => {
                self.went_up(stage, endpoint, session, protocol, setup);
            }
            Event::Down { endpoint, reason } => self.went_down(stage, client, endpoint, reason),
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
            Event::Published(handle) => self.was_published(stage, handle),
            Event::Lost(handle) => self.was_lost(stage, handle, setup),
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
            Event::SourceFailed(handle) => self.source_has_failed(stage, handle, setup),
            Event::Downgraded(handle) => self.was_downgraded(stage, handle),
            Event::Skipped(skipped) => self.was_skipped(stage, &skipped, setup),
            Event::Stuck { handle, connections } => {
                self.is_stuck(stage, client, handle, connections, setup);
            }
            Event::NotReclaimed => {
                stage.note(device, What::NotReclaimed);
                stage.ledger.leaves_ids(device);
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
                checks::comes_in_order(stage, self.pair(), number, qos);
            }
        }
        Receipt { number, qos, broker: self.broker }
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
    pub(super) fn has(&self, stage: &mut Stage<'_>, Receipt { number, qos, broker }: Receipt) {
        stage.note(self.device, What::Kept { number, qos });
        stage.totals.received[qos as usize] += 1;
        if let Some(number) = number {
            let pair = Pair { device: self.device, broker };
            checks::is_received_as_often_as_promised(stage, pair, number, qos);
        }
    }
}
