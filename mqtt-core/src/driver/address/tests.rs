//! Every form and every error of an address, and that no text shows a login.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{format, string::ToString, vec};

use proptest::prelude::*;

use super::*;

/// Scheme, place and topic as `text` names them.
fn read(text: &str) -> (Scheme, String, Option<String>) {
    let address = Address::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    (address.scheme(), address.place().to_string(), address.topic().map(ToOwned::to_owned))
}

fn login(text: &str) -> Option<(String, Option<Vec<u8>>)> {
    let Credentials { user, password } = Address::parse(text).unwrap().login()?.clone();
    Some((user, password.map(|password| password.as_bytes().to_vec())))
}

#[track_caller]
fn refuses(text: &str, error: AddressError) {
    assert_eq!(Address::parse(text), Err(error), "{text:?}");
}

#[test]
fn a_host_has_the_default_port_of_its_scheme() {
    for (text, scheme, place) in [
        ("localhost", Scheme::Mqtt, "localhost:1883"),
        ("mqtt://h", Scheme::Mqtt, "h:1883"),
        ("tcp://h", Scheme::Mqtt, "h:1883"),
        ("mqtts://h", Scheme::Mqtts, "h:8883"),
        ("ssl://h", Scheme::Mqtts, "h:8883"),
        ("tls://h", Scheme::Mqtts, "h:8883"),
        ("ws://h", Scheme::Ws, "h:80"),
        ("wss://h", Scheme::Wss, "h:443"),
        ("MqTTs://h", Scheme::Mqtts, "h:8883"),
    ] {
        assert_eq!(read(text), (scheme, place.into(), None), "{text}");
    }
}

#[test]
fn a_port_may_follow_any_host() {
    for (text, place) in [
        ("broker.example:1884", "broker.example:1884"),
        ("10.0.0.1:1", "10.0.0.1:1"),
        ("mqtt_broker:65535", "mqtt_broker:65535"),
        ("mqtt://h:01883/a", "h:1883"),
        ("[::1]:1884", "[::1]:1884"),
        ("[::1]", "[::1]:1883"),
        ("wss://[2001:db8::7]:8084/mqtt", "[2001:db8::7]:8084"),
        ("mqtt://%6cocalhost", "localhost:1883"),
    ] {
        assert_eq!(read(text).1, place, "{text}");
    }
}

#[test]
fn a_host_stands_in_its_place_without_brackets() {
    let address = Address::parse("[::1]:7").unwrap();
    assert_eq!(address.place(), &Place::Host { host: "::1".into(), port: 7 });
}

#[test]
fn the_zone_of_an_address_follows_a_percent_sign_that_a_url_may_encode() {
    for (text, host) in [
        ("[fe80::1%eth0]:1883", "fe80::1%eth0"),
        ("[fe80::1%251]", "fe80::1%251"),
        ("mqtt://[fe80::1%25eth0]", "fe80::1%eth0"),
        ("mqtt://[fe80::1%eth0]:1883/a", "fe80::1%eth0"),
        ("mqtt://[fe80::1%251]", "fe80::1%1"),
        ("mqtt://[fe80::1%2]", "fe80::1%2"),
        ("mqtt://[fe80::1%2525]", "fe80::1%25"),
    ] {
        let place = Place::Host { host: host.into(), port: 1883 };
        assert_eq!(Address::parse(text).unwrap().place(), &place, "{text}");
    }
}

#[test]
fn a_login_ends_at_the_last_at_sign_and_its_password_begins_at_the_first_colon() {
    assert_eq!(login("mqtt://h"), None);
    assert_eq!(login("mqtt://u@h"), Some(("u".into(), None)));
    assert_eq!(login("mqtt://u:@h"), Some(("u".into(), None)));
    assert_eq!(login("mqtt://u:p@h"), Some(("u".into(), Some(b"p".to_vec()))));
    assert_eq!(login("mqtt://u:p:q@r@h:2/a"), Some(("u".into(), Some(b"p:q@r".to_vec()))));
    assert_eq!(login("mqtt://%75%3a:%FF%2f@h"), Some(("u:".into(), Some(b"\xFF/".to_vec()))));
    assert_eq!(login("unix://u:p@/run/b"), Some(("u".into(), Some(b"p".to_vec()))));
}

#[test]
fn a_login_becomes_the_login_of_the_options() {
    let address = Address::parse("mqtt://u:p@h").unwrap();
    assert_eq!(address.login().unwrap().as_login(), Login::new("u", Some(b"p")));
}

#[test]
fn a_topic_is_decoded_and_may_have_wildcards() {
    for (text, topic) in [
        ("mqtt://h/", None),
        ("mqtt://h/a/b", Some("a/b")),
        ("mqtts://h:1/+/x/#", Some("+/x/#")),
        ("mqtt://h//a", Some("/a")),
        ("mqtt://h/a%20b%2Fc%40%3F", Some("a b/c@?")),
        ("mqtt://h/a://b", Some("a://b")),
        ("ws://h/a", None),
        ("unix:///a", None),
    ] {
        assert_eq!(read(text).2.as_deref(), topic, "{text}");
    }
}

#[test]
fn the_path_of_a_websocket_stays_as_it_is_written() {
    for (text, path) in [
        ("ws://h", Some("/mqtt")),
        ("wss://h:8084", Some("/mqtt")),
        ("ws://h/", Some("/")),
        ("ws://h/ws", Some("/ws")),
        ("wss://h/a%20b/%40?token=x&y=%3D?", Some("/a%20b/%40?token=x&y=%3D?")),
        ("ws://h?token=x", Some("/mqtt?token=x")),
        ("mqtt://h/a", None),
        ("unix:///a", None),
    ] {
        assert_eq!(Address::parse(text).unwrap().websocket_path(), path, "{text}");
    }
}

#[test]
fn a_socket_has_an_absolute_path() {
    for (text, path) in [
        ("unix:///run/broker.sock", "/run/broker.sock"),
        ("unix:/run/broker.sock", "/run/broker.sock"),
        ("UNIX:///a%20b#%3f", "/a b#?"),
    ] {
        let address = Address::parse(text).unwrap();
        assert_eq!(address.scheme(), Scheme::Unix);
        assert_eq!(address.place(), &Place::Path(path.into()), "{text}");
    }
}

#[test]
fn each_error_names_its_part() {
    use AddressError as E;
    for (text, error) in [
        ("http://h", E::UnknownScheme),
        ("://h", E::UnknownScheme),
        ("u:p@mqtt://h", E::UnknownScheme),
        ("u:p@h:1883", E::NoScheme),
        ("h:1883/topic", E::NoScheme),
        ("/run/broker.sock", E::NoScheme),
        ("mqtt:/h", E::NoScheme),
        ("mqtt://@h", E::NoUser),
        ("mqtt://:p@h", E::NoUser),
        ("mqtt://u:p/q@h", E::LateAt),
        ("mqtt://u:1?q@h", E::LateAt),
        ("ws://h/mqtt?token=a@b", E::LateAt),
        ("", E::NoHost),
        (":1883", E::NoHost),
        ("mqtt://", E::NoHost),
        ("mqtt:///topic", E::NoHost),
        ("mqtt://u:p@:1883", E::NoHost),
        ("bröker.example", E::HostNotAscii),
        ("mqtt://br%C3%B6ker", E::HostNotAscii),
        (" h", E::HostCharacter),
        ("h\n", E::HostCharacter),
        ("h\0:1", E::HostCharacter),
        ("a%20b", E::HostCharacter),
        ("mqtt://a%20b", E::HostCharacter),
        ("mqtt://u%3Ap%40h", E::HostCharacter),
        ("h]:1", E::HostCharacter),
        ("[::1", E::Ipv6),
        ("[]", E::Ipv6),
        ("[127.0.0.1]", E::Ipv6),
        ("[h]:1883", E::Ipv6),
        ("[fe80::1%]", E::Zone),
        ("mqtt://[fe80::1%25]", E::Zone),
        ("mqtt://[fe80::1%a b]", E::Zone),
        ("::1", E::NoBrackets),
        ("fe80::1%eth0", E::NoBrackets),
        ("2001:db8:0:0:0:0:0:7:1883", E::NoBrackets),
        ("mqtt://::1/a", E::NoBrackets),
        ("[::1]1883", E::NoColon),
        ("h:", E::NoPort),
        ("mqtt://[::1]:", E::NoPort),
        ("h:port", E::PortNotNumber),
        ("h:+1", E::PortNotNumber),
        ("h:-1", E::PortNotNumber),
        ("h:1 ", E::PortNotNumber),
        ("host:1:2", E::PortNotNumber),
        ("mqtt://u:p", E::PortNotNumber),
        ("unix:run", E::PortNotNumber),
        ("h:0", E::PortRange),
        ("h:65536", E::PortRange),
        ("mqtt://h:99999999999999999999/a", E::PortRange),
        ("mqtt://h?a", E::Query),
        ("mqtt://h/a?qos=1", E::Query),
        ("unix:///a?b", E::Query),
        ("mqtts://h#a", E::NoTopic),
        ("ws://h/a b", E::PathCharacter),
        ("ws://h/\r\nHost:x", E::PathCharacter),
        ("wss://h/ä", E::PathCharacter),
        ("wss://h/a#b", E::PathCharacter),
        ("unix://", E::SocketPath),
        ("unix:///", E::SocketPath),
        ("unix://run/broker.sock", E::SocketPath),
        ("unix:///a%00", E::SocketPath),
        ("mqtt://%4:p@h", E::Encoding(Part::User)),
        ("mqtt://u:%g0@h", E::Encoding(Part::Password)),
        ("mqtt://%", E::Encoding(Part::Host)),
        ("mqtt://h/%4", E::Encoding(Part::Topic)),
        ("ws://h/?a=%zz", E::Encoding(Part::Path)),
        ("unix:///%", E::Encoding(Part::Path)),
        ("mqtt://%FF@h", E::NotUtf8(Part::User)),
        ("mqtt://%FF", E::NotUtf8(Part::Host)),
        ("mqtt://h/%FF", E::NotUtf8(Part::Topic)),
        ("unix:/%FF", E::NotUtf8(Part::Path)),
    ] {
        refuses(text, error);
    }
}

#[test]
fn a_host_has_at_most_253_bytes() {
    let (fits, long) = ("h".repeat(253), "h".repeat(254));
    assert_eq!(read(&fits).1, format!("{fits}:1883"));
    refuses(&long, AddressError::HostTooLong);
    refuses(&format!("mqtt://{long}:1/a"), AddressError::HostTooLong);
    refuses(&format!("[fe80::1%{long}]"), AddressError::HostTooLong);
}

#[test]
fn an_error_says_what_to_write() {
    let told = |text| Address::parse(text).unwrap_err().to_string();
    assert_eq!(told("::1"), "an IPv6 address is written in brackets, such as [::1] or [::1]:1883");
    assert_eq!(told("h:65536"), "the port is not from 1 to 65535");
    assert_eq!(
        told("mqtt://u:%g@h"),
        "a % in the password is not followed by two hexadecimal digits"
    );
}

#[test]
fn an_address_is_shown_without_login_and_query() {
    for (text, shown) in [
        ("h", "mqtt://h:1883"),
        ("mqtt://user:pass@h/a%20b/%40/#", "mqtt://***@h:1883/a%20b/%40/#"),
        ("tls://user@[fe80::1%eth0]", "mqtts://***@[fe80::1%25eth0]:8883"),
        ("wss://user:pass@h?token=pass", "wss://***@h:443/mqtt?***"),
        ("ws://h/", "ws://h:80/"),
        ("unix://user:pass@/run/a%25b", "unix://***@/run/a%25b"),
    ] {
        let address = Address::parse(text).unwrap();
        assert_eq!(address.to_string(), shown);
        assert_eq!(format!("{address:?}"), format!("Address({shown})"));
        let all = format!("{address:#?} {:?} {:x?}", address.login(), address.login());
        assert!(!all.contains("user") && !all.contains("pass") && !all.contains("70, 61"), "{all}");
    }
    let password = Password::new(vec![0x61, 0x62]);
    assert_eq!(format!("{password:?} {password:x?}"), "*** ***");
}

#[test]
fn text_is_shown_without_the_login_and_the_query_of_a_url() {
    for (text, shown) in [
        ("h:1", "h:1"),
        ("a?b", "a?b"),
        ("mqtt://u:p@q@h:1/t", "***@h:1/t"),
        ("u:p@h", "***@h"),
        ("ws://h/a?token=x", "ws://h/a?***"),
        ("ws://u:p@h/a?token=x", "***@h/a?***"),
        ("ws://h/a?token=x@y", "***"),
        ("mqtt://u:p?q@h", "***"),
    ] {
        assert_eq!(without_login(text), shown);
    }
}

/// Parts of addresses in any order.
fn jumble() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => prop::sample::select(&[
            "mqtt://", "wss://", "unix:/", "://", ":", "@", "/", "[", "]", "%", "%25", "%40", "%3", "%ff", "?",
            "#", "::1", "h", "1883", "70000", " ", "ä", "\0", "\r\n", "+",
        ]).prop_map(ToOwned::to_owned),
        1 => any::<String>(),
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

/// Hosts with and without a port, as in a URL.
fn placed() -> impl Strategy<Value = String> {
    let host = "[a-z0-9._-]{1,20}|\\[[0-9a-f]{1,4}::[0-9a-f]{1,4}(%25[a-z0-9]{1,4})?\\]";
    (host, "(:[1-9][0-9]{0,3})?").prop_map(|(host, port)| host + &port)
}

/// Addresses that are written correctly: the scheme, the login, and the rest.
fn written() -> impl Strategy<Value = (String, String, String)> {
    let login = prop_oneof![
        Just(String::new()),
        "[!-~&&[^/?#@%]]{1,9}@".prop_filter("a user", |login| !login.starts_with(':'))
    ];
    let topic = "(/[^%@?]{0,20}(%25|%40|%3f|%2[Ff]|%C3%A4){0,2})?";
    let path = "(/[a-zA-Z0-9._~%-]{0,20})?".prop_map(|path| path.replace('%', "%25"));
    prop_oneof![
        (
            "mqtts?://|tcp://|TLS://",
            login.clone(),
            (placed(), topic).prop_map(|(place, topic)| place + &topic)
        ),
        ("wss?://", login.clone(), (placed(), path).prop_map(|(place, path)| place + &path)),
        ("unix://", login, "/[^%@?\0]{1,20}(%25|%40|%3F)?"),
    ]
}

proptest! {
    /// The login is left out.
    #[test]
    fn an_address_that_is_shown_parses_to_the_same_place((scheme, login, rest) in written()) {
        let text = format!("{scheme}{login}{rest}");
        let address = Address::parse(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        prop_assert_eq!(address.login().is_some(), !login.is_empty());
        let shown = address.to_string();
        prop_assert!(!shown.contains(char::is_control), "{shown:?}");
        let without = if login.is_empty() { shown } else { shown.replacen("***@", "", 1) };
        let again = Address::parse(&without).map_err(|error| TestCaseError::fail(format!("{without}: {error}")))?;
        prop_assert_eq!(again, Address { login: None, ..address });
    }

    #[test]
    fn a_place_that_is_shown_is_an_address(place in placed()) {
        let address = Address::parse(&format!("mqtt://{place}")).unwrap();
        prop_assert_eq!(Address::parse(&address.place.to_string()), Ok(address));
    }

    /// A text that is accepted can be shown and read again, and the request line of a WebSocket is one line.
    #[test]
    fn any_text_is_an_address_or_an_error(text in prop_oneof![any::<String>(), jumble()]) {
        let Ok(address) = text.parse::<Address>() else { return Ok(()) };
        let again = Address::parse(&address.to_string()).unwrap();
        prop_assert_eq!((again.scheme, &again.place, again.topic()), (address.scheme, &address.place, address.topic()));
        let is_path = |path: &str| path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
        prop_assert!(address.websocket_path().is_none_or(is_path));
        match &address.place {
            Place::Host { host, port } => prop_assert!(*port != 0 && !host.is_empty() && host.len() <= 253),
            Place::Path(path) => prop_assert!(path.is_absolute()),
        }
    }

    /// No error has four of these capitals in a row, so they can only come from the text.
    #[test]
    fn no_error_repeats_four_characters_of_the_text(
        (before, secret, behind) in (jumble(), "[J-Z]{4,9}", jumble()),
    ) {
        let text = format!("{before}{secret}{behind}");
        let Err(error) = Address::parse(&text) else { return Ok(()) };
        let shown = format!("{error} {error:?}");
        let letters = secret.as_bytes();
        prop_assert!(!letters.windows(4).any(|part| shown.as_bytes().windows(4).any(|shown| shown == part)));
    }

    #[test]
    fn no_text_about_an_address_repeats_its_login(
        secret in "[A-Z]{4,9}", (scheme, _, rest) in written(), is_user in any::<bool>(),
    ) {
        let login = if is_user { format!("{secret}:p@") } else { format!("u:{secret}@") };
        let text = format!("{scheme}{login}{rest}");
        let address = Address::parse(&text).unwrap();
        let shown = format!("{address} {address:?} {:?} {}", address.login(), without_login(&text));
        prop_assert!(!shown.contains(&secret), "{shown}");
    }
}
