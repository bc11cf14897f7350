//! The audit of a client on one connection: the order of everything that it sends and answers.

use std::collections::VecDeque;

use crate::{checks::Invariant, stage::Stage};

/// An answer to a message of the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "they are the packets, by name")]
pub(super) enum Answer {
    PubAck,
    PubRec,
    PubComp,
}

/// The books of one connection.
#[derive(Debug, Default)]
pub(super) struct Audit {
    /// The last PUBLISH, as its position among the messages of its publisher.
    pub(super) last_publish: Option<u32>,
    /// The last PUBREL, as the position of its PUBREC.
    pub(super) last_release: Option<u32>,
    /// Ids whose PUBREL came.
    pub(super) released: Vec<u16>,
    /// The messages that the client still has to answer, in this order.
    pub(super) pubacks: VecDeque<u16>,
    pub(super) pubrecs: VecDeque<u16>,
    pub(super) pubcomps: VecDeque<u16>,
}

impl Audit {
    /// [MQTT-4.6.0-2], [MQTT-4.6.0-3]: returns whether this is the answer to the oldest packet that has none.
    pub(super) fn answers_in_order(
        &mut self,
        stage: &mut Stage<'_>,
        device: usize,
        kind: Answer,
        id: u16,
    ) -> bool {
        let queue = match kind {
            Answer::PubAck => &mut self.pubacks,
            Answer::PubRec => &mut self.pubrecs,
            Answer::PubComp => &mut self.pubcomps,
        };
        let expected = queue.pop_front();
        if expected == Some(id) {
            return true;
        }
        let (invariant, why) = if queue.contains(&id) {
            (Invariant::Order, "out of order [MQTT-4.6.0-2], [MQTT-4.6.0-3]")
        } else {
            (Invariant::Protocol, "for nothing that was sent on this connection [MQTT-2.3.1-6]")
        };
        stage.fail(invariant, device, || format!("{kind:?} {id} {why}, {expected:?} was next"));
        false
    }

    /// [MQTT-4.6.0-1]: in the order of acceptance, each once on a connection [MQTT-4.4.0-1].
    pub(super) fn publishes_in_order(&mut self, stage: &mut Stage<'_>, device: usize, index: u32) {
        if let Some(last) = self.last_publish.replace(index).filter(|last| *last >= index) {
            stage.fail(Invariant::Order, device, || {
                format!("PUBLISH {index} of the device after {last} [MQTT-4.6.0-1]")
            });
        }
    }

    /// [MQTT-4.6.0-4]: in the order of the PUBRECs.
    pub(super) fn releases_in_order(&mut self, stage: &mut Stage<'_>, device: usize, place: u32) {
        if let Some(last) = self.last_release.replace(place).filter(|last| *last >= place) {
            stage.fail(Invariant::Order, device, || {
                format!("the PUBREL to PUBREC {place} after that to {last} [MQTT-4.6.0-4]")
            });
        }
    }
}
