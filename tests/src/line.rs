//! A line between a client and a broker that passes bytes on, and knows no packets: it can be slow, stand still, or be
//! off. A [`Tap`](crate::Tap) knows packets, and can be none of these.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// A line on a loopback port. Its connections end when it is dropped.
#[derive(Debug)]
pub struct Line {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    broker: SocketAddr,
    state: Mutex<State>,
    /// The line does not stand still any more.
    flows: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_off: bool,
    stands_still: bool,
    /// The line was dropped.
    is_gone: bool,
    /// How long each piece takes.
    delay: Duration,
    connections: usize,
    streams: Vec<TcpStream>,
}

impl Line {
    /// The longest piece that is passed on at once, in bytes.
    pub const PIECE: usize = 16 * 1024;

    /// A line to `broker`, as fast as it can be.
    ///
    /// # Panics
    /// If the system has no port left.
    #[must_use]
    pub fn new(broker: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared { broker, state: Mutex::default(), flows: Condvar::new() });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.lock().is_gone {
                    return;
                }
                // A broker that is down has no connection: the client's ends at once.
                let _joined = client.and_then(|client| accepting.join(client));
            }
        });
        Self { address, shared }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From the next piece on, each takes this time, in each direction.
    pub fn slow(&self, delay: Duration) {
        self.shared.lock().delay = delay;
    }

    /// Holds every byte back, as a dead radio link does: connections stay open, and new ones are taken.
    pub fn stall(&self) {
        self.shared.lock().stands_still = true;
    }

    /// Ends all connections, and closes new ones at once, until [`restart`](Self::restart).
    pub fn off(&self) {
        let mut state = self.shared.lock();
        state.is_off = true;
        state.cut();
        self.shared.flows.notify_all();
    }

    /// Does what the restart of a modem does: the connections of before are gone, and new ones work.
    pub fn restart(&self) {
        let mut state = self.shared.lock();
        (state.stands_still, state.is_off) = (false, false);
        state.cut();
        self.shared.flows.notify_all();
    }

    /// How many connections have reached the broker.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.lock().connections
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.shared.lock().is_gone = true;
        self.restart();
        // Wakes the thread that accepts.
        let _woken = TcpStream::connect(self.address);
    }
}

impl State {
    fn cut(&mut self) {
        for stream in self.streams.drain(..) {
            // It may have ended already.
            let _ended = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects a client with the broker.
    fn join(self: &Arc<Self>, client: TcpStream) -> io::Result<()> {
        if self.lock().is_off {
            return Ok(());
        }
        let broker = TcpStream::connect_timeout(&self.broker, Duration::from_secs(5))?;
        client.set_nodelay(true)?;
        broker.set_nodelay(true)?;
        let ways = [(client.try_clone()?, broker.try_clone()?), (broker, client)];
        let mut state = self.lock();
        state.connections += 1;
        for (from, into) in ways {
            state.streams.push(from.try_clone()?);
            let shared = Arc::clone(self);
            thread::spawn(move || shared.pass(from, into));
        }
        Ok(())
    }

    /// Passes bytes on until one side closes.
    fn pass(&self, mut from: TcpStream, mut into: TcpStream) {
        let mut piece = vec![0; Line::PIECE];
        while let Ok(count @ 1..) = from.read(&mut piece) {
            let delay = self.lock().delay;
            if !delay.is_zero() {
                // This is the slowness itself.
                thread::sleep(delay);
            }
            self.wait_until_it_flows();
            if into.write_all(piece.get(..count).unwrap_or_default()).is_err() {
                break;
            }
        }
        // A dead line does not pass on an end either.
        self.wait_until_it_flows();
        for stream in [from, into] {
            let _ended = stream.shutdown(Shutdown::Both);
        }
    }

    fn wait_until_it_flows(&self) {
        let holds_back = |state: &mut State| state.stands_still && !state.is_off;
        let flows = self.flows.wait_while(self.lock(), holds_back);
        drop(flows.unwrap_or_else(PoisonError::into_inner));
    }
}
