//! Why a TLS connection failed, in words that help somebody who does not know TLS.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "rustls has many errors and will have more; those without words of their own are shown as they are"
)]

use std::{
    borrow::ToOwned,
    error::Error,
    fmt, format, io,
    string::{String, ToString},
    vec::Vec,
};

use rustls::{AlertDescription, CertificateError};

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsFault {
    /// The certificate of the broker was not accepted. Nothing was sent to the broker.
    NotTrusted,
    /// The broker did not accept this client: it has no certificate, or the wrong one.
    NotAccepted,
    /// Anything else: no version in common, no TLS at all, bytes that were changed on their way.
    Protocol,
}

/// Why a TLS connection failed. It is inside of an [`io::Error`]; its source is the error of rustls.
#[derive(Debug)]
pub struct TlsError {
    text: String,
    fault: TlsFault,
    source: rustls::Error,
}

impl TlsError {
    pub(super) fn new(source: rustls::Error, host: &str, has_identity: bool) -> Self {
        let text = match &source {
            rustls::Error::InvalidCertificate(error) => certificate(error, host),
            rustls::Error::AlertReceived(alert) => alert_in_words(*alert, host, has_identity),
            rustls::Error::InvalidMessage(_) => {
                format!("{host} does not speak TLS there; is the port one for TLS? ({source})")
            }
            rustls::Error::PeerIncompatible(_) => {
                format!(
                    "{host} and this client have no version or cipher of TLS in common ({source})"
                )
            }
            rustls::Error::NoCertificatesPresented => format!("{host} has shown no certificate"),
            rustls::Error::NoApplicationProtocol => no_protocol(host),
            _ => format!("the TLS connection with {host} failed: {source}"),
        };
        Self { text, fault: fault(&source), source }
    }

    /// What kind of failure it was.
    #[must_use]
    pub const fn fault(&self) -> TlsFault {
        self.fault
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for TlsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        let kind = match error.fault {
            TlsFault::NotTrusted | TlsFault::NotAccepted => io::ErrorKind::PermissionDenied,
            TlsFault::Protocol => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

const fn fault(error: &rustls::Error) -> TlsFault {
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            TlsFault::NotTrusted
        }
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::HandshakeFailure,
        ) => TlsFault::NotAccepted,
        _ => TlsFault::Protocol,
    }
}

fn certificate(error: &CertificateError, host: &str) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the certificate of {host} has expired, by the clock of this machine")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the certificate of {host} is not valid yet, by the clock of this machine")
        }
        CertificateError::NotValidForName => {
            format!("the certificate of the broker is not for the name {host}")
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names: Vec<_> = presented.iter().map(|name| bare(name)).collect();
            let instead =
                if names.is_empty() { "any name".to_owned() } else { names.join(" and ") };
            let but = if names.is_empty() { "nor for" } else { "but for" };
            format!("the certificate of the broker is not for the name {host}, {but} {instead}")
        }
        CertificateError::UnknownIssuer => {
            format!("the certificate of {host} is signed by an unknown authority")
        }
        CertificateError::Revoked => format!("the certificate of {host} has been revoked"),
        CertificateError::BadSignature => {
            format!(
                "the certificate of {host} is signed by an unknown authority, which has the name of a trusted one"
            )
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            format!("the certificate of {host} is not one for servers")
        }
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            format!("the certificate of {host} is that of an authority and not one for servers")
        }
        CertificateError::Other(other) => {
            format!("the certificate of {host} is not accepted: {other}")
        }
        _ => format!("the certificate of {host} is not accepted: {error}"),
    }
}

/// The name in `DnsName("broker")` or `IpAddress(127.0.0.1)`.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').map_or(name, |(_, inner)| inner);
    inner.trim_end_matches(')').trim_matches('"')
}

fn alert_in_words(alert: AlertDescription, host: &str, has_identity: bool) -> String {
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => wants_one(host),
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown
            if !has_identity =>
        {
            wants_one(host)
        }
        AlertDescription::HandshakeFailure if has_identity => format!(
            "{host} has ended the TLS handshake: it does not accept the client certificate, or has no cipher in common"
        ),
        AlertDescription::HandshakeFailure => format!(
            "{host} has ended the TLS handshake: it wants a client certificate, or has no cipher in common"
        ),
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown => {
            format!("{host} does not accept the client certificate ({alert:?})")
        }
        AlertDescription::CertificateRevoked => {
            format!("{host} says that the client certificate has been revoked")
        }
        AlertDescription::CertificateExpired => {
            format!("{host} says that the client certificate has expired")
        }
        AlertDescription::UnknownCA => {
            format!("{host} does not know the authority that signed the client certificate")
        }
        AlertDescription::AccessDenied => format!("{host} denies access"),
        AlertDescription::ProtocolVersion => {
            format!("{host} and this client have no version of TLS in common")
        }
        AlertDescription::NoApplicationProtocol => no_protocol(host),
        AlertDescription::UnrecognisedName => format!("the broker does not know the name {host}"),
        _ => format!("{host} has ended the TLS connection ({alert:?})"),
    }
}

fn wants_one(host: &str) -> String {
    format!("{host} wants a client certificate")
}

fn no_protocol(host: &str) -> String {
    format!("{host} speaks none of the protocols that were offered (ALPN)")
}
