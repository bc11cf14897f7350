//! Conversations about size and time: large and many messages, keep alive, two clients with one id, a publish that the
//! broker does not take.

use std::thread;
use std::time::{Duration, Instant};

use mqtt_core::codec::{Connect, Packet};
use mqtt_core::{Protocol, QoS, Reconnect};

use super::Conversation;
use super::room::{Room, Stop};
use super::talker::End;
use crate::link::Link;
use crate::message::content;
use crate::packets::{PINGREQ, PINGRESP};
use crate::tap::{Tap, To};

pub(super) const LIST: &[Conversation] = &[
    Conversation { name: "large payload", talk: large_payload },
    Conversation { name: "many messages, QoS 0", talk: |room| many(room, QoS::AtMostOnce) },
    Conversation { name: "many messages, QoS 1", talk: |room| many(room, QoS::AtLeastOnce) },
    Conversation { name: "many messages, QoS 2", talk: |room| many(room, QoS::ExactlyOnce) },
    Conversation { name: "keep alive", talk: keep_alive },
    Conversation { name: "silent client", talk: silent_client },
    Conversation { name: "one id twice", talk: one_id_twice },
    Conversation { name: "untakeable publish", talk: untakeable },
];

/// Bytes of the large payload.
const LARGE: usize = 100_000;

/// Far more than one and a half times the keep alive: brokers look from time to time.
const SILENCE: Duration = Duration::from_secs(12);

/// The limit for all of them.
const GATHERING: Duration = Duration::from_secs(20);

/// Messages that each of two clients sends.
const MANY: usize = 200;

fn large_payload(room: &mut Room<'_>) -> Result<(), Stop> {
    let topic = room.topic("large");
    let payload = content(LARGE);
    let (mut subscriber, mut publisher) = (room.join("s")?, room.join("p")?);
    subscriber.subscribe(&topic, QoS::AtLeastOnce)?;
    publisher.publish(&topic, &payload, QoS::AtLeastOnce)?;
    let message = subscriber.message("[MQTT-3.3.5-1]", "a message of 100 kB")?;
    room.check(message.payload == payload, "[MQTT-3.3.5-1]", "changes a message of 100 kB");
    Ok(())
}

/// Two clients send to each other at once. Nothing is missing, nothing comes twice at QoS 2, and the order is kept.
fn many(room: &mut Room<'_>, qos: QoS) -> Result<(), Stop> {
    let mut parties = [room.join("a")?, room.join("b")?];
    let topics = [room.topic("to/a"), room.topic("to/b")];
    let mut granted = None;
    for (party, topic) in parties.iter_mut().zip(&topics) {
        granted = party.subscribe(topic, qos)?;
    }
    if granted != Some(qos) {
        return Err(Stop::NotPossible("it does not grant QoS 2"));
    }
    let mut requests = [Vec::new(), Vec::new()];
    let limit = Instant::now() + GATHERING;
    let mut over = false;
    while !over && Instant::now() < limit {
        over = true;
        for ((party, topic), requests) in
            parties.iter_mut().zip(topics.iter().rev()).zip(&mut requests)
        {
            // The client refuses if its window is full.
            while requests.len() < MANY {
                let number = requests.len().to_string();
                let Ok(request) = party.try_request(topic, number.as_bytes(), qos) else { break };
                requests.push(request);
            }
            while party.drive(Duration::ZERO) {}
            over &= requests.len() == MANY && party.waiting_messages() >= MANY;
        }
        thread::sleep(Duration::from_millis(1));
    }
    let expected: Vec<String> = (0..MANY).map(|number| number.to_string()).collect();
    for (party, requests) in parties.iter_mut().zip(requests) {
        for request in requests {
            party.published(request, qos)?;
        }
    }
    for party in &mut parties {
        let mut arrived = Vec::new();
        while arrived.len() < MANY {
            let message = party.message("[MQTT-3.3.5-1]", "one of 200 messages")?;
            arrived.push(String::from_utf8_lossy(&message.payload).into_owned());
        }
        room.check_with(
            arrived == expected,
            "[MQTT-4.6.0-6]",
            "changes the order of 200 messages",
            || format!("{arrived:?}"),
        );
        room.check(
            party.waiting_messages() == 0,
            "[MQTT-4.3.3-1]",
            "sends one of 200 messages twice",
        );
    }
    Ok(())
}

fn keep_alive(room: &mut Room<'_>) -> Result<(), Stop> {
    let tap = Tap::new(room.broker.address());
    let id = room.id("a");
    let mut party = room.start(tap.address(), &room.options(&id).keep_alive(1));
    party.up()?;
    for _ in 0..60 {
        if party.ends(Duration::from_millis(100)) {
            return room.require(false, "[MQTT-3.1.2-24]", "ends a connection that pings");
        }
        if tap.count(To::Client, PINGRESP) >= 2 {
            return Ok(());
        }
    }
    let asked = tap.count(To::Broker, PINGREQ) > 0;
    room.require(!asked, "[MQTT-3.12.4-1]", "no PINGRESP")?;
    room.require(false, "[MQTT-3.1.2-23]", "the client does not ping")
}

/// A client that says nothing for more than one and a half times its keep alive is disconnected.
fn silent_client(room: &mut Room<'_>) -> Result<(), Stop> {
    let protocol = Protocol::V311;
    let mut link = Link::connect(room.broker.address(), protocol);
    let id = room.id("silent");
    let connect = Connect {
        protocol,
        client_id: &id,
        clean_session: true,
        keep_alive: 1,
        will: None,
        login: None,
    };
    link.send(&Packet::Connect(connect));
    let seen = "keeps a client that is silent for longer than its keep alive";
    let closed = link.closes(if room.is_known(seen) { Duration::from_secs(3) } else { SILENCE });
    room.check(closed, "[MQTT-3.1.2-24]", seen);
    Ok(())
}

fn one_id_twice(room: &mut Room<'_>) -> Result<(), Stop> {
    let id = room.id("twin");
    let options = room.options(&id).reconnect(Reconnect::never());
    let mut first = room.join_with(&options)?;
    let mut second = room.join_with(&options)?;
    let topic = room.topic("x");
    second.publish(&topic, b"x", QoS::AtLeastOnce)?;
    let ended = first.ends(Duration::from_secs(2));
    room.check(ended, "[MQTT-3.1.4-2]", "keeps the first of two clients with one id");
    Ok(())
}

/// A publish that the broker does not take, and a good one behind it: once the first is taken back, the good one
/// arrives.
fn untakeable(room: &mut Room<'_>) -> Result<(), Stop> {
    let Some(bad) = room.engine.untakeable else {
        return Err(Stop::NotPossible("it takes every publish"));
    };
    let topic = room.topic("good");
    let qos = QoS::AtLeastOnce;
    let (mut subscriber, mut publisher) = (room.join("s")?, room.join("p")?);
    subscriber.subscribe(&topic, qos)?;
    let poison = publisher.request(bad.topic, &content(bad.len), qos)?;
    let good = publisher.request(&topic, b"good", qos)?;
    let what = "the end of a publish that it does not take";
    let end = publisher.wait_through("", what, |heard| heard.end_of(poison))?;
    let does = match end {
        End::Stuck => "closes at",
        End::Published | End::Downgraded => "acknowledges",
        End::Lost => "loses",
    };
    let seen = format!("{does} a publish that it does not take ({})", bad.why);
    room.check(false, bad.statement, &seen);
    if end == End::Stuck {
        publisher.take_back(poison)?;
    }
    publisher.published_through(good, qos)?;
    let message = subscriber.message("[MQTT-4.3.2-2]", "a message that was acknowledged")?;
    room.check(message.payload == b"good", "", "delivers a publish that it does not take");
    Ok(())
}
