use std::{
    format,
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    string::{String, ToString},
    thread::JoinHandle,
    vec::Vec,
};

use super::{Proxy, base64};
use crate::driver::transport::testing::{Trickle, pair, read_exact, soon, with_peer, write_all};

/// What the peer waits for, and what it sends then.
type Script = &'static [(&'static [u8], &'static [u8])];

/// A peer that waits for each of these texts and sends the one beside it. It gives its end of the connection.
fn scripted(script: Script) -> (UnixStream, JoinHandle<UnixStream>) {
    with_peer(move |mut stream| {
        for (wanted, answer) in script {
            let mut heard = std::vec![0; wanted.len()];
            stream.read_exact(&mut heard).expect("the client is there");
            assert_eq!(String::from_utf8_lossy(&heard), String::from_utf8_lossy(wanted));
            stream.write_all(answer).expect("the client is there");
        }
        stream
    })
}

/// The error of a connection to `broker:1883` with this script.
fn refused(proxy: &Proxy, script: Script) -> io::Error {
    let (stream, peer) = scripted(script);
    let error = proxy.connect(stream, "broker", 1883, soon()).expect_err("refused");
    drop(peer.join().expect("the script was followed"));
    let text = error.to_string();
    assert!(text.starts_with("proxy p:8080 on the way to broker:1883: "), "{text}");
    assert!(!format!("{error:?} {text} {proxy:?}").contains("sesame"));
    error
}

fn http() -> Proxy {
    Proxy::http("p", 8080)
}

fn socks5() -> Proxy {
    Proxy::socks5("p", 8080)
}

const PLAIN: &[u8] = b"CONNECT broker:1883 HTTP/1.1\r\nHost: broker:1883\r\n\r\n";
const WITH_LOGIN: &[u8] = b"CONNECT broker:1883 HTTP/1.1\r\nHost: broker:1883\r\n\
    Proxy-Authorization: Basic YWRhOnNlc2FtZQ==\r\n\r\n";
const NAMED: &[u8] = b"\x05\x01\x00\x03\x06broker\x07\x5B";

#[test]
fn the_bytes_behind_the_answer_of_a_proxy_are_those_of_the_broker() {
    const HTTP: &[u8] = b"HTTP/1.1 200 Connection established\r\nVia: p\r\n\r\nbroker";
    const SOCKS: &[u8] = b"\x05\x00\x00\x01\x0A\x00\x00\x01\x00\x50broker";
    let (http_stream, _peer) = scripted(&[(PLAIN, HTTP)]);
    let (socks_stream, _peer) = scripted(&[(b"\x05\x01\x00", b"\x05\x00"), (NAMED, SOCKS)]);
    for (proxy, stream) in [(http(), http_stream), (socks5(), socks_stream)] {
        let mut stream = proxy.connect(stream, "broker", 1883, soon()).expect("allowed");
        assert_eq!(read_exact(&mut stream, 6), b"broker");
    }
}

#[test]
fn the_stream_leads_to_the_broker_then() {
    let (stream, peer) = scripted(&[(PLAIN, b"HTTP/1.0 200 OK\r\n\r\n")]);
    let mut stream = http().connect(stream, "broker", 1883, soon()).expect("allowed");
    write_all(&mut stream, b"CONNECT");
    let mut heard = [0; 7];
    peer.join().expect("followed").read_exact(&mut heard).expect("it was sent");
    assert_eq!(&heard, b"CONNECT");
}

#[test]
fn a_transport_of_a_few_bytes_at_a_time_is_enough() {
    const ANSWER: &[u8] = b"\x05\x00\x00\x03\x04name\x00\x50next";
    let (stream, _peer) = scripted(&[(b"\x05\x01\x00", b"\x05\x00"), (NAMED, ANSWER)]);
    let stream = Trickle::new(stream);
    let mut stream = socks5().connect(stream, "broker", 1883, soon()).expect("allowed");
    assert_eq!(read_exact(&mut stream, 4), b"next");
}

#[test]
fn a_login_goes_to_the_proxy() {
    let (stream, _peer) = scripted(&[(WITH_LOGIN, b"HTTP/1.1 200 OK\r\n\r\n")]);
    http().login("ada", "sesame").connect(stream, "broker", 1883, soon()).expect("allowed");
    let (stream, _peer) = scripted(&[
        (b"\x05\x02\x00\x02", b"\x05\x02"),
        (b"\x01\x03ada\x06sesame", b"\x01\x00"),
        (NAMED, b"\x05\x00\x00\x04................\x00\x50"),
    ]);
    socks5().login("ada", "sesame").connect(stream, "broker", 1883, soon()).expect("allowed");
}

#[test]
fn a_login_is_not_sent_to_a_socks5_proxy_that_wants_none() {
    let (stream, _peer) =
        scripted(&[(b"\x05\x02\x00\x02", b"\x05\x00"), (NAMED, b"\x05\x00\x00\x01....\x00\x50")]);
    socks5().login("ada", "sesame").connect(stream, "broker", 1883, soon()).expect("allowed");
}

#[test]
fn an_address_is_sent_as_an_address() {
    let cases: [(&str, &'static [u8]); 3] = [
        ("10.0.0.7", b"\x05\x01\x00\x01\x0A\x00\x00\x07\x07\x5B"),
        ("::1", b"\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x07\x5B"),
        ("[::1]", b"\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x07\x5B"),
    ];
    for (host, request) in cases {
        let (stream, _peer) = with_peer(move |mut stream| {
            let mut hello = [0; 3];
            stream.read_exact(&mut hello).expect("the client is there");
            stream.write_all(b"\x05\x00").expect("the client is there");
            let mut heard = std::vec![0; request.len()];
            stream.read_exact(&mut heard).expect("the client is there");
            assert_eq!(heard, request);
            stream.write_all(b"\x05\x00\x00\x01....\x00\x50").expect("the client is there");
        });
        socks5().connect(stream, host, 1883, soon()).expect(host);
    }
}

#[test]
fn a_missing_login_and_a_wrong_one_are_told_apart() {
    const NO: &[u8] = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
    let error = refused(&http(), &[(PLAIN, NO)]);
    assert!(error.to_string().contains("it wants a login: 407"), "{error}");
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    let error = refused(&http().login("ada", "sesame"), &[(WITH_LOGIN, NO)]);
    assert!(error.to_string().contains("it does not accept the login: 407"), "{error}");
    let error = refused(&socks5(), &[(b"\x05\x01\x00", b"\x05\xFF")]);
    assert!(error.to_string().ends_with("it wants a login"), "{error}");
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    let error = refused(
        &socks5().login("ada", "sesame"),
        &[(b"\x05\x02\x00\x02", b"\x05\x02"), (b"\x01\x03ada\x06sesame", b"\x01\x01")],
    );
    assert!(error.to_string().ends_with("it does not accept the login"), "{error}");
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
}

#[test]
fn a_refusal_of_an_http_proxy_says_its_status() {
    let error = refused(&http(), &[(PLAIN, b"HTTP/1.1 403 Forbidden\r\n\r\n")]);
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    let error = refused(&http(), &[(PLAIN, b"HTTP/1.1 502 Bad Gateway\r\n\r\n")]);
    assert!(error.to_string().ends_with("it cannot reach the broker: 502 Bad Gateway"), "{error}");
    let error = refused(&http(), &[(PLAIN, b"HTTP/1.1 405 Not Here\r\n\r\n")]);
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn a_refusal_of_a_socks5_proxy_says_why() {
    const HELLO: (&[u8], &[u8]) = (b"\x05\x01\x00", b"\x05\x00");
    let cases: [(Script, io::ErrorKind, &str); 4] = [
        (
            &[HELLO, (NAMED, b"\x05\x02\x00\x01")],
            io::ErrorKind::PermissionDenied,
            "its rules do not allow that",
        ),
        (
            &[HELLO, (NAMED, b"\x05\x04\x00\x01")],
            io::ErrorKind::HostUnreachable,
            "it cannot reach the broker",
        ),
        (
            &[HELLO, (NAMED, b"\x05\x05\x00\x01")],
            io::ErrorKind::ConnectionRefused,
            "the broker refuses the connection",
        ),
        (
            &[HELLO, (NAMED, b"\x05\x63\x00\x01")],
            io::ErrorKind::ConnectionRefused,
            "it could not connect",
        ),
    ];
    for (script, kind, text) in cases {
        let error = refused(&socks5(), script);
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().ends_with(text), "{error}");
    }
}

#[test]
fn a_proxy_of_the_other_kind_is_told() {
    let error = refused(&socks5(), &[(b"\x05\x01\x00", b"HTTP/1.1 400 Bad Request\r\n\r\n")]);
    assert!(error.to_string().ends_with("its answer is not SOCKS5"), "{error}");
    let error = refused(&http(), &[(b"CONN", b"\x05\xFF")]);
    assert!(error.to_string().ends_with("the answer is not HTTP"), "{error}");
}

#[test]
fn a_login_that_was_not_offered_is_not_given() {
    let error = refused(&socks5(), &[(b"\x05\x01\x00", b"\x05\x02")]);
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[test]
fn an_address_of_an_unknown_kind_is_an_error() {
    const SCRIPT: Script = &[(b"\x05\x01\x00", b"\x05\x00"), (NAMED, b"\x05\x00\x00\x09")];
    assert_eq!(refused(&socks5(), SCRIPT).kind(), io::ErrorKind::InvalidData);
}

#[test]
fn a_proxy_that_closes_is_told() {
    let (stream, _peer) = with_peer(|mut stream| drop(stream.read(&mut [0; 100])));
    let error = socks5().connect(stream, "broker", 1883, soon()).expect_err("closed");
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert!(error.to_string().ends_with("the connection was closed before the answer"), "{error}");
}

#[test]
fn a_silent_proxy_costs_the_time_that_was_given() {
    for proxy in [http(), socks5()] {
        let (stream, _silent) = pair();
        let error = proxy.connect(stream, "broker", 1883, std::time::Instant::now());
        assert_eq!(error.expect_err("no answer").kind(), io::ErrorKind::TimedOut);
    }
}

#[test]
fn a_login_or_host_that_does_not_fit_is_an_error() {
    let long = "x".repeat(256);
    let cases = [
        (http().login("a:b", "c"), "broker"),
        (http().login("a", "b\r\nX: y"), "broker"),
        (http(), "broker\r\nX: y"),
        (http(), "two words"),
        (socks5().login("", "c"), "broker"),
        (socks5().login("a", &long), "broker"),
        (socks5(), &long),
        (socks5(), ""),
    ];
    for (proxy, host) in cases {
        let (stream, _silent) = pair();
        let error = proxy.connect(stream, host, 1883, soon()).expect_err("it does not fit");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{proxy:?} {host}");
    }
}

#[test]
fn no_password_is_shown() {
    let shown = format!("{:?}", socks5().login("ada", "sesame"));
    assert!(shown.contains("ada") && !shown.contains("sesame"), "{shown}");
}

#[test]
fn base64_is_that_of_the_rfc() {
    // RFC 4648, section 10.
    let texts = ["", "f", "fo", "foo", "foob", "fooba", "foobar"];
    let wanted = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
    let encoded: Vec<_> = texts.iter().map(|text| base64(text.as_bytes())).collect();
    assert_eq!(encoded, wanted);
}
