//! The broker against scripted packets.

use mqtt_core::{
    Filter, PacketId, Publish, QoS,
    codec::{Connect, Packet, Subscribe},
    filter, topic,
};

use super::{Broker, Down, Method};
use crate::rules::{Rule, Set};

const ONE: QoS = QoS::AtLeastOnce;
const TWO: QoS = QoS::ExactlyOnce;
const OUTBOUND: &[QoS] = &[ONE, TWO];
const INBOUND: &[QoS] = &[TWO, ONE, TWO];

const NEW: Down = Down::ConnAck { session_present: false };
const PRESENT: Down = Down::ConnAck { session_present: true };

struct Script(Broker);

impl Script {
    fn new(method: Method) -> Self {
        Self(Broker::new(method, 2))
    }

    /// A broker with a client that is connected and subscribed.
    fn up(method: Method) -> Self {
        let mut script = Self::new(method);
        assert_eq!(script.connect(), [NEW]);
        let wanted: [(Filter<'_>, QoS); 1] = [(filter!("i"), TWO)];
        assert_eq!(
            script.take(&Packet::Subscribe(Subscribe::new(id(9), &wanted))),
            Ok(vec![Down::SubAck { id: 9, filters: 1 }])
        );
        script
    }

    fn take(&mut self, packet: &Packet<'_>) -> Result<Vec<Down>, Rule> {
        let mut answers = Vec::new();
        let verdict = self.0.take(packet, OUTBOUND, INBOUND, &mut answers);
        verdict.map(|()| answers).map_err(|broken| broken.rule)
    }

    fn clone_and_take(&self, packet: &Packet<'_>) -> Result<Vec<Down>, Rule> {
        Self(self.0.clone()).take(packet)
    }

    fn connect(&mut self) -> Vec<Down> {
        self.take(&connect(false)).expect("a CONNECT")
    }

    fn send(&mut self) -> Option<Down> {
        self.0.send(INBOUND)
    }
}

fn id(id: u16) -> PacketId {
    PacketId::new(id).expect("not 0")
}

fn connect(clean_session: bool) -> Packet<'static> {
    Packet::Connect(Connect {
        protocol: mqtt_core::Protocol::V311,
        client_id: "c",
        clean_session,
        keep_alive: 0,
        will: None,
        login: None,
    })
}

fn publish(number: u16, payload: &[u8], qos: QoS, dup: bool) -> Packet<'_> {
    let publish = Publish::new(topic!("o"), payload).qos(qos);
    Packet::Publish(Publish { id: Some(id(number)), dup, ..publish })
}

fn pubrel(number: u16) -> Packet<'static> {
    Packet::PubRel { id: id(number), dup: false }
}

#[test]
fn a_session_is_kept_from_the_first_connect_on() {
    let mut script = Script::new(Method::B);
    assert_eq!(script.connect(), [NEW]);
    script.0.disconnected();
    assert_eq!(script.connect(), [PRESENT]);
    script.0.lose_session();
    assert_eq!(script.connect(), [NEW]);
}

#[test]
fn a_qos_1_message_is_handed_on_and_acknowledged_every_time() {
    let mut script = Script::up(Method::B);
    assert_eq!(script.take(&publish(1, &[0], ONE, false)), Ok(vec![Down::PubAck(1)]));
    assert_eq!(script.0.delivered(), Set::first(1));
    assert_eq!(script.take(&publish(1, &[0], ONE, true)), Ok(vec![Down::PubAck(1)]));
}

#[test]
fn method_b_hands_on_with_the_publish_and_once() {
    let mut script = Script::up(Method::B);
    for dup in [false, true] {
        assert_eq!(script.take(&publish(2, &[1], TWO, dup)), Ok(vec![Down::PubRec(2)]));
        assert!(script.0.delivered().has(1));
    }
    assert_eq!(script.take(&pubrel(2)), Ok(vec![Down::PubComp(2)]));
    assert_eq!(
        script.take(&publish(2, &[1], TWO, true)),
        Err(Rule::ExactlyOnce),
        "behind its PUBREL it is a new message"
    );
}

#[test]
fn method_a_hands_on_with_the_pubrel_and_once() {
    let mut script = Script::up(Method::A);
    assert_eq!(script.take(&publish(2, &[1], TWO, false)), Ok(vec![Down::PubRec(2)]));
    assert_eq!(script.0.delivered(), Set::EMPTY);
    for _ in 0..2 {
        assert_eq!(script.take(&pubrel(2)), Ok(vec![Down::PubComp(2)]));
        assert!(script.0.delivered().has(1));
    }
}

/// [MQTT-4.3.3-2]
#[test]
fn a_pubrel_for_an_unknown_id_is_answered() {
    assert_eq!(Script::up(Method::A).take(&pubrel(7)), Ok(vec![Down::PubComp(7)]));
}

#[test]
fn messages_go_out_two_at_a_time_under_the_lowest_ids() {
    let mut script = Script::up(Method::B);
    let first = Down::Publish { id: 1, message: 0, qos: TWO, dup: false };
    let second = Down::Publish { id: 2, message: 1, qos: ONE, dup: false };
    assert_eq!([script.send(), script.send(), script.send()], [Some(first), Some(second), None]);
    assert_eq!(script.take(&Packet::PubAck(id(2))), Ok(vec![]));
    let third = Down::Publish { id: 2, message: 2, qos: TWO, dup: false };
    assert_eq!([script.send(), script.send()], [Some(third), None]);
}

/// [MQTT-4.4.0-1]
#[test]
fn unanswered_packets_are_sent_again_in_order() {
    let mut script = Script::up(Method::B);
    let _ = (script.send(), script.send());
    assert_eq!(script.take(&Packet::PubRec(id(1))), Ok(vec![Down::PubRel(1)]));
    script.0.disconnected();
    let again = Down::Publish { id: 2, message: 1, qos: ONE, dup: true };
    assert_eq!(script.connect(), [PRESENT, Down::PubRel(1), again]);
    assert_eq!(script.take(&Packet::PubComp(id(1))), Ok(vec![]));
    assert_eq!(script.take(&Packet::PubAck(id(2))), Ok(vec![]));
    script.0.disconnected();
    assert_eq!(script.connect(), [PRESENT]);
}

#[test]
fn with_the_session_the_subscription_and_all_that_was_in_flight_are_lost() {
    let mut script = Script::up(Method::B);
    let _ = script.send();
    script.0.lose_session();
    assert_eq!(script.connect(), [NEW]);
    assert_eq!(script.send(), None, "nobody has subscribed");
}

#[test]
fn nothing_is_sent_without_a_connection() {
    let mut script = Script::up(Method::B);
    script.0.disconnected();
    assert_eq!(script.send(), None);
}

#[test]
fn packets_that_no_client_may_send_are_refused() {
    let mut script = Script::new(Method::B);
    assert_eq!(script.take(&pubrel(1)), Err(Rule::Protocol), "ahead of the CONNECT");
    let mut script = Script::up(Method::B);
    let _ = (script.send(), script.send());
    for packet in [
        connect(false),
        Packet::PubAck(id(1)),
        Packet::PubComp(id(1)),
        Packet::PubRec(id(2)),
        Packet::PubAck(id(3)),
        Packet::PubRec(id(3)),
        publish(1, &[0], TWO, false),
        publish(1, &[7], ONE, false),
        publish(1, &[], ONE, false),
    ] {
        assert_eq!(script.take(&packet), Err(Rule::Protocol), "{packet:?}");
    }
    assert_eq!(script.take(&Packet::PubRec(id(1))), Ok(vec![Down::PubRel(1)]));
    assert_eq!(script.take(&Packet::PubRec(id(1))), Err(Rule::Protocol), "a second time");
}

#[test]
fn a_client_that_leaves_has_completed_a_message_since_it_left_last() {
    let mut script = Script::up(Method::B);
    let _ = script.send();
    assert_eq!(script.take(&Packet::Disconnect), Ok(vec![]), "to learn whether the session is new");
    script.connect();
    assert_eq!(script.clone_and_take(&Packet::Disconnect), Err(Rule::Progress));
    assert_eq!(script.take(&Packet::PubRec(id(1))), Ok(vec![Down::PubRel(1)]));
    assert_eq!(script.take(&Packet::PubComp(id(1))), Ok(vec![]));
    assert_eq!(script.take(&Packet::Disconnect), Ok(vec![]));
    assert_eq!(script.take(&Packet::PubComp(id(1))), Err(Rule::Protocol), "nothing follows");
}

#[test]
fn each_filter_counts_by_itself() {
    let mut script = Script::up(Method::B);
    assert!(script.0.has_subscriptions(1) && !script.0.has_subscriptions(2));
    let wanted: [(Filter<'_>, QoS); 2] = [(filter!("j"), TWO), (filter!("s"), TWO)];
    let subscribe = Packet::Subscribe(Subscribe::new(id(8), &wanted));
    assert_eq!(script.take(&subscribe), Ok(vec![Down::SubAck { id: 8, filters: 2 }]));
    assert!(script.0.has_subscriptions(2) && !script.0.has_subscriptions(3));
    let unknown: [(Filter<'_>, QoS); 1] = [(filter!("x"), TWO)];
    let subscribe = Packet::Subscribe(Subscribe::new(id(7), &unknown));
    assert_eq!(script.take(&subscribe), Err(Rule::Protocol));
}

#[test]
fn packets_of_the_broker_have_the_right_bytes() {
    for (down, bytes) in [
        (NEW, &[0x20, 2, 0, 0][..]),
        (PRESENT, &[0x20, 2, 1, 0]),
        (Down::PubAck(1), &[0x40, 2, 0, 1]),
        (Down::PubRec(2), &[0x50, 2, 0, 2]),
        (Down::PubRel(1), &[0x62, 2, 0, 1]),
        (Down::PubComp(2), &[0x70, 2, 0, 2]),
        (Down::SubAck { id: 9, filters: 1 }, &[0x90, 3, 0, 9, 2]),
        (Down::SubAck { id: 9, filters: 2 }, &[0x90, 4, 0, 9, 2, 2]),
        (
            Down::Publish { id: 2, message: 1, qos: TWO, dup: true },
            &[0x3C, 7, 0, 1, b'i', 0, 2, 1, 1],
        ),
    ] {
        assert_eq!(down.encode(2), bytes, "{down:?}");
    }
}

#[test]
fn a_clean_session_ends_the_former_one_and_itself() {
    let mut script = Script::up(Method::B);
    let _ = script.send();
    assert_eq!(script.take(&publish(1, &[1], TWO, false)), Ok(vec![Down::PubRec(1)]));
    script.0.disconnected();
    assert_eq!(script.take(&connect(true)), Ok(vec![NEW]));
    assert!(script.0.is_clean() && script.0.lost() == Set::first(1));
    assert_eq!(script.clone_and_take(&pubrel(1)), Err(Rule::Protocol), "only a DISCONNECT");
    assert_eq!(script.take(&Packet::Disconnect), Ok(vec![]));
    assert_eq!(script.connect(), [NEW]);
    assert!(!script.0.is_clean());
    assert_eq!(script.send(), None, "nobody has subscribed");
}

#[test]
fn a_held_message_is_released_by_its_pubrel() {
    let mut script = Script::up(Method::B);
    let _ = script.take(&publish(1, &[0], ONE, false));
    let _ = script.take(&publish(2, &[1], TWO, false));
    assert_eq!((script.0.delivered(), script.0.released()), (Set::first(2), Set::first(1)));
    let _ = script.take(&pubrel(2));
    assert_eq!(script.0.released(), Set::first(2));
}

#[test]
fn the_messages_of_another_broker_have_other_numbers() {
    let mut script = Script::up(Method::B);
    script.0 = script.0.numbered_from(3);
    let first = Down::Publish { id: 1, message: 3, qos: TWO, dup: false };
    assert_eq!(script.send(), Some(first));
    assert_eq!(script.0.message(1), Some(3));
    script.0.disconnected();
    let again = Down::Publish { id: 1, message: 3, qos: TWO, dup: true };
    assert_eq!(script.connect(), [PRESENT, again]);
}

#[test]
fn a_broker_of_one_version_refuses_the_other_one() {
    let mut script = Script::new(Method::B);
    script.0 = script.0.speaking(Some(mqtt_core::Protocol::V31));
    assert_eq!(script.connect(), [Down::Refused]);
    assert_eq!(script.take(&pubrel(1)), Err(Rule::Protocol), "there is no connection");
    assert!(!script.0.has_session());
    assert_eq!(Down::Refused.encode(1), [0x20, 2, 0, 1]);
}

#[test]
fn a_message_that_may_come_again_is_handed_on_again() {
    let mut script = Script::up(Method::B);
    let _ = script.take(&publish(1, &[1], TWO, false));
    let _ = script.take(&pubrel(1));
    script.0.forgets_what_came();
    assert!(script.0.delivered().has(1));
    assert_eq!(script.take(&publish(2, &[1], TWO, false)), Ok(vec![Down::PubRec(2)]));
    let _ = script.take(&pubrel(2));
    assert_eq!(script.take(&publish(1, &[1], TWO, false)), Err(Rule::ExactlyOnce));
}
