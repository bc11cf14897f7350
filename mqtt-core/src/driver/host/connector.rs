//! [`Connector`]: how a client gets its transports.

use std::{io, string::String, time::Duration};

use crate::driver::stream::Link;

/// Opens transports, one for each attempt to connect.
///
/// Each attempt has a thread of its own, so it may wait. If the client gives an attempt up, the next one may begin
/// before it has returned.
pub trait Connector: Send + Sync {
    /// Opens a transport to the broker with the number `endpoint`: name resolution, all addresses, and all handshakes
    /// within `timeout`. After that time the client has given the attempt up, and drops a transport that comes then.
    ///
    /// # Errors
    ///
    /// The error of the transport; the next attempt follows as the options' `Reconnect` says.
    fn connect(&self, endpoint: u8, timeout: Duration) -> io::Result<Link>;

    /// The name of that broker in error messages.
    fn name(&self, endpoint: u8) -> String;
}
