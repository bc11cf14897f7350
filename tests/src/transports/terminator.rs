//! A terminator: it listens, takes the layers of a transport off, and passes the bytes on to a broker over TCP.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mqtt_core::driver::stream::Link;
use rustix::event::PollFlags;
use tempfile::TempDir;

use super::copying::{Stop, copy};
use super::secure::Secure;
use super::web::Web;

/// A listener in front of a broker. Its connections end when it is dropped.
#[derive(Debug)]
pub(super) struct Terminator {
    port: u16,
    /// With the socket, if it listens on one.
    folder: TempDir,
    stop: Stop,
    accepting: Option<JoinHandle<()>>,
}

/// The layers between the client and the broker.
pub(super) struct Layers {
    pub(super) tls: Option<Arc<rustls::ServerConfig>>,
    pub(super) is_web: bool,
}

enum Listener {
    Port(TcpListener),
    Path(UnixListener),
}

impl Terminator {
    /// On a free loopback port.
    #[track_caller]
    pub(super) fn on_a_port(broker: SocketAddr, layers: Layers) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        listener.set_nonblocking(true).expect("settable");
        Self::start(Listener::Port(listener), port, folder(), broker, layers)
    }

    /// On a Unix socket.
    #[track_caller]
    pub(super) fn at_a_path(broker: SocketAddr, layers: Layers) -> Self {
        let folder = folder();
        let listener = UnixListener::bind(socket(&folder)).expect("the folder is writable");
        listener.set_nonblocking(true).expect("settable");
        Self::start(Listener::Path(listener), 0, folder, broker, layers)
    }

    fn start(
        listener: Listener,
        port: u16,
        folder: TempDir,
        broker: SocketAddr,
        layers: Layers,
    ) -> Self {
        let stop = Stop::new();
        let seen = stop.clone();
        let accepting = thread::spawn(move || {
            thread::scope(|scope| {
                while matches!(seen.wait(&[(listener.source(), PollFlags::IN)]), Ok(true)) {
                    let Ok(client) = listener.accept() else { continue };
                    // If a side is gone or breaks a rule, the connection ends.
                    scope.spawn(|| layers.connect(client, broker, &seen).unwrap_or_default());
                }
            });
        });
        Self { port, folder, stop, accepting: Some(accepting) }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn path(&self) -> std::path::PathBuf {
        socket(&self.folder)
    }
}

impl Drop for Terminator {
    fn drop(&mut self) {
        self.stop.now();
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

fn folder() -> TempDir {
    TempDir::with_prefix("terminator-").expect("a temporary folder")
}

fn socket(folder: &TempDir) -> std::path::PathBuf {
    Path::join(folder.path(), "broker")
}

/// A connection to the broker that never waits.
pub(super) fn open(broker: SocketAddr) -> io::Result<TcpStream> {
    let far = TcpStream::connect_timeout(&broker, Duration::from_secs(5))?;
    far.set_nodelay(true)?;
    far.set_nonblocking(true)?;
    Ok(far)
}

impl Listener {
    fn source(&self) -> BorrowedFd<'_> {
        match self {
            Self::Port(listener) => listener.as_fd(),
            Self::Path(listener) => listener.as_fd(),
        }
    }

    fn accept(&self) -> io::Result<Link> {
        match self {
            Self::Port(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                Ok(Box::new(stream))
            }
            Self::Path(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                Ok(Box::new(stream))
            }
        }
    }
}

impl Layers {
    fn connect(&self, client: Link, broker: SocketAddr, stop: &Stop) -> io::Result<()> {
        let mut far = open(broker)?;
        let mut near = match &self.tls {
            Some(server) => Box::new(Secure::new(client, server)),
            None => client,
        };
        if self.is_web {
            let Some(web) = Web::accept(near, stop)? else { return Ok(()) };
            near = Box::new(web);
        }
        copy(&mut *near, &mut far, stop)
    }
}
