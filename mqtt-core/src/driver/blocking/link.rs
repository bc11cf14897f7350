//! Transports: two halves of one ordered byte stream.

use std::{
    boxed::Box,
    fmt,
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs},
    string::String,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
    vec::Vec,
};

use crate::driver::address::without_login;

/// How long a write may block: the shortest time-out of operating systems. A socket whose reads wait cannot have writes
/// that do not wait at all.
const WRITE_PATIENCE: Duration = Duration::from_millis(1);

/// The half that is read. One thread reads it, with no lock held.
pub trait ReadHalf: Read + Send {
    /// Sets how long `read` waits for bytes at most before it fails with `WouldBlock` or `TimedOut`. A transport whose
    /// `read` always returns soon may ignore it.
    ///
    /// # Errors
    ///
    /// The error of the transport; the connection is ended.
    fn set_read_timeout(&mut self, timeout: Duration) -> io::Result<()>;
}

/// The half that is written. A write must not wait for long: it writes the bytes that the transport takes now, or fails
/// with `WouldBlock` or `TimedOut`.
pub trait WriteHalf: Write + Send {
    /// Ends the connection in both directions, so that a waiting `read` returns.
    fn close(&mut self);
}

/// An open transport.
pub struct Link {
    pub(super) reader: Box<dyn ReadHalf>,
    pub(super) writer: Box<dyn WriteHalf>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl Link {
    /// A transport of two halves.
    pub fn new(reader: impl ReadHalf + 'static, writer: impl WriteHalf + 'static) -> Self {
        Self { reader: Box::new(reader), writer: Box::new(writer) }
    }

    /// A TCP connection.
    ///
    /// # Errors
    ///
    /// The socket cannot be cloned or set up.
    pub fn tcp(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(WRITE_PATIENCE))?;
        Ok(Self::new(stream.try_clone()?, stream))
    }

    /// Any transport that reads and writes, such as a serial port or a TLS session.
    ///
    /// It cannot be read and written at once, so its `read` must fail with `WouldBlock` or `TimedOut` soon (within a
    /// tenth of a second, say) if no bytes come: requests of other threads wait that long. Dropping the transport has
    /// to close it.
    pub fn of(transport: impl Read + Write + Send + 'static) -> Self {
        let shared = Arc::new(Mutex::new(Some(transport)));
        Self::new(Half(shared.clone()), Half(shared))
    }
}

impl ReadHalf for TcpStream {
    fn set_read_timeout(&mut self, timeout: Duration) -> io::Result<()> {
        Self::set_read_timeout(self, Some(timeout))
    }
}

impl WriteHalf for TcpStream {
    fn close(&mut self) {
        // It fails only if the peer has closed the connection already.
        let _gone = self.shutdown(Shutdown::Both);
    }
}

/// One of two handles of a transport that cannot be split; `None` once it is closed.
struct Half<T>(Arc<Mutex<Option<T>>>);

impl<T> Half<T> {
    fn with<R>(&self, io: impl FnOnce(&mut T) -> io::Result<R>) -> io::Result<R> {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(transport) => io(transport),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl<T: Read> Read for Half<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.with(|transport| transport.read(buffer))
    }
}

impl<T: Write> Write for Half<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|transport| transport.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.with(T::flush)
    }
}

impl<T: Read + Send> ReadHalf for Half<T> {
    fn set_read_timeout(&mut self, _timeout: Duration) -> io::Result<()> {
        Ok(())
    }
}

impl<T: Write + Send> WriteHalf for Half<T> {
    fn close(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Opens transports, one for each attempt to connect.
pub trait Connector: Send {
    /// Opens a transport to the broker with the number `endpoint` within about `timeout`.
    ///
    /// # Errors
    ///
    /// The error of the transport; the next attempt follows as the options' `Reconnect` says.
    fn connect(&mut self, endpoint: u8, timeout: Duration) -> io::Result<Link>;

    /// The name of that broker in error messages.
    fn name(&self, endpoint: u8) -> String;
}

/// TCP to one or several brokers, `host:port` each.
pub(super) struct Tcp {
    pub(super) brokers: Vec<String>,
}

impl Connector for Tcp {
    fn connect(&mut self, endpoint: u8, timeout: Duration) -> io::Result<Link> {
        let start = Instant::now();
        let addresses: Vec<_> = self.broker(endpoint).to_socket_addrs()?.collect();
        try_each(&addresses, start, timeout, |address, patience| {
            Link::tcp(TcpStream::connect_timeout(address, patience)?)
        })
    }

    /// It is in errors, and an application may hand over a URL with a login by mistake.
    fn name(&self, endpoint: u8) -> String {
        without_login(self.broker(endpoint))
    }
}

impl Tcp {
    fn broker(&self, endpoint: u8) -> &str {
        let turn = usize::from(endpoint).checked_rem(self.brokers.len()).unwrap_or(0);
        self.brokers.get(turn).map_or("", String::as_str)
    }
}

/// Opens a transport to the first of `addresses` that answers. Each gets an equal share of the time that is left of
/// `timeout`, which began at `start`: an address that never answers leaves time for the next one and for the CONNACK.
fn try_each<T>(
    addresses: &[SocketAddr],
    start: Instant,
    timeout: Duration,
    mut open: impl FnMut(&SocketAddr, Duration) -> io::Result<T>,
) -> io::Result<T> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let share = timeout.saturating_sub(start.elapsed()) / left as u32;
        // The operating system refuses a time of zero.
        match open(address, share.max(Duration::from_millis(1))) {
            Ok(opened) => return Ok(opened),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        net::{Ipv4Addr, SocketAddr},
        thread,
        time::{Duration, Instant},
        vec::Vec,
    };

    use super::try_each;

    const TIMEOUT: Duration = Duration::from_millis(60);

    fn addresses(count: u16) -> Vec<SocketAddr> {
        (1..=count).map(|port| (Ipv4Addr::LOCALHOST, port).into()).collect()
    }

    /// The broker of a name with two addresses is up at the second one, and the first one swallows packets.
    #[test]
    fn an_address_that_never_answers_leaves_time_for_the_next_one() {
        let mut patience = Vec::new();
        let opened = try_each(&addresses(2), Instant::now(), TIMEOUT, |address, time| {
            patience.push(time);
            if address.port() == 1 {
                thread::sleep(time);
                return Err(io::ErrorKind::TimedOut.into());
            }
            Ok(address.port())
        });
        assert_eq!(opened.expect("the second one answers"), 2);
        assert!(patience.iter().all(|time| *time <= TIMEOUT / 2), "{patience:?}");
    }

    #[test]
    fn the_only_address_gets_all_the_time() {
        let opened = try_each(&addresses(1), Instant::now(), TIMEOUT, |_, time| Ok(time));
        assert!(opened.expect("it answers") > TIMEOUT / 2);
    }

    #[test]
    fn the_error_is_that_of_the_last_address() {
        let error = |address: &SocketAddr| match address.port() {
            1 => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::ConnectionRefused,
        };
        for (count, kind) in [
            (0, io::ErrorKind::NotFound),
            (1, io::ErrorKind::TimedOut),
            (2, io::ErrorKind::ConnectionRefused),
        ] {
            let opened = try_each(&addresses(count), Instant::now(), TIMEOUT, |address, _| {
                Err::<(), _>(error(address).into())
            });
            assert_eq!(opened.expect_err("none answers").kind(), kind);
        }
    }
}
