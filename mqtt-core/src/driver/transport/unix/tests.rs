use std::{
    format,
    io::{self, Read},
    os::unix::net::UnixListener,
    path::PathBuf,
    string::ToString,
    time::{Duration, Instant},
    vec::Vec,
};

use super::connect;
use crate::driver::transport::testing::{read_exact, soon, write_all};

/// A path that is free, and is so again after the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("mqtt-core-{name}-{}", std::process::id())))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn bytes_arrive_in_both_directions() {
    let place = Place::new("unix-both");
    let listener = UnixListener::bind(&place.0).expect("a free path");
    let mut stream = connect(&place.0, soon()).expect("it listens");
    let (mut peer, _) = listener.accept().expect("it connects");
    write_all(&mut stream, b"hello");
    let mut heard = [0; 5];
    peer.read_exact(&mut heard).expect("it was sent");
    assert_eq!(&heard, b"hello");
    io::Write::write_all(&mut peer, b"good day").expect("it is there");
    assert_eq!(read_exact(&mut stream, 8), b"good day");
}

#[test]
fn a_connection_does_not_wait() {
    let place = Place::new("unix-wait");
    let _listener = UnixListener::bind(&place.0).expect("a free path");
    let mut stream = connect(&place.0, soon()).expect("it listens");
    let error = stream.read(&mut [0]).expect_err("nothing was sent");
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn an_error_names_the_path() {
    let place = Place::new("unix-missing");
    let error = connect(&place.0, soon()).expect_err("nobody listens");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    let text = error.to_string();
    assert!(text.starts_with(&format!("Unix socket {}: ", place.0.display())), "{text}");
    let long = "x".repeat(1_000);
    let error = connect(&long, soon()).expect_err("no address is so long");
    assert!(error.to_string().contains(&long), "{error}");
}

#[test]
fn a_broker_that_has_ended_refuses() {
    let place = Place::new("unix-ended");
    drop(UnixListener::bind(&place.0).expect("a free path"));
    let error = connect(&place.0, soon()).expect_err("nobody listens");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn a_broker_that_accepts_nobody_costs_the_time_that_was_given() {
    let place = Place::new("unix-full");
    let listener = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None);
    let listener = listener.expect("a socket");
    listener.bind(&socket2::SockAddr::unix(&place.0).expect("short")).expect("a free path");
    listener.listen(0).expect("it listens");
    let mut queued = Vec::new();
    let start = Instant::now();
    let error = loop {
        match connect(&place.0, start + Duration::from_millis(100)) {
            Ok(stream) => queued.push(stream),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(start.elapsed() >= Duration::from_millis(100));
}
