//! The password of a login is never shown: not by `Debug` and `Display` of any public type that holds it, in whole or
//! in part, as text or as numbers, at any time of a connection's life.
//!
//! The CONNECT lies at the front of the outbox for as long as the client lives, so everything that borrows the outbox
//! counts as well.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fmt::{Debug, Display};

use mqtt_core::{
    Action, Client, Event, Instant, Login, Options, Publish, QoS, Slot, StaticClient,
    codec::{Connect, Decoded, Packet},
    framer::Framer,
    topic,
};
use test_kit::wire::ACCEPTED;

const PASSWORD: &str = "Xq7-mArKeR-9zW";
/// So many bytes of the password in a row count as shown.
const PART: usize = 4;

/// All forms in which bytes are usually written, without white space.
fn forms(part: &[u8]) -> Vec<String> {
    let list = |form: fn(&u8) -> String, between: &str| {
        part.iter().map(form).collect::<Vec<_>>().join(between)
    };
    vec![
        part.escape_ascii().to_string(),
        list(|byte| format!("{byte}"), ","),
        list(|byte| format!("{byte:x}"), ","),
        list(|byte| format!("{byte:x}"), ""),
        list(|byte| format!("0x{byte:x}"), ","),
        list(|byte| format!("\\x{byte:x}"), ""),
        list(|byte| format!("{byte:o}"), ","),
        list(|byte| format!("{byte:b}"), ","),
    ]
}

/// The part of the password that `text` shows.
fn shown(text: &str) -> Option<String> {
    let text: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
    let (text, lower) = (&text, text.to_lowercase());
    let parts = PASSWORD.as_bytes().windows(PART).flat_map(forms);
    parts.into_iter().find(|form| text.contains(form) || lower.contains(&form.to_lowercase()))
}

#[track_caller]
fn hides(value: &impl Debug) {
    let texts = [
        format!("{value:?}"),
        format!("{value:#?}"),
        format!("{value:x?}"),
        format!("{value:#X?}"),
    ];
    for text in texts {
        assert_eq!(shown(&text), None, "{text}");
    }
}

#[track_caller]
fn says_nothing(value: &(impl Debug + Display)) {
    hides(value);
    assert_eq!(shown(&value.to_string()), None, "{value}");
}

fn login() -> Login<'static> {
    Login::new("ada", Some(PASSWORD.as_bytes()))
}

fn options() -> Options<'static> {
    Options::new("me").clean_session(false).login(login())
}

fn connect() -> Connect<'static> {
    Connect {
        protocol: mqtt_core::Protocol::V311,
        client_id: "me",
        clean_session: true,
        keep_alive: 60,
        will: None,
        login: Some(login()),
    }
}

/// The bytes of a CONNECT with the password.
fn wire() -> Vec<u8> {
    let mut bytes = vec![0; connect().encoded_len().unwrap()];
    connect().encode(&mut bytes).unwrap();
    bytes
}

/// Otherwise the other tests would show nothing.
#[test]
fn a_shown_password_is_found_in_every_form() {
    let bytes = wire();
    let part = bytes.get(bytes.len() - 9..bytes.len() - 4).unwrap();
    for text in [
        format!("{bytes:?}"),
        format!("{bytes:#?}"),
        format!("{bytes:x?}"),
        format!("{bytes:#04X?}"),
        format!("{part:?}"),
        format!("{:?}", String::from_utf8_lossy(&bytes)),
        bytes.escape_ascii().to_string(),
        bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    ] {
        assert!(shown(&text).is_some(), "{text}");
    }
}

#[test]
fn a_login_shows_its_user_alone() {
    let text = format!("{:?}", login());
    assert!(text.contains("ada"), "{text}");
    hides(&login());
    hides(&Login::new("ada", Some(b"")));
    assert!(!format!("{:?}", Login::new("ada", None)).contains("***"));
}

#[test]
fn packets_and_options_hide_the_password() {
    hides(&connect());
    hides(&options());
    hides(&Packet::Connect(connect()));
    let bytes = wire();
    let decoded = Packet::decode(&bytes, mqtt_core::Protocol::V311).unwrap();
    assert!(matches!(&decoded, Decoded::Packet { packet: Packet::Connect(connect), .. }
        if connect.login == Some(login())));
    hides(&decoded);
}

#[test]
fn a_buffer_with_a_connect_hides_the_password() {
    let bytes = wire();
    let mut framer = Framer::new([0; 256]);
    framer.space().iter_mut().zip(&bytes).for_each(|(space, byte)| *space = *byte);
    framer.filled(bytes.len());
    hides(&framer);
    framer.consume(bytes.len());
    hides(&framer);
}

/// Calls `look` with the client at every moment, and checks each action on the way.
fn live<B, S>(client: &mut Client<B, S>, look: impl Fn(&Client<B, S>))
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    S: AsRef<[Slot]> + AsMut<[Slot]>,
{
    let now = Instant::from_millis(0);
    look(client);
    hides(&client.poll(now));
    client.connected(now);
    look(client);
    // The CONNECT goes out in pieces.
    while let Action::Transmit(bytes) = client.poll(now) {
        let count = bytes.len().min(7);
        hides(&Action::Transmit(bytes));
        client.transmitted(count, now);
        look(client);
    }
    let mut input = ACCEPTED;
    while let Some(event) = client.receive(&mut input, now).unwrap() {
        hides(&event);
        look(client);
    }
    let message = Publish::new(topic!("t"), b"x").qos(QoS::ExactlyOnce);
    let handle = client.publish(&message).unwrap();
    let _ = client.subscribe(&[(mqtt_core::filter!("a/#"), QoS::AtMostOnce)]).unwrap();
    look(client);
    loop {
        match client.poll(now) {
            Action::Persist(record) => {
                hides(&record);
                hides(&Action::Persist(record));
                record.chunks().for_each(|chunk| hides(&chunk));
                client.persisted();
            }
            Action::Transmit(bytes) => {
                let count = bytes.len();
                hides(&Action::Transmit(bytes));
                client.transmitted(count, now);
            }
            action @ (Action::Wait(_)
            | Action::Close(_)
            | Action::TransmitFrom(_)
            | Action::Connect { .. }) => {
                break hides(&action);
            }
        }
        look(client);
    }
    client.compact();
    if let Action::Persist(record) = client.poll(now) {
        assert!(record.is_snapshot());
        hides(&record);
    }
    client.persisted();
    client.closed(now);
    look(client);
    while let Some(event) = client.receive(&mut &[][..], now).unwrap() {
        assert_ne!(event, Event::Published(handle));
        hides(&event);
    }
    client.publishes().for_each(|publish| hides(&publish));
    client.subscriptions().for_each(|subscription| hides(&subscription));
    look(client);
}

#[test]
fn a_client_hides_the_password_at_every_moment() {
    for journal in [false, true] {
        let options = options().journal(journal);
        live(&mut StaticClient::<512, 4>::new_static(&options).unwrap(), |client| hides(client));
        live(&mut Client::new(&options, [0; 512], [Slot::EMPTY; 4]).unwrap(), |client| {
            hides(client);
        });
    }
}

#[test]
fn a_client_shows_its_state() {
    let client = StaticClient::<512, 4>::new_static(&options()).unwrap();
    let text = format!("{client:?}");
    assert!(text.contains("Waiting") && text.contains("512 bytes"), "{text}");
    let action = format!("{:?}", Action::Transmit(&[0; 18]));
    assert_eq!(action, "Transmit(18 bytes)");
}

#[test]
fn errors_of_options_hide_the_password() {
    let long = PASSWORD.repeat(6_000);
    let too_long = Options::new("me").login(Login::new("ada", Some(long.as_bytes())));
    says_nothing(&StaticClient::<512, 4>::new_static(&too_long).unwrap_err());
    says_nothing(&StaticClient::<16, 4>::new_static(&options()).unwrap_err());
    says_nothing(&StaticClient::<512, 0>::new_static(&options()).unwrap_err());
    let null = Options::new("me").login(Login::new("a\0", Some(PASSWORD.as_bytes())));
    says_nothing(&StaticClient::<512, 4>::new_static(&null).unwrap_err());
}

#[cfg(feature = "mqttbytes")]
#[test]
fn a_converted_packet_hides_the_password() {
    use mqtt_core::codec::interop::Converted;
    use mqttbytes::v4;
    let packet = v4::Packet::try_from(&Packet::Connect(connect())).unwrap();
    let converted = Converted::try_from(&packet).unwrap();
    hides(&converted);
    hides(&converted.packet());
}

#[cfg(feature = "std")]
mod blocking {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        thread,
    };

    use mqtt_core::driver::{blocking::Config, stream::Link};

    use super::*;

    #[test]
    fn a_blocking_client_hides_the_password() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let peer = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut bytes = vec![0; wire().len()];
            stream.read_exact(&mut bytes).unwrap();
            assert!(bytes.ends_with(PASSWORD.as_bytes()));
            stream.write_all(ACCEPTED).unwrap();
            stream
        });
        let config = Config::new(&options());
        hides(&config);
        let (client, mut events) = config.start(&[&address]).unwrap();
        hides(&client);
        hides(&events);
        while !matches!(events.next(), Some(Event::Up { .. })) {}
        hides(&client);
        hides(&events);
        let stream = peer.join().unwrap();
        let link: Link = Box::new(stream);
        hides(&link);
        drop(link);
        client.disconnect();
        while let Some(event) = events.next() {
            hides(&event);
        }
        hides(&client);
        hides(&events);
    }

    /// Some applications hand over the part of a URL behind `mqtt://`, or all of it.
    #[test]
    fn a_login_in_the_name_of_a_broker_is_not_in_the_error() {
        for broker in [
            format!("ada:{PASSWORD}@broker.invalid:1883"),
            format!("mqtt://ada:{PASSWORD}@broker.invalid:1883"),
            format!("mqtt://ada:{PASSWORD}@x@broker.invalid:1883/topic"),
        ] {
            let error = Config::new(&options()).connect(&[&broker]).unwrap_err();
            says_nothing(&error);
        }
        let url = format!("mqtt://ada:{PASSWORD}@broker.invalid:1883");
        let error = Config::new(&options()).connect(&[&url]).unwrap_err();
        assert!(error.to_string().contains("broker.invalid"), "{error}");
    }
}
