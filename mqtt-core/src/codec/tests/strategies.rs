//! Packets for property tests: any packet that can be encoded. They own their parts, so that proptest can shrink them.

use std::{string::String, vec, vec::Vec};

use proptest::{collection, option, prelude::*, sample::select};

use super::codec::{
    ConnAck, Connect, Filter, Granted, Login, Packet, PacketId, Protocol, Publish, QoS, Refusal,
    SubAck, Subscribe, Topic, Unsubscribe, Will,
};

/// A packet that owns its parts.
#[derive(Clone, Debug)]
pub(super) enum Owned {
    /// A packet without fields of variable length.
    Fixed(Packet<'static>),
    Connect(OwnedConnect),
    Publish(OwnedPublish),
    Subscribe {
        id: PacketId,
        dup: bool,
        filters: Vec<(String, QoS)>,
    },
    SubAck {
        id: PacketId,
        codes: Vec<u8>,
    },
    Unsubscribe {
        id: PacketId,
        dup: bool,
        filters: Vec<String>,
    },
}

#[derive(Clone, Debug)]
pub(super) struct OwnedConnect {
    pub(super) protocol: Protocol,
    pub(super) client_id: String,
    pub(super) clean_session: bool,
    pub(super) keep_alive: u16,
    pub(super) will: Option<(String, Vec<u8>, QoS, bool)>,
    pub(super) login: Option<(String, Option<Vec<u8>>)>,
}

#[derive(Clone, Debug)]
pub(super) struct OwnedPublish {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) dup: bool,
    pub(super) id: PacketId,
}

impl Owned {
    /// Gives the packet, which borrows from this, to `test`.
    pub(super) fn with<R>(&self, test: impl FnOnce(&Packet<'_>) -> R) -> R {
        match self {
            Self::Fixed(packet) => test(packet),
            Self::Connect(connect) => test(&Packet::Connect(connect.borrow())),
            Self::Publish(publish) => test(&Packet::Publish(publish.borrow())),
            Self::Subscribe { id, dup, filters } => {
                let filters: Vec<_> =
                    filters.iter().map(|(text, qos)| (Filter::new(text).unwrap(), *qos)).collect();
                let mut subscribe = Subscribe::new(*id, &filters);
                subscribe.dup = *dup;
                test(&Packet::Subscribe(subscribe))
            }
            Self::SubAck { id, codes } => {
                let granted = Granted::from_bytes(codes).unwrap();
                test(&Packet::SubAck(SubAck { id: *id, granted }))
            }
            Self::Unsubscribe { id, dup, filters } => {
                let filters: Vec<_> =
                    filters.iter().map(|text| Filter::new(text).unwrap()).collect();
                let mut unsubscribe = Unsubscribe::new(*id, &filters);
                unsubscribe.dup = *dup;
                test(&Packet::Unsubscribe(unsubscribe))
            }
        }
    }
}

impl OwnedConnect {
    pub(super) fn borrow(&self) -> Connect<'_> {
        Connect {
            protocol: self.protocol,
            client_id: &self.client_id,
            clean_session: self.clean_session,
            keep_alive: self.keep_alive,
            will: self.will.as_ref().map(|(topic, payload, qos, retain)| {
                Will::new(Topic::new(topic).unwrap(), payload).qos(*qos).retain(*retain)
            }),
            login: self
                .login
                .as_ref()
                .map(|(user, password)| Login::new(user, password.as_deref())),
        }
    }
}

impl OwnedPublish {
    pub(super) fn borrow(&self) -> Publish<'_> {
        let above_0 = self.qos != QoS::AtMostOnce;
        let mut publish = Publish::new(Topic::new(&self.topic).unwrap(), &self.payload)
            .qos(self.qos)
            .retain(self.retain);
        publish.dup = self.dup && above_0;
        publish.id = above_0.then_some(self.id);
        publish
    }
}

/// Any packet that can be encoded in this version.
pub(super) fn packet_of(protocol: Protocol) -> impl Strategy<Value = Owned> {
    prop_oneof![
        3 => connect(protocol).prop_map(Owned::Connect),
        1 => connack(protocol).prop_map(|connack| Owned::Fixed(Packet::ConnAck(connack))),
        3 => publish().prop_map(Owned::Publish),
        1 => id().prop_map(|id| Owned::Fixed(Packet::PubAck(id))),
        1 => id().prop_map(|id| Owned::Fixed(Packet::PubRec(id))),
        1 => (id(), dup(protocol))
            .prop_map(|(id, dup)| Owned::Fixed(Packet::PubRel { id, dup })),
        1 => id().prop_map(|id| Owned::Fixed(Packet::PubComp(id))),
        2 => (id(), dup(protocol), collection::vec((filter(), qos()), 1..5))
            .prop_map(|(id, dup, filters)| Owned::Subscribe { id, dup, filters }),
        2 => (id(), codes()).prop_map(|(id, codes)| Owned::SubAck { id, codes }),
        2 => (id(), dup(protocol), collection::vec(filter(), 1..5))
            .prop_map(|(id, dup, filters)| Owned::Unsubscribe { id, dup, filters }),
        1 => id().prop_map(|id| Owned::Fixed(Packet::UnsubAck(id))),
        1 => select(&[Packet::PingReq, Packet::PingResp, Packet::Disconnect][..])
            .prop_map(Owned::Fixed),
    ]
}

fn connect(protocol: Protocol) -> impl Strategy<Value = OwnedConnect> {
    let will = (topic(), payload(), qos(), any::<bool>());
    let login = (text(0..12), option::of(payload()));
    let fields = (option::of(will), option::of(login), any::<bool>(), any::<u16>());
    (client_id(protocol), fields).prop_map(
        move |(client_id, (will, login, clean_session, keep_alive))| {
            let clean_session = clean_session || client_id.is_empty();
            OwnedConnect { protocol, client_id, clean_session, keep_alive, will, login }
        },
    )
}

fn client_id(protocol: Protocol) -> impl Strategy<Value = String> {
    match protocol {
        Protocol::V31 => text(1..24),
        Protocol::V311 => text(0..40),
    }
}

fn connack(protocol: Protocol) -> impl Strategy<Value = ConnAck> {
    (0_u8..=5, any::<bool>()).prop_map(move |(code, present)| match Refusal::from_code(code) {
        Some(refusal) => ConnAck { session_present: false, result: Err(refusal) },
        None => ConnAck { session_present: present && protocol == Protocol::V311, result: Ok(()) },
    })
}

pub(super) fn publish() -> impl Strategy<Value = OwnedPublish> {
    let flags = (qos(), any::<bool>(), any::<bool>());
    (topic(), payload(), flags, id()).prop_map(|(topic, payload, (qos, retain, dup), id)| {
        OwnedPublish { topic, payload, qos, retain, dup, id }
    })
}

/// SUBACK codes.
fn codes() -> impl Strategy<Value = Vec<u8>> {
    collection::vec(select(&[0, 1, 2, 0x80][..]), 1..8)
}

/// DUP of a PUBREL, SUBSCRIBE or UNSUBSCRIBE.
fn dup(protocol: Protocol) -> impl Strategy<Value = bool> {
    any::<bool>().prop_map(move |dup| dup && protocol == Protocol::V31)
}

pub(super) fn qos() -> impl Strategy<Value = QoS> {
    select(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][..])
}

fn id() -> impl Strategy<Value = PacketId> {
    (1..=u16::MAX).prop_map(|id| PacketId::new(id).unwrap())
}

/// Sometimes long enough for a remaining length of two bytes.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![3 => collection::vec(any::<u8>(), 0..40), 1 => collection::vec(any::<u8>(), 90..300)]
}

fn topic() -> impl Strategy<Value = String> {
    text(1..20).prop_map(|text| text.replace(['+', '#'], "/"))
}

fn filter() -> impl Strategy<Value = String> {
    let level = prop_oneof![
        2 => text(0..8).prop_map(|text| text.replace(['+', '#'], "x")),
        1 => Just(String::from("+")),
    ];
    (collection::vec(level, 1..4), any::<bool>()).prop_map(|(mut levels, hash)| {
        if hash || levels == [""] {
            levels.push(String::from("#"));
        }
        levels.join("/")
    })
}

/// `len` characters. Half of them are ASCII, and none is U+0000.
fn text(len: core::ops::Range<usize>) -> impl Strategy<Value = String> {
    let character = prop_oneof![
        prop::char::range('\u{1}', '\u{7F}'),
        any::<char>().prop_map(|character| if character == '\0' { '/' } else { character }),
    ];
    collection::vec(character, len).prop_map(|characters| characters.into_iter().collect())
}
