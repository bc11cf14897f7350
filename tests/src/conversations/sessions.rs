//! Conversations about sessions: kept, lost, cut in the middle of a handshake, and over a restart of the broker.

use mqtt_core::{QoS, SessionStatus};

use super::Conversation;
use super::party::Party;
use super::room::{Room, Stop};
use super::talker::Heard;
use crate::packets::{PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL};
use crate::tap::{Tap, To};

pub(super) const LIST: &[Conversation] = &[
    Conversation { name: "session resumed", talk: resumed },
    Conversation { name: "session without subscriptions", talk: without_subscriptions },
    Conversation { name: "session wiped", talk: wiped },
    Conversation { name: "session lost", talk: lost },
    Conversation {
        name: "publish cut at PUBACK",
        talk: |room| publish_cut(room, Q1, To::Client, PUBACK),
    },
    Conversation {
        name: "publish cut at PUBREC",
        talk: |room| publish_cut(room, Q2, To::Client, PUBREC),
    },
    Conversation {
        name: "publish cut at PUBREL",
        talk: |room| publish_cut(room, Q2, To::Broker, PUBREL),
    },
    Conversation {
        name: "publish cut at PUBCOMP",
        talk: |room| publish_cut(room, Q2, To::Client, PUBCOMP),
    },
    Conversation {
        name: "message cut at PUBACK",
        talk: |room| message_cut(room, Q1, To::Broker, PUBACK),
    },
    Conversation {
        name: "message cut at PUBLISH",
        talk: |room| message_cut(room, Q2, To::Client, PUBLISH),
    },
    Conversation {
        name: "message cut at PUBREC",
        talk: |room| message_cut(room, Q2, To::Broker, PUBREC),
    },
    Conversation {
        name: "message cut at PUBREL",
        talk: |room| message_cut(room, Q2, To::Client, PUBREL),
    },
    Conversation {
        name: "message cut at PUBCOMP",
        talk: |room| message_cut(room, Q2, To::Broker, PUBCOMP),
    },
    Conversation { name: "restart", talk: restart },
];

const Q1: QoS = QoS::AtLeastOnce;
const Q2: QoS = QoS::ExactlyOnce;

/// Filters of a session that is lost: more than the eight that some brokers take in one packet.
const FILTERS: usize = 12;

/// Messages for a client that is away are queued.
fn resumed(room: &mut Room<'_>) -> Result<(), Stop> {
    let (topic, id) = (room.topic("queued"), room.id("s"));
    let options = room.options(&id).clean_session(false);
    let tap = Tap::new(room.broker.address());
    let mut subscriber = room.start(tap.address(), &options);
    subscriber.up()?;
    subscriber.subscribe(&topic, Q1)?;
    tap.shut();
    let mut publisher = room.join("p")?;
    for payload in [b"1", b"2", b"3"] {
        publisher.publish(&topic, payload, Q1)?;
    }
    tap.open();
    let (session, _) = subscriber.up()?;
    room.check(
        session == SessionStatus::Resumed,
        "[MQTT-3.2.2-2]",
        "session present 0 for a session that it has",
    );
    publisher.publish(&topic, b"4", Q1)?;
    let mut arrived = Vec::new();
    while arrived.len() < 4 {
        let message = subscriber.message("[MQTT-3.1.2-5]", "a message that was queued")?;
        arrived.extend(message.payload);
    }
    room.check_with(
        arrived == b"1234",
        "[MQTT-4.6.0-6]",
        "sends a new message before queued ones",
        || format!("{}", arrived.escape_ascii()),
    );
    Ok(())
}

/// A client that only publishes has a session as well.
fn without_subscriptions(room: &mut Room<'_>) -> Result<(), Stop> {
    let (topic, id) = (room.topic("x"), room.id("p"));
    let tap = Tap::new(room.broker.address());
    let mut publisher = room.start(tap.address(), &room.options(&id).clean_session(false));
    publisher.up()?;
    publisher.publish(&topic, b"x", Q1)?;
    tap.shut();
    tap.open();
    let (session, _) = publisher.up()?;
    let seen = "session present 0 for a session without subscriptions";
    room.check(session == SessionStatus::Resumed, "[MQTT-3.2.2-2]", seen);
    publisher.publish(&topic, b"x", Q1)
}

/// A clean session wipes a kept one.
fn wiped(room: &mut Room<'_>) -> Result<(), Stop> {
    let (topic, id) = (room.topic("old"), room.id("s"));
    let kept = room.options(&id).clean_session(false);
    let mut first = room.join_with(&kept)?;
    first.subscribe(&topic, Q1)?;
    first.disconnect()?;
    room.join("s")?.disconnect()?;
    // This client knows of no session, so one that the broker has is a found one.
    let mut last = room.start(room.broker.address(), &kept);
    let (session, _) = last.up()?;
    room.check(
        session != SessionStatus::Found,
        "[MQTT-3.1.2-6]",
        "session present 1 after a clean session",
    );
    let marker = room.topic("marker");
    // A found session is used only once its packet ids are reclaimed, or after several connections without an answer.
    last.subscribe_through(&marker, Q1)?;
    last.publish(&topic, b"x", Q1)?;
    last.publish(&marker, b"x", Q1)?;
    let message = last.message("[MQTT-3.3.5-1]", "a message for a subscriber")?;
    room.check(
        message.topic == marker,
        "[MQTT-3.1.2-6]",
        "keeps subscriptions over a clean session",
    );
    Ok(())
}

/// The broker loses a session behind the client's back: all subscriptions are made again.
fn lost(room: &mut Room<'_>) -> Result<(), Stop> {
    let id = room.id("s");
    let tap = Tap::new(room.broker.address());
    let mut subscriber = room.start(tap.address(), &room.options(&id).clean_session(false));
    subscriber.up()?;
    let topics: Vec<String> = (0..FILTERS).map(|number| room.topic(&number.to_string())).collect();
    for topic in &topics {
        subscriber.subscribe(topic, Q1)?;
    }
    tap.shut();
    room.join("s")?.disconnect()?;
    tap.open();
    let (session, _) = subscriber.up()?;
    room.require(
        session == SessionStatus::Lost,
        "[MQTT-3.1.2-6]",
        "session present 1 after a clean session",
    )?;
    let mut renewed = 0;
    while renewed < FILTERS {
        renewed += subscriber.wait("[MQTT-3.8.4-1]", "an answer to SUBSCRIBE", |heard| {
            if let Heard::Renewed(granted) = heard {
                Some(granted.iter().flatten().count())
            } else {
                None
            }
        })?;
    }
    let mut publisher = room.join("p")?;
    for topic in &topics {
        publisher.publish(topic, b"x", Q1)?;
        let message =
            subscriber.message("[MQTT-3.3.5-1]", "a message for a renewed subscription")?;
        room.check(message.topic == *topic, "[MQTT-3.3.5-1]", "delivers another message");
    }
    Ok(())
}

/// A publish whose connection is cut at a packet arrives: at QoS 2 exactly once.
fn publish_cut(room: &mut Room<'_>, qos: QoS, to: To, kind: u8) -> Result<(), Stop> {
    let (topic, id) = (room.topic("cut"), room.id("p"));
    let mut subscriber = room.join("s")?;
    if subscriber.subscribe(&topic, qos)? != Some(qos) {
        return Err(Stop::NotPossible("it does not grant QoS 2"));
    }
    let tap = Tap::new(room.broker.address());
    let mut publisher = room.start(tap.address(), &room.options(&id).clean_session(false));
    publisher.up()?;
    // Some brokers keep no session without a subscription.
    publisher.subscribe(&room.topic("own"), qos)?;
    tap.cut_at(to, kind);
    let request = publisher.request(&topic, b"once", qos)?;
    publisher.published_through(request, qos)?;
    room.require(tap.has_cut(), "[MQTT-4.3.3-2]", "answers a publish in another way")?;
    publisher.publish(&topic, b"marker", qos)?;
    room.check(!tap.is_repeated(PUBREC), "[MQTT-4.3.3-2]", "answers a publish twice");
    arrives(room, &mut subscriber, qos)
}

/// A message whose connection is cut at a packet arrives: at QoS 2 exactly once.
fn message_cut(room: &mut Room<'_>, qos: QoS, to: To, kind: u8) -> Result<(), Stop> {
    let (topic, id) = (room.topic("cut"), room.id("s"));
    let tap = Tap::new(room.broker.address());
    let mut subscriber = room.start(tap.address(), &room.options(&id).clean_session(false));
    subscriber.up()?;
    if subscriber.subscribe(&topic, qos)? != Some(qos) {
        return Err(Stop::NotPossible("it does not grant QoS 2"));
    }
    let mut publisher = room.join("p")?;
    tap.cut_at(to, kind);
    publisher.publish(&topic, b"once", qos)?;
    let (session, _) = subscriber.up()?;
    room.check(
        session == SessionStatus::Resumed,
        "[MQTT-3.2.2-2]",
        "session present 0 for a session that it has",
    );
    publisher.publish(&topic, b"marker", qos)?;
    arrives(room, &mut subscriber, qos)?;
    room.check(!tap.is_resent_without_dup(), "[MQTT-3.3.1-1]", "sends a PUBLISH again without DUP");
    Ok(())
}

/// `once` comes, at QoS 2 once, and then the marker.
fn arrives(room: &Room<'_>, subscriber: &mut Party, qos: QoS) -> Result<(), Stop> {
    let mut times = 0;
    loop {
        let message = subscriber.message_through("[MQTT-3.3.5-1]", "a message after a cut")?;
        if message.payload == b"marker" {
            break;
        }
        times += 1;
    }
    room.check(times > 0, "[MQTT-4.3.3-1]", "loses a message at a cut");
    room.check(
        times < 2 || qos < Q2,
        "[MQTT-4.3.3-1]",
        "delivers a QoS 2 message twice after a cut",
    );
    Ok(())
}

/// The broker is killed and started again in the middle.
fn restart(room: &mut Room<'_>) -> Result<(), Stop> {
    let (topic, id) = (room.topic("r"), room.id("s"));
    let mut subscriber = room.join_with(&room.options(&id).clean_session(false))?;
    let mut publisher = room.join("p")?;
    subscriber.subscribe(&topic, Q1)?;
    publisher.publish(&topic, b"before", Q1)?;
    subscriber.message("[MQTT-3.3.5-1]", "a message for a subscriber")?;
    room.broker.kill();
    let meanwhile = publisher.request(&topic, b"meanwhile", Q1)?;
    room.broker.start_again();
    let up = |heard: &Heard| if let Heard::Up(session, _) = heard { Some(*session) } else { None };
    let session = subscriber.wait_through("", "an accepted connection after a restart", up)?;
    if session == SessionStatus::Lost {
        subscriber.wait("[MQTT-3.8.4-1]", "an answer to SUBSCRIBE", |heard| {
            matches!(heard, Heard::Renewed(_)).then_some(())
        })?;
    }
    publisher.wait_through("", "an accepted connection after a restart", up)?;
    publisher.published_through(meanwhile, Q1)?;
    publisher.publish(&topic, b"after", Q1)?;
    // At QoS 1 each may come again.
    let mut missing = vec![&b"meanwhile"[..], b"after"];
    while !missing.is_empty() {
        let message = subscriber.message("[MQTT-3.3.5-1]", "a message after a restart")?;
        missing.retain(|payload| *payload != message.payload);
    }
    Ok(())
}
