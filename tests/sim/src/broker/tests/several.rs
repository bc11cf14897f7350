//! Several brokers that share nothing, and a client that goes from one to the next.

use mqtt_core::{
    QoS,
    codec::{Connect, Packet, PacketType},
};

use super::{Script, connect, kinds, pubrel, setup};
use crate::{
    checks::{self, Invariant},
    ledger::Pair,
    trace::Trace,
};

const HERE: usize = 0;
const THERE: usize = 1;

impl Script<'_> {
    /// `device` is accepted by `broker`, with a session that is kept, and hears it. Returns the link, and what came
    /// with the CONNACK.
    fn go_to(&mut self, broker: usize, device: usize) -> (usize, Vec<(PacketType, u16)>) {
        let link = self.link_to(broker, device);
        let heard = self.say(link, &connect(device, false));
        self.stage.ledger.arrives(Pair { device, broker });
        self.links[link].visit = self.stage.ledger.visit(device);
        (link, kinds(&heard))
    }
}

fn two(trace: &mut Trace) -> Script<'_> {
    Script::with(trace, vec![setup(), setup()])
}

#[test]
fn a_message_reaches_those_at_its_own_broker_and_waits_there_for_those_who_left() {
    let mut trace = Trace::default();
    let mut script = two(&mut trace);
    let (link, _) = script.go_to(HERE, 1);
    script.subscribe(link, "t/#", QoS::AtLeastOnce);
    let (elsewhere, _) = script.go_to(THERE, 1);
    script.subscribe(elsewhere, "t/#", QoS::AtLeastOnce);
    script.hear(link);
    let (publisher, _) = script.go_to(HERE, 0);
    let number = script.message(0, 0, QoS::AtLeastOnce, false);
    script.publish(publisher, number, 1, false);
    assert!(script.hear(elsewhere).is_empty());
    let [due_here, due_there] = [HERE, THERE].map(|broker| {
        let receipt = script.stage.ledger.receipt(Pair { device: 1, broker }, number);
        receipt.map_or(0, |receipt| receipt.counts[1].due)
    });
    assert_eq!((due_here, due_there), (1, 0));
    let (_, heard) = script.go_to(HERE, 1);
    assert_eq!(heard, [(PacketType::ConnAck, 0), (PacketType::Publish, 1)]);
    assert_eq!(script.broken(), None);
}

/// [MQTT-4.3.3-1]: the PUBREL goes to a broker that never had the message, and its PUBCOMP is believed.
#[test]
fn a_pubcomp_of_another_broker_is_no_proof() {
    let mut trace = Trace::default();
    let mut script = two(&mut trace);
    let number = script.message(0, 0, QoS::ExactlyOnce, false);
    let (link, _) = script.go_to(HERE, 0);
    assert_eq!(kinds(&script.publish(link, number, 1, false)), [(PacketType::PubRec, 1)]);
    let (link, _) = script.go_to(THERE, 0);
    assert_eq!(kinds(&script.say(link, &pubrel(1))), [(PacketType::PubComp, 1)]);
    assert_eq!(script.broken(), None, "it may reclaim the id");
    checks::published_means_arrived(&mut script.stage, THERE, number);
    assert_eq!(script.broken(), Some(Invariant::ExactlyOnce));
}

/// [MQTT-2.3.1-2]
#[test]
fn an_id_that_was_left_behind_has_to_be_reclaimed() {
    for reclaims in [true, false] {
        let mut trace = Trace::default();
        let mut script = two(&mut trace);
        let numbers = [0, 1].map(|index| script.message(0, index, QoS::ExactlyOnce, false));
        let (link, _) = script.go_to(HERE, 0);
        script.publish(link, numbers[0], 1, false);
        script.go_to(THERE, 0);
        let (link, _) = script.go_to(HERE, 0);
        if reclaims {
            assert_eq!(kinds(&script.say(link, &pubrel(1))), [(PacketType::PubComp, 1)]);
        }
        script.publish(link, numbers[1], 1, false);
        let broken = (!reclaims).then_some(Invariant::IdReuse);
        assert_eq!((script.broken(), script.arrived(numbers[0])), (broken, u32::from(reclaims)));
    }
}

/// [MQTT-3.3.1-1]
#[test]
fn a_publish_is_a_new_one_at_another_broker_and_a_repetition_at_the_same() {
    for goes in [true, false] {
        let mut trace = Trace::default();
        let mut script = two(&mut trace);
        let number = script.message(0, 0, QoS::AtLeastOnce, false);
        let (link, _) = script.go_to(HERE, 0);
        script.publish(link, number, 1, false);
        let (link, _) = script.go_to(if goes { THERE } else { HERE }, 0);
        script.publish(link, number, 1, false);
        assert_eq!(script.broken(), (!goes).then_some(Invariant::Protocol), "goes: {goes}");
    }
}

#[test]
fn a_kept_session_is_ended_only_for_ids_that_the_client_cannot_remember() {
    for taken in [true, false] {
        let mut trace = Trace::default();
        let mut script = two(&mut trace);
        script.brokers[HERE].sessions[1].keeps = true;
        let (link, _) = script.go_to(HERE, 1);
        script.subscribe(link, "t/#", QoS::ExactlyOnce);
        if taken {
            let (publisher, _) = script.go_to(HERE, 0);
            let number = script.message(0, 0, QoS::ExactlyOnce, false);
            script.publish(publisher, number, 1, false);
            script.say(publisher, &pubrel(1));
        }
        script.go_to(THERE, 1);
        let Packet::Connect(plain) = connect(1, true) else { panic!("a CONNECT") };
        let link = script.link_to(HERE, 1);
        script.say(link, &Packet::Connect(Connect { clean_session: true, ..plain }));
        let pair = Pair { device: 1, broker: HERE };
        assert_eq!(script.broken(), (!taken).then_some(Invariant::Sessions));
        assert!(script.stage.ledger.knows_of_an_end(pair), "nobody was told yet");
    }
}
