//! A broker that follows its script. It is for stalls, floods and broken rules, which no real broker offers.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::panic;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mqtt_core::Protocol;
use mqtt_core::codec::{ConnAck, Packet};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::link::{Frame, Link};
use crate::process::SOON;

/// A listener on a free loopback port, with a thread that follows a script.
///
/// ```no_run
/// # use system_tests::{FakeBroker, SOON};
/// # use mqtt_core::{Protocol, codec::Packet};
/// let broker = FakeBroker::start(Protocol::V311, |door| {
///     let (mut link, _connect) = door.admit(false);
///     link.send_bytes(&[0x60, 0x02, 0x00, 0x01]);          // a PUBREL with wrong flags
///     link.wait_closed(SOON);                              // [MQTT-2.2.2-2]
/// });
/// // ... a client connects to `broker.address()` ...
/// broker.finish(SOON);
/// ```
#[derive(Debug)]
#[must_use = "its script is awaited by `finish`"]
pub struct FakeBroker {
    address: SocketAddr,
    ended: Receiver<()>,
    script: JoinHandle<()>,
}

impl FakeBroker {
    /// Listens, and lets `script` run on a thread of its own.
    ///
    /// # Panics
    /// If there is no port.
    pub fn start(protocol: Protocol, script: impl FnOnce(&Door) + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (alive, ended) = mpsc::channel();
        let script = thread::spawn(move || {
            // It is dropped at the end of the script, whether that succeeds or panics.
            let _alive: mpsc::Sender<()> = alive;
            script(&Door { listener, protocol });
        });
        Self { address, ended, script }
    }

    /// Where it listens, until its script has ended.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the end of the script.
    ///
    /// # Panics
    /// If the script has panicked, or has not ended `within` this time.
    #[track_caller]
    pub fn finish(self, within: Duration) {
        if self.ended.recv_timeout(within) == Err(RecvTimeoutError::Timeout) {
            panic!("waited {within:?} for the end of the broker's script");
        }
        if let Err(panicked) = self.script.join() {
            panic::resume_unwind(panicked);
        }
    }
}

/// The listener of a script, which admits clients.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    protocol: Protocol,
}

impl Door {
    /// The next connection. Nothing has been read from it.
    ///
    /// # Panics
    /// If none has come `within` this time.
    #[must_use]
    #[track_caller]
    pub fn accept(&self, within: Duration) -> Link {
        let limit = Timespec::try_from(within).expect("a wait is not that long");
        let ready = poll(&mut [PollFd::new(&self.listener, PollFlags::IN)], Some(&limit));
        assert!(matches!(ready, Ok(1..)), "waited {within:?} for a connection: {ready:?}");
        let (stream, _) = self.listener.accept().expect("a connection is waiting");
        Link::new(stream, self.protocol)
    }

    /// The next connection. Its CONNECT has been read and answered with an accepting CONNACK.
    ///
    /// # Panics
    /// If no connection comes, or something else than a CONNECT.
    #[must_use]
    #[track_caller]
    pub fn admit(&self, session_present: bool) -> (Link, Frame) {
        let mut link = self.accept(SOON);
        let connect = link.receive(SOON);
        assert!(
            matches!(connect.packet(), Packet::Connect(_)),
            "waited for CONNECT, saw {connect:?}"
        );
        link.send(&Packet::ConnAck(ConnAck { session_present, result: Ok(()) }));
        (link, connect)
    }
}
