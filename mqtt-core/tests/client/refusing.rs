//! While the client itself refuses input, it passes no verdict on the link: the PINGRESP may lie behind the bytes that
//! it does not take. That state has a bound of its own.

use mqtt_core::{
    Action, ConnectionState, Delivery, Event, Fatal, Instant, Options, PacketId, Publish, QoS,
    Reason, codec::Packet, topic,
};

use test_kit::{
    script::{HeapClient, Script},
    wire::{ACCEPTED, ACCEPTED_SESSION_PRESENT, encoded},
};

fn options() -> Options<'static> {
    Options::new("me").keep_alive(10).manual_acknowledge(true)
}

/// A client with two slots, and its peer.
struct Owing {
    client: HeapClient,
    input: Vec<u8>,
    owed: Vec<Delivery>,
    now: u64,
    /// The transport takes no byte.
    stalled: bool,
    closed: Option<Reason>,
}

impl Owing {
    /// The broker has sent `messages` messages of QoS 1.
    fn new(options: &Options<'_>, messages: u16) -> Self {
        let mut script = Script::sized(options, 256, 2);
        script.accept(ACCEPTED);
        let mut owing = Self {
            client: script.client,
            input: Vec::new(),
            owed: Vec::new(),
            now: 0,
            stalled: false,
            closed: None,
        };
        for id in 1..=messages {
            let publish = Publish::new(topic!("t"), b"x").qos(QoS::AtLeastOnce);
            owing.send(Packet::Publish(Publish { id: PacketId::new(id), ..publish }));
        }
        owing.run();
        owing
    }

    fn send(&mut self, packet: Packet<'_>) {
        self.input.extend(encoded(packet, self.client.protocol()));
    }

    fn acknowledge(&mut self) {
        let delivery = self.owed.remove(0);
        assert_eq!(self.client.acknowledge(delivery), Ok(()));
    }

    /// Acts as a driver for this instant; the broker answers each PINGREQ.
    fn run(&mut self) {
        let now = Instant::from_millis(self.now);
        for _ in 0..100 {
            let mut rest = &self.input[..];
            while let Ok(Some(event)) = self.client.receive(&mut rest, now) {
                if let Event::Message(message) = event {
                    self.owed.extend(message.delivery);
                }
            }
            self.input = rest.to_vec();
            match self.client.poll(now) {
                Action::Transmit(_) if self.stalled => return,
                Action::Transmit(bytes) => {
                    let (count, ping) = (bytes.len(), bytes == [0xC0, 0]);
                    self.client.transmitted(count, now);
                    if ping {
                        self.input.extend([0xD0, 0]);
                    }
                }
                Action::Wait(until) if until > now => return,
                Action::Wait(_) => {}
                Action::Close(reason) => {
                    self.closed = Some(reason);
                    return;
                }
                _ => return,
            }
        }
        panic!("actions without end");
    }

    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += 1_000;
            self.run();
        }
    }
}

#[test]
fn a_client_whose_slots_are_all_owed_stays_connected_and_goes_on_when_one_is_acknowledged() {
    let mut owing = Owing::new(&options(), 3);
    owing.pass(60);
    assert_eq!((owing.client.state(), owing.owed.len()), (ConnectionState::Up, 2));
    owing.acknowledge();
    owing.run();
    assert_eq!(owing.owed.len(), 2, "the third message");
    assert!(owing.input.is_empty(), "and the PINGRESPs behind it");
    owing.pass(60);
    assert_eq!(owing.client.state(), ConnectionState::Up);
}

#[test]
fn input_that_stays_unread_for_too_long_ends_the_connection() {
    let mut owing = Owing::new(&options().unread_timeout(100_000), 3);
    owing.pass(99);
    assert_eq!(owing.client.state(), ConnectionState::Up);
    owing.pass(1);
    let now = Instant::from_millis(owing.now);
    assert_eq!(owing.client.poll(now), Action::Close(Reason::Fatal(Fatal::Unread)));
}

/// Without a keep alive nothing else ends such a connection.
#[test]
fn input_that_stays_unread_ends_the_connection_though_the_transport_takes_no_byte() {
    let mut owing = Owing::new(&options().keep_alive(0).unread_timeout(100_000), 4);
    owing.stalled = true;
    owing.acknowledge();
    owing.pass(99);
    assert_eq!((owing.closed, owing.owed.len()), (None, 2));
    owing.pass(13);
    assert_eq!(owing.closed, Some(Reason::Fatal(Fatal::Stalled)));
}

#[test]
fn a_transport_that_takes_bytes_again_is_not_stalled() {
    let mut owing = Owing::new(&options().keep_alive(0).unread_timeout(100_000), 4);
    owing.stalled = true;
    owing.acknowledge();
    owing.pass(105);
    owing.stalled = false;
    owing.acknowledge();
    owing.pass(60);
    assert_eq!((owing.client.state(), owing.owed.len()), (ConnectionState::Up, 2));
}

#[test]
fn each_message_that_is_taken_starts_the_time_anew() {
    let mut owing = Owing::new(&options().unread_timeout(100_000), 9);
    for _ in 0..6 {
        owing.pass(90);
        owing.acknowledge();
        owing.run();
    }
    assert_eq!(owing.client.state(), ConnectionState::Up);
}

#[test]
fn the_time_for_unread_input_can_be_switched_off() {
    let mut owing = Owing::new(&options().unread_timeout(0), 3);
    owing.pass(1_000);
    assert_eq!(owing.client.state(), ConnectionState::Up);
}

/// The device slept, and the application acknowledges as soon as it is awake.
#[test]
fn input_that_is_taken_at_last_is_not_unread() {
    let mut owing = Owing::new(&options().keep_alive(0).unread_timeout(100_000), 3);
    owing.now = 500_000;
    owing.acknowledge();
    owing.run();
    assert_eq!((owing.client.state(), owing.owed.len()), (ConnectionState::Up, 2));
}

/// [MQTT-3.12.4-1]
#[test]
fn a_dead_link_is_noticed_once_input_is_taken_again() {
    let mut owing = Owing::new(&options(), 3);
    owing.pass(7);
    // From now on no byte comes.
    let now = |owing: &Owing| Instant::from_millis(owing.now);
    owing.now += 1_000;
    while let Action::Transmit(bytes) = owing.client.poll(now(&owing)) {
        let count = bytes.len();
        owing.client.transmitted(count, now(&owing));
    }
    owing.now += 100_000;
    owing.acknowledge();
    let mut closed = false;
    for _ in 0..20 {
        owing.now += 1_000;
        let mut rest = &owing.input[..];
        while let Ok(Some(_)) = owing.client.receive(&mut rest, now(&owing)) {}
        owing.input = rest.to_vec();
        while let Action::Transmit(bytes) = owing.client.poll(now(&owing)) {
            let count = bytes.len();
            owing.client.transmitted(count, now(&owing));
        }
        let pinged = Action::Close(Reason::Fatal(Fatal::PingTimeout));
        closed |= owing.client.poll(now(&owing)) == pinged;
    }
    assert!(closed);
}

/// Its answer may lie in the unread input.
#[test]
fn no_request_is_blamed_for_input_that_the_client_itself_left_unread() {
    let options = options().clean_session(false).give_up_stuck(true);
    let mut script = Script::sized(&options, 256, 2);
    script.accept(ACCEPTED);
    let message = |id| {
        let publish = Publish::new(topic!("t"), b"x").qos(QoS::AtLeastOnce);
        Packet::Publish(Publish { id: PacketId::new(id), ..publish })
    };
    let publish = Publish::new(topic!("t"), b"x").qos(QoS::AtLeastOnce);
    let _ = script.client.publish(&publish).unwrap();
    for _ in 0..4 {
        for id in 1..=3 {
            script.hear_packet(message(id));
        }
        for _ in 0..40 {
            script.later(10_000);
            script.run();
        }
        let told = script.told();
        assert!(told.contains(&"down: input was left unread for too long".to_string()), "{told:?}");
        assert!(!told.iter().any(|event| event.contains("stuck")), "{told:?}");
        script.reconnect(ACCEPTED_SESSION_PRESENT);
        script.told();
    }
}
