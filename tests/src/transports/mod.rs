//! Transports between a client and any broker: [`Transport`] leads a client over TLS, WebSocket, a Unix socket, a serial
//! line or a proxy to an address of TCP, also to that of a [`Tap`](crate::Tap).
//!
//! The client's half is the library's own. At the other end stands a terminator of this project, on rustls and
//! tungstenite: a thread that copies bytes between the client and the broker. The proxies are real ones.

mod copying;
mod secure;
mod serial;
mod terminator;
mod web;

use std::net::SocketAddr;
use std::sync::Arc;

use mqtt_core::driver::blocking::{Brokers, Client, Config, Connector, Error, Events};
use mqtt_core::driver::tokio;
use mqtt_core::driver::transport::{Proxy, TlsConnector, TlsOptions};
use test_kit::certificates::Authority;

use crate::proxies::ProxyServer;
use serial::Lines;
use terminator::{Layers, Terminator};

const HOST: &str = "localhost";

/// A transport of the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// WebSocket over TCP.
    WebSocket,
    /// WebSocket over TLS.
    SecureWebSocket,
    /// A Unix socket.
    Unix,
    /// A serial line, which is a pseudo-terminal.
    Serial,
    /// TCP behind tinyproxy.
    HttpProxy,
    /// TCP behind microsocks.
    SocksProxy,
}

impl Kind {
    /// All of them, TCP first.
    pub const ALL: [Self; 8] = [
        Self::Tcp,
        Self::Tls,
        Self::WebSocket,
        Self::SecureWebSocket,
        Self::Unix,
        Self::Serial,
        Self::HttpProxy,
        Self::SocksProxy,
    ];

    /// Its name for readers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::WebSocket => "WebSocket",
            Self::SecureWebSocket => "WebSocket over TLS",
            Self::Unix => "Unix socket",
            Self::Serial => "serial line",
            Self::HttpProxy => "HTTP proxy",
            Self::SocksProxy => "SOCKS5 proxy",
        }
    }

    const fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::SecureWebSocket)
    }

    const fn is_web(self) -> bool {
        matches!(self, Self::WebSocket | Self::SecureWebSocket)
    }
}

/// A transport that is ready for use. Its clients share what an application's clients would share: the authority and the
/// sessions of TLS, the proxy.
#[derive(Debug)]
pub struct Transport {
    kind: Kind,
    tls: Option<(TlsConnector, Arc<rustls::ServerConfig>)>,
    proxy: Option<(Proxy, ProxyServer)>,
}

impl Transport {
    /// `None` if its proxy is not installed.
    ///
    /// # Panics
    ///
    /// If there are no certificates, or the proxy does not start.
    #[must_use]
    #[track_caller]
    pub fn new(kind: Kind) -> Option<Self> {
        let tls = kind.is_secure().then(|| {
            let authority = Authority::new("root");
            let options = TlsOptions::new().root_pem(authority.pem().as_bytes());
            let connector = options.build().expect("possible options");
            (connector, secure::server(&authority.server(&[HOST])))
        });
        let proxy = match kind {
            Kind::HttpProxy => Some((Proxy::http as MakeProxy, ProxyServer::http(None)?)),
            Kind::SocksProxy => Some((Proxy::socks5 as MakeProxy, ProxyServer::socks5(None)?)),
            Kind::Tcp
            | Kind::Tls
            | Kind::WebSocket
            | Kind::SecureWebSocket
            | Kind::Unix
            | Kind::Serial => None,
        };
        let proxy = proxy.map(|(make, server)| {
            let address = server.address();
            (make(&address.ip().to_string(), address.port()), server)
        });
        Some(Self { kind, tls, proxy })
    }

    /// A way to the broker at this address. It leads there as long as it is not dropped, also to a broker that starts
    /// later.
    ///
    /// # Panics
    ///
    /// If the system has no ports left.
    #[must_use]
    #[track_caller]
    pub fn to(&self, broker: SocketAddr) -> Way {
        let layers = Layers {
            tls: self.tls.as_ref().map(|(_, server)| Arc::clone(server)),
            is_web: self.kind.is_web(),
        };
        match self.kind {
            Kind::Tcp | Kind::HttpProxy | Kind::SocksProxy => {
                self.way(&format!("mqtt://{broker}"), None)
            }
            Kind::Tls | Kind::WebSocket | Kind::SecureWebSocket => {
                let terminator = Terminator::on_a_port(broker, layers);
                let scheme = match (self.kind.is_web(), self.kind.is_secure()) {
                    (false, _) => "mqtts",
                    (true, false) => "ws",
                    (true, true) => "wss",
                };
                let address = format!("{scheme}://{HOST}:{}", terminator.port());
                self.way(&address, Some(terminator))
            }
            Kind::Unix => {
                let terminator = Terminator::at_a_path(broker, layers);
                let address = format!("unix://{}", terminator.path().display());
                self.way(&address, Some(terminator))
            }
            Kind::Serial => Way { route: Route::Serial(Lines::to(broker)), _terminator: None },
        }
    }

    /// A way to a broker that speaks this transport itself, at a port or a path.
    ///
    /// # Panics
    ///
    /// If this is no address.
    #[must_use]
    #[track_caller]
    pub fn directly_to(address: &str, tls: Option<TlsConnector>) -> Way {
        let brokers = Brokers::new(&[address]).expect("an address");
        let brokers = match tls {
            Some(tls) => brokers.tls(tls),
            None => brokers,
        };
        Way { route: Route::Brokers(Box::new(brokers)), _terminator: None }
    }

    fn way(&self, address: &str, terminator: Option<Terminator>) -> Way {
        let mut brokers = Brokers::new(&[address]).expect("an address");
        if let Some((tls, _)) = &self.tls {
            brokers = brokers.tls(tls.clone());
        }
        if let Some((proxy, _)) = &self.proxy {
            brokers = brokers.proxy(proxy.clone());
        }
        Way { route: Route::Brokers(Box::new(brokers)), _terminator: terminator }
    }
}

type MakeProxy = fn(&str, u16) -> Proxy;

/// A way to one broker over a transport. Its connections end when it is dropped.
#[derive(Debug)]
pub struct Way {
    route: Route,
    _terminator: Option<Terminator>,
}

#[derive(Debug)]
enum Route {
    Brokers(Box<Brokers>),
    Serial(Lines),
}

impl Way {
    /// What opens its links.
    #[must_use]
    pub fn connector(&self) -> Arc<dyn Connector> {
        match &self.route {
            Route::Brokers(brokers) => Arc::new((**brokers).clone()),
            Route::Serial(lines) => Arc::new(lines.connector()),
        }
    }

    /// Starts a client, which need not be connected yet. The way has to outlive it.
    ///
    /// # Errors
    ///
    /// As [`Config::to`].
    pub fn start(&self, config: Config<'_>) -> Result<(Client, Events), Error> {
        match &self.route {
            Route::Brokers(brokers) => config.to((**brokers).clone()),
            Route::Serial(lines) => config.over(lines.connector()),
        }
    }

    /// Starts a client for tasks in the same way, in the runtime of the caller.
    ///
    /// # Errors
    ///
    /// As `tokio::Client::to`.
    pub fn start_tasks(&self, config: Config<'_>) -> Result<(tokio::Client, tokio::Events), Error> {
        match &self.route {
            Route::Brokers(brokers) => tokio::Client::to(config, (**brokers).clone()),
            Route::Serial(lines) => tokio::Client::over(config, lines.connector()),
        }
    }
}
