//! `disconnect` and `connect` in every phase of a connection: the last call decides whether the client is online, and a
//! `disconnect` before it still ends the connection.

use mqtt_core::{
    Action, ConnectionState, Instant, Options, Protocol, Publish, QoS, Reason, Reconnect, Slot,
    topic,
};

use test_kit::{
    drive::{self, World},
    script::HeapClient,
    text,
    wire::{ACCEPTED, ACCEPTED_SESSION_PRESENT, PUBCOMP, PUBREL, ack, next_packet},
};

/// A call of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Connect,
    Disconnect,
}
use Call::{Connect, Disconnect};

/// A broker that accepts each connection and answers each PUBREL.
#[derive(Default)]
struct Broker {
    input: Vec<u8>,
    output: Vec<u8>,
    sent: Vec<String>,
    told: Vec<String>,
}

impl Broker {
    fn answer(&mut self) {
        while let Some((packet, rest)) = next_packet(&self.output, Protocol::V311) {
            let line = text::packet(&packet);
            if line.starts_with("CONNECT") {
                self.input.extend_from_slice(ACCEPTED_SESSION_PRESENT);
            } else if let Some(id) = line.strip_prefix("PUBREL ") {
                self.input.extend_from_slice(&ack(PUBCOMP, id.parse().unwrap()));
            }
            self.sent.push(line);
            self.output = rest.to_vec();
        }
    }
}

impl World<Vec<u8>, Vec<Slot>> for Broker {
    fn before(&mut self, client: &mut HeapClient, now: Instant) {
        self.answer();
        let told = &mut self.told;
        let outcome = drive::receive_from(client, &mut self.input, now, |event| {
            told.push(text::event(&event));
        });
        assert_eq!(outcome, Ok(()));
    }

    fn close(&mut self, _reason: Reason) {
        self.answer();
        self.input.clear();
        self.output.clear();
    }

    fn transmit(&mut self, bytes: &[u8]) -> usize {
        self.output.extend_from_slice(bytes);
        bytes.len()
    }
}

/// A client in one phase, and the time.
struct Stage {
    client: HeapClient,
    now: Instant,
    broker: Broker,
}

impl Stage {
    /// Before the first attempt.
    fn new() -> Self {
        Self::with(Reconnect::after(1_000))
    }

    fn with(reconnect: Reconnect) -> Self {
        let options = Options::new("me").clean_session(false).reconnect(reconnect);
        let client = HeapClient::new(&options, vec![0; 512], vec![Slot::EMPTY; 2]).unwrap();
        Self { client, now: Instant::from_millis(5_000), broker: Broker::default() }
    }

    /// The broker answers with these bytes, and the driver takes no action.
    fn hear(mut self, mut input: &[u8]) -> Self {
        self.broker.output.clear();
        while let Ok(Some(_)) = self.client.receive(&mut input, self.now) {}
        self
    }

    fn opening(mut self) -> Self {
        assert!(matches!(self.client.poll(self.now), Action::Connect { .. }));
        self
    }

    fn handshake(self) -> Self {
        let mut stage = self.opening();
        stage.client.connected(stage.now);
        stage
    }

    /// The CONNECT is sent.
    fn asked(self) -> Self {
        self.handshake().transmitting(usize::MAX)
    }

    /// The driver sees the next bytes, and the transport takes `count` of them.
    fn transmitting(mut self, count: usize) -> Self {
        let Action::Transmit(bytes) = self.client.poll(self.now) else { panic!("nothing to send") };
        let count = count.min(bytes.len());
        self.broker.output.extend_from_slice(&bytes[..count]);
        self.client.transmitted(count, self.now);
        self
    }

    fn up(self) -> Self {
        self.asked().hear(ACCEPTED)
    }

    /// A publish waits until the packet ids of a session that was found are reclaimed.
    fn reclaiming(self) -> Self {
        let mut stage = self.asked();
        let publish = Publish::new(topic!("t"), b"x").qos(QoS::ExactlyOnce);
        let _ = stage.client.publish(&publish).unwrap();
        stage.hear(ACCEPTED_SESSION_PRESENT).transmitting(0)
    }

    /// Messages were passed over, and the DISCONNECT is next.
    fn passing_over(self) -> Self {
        let message = |id| [0x34, 6, 0, 1, b't', 0, id, b'x'];
        let mut stage = self.up().hear(&[message(1), message(2), message(3)].concat());
        stage = stage.transmitting(8).hear(&[ack(PUBREL, 1), ack(PUBREL, 2)].concat());
        stage.transmitting(8)
    }

    fn calls(mut self, calls: &[Call]) -> Self {
        for call in calls {
            match call {
                Connect => self.client.connect(),
                Disconnect => self.client.disconnect(),
            }
        }
        self
    }

    fn closed(mut self) -> Self {
        self.client.closed(self.now);
        self
    }

    /// Lets the driver work until nothing changes any more.
    fn finish(mut self) -> Self {
        // A transport that was being opened is open now, if the client still wants it.
        self.client.connected(self.now);
        for _ in 0..5 {
            let until = drive::drive(&mut self.client, &mut self.broker, self.now);
            if self.client.state() != ConnectionState::Waiting {
                break;
            }
            self.now = until.expect("the transport takes bytes");
        }
        self.broker.before(&mut self.client, self.now);
        self
    }

    fn downs(&self) -> usize {
        self.broker.told.iter().filter(|line| line.starts_with("down")).count()
    }
}

type Phase = (&'static str, fn(Stage) -> Stage);

/// The phases in which there is an accepted connection that has sent no whole DISCONNECT.
const ACCEPTED_PHASES: &[Phase] = &[
    ("up", Stage::up),
    ("up, ids are reclaimed", Stage::reclaiming),
    ("passing over, the DISCONNECT was not shown", Stage::passing_over),
    ("passing over, the DISCONNECT was shown", |stage| stage.passing_over().transmitting(0)),
    ("passing over, half of the DISCONNECT was sent", |stage| stage.passing_over().transmitting(1)),
];

/// The phases in which there is an attempt or a connection, and no DISCONNECT can be sent, or not yet.
const OTHER_PHASES: &[Phase] = &[
    ("opening", Stage::opening),
    ("the CONNECT was not shown", Stage::handshake),
    ("the CONNECT was shown", |stage| stage.handshake().transmitting(0)),
    ("half of the CONNECT was sent", |stage| stage.handshake().transmitting(7)),
    ("the CONNECT was sent", Stage::asked),
    ("closing after a broken rule", |stage| stage.up().hear(&[0xF0, 0])),
    ("closing after a refusal", |stage| stage.asked().hear(&[0x20, 2, 0, 5])),
    ("closing after a time-out", |stage| {
        let mut stage = stage.asked().hear(&[]);
        stage.now = stage.now.plus_millis(20_000);
        let _ = stage.client.poll(stage.now);
        let mut stage = stage.hear(&[]);
        assert!(matches!(stage.client.poll(stage.now), Action::Close(_)));
        stage
    }),
];

const OFFLINE_PHASES: &[Phase] = &[
    ("before the first attempt", |stage| stage),
    ("waiting", |stage| stage.up().closed()),
    ("waiting after a refusal", |stage| stage.asked().hear(&[0x20, 2, 0, 5]).closed()),
    ("stopped", |stage| stage.calls(&[Disconnect])),
];

fn all_phases() -> impl Iterator<Item = &'static Phase> {
    ACCEPTED_PHASES.iter().chain(OTHER_PHASES).chain(OFFLINE_PHASES)
}

#[test]
fn the_last_call_decides_in_every_phase() {
    for (name, phase) in all_phases() {
        for calls in [
            &[Disconnect][..],
            &[Disconnect, Disconnect],
            &[Disconnect, Connect],
            &[Disconnect, Connect, Connect],
            &[Disconnect, Connect, Disconnect],
            &[Disconnect, Connect, Disconnect, Connect],
            &[Connect],
            &[Connect, Disconnect],
            &[Connect, Disconnect, Connect],
        ] {
            let stage = phase(Stage::new()).calls(calls).finish();
            let expected = match calls.last() {
                Some(Connect) => ConnectionState::Up,
                _ => ConnectionState::Stopped,
            };
            assert_eq!(
                stage.client.state(),
                expected,
                "{name}, {calls:?}: {:?}",
                stage.broker.told
            );
        }
    }
}

/// Also if `connect` follows at once: an application does that if it wants a new connection.
#[test]
fn a_disconnect_ends_the_connection_in_every_phase() {
    for (name, phase) in ACCEPTED_PHASES.iter().chain(OTHER_PHASES) {
        for calls in [&[Disconnect][..], &[Disconnect, Connect], &[Disconnect, Connect, Connect]] {
            let stage = phase(Stage::new()).calls(calls).finish();
            let told = &stage.broker.told;
            assert_eq!(stage.downs(), 1, "{name}, {calls:?}: {told:?}");
        }
    }
}

#[test]
fn an_accepted_connection_ends_with_a_disconnect_before_the_next_one_begins() {
    for (name, phase) in ACCEPTED_PHASES {
        let stage = phase(Stage::new()).calls(&[Disconnect, Connect]).finish();
        let told = stage.broker.told.join(", ");
        assert!(told.contains("down: disconnected on request, connecting 0, up"), "{name}: {told}");
        let sent = stage.broker.sent.join(", ");
        assert!(sent.contains("DISCONNECT, CONNECT"), "{name}: {sent}");
    }
}

#[test]
fn a_connect_alone_does_not_end_a_connection() {
    for (name, phase) in [ACCEPTED_PHASES[0], ACCEPTED_PHASES[1], OTHER_PHASES[0], OTHER_PHASES[4]]
    {
        let stage = phase(Stage::new()).calls(&[Connect]).finish();
        assert_eq!(stage.downs(), 0, "{name}");
    }
}

/// The application hears of the broken rule before the driver has closed the transport.
#[test]
fn a_connect_while_the_transport_is_being_closed_leads_to_a_connection() {
    let stage = Stage::with(Reconnect::never()).up().hear(&[0xF0, 0]);
    assert_eq!(stage.client.state(), ConnectionState::Closing);
    assert_eq!(stage.calls(&[Connect]).finish().client.state(), ConnectionState::Up);
}

/// As when it calls `connect` after the close.
#[test]
fn a_connect_while_the_transport_is_being_closed_does_not_wait_for_the_back_off() {
    let mut stage = Stage::with(Reconnect::after(60_000)).up().hear(&[0xF0, 0]).calls(&[Connect]);
    assert!(matches!(stage.client.poll(stage.now), Action::Close(_)));
    assert!(matches!(stage.closed().opening().client.state(), ConnectionState::Connecting));
}
