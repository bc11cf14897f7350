//! The other end in virtual time: a broker for one client that keeps its session, and holds it to its keep alive.

use std::collections::BTreeSet;

use mqtt_core::codec::{ConnAck, Decoded, Packet, Protocol};

use crate::Error;

/// A broker.
#[derive(Clone, Debug, Default)]
pub(crate) struct Broker {
    input: Vec<u8>,
    has_session: bool,
    keep_alive: u64,
    heard: u64,
    /// Topics and payloads that came: one that is sent again counts once.
    pub(crate) messages: BTreeSet<(Vec<u8>, Vec<u8>)>,
    pub(crate) pings: u64,
    /// The longest silence of a connection, in milliseconds.
    pub(crate) longest_silence: u64,
    /// How often the client was silent for more than one and a half keep alive [MQTT-3.1.2-24].
    pub(crate) expired: u64,
}

impl Broker {
    /// A new connection.
    pub(crate) fn opened(&mut self, at: u64) {
        self.input.clear();
        self.heard = at;
    }

    /// Takes bytes that came at this time; gives the answers.
    pub(crate) fn receive(&mut self, bytes: &[u8], at: u64) -> Result<Vec<u8>, Error> {
        let silence = at.saturating_sub(self.heard);
        self.longest_silence = self.longest_silence.max(silence);
        if self.keep_alive != 0 && silence * 2 > self.keep_alive * 3 {
            self.expired += 1;
        }
        self.heard = at;
        self.input.extend_from_slice(bytes);
        let mut answers = Vec::new();
        let input = std::mem::take(&mut self.input);
        let mut rest = input.as_slice();
        while let Decoded::Packet { packet, len } = Packet::decode(rest, Protocol::V311)? {
            self.answer(&packet, &mut answers)?;
            rest = rest.get(len..).unwrap_or_default();
        }
        self.input = rest.to_vec();
        Ok(answers)
    }

    fn answer(&mut self, packet: &Packet<'_>, answers: &mut Vec<u8>) -> Result<(), Error> {
        let answer = match packet {
            Packet::Connect(connect) => {
                self.keep_alive = u64::from(connect.keep_alive) * 1_000;
                let session_present = std::mem::replace(&mut self.has_session, true);
                Packet::ConnAck(ConnAck { session_present, result: Ok(()) })
            }
            Packet::Publish(publish) => {
                let topic = publish.topic.as_bytes().to_vec();
                self.messages.insert((topic, publish.payload.to_vec()));
                let Some(id) = publish.id else { return Ok(()) };
                Packet::PubAck(id)
            }
            Packet::Subscribe(subscribe) => {
                // The only subscription has one filter, and is granted at QoS 1.
                let [high, low] = subscribe.id.get().to_be_bytes();
                answers.extend([0x90, 3, high, low, 1]);
                return Ok(());
            }
            Packet::PingReq => {
                self.pings += 1;
                Packet::PingResp
            }
            Packet::ConnAck(_)
            | Packet::PubAck(_)
            | Packet::PubRec(_)
            | Packet::PubRel { .. }
            | Packet::PubComp(_)
            | Packet::SubAck(_)
            | Packet::Unsubscribe(_)
            | Packet::UnsubAck(_)
            | Packet::PingResp
            | Packet::Disconnect => return Ok(()),
        };
        let start = answers.len();
        answers.resize(start + answer.encoded_len()?, 0);
        answer.encode(answers.get_mut(start..).unwrap_or_default(), Protocol::V311)?;
        Ok(())
    }
}
