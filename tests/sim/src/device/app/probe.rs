//! Something new, when all is done: messages of every QoS and a subscription, to show that the client still works.

use mqtt_core::{BoxedClient, QoS, RequestError};

use super::{App, Asked, durable::marks_output};
use crate::{
    broker::Manners,
    ledger::{Message, NO_MESSAGE},
    setup::DeviceSetup,
    stage::Stage,
    topics::{self, FILTERS, TOPICS_EACH},
};

/// What was begun.
#[derive(Debug, Default)]
pub(super) struct Probe {
    /// The place of the first message in the source.
    first: Option<usize>,
    /// To be subscribed.
    pub(super) filter: Option<usize>,
}

impl App {
    /// Begins something new that a broker with these manners takes.
    pub(crate) fn probe(&mut self, stage: &mut Stage<'_>, manners: &Manners, setup: &DeviceSetup) {
        self.probe.first = Some(self.source.len());
        let mut topics = (0..TOPICS_EACH).map(|nth| topics::topic_of(self.device, nth));
        let topic = topics.find(|topic| manners.take_topic(*topic)).unwrap_or(0);
        let most = if manners.spoil_exactly_once() { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, most] {
            // The position of such an application counts received messages.
            if marks_output(setup) {
                break;
            }
            let message = Message::new(self.device, self.source.len() as u32, topic, qos);
            let number = stage.ledger.add(message);
            self.source.push(number);
        }
        self.probe.filter = (0..FILTERS.len()).rev().find(|filter| manners.take_filter(*filter));
    }

    /// Its messages.
    pub(crate) fn probes(&self) -> impl Iterator<Item = u32> {
        let first = self.probe.first.unwrap_or(self.source.len());
        self.source[first..].iter().copied()
    }

    /// Makes the new subscription, once the client accepts it.
    pub(crate) fn subscribe_once_more(&mut self, stage: &mut Stage<'_>, client: &mut BoxedClient) {
        let Some(filter) = self.probe.filter else { return };
        let qos = QoS::AtLeastOnce;
        match client.subscribe(&[(topics::filter(filter), qos)]) {
            Ok(handle) => {
                self.probe.filter = None;
                self.ask(stage, handle, NO_MESSAGE, Asked::Subscribe(vec![(filter, qos)]));
            }
            // The subscriptions that are kept leave no room for another one.
            Err(RequestError::OutboxFull { .. }) if client.in_flight() == 0 => {
                self.probe.filter = None;
            }
            Err(RequestError::TooLarge { .. } | RequestError::TooManySubscriptions { .. }) => {
                self.probe.filter = None;
            }
            Err(_) => {}
        }
    }
}
