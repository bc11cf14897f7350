//! `serial`: a pseudo-terminal, with a gateway at its other end that opens one connection.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;

use system_tests::Mosquitto;
use test_kit::terminal::pseudo_terminal;

use super::device::{Device, Seen, witness};

/// Passes bytes between the line and the broker until the broker closes the connection.
fn gateway(line: File, broker: SocketAddr) -> io::Result<()> {
    let broker = TcpStream::connect(broker)?;
    broker.set_nodelay(true)?;
    let (up, down) = ((line.try_clone()?, broker.try_clone()?), (broker, line));
    thread::spawn(move || {
        copy(&up.0, &up.1);
        // The device is gone.
        let _gone = up.1.shutdown(Shutdown::Write);
    });
    copy(&down.0, &down.1);
    Ok(())
}

fn copy(mut from: impl Read, mut to: impl Write) {
    let mut buffer = [0; 64];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(buffer.get(..count).unwrap_or_default()).is_err() {
            return;
        }
    }
}

#[test]
fn every_message_arrives_once_over_a_serial_line() {
    let broker = Mosquitto::start();
    let witness = witness(&broker).start();
    let (end, line) = pseudo_terminal();
    let line = line.to_str().expect("a path of text");
    let device = Device::start("serial", broker.address(), 20, &["--line", line]);
    let address = broker.address();
    let passing = thread::spawn(move || gateway(end, address));
    let mut seen = Seen::default();
    seen.take_all(&witness);
    seen.check_all_once(20, &device.outcomes());
    passing.join().expect("it does not panic").expect("it connects");
}
