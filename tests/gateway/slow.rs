//! A slow link between gateway and broker.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use system_tests::Mosquitto;

use super::plant::{Config, Plant, Witness};

/// So many bytes pass at once in each direction, and each time they take so long.
const PIECE: usize = 64;
const DELAY: Duration = Duration::from_millis(25);

/// A port that leads to `broker` over a link of 2,560 bytes a second. It ends with the test program.
fn slow_link(broker: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    thread::spawn(move || {
        for client in listener.incoming() {
            let (Ok(client), Ok(server)) = (client, TcpStream::connect(broker)) else { return };
            for (from, to) in [(&client, &server), (&server, &client)] {
                let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { return };
                thread::spawn(move || pass(from, to));
            }
        }
    });
    address
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut piece = [0; PIECE];
    while let Ok(count @ 1..) = from.read(&mut piece) {
        thread::sleep(DELAY);
        let bytes = piece.get(..count).unwrap_or_default();
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    // The other side sees the end as well.
    let _ended = to.shutdown(std::net::Shutdown::Both);
}

/// Readings of fifteen messages a second, each of about 60 bytes, are more than half of what the link can carry.
#[test]
fn a_slow_link_is_not_taken_for_a_dead_one_and_loses_nothing() {
    let broker = Mosquitto::start();
    let address = slow_link(broker.address());
    let plant = Plant::new(Config::to_urls(vec![format!("mqtt://{address}")]));
    let mut witness = Witness::of(&broker);
    let gateway = plant.start(&[]).comes_online();
    witness.status("online");
    // Longer than all times of the link together, which are 8 s.
    let _ = witness.readings(100);
    assert_eq!(gateway.lines.count("the link makes no progress"), 0, "{}", gateway.lines);
    gateway.ends_well();
    witness.status("stopped");
    witness.has_all_from(1, 0);
}
