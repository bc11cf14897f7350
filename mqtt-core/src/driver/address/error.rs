//! Why an address is refused. No error holds text, so none can repeat a part of a password.

use core::fmt;

use thiserror::Error;

/// A part of an address, in an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// The user name.
    User,
    /// The password.
    Password,
    /// The host.
    Host,
    /// The topic behind the host.
    Topic,
    /// The path of a WebSocket with its query, or of a socket.
    Path,
}

/// Why an address was refused. It repeats no part of the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The text in front of `://` is no scheme of [`Scheme`](super::Scheme).
    #[error("the scheme is none of mqtt, mqtts, ws, wss, unix, tcp, ssl and tls")]
    UnknownScheme,
    /// A text without a scheme has more than a host and a port.
    #[error("a login, a topic or a path needs a scheme before the host, such as mqtt://")]
    NoScheme,
    /// An `@` with nothing, or only a password, in front of it.
    #[error("the user name before the @ is empty")]
    NoUser,
    /// A raw `@` behind the host. The password probably has a raw `/`, `?` or `#`.
    #[error(
        "there is an @ behind the host: in a password / ? # are written %2F %3F %23, and an @ in a \
         topic or path is written %40"
    )]
    LateAt,
    /// No host.
    #[error("it names no host")]
    NoHost,
    /// A host of more than 253 bytes.
    #[error("the host is longer than 253 bytes")]
    HostTooLong,
    /// A host with characters beyond ASCII.
    #[error("the host is not ASCII: an international name is written in its xn-- form")]
    HostNotAscii,
    /// A host with a blank, a control character, or another character that is in no host name.
    #[error("the host has a character that no host name has")]
    HostCharacter,
    /// The text in brackets is not an IPv6 address, or a bracket is missing.
    #[error("there is no IPv6 address between [ and ]")]
    Ipv6,
    /// The zone of an IPv6 address is empty or has a character that is in no zone.
    #[error("the zone of the IPv6 address is not valid")]
    Zone,
    /// An IPv6 address without brackets.
    #[error("an IPv6 address is written in brackets, such as [::1] or [::1]:1883")]
    NoBrackets,
    /// The text behind `]` does not begin with `:`.
    #[error("behind the ] there is no colon and port")]
    NoColon,
    /// Nothing follows the colon behind the host.
    #[error("no port follows the colon")]
    NoPort,
    /// The port has a character that is no digit.
    #[error("the port is not a number (a / in a password is written %2F)")]
    PortNotNumber,
    /// The port is 0 or greater than 65535.
    #[error("the port is not from 1 to 65535")]
    PortRange,
    /// A `#` directly behind the host.
    #[error("behind the host there is neither a colon and port nor a / and topic")]
    NoTopic,
    /// A raw `?` behind the host, and the scheme is not that of a WebSocket.
    #[error("only a WebSocket has a query: a ? in a topic or path is written %3F")]
    Query,
    /// The path or query of a WebSocket has a blank, a control character, a `#`, or characters beyond ASCII.
    #[error("the path has a character that must be percent-encoded")]
    PathCharacter,
    /// The path of a socket is missing, not absolute, or has a NUL.
    #[error("it names no absolute path of a socket, as unix:///run/broker.sock does")]
    SocketPath,
    /// A `%` without two hexadecimal digits behind it.
    #[error("a % in the {0} is not followed by two hexadecimal digits")]
    Encoding(Part),
    /// The decoded text is not UTF-8.
    #[error("the {0} is not UTF-8")]
    NotUtf8(Part),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user name",
            Self::Password => "password",
            Self::Host => "host",
            Self::Topic => "topic",
            Self::Path => "path",
        })
    }
}
