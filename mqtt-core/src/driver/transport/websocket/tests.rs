use std::{
    format,
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    string::{String, ToString},
    sync::atomic::Ordering,
    thread::JoinHandle,
    vec::Vec,
};

use tungstenite::{
    Bytes, Message,
    handshake::derive_accept_key,
    protocol::{Role, frame::coding::CloseCode},
};

use super::{MOST_UNSENT, WebSocket, WebSocketOptions};
use crate::driver::{
    stream::Stream,
    transport::testing::{
        Stuffed, Trickle, content, fill_stuffed, finish, pair, read_error, read_exact, read_to_end,
        soon, with_peer, write_all,
    },
};

type Server<S = UnixStream> = tungstenite::WebSocket<S>;

/// Reads a request to its end.
fn read_request(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).expect("the client is there"), 1, "{head:?}");
        head.extend(byte);
    }
    String::from_utf8(head).expect("text")
}

fn value<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// The answer that opens a WebSocket, with these headers behind.
fn opening(request: &str, more: &str) -> String {
    let key = value(request, "Sec-WebSocket-Key").expect("a key");
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n{more}\r\n",
        derive_accept_key(key.as_bytes())
    )
}

fn accept<S: Read + Write>(mut stream: S) -> Server<S> {
    let request = read_request(&mut stream);
    let answer = opening(&request, "Sec-WebSocket-Protocol: mqtt\r\n");
    stream.write_all(answer.as_bytes()).expect("the client is there");
    Server::from_raw_socket(stream, Role::Server, None)
}

fn over<S: Stream>(stream: S) -> io::Result<WebSocket<S>> {
    WebSocketOptions::default().connect(stream, "broker", 8083, soon())
}

/// A client and a server that does this.
fn connected<T: Send + 'static>(
    serve: impl FnOnce(&mut Server) -> T + Send + 'static,
) -> (WebSocket<UnixStream>, JoinHandle<T>) {
    let (stream, peer) = with_peer(move |stream| serve(&mut accept(stream)));
    (over(stream).expect("it is open"), peer)
}

/// Sends back each message, until the client says goodbye.
fn echo(server: &mut Server<impl Read + Write>) -> Vec<u8> {
    let mut heard = Vec::new();
    loop {
        match server.read() {
            Ok(Message::Binary(bytes)) => {
                heard.extend_from_slice(&bytes);
                server.send(Message::Binary(bytes)).expect("the client is there");
            }
            Ok(_) => {}
            Err(_) => return heard,
        }
    }
}

fn binary(bytes: &[u8]) -> Message {
    Message::Binary(Bytes::copy_from_slice(bytes))
}

/// The answer to a request, in words.
fn refused(answer: impl FnOnce(&str) -> String + Send + 'static) -> io::Error {
    let (stream, _peer) = with_peer(move |mut stream| {
        let request = read_request(&mut stream);
        stream.write_all(answer(&request).as_bytes()).expect("the client is there");
    });
    over(stream).expect_err("refused")
}

#[test]
fn bytes_arrive_in_both_directions_and_the_end_too() {
    let (mut socket, peer) = connected(echo);
    let sent = content(100_000);
    let mut back = Vec::new();
    for part in sent.chunks(20_000) {
        write_all(&mut socket, part);
        back.extend(read_exact(&mut socket, part.len()));
    }
    finish(&mut socket);
    assert!(read_to_end(&mut socket).is_empty());
    assert!(back == sent);
    assert!(peer.join().expect("no panic") == sent);
}

#[test]
fn a_transport_of_a_few_bytes_at_a_time_loses_none() {
    let (stream, peer) = with_peer(|stream| echo(&mut accept(stream)));
    let mut socket = over(Trickle::new(stream)).expect("it is open");
    let sent = content(20_000);
    for part in sent.chunks(3_333) {
        write_all(&mut socket, part);
        assert!(read_exact(&mut socket, part.len()) == part);
    }
    finish(&mut socket);
    assert!(read_to_end(&mut socket).is_empty());
    assert!(peer.join().expect("no panic") == sent);
}

#[cfg(feature = "tls")]
#[test]
fn layers_upon_layers_over_a_few_bytes_at_a_time_lose_none() {
    use crate::driver::transport::{TlsOptions, tls::testing};
    let authority = test_kit::certificates::Authority::new("root");
    let server = testing::Server::new(&authority.server(&["broker"]));
    let (stream, peer) = with_peer(move |stream| echo(&mut accept(server.accept(stream))));
    let connector = TlsOptions::new().root_pem(authority.pem().as_bytes()).build();
    let tls = connector.expect("possible").connect(Trickle::new(stream), "broker", soon());
    let boxed: crate::driver::stream::Link = std::boxed::Box::new(tls.expect("trusted"));
    let mut socket = over(boxed).expect("it is open");
    let sent = content(20_000);
    for part in sent.chunks(3_333) {
        write_all(&mut socket, part);
        assert!(read_exact(&mut socket, part.len()) == part);
    }
    finish(&mut socket);
    assert!(read_to_end(&mut socket).is_empty());
    assert!(peer.join().expect("no panic") == sent);
}

#[test]
fn the_request_has_host_path_sub_protocol_and_more_headers() {
    let (stream, peer) = with_peer(|mut stream| read_request(&mut stream));
    let options = WebSocketOptions::new("/ws?x=1").header("Authorization", "Bearer abc");
    let _closed = options.connect(stream, "::1", 80, soon());
    let request = peer.join().expect("no panic");
    assert!(request.starts_with("GET /ws?x=1 HTTP/1.1\r\n"), "{request}");
    for (name, wanted) in [
        ("Host", "[::1]:80"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Protocol", "mqtt"),
        ("Authorization", "Bearer abc"),
    ] {
        assert_eq!(value(&request, name), Some(wanted), "{name}");
    }
    assert_eq!(value(&request, "Sec-WebSocket-Key").map(str::len), Some(24));
}

#[test]
fn a_refusal_says_host_path_and_status() {
    let refusals = [
        ("401 Unauthorized", io::ErrorKind::PermissionDenied),
        ("404 Not Found", io::ErrorKind::NotFound),
        ("503 Busy", io::ErrorKind::ConnectionRefused),
    ];
    for (status, kind) in refusals {
        let error = refused(move |_| format!("HTTP/1.1 {status}\r\n\r\n"));
        assert_eq!(error.to_string(), format!("WebSocket broker:8083/mqtt: refused: {status}"));
        assert_eq!(error.kind(), kind);
    }
}

#[test]
fn a_move_says_where_to() {
    let error = refused(|_| "HTTP/1.1 301 Moved\r\nLocation: https://b/\r\n\r\n".into());
    assert!(error.to_string().ends_with("301 Moved, it has moved to https://b/"), "{error}");
}

#[test]
fn a_server_without_the_sub_protocol_is_no_broker() {
    for more in ["", "Sec-WebSocket-Protocol: chat\r\n"] {
        let error = refused(move |request| opening(request, more));
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("sub-protocol mqtt"), "{error}");
    }
}

#[test]
fn an_answer_that_fits_another_request_opens_nothing() {
    let more = "Sec-WebSocket-Protocol: mqtt\r\n";
    let other = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==";
    let error = refused(move |_| opening(other, more));
    assert!(error.to_string().ends_with("the answer opens no WebSocket"), "{error}");
}

#[test]
fn an_extension_that_was_not_offered_opens_nothing() {
    let more = "Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";
    let error = refused(move |request| opening(request, more));
    assert!(error.to_string().contains("extension"), "{error}");
}

#[test]
fn options_that_would_break_the_request_are_errors() {
    let options = [
        WebSocketOptions::new("mqtt"),
        WebSocketOptions::new("/a b"),
        WebSocketOptions::new("/a\r\nX: y"),
        WebSocketOptions::default().header("A", "b\r\nc: d"),
        WebSocketOptions::default().header("A: b", "c"),
        WebSocketOptions::default().header("", "c"),
    ];
    for options in options {
        let (stream, _silent) = pair();
        let error = options.connect(stream, "broker", 80, soon()).expect_err("impossible");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{options:?}");
    }
}

#[test]
fn no_value_of_a_header_and_no_query_is_shown() {
    let options = WebSocketOptions::new("/mqtt").header("Authorization", "Bearer secret");
    assert!(!format!("{options:?}").contains("secret"));
    let (stream, _peer) = with_peer(drop);
    let options = WebSocketOptions::new("/mqtt?token=secret");
    let error = options.connect(stream, "broker", 80, soon()).expect_err("closed");
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
}

#[test]
fn frames_and_packets_need_not_agree() {
    let (mut socket, _peer) = connected(|server| {
        // One packet in two messages, and two packets in one.
        for part in [&b"\x30\x05\x00"[..], b"\x01txy", b"\xD0\x00\xD0\x00"] {
            server.send(binary(part)).expect("the client is there");
        }
        echo(server)
    });
    assert_eq!(read_exact(&mut socket, 11), b"\x30\x05\x00\x01txy\xD0\x00\xD0\x00");
}

#[test]
fn a_message_in_fragments_is_put_together() {
    let (mut socket, _peer) = connected(|server| {
        let parts = [&b"\x02\x02ab"[..], b"\x89\x01p", b"\x00\x01c", b"\x80\x01d"];
        server.get_mut().write_all(&parts.concat()).expect("the client is there");
        echo(server)
    });
    assert_eq!(read_exact(&mut socket, 4), b"abcd");
}

#[test]
fn messages_that_came_together_are_input_although_the_source_has_none() {
    let (mut socket, peer) = connected(|server| {
        let (one, two) = (b"\x82\x02ab", b"\x82\x02cd");
        server.get_mut().write_all(&[*one, *two].concat()).expect("the client is there");
        server.get_mut().try_clone().expect("it stays open")
    });
    let _open = peer.join().expect("no panic");
    assert_eq!(read_exact(&mut socket, 1), b"a");
    assert!(socket.has_input());
    assert_eq!(read_exact(&mut socket, 1), b"b");
    assert!(socket.has_input());
    assert_eq!(read_exact(&mut socket, 2), b"cd");
    let error = socket.read(&mut [0]).expect_err("there is none");
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    assert!(!socket.has_input());
}

#[test]
fn a_ping_is_answered_while_nothing_else_is_sent() {
    let (mut socket, peer) = connected(|server| {
        server.send(Message::Ping(Bytes::from_static(b"now"))).expect("the client is there");
        server.send(binary(b"x")).expect("the client is there");
        server.read().expect("a pong")
    });
    assert_eq!(read_exact(&mut socket, 1), b"x");
    assert_eq!(peer.join().expect("no panic"), Message::Pong(Bytes::from_static(b"now")));
}

#[test]
fn an_answer_to_a_ping_that_the_transport_does_not_take_is_output() {
    let (stream, peer) = with_peer(|stream| {
        let mut server = accept(stream);
        server.send(Message::Ping(Bytes::new())).expect("the client is there");
        server.send(binary(b"x")).expect("the client is there");
        server.read().expect("a pong")
    });
    let (stuffed, switch) = Stuffed::new(stream);
    let mut socket = over(stuffed).expect("it is open");
    switch.store(true, Ordering::SeqCst);
    assert_eq!(read_exact(&mut socket, 1), b"x");
    assert!(socket.has_output());
    switch.store(false, Ordering::SeqCst);
    socket.flush().expect("it is taken");
    assert!(!socket.has_output());
    assert_eq!(peer.join().expect("no panic"), Message::Pong(Bytes::new()));
}

#[test]
fn a_close_frame_ends_the_stream_and_is_answered() {
    let (mut socket, peer) = connected(|server| {
        server.send(binary(b"last")).expect("the client is there");
        server.close(None).expect("the client is there");
        server.read().expect("a close frame")
    });
    assert_eq!(read_to_end(&mut socket), b"last");
    assert_eq!(peer.join().expect("no panic"), Message::Close(None));
    assert_eq!(socket.write(b"x").expect_err("it is closed").kind(), io::ErrorKind::BrokenPipe);
    assert!(!socket.has_input());
    finish(&mut socket);
}

#[test]
fn a_transport_that_ends_without_a_close_frame_ends_the_stream() {
    let (mut socket, _peer) = connected(|server| {
        server.send(binary(b"last")).expect("the client is there");
    });
    assert_eq!(read_to_end(&mut socket), b"last");
}

#[test]
fn finishing_sends_a_close_frame_and_leaves_the_other_direction_open() {
    let (mut socket, peer) = connected(|server| {
        let Ok(Message::Close(Some(frame))) = server.read() else { panic!("no close frame") };
        frame.code
    });
    finish(&mut socket);
    finish(&mut socket);
    assert_eq!(peer.join().expect("no panic"), CloseCode::Normal);
    let (mut socket, _peer) = connected(|server| {
        server.send(binary(b"sent before")).expect("the client is there");
        echo(server)
    });
    finish(&mut socket);
    assert_eq!(read_to_end(&mut socket), b"sent before");
}

#[test]
fn text_is_an_error() {
    let (mut socket, _peer) = connected(|server| {
        server.send(Message::Text("hello".into())).expect("the client is there");
    });
    let error = read_error(&mut socket);
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    let text = "WebSocket broker:8083/mqtt: the broker sent text, and MQTT is binary";
    assert_eq!(error.to_string(), text);
}

#[test]
fn a_message_above_the_limit_is_an_error() {
    let (stream, _peer) = with_peer(|stream| {
        let mut server = accept(stream);
        server.send(binary(&[0; 100])).expect("the client is there");
        let _error = server.send(binary(&[0; 101]));
    });
    let options = WebSocketOptions::default().longest_message(100);
    let mut socket = options.connect(stream, "broker", 8083, soon()).expect("it is open");
    assert_eq!(read_exact(&mut socket, 100), [0; 100]);
    let error = read_error(&mut socket);
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(error.to_string().contains("101 bytes"), "{error}");
}

#[test]
fn a_masked_frame_of_a_server_is_an_error() {
    let (mut socket, _peer) = connected(|server| {
        server.get_mut().write_all(b"\x82\x81\0\0\0\0a").expect("the client is there");
    });
    assert_eq!(read_error(&mut socket).kind(), io::ErrorKind::InvalidData);
}

#[test]
fn a_transport_that_takes_nothing_does_not_make_the_buffer_grow() {
    let (stream, peer) = with_peer(|stream| echo(&mut accept(stream)));
    let (stuffed, switch) = Stuffed::new(stream);
    let mut socket = over(stuffed).expect("it is open");
    let all = content(5 * MOST_UNSENT);
    let sent = fill_stuffed(&mut socket, &switch, &all, MOST_UNSENT);
    assert!(peer.join().expect("no panic") == sent);
}

#[test]
fn a_silent_server_costs_the_time_that_was_given() {
    let (stream, _silent) = pair();
    let now = std::time::Instant::now();
    let error = WebSocketOptions::default().connect(stream, "broker", 80, now);
    assert_eq!(error.expect_err("no answer").kind(), io::ErrorKind::TimedOut);
}
