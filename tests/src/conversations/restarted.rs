//! Conversations with a client that restarts and has lost its state: the broker may have a session that this client
//! does not know, with packet ids of its publishes.

use std::time::{Duration, Instant};

use mqtt_core::{QoS, Reconnect, SessionStatus, Version};

use super::Conversation;
use super::party::Party;
use super::room::{Room, Stop};
use super::talker::{End, Ended, Heard};
use crate::AGAIN_AT_ONCE;
use crate::packets::PUBREL;
use crate::tap::{Tap, To};

pub(super) const LIST: &[Conversation] = &[
    Conversation { name: "QoS 1 after a restart", talk: |room| qos_1(room, Version::V311) },
    Conversation { name: "QoS 1 in 3.1 after a restart", talk: |room| qos_1(room, Version::V31) },
    Conversation { name: "QoS 2 after a restart", talk: |room| qos_2(room, Version::V311) },
    Conversation { name: "QoS 2 in 3.1 after a restart", talk: |room| qos_2(room, Version::V31) },
    Conversation { name: "old id with one seed", talk: |room| old_id(room, [1, 1]) },
    Conversation { name: "old id with another seed", talk: |room| old_id(room, [1, 2]) },
];

/// A client that restarts has to be up and publishing after this time.
const SOON_PUBLISHING: Duration = Duration::from_secs(1);

/// Restarts in a row. The quickest counts, because the machine may be busy.
const RESTARTS: usize = 3;

/// A client that only publishes at QoS 1 loses no time with packet ids that the broker may still have.
fn qos_1(room: &mut Room<'_>, version: Version) -> Result<(), Stop> {
    let tap = Tap::new(room.broker.address());
    first_life(room, &tap, version)?;
    let (id, topic) = (room.id("p"), room.topic("x"));
    let options = room.options(&id).version(version).clean_session(false);
    let mut quickest = Duration::MAX;
    for _ in 0..RESTARTS {
        let started = Instant::now();
        let mut party = room.start(tap.address(), &options);
        is_found(room, &mut party, version)?;
        let request = party.request(&topic, b"after", QoS::AtLeastOnce)?;
        party.published_through(request, QoS::AtLeastOnce)?;
        quickest = quickest.min(started.elapsed());
    }
    room.measure("from the restart to the PUBACK", quickest);
    room.check(quickest < SOON_PUBLISHING, "", "takes longer than a second until it publishes");
    room.check(tap.count(To::Broker, PUBREL) == 0, "", "hears PUBRELs without a QoS 2 publish");
    Ok(())
}

/// The first publish of QoS 2 waits until the broker holds no packet id of the old session, or does not say so.
fn qos_2(room: &mut Room<'_>, version: Version) -> Result<(), Stop> {
    let topic = room.topic("x");
    let mut subscriber = room.join("s")?;
    subscriber.subscribe(&topic, QoS::ExactlyOnce)?;
    let tap = Tap::new(room.broker.address());
    first_life(room, &tap, version)?;
    let id = room.id("p");
    let options = room.options(&id).version(version).clean_session(false);
    let started = Instant::now();
    let mut party = room.start(tap.address(), &options);
    is_found(room, &mut party, version)?;
    let request = party.request(&topic, b"after", QoS::ExactlyOnce)?;
    let end = party.published_through(request, QoS::ExactlyOnce)?;
    room.measure("from the restart to the end of the publish", started.elapsed());
    if party.has(&Heard::NotReclaimed) {
        let seen = match party.ended() {
            None => "no PUBCOMP for an unknown packet id",
            Some(Ended::Closed) => "closes the connection at a PUBREL for an unknown packet id",
            Some(Ended::Unanswered | Ended::Other(_)) => {
                "answers nothing after a PUBREL for an unknown packet id"
            }
        };
        room.check(false, "[MQTT-4.3.3-2]", seen);
    }
    if end != End::Stuck {
        let message = subscriber.message("[MQTT-4.3.3-2]", "a message that was acknowledged")?;
        room.check(message.payload == b"after", "", "delivers another message");
    }
    Ok(())
}

/// The life before the restart, with a session that the broker keeps, as some do only with a subscription.
fn first_life(room: &Room<'_>, tap: &Tap, version: Version) -> Result<(), Stop> {
    let id = room.id("p");
    let options = room.options(&id).version(version).clean_session(false);
    let mut party = room.start(tap.address(), &options);
    let answer = party.wait("", "an answer to CONNECT", Heard::answer)?;
    if answer.is_err() {
        return Err(Stop::NotPossible("it does not speak 3.1"));
    }
    party.subscribe(&room.topic("own"), QoS::AtLeastOnce)?;
    party.publish(&room.topic("before"), b"before", QoS::AtLeastOnce)
}

/// Waits for a connection, with a session that this client does not know. 3.1 cannot say so.
fn is_found(room: &Room<'_>, party: &mut Party, version: Version) -> Result<(), Stop> {
    let (session, _) = party.up()?;
    room.check(
        session == SessionStatus::Found || version == Version::V31,
        "[MQTT-3.2.2-2]",
        "session present 0 for a session that it has",
    );
    Ok(())
}

/// A client without subscriptions restarts between PUBREC and PUBREL, with these seeds before and after. Its next
/// message is a new one. The first packet id follows from the seed.
fn old_id(room: &mut Room<'_>, seeds: [u32; 2]) -> Result<(), Stop> {
    let (topic, id) = (room.topic("x"), room.id("p"));
    let mut subscriber = room.join("s")?;
    if subscriber.subscribe(&topic, QoS::ExactlyOnce)? != Some(QoS::ExactlyOnce) {
        return Err(Stop::NotPossible("it does not grant QoS 2"));
    }
    let [before, after] = seeds;
    let tap = Tap::new(room.broker.address());
    let options = room.options(&id).clean_session(false);
    let once = options.clone().reconnect(Reconnect::never().seed(before));
    let mut first = room.start(tap.address(), &once);
    first.up()?;
    tap.cut_at(To::Broker, PUBREL);
    let _ = first.request(&topic, b"before", QoS::ExactlyOnce)?;
    first.down()?;
    drop(first);
    let options = options.reconnect(AGAIN_AT_ONCE.seed(after));
    let mut second = room.start(tap.address(), &options);
    let (session, _) = second.up()?;
    let request = second.request(&topic, b"after", QoS::ExactlyOnce)?;
    second.published_through(request, QoS::ExactlyOnce)?;
    let request = second.request(&topic, b"marker", QoS::ExactlyOnce)?;
    second.published_through(request, QoS::ExactlyOnce)?;
    let mut arrived = Vec::new();
    while arrived.last().is_none_or(|payload| payload != b"marker") {
        let message = subscriber.message("[MQTT-3.3.5-1]", "a message for a subscriber")?;
        arrived.push(message.payload);
    }
    let present = u8::from(session != SessionStatus::New);
    let times = arrived.iter().filter(|payload| *payload == b"after").count();
    room.check(
        times != 0,
        "[MQTT-3.2.2-2]",
        &format!(
            "takes a new QoS 2 message for one from before a restart, with session present {present}"
        ),
    );
    room.check(times < 2, "[MQTT-4.3.3-2]", "delivers a QoS 2 message twice");
    Ok(())
}
