//! Conversations of every day: versions, each QoS, retained messages, wills, filters, login.

use std::time::Duration;

use mqtt_core::{Login, Protocol, QoS, Topic, Version, Will};

use super::Conversation;
use super::party::{Party, as_message};
use super::room::{Room, Stop};
use super::talker::Heard;
use crate::packets::UNSUBACK;
use crate::tap::{Tap, To};

pub(super) const LIST: &[Conversation] = &[
    Conversation { name: "3.1.1", talk: speaks_311 },
    Conversation { name: "3.1", talk: speaks_31 },
    Conversation { name: "any version", talk: finds_a_version },
    Conversation { name: "QoS 0", talk: |room| one_qos(room, QoS::AtMostOnce) },
    Conversation { name: "QoS 1", talk: |room| one_qos(room, QoS::AtLeastOnce) },
    Conversation { name: "QoS 2", talk: |room| one_qos(room, QoS::ExactlyOnce) },
    Conversation { name: "lower QoS", talk: lower_qos },
    Conversation { name: "retained", talk: retained },
    Conversation { name: "will", talk: will },
    Conversation { name: "no will", talk: no_will },
    Conversation { name: "unsubscribe", talk: unsubscribe },
    Conversation { name: "wildcards", talk: wildcards },
    Conversation { name: "$-topics", talk: dollar_topics },
    Conversation { name: "$SYS", talk: system_topics },
    Conversation { name: "login", talk: login },
];

/// The time in which a broker closes that is going to.
const BRIEFLY: Duration = Duration::from_millis(200);

fn speaks_311(room: &mut Room<'_>) -> Result<(), Stop> {
    let id = room.id("a");
    let mut party = room.start(room.broker.address(), &room.options(&id).version(Version::V311));
    let (_, protocol) = party.up()?;
    room.check(protocol == Protocol::V311, "", "speaks another version");
    echo(room, &mut party)
}

fn speaks_31(room: &mut Room<'_>) -> Result<(), Stop> {
    let id = room.id("a");
    let options = room.options(&id).version(Version::V31);
    let mut party = room.start(room.broker.address(), &options);
    let answer = party.wait("", "an answer to CONNECT with 3.1", Heard::answer)?;
    room.require(answer.is_ok(), "allowed by [MQTT-3.1.2-1]", "does not speak 3.1")?;
    echo(room, &mut party)
}

fn finds_a_version(room: &mut Room<'_>) -> Result<(), Stop> {
    let id = room.id("a");
    echo(room, &mut room.join_with(&room.options(&id).version(Version::Auto))?)
}

/// A client hears its own message.
fn echo(room: &Room<'_>, party: &mut Party) -> Result<(), Stop> {
    let topic = room.topic("echo");
    party.subscribe(&topic, QoS::AtLeastOnce)?;
    party.publish(&topic, b"hello", QoS::AtLeastOnce)?;
    let message = party.message("[MQTT-3.3.5-1]", "an own message")?;
    room.check(message.payload == b"hello", "[MQTT-3.3.5-1]", "changes a message");
    Ok(())
}

fn one_qos(room: &mut Room<'_>, qos: QoS) -> Result<(), Stop> {
    let topic = room.topic("data");
    let (mut subscriber, mut publisher) = (room.join("s")?, room.join("p")?);
    let granted = subscriber.subscribe(&topic, qos)?;
    room.check(
        granted == Some(qos),
        "allowed by [MQTT-3.8.4-6]",
        &format!("grants {}", shown(granted)),
    );
    publisher.publish(&topic, b"one", qos)?;
    publisher.publish(&topic, b"two", qos)?;
    for payload in [b"one", b"two"] {
        let message = subscriber.message("[MQTT-3.3.5-1]", "a message for a subscriber")?;
        room.check_with(message.payload == payload, "[MQTT-4.6.0-6]", "changes the order", || {
            format!("{message:?}")
        });
        room.check(
            Some(message.qos) == granted,
            "[MQTT-3.8.4-6]",
            &format!("delivers at {}", level(message.qos)),
        );
        room.check(!message.retain, "[MQTT-3.3.1-9]", "sets the retain flag of a live message");
    }
    publisher.disconnect()?;
    subscriber.disconnect()
}

/// A message arrives at the lower QoS of its publish and its subscription.
fn lower_qos(room: &mut Room<'_>) -> Result<(), Stop> {
    let (mut subscriber, mut publisher) = (room.join("s")?, room.join("p")?);
    for (published, subscribed) in
        [(QoS::AtMostOnce, QoS::AtLeastOnce), (QoS::AtLeastOnce, QoS::AtMostOnce)]
    {
        let topic = room.topic(&format!("{published:?}"));
        subscriber.subscribe(&topic, subscribed)?;
        publisher.publish(&topic, b"x", published)?;
        let message = subscriber.message("[MQTT-3.3.5-1]", "a message for a subscriber")?;
        let seen = format!(
            "delivers at {} with {} published and {} subscribed",
            level(message.qos),
            level(published),
            level(subscribed)
        );
        room.check(message.qos == QoS::AtMostOnce, "[MQTT-3.8.4-6]", &seen);
    }
    Ok(())
}

fn retained(room: &mut Room<'_>) -> Result<(), Stop> {
    let topic = room.topic("kept");
    let (mut subscriber, mut publisher) = (room.join("s")?, room.join("p")?);
    // A broker may acknowledge first. The publisher's own copy shows that the message is everywhere.
    publisher.subscribe(&topic, QoS::AtLeastOnce)?;
    publisher.retain(&topic, b"old")?;
    publisher.message("[MQTT-3.3.5-1]", "an own message")?;
    subscriber.subscribe(&topic, QoS::AtLeastOnce)?;
    let message = subscriber.message("[MQTT-3.3.1-6]", "a retained message")?;
    room.check(message.payload == b"old", "[MQTT-3.3.1-5]", "delivers another retained message");
    room.check(message.retain, "[MQTT-3.3.1-8]", "clears the retain flag of a retained message");
    // The same subscription again.
    subscriber.subscribe(&topic, QoS::AtLeastOnce)?;
    let again = subscriber.due(as_message);
    room.check(again.is_some(), "[MQTT-3.8.4-3]", "no retained message to a repeated subscription");
    publisher.publish(&topic, b"live", QoS::AtLeastOnce)?;
    let message = subscriber.message("[MQTT-3.3.5-1]", "a live message")?;
    room.check(!message.retain, "[MQTT-3.3.1-9]", "sets the retain flag of a live message");
    // An empty one removes it.
    publisher.message("[MQTT-3.3.5-1]", "an own message")?;
    publisher.retain(&topic, b"")?;
    publisher.message("[MQTT-3.3.5-1]", "an own message")?;
    let mut late = room.join("late")?;
    late.subscribe(&topic, QoS::AtLeastOnce)?;
    publisher.publish(&topic, b"marker", QoS::AtLeastOnce)?;
    let message = late.message("[MQTT-3.3.5-1]", "a live message")?;
    room.check_with(
        message.payload == b"marker",
        "[MQTT-3.3.1-11]",
        "delivers a retained message that was removed",
        || format!("{message:?}"),
    );
    Ok(())
}

fn will(room: &mut Room<'_>) -> Result<(), Stop> {
    let (topic, id) = (room.topic("will"), room.id("w"));
    let mut subscriber = room.join("s")?;
    subscriber.subscribe(&topic, QoS::AtLeastOnce)?;
    let will =
        Will::new(Topic::new(&topic).map_err(|error| Stop::Refused(error.to_string()))?, b"gone");
    let dying = room.join_with(&room.options(&id).will(will.qos(QoS::AtLeastOnce)))?;
    drop(dying);
    let message = subscriber.message("[MQTT-3.1.2-8]", "the will of a client that is gone")?;
    room.check(message.payload == b"gone", "[MQTT-3.1.2-8]", "publishes another will");
    Ok(())
}

fn no_will(room: &mut Room<'_>) -> Result<(), Stop> {
    let (topic, id) = (room.topic("will"), room.id("w"));
    let mut subscriber = room.join("s")?;
    subscriber.subscribe(&topic, QoS::AtLeastOnce)?;
    let will =
        Will::new(Topic::new(&topic).map_err(|error| Stop::Refused(error.to_string()))?, b"gone");
    room.join_with(&room.options(&id).will(will.qos(QoS::AtLeastOnce)))?.disconnect()?;
    // The client with this id is known to be gone once the next one is accepted.
    let mut next = room.join("w")?;
    next.publish(&topic, b"marker", QoS::AtLeastOnce)?;
    let message = subscriber.message("[MQTT-3.3.5-1]", "a message for a subscriber")?;
    room.check(
        message.payload == b"marker",
        "[MQTT-3.1.2-10]",
        "publishes the will after DISCONNECT",
    );
    Ok(())
}

fn unsubscribe(room: &mut Room<'_>) -> Result<(), Stop> {
    let (one, two, unknown) = (room.topic("one"), room.topic("two"), room.topic("unknown"));
    let (tap, id) = (Tap::new(room.broker.address()), room.id("a"));
    let mut party = room.start(tap.address(), &room.options(&id));
    party.up()?;
    let qos = QoS::AtLeastOnce;
    party.subscribe_all(&[(&*one, qos), (&*two, qos)])?;
    let request = party.talker.unsubscribe(&[&one, &two, &unknown]).map_err(Stop::Refused)?;
    party.wait("[MQTT-3.10.4-4]", "an answer to UNSUBSCRIBE", |heard| {
        (*heard == Heard::Unsubscribed(request)).then_some(())
    })?;
    let marker = room.topic("marker");
    party.subscribe(&marker, qos)?;
    for topic in [&one, &two, &marker] {
        party.publish(topic, b"x", qos)?;
    }
    let message = party.message("[MQTT-3.3.5-1]", "a message for a subscriber")?;
    room.check(
        message.topic == marker,
        "[MQTT-3.10.4-2]",
        "delivers after the end of a subscription",
    );
    room.check(
        tap.count(To::Client, UNSUBACK) == 1,
        "[MQTT-3.10.4-6]",
        "answers one UNSUBSCRIBE more than once",
    );
    // Only a filter that is not subscribed to.
    let request = party.talker.unsubscribe(&[&unknown]).map_err(Stop::Refused)?;
    party.publish(&marker, b"y", qos)?;
    let answered = party.due(|heard| (*heard == Heard::Unsubscribed(request)).then_some(()));
    room.check(
        answered.is_some(),
        "[MQTT-3.10.4-5]",
        "no UNSUBACK for a filter that is not subscribed to",
    );
    Ok(())
}

fn wildcards(room: &mut Room<'_>) -> Result<(), Stop> {
    let mut party = room.join("a")?;
    let qos = QoS::AtLeastOnce;
    let cases: [(&str, &[&str], &[&str]); 4] = [
        ("p/+/leaf", &["p/x/leaf", "p//leaf"], &["p/leaf", "p/x/y/leaf"]),
        ("h/#", &["h", "h/x", "h/x/y"], &["hh"]),
        ("e/+", &["e/"], &["e"]),
        ("case/A", &["case/A"], &["case/a"]),
    ];
    for (filter, matching, other) in cases {
        party.subscribe(&room.topic(filter), qos)?;
        // A message that must not come would come before these.
        for topic in other.iter().chain(matching) {
            party.publish(&room.topic(topic), b"x", qos)?;
        }
        let mut missing: Vec<String> = matching.iter().map(|topic| room.topic(topic)).collect();
        while !missing.is_empty() {
            let what = format!("a message that matches `{filter}`");
            let message = party.message("[MQTT-4.7.1-3]", &what)?;
            missing.retain(|topic| *topic != message.topic);
            let wrong = other.iter().find(|topic| room.topic(topic) == message.topic);
            if let Some(topic) = wrong {
                room.check(false, "[MQTT-4.7.1-3]", &format!("`{filter}` matches `{topic}`"));
            }
        }
    }
    Ok(())
}

fn dollar_topics(room: &mut Room<'_>) -> Result<(), Stop> {
    let (mut subscriber, mut publisher) = (room.join("s")?, room.join("p")?);
    let qos = QoS::AtLeastOnce;
    let marker = format!("{}/leaf", room.id("marker"));
    subscriber.subscribe("+/leaf", qos)?;
    // Messages of other conversations are not asked for, so `#` is not used.
    publisher.publish("$private/leaf", b"x", qos)?;
    room.check(
        !publisher.ends(BRIEFLY),
        "allowed by [MQTT-3.3.5-2]",
        "closes at a publish to `$private/leaf`",
    );
    subscriber.publish(&marker, b"x", qos)?;
    let message = subscriber.message("[MQTT-3.3.5-1]", "a message for a subscriber")?;
    room.check(message.topic == marker, "[MQTT-4.7.2-1]", "`+/leaf` matches `$private/leaf`");
    Ok(())
}

/// Brokers need not have these topics. They have to answer.
fn system_topics(room: &mut Room<'_>) -> Result<(), Stop> {
    let mut party = room.join("a")?;
    party.subscribe("$SYS/#", QoS::AtMostOnce)?;
    party.publish(&room.topic("x"), b"x", QoS::AtLeastOnce)
}

fn login(room: &mut Room<'_>) -> Result<(), Stop> {
    if !room.engine.logins {
        return Err(Stop::NotPossible("it is not set up to refuse a login"));
    }
    let id = room.id("a");
    room.join_with(&room.options(&id).login(Login::new("u", Some(b"p"))))?.disconnect()?;
    let options = room.options(&id).login(Login::new("u", Some(b"wrong")));
    let mut party = room.start(room.broker.address(), &options);
    let answer = party.wait("[MQTT-3.2.2-4]", "a refusal of a wrong password", Heard::answer)?;
    let Err(reason) = answer else {
        room.check(false, "", "accepts a wrong password");
        return Err(Stop::Noted);
    };
    let named = ["user name or password", "not authorized", "not authorised"];
    let told = named.iter().any(|words| reason.to_lowercase().contains(words));
    room.check(told, "[MQTT-3.2.2-4]", &format!("refuses a wrong password with: {reason}"));
    Ok(())
}

fn level(qos: QoS) -> &'static str {
    match qos {
        QoS::AtMostOnce => "QoS 0",
        QoS::AtLeastOnce => "QoS 1",
        QoS::ExactlyOnce => "QoS 2",
    }
}

fn shown(granted: Option<QoS>) -> &'static str {
    granted.map_or("nothing", level)
}
