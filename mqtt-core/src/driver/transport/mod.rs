//! Transports for hosts: how a [`Stream`](super::stream::Stream) to a broker is opened.
//!
//! Each one is a layer. [`TcpOptions`], `unix::connect` and `Serial` open a stream; [`Proxy`], `TlsConnector` and
//! `WebSocketOptions` take an open one and give another. So `wss` through a proxy is TCP, then the proxy, then TLS, then
//! WebSocket. A layer that has to talk before it is open waits, until the instant that it is given.
//!
//! | transport | feature |
//! |---|---|
//! | TCP, Unix sockets, proxies (HTTP CONNECT, SOCKS5) | `std` |
//! | TLS | `tls` |
//! | WebSocket | `websocket` |
//! | serial lines and modems, on Unix | `serial` |

mod http;
mod located;
mod proxy;
#[cfg(all(unix, feature = "serial"))]
mod serial;
mod tcp;
#[cfg(test)]
mod testing;
#[cfg(feature = "tls")]
mod tls;
#[cfg(unix)]
pub mod unix;
#[cfg(feature = "websocket")]
mod websocket;

pub use proxy::Proxy;
#[cfg(all(unix, feature = "serial"))]
pub use serial::{FlowControl, Modem, Parity, Serial, SerialOptions, StopBits};
pub use tcp::TcpOptions;
#[cfg(feature = "tls")]
pub use tls::{Tls, TlsConnector, TlsError, TlsFault, TlsOptions, TlsVersion};
#[cfg(feature = "websocket")]
pub use websocket::{WebSocket, WebSocketOptions};
