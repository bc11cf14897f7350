//! Every packet goes through `mqttbytes::v4` as well, in both directions, and each difference of the two crates is
//! shown.
//!
//! `docs/mqttbytes-differences.md` lists the differences and says which crate is right. Each row there names its test
//! in `differences`. The properties compare both directions of the conversions, so an error would have to be made twice
//! to stay hidden.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod differences;
#[path = "../../src/codec/tests/strategies.rs"]
mod strategies;

use bytes::BytesMut;
use mqtt_core::{
    Protocol,
    codec::{
        self, Decoded, EncodeError, Packet, Violation,
        interop::{Converted, NoForm},
    },
};
use mqttbytes::{Error, v4};
use proptest::{collection, option, prelude::*, sample};

use differences::ACCEPTED_BY_THEM;

const V311: Protocol = Protocol::V311;

fn ours_encoded(packet: &Packet<'_>) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = vec![0; packet.encoded_len()?];
    packet.encode(&mut bytes, V311)?;
    Ok(bytes)
}

fn theirs_encoded(packet: &v4::Packet) -> Result<Vec<u8>, Error> {
    let mut out = BytesMut::new();
    match packet {
        v4::Packet::Connect(packet) => packet.write(&mut out),
        v4::Packet::ConnAck(packet) => packet.write(&mut out),
        v4::Packet::Publish(packet) => packet.write(&mut out),
        v4::Packet::PubAck(packet) => packet.write(&mut out),
        v4::Packet::PubRec(packet) => packet.write(&mut out),
        v4::Packet::PubRel(packet) => packet.write(&mut out),
        v4::Packet::PubComp(packet) => packet.write(&mut out),
        v4::Packet::Subscribe(packet) => packet.write(&mut out),
        v4::Packet::SubAck(packet) => packet.write(&mut out),
        v4::Packet::Unsubscribe(packet) => packet.write(&mut out),
        v4::Packet::UnsubAck(packet) => packet.write(&mut out),
        v4::Packet::PingReq => v4::PingReq.write(&mut out),
        v4::Packet::PingResp => v4::PingResp.write(&mut out),
        v4::Packet::Disconnect => v4::Disconnect.write(&mut out),
    }?;
    Ok(out.to_vec())
}

/// The bytes as exactly one packet, decoded by this crate.
fn ours(bytes: &[u8]) -> Result<Packet<'_>, Violation> {
    match Packet::decode(bytes, V311)? {
        Decoded::Packet { packet, len } => {
            assert_eq!(len, bytes.len());
            Ok(packet)
        }
        Decoded::NeedMore(missing) => panic!("{missing} bytes are missing"),
    }
}

/// The bytes as exactly one packet, decoded by `mqttbytes`.
fn theirs(bytes: &[u8]) -> Result<v4::Packet, Error> {
    v4::read(&mut BytesMut::from(bytes), usize::MAX)
}

/// A packet of `mqttbytes` of any kind. Many of them may not be sent.
fn any_of_theirs() -> impl Strategy<Value = v4::Packet> {
    let text = || prop_oneof![3 => "[ -~]{0,6}", 1 => ".{0,3}", 1 => "[a+#/\0]{0,3}"];
    let pkid = || prop_oneof![1 => Just(0), 6 => any::<u16>()];
    let qos = || strategies::qos().prop_map(mqttbytes::QoS::from);
    let payload = || collection::vec(any::<u8>(), 0..9);
    let code = prop_oneof![
        qos().prop_map(v4::SubscribeReasonCode::Success),
        Just(v4::SubscribeReasonCode::Failure),
    ];
    let protocols = [mqttbytes::Protocol::V4, mqttbytes::Protocol::V4, mqttbytes::Protocol::V5];
    let will = (text(), payload(), qos(), any::<bool>())
        .prop_map(|(topic, payload, qos, retain)| v4::LastWill::new(topic, payload, qos, retain));
    let login = (text(), text()).prop_map(|(user, password)| v4::Login::new(user, password));
    let connect = (
        sample::select(protocols.to_vec()),
        (any::<u16>(), text(), any::<bool>()),
        option::of(will),
        option::of(login),
    )
        .prop_map(|(protocol, (keep_alive, client_id, clean_session), last_will, login)| {
            v4::Connect { protocol, keep_alive, client_id, clean_session, last_will, login }
        });
    let publish = ((any::<bool>(), qos(), any::<bool>()), text(), pkid(), payload()).prop_map(
        |((dup, qos, retain), topic, pkid, payload)| v4::Publish {
            dup,
            retain,
            pkid,
            ..v4::Publish::new(topic, qos, payload)
        },
    );
    let subscribe = (pkid(), collection::vec((text(), qos()), 0..4)).prop_map(|(pkid, filters)| {
        let filters = filters.into_iter().map(|(path, qos)| v4::SubscribeFilter::new(path, qos));
        v4::Subscribe { pkid, filters: filters.collect() }
    });
    let suback = (pkid(), collection::vec(code, 0..4));
    let unsubscribe = (pkid(), collection::vec(text(), 0..4));
    let connack = (0..6_u8, any::<bool>()).prop_map(|(code, present)| {
        let result = codec::Refusal::from_code(code).map_or(Ok(()), Err);
        v4::ConnAck::from(&codec::ConnAck { session_present: present, result })
    });
    prop_oneof![
        4 => connect.prop_map(v4::Packet::Connect),
        1 => connack.prop_map(v4::Packet::ConnAck),
        4 => publish.prop_map(v4::Packet::Publish),
        1 => pkid().prop_map(|pkid| v4::Packet::PubAck(v4::PubAck::new(pkid))),
        1 => pkid().prop_map(|pkid| v4::Packet::PubRec(v4::PubRec::new(pkid))),
        1 => pkid().prop_map(|pkid| v4::Packet::PubRel(v4::PubRel::new(pkid))),
        1 => pkid().prop_map(|pkid| v4::Packet::PubComp(v4::PubComp::new(pkid))),
        2 => subscribe.prop_map(v4::Packet::Subscribe),
        2 => suback.prop_map(|(pkid, codes)| v4::Packet::SubAck(v4::SubAck::new(pkid, codes))),
        2 => unsubscribe
            .prop_map(|(pkid, topics)| v4::Packet::Unsubscribe(v4::Unsubscribe { pkid, topics })),
        1 => pkid().prop_map(|pkid| v4::Packet::UnsubAck(v4::UnsubAck { pkid })),
        1 => sample::select(vec![
            v4::Packet::PingReq,
            v4::Packet::PingResp,
            v4::Packet::Disconnect,
        ]),
    ]
}

/// A packet with a few bytes changed.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let changes = collection::vec((any::<sample::Index>(), any::<u8>()), 1..4);
    (strategies::packet_of(V311), changes).prop_map(|(owned, changes)| {
        let mut bytes = owned.with(|packet| ours_encoded(packet).unwrap());
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

proptest! {
    #[test]
    fn what_we_encode_they_decode_to_the_converted_packet(owned in strategies::packet_of(V311)) {
        owned.with(|packet| match v4::Packet::try_from(packet) {
            Ok(converted) => {
                assert_eq!(theirs(&ours_encoded(packet).unwrap()), Ok(converted));
            }
            Err(error) => {
                let Packet::Connect(connect) = packet else { panic!("{error}: {packet:?}") };
                let of_3_1 = connect.protocol == Protocol::V31;
                assert_eq!(error, if of_3_1 { NoForm::Protocol } else { NoForm::Login });
            }
        });
    }

    #[test]
    fn what_they_encode_we_decode_to_the_converted_packet(owned in strategies::packet_of(V311)) {
        owned.with(|packet| {
            let Ok(converted) = v4::Packet::try_from(packet) else { return };
            let bytes = theirs_encoded(&converted).unwrap();
            assert_eq!(bytes, ours_encoded(packet).unwrap(), "byte for byte");
            assert_eq!(ours(&bytes).as_ref(), Ok(packet));
            assert_eq!(Converted::try_from(&converted).unwrap().packet(), *packet, "and back");
        });
    }

    #[test]
    fn of_all_they_encode_we_take_exactly_what_we_can_convert_and_encode(
        packet in any_of_theirs(),
    ) {
        let Ok(bytes) = theirs_encoded(&packet) else { return Ok(()) };
        let converted = Converted::try_from(&packet);
        let expected = converted.as_ref().map(Converted::packet);
        let encoded = expected.as_ref().map(ours_encoded);
        match (encoded, ours(&bytes)) {
            (Ok(Ok(encoded)), Ok(read)) => {
                prop_assert_eq!(&encoded, &bytes);
                prop_assert_eq!(Ok(&read), expected.as_ref());
            }
            (Err(_) | Ok(Err(_)), Err(_)) => {}
            other => prop_assert!(false, "{packet:?}: {other:?}"),
        }
    }

    #[test]
    fn of_any_frame_we_differ_only_as_listed(bytes in damaged()) {
        let frame = match codec::Header::decode(&bytes) {
            Ok(Some(header)) if header.frame_len() <= bytes.len() => &bytes[..header.frame_len()],
            Ok(_) | Err(_) => return Ok(()),
        };
        match (ours(frame), theirs(frame)) {
            (Ok(ours), theirs) => match v4::Packet::try_from(&ours) {
                Ok(converted) => prop_assert_eq!(theirs, Ok(converted)),
                // Passwords that are not UTF-8, empty fields, 3.1: the rows about logins and versions.
                Err(NoForm::Login | NoForm::Protocol) => {}
                Err(error) => prop_assert!(false, "{error}: {ours:?}"),
            },
            (Err(violation), Ok(theirs)) => prop_assert!(
                ACCEPTED_BY_THEM.contains(&violation),
                "they accept {theirs:?} in spite of {violation:?}"
            ),
            (Err(_), Err(_)) => {}
        }
    }
}
