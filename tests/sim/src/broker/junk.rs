//! Messages that a client cannot take whatever it does: their topics break a rule, or are longer than its buffer.

use mqtt_core::codec::PacketType;

use super::{Outlet, Post, session::Session};
use crate::{
    link::Way,
    quirks::Quirk,
    stage::Stage,
    trace::{Summary, What},
};

/// Longer than any buffer of a device.
const LONG: usize = 1_000;

/// What is wrong with a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Junk {
    NotUtf8,
    Nul,
    Wildcard,
    Empty,
    Long,
}

impl Junk {
    fn topic(self) -> Vec<u8> {
        match self {
            Self::NotUtf8 => b"t/\xC3\x28/\xED\xA0\x80".to_vec(),
            Self::Nul => b"t/\0/a".to_vec(),
            Self::Wildcard => b"t/+/a".to_vec(),
            Self::Empty => Vec::new(),
            Self::Long => [b"t/".as_slice(), &vec![b'x'; LONG]].concat(),
        }
    }
}

impl Session {
    /// Queues a message that the device cannot take, now and then. A client that ends the connection at an unreadable
    /// topic gets such a message only once, at QoS 0.
    pub(super) fn queues_junk(&mut self, stage: &mut Stage<'_>, quirks: &[Quirk]) {
        let unreadable = [Junk::NotUtf8, Junk::Nul, Junk::Wildcard, Junk::Empty];
        for (quirk, kinds) in
            [(Quirk::UnreadableTopics, &unreadable[..]), (Quirk::LongTopics, &[Junk::Long])]
        {
            if quirks.contains(&quirk) && stage.fault_one_in(12) {
                let once = quirk == Quirk::UnreadableTopics && !self.takes_junk;
                let most = if once { 1 } else { 3 };
                let junk = *crate::setup::pick(&mut stage.rng, kinds);
                let qos = crate::setup::qos(stage.rng.u32(..most));
                let retain = stage.rng.bool();
                let post = Post { number: None, topic: 0, qos, retain, junk: Some(junk) };
                stage.quirk(self.pair.device, quirk);
                self.post(stage, post);
            }
        }
    }
}

impl Outlet<'_, '_> {
    /// Sends a PUBLISH that no codec makes.
    pub(super) fn send_junk(&mut self, junk: Junk, id: Option<u16>, post: &Post, dup: bool) {
        let topic = junk.topic();
        let mut body = (topic.len() as u16).to_be_bytes().to_vec();
        body.extend(topic);
        body.extend(id.into_iter().flat_map(u16::to_be_bytes));
        body.extend(b"junk");
        let flags = u8::from(dup) << 3 | (post.qos as u8) << 1 | u8::from(post.retain);
        let mut packet = vec![(PacketType::Publish as u8) << 4 | flags];
        let len = body.len();
        match len {
            0..128 => packet.push(len as u8),
            _ => packet.extend([(len % 128) as u8 | 128, (len / 128) as u8]),
        }
        packet.extend(body);
        let summary = Summary {
            broker: self.link.broker as u8,
            kind: PacketType::Publish,
            id: id.unwrap_or(0),
            dup,
            qos: post.qos,
            number: None,
        };
        self.stage.note(self.link.device, What::BrokerSent(summary));
        self.link.write(self.stage, Way::Down, &packet);
    }
}
