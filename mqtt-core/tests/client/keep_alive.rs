//! Keep alive: the client is never silent for too long, and does not take a silent broker for a live one.

use mqtt_core::{
    Action, ConnectionState, Instant, Options, Publish, QoS, Queue, codec::Packet, topic,
};

use test_kit::{script::Script, wire};

fn options() -> Options<'static> {
    Options::new("me").keep_alive(40).ping_timeout(10_000)
}

/// [MQTT-3.1.2-23]
#[test]
fn a_silent_client_pings_before_the_keep_alive_runs_out() {
    let mut script = Script::up(&options());
    assert_eq!(script.run(), Instant::from_millis(30_000));
    for _ in 0..5 {
        script.later(30_000);
        script.run();
        assert_eq!(script.sent(), ["PINGREQ"]);
        script.hear_packet(Packet::PingResp);
    }
}

/// [MQTT-3.1.2-23]: the time until the CONNACK counts as well.
#[test]
fn the_keep_alive_runs_from_the_connect() {
    let mut script = Script::new(&options());
    script.run();
    script.later(15_000);
    script.hear(test_kit::wire::ACCEPTED);
    assert_eq!(script.run(), Instant::from_millis(30_000));
}

/// M7
#[test]
fn without_ping_on_silence_a_client_that_sends_other_packets_does_not_ping() {
    let mut script = Script::up(&options().ping_on_silence(false));
    for _ in 0..20 {
        script.later(29_000);
        let _ = script.client.publish(&Publish::new(topic!("t"), b"")).unwrap();
        script.run();
        assert_eq!(script.sent(), ["PUBLISH t  q0"]);
    }
}

/// [MQTT-3.12.4-1]
#[test]
fn a_missing_pingresp_ends_the_connection() {
    let mut script = Script::up(&options());
    script.later(30_000);
    assert_eq!(script.run(), Instant::from_millis(40_000));
    script.later(9_999);
    script.run();
    assert!(script.is_open());
    script.later(1);
    script.run();
    assert_eq!(script.told(), ["down: no PINGRESP in time"]);
}

#[test]
fn keep_alive_0_switches_it_off() {
    let mut script = Script::up(&options().keep_alive(0));
    script.later(30_000);
    script.run();
    script.later(100_000_000);
    assert_eq!(script.run(), Instant::FAR_FUTURE);
    assert_eq!(script.sent(), [""; 0]);
}

#[test]
fn a_transport_that_takes_no_bytes_is_detected() {
    let mut script = Script::up(&options());
    let _ = script.client.publish(&Publish::new(topic!("t"), b"x")).unwrap();
    let poll = |script: &mut Script| {
        let now = script.now();
        matches!(script.client.poll(now), mqtt_core::Action::Close(_))
    };
    script.later(30_000);
    assert!(!poll(&mut script));
    script.later(9_999);
    assert!(!poll(&mut script));
    script.later(1);
    assert!(!poll(&mut script), "the transport is asked once more");
    script.listen();
    assert!(poll(&mut script));
    script.run();
    assert_eq!(script.told(), ["down: the transport takes no bytes", "lost -"]);
}

#[test]
fn a_transport_that_does_not_take_the_pingreq_is_detected() {
    let mut script = Script::up(&options());
    script.later(30_000);
    let now = script.now();
    assert_eq!(script.client.poll(now), mqtt_core::Action::Transmit(&[0xC0, 0]));
    script.later(10_000);
    let now = script.now();
    assert_eq!(script.client.poll(now), mqtt_core::Action::Transmit(&[0xC0, 0]));
    script.listen();
    assert!(matches!(script.client.poll(now), mqtt_core::Action::Close(_)));
    script.run();
    assert_eq!(script.told(), ["down: the transport takes no bytes"]);
}

#[test]
fn a_slow_transport_is_not_taken_for_a_dead_one() {
    let mut script = Script::up(&options());
    let _ = script.client.publish(&Publish::new(topic!("t"), &[0; 100])).unwrap();
    for _ in 0..50 {
        script.later(9_000);
        let now = script.now();
        assert!(matches!(script.client.poll(now), mqtt_core::Action::Transmit(_)));
        script.client.transmitted(1, now);
    }
}

/// A client that publishes more often than the keep alive is never silent, and hears nothing on a half-open link.
#[test]
fn a_publisher_notices_a_half_open_link() {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        let mut script = Script::up(&options());
        let mut pinged = false;
        while script.is_open() {
            script.later(1_000);
            let _ = script.client.publish(&Publish::new(topic!("t"), b"").qos(qos));
            script.run();
            pinged |= script.sent().contains(&"PINGREQ".to_string());
            assert!(script.now() <= Instant::from_millis(40_000 + 10_000), "{qos:?}");
        }
        assert!(pinged);
        assert!(script.told().contains(&"down: no PINGRESP in time".to_string()));
    }
}

#[test]
fn answers_save_the_ping_of_a_publisher() {
    let mut script = Script::up(&options());
    for _ in 0..20 {
        script.later(10_000);
        let publish = Publish::new(topic!("t"), b"").qos(QoS::AtLeastOnce);
        let handle = script.client.publish(&publish).unwrap();
        script.run();
        assert_eq!(script.sent().len(), 1);
        script.hear(&wire::ack(wire::PUBACK, handle.packet_id().unwrap().get()));
    }
}

/// Then it is out earlier than it seemed when it was queued.
#[test]
fn a_pingreq_behind_a_message_that_was_dropped_is_judged_once_it_is_out() {
    let mut script = Script::sized(&options().queue(Queue::LatestPerTopic), 8192, 8);
    script.accept(wire::ACCEPTED);
    let publish = |script: &mut Script, topic, payload: &[u8]| {
        let _ = script.client.publish(&Publish::new(topic, payload)).unwrap();
    };
    for topic in [topic!("a"), topic!("b"), topic!("c")] {
        publish(&mut script, topic, &[b'x'; 1000]);
    }
    let now = script.now();
    assert!(matches!(script.client.poll(now), Action::Transmit(_)), "the link is slow");
    script.later(30_000);
    let now = script.now();
    assert!(matches!(script.client.poll(now), Action::Transmit(_)), "and the PINGREQ waits");
    publish(&mut script, topic!("c"), b"new");
    script.run();
    assert_eq!(script.sent()[2..], ["PINGREQ", "PUBLISH c new q0"]);
    script.later(10_000);
    script.run();
    assert_eq!(script.told().last().unwrap(), "down: no PINGRESP in time");
}

/// The PINGRESP waits behind a large message, whose bytes prove that the link is alive.
#[test]
fn a_message_that_comes_slowly_proves_the_link() {
    let options = Options::new("me").keep_alive(10).receive_capacity(65_536);
    let mut script = Script::up(&options);
    let message = wire::encoded(
        Packet::Publish(Publish::new(topic!("t"), &[0; 60_000]).retain(true)),
        script.client.protocol(),
    );
    for second in message.chunks(2_000) {
        script.later(1_000);
        script.hear(second);
        assert_eq!(script.client.state(), ConnectionState::Up, "at {:?}", script.now());
    }
    assert!(script.told()[0].starts_with("message t "));
    assert!(script.sent().contains(&"PINGREQ".to_string()));
}

/// [MQTT-3.12.4-1]: a PINGREQ that was proved by other bytes needs no PINGRESP, but the next one is judged as well.
#[test]
fn after_a_proof_the_next_pingreq_is_judged_again() {
    let mut script = Script::up(&options());
    script.later(30_000);
    script.run();
    script.later(9_999);
    script.hear(&[0x30]);
    assert_eq!(script.run(), Instant::from_millis(60_000), "no time-out for the PINGRESP");
    script.later(60_000 - 39_999);
    script.run();
    assert_eq!(script.sent(), ["PINGREQ", "PINGREQ"]);
    assert_eq!(script.run(), Instant::from_millis(70_000));
    script.later(10_000);
    script.run();
    assert_eq!(script.told(), ["down: no PINGRESP in time"]);
}

/// Otherwise a short keep alive would put the end of a dead link off for ever.
#[test]
fn a_second_pingreq_does_not_put_off_the_time_out_of_the_first() {
    let mut script = Script::up(&options().keep_alive(10).ping_timeout(20_000));
    script.later(7_500);
    script.run();
    script.later(7_500);
    script.run();
    assert_eq!(script.sent(), ["PINGREQ", "PINGREQ"]);
    script.later(12_500);
    script.run();
    assert_eq!(script.told(), ["down: no PINGRESP in time"]);
}

#[test]
fn bytes_that_came_before_the_pingreq_was_sent_prove_nothing() {
    let mut script = Script::up(&options());
    script.later(30_000);
    let now = script.now();
    assert_eq!(script.client.poll(now), mqtt_core::Action::Transmit(&[0xC0, 0]));
    script.client.transmitted(1, now);
    script.hear(&[0x30]);
    assert_eq!(script.run(), Instant::from_millis(40_000));
}

/// The same bytes are given again with each call.
#[test]
fn bytes_prove_the_link_once() {
    let mut script = Script::up(&options());
    script.hear(&[0x30]);
    script.later(30_000);
    script.run();
    script.later(5_000);
    assert_eq!(script.run(), Instant::from_millis(40_000));
}

#[test]
fn the_round_trip_counts_to_the_pingresp_also_if_other_bytes_came_first() {
    let mut script = Script::up(&options());
    script.later(30_000);
    script.run();
    script.later(100);
    script.hear(b"\x30\x04\0\x01tx");
    script.later(23);
    script.hear_packet(Packet::PingResp);
    assert_eq!(script.client.counters().ping_round_trip, Some(123));
}

/// On a slow link the PINGREQ waits behind a long message, and the broker cannot answer it yet.
#[test]
fn the_time_for_a_pingresp_starts_when_the_pingreq_is_sent() {
    let mut script = Script::up(&options());
    let _ = script.client.publish(&Publish::new(topic!("t"), &[0; 100])).unwrap();
    script.later(29_000);
    let step = |script: &mut Script| {
        let now = script.now();
        assert!(matches!(script.client.poll(now), mqtt_core::Action::Transmit(_)));
        script.client.transmitted(1, now);
    };
    // 105 bytes of PUBLISH and the PINGREQ, a byte a second.
    for _ in 0..107 {
        step(&mut script);
        script.later(1_000);
    }
    script.later(8_999);
    script.run();
    assert!(script.is_open());
    script.later(1);
    script.run();
    assert_eq!(script.told().last().unwrap(), "down: no PINGRESP in time");
}

#[test]
fn the_round_trip_of_a_ping_can_be_read() {
    let mut script = Script::up(&options());
    assert_eq!(script.client.counters().ping_round_trip, None);
    script.later(30_000);
    script.run();
    script.later(123);
    script.hear_packet(Packet::PingResp);
    assert_eq!(script.client.counters().ping_round_trip, Some(123));
}

/// Invariant 5
#[test]
fn after_a_poll_at_the_deadline_the_next_wait_is_not_in_the_past() {
    let mut script = Script::up(&options());
    for _ in 0..200 {
        let until = script.run();
        assert!(until > script.now(), "{until:?} at {:?}", script.now());
        script.later(until.millis_since(script.now()).min(3_600_000));
        script.sent();
        script.told();
    }
}
