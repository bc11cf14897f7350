//! The broker of a [life](super::life): honest unless the data says otherwise, and alive when the device has no power.
//!
//! It holds the messages of QoS 2 from their PUBLISH to their PUBREL. If a PUBLISH comes under an id that it holds, it
//! is a duplicate [MQTT-4.3.3-2]. If the message is another one, it is swallowed, and the client would tell it as
//! published: the worst that a client can do.

use std::collections::{BTreeMap, VecDeque};

use mqtt_core::{Publish, QoS, codec::Packet};
use test_kit::wire::{PINGRESP, PUBACK, PUBCOMP, PUBREC, UNSUBACK, ack, suback};

/// The broker is not the kit's, so that this target has one of its own.
#[derive(Clone, Default)]
pub(super) struct Broker {
    /// Its answers, which the data or the client's driver takes.
    replies: VecDeque<Vec<u8>>,
    /// The payloads of the messages of QoS 2 whose PUBREL has not come, by their ids.
    held: BTreeMap<u16, Vec<u8>>,
    /// It keeps a session for the client.
    session: bool,
    /// The client has asked for a new one.
    clean: bool,
    /// It has said something that no broker says: nothing is asked of the client any more.
    lied: bool,
}

impl Broker {
    /// It accepts the connection. Gives whether it says that the session is there; with `claim`, the data says so.
    pub(super) fn accept(&mut self, claim: Option<bool>) -> bool {
        // [MQTT-3.2.2-1]
        let present = claim.unwrap_or(self.session && !self.clean);
        if self.clean || !present {
            self.held.clear();
        }
        self.session = !self.clean;
        present
    }

    /// It says something that it has no reason to say.
    pub(super) const fn lie(&mut self) {
        self.lied = true;
    }

    /// The connection is cut.
    pub(super) fn cut(&mut self) {
        self.replies.clear();
    }

    /// The next answer.
    pub(super) fn reply(&mut self) -> Option<Vec<u8>> {
        self.replies.pop_front()
    }

    /// A packet of the client.
    pub(super) fn take(&mut self, packet: &Packet<'_>) {
        match packet {
            Packet::Publish(Publish { id: Some(id), qos: QoS::AtLeastOnce, .. }) => {
                self.replies.push_back(ack(PUBACK, id.get()).into());
            }
            Packet::Publish(Publish { id: Some(id), payload, .. }) => {
                let first = self.held.entry(id.get()).or_insert_with(|| payload.to_vec());
                assert!(
                    self.lied || first == payload,
                    "{} is another message: it is swallowed",
                    id.get()
                );
                self.replies.push_back(ack(PUBREC, id.get()).into());
            }
            Packet::PubRel { id, .. } => {
                self.held.remove(&id.get());
                self.replies.push_back(ack(PUBCOMP, id.get()).into());
            }
            Packet::Subscribe(subscribe) => {
                let codes: Vec<u8> = subscribe.filters().map(|(_, qos)| qos as u8).collect();
                self.replies.push_back(suback(subscribe.id.get(), &codes));
            }
            Packet::Unsubscribe(unsubscribe) => {
                self.replies.push_back(ack(UNSUBACK, unsubscribe.id.get()).into());
            }
            Packet::PingReq => self.replies.push_back(PINGRESP.into()),
            Packet::Connect(connect) => self.clean = connect.clean_session,
            Packet::Publish(_)
            | Packet::PubAck(_)
            | Packet::PubRec(_)
            | Packet::PubComp(_)
            | Packet::Disconnect => {}
            Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => {
                panic!("a client sent {packet:?}");
            }
        }
    }
}
