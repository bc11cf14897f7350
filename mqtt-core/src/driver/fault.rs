//! Errors of transports in the words of the state machine.

use std::io;

use crate::error::TransportFault;

/// What the state machine tells of this error.
#[expect(clippy::wildcard_enum_match_arm, reason = "the list of kinds grows")]
pub(crate) fn fault_of(error: &io::Error) -> TransportFault {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => TransportFault::Refused,
        io::ErrorKind::NotFound => TransportFault::UnknownName,
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable => TransportFault::Unreachable,
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => TransportFault::TimedOut,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::UnexpectedEof => TransportFault::Reset,
        io::ErrorKind::PermissionDenied => TransportFault::NotPermitted,
        io::ErrorKind::InvalidData => TransportFault::Protocol,
        _ => TransportFault::Other,
    }
}
