//! A whole conversation with a broker, from canned bytes, in a program without std, alloc or an allocator.
//!
//! Exit status 0: every byte and every event was right. Any other: the line of the first check that failed.
#![no_std]
#![no_main]

use core::panic::PanicInfo;

use mqtt_core::{
    Action, ConnectionState, Event, Instant, Login, Message, Options, Publish, QoS, Reason,
    SessionStatus, StaticClient, Will, filter, topic,
};

#[link(name = "c")]
unsafe extern "C" {
    /// The C library's, which is linked for the start-up code anyway.
    safe fn abort() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    abort()
}

/// The function that the C start-up code calls.
// SAFETY: nothing else in this program is called `main`, and its signature is the one that C allows without
// arguments.
#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    match conversation() {
        Ok(()) => 0,
        Err(line) => line,
    }
}

/// Ends the conversation with the number of this line unless the condition holds.
macro_rules! check {
    ($condition:expr) => {
        if !$condition {
            return Err(line!() as i32);
        }
    };
}

type Client = StaticClient<256, 4>;

fn conversation() -> Result<(), i32> {
    let will = Will::new(topic!("dev/state"), b"gone").qos(QoS::AtLeastOnce).retain(true);
    let options = Options::new("dev").will(will).login(Login::new("u", Some(b"p")));
    let Ok(mut client) = Client::new_static(&options) else { return Err(line!() as i32) };
    let client = &mut client;
    let now = Instant::from_millis(0);

    // CONNECT, CONNACK
    check!(client.poll(now) == Action::Connect { endpoint: 0 });
    client.connected(now);
    check!(sends(
        client,
        now,
        b"\x10\x26\0\x04MQTT\x04\xEE\0\x3C\0\x03dev\0\x09dev/state\0\x04gone\0\x01u\0\x01p"
    ));
    check!(gives(client, now, b"", |event| event == Event::Connecting { endpoint: 0 }));
    check!(gives(client, now, b"\x20\x02\0\0", |event| matches!(
        event,
        Event::Up { session: SessionStatus::New, .. }
    )));

    // SUBSCRIBE, SUBACK
    let Ok(handle) = client.subscribe(&[(filter!("cmd/#"), QoS::ExactlyOnce)]) else {
        return Err(line!() as i32);
    };
    check!(sends(client, now, b"\x82\x0A\0\x01\0\x05cmd/#\x02"));
    check!(gives(client, now, b"\x90\x03\0\x01\x02", |event| match event {
        Event::Subscribed { handle: answered, granted } =>
            answered == handle && granted.iter().eq([Some(QoS::ExactlyOnce)]),
        _ => false,
    }));

    // PUBLISH of each QoS to the broker
    let Ok(handle) = client.publish(&Publish::new(topic!("t"), b"0")) else {
        return Err(line!() as i32);
    };
    check!(sends(client, now, b"\x30\x04\0\x01t0"));
    check!(gives(client, now, b"", |event| event == Event::Published(handle)));

    let Ok(handle) = client.publish(&Publish::new(topic!("t"), b"1").qos(QoS::AtLeastOnce)) else {
        return Err(line!() as i32);
    };
    check!(sends(client, now, b"\x32\x06\0\x01t\0\x021"));
    check!(gives(client, now, b"\x40\x02\0\x02", |event| event == Event::Published(handle)));

    let Ok(handle) = client.publish(&Publish::new(topic!("t"), b"2").qos(QoS::ExactlyOnce)) else {
        return Err(line!() as i32);
    };
    check!(sends(client, now, b"\x34\x06\0\x01t\0\x032"));
    check!(gives_nothing(client, now, b"\x50\x02\0\x03"));
    check!(sends(client, now, b"\x62\x02\0\x03"));
    check!(gives(client, now, b"\x70\x02\0\x03", |event| event == Event::Published(handle)));

    // PUBLISH of each QoS from the broker
    check!(gives(client, now, b"\x30\x08\0\x05cmd/ax", |event| is_message(
        event,
        b"x",
        QoS::AtMostOnce
    )));
    check!(sends(client, now, b""));

    check!(gives(client, now, b"\x32\x0A\0\x05cmd/a\0\x07y", |event| is_message(
        event,
        b"y",
        QoS::AtLeastOnce
    )));
    check!(sends(client, now, b"\x40\x02\0\x07"));

    check!(gives(client, now, b"\x34\x0A\0\x05cmd/a\0\x08z", |event| is_message(
        event,
        b"z",
        QoS::ExactlyOnce
    )));
    check!(sends(client, now, b"\x50\x02\0\x08"));
    // The same again: answered, not handed over.
    check!(gives_nothing(client, now, b"\x3C\x0A\0\x05cmd/a\0\x08z"));
    check!(sends(client, now, b"\x50\x02\0\x08"));
    check!(gives_nothing(client, now, b"\x62\x02\0\x08"));
    check!(sends(client, now, b"\x70\x02\0\x08"));

    // UNSUBSCRIBE, UNSUBACK
    let Ok(handle) = client.unsubscribe(&[filter!("cmd/#")]) else { return Err(line!() as i32) };
    check!(sends(client, now, b"\xA2\x09\0\x04\0\x05cmd/#"));
    check!(gives(client, now, b"\xB0\x02\0\x04", |event| event == Event::Unsubscribed(handle)));

    // PINGREQ, PINGRESP
    let now = now.plus_millis(59_999);
    check!(sends(client, now, b"\xC0\0"));
    check!(gives_nothing(client, now, b"\xD0\0"));

    // DISCONNECT
    client.disconnect();
    check!(transmits(client, now, b"\xE0\0"));
    check!(client.poll(now) == Action::Close(Reason::Requested));
    client.closed(now);
    check!(gives(client, now, b"", |event| event
        == Event::Down { endpoint: 0, reason: Reason::Requested }));
    check!(client.state() == ConnectionState::Stopped && client.in_flight() == 0);
    Ok(())
}

/// Whether the client transmits exactly these bytes, and then has nothing to do.
fn sends(client: &mut Client, now: Instant, expected: &[u8]) -> bool {
    (expected.is_empty() || transmits(client, now, expected))
        && matches!(client.poll(now), Action::Wait(_))
}

/// Whether the next bytes are these.
fn transmits(client: &mut Client, now: Instant, mut expected: &[u8]) -> bool {
    while !expected.is_empty() {
        let Action::Transmit(bytes) = client.poll(now) else { return false };
        let Some(rest) = expected.strip_prefix(bytes) else { return false };
        let count = bytes.len();
        client.transmitted(count, now);
        expected = rest;
    }
    true
}

/// Whether the client takes all of `input` and gives one event for it that is right.
fn gives(
    client: &mut Client,
    now: Instant,
    mut input: &[u8],
    is_right: impl FnOnce(Event<'_>) -> bool,
) -> bool {
    match client.receive(&mut input, now) {
        Ok(Some(event)) => is_right(event) && gives_nothing(client, now, input),
        Ok(None) | Err(_) => false,
    }
}

/// Whether the client takes all of `input` without an event.
fn gives_nothing(client: &mut Client, now: Instant, mut input: &[u8]) -> bool {
    client.receive(&mut input, now) == Ok(None) && input.is_empty()
}

fn is_message(event: Event<'_>, text: &[u8], with: QoS) -> bool {
    match event {
        Event::Message(Message { topic, payload, qos, retain, dup, .. }) => {
            topic == topic!("cmd/a") && payload == text && qos == with && !retain && !dup
        }
        _ => false,
    }
}
