//! Transports for hosts: how a [`Stream`](super::stream::Stream) to a broker is opened.

mod tcp;

pub use tcp::TcpOptions;
