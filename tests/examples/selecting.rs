//! The flags of `sub` that choose messages, and those that end it.

use mqtt_core::QoS;
use system_tests::{Example, Message, Mosquitto, Publisher, SOON, Subscriber};

fn sub(broker: &Mosquitto, args: &[&str]) -> Example {
    Example::new("sub").broker(broker.address()).args(&["-q", "1"]).args(args)
}

fn retained(broker: &Mosquitto, topics: &[&str]) -> Publisher {
    let publisher = Publisher::new(broker, "p");
    for topic in topics {
        publisher.publish(topic, topic.as_bytes(), QoS::AtLeastOnce, true);
    }
    publisher
}

#[test]
fn sub_can_end_once_it_is_subscribed() {
    let broker = Mosquitto::start();
    let keeper = ["-c", "-i", "keeper", "-t", "p/#"];
    assert_eq!(sub(&broker, &keeper).args(&["-E"]).run().text(), "");
    Publisher::new(&broker, "p").publish("p/1", b"1", QoS::AtLeastOnce, false);
    assert_eq!(sub(&broker, &keeper).args(&["-C", "1"]).run().text(), "1\n");
}

#[test]
fn a_time_beyond_the_clock_is_no_limit() {
    let broker = Mosquitto::start();
    let forever = u64::MAX.to_string();
    assert_eq!(sub(&broker, &["-t", "a", "-E", "-W", &forever]).run().text(), "");
}

#[test]
fn an_old_subscription_can_be_left() {
    let broker = Mosquitto::start();
    let keeper = ["-c", "-i", "keeper", "-E"];
    assert_eq!(sub(&broker, &keeper).args(&["-t", "a", "-t", "b"]).run().text(), "");
    assert_eq!(sub(&broker, &keeper).args(&["-t", "c", "-U", "a"]).run().text(), "");
    broker.log().wait("Received UNSUBSCRIBE from keeper", SOON);
    let publisher = Publisher::new(&broker, "p");
    for topic in ["a", "b", "c"] {
        publisher.publish(topic, topic.as_bytes(), QoS::AtLeastOnce, false);
    }
    let rest = sub(&broker, &["-c", "-i", "keeper", "-t", "c", "-C", "2"]).run();
    assert_eq!(rest.text(), "b\nc\n");
}

#[test]
fn topics_can_be_left_out() {
    let broker = Mosquitto::start();
    let sub = sub(&broker, &["-t", "#", "-T", "out/#", "-T", "+/x", "-C", "2"]);
    let sub = sub.subscribed("s", broker.log());
    let publisher = Publisher::new(&broker, "p");
    for topic in ["out", "out/a", "in/x", "in/y", "in"] {
        publisher.publish(topic, topic.as_bytes(), QoS::AtLeastOnce, false);
    }
    assert_eq!(sub.done().text(), "in/y\nin\n");
}

#[test]
fn only_retained_messages_can_be_taken() {
    let broker = Mosquitto::start();
    let publisher = retained(&broker, &["r/1", "r/2"]);
    let running = sub(&broker, &["-t", "r/#", "--retained-only"]).subscribed("s", broker.log());
    publisher.publish("r/3", b"live", QoS::AtLeastOnce, false);
    let text = running.done().text();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["r/1", "r/2"]);
}

#[test]
fn retained_messages_can_be_cleared() {
    let broker = Mosquitto::start();
    let _ = retained(&broker, &["r/1", "r/keep", "r/2"]);
    let clear = sub(&broker, &["-t", "r/#", "--remove-retained", "-T", "r/keep", "-C", "2"]);
    let text = clear.run().text();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["r/1", "r/2"]);
    let left = Subscriber::new(&broker, "left").filter("r/#", QoS::AtLeastOnce).start();
    assert_eq!(left.next(SOON), Message::new("r/keep", b"r/keep", QoS::AtLeastOnce, true));
    Publisher::new(&broker, "q").publish("r/end", b"", QoS::AtLeastOnce, false);
    assert_eq!(left.next(SOON), Message::new("r/end", b"", QoS::AtLeastOnce, false));
}

#[test]
fn more_retained_messages_than_the_broker_has_room_for_are_cleared() {
    const MANY: usize = 300;
    let broker = Mosquitto::start();
    let topics: Vec<String> = (0..MANY).map(|n| format!("r/{n}")).collect();
    for topic in &topics {
        let publish = Example::new("pub").broker(broker.address());
        let _ = publish.args(&["-t", topic, "-m", "x", "-r", "-q", "1"]).run().well();
    }
    let clear = sub(&broker, &["-t", "r/#", "--retained-only", "--remove-retained"]);
    assert_eq!(clear.run().text(), "x\n".repeat(MANY));
    let left = sub(&broker, &["-t", "r/#", "-W", "1"]).run();
    assert_eq!((left.status, left.out.as_slice()), (Some(27), &b""[..]));
}
