//! Each rule is broken by hand, and the ledgers say so.

use mqtt_core::{Client, Handle, Options, Publish, QoS, Slot, topic};

use super::{End, Order, Requests, Rule, Set, Verdict, hand_over};

const ONE: QoS = QoS::AtLeastOnce;
const TWO: QoS = QoS::ExactlyOnce;

fn rule(verdict: Verdict) -> Option<Rule> {
    verdict.err().map(|broken| broken.rule)
}

/// Handles of a real client, with the ids 1 to 4.
fn handles() -> [Handle; 4] {
    let mut client =
        Client::new(&Options::new("c"), vec![0; 256], vec![Slot::EMPTY; 4]).expect("it fits");
    let publish = Publish::new(topic!("t"), b"").qos(ONE);
    [0; 4].map(|_| client.publish(&publish).expect("there is room"))
}

#[test]
fn a_qos_2_message_is_handed_over_once() {
    assert_eq!(hand_over(Set::EMPTY, 0, &[TWO], false), Ok(()));
    assert_eq!(rule(hand_over(Set::first(1), 0, &[TWO], false)), Some(Rule::ExactlyOnce));
    assert_eq!(hand_over(Set::first(1), 0, &[ONE], false), Ok(()), "QoS 1 may come again");
}

#[test]
fn no_message_is_handed_over_after_a_later_one() {
    let later = Set::EMPTY.with(1);
    assert_eq!(rule(hand_over(later, 0, &[TWO, TWO], true)), Some(Rule::Order));
    assert_eq!(rule(hand_over(later, 0, &[TWO, ONE], false)), Some(Rule::Order));
    assert_eq!(hand_over(later, 0, &[TWO, ONE], true), Ok(()), "method A: another QoS may");
    let both = Set::first(2);
    assert_eq!(hand_over(both, 0, &[ONE, TWO], false), Ok(()), "again, after it came in turn");
}

#[test]
fn an_id_in_flight_is_not_given_out() {
    let [first, ..] = handles();
    let mut requests = Requests::of(&[TWO, TWO]);
    assert_eq!(requests.accepted(0, first), Ok(()));
    assert_eq!(rule(requests.accepted(1, first)), Some(Rule::PacketIds));
    assert_eq!(requests.done(first), Ok(0));
    assert_eq!(requests.accepted(1, first), Ok(()), "once it is free");
}

#[test]
fn two_messages_are_not_sent_with_one_id() {
    let [first, second, ..] = handles();
    let mut requests = Requests::of(&[TWO, TWO]);
    requests.accepted(0, first).expect("a new id");
    requests.accepted(1, second).expect("a new id");
    assert_eq!(requests.arrived(0, 1, false), Ok(()));
    assert_eq!(rule(requests.arrived(1, 1, false)), Some(Rule::PacketIds));
    assert_eq!(rule(requests.arrived(1, 3, false)), Some(Rule::PacketIds), "not its own");
    assert_eq!(requests.arrived(1, 2, false), Ok(()));
}

#[test]
fn a_message_that_is_sent_again_has_dup() {
    let [first, ..] = handles();
    let mut requests = Requests::of(&[TWO]);
    requests.accepted(0, first).expect("a new id");
    assert_eq!(requests.arrived(0, 1, false), Ok(()));
    assert_eq!(rule(requests.clone().arrived(0, 1, false)), Some(Rule::Protocol));
    assert_eq!(requests.arrived(0, 1, true), Ok(()));
    requests.session_lost();
    assert_eq!(requests.arrived(0, 1, false), Ok(()), "anew in a new session");
}

#[test]
fn a_publish_of_qos_2_is_lost_only_if_it_was_sent_in_another_session() {
    let [first, second, ..] = handles();
    let mut requests = Requests::of(&[TWO, TWO]);
    requests.accepted(0, first).expect("a new id");
    requests.accepted(1, second).expect("a new id");
    assert_eq!(requests.unsent().collect::<Vec<_>>(), [(0, 1), (1, 2)]);
    requests.shown(0);
    assert_eq!(rule(requests.clone().lost(first).map(|_| ())), Some(Rule::AtLeastOnce));
    requests.session_changed(true);
    assert!(requests.was_sent_elsewhere(0) && !requests.was_sent_elsewhere(1));
    assert_eq!(requests.unsent().collect::<Vec<_>>(), [(1, 2)]);
    assert_eq!(rule(requests.clone().lost(second).map(|_| ())), Some(Rule::AtLeastOnce));
    assert_eq!(requests.lost(first), Ok(0));
    assert!(!requests.was_sent_elsewhere(0), "it is over");
}

#[test]
fn a_client_that_lost_its_memory_need_not_know_that_the_session_is_another_one() {
    let [first, ..] = handles();
    let mut requests = Requests::of(&[TWO]);
    requests.accepted(0, first).expect("a new id");
    requests.shown(0);
    requests.session_changed(false);
    assert_eq!(requests.clone().lost(first), Ok(0));
    assert!(!requests.was_sent_elsewhere(0), "it may be sent again");
    requests.restarted([first].into_iter(), 1).expect("it is known");
    requests.session_changed(true);
    assert_eq!(requests.clone().lost(first), Ok(0));
    assert!(!requests.was_sent_elsewhere(0));
}

#[test]
fn a_request_ends_in_one_event() {
    let [first, second, ..] = handles();
    let mut requests = Requests::of(&[TWO]);
    requests.accepted(0, first).expect("a new id");
    assert!(requests.is_open(false));
    assert_eq!(requests.done(first), Ok(0));
    assert!(!requests.is_open(false));
    for verdict in [requests.done(first), requests.lost(first), requests.done(second)] {
        assert_eq!(rule(verdict.map(|_| ())), Some(Rule::OneEvent));
    }
}

#[test]
fn a_restored_request_ends_in_one_event() {
    let [first, second, third, ..] = handles();
    let mut requests = Requests::of(&[TWO, TWO]);
    requests.accepted(0, first).expect("a new id");
    requests.accepted(1, second).expect("a new id");
    assert_eq!(requests.restarted([first].into_iter(), 1), Ok(()));
    assert!(requests.is_open(false));
    assert_eq!(rule(requests.clone().done(second).map(|_| ())), Some(Rule::OneEvent), "forgotten");
    requests.session_changed(true);
    assert_eq!(requests.lost(first), Ok(0));
    assert!(requests.is_lost(0) && !requests.is_open(false));
    assert_eq!(rule(requests.done(first).map(|_| ())), Some(Rule::OneEvent));
    assert_eq!(rule(requests.restarted([third].into_iter(), 1)), Some(Rule::OneEvent));
}

/// A request with the id 1 that was taken back, and the handle of another request.
fn taken_back() -> (Requests, Handle, Handle) {
    let [first, second, ..] = handles();
    let mut requests = Requests::of(&[TWO, TWO]);
    requests.accepted(0, first).expect("a new id");
    assert!(requests.can_be_taken_back(0));
    requests.take_back(0);
    assert!(requests.is_taken_back(0) && !requests.can_be_taken_back(0));
    (requests, first, second)
}

#[test]
fn a_request_that_was_taken_back_ends_in_one_event_of_its_own() {
    let (requests, handle, other) = taken_back();
    assert_eq!(rule(requests.clone().done(handle).map(|_| ())), Some(Rule::OneEvent));
    for end in [End::Cancelled(false), End::Cancelled(true), End::GivenUp] {
        let mut requests = requests.clone();
        assert_eq!(requests.taken_back(handle, end), Ok(()));
        assert_eq!(rule(requests.taken_back(handle, end)), Some(Rule::OneEvent), "twice");
        requests.accepted(1, other).expect("a new id");
        assert_eq!(rule(requests.taken_back(other, end)), Some(Rule::OneEvent), "not taken back");
    }
}

#[test]
fn a_request_told_as_not_sent_never_arrives() {
    let (mut requests, handle, _) = taken_back();
    let mut arrived = requests.clone();
    assert_eq!(arrived.arrived(0, 1, false), Ok(()), "it was on its way");
    assert_eq!(rule(arrived.taken_back(handle, End::Cancelled(false))), Some(Rule::OneEvent));
    assert_eq!(requests.taken_back(handle, End::Cancelled(false)), Ok(()));
    assert_eq!(rule(requests.arrived(0, 1, false)), Some(Rule::OneEvent));
}

#[test]
fn a_request_that_was_taken_back_is_not_sent_on_a_later_connection() {
    let (mut requests, handle, _) = taken_back();
    assert_eq!(requests.taken_back(handle, End::Cancelled(true)), Ok(()));
    assert_eq!(requests.disconnected().collect::<Vec<_>>(), [1]);
    assert_eq!(rule(requests.arrived(0, 1, true)), Some(Rule::OneEvent));
}

#[test]
fn the_id_of_a_request_that_was_taken_back_is_free_once_it_is_answered() {
    let (mut requests, handle, _) = taken_back();
    assert_eq!(requests.taken_back(handle, End::Cancelled(true)), Ok(()));
    assert_eq!(rule(requests.clone().accepted(1, handle)), Some(Rule::PacketIds));
    let mut lost = requests.clone();
    lost.session_lost();
    assert_eq!(lost.accepted(1, handle), Ok(()));
    requests.answered(1);
    assert_eq!(requests.accepted(1, handle), Ok(()));
}

#[test]
fn a_request_comes_back_after_a_power_cut_only_if_no_durable_record_says_that_it_was_taken_back() {
    let (mut requests, handle, _) = taken_back();
    assert!(requests.is_open(true));
    requests.recording();
    let mut failed = requests.clone();
    failed.not_recorded();
    assert_eq!(failed.restarted([handle].into_iter(), 1), Ok(()));
    assert!(!failed.is_taken_back(0));
    requests.recorded();
    assert_eq!(requests.taken_back(handle, End::GivenUp), Ok(()));
    assert!(!requests.is_open(true));
    assert_eq!(rule(requests.restarted([handle].into_iter(), 1)), Some(Rule::OneEvent));
}

#[test]
fn many_connections_without_an_event_break_the_rule_of_progress() {
    let [first, ..] = handles();
    let mut requests = Requests::of(&[TWO]);
    requests.accepted(0, first).expect("a new id");
    assert_eq!([0; 2].map(|_| requests.connection_ended(2)), [Ok(()); 2]);
    assert_eq!(rule(requests.clone().connection_ended(2)), Some(Rule::Progress));
    let mut interrupted = requests.clone();
    interrupted.interrupted();
    assert_eq!(interrupted.connection_ended(2), Ok(()), "another end says nothing");
    assert_eq!(requests.stuck(first), Ok(0));
    assert_eq!(requests.connection_ended(2), Ok(()), "an event named it");
}

#[test]
fn a_pubrec_ends_the_time_to_take_a_publish_back_unless_it_is_stuck() {
    let [first, ..] = handles();
    let mut requests = Requests::of(&[TWO]);
    requests.accepted(0, first).expect("a new id");
    requests.pubrec_came(1);
    assert!(requests.is_released(0));
    assert_eq!(requests.stuck(first), Ok(0));
    assert!(!requests.is_released(0));
}

/// [MQTT-4.6.0-1]
#[test]
fn publishes_are_sent_in_their_order_on_each_connection() {
    let mut order = Order::default();
    assert_eq!(order.publish(0, 1), Ok(()));
    assert_eq!(order.publish(1, 2), Ok(()));
    assert_eq!(rule(order.clone().publish(0, 1)), Some(Rule::Order));
    assert_eq!(rule(order.clone().publish(1, 2)), Some(Rule::Order));
    order.disconnected();
    assert_eq!(order.publish(0, 1), Ok(()));
}

/// [MQTT-4.6.0-2], [MQTT-4.6.0-3]
#[test]
fn messages_are_acknowledged_in_their_order() {
    let mut order = Order::default();
    for (id, qos) in [(1, ONE), (2, TWO), (3, ONE), (4, TWO)] {
        order.message_came(id, qos);
    }
    assert_eq!(rule(order.clone().puback(3)), Some(Rule::Order));
    assert_eq!(rule(order.clone().pubrec(4)), Some(Rule::Order));
    assert_eq!(rule(order.clone().puback(2)), Some(Rule::Order), "it is of QoS 2");
    assert_eq!(order.pubrec(2), Ok(()));
    assert_eq!(order.puback(1), Ok(()));
    assert_eq!(rule(order.clone().puback(1)), Some(Rule::Order), "twice");
    order.disconnected();
    assert_eq!(rule(order.puback(3)), Some(Rule::Order), "it was not taken on this connection");
}

#[test]
fn the_pubrel_of_a_publish_that_was_given_up_need_not_be_sent() {
    let mut order = Order::default();
    order.pubrec_came(1);
    order.pubrec_came(2);
    order.given_up(1);
    assert_eq!(rule(order.clone().pubrel(1)), Some(Rule::Protocol));
    let mut restarted = order.clone();
    restarted.restarted();
    assert_eq!(restarted.pubrel(1), Ok(()), "a power cut may bring it back");
    assert_eq!(order.pubrel(2), Ok(()));
}

/// [MQTT-4.6.0-4]
#[test]
fn pubrels_are_sent_in_the_order_of_their_pubrecs() {
    let mut order = Order::default();
    order.pubrec_came(1);
    order.pubrec_came(2);
    assert_eq!(rule(order.clone().pubrel(2)), Some(Rule::Order));
    assert_eq!(order.pubrel(1), Ok(()));
    assert_eq!(rule(order.clone().pubrel(1)), Some(Rule::Order), "twice");
    assert_eq!(order.pubrel(2), Ok(()));
    order.disconnected();
    assert_eq!(rule(order.clone().pubrel(2)), Some(Rule::Order), "nor on the next connection");
    order.pubcomp_came(1, false);
    assert_eq!(order.pubrel(2), Ok(()));
}

#[test]
fn a_pubrel_needs_a_pubrec() {
    let mut order = Order::default();
    assert_eq!(rule(order.pubrel(1)), Some(Rule::Protocol));
    order.pubrec_came(1);
    order.pubcomp_came(1, true);
    assert_eq!(rule(order.pubrel(1)), Some(Rule::Protocol), "it is done");
    order.restarted();
    assert_eq!(order.pubrel(1), Ok(()), "nobody may remember that");
}

#[test]
fn no_publish_follows_its_pubrel() {
    let mut order = Order::default();
    order.pubrec_came(1);
    order.disconnected();
    assert_eq!(order.clone().publish(0, 1), Ok(()), "the PUBREC may be forgotten");
    assert_eq!(order.pubrel(1), Ok(()));
    order.disconnected();
    assert_eq!(rule(order.clone().publish(0, 1)), Some(Rule::Protocol));
    order.pubcomp_came(1, true);
    assert_eq!(order.publish(1, 1), Ok(()), "the id stands for another message");
}

#[test]
fn a_power_cut_leaves_open_which_pubrecs_are_known() {
    let mut order = Order::default();
    order.pubrec_came(1);
    order.pubrec_came(2);
    order.disconnected();
    order.restarted();
    let mut forgotten = order.clone();
    // The client knows of neither PUBREC, and receives the first again.
    forgotten.pubrec_came(1);
    assert_eq!(forgotten.pubrel(1), Ok(()));
    // If it knows of both, it sends the PUBRELs in their order.
    assert_eq!(order.pubrel(2), Ok(()), "of the second alone");
    assert_eq!(rule(order.pubrel(1)), Some(Rule::Order));
}
