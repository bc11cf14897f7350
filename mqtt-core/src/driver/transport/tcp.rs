//! TCP: all addresses of a name, IPv6 and IPv4 side by side, and the options of the socket.
//!
//! This is RFC 8305 in small: the addresses are tried in turn of the families, each one [`HEAD_START`] after the one
//! before or as soon as that has failed, and the first that answers is taken. So an address that never answers costs a
//! quarter of a second, not the whole time of the attempt.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs},
    string::String,
    time::{Duration, Instant},
    vec::Vec,
};

use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};

use crate::driver::{
    readiness::{Interest, wait},
    stream::Source,
};

/// How long an address is tried alone: the connection attempt delay of RFC 8305, section 8.
const HEAD_START: Duration = Duration::from_millis(250);
/// Addresses that are tried at most.
const MOST_ADDRESSES: usize = 8;

/// The options of a TCP socket. The default is `TCP_NODELAY` and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct TcpOptions {
    nodelay: bool,
    keepalive: Option<(Duration, Duration)>,
    user_timeout: Option<Duration>,
    local_address: Option<IpAddr>,
    interface: Option<String>,
    receive_buffer: Option<usize>,
    send_buffer: Option<usize>,
}

impl Default for TcpOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl TcpOptions {
    /// `TCP_NODELAY` and nothing else.
    pub const fn new() -> Self {
        Self {
            nodelay: true,
            keepalive: None,
            user_timeout: None,
            local_address: None,
            interface: None,
            receive_buffer: None,
            send_buffer: None,
        }
    }

    /// Whether small packets go out at once (`TCP_NODELAY`); on by default.
    pub const fn nodelay(mut self, on: bool) -> Self {
        self.nodelay = on;
        self
    }

    /// Keep-alive of the system: the first probe after `idle` without a packet, the next ones after `interval` each. The
    /// keep alive of MQTT finds out more, because it is answered by the broker.
    pub const fn keepalive(mut self, idle: Duration, interval: Duration) -> Self {
        self.keepalive = Some((idle, interval));
        self
    }

    /// How long sent bytes may be unacknowledged before the system ends the connection (`TCP_USER_TIMEOUT`, Linux and
    /// Android only; elsewhere without effect).
    pub const fn user_timeout(mut self, timeout: Duration) -> Self {
        self.user_timeout = Some(timeout);
        self
    }

    /// The local address that the connection is made from. Addresses of the broker of the other family are not tried.
    pub const fn local_address(mut self, address: IpAddr) -> Self {
        self.local_address = Some(address);
        self
    }

    /// The network interface that the connection is made over (`SO_BINDTODEVICE`, Linux and Android only; elsewhere an
    /// error of each attempt).
    pub fn interface(mut self, name: &str) -> Self {
        self.interface = Some(name.into());
        self
    }

    /// Bytes of the system's receive buffer (`SO_RCVBUF`).
    pub const fn receive_buffer(mut self, bytes: usize) -> Self {
        self.receive_buffer = Some(bytes);
        self
    }

    /// Bytes of the system's send buffer (`SO_SNDBUF`).
    pub const fn send_buffer(mut self, bytes: usize) -> Self {
        self.send_buffer = Some(bytes);
        self
    }

    /// A connection to `host` and `port`, non-blocking.
    ///
    /// # Errors
    ///
    /// The error of the name service, or that of the address that failed last; `TimedOut` at `until`.
    pub(crate) fn connect(&self, host: &str, port: u16, until: Instant) -> io::Result<TcpStream> {
        let addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
        self.connect_any(&addresses, until)
    }

    /// A connection to the first of `addresses` that answers.
    fn connect_any(&self, addresses: &[SocketAddr], until: Instant) -> io::Result<TcpStream> {
        let mut turn = in_turn(addresses, self.local_address).into_iter().peekable();
        let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        let mut trying: Vec<Socket> = Vec::new();
        let mut next_at = Instant::now();
        loop {
            let now = Instant::now();
            if now >= until {
                return Err(io::ErrorKind::TimedOut.into());
            }
            if (now >= next_at || trying.is_empty()) && turn.peek().is_some() {
                if let Some(address) = turn.next() {
                    match self.begin(address) {
                        Ok(socket) => {
                            trying.push(socket);
                            next_at = now + HEAD_START;
                        }
                        Err(error) => failed = error,
                    }
                }
                continue;
            }
            if trying.is_empty() {
                return Err(failed);
            }
            let next = if turn.peek().is_some() { next_at.min(until) } else { until };
            wait_any(&trying, next.saturating_duration_since(now))?;
            let mut still = Vec::new();
            for socket in trying {
                match outcome(&socket) {
                    None => still.push(socket),
                    Some(Ok(())) => return Ok(socket.into()),
                    Some(Err(error)) => failed = error,
                }
            }
            trying = still;
        }
    }

    /// A socket that is connecting to `address`.
    fn begin(&self, address: SocketAddr) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        self.set_up(&socket)?;
        if let Some(local) = self.local_address {
            socket.bind(&SockAddr::from(SocketAddr::new(local, 0)))?;
        }
        match socket.connect(&SockAddr::from(address)) {
            Err(error) if !is_in_progress(&error) => Err(error),
            _ => Ok(socket),
        }
    }

    fn set_up(&self, socket: &Socket) -> io::Result<()> {
        if self.nodelay {
            socket.set_tcp_nodelay(true)?;
        }
        if let Some((idle, interval)) = self.keepalive {
            let keepalive = TcpKeepalive::new().with_time(idle);
            #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple", windows))]
            let keepalive = keepalive.with_interval(interval);
            #[cfg(not(any(
                target_os = "linux",
                target_os = "android",
                target_vendor = "apple",
                windows
            )))]
            let _not_here = interval;
            socket.set_tcp_keepalive(&keepalive)?;
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(timeout) = self.user_timeout {
            socket.set_tcp_user_timeout(Some(timeout))?;
        }
        if let Some(interface) = &self.interface {
            bind_to(socket, interface)?;
        }
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(bytes) = self.send_buffer {
            socket.set_send_buffer_size(bytes)?;
        }
        Ok(())
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn bind_to(socket: &Socket, interface: &str) -> io::Result<()> {
    socket.bind_device(Some(interface.as_bytes()))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn bind_to(_socket: &Socket, _interface: &str) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "no interface can be chosen on this system"))
}

/// The addresses with the families in turn, that of the first one first.
fn in_turn(addresses: &[SocketAddr], local: Option<IpAddr>) -> Vec<SocketAddr> {
    let fits = |address: &&SocketAddr| local.is_none_or(|local| local.is_ipv6() == address.is_ipv6());
    let begins_with_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<SocketAddr>, Vec<SocketAddr>) =
        addresses.iter().filter(fits).copied().partition(|address| address.is_ipv6() == begins_with_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut all = Vec::with_capacity(addresses.len());
    while all.len() < MOST_ADDRESSES {
        let before = all.len();
        all.extend(first.next());
        all.extend(second.next());
        if all.len() == before {
            break;
        }
    }
    all
}

/// How the attempt of a socket went; `None` if it goes on.
fn outcome(socket: &Socket) -> Option<io::Result<()>> {
    match socket.take_error() {
        Ok(None) => {}
        Ok(Some(error)) | Err(error) => return Some(Err(error)),
    }
    match socket.peer_addr() {
        Ok(_) => Some(Ok(())),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => None,
        Err(error) => Some(Err(error)),
    }
}

fn is_in_progress(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) {
        return true;
    }
    error.kind() == io::ErrorKind::WouldBlock
}

/// Waits until the attempt of one of `sockets` has ended, at most for `timeout`.
fn wait_any(sockets: &[Socket], timeout: Duration) -> io::Result<()> {
    let source = |at: usize| sockets.get(at).or(sockets.first()).map(source_of);
    // There are few of them, and a fixed number is waited for: the same one may be there several times.
    let sources: [Option<Source<'_>>; MOST_ADDRESSES] = core::array::from_fn(source);
    let [first, ..] = sources;
    let Some(first) = first else { return Ok(()) };
    wait(sources.map(|source| (source.unwrap_or(first), Interest::WRITABLE)), Some(timeout))?;
    Ok(())
}

fn source_of(socket: &Socket) -> Source<'_> {
    #[cfg(unix)]
    return std::os::fd::AsFd::as_fd(socket);
    #[cfg(windows)]
    return std::os::windows::io::AsSocket::as_socket(socket);
}


#[cfg(test)]
mod tests;
