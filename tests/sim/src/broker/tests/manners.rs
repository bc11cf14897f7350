//! Each of the bad manners against scripted packets.

use mqtt_core::{
    Filter, Protocol, Publish, QoS,
    codec::{Connect, Decoded, Packet, PacketType, Subscribe, Unsubscribe},
};

use super::{Script, connect, kinds, packet_id, pair, pubrel, setup};
use crate::{
    broker::{Manners, Post, junk::Junk},
    link::Way,
    quirks::Quirk,
    setup::BrokerSetup,
    topics,
    trace::Trace,
};

const FOR_EVER: u32 = u32::MAX;

fn broker(quirk: Quirk) -> BrokerSetup {
    let manners = Manners { quirks: vec![quirk], lasts: FOR_EVER, ..Manners::default() };
    BrokerSetup { manners, ..setup() }
}

/// The quirks that showed.
fn shown(script: &Script<'_>) -> Vec<Quirk> {
    script.stage.totals.quirks_shown()
}

/// [MQTT-3.3.5-2]
#[test]
fn a_broker_closes_at_what_it_does_not_allow() {
    let plain = || Publish::new(topics::topic(0), b"abcd").qos(QoS::AtLeastOnce);
    let publish = |topic| {
        let id = Some(packet_id(1));
        Packet::Publish(Publish { topic: topics::topic(topic), id, ..plain() })
    };
    let many: Vec<_> = topics::FILTERS[..9]
        .iter()
        .map(|filter| (Filter::new(filter).expect("one"), QoS::AtMostOnce))
        .collect();
    let subscribe = |count| Packet::Subscribe(Subscribe::new(packet_id(9), &many[..count]));
    for (quirk, bad, good) in [
        (Quirk::ClosesAtTopic, publish(0), publish(1)),
        (Quirk::ClosesAtBlank, publish(3), publish(0)),
        (Quirk::ClosesAtSize, publish(3), publish(0)),
        (Quirk::ClosesAtFilter, subscribe(1), Packet::PingReq),
        (Quirk::ClosesAtManyFilters, subscribe(9), subscribe(8)),
        (Quirk::ClosesAtPubRel, pubrel(1), publish(0)),
    ] {
        let mut trace = Trace::default();
        let mut setup = broker(quirk);
        // The packet with a topic of five letters has 15 bytes.
        setup.manners.largest = 15;
        let mut script = Script::new(&mut trace, setup);
        script.message(0, 0, QoS::AtLeastOnce, false);
        let link = script.connect(0, false);
        if matches!(good, Packet::Publish(_)) {
            // Its payload belongs to no message of this world.
            assert!(script.brokers[0].manners().close_at(0, &good, 15).is_none(), "{quirk:?}");
        } else {
            script.say(link, &good);
            assert!(script.links[link].broker_open, "{quirk:?}");
        }
        script.say(link, &bad);
        assert!(!script.links[link].broker_open, "{quirk:?}");
        assert_eq!((shown(&script), script.broken()), (vec![quirk], None));
    }
}

/// [MQTT-4.3.2-2]
#[test]
fn one_publish_is_ignored_for_some_connections() {
    let mut trace = Trace::default();
    let mut setup = broker(Quirk::IgnoresPublish);
    setup.manners.lasts = 2;
    let mut script = Script::new(&mut trace, setup);
    let numbers = [0, 1].map(|index| script.message(0, index, QoS::AtLeastOnce, false));
    for again in [false, true] {
        let link = script.connect(0, false);
        assert!(script.publish(link, numbers[0], 1, again).is_empty());
    }
    let link = script.connect(0, false);
    assert_eq!(kinds(&script.publish(link, numbers[0], 1, true)), [(PacketType::PubAck, 1)]);
    assert_eq!(kinds(&script.publish(link, numbers[1], 2, false)), [(PacketType::PubAck, 2)]);
    assert_eq!((script.arrived(numbers[0]), script.broken()), (1, None));
}

/// [MQTT-4.3.3-2]
#[test]
fn a_pubrel_is_taken_and_not_answered() {
    let mut trace = Trace::default();
    let mut script = Script::new(&mut trace, broker(Quirk::IgnoresPubRel));
    let number = script.message(0, 0, QoS::ExactlyOnce, false);
    let link = script.connect(0, false);
    script.publish(link, number, 1, false);
    assert!(script.say(link, &pubrel(1)).is_empty());
    assert_eq!((script.arrived(number), shown(&script)), (1, vec![Quirk::IgnoresPubRel]));
}

/// [MQTT-4.3.3-1]
#[test]
fn one_pubrec_is_ignored_and_its_message_sent_again() {
    let mut trace = Trace::default();
    let setup = BrokerSetup { method_b: true, ..broker(Quirk::IgnoresPubRec) };
    let (mut script, publisher, subscriber) = pair(&mut trace, setup, QoS::ExactlyOnce);
    for index in 0..2 {
        let number = script.message(0, index, QoS::ExactlyOnce, false);
        script.publish(publisher, number, 1 + index as u16, false);
    }
    script.hear(subscriber);
    assert!(script.say(subscriber, &Packet::PubRec(packet_id(1))).is_empty());
    let heard = script.say(subscriber, &Packet::PubRec(packet_id(2)));
    assert_eq!(kinds(&heard), [(PacketType::PubRel, 2)]);
    let link = script.link(1);
    let heard = script.say(link, &connect(1, false));
    let again = [(PacketType::ConnAck, 0), (PacketType::Publish, 1), (PacketType::PubRel, 2)];
    assert_eq!(kinds(&heard), again);
    script.say(link, &Packet::PubComp(packet_id(2)));
    assert!(script.brokers[0].session(1).is_idle(&script.stage.ledger), "message 1 does not count");
}

#[test]
fn acknowledgements_come_twice_later_again_or_for_unknown_ids() {
    for quirk in
        [Quirk::AnswersTwice, Quirk::AnswersLate, Quirk::AnswersUnknown, Quirk::RepeatsPubRec]
    {
        let mut trace = Trace::default();
        let mut script = Script::new(&mut trace, broker(quirk));
        let link = script.connect(0, false);
        let mut more = Vec::new();
        for index in 0..20 {
            let number = script.message(0, index, QoS::ExactlyOnce, false);
            let id = index as u16 + 1;
            let heard = script.publish(link, number, id, false);
            assert_eq!(kinds(&heard)[0], (PacketType::PubRec, id));
            more.extend(kinds(&heard).split_off(1));
        }
        assert!(!more.is_empty() && shown(&script) == [quirk], "{quirk:?}: {more:?}");
        let unknown = more.iter().any(|(_, id)| *id > 20);
        assert_eq!(unknown, quirk == Quirk::AnswersUnknown, "{more:?}");
        // The client answers each PUBREC, so a PUBREL may come twice.
        script.say(link, &pubrel(1));
        script.say(link, &pubrel(1));
        assert_eq!(script.broken(), None);
    }
}

/// [MQTT-3.10.4-4]
#[test]
fn an_unsubscribe_of_two_filters_gets_two_unsubacks() {
    let mut trace = Trace::default();
    let mut script = Script::new(&mut trace, broker(Quirk::UnsubAckEach));
    let link = script.connect(0, false);
    let filters = [0, 1].map(topics::filter);
    let unsubscribe = Packet::Unsubscribe(Unsubscribe::new(packet_id(3), &filters));
    assert_eq!(kinds(&script.say(link, &unsubscribe)), [(PacketType::UnsubAck, 3); 2]);
}

/// [MQTT-4.3.3-2]
#[test]
fn a_broker_without_qos_2_answers_with_puback_and_takes_each_repetition() {
    let mut trace = Trace::default();
    let mut script = Script::new(&mut trace, broker(Quirk::PubAckAtQos2));
    let number = script.message(0, 0, QoS::ExactlyOnce, false);
    for (again, times) in [(false, 1), (true, 2)] {
        let link = script.connect(0, false);
        let heard = script.publish(link, number, 1, again);
        assert_eq!(kinds(&heard), [(PacketType::PubAck, 1)]);
        assert_eq!((script.arrived(number), script.broken()), (times, None));
    }
}

/// [MQTT-3.2.2-1], [MQTT-3.2.2-2]
#[test]
fn session_present_is_wrong_in_both_directions() {
    for (quirk, clean, expected) in
        [(Quirk::PresentThoughClean, true, [1, 1]), (Quirk::AbsentThoughKept, false, [0, 0])]
    {
        let mut trace = Trace::default();
        let mut script = Script::new(&mut trace, broker(quirk));
        let present = [(); 2].map(|()| {
            let link = script.link(0);
            let mut bytes = [0; 64];
            let len = connect(0, clean).encode(&mut bytes, Protocol::V311).expect("a CONNECT");
            script.links[link].write(&mut script.stage, Way::Up, &bytes[..len]);
            script.settle();
            let mut heard = Vec::new();
            script.links[link].read(Way::Down, usize::MAX, &mut heard);
            heard[2]
        });
        assert_eq!((present, shown(&script)), (expected, vec![quirk]));
    }
}

/// [MQTT-3.9.3-2] is of 3.1.1.
#[test]
fn a_filter_is_refused_in_3_1() {
    let mut trace = Trace::default();
    let mut setup = broker(Quirk::RefusesIn31);
    setup.grants[0] = None;
    let mut script = Script::new(&mut trace, setup);
    let link = script.link(0);
    let Packet::Connect(plain) = connect(0, false) else { panic!("a CONNECT") };
    let filters = [(topics::filter(0), QoS::AtLeastOnce)];
    let subscribe = Packet::Subscribe(Subscribe::new(packet_id(9), &filters));
    for packet in [Packet::Connect(Connect { protocol: Protocol::V31, ..plain }), subscribe] {
        let mut bytes = [0; 64];
        let len = packet.encode(&mut bytes, Protocol::V31).expect("a packet of a test");
        script.links[link].write(&mut script.stage, Way::Up, &bytes[..len]);
        script.settle();
    }
    let mut heard = Vec::new();
    script.links[link].read(Way::Down, usize::MAX, &mut heard);
    assert_eq!(heard[4..], [0x90, 3, 0, 9, 0x80]);
}

/// [MQTT-3.12.4-1]
#[test]
fn a_pingresp_is_left_out_only_if_other_bytes_follow_the_pingreq() {
    let mut trace = Trace::default();
    let setup = broker(Quirk::WithholdsPingResp);
    let (mut script, publisher, subscriber) = pair(&mut trace, setup, QoS::AtMostOnce);
    let heard = script.say(subscriber, &Packet::PingReq);
    assert_eq!(kinds(&heard), [(PacketType::PingResp, 0)]);
    let number = script.message(0, 0, QoS::AtMostOnce, false);
    let mut payload = Vec::new();
    script.stage.ledger.write_payload(number, &mut payload);
    // Both packets are on the way at once.
    let mut bytes = [0; 64];
    let publish = Packet::Publish(Publish::new(topics::topic(0), &payload));
    for (link, packet) in [(subscriber, Packet::PingReq), (publisher, publish)] {
        let len = packet.encode(&mut bytes, Protocol::V311).expect("a packet of a test");
        script.links[link].write(&mut script.stage, Way::Up, &bytes[..len]);
    }
    script.settle();
    assert_eq!(kinds(&script.hear(subscriber)), [(PacketType::Publish, 0)]);
}

/// [MQTT-1.5.3-1], [MQTT-1.5.3-2], [MQTT-3.3.2-2], [MQTT-4.7.3-1]
#[test]
fn junk_breaks_the_rule_that_it_is_meant_to_break() {
    for junk in [Junk::NotUtf8, Junk::Nul, Junk::Wildcard, Junk::Empty, Junk::Long] {
        let mut trace = Trace::default();
        let (mut script, _, subscriber) = pair(&mut trace, setup(), QoS::AtMostOnce);
        let qos = QoS::AtLeastOnce;
        let post = Post { number: None, topic: 0, qos, retain: false, junk: Some(junk) };
        script.brokers[0].sessions[1].post(&mut script.stage, post);
        // The PINGREQ makes the broker send.
        script.say_only(subscriber, &Packet::PingReq);
        let mut bytes = Vec::new();
        script.links[subscriber].read(Way::Down, usize::MAX, &mut bytes);
        let decoded = Packet::decode(&bytes, Protocol::V311);
        let readable = matches!(decoded, Ok(Decoded::Packet { len: 1_013, .. }));
        assert_eq!(readable, junk == Junk::Long, "{junk:?}: {decoded:?}");
        assert_eq!(decoded.is_err(), junk != Junk::Long, "{junk:?}");
        script.say_only(subscriber, &Packet::PubAck(packet_id(1)));
        assert!(
            script.brokers[0].session(1).is_idle(&script.stage.ledger) && script.broken().is_none()
        );
    }
}

/// [MQTT-4.3.3-2]
#[test]
fn some_brokers_mind_a_pubrel_for_an_id_that_they_do_not_know() {
    for (quirk, open) in
        [(Quirk::IgnoresUnknownPubRel, true), (Quirk::ClosesAtUnknownPubRel, false)]
    {
        let mut trace = Trace::default();
        let mut script = Script::new(&mut trace, broker(quirk));
        let number = script.message(0, 0, QoS::ExactlyOnce, false);
        let link = script.connect(0, false);
        script.publish(link, number, 1, false);
        assert_eq!(kinds(&script.say(link, &pubrel(1))), [(PacketType::PubComp, 1)]);
        let link = script.connect(0, false);
        assert!(script.say(link, &pubrel(1)).is_empty());
        assert_eq!((script.links[link].broker_open, script.broken()), (open, None), "{quirk:?}");
    }
}

#[test]
fn a_filter_is_forgotten_at_a_restart() {
    let mut trace = Trace::default();
    let mut setup = broker(Quirk::ForgetsFilter);
    setup.manners.filter = 1;
    let mut script = Script::new(&mut trace, setup);
    let link = script.connect(1, false);
    script.subscribe(link, "#", QoS::AtLeastOnce);
    script.subscribe(link, "t/#", QoS::AtLeastOnce);
    script.brokers[0].crash(&mut script.stage, &mut script.links, false);
    let session = script.brokers[0].session(1);
    assert_eq!((session.granted(0), session.granted(1)), (Some(QoS::AtLeastOnce), None));
}
