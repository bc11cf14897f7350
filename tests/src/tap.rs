//! A tap between a client and a broker: it passes bytes on, counts packets, and can cut the connection at a packet.
//!
//! To both sides a cut looks like a network that went away at that moment. The client can be kept out for a while.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// From the client to the broker.
    Broker,
    /// From the broker to the client.
    Client,
}

/// The first bytes of the packets that a test looks for, without their flags.
pub mod packets {
    #![expect(missing_docs, reason = "they are named like the packets")]

    pub const PUBLISH: u8 = 0x30;
    pub const PUBACK: u8 = 0x40;
    pub const PUBREC: u8 = 0x50;
    pub const PUBREL: u8 = 0x60;
    pub const PUBCOMP: u8 = 0x70;
    pub const UNSUBACK: u8 = 0xB0;
    pub const PINGREQ: u8 = 0xC0;
    pub const PINGRESP: u8 = 0xD0;
}

use packets::PUBLISH;

/// A tap on a loopback port. Its connections end when it is dropped.
#[derive(Debug)]
pub struct Tap {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    broker: SocketAddr,
    open: AtomicBool,
    over: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Cut before this packet is passed on.
    cut_at: Option<(To, u8)>,
    /// Each packet that came, also one that was not passed on.
    packets: Vec<Tapped>,
    connections: usize,
    streams: Vec<TcpStream>,
}

/// A packet that came to a tap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tapped {
    /// When it came.
    pub at: Instant,
    /// The connection, counted from 1.
    pub connection: usize,
    /// Its direction.
    pub to: To,
    /// Its first byte, with the flags.
    pub first: u8,
    /// Everything behind the length; the beginning of a long packet.
    pub body: Vec<u8>,
}

/// Bytes of a packet that are kept.
const KEPT: usize = 100;

/// The flag of a packet that is sent again.
const DUP: u8 = 0x08;

impl Tap {
    /// A tap in front of `broker`.
    ///
    /// # Panics
    /// If the system has no port left.
    #[must_use]
    pub fn new(broker: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let open = AtomicBool::new(true);
        let shared = Arc::new(Shared {
            broker,
            open,
            over: AtomicBool::new(false),
            state: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.over.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(client) = client else { continue };
                accepting.join(&client);
            }
        });
        Self { address, shared }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts the connection when the next packet of this kind should be passed on. It is not passed on.
    pub fn cut_at(&self, to: To, kind: u8) {
        self.shared.lock().cut_at = Some((to, kind));
    }

    /// The cut at a packet is no longer due.
    pub fn do_not_cut(&self) {
        self.shared.lock().cut_at = None;
    }

    /// Cuts the connection now. The client may connect again at once. A cut at a packet is no longer due.
    pub fn cut(&self) {
        let mut state = self.shared.lock();
        state.cut_at = None;
        state.cut();
    }

    /// Cuts the connection and keeps the client out until [`open`](Self::open).
    pub fn shut(&self) {
        self.shared.open.store(false, Ordering::SeqCst);
        self.shared.lock().cut();
    }

    /// Lets the client in again.
    pub fn open(&self) {
        self.shared.open.store(true, Ordering::SeqCst);
    }

    /// How many packets of this kind came.
    #[must_use]
    pub fn count(&self, to: To, kind: u8) -> usize {
        self.shared.lock().of(to, kind).count()
    }

    /// Every packet so far, also one that was not passed on.
    #[must_use]
    pub fn packets(&self) -> Vec<Tapped> {
        self.shared.lock().packets.clone()
    }

    /// Whether the broker answered with the same packet of this kind twice in one connection.
    #[must_use]
    pub fn is_repeated(&self, kind: u8) -> bool {
        let state = self.shared.lock();
        state.of(To::Client, kind).enumerate().any(|(place, packet)| {
            state.of(To::Client, kind).take(place).any(|earlier| earlier == packet)
        })
    }

    /// Whether the broker sent a PUBLISH again on a later connection without DUP.
    #[must_use]
    pub fn is_resent_without_dup(&self) -> bool {
        let state = self.shared.lock();
        state.of(To::Client, PUBLISH).any(|packet| {
            packet.first & DUP == 0
                && state.of(To::Client, PUBLISH).any(|earlier| {
                    earlier.connection < packet.connection && earlier.body == packet.body
                })
        })
    }

    /// Whether the cut has happened.
    #[must_use]
    pub fn has_cut(&self) -> bool {
        self.shared.lock().cut_at.is_none()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        self.shared.lock().cut();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn of(&self, to: To, kind: u8) -> impl Iterator<Item = &Tapped> {
        self.packets.iter().filter(move |packet| packet.to == to && packet.first & 0xF0 == kind)
    }

    fn cut(&mut self) {
        for stream in self.streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects a client with the broker.
    fn join(self: &Arc<Self>, client: &TcpStream) {
        if !self.open.load(Ordering::SeqCst) {
            return;
        }
        let Ok(broker) = TcpStream::connect_timeout(&self.broker, Duration::from_secs(5)) else {
            return;
        };
        let connection = {
            let mut state = self.lock();
            state.connections += 1;
            state.connections
        };
        let _ = (client.set_nodelay(true), broker.set_nodelay(true));
        for (from, into, to) in [(client, &broker, To::Broker), (&broker, client, To::Client)] {
            let (Ok(from), Ok(into), Ok(kept)) =
                (from.try_clone(), into.try_clone(), from.try_clone())
            else {
                return;
            };
            self.lock().streams.push(kept);
            let shared = Arc::clone(self);
            thread::spawn(move || shared.pass(from, into, connection, to));
        }
    }

    /// Passes packets on until one side closes.
    fn pass(&self, mut from: TcpStream, mut into: TcpStream, connection: usize, to: To) {
        let mut bytes = Vec::new();
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut piece) {
            bytes.extend(piece.get(..count).unwrap_or_default());
            while let Some((head, len, first)) = frame(&bytes) {
                let packet: Vec<u8> = bytes.drain(..len).collect();
                let body = packet.get(head..len.min(head + KEPT)).unwrap_or_default().to_vec();
                let mut state = self.lock();
                state.packets.push(Tapped { at: Instant::now(), connection, to, first, body });
                if state.cut_at == Some((to, first & 0xF0)) {
                    state.cut_at = None;
                    state.cut();
                    return;
                }
                drop(state);
                if into.write_all(&packet).is_err() {
                    let _ = from.shutdown(Shutdown::Both);
                    return;
                }
            }
        }
        let _ = into.shutdown(Shutdown::Both);
    }
}

/// Length of the fixed header, length, and first byte of the packet at the front, if it is whole.
fn frame(bytes: &[u8]) -> Option<(usize, usize, u8)> {
    let first = *bytes.first()?;
    let mut remaining = 0;
    for (place, byte) in bytes.iter().skip(1).take(4).enumerate() {
        remaining |= usize::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            let (head, len) = (2 + place, 2 + place + remaining);
            return (bytes.len() >= len).then_some((head, len, first));
        }
    }
    None
}
