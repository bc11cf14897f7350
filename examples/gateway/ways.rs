//! The ways to the brokers: the transports of the library, with a switch. The switch cuts a connection that is dead, and
//! lets a link fall silent on purpose.

use std::{
    fs, io,
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use mqtt_core::driver::{
    address::{Address, Password, Scheme},
    blocking::{self, Brokers, Connector},
    stream::{Link, Source, Stream},
    transport::TlsOptions,
};
use thiserror::Error;

use crate::config;

/// Why there is no way to the brokers.
#[derive(Debug, Error)]
pub enum WaysError {
    /// An address.
    #[error("broker.addresses: {0}")]
    Address(blocking::Error),
    /// The trusted authorities.
    #[error("broker.ca_file: {0}")]
    Tls(io::Error),
    /// The password.
    #[error("broker.password_file, {}: {error}", file.display())]
    Password {
        /// The file.
        file: std::path::PathBuf,
        /// The error of the system.
        error: io::Error,
    },
}

/// The password of the configuration.
///
/// # Errors
///
/// [`WaysError::Password`].
pub fn password(config: &config::Broker) -> Result<Option<Password>, WaysError> {
    let Some(file) = &config.password_file else { return Ok(None) };
    let mut bytes =
        fs::read(file).map_err(|error| WaysError::Password { file: file.clone(), error })?;
    while bytes.last().is_some_and(|byte| b"\r\n".contains(byte)) {
        bytes.pop();
    }
    Ok(Some(Password::new(bytes)))
}

/// The ways to the brokers.
#[derive(Debug)]
pub struct Ways {
    brokers: Brokers,
    switch: Switch,
}

impl Ways {
    /// The ways to the brokers of `config`, and their switch.
    ///
    /// # Errors
    ///
    /// [`WaysError`].
    pub fn new(config: &config::Broker) -> Result<(Self, Switch), WaysError> {
        let addresses: Vec<&str> = config.addresses.iter().map(|one| one.as_str()).collect();
        let mut brokers = Brokers::new(&addresses).map_err(WaysError::Address)?;
        let secure = |text: &&str| {
            Address::parse(text).is_ok_and(|address| address.scheme() == Scheme::Mqtts)
        };
        if addresses.iter().any(secure) {
            let mut tls = TlsOptions::new();
            if let Some(file) = &config.ca_file {
                tls = tls.root_file(file);
            }
            brokers = brokers.tls(tls.build().map_err(WaysError::Tls)?);
        }
        let switch = Switch::default();
        Ok((Self { brokers, switch: switch.clone() }, switch))
    }
}

impl Connector for Ways {
    fn connect(&self, endpoint: u8, timeout: Duration) -> io::Result<Link> {
        let until = Instant::now() + timeout;
        self.switch.wait_while_silent(endpoint, until)?;
        let left = until.saturating_duration_since(Instant::now());
        let inner = self.brokers.connect(endpoint, left)?;
        let socket = TcpStream::from(inner.source().try_clone_to_owned()?);
        self.switch.lock().socket = Some(socket);
        Ok(Box::new(Way { inner, switch: self.switch.clone(), endpoint, spoiled: false }))
    }

    fn name(&self, endpoint: u8) -> String {
        self.brokers.name(endpoint)
    }
}

/// The switch of the ways.
#[derive(Clone, Debug, Default)]
pub struct Switch {
    shared: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Debug, Default)]
struct State {
    /// The socket of the last connection.
    socket: Option<TcpStream>,
    silence: Option<Silence>,
}

/// Nothing comes through.
#[derive(Clone, Copy, Debug)]
struct Silence {
    /// At this endpoint only.
    endpoint: Option<u8>,
    /// For ever, if there is no end.
    until: Option<Instant>,
}

impl Switch {
    /// Ends the connection at once and without a DISCONNECT. The client notices it as it notices any other end.
    pub fn cut(&self) {
        if let Some(socket) = self.lock().socket.take() {
            // It is closed already if this fails.
            let _closed = socket.shutdown(Shutdown::Both);
        }
    }

    /// From now on nothing comes through: to one endpoint or to all, for a time or for ever. Nobody is told.
    pub fn fall_silent(&self, endpoint: Option<u8>, time: Option<Duration>) {
        let until = time.map(|time| Instant::now() + time);
        self.lock().silence = Some(Silence { endpoint, until });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The end of the silence at this endpoint; `None`: it is not silent.
    fn silence(state: &mut State, endpoint: u8) -> Option<Silence> {
        let over = |silence: &mut Silence| silence.until.is_some_and(|end| end <= Instant::now());
        let _over = state.silence.take_if(over);
        state.silence.filter(|silence| silence.endpoint.is_none_or(|silent| silent == endpoint))
    }

    fn is_silent(&self, endpoint: u8) -> bool {
        Self::silence(&mut self.lock(), endpoint).is_some()
    }

    /// An attempt to connect gets no answer while the way is silent.
    fn wait_while_silent(&self, endpoint: u8, until: Instant) -> io::Result<()> {
        let mut state = self.lock();
        while let Some(silence) = Self::silence(&mut state, endpoint) {
            let wake = silence.until.map_or(until, |end| end.min(until));
            let left = wake.saturating_duration_since(Instant::now());
            if left.is_zero() && wake == until {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let waited = self.shared.1.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }
}

/// A connection that may fall silent. What is sent then vanishes, and what comes is dropped. So it can never be used
/// again: once the silence is over, it is reset.
struct Way {
    inner: Link,
    switch: Switch,
    endpoint: u8,
    spoiled: bool,
}

impl Way {
    /// Whether nothing comes through now.
    fn is_silent(&mut self) -> io::Result<bool> {
        let silent = self.switch.is_silent(self.endpoint);
        if self.spoiled && !silent {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        self.spoiled |= silent;
        Ok(silent)
    }
}

impl Read for Way {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.is_silent()? {
            return self.inner.read(buffer);
        }
        // Until nothing is left, or the broker has given up.
        while self.inner.read(buffer)? > 0 {}
        Ok(0)
    }
}

impl Write for Way {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_silent()? { Ok(bytes.len()) } else { self.inner.write(bytes) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Stream for Way {
    fn source(&self) -> Source<'_> {
        self.inner.source()
    }

    fn has_input(&self) -> bool {
        self.inner.has_input()
    }

    fn short_read_drains(&self) -> bool {
        self.inner.short_read_drains()
    }

    fn has_output(&self) -> bool {
        self.inner.has_output()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.inner.finish()
    }
}
