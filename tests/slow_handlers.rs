//! Handlers that take a millisecond for each message of a flood, through a real broker (M7): the client stays up and
//! gets all. The time is really spent, so keep alive and time-outs are far shorter than the flood.

use std::thread;
use std::time::{Duration, Instant};

use mqtt_core::codec::{Connect, Packet, PacketId, Publish};
use mqtt_core::driver::blocking::Events;
use mqtt_core::{Event, Options, Protocol, QoS, topic};
use system_tests::{Config, Device, Link, Mosquitto, SOON};

/// Nearly all of them fit in one read of the client. Mosquitto closes the connection if the client sends nothing for 3 s,
/// and looks every 5 s.
const FLOOD: u16 = 8_500;
const WORK: Duration = Duration::from_millis(1);

/// A broker that sends without a limit, and the events of a client that the flood is sent to.
fn flooded(qos: QoS) -> (Mosquitto, Events) {
    let config = Config::new().line("max_inflight_messages 0").line("max_queued_messages 0");
    let broker = config.start();
    let options = Options::new("device").keep_alive(2).ping_timeout(500);
    let mut device = Device::connect(broker.address(), &options);
    device.subscribe("t", qos);
    let mut link = Link::connect(broker.address(), Protocol::V311);
    let connect = Connect {
        protocol: Protocol::V311,
        client_id: "flood",
        clean_session: true,
        keep_alive: 0,
        will: None,
        login: None,
    };
    assert_eq!(link.open(&connect).result, Ok(()));
    let mut bytes = Vec::new();
    for count in 1..=FLOOD {
        let payload = count.to_be_bytes();
        let id = if qos == QoS::AtMostOnce { None } else { PacketId::new(count) };
        let publish = Publish { id, ..Publish::new(topic!("t"), &payload).qos(qos) };
        let mut space = [0; 16];
        let len = publish.encode(&mut space).expect("it is short");
        bytes.extend(space.into_iter().take(len));
    }
    // The broker's answers wait in the socket meanwhile: they are few bytes.
    link.send_bytes(&bytes);
    link.send(&Packet::PingReq);
    let answers = if qos == QoS::AtMostOnce { 0 } else { FLOOD };
    for _ in 0..=answers {
        let _ = link.receive(SOON);
    }
    (broker, device.into_parts().1)
}

/// Handles the flood, and fails if anything else comes.
fn handle(events: &mut Events) {
    let start = Instant::now();
    for count in 1..=FLOOD {
        match events.next_timeout(SOON) {
            Some(Event::Message(message)) => assert_eq!(message.payload, count.to_be_bytes()),
            other => panic!("{other:?} after {count} messages and {:?}", start.elapsed()),
        }
        thread::sleep(WORK);
    }
    let least = WORK * u32::from(FLOOD);
    assert!(start.elapsed() >= least, "the flood was handled too fast to show anything");
}

fn a_flood_outlasts_the_keep_alive(qos: QoS) {
    let (broker, mut events) = flooded(qos);
    handle(&mut events);
    assert_eq!(events.next_timeout(Duration::ZERO), None, "the connection lives on");
    assert_eq!(broker.log().count("exceeded timeout"), 0);
}

#[test]
fn a_flood_of_qos_0_outlasts_the_keep_alive() {
    a_flood_outlasts_the_keep_alive(QoS::AtMostOnce);
}

#[test]
fn a_flood_of_qos_1_outlasts_the_keep_alive() {
    a_flood_outlasts_the_keep_alive(QoS::AtLeastOnce);
}
