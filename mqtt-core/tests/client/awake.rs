//! Slack (M23): work that is due soon is done while the device is awake, and nothing gets later for it.

use mqtt_core::{Action, Instant, Options, Publish, QoS, Reconnect, codec::Packet, topic};
use proptest::{collection::vec, prelude::*};

use test_kit::{script::Script, wire};

/// A PINGREQ is due after 30 s, and a connection counts as stable long before.
fn options() -> Options<'static> {
    let reconnect = Reconnect::after(1_000).stable_after(0);
    Options::new("me").keep_alive(40).ping_timeout(10_000).reconnect(reconnect)
}

fn publish(script: &mut Script, qos: QoS) -> Option<u16> {
    let publish = Publish::new(topic!("t"), b"1").qos(qos);
    script.client.publish(&publish).unwrap().packet_id().map(|id| id.get())
}

fn awake(script: &mut Script, slack: u32) {
    let now = script.now();
    script.client.awake(slack, now);
}

#[test]
fn a_pingreq_within_the_slack_is_sent_while_the_device_is_awake() {
    for (after, sent) in [(19_999, &[][..]), (20_000, &["PINGREQ"][..]), (29_999, &["PINGREQ"])] {
        let mut script = Script::up(&options());
        script.later(after);
        awake(&mut script, 10_000);
        script.run();
        assert_eq!(script.sent(), sent, "{after}");
    }
}

/// One serves for the keep alive and against the silence, and the next is due as long after it as after any.
#[test]
fn an_early_pingreq_is_the_only_one_for_both_timers() {
    let mut script = Script::up(&options());
    script.later(25_000);
    awake(&mut script, 10_000);
    assert_eq!(
        script.run(),
        Instant::from_millis(35_000),
        "the time for the PINGRESP runs in full"
    );
    script.hear_packet(Packet::PingResp);
    assert_eq!(script.run(), Instant::from_millis(55_000));
    assert_eq!(script.sent(), ["PINGREQ"]);
}

#[test]
fn a_pingreq_against_silence_leaves_in_one_write_with_a_publish() {
    let mut script = Script::up(&options());
    script.later(25_000);
    publish(&mut script, QoS::AtMostOnce);
    awake(&mut script, 10_000);
    let now = script.now();
    assert_eq!(script.client.poll(now), Action::Transmit(b"\x30\x04\0\x01t1\xC0\0"));
}

/// The publish is no silence towards the broker, and its PUBACK will be heard.
#[test]
fn a_publish_that_is_answered_needs_no_pingreq() {
    for first in [true, false] {
        let mut script = Script::up(&options());
        script.later(25_000);
        let id = publish(&mut script, QoS::AtLeastOnce).unwrap();
        if !first {
            script.run();
        }
        awake(&mut script, 10_000);
        script.run();
        script.hear(&wire::ack(wire::PUBACK, id));
        awake(&mut script, 10_000);
        assert_eq!(script.run(), Instant::from_millis(55_000));
        assert_eq!(script.sent(), ["PUBLISH t 1 q1 1"]);
    }
}

/// If the PUBACK does not come, the PINGREQ is due when it is without slack.
#[test]
fn an_answer_that_does_not_come_puts_no_pingreq_off() {
    let mut script = Script::up(&options());
    script.later(25_000);
    publish(&mut script, QoS::AtLeastOnce);
    script.run();
    awake(&mut script, 10_000);
    script.later(5_000);
    script.run();
    assert_eq!(script.sent(), ["PUBLISH t 1 q1 1", "PINGREQ"]);
}

#[test]
fn without_ping_on_silence_a_publish_needs_no_pingreq() {
    let mut script = Script::up(&options().ping_on_silence(false));
    script.later(25_000);
    publish(&mut script, QoS::AtMostOnce);
    awake(&mut script, 10_000);
    assert_eq!(script.run(), Instant::from_millis(55_000));
    assert_eq!(script.sent(), ["PUBLISH t 1 q0"]);
}

/// Too much slack costs PINGREQs, but never one while another is unanswered.
#[test]
fn with_more_slack_than_the_keep_alive_each_call_sends_a_pingreq_that_may_be_answered() {
    let mut script = Script::up(&options());
    for _ in 0..5 {
        script.later(1_000);
        awake(&mut script, u32::MAX);
        script.run();
        awake(&mut script, u32::MAX);
        script.run();
        assert_eq!(script.sent(), ["PINGREQ"]);
        script.hear_packet(Packet::PingResp);
    }
}

#[test]
fn a_second_call_sends_no_second_pingreq() {
    let mut script = Script::up(&options());
    script.later(29_000);
    awake(&mut script, 10_000);
    awake(&mut script, 10_000);
    script.run();
    awake(&mut script, 10_000);
    script.run();
    assert_eq!(script.sent(), ["PINGREQ"]);
}

/// [MQTT-3.12.4-1]: the verdict on a link comes after the whole time.
#[test]
fn a_missing_pingresp_ends_the_connection_after_the_whole_time() {
    let mut script = Script::up(&options());
    script.later(25_000);
    awake(&mut script, 10_000);
    script.run();
    script.later(9_999);
    awake(&mut script, 10_000);
    script.run();
    assert!(script.is_open());
    script.later(1);
    script.run();
    assert_eq!(script.told(), ["down: no PINGRESP in time"]);
}

#[test]
fn a_request_without_an_answer_has_the_whole_answer_timeout() {
    let mut script = Script::up(&options().keep_alive(0).answer_timeout(20_000));
    publish(&mut script, QoS::AtLeastOnce);
    script.run();
    script.later(19_999);
    awake(&mut script, 20_000);
    assert_eq!(script.run(), Instant::from_millis(20_000));
    assert!(script.is_open());
}

#[test]
fn an_early_pingreq_that_the_transport_does_not_take_ends_the_connection_in_time() {
    let mut script = Script::up(&options());
    script.later(25_000);
    awake(&mut script, 10_000);
    let now = script.now();
    assert_eq!(script.client.poll(now), Action::Transmit(&[0xC0, 0]));
    script.later(10_000);
    let now = script.now();
    assert_eq!(script.client.poll(now), Action::Transmit(&[0xC0, 0]), "it is asked once more");
    script.listen();
    assert!(matches!(script.client.poll(now), Action::Close(_)));
    script.run();
    assert_eq!(script.told(), ["down: the transport takes no bytes"]);
}

/// The back-off protects the broker.
#[test]
fn no_attempt_to_connect_is_early() {
    let mut script = Script::up(&options());
    script.cut();
    let until = script.run();
    assert!(until > script.now());
    awake(&mut script, u32::MAX);
    assert_eq!(script.run(), until);
    assert!(!script.is_open());
}

#[test]
fn keep_alive_0_has_no_pingreq_to_send_early() {
    let mut script = Script::up(&options().keep_alive(0));
    script.later(1_000_000);
    awake(&mut script, u32::MAX);
    script.run();
    assert_eq!(script.sent(), [""; 0]);
}

/// The end of a publish is recorded while the device is awake, if that is due within the slack.
#[test]
fn a_record_within_the_slack_is_written_while_the_device_is_awake() {
    for polled in [false, true] {
        let options = options().clean_session(false).journal(true).record_delay(1_000);
        let mut script = Script::up(&options);
        let id = publish(&mut script, QoS::AtLeastOnce).unwrap();
        script.run();
        script.records.clear();
        let puback = wire::ack(wire::PUBACK, id);
        if polled {
            script.hear(&puback);
        } else {
            let now = script.now();
            assert!(script.client.receive(&mut puback.as_slice(), now).unwrap().is_some());
        }
        awake(&mut script, 999);
        script.run();
        assert_eq!(script.records.len(), 0, "it is due later");
        awake(&mut script, 1_000);
        assert_eq!(script.run(), Instant::from_millis(30_000), "nothing is left to record");
        assert_eq!(script.records.len(), 1);
        awake(&mut script, 1_000);
        script.run();
        script.later(1_000);
        script.run();
        assert_eq!(script.records.len(), 1, "once");
    }
}

/// A life of a device: in each second it may wake up by itself, publish, or lose the link.
#[derive(Clone, Copy, Debug)]
struct Second {
    wakes: bool,
    publishes: Option<QoS>,
    breaks: bool,
}

impl Second {
    const fn is_awake(self) -> bool {
        self.wakes || self.publishes.is_some() || self.breaks
    }
}

/// The slack that the device gives whenever it is awake.
#[derive(Clone, Copy, Debug)]
enum Slack {
    None,
    Always(u32),
    /// The time to its next wake-up.
    ToNext,
}

/// What an observer sees of a life.
#[derive(Debug, Default)]
struct Seen {
    /// Wake-ups that only the client asked for.
    own: usize,
    pings: usize,
    messages: Vec<String>,
    /// The longest time for which the broker heard nothing, in milliseconds.
    silence: u64,
}

/// A broker that answers everything at once sees this life.
fn live(options: &Options<'_>, life: &[Second], slack: Slack) -> Seen {
    let mut script = Script::up(options);
    let (mut seen, mut heard) = (Seen::default(), 0);
    let mut until = script.run();
    for (index, second) in life.iter().enumerate() {
        script.later(1_000);
        let now = script.now();
        if !second.is_awake() && now < until {
            continue;
        }
        seen.own += usize::from(!second.is_awake());
        if second.breaks {
            script.cut();
        }
        if let Some(qos) = second.publishes {
            publish(&mut script, qos);
        }
        if second.is_awake() {
            match slack {
                Slack::None => {}
                Slack::Always(slack) => awake(&mut script, slack),
                Slack::ToNext => {
                    // A life goes by the second: whatever is due in the second before is done then.
                    let rest = life[index + 1..].iter();
                    let asleep = rest.take_while(|second| !second.is_awake()).count();
                    awake(&mut script, asleep as u32 * 1_000);
                }
            }
        }
        until = script.run();
        for _ in 0..8 {
            for packet in script.sent() {
                seen.silence = seen.silence.max(now.as_millis() - heard);
                heard = now.as_millis();
                let id = packet.rsplit(' ').next().and_then(|id| id.parse().ok());
                match packet.split(' ').next().unwrap() {
                    "CONNECT" => script.hear(&wire::connack(true)),
                    "PINGREQ" => {
                        seen.pings += 1;
                        script.hear_packet(Packet::PingResp);
                    }
                    "PUBREL" => script.hear(&wire::ack(wire::PUBCOMP, id.unwrap())),
                    "PUBLISH" => {
                        if packet.contains(" q1 ") {
                            script.hear(&wire::ack(wire::PUBACK, id.unwrap()));
                        } else if packet.contains(" q2 ") {
                            script.hear(&wire::ack(wire::PUBREC, id.unwrap()));
                        }
                        seen.messages.push(packet);
                    }
                    other => panic!("{other}"),
                }
            }
            until = script.run();
        }
    }
    seen
}

fn second() -> impl Strategy<Value = Second> {
    (0_u8..20, 0_u8..30, 0_u8..200).prop_map(|(wakes, publishes, breaks)| Second {
        wakes: wakes == 0,
        publishes: match publishes {
            0 => Some(QoS::AtMostOnce),
            1 => Some(QoS::AtLeastOnce),
            2 => Some(QoS::ExactlyOnce),
            _ => None,
        },
        breaks: breaks == 0,
    })
}

proptest! {
    /// The broker waits for no longer, and gets the same messages, with any slack. If the slack is the time to the next
    /// wake-up of the device, the client never wakes the device more often.
    #[test]
    fn slack_costs_no_silence_and_no_message_and_the_right_one_no_wake_up(
        life in vec(second(), 1..400),
        slack in 0_u32..60_000,
        keep_alive in 1_u16..100,
        ping_on_silence in any::<bool>(),
    ) {
        let options = Options::new("me")
            .keep_alive(keep_alive)
            .ping_on_silence(ping_on_silence)
            .clean_session(false)
            .reconnect(Reconnect::after(1_000).at_most(1_000).stable_after(0));
        let without = live(&options, &life, Slack::None);
        let always = live(&options, &life, Slack::Always(slack));
        let to_next = live(&options, &life, Slack::ToNext);
        prop_assert!(to_next.own <= without.own, "{} > {}", to_next.own, without.own);
        for with in [&always, &to_next] {
            prop_assert_eq!(&with.messages, &without.messages);
            // [MQTT-3.1.2-24]; a second is the grain of a life.
            prop_assert!(with.silence <= u64::from(keep_alive) * 750 + 2_000);
            // One at each wake-up at most.
            let awake = life.iter().filter(|second| second.is_awake()).count();
            prop_assert!(with.pings <= awake + with.own);
        }
    }
}
