//! Links that break, brokers that restart, and a link that is slow.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use system_tests::{Config, SOON, Tap};

use crate::plant::{CHUNKS, Plant, SLOW, WINDOW, WellDone};

#[test]
fn inject_cut_breaks_the_connection_in_the_middle_and_the_update_goes_on() {
    let plant = Plant::new();
    let mut watcher = plant.watcher();
    let publisher = plant.published("2.0.0", &["--devices", "1"]);
    let told = plant.device("d1").args(&["--inject", "cut"]).run().well_done();
    assert!(told.contains("!! the connection breaks, as injected"), "{told}");
    watcher.sees("d1", &["offline", "1.0.0"]);
    let before = watcher.numbers("d1").len();
    assert!((CHUNKS / 2..CHUNKS).contains(&before), "{before} chunks were sent before");
    watcher.sees("d1", &["confirmed", "2.0.0"]);
    assert!(watcher.numbers("d1").len() <= CHUNKS + 2 * WINDOW, "it does not begin anew");
    assert_eq!(publisher.done().status, Some(0));
}

#[test]
fn a_device_whose_network_goes_away_five_times_receives_each_chunk_and_few_of_them_twice() {
    let plant = Plant::new();
    let mut watcher = plant.watcher();
    let _publisher = plant.published("2.0.0", &[]);
    let tap = Tap::new(plant.broker.address());
    let device = plant.device_at("d1", tap.address()).args(&SLOW).start();
    for cut in 1..=5 {
        watcher.sees_chunk("d1", cut * 20);
        tap.shut();
        watcher.sees("d1", &["offline"]);
        tap.open();
    }
    let _told = device.done().well_done();
    watcher.sees("d1", &["confirmed"]);
    let sent = watcher.numbers("d1").len();
    assert!((CHUNKS..=CHUNKS + 5 * 2 * WINDOW).contains(&sent), "{sent}");
}

#[test]
fn a_broker_that_is_killed_and_has_lost_everything_is_told_again_and_the_update_goes_on() {
    let mut plant = Plant::new();
    let mut watcher = plant.watcher();
    let publisher = plant.published("2.0.0", &["--devices", "1"]);
    let device = plant.device("d1").args(&SLOW).start();
    watcher.sees_chunk("d1", 50);
    let before = watcher.numbers("d1").len();
    plant.broker.kill();
    plant.broker.start_again();
    // mosquitto_sub may come later than the others, and misses chunks then. It asks each second.
    watcher.sees_within("d1", &["confirmed", "2.0.0"], SOON);
    let _told = device.done().well_done();
    assert!(watcher.numbers("d1").len() <= CHUNKS + 2 * WINDOW, "{before} before");
    assert_eq!(publisher.done().status, Some(0));
}

#[test]
fn an_update_over_a_slow_link_comes_to_its_end_and_asks_for_few_chunks_twice() {
    // A chunk takes 60 ms, the window a second.
    let plant = Plant::with_image(Config::new().line("max_queued_messages 0"), 32 * 4_096);
    let mut watcher = plant.watcher();
    let _publisher = plant.published("2.0.0", &[]);
    let slow = slow_way(plant.broker.address(), 64 << 10);
    let begun = Instant::now();
    let _told = plant.device_at("d1", slow).run().well_done();
    assert!(begun.elapsed() > Duration::from_secs(1), "{:?}", begun.elapsed());
    watcher.sees("d1", &["confirmed"]);
    let sent = watcher.numbers("d1").len();
    assert!((32..=32 + WINDOW).contains(&sent), "{sent}");
}

/// A way to the broker that takes this many bytes a second to the client.
fn slow_way(broker: SocketAddr, rate: usize) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(broker) else { return };
            let ends = (client.try_clone(), server.try_clone());
            let (Ok(from_client), Ok(to_broker)) = ends else { return };
            thread::spawn(move || pass(from_client, to_broker, usize::MAX));
            thread::spawn(move || pass(server, client, rate));
        }
    });
    address
}

/// The time of the bytes on the line, which is no wait for an event.
fn pass(mut from: TcpStream, mut to: TcpStream, rate: usize) {
    let mut part = [0; 1_024];
    while let Ok(count @ 1..) = from.read(&mut part) {
        thread::sleep(Duration::from_secs_f64(count as f64 / rate as f64));
        if to.write_all(part.get(..count).unwrap_or_default()).is_err() {
            break;
        }
    }
    let _gone = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
