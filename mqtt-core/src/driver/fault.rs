//! Errors of transports in the words of the state machine.

use std::io;

use crate::error::TransportFault;

/// What the state machine tells of this error.
#[expect(clippy::wildcard_enum_match_arm, reason = "the list of kinds grows")]
pub(crate) fn fault_of(error: &io::Error) -> TransportFault {
    #[cfg(feature = "tls")]
    if let Some(fault) = tls_fault(error) {
        return fault;
    }
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

/// What it says of TLS, if it comes from there.
#[cfg(feature = "tls")]
fn tls_fault(error: &io::Error) -> Option<TransportFault> {
    use super::transport::{TlsError, TlsFault};

    let mut cause = error.get_ref().map(|cause| cause as &(dyn core::error::Error + 'static));
    while let Some(found) = cause {
        if let Some(tls) = found.downcast_ref::<TlsError>() {
            return Some(match tls.fault() {
                TlsFault::NotTrusted => TransportFault::NotTrusted,
                TlsFault::NotAccepted => TransportFault::NotAccepted,
                TlsFault::Protocol => TransportFault::Protocol,
            });
        }
        // An error of the system inside another one.
        cause = match found.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => found.source(),
        };
    }
    None
}
