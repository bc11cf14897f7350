//! [`Brokers`]: transports to the brokers whose addresses the user wrote.

use std::{
    boxed::Box,
    io,
    net::TcpStream,
    string::{String, ToString as _},
    time::{Duration, Instant},
    vec::Vec,
};

use super::{Connector, Error};
#[cfg(feature = "websocket")]
use crate::driver::transport::WebSocketOptions;
#[cfg(feature = "tls")]
use crate::driver::transport::{Tls, TlsConnector, TlsOptions};
use crate::driver::{
    address::{Address, Credentials, Place, Scheme},
    stream::Link,
    transport::{Proxy, TcpOptions},
};

/// Opens transports to one or several brokers, as their addresses say: TCP, TLS, WebSocket, WebSocket over TLS, Unix
/// sockets.
///
/// ```no_run
/// # #[cfg(feature = "tls")] {
/// use mqtt_core::{
///     Options,
///     driver::{blocking::{Brokers, Config}, transport::TlsOptions},
/// };
///
/// let tls = TlsOptions::new().root_file("/etc/ssl/plant.pem").build()?;
/// let brokers = Brokers::new(&["mqtts://a.plant.example", "mqtts://b.plant.example"])?.tls(tls);
/// let (client, events) = Config::new(&Options::new("gateway")).to(brokers)?;
/// # let _ = (client, events);
/// # }
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Brokers {
    addresses: Vec<Address>,
    tcp: TcpOptions,
    proxy: Option<Proxy>,
    #[cfg(feature = "tls")]
    tls: Option<TlsConnector>,
    #[cfg(feature = "websocket")]
    websocket: WebSocketOptions,
}

impl Brokers {
    /// Brokers at these addresses: see [`Address`] for what can be written.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] names the first address that is not possible; [`Error::NoTransport`] the first one whose
    /// transport needs a feature of this crate that is off, or that this system does not have.
    pub fn new(addresses: &[&str]) -> Result<Self, Error> {
        let parsed = addresses.iter().enumerate().map(|(number, text)| {
            let address = Address::parse(text).map_err(|error| Error::Address { number, error })?;
            match missing(address.scheme()) {
                Some(feature) => Err(Error::NoTransport { number, feature }),
                None => Ok(address),
            }
        });
        Ok(Self {
            addresses: parsed.collect::<Result<_, _>>()?,
            tcp: TcpOptions::new(),
            proxy: None,
            #[cfg(feature = "tls")]
            tls: None,
            #[cfg(feature = "websocket")]
            websocket: WebSocketOptions::default(),
        })
    }

    /// The options of TCP sockets.
    pub fn tcp(mut self, options: TcpOptions) -> Self {
        self.tcp = options;
        self
    }

    /// The proxy on the way to all brokers, but for those on Unix sockets.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// How TLS is spoken. Without this call the brokers have to show certificates that the system trusts.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, connector: TlsConnector) -> Self {
        self.tls = Some(connector);
        self
    }

    /// More headers and limits of WebSockets. The path is that of the address.
    #[cfg(feature = "websocket")]
    pub fn websocket(mut self, options: WebSocketOptions) -> Self {
        self.websocket = options;
        self
    }

    /// Reads the certificates that the system trusts, if they are needed.
    pub(crate) fn prepare(&mut self) -> Result<(), Error> {
        #[cfg(feature = "tls")]
        if self.tls.is_none() {
            let secure =
                |address: &Address| matches!(address.scheme(), Scheme::Mqtts | Scheme::Wss);
            if let Some(address) = self.addresses.iter().find(|address| secure(address)) {
                let broker = address.to_string();
                let built = TlsOptions::new().build();
                self.tls = Some(built.map_err(|error| Error::Io { broker, error })?);
            }
        }
        Ok(())
    }

    /// The login in the first address that has one.
    pub(crate) fn login(&self) -> Option<Credentials> {
        self.addresses.iter().find_map(Address::login).cloned()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.addresses.len()
    }

    fn address(&self, endpoint: u8) -> io::Result<&Address> {
        let turn = usize::from(endpoint).checked_rem(self.addresses.len());
        let found = turn.and_then(|turn| self.addresses.get(turn));
        found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no broker"))
    }

    fn tcp_to(&self, host: &str, port: u16, until: Instant) -> io::Result<TcpStream> {
        match &self.proxy {
            Some(proxy) => {
                let stream = self.tcp.connect(proxy.host(), proxy.port(), until)?;
                proxy.connect(stream, host, port, until)
            }
            None => self.tcp.connect(host, port, until),
        }
    }

    #[cfg(feature = "tls")]
    fn tls_to(&self, host: &str, port: u16, until: Instant) -> io::Result<Tls<TcpStream>> {
        let tls = self.tls.as_ref().ok_or_else(|| no_transport(Scheme::Mqtts))?;
        tls.connect(self.tcp_to(host, port, until)?, host, until)
    }

    #[cfg(feature = "websocket")]
    fn websocket_at(&self, address: &Address) -> WebSocketOptions {
        self.websocket.clone().path(address.websocket_path().unwrap_or("/"))
    }
}

/// The feature of this crate that a transport needs, if it is off.
const fn missing(scheme: Scheme) -> Option<&'static str> {
    match scheme {
        Scheme::Mqtt => None,
        Scheme::Mqtts if cfg!(not(feature = "tls")) => Some("tls"),
        Scheme::Ws if cfg!(not(feature = "websocket")) => Some("websocket"),
        Scheme::Wss if cfg!(not(all(feature = "websocket", feature = "tls"))) => {
            Some("websocket, tls")
        }
        Scheme::Unix if cfg!(not(unix)) => Some("a Unix system"),
        Scheme::Mqtts | Scheme::Ws | Scheme::Wss | Scheme::Unix => None,
    }
}

fn no_transport(scheme: Scheme) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, std::format!("no transport for {scheme}"))
}

impl Connector for Brokers {
    fn connect(&self, endpoint: u8, timeout: Duration) -> io::Result<Link> {
        let until = Instant::now() + timeout;
        let address = self.address(endpoint)?;
        Ok(match (address.scheme(), address.place()) {
            (Scheme::Mqtt, Place::Host { host, port }) => {
                Box::new(self.tcp_to(host, *port, until)?)
            }
            #[cfg(feature = "tls")]
            (Scheme::Mqtts, Place::Host { host, port }) => {
                Box::new(self.tls_to(host, *port, until)?)
            }
            #[cfg(feature = "websocket")]
            (Scheme::Ws, Place::Host { host, port }) => {
                let stream = self.tcp_to(host, *port, until)?;
                Box::new(self.websocket_at(address).connect(stream, host, *port, until)?)
            }
            #[cfg(all(feature = "websocket", feature = "tls"))]
            (Scheme::Wss, Place::Host { host, port }) => {
                let stream = self.tls_to(host, *port, until)?;
                Box::new(self.websocket_at(address).connect(stream, host, *port, until)?)
            }
            #[cfg(unix)]
            (Scheme::Unix, Place::Path(path)) => {
                Box::new(crate::driver::transport::unix::connect(path, until)?)
            }
            // `new` refuses what this program has no transport for.
            (scheme, _) => return Err(no_transport(scheme)),
        })
    }

    fn name(&self, endpoint: u8) -> String {
        match self.address(endpoint) {
            Ok(address) if address.scheme() == Scheme::Mqtt => address.place().to_string(),
            Ok(address) => address.to_string(),
            Err(error) => error.to_string(),
        }
    }
}
