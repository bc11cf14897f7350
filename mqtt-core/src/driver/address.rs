//! The address of a broker, as users write it: `mqtt://user:password@host:port/topic`, `host:port`, and others.
//!
//! | written | connection | default port |
//! |---|---|---|
//! | `mqtt://host:port/topic`, `tcp://`, `host:port`, `host` | TCP | 1883 |
//! | `mqtts://host:port/topic`, `ssl://`, `tls://` | TLS | 8883 |
//! | `ws://host:port/path?query` | WebSocket | 80 |
//! | `wss://host:port/path?query` | WebSocket over TLS | 443 |
//! | `unix:///path`, `unix:/path` | Unix domain socket | |
//!
//! ```
//! use mqtt_core::driver::address::{Address, AddressError, Place, Scheme};
//!
//! let address = Address::parse("mqtts://meter:p%40ss@[::1]:8884/plant/+/state")?;
//! assert_eq!(address.scheme(), Scheme::Mqtts);
//! assert_eq!(address.place(), &Place::Host { host: "::1".into(), port: 8884 });
//! assert_eq!(address.login().map(|login| login.user.as_str()), Some("meter"));
//! assert_eq!(address.topic(), Some("plant/+/state"));
//! assert_eq!(address.to_string(), "mqtts://***@[::1]:8884/plant/+/state");
//!
//! let address = Address::parse("localhost")?;
//! assert_eq!(address.place().to_string(), "localhost:1883");
//!
//! assert_eq!(Address::parse("::1"), Err(AddressError::NoBrackets));
//! # Ok::<(), AddressError>(())
//! ```
//!
//! - A URL has a login only in front of the host. The last `@` there ends it, and the first `:` begins the password.
//! - `%` and two hexadecimal digits stand for a byte in the user name, the password, the host, the topic and the path
//!   of a socket. The path and the query of a WebSocket stay as they are written, because they are sent that way. Text
//!   without a scheme is no URL: a `%` in it stands for itself.
//! - A raw `@` behind the host is refused. It shows that a `/`, `?` or `#` in the password ended the login too early.
//! - A host is a name in ASCII, an IPv4 address, or an IPv6 address in brackets. The zone of an IPv6 address follows
//!   `%25` or `%` in a URL (RFC 6874) and `%` in text without a scheme.
//!
//! No text of this module shows a login or the query of a WebSocket, which may hold a token: neither `Display` nor
//! `Debug` nor an error. An error repeats no part of the address at all. In an address that is written wrongly, the
//! password may lie anywhere.

mod error;
mod host;
mod percent;

pub use error::{AddressError, Part};

use core::{fmt, str::FromStr};
use std::{
    borrow::ToOwned,
    format,
    path::{Path, PathBuf},
    string::String,
    vec::Vec,
};

use crate::codec::Login;
use host::{Form, host};
use percent::{bytes, encode, string};

/// The port of MQTT over TCP.
pub const DEFAULT_PORT: u16 = 1883;

/// The path of a WebSocket whose address has none. EMQX, HiveMQ and VerneMQ have this one, and Mosquitto takes any;
/// RabbitMQ has `/ws`.
const WEBSOCKET_PATH: &str = "/mqtt";

/// Where a broker is, how it is reached, and the login. `Display` and `Debug` show no login: `mqtt://***@host:1883`.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    scheme: Scheme,
    login: Option<Credentials>,
    /// A path for [`Scheme::Unix`], a host for all others.
    place: Place,
    /// MQTT over TCP and TLS: the topic, decoded. WebSocket: path and query, as they are written.
    target: String,
}

/// The kind of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// MQTT over TCP: `mqtt`, `tcp`, or no scheme.
    Mqtt,
    /// MQTT over TLS: `mqtts`, `ssl`, `tls`.
    Mqtts,
    /// MQTT over a WebSocket: `ws`.
    Ws,
    /// MQTT over a WebSocket over TLS: `wss`.
    Wss,
    /// MQTT over a Unix domain socket: `unix`.
    Unix,
}

/// The place to connect to. `Display` gives `host:port`, `[::1]:1883`, or the path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// A host and a port.
    Host {
        /// A name or an address. An IPv6 address has no brackets; its zone, if it has one, follows a `%`.
        host: String,
        /// The port; never 0.
        port: u16,
    },
    /// The absolute path of a Unix domain socket.
    Path(PathBuf),
}

/// User name and password. Its `Debug` text shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub user: String,
    /// Password.
    pub password: Option<Password>,
}

/// A password. Its `Debug` text does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Vec<u8>);

impl Address {
    /// Reads an address in one of the forms of the [module](self).
    ///
    /// # Errors
    ///
    /// [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if let Some((scheme, rest)) = text.split_once("://") {
            return Self::of_url(Scheme::named(scheme)?, rest);
        }
        match text.split_once(':') {
            Some((scheme, path)) if is(scheme, "unix") && path.starts_with('/') => {
                Self::of_url(Scheme::Unix, path)
            }
            Some(_) | None => Self::of_plain(text),
        }
    }

    /// A URL; `rest` is the part behind `://`.
    fn of_url(scheme: Scheme, rest: &str) -> Result<Self, AddressError> {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let behind = rest.strip_prefix(authority).unwrap_or_default();
        if behind.contains('@') {
            return Err(AddressError::LateAt);
        }
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, authority),
        };
        let login = login.map(Credentials::decode).transpose()?;
        let (place, target) = match scheme {
            Scheme::Mqtt => (host(place, Form::Url, DEFAULT_PORT)?, topic(behind)?),
            Scheme::Mqtts => (host(place, Form::Url, 8883)?, topic(behind)?),
            Scheme::Ws => (host(place, Form::Url, 80)?, websocket_path(behind)?),
            Scheme::Wss => (host(place, Form::Url, 443)?, websocket_path(behind)?),
            Scheme::Unix if place.is_empty() => (Place::Path(socket_path(behind)?), String::new()),
            Scheme::Unix => return Err(AddressError::SocketPath),
        };
        Ok(Self { scheme, login, place, target })
    }

    /// A host with or without a port, and no scheme.
    fn of_plain(text: &str) -> Result<Self, AddressError> {
        if text.contains(['@', '/', '?', '#']) {
            return Err(AddressError::NoScheme);
        }
        let place = host(text, Form::Plain, DEFAULT_PORT)?;
        Ok(Self { scheme: Scheme::Mqtt, login: None, place, target: String::new() })
    }

    /// The kind of the connection.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// User name and password, if the address has them.
    #[must_use]
    pub const fn login(&self) -> Option<&Credentials> {
        self.login.as_ref()
    }

    /// The place to connect to: a path for [`Scheme::Unix`], a host and a port for all others.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// Everything behind the slash after the host of `mqtt://` and `mqtts://`, decoded; `None` if there is nothing. It
    /// may be a topic name or a filter, and it is not checked.
    #[must_use]
    pub fn topic(&self) -> Option<&str> {
        match self.scheme {
            Scheme::Mqtt | Scheme::Mqtts => Some(&*self.target).filter(|topic| !topic.is_empty()),
            Scheme::Ws | Scheme::Wss | Scheme::Unix => None,
        }
    }

    /// Path and query of `ws://` and `wss://` as they stand in the HTTP request: it begins with `/` and has visible
    /// ASCII characters only. `/mqtt` if the address has no path. The query may hold a token, so do not show it.
    #[must_use]
    pub fn websocket_path(&self) -> Option<&str> {
        match self.scheme {
            Scheme::Ws | Scheme::Wss => Some(&self.target),
            Scheme::Mqtt | Scheme::Mqtts | Scheme::Unix => None,
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

/// A URL without the login and without the query. It parses again, to the same place and topic.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let login = if self.login.is_some() { "***@" } else { "" };
        write!(f, "{}://{login}", self.scheme)?;
        match &self.place {
            // A zone is the only part of a host with a %.
            Place::Host { .. } => f.write_str(&format!("{}", self.place).replace('%', "%25"))?,
            Place::Path(path) => encode(&path.to_string_lossy(), f)?,
        }
        if let Some(topic) = self.topic() {
            f.write_str("/")?;
            encode(topic, f)?;
        }
        match self.websocket_path().map(|path| path.split_once('?').ok_or(path)) {
            Some(Ok((path, _query))) => write!(f, "{path}?***"),
            Some(Err(path)) => f.write_str(path),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl Scheme {
    fn named(name: &str) -> Result<Self, AddressError> {
        let known = [
            ("mqtt", Self::Mqtt),
            ("tcp", Self::Mqtt),
            ("mqtts", Self::Mqtts),
            ("ssl", Self::Mqtts),
            ("tls", Self::Mqtts),
            ("ws", Self::Ws),
            ("wss", Self::Wss),
            ("unix", Self::Unix),
        ];
        let found = known.into_iter().find(|(known, _)| is(name, known));
        found.map(|(_, scheme)| scheme).ok_or(AddressError::UnknownScheme)
    }
}

/// Its name in a URL, such as `mqtts`.
impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mqtt => "mqtt",
            Self::Mqtts => "mqtts",
            Self::Ws => "ws",
            Self::Wss => "wss",
            Self::Unix => "unix",
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Host { host, port } => write!(f, "{host}:{port}"),
            Self::Path(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Credentials {
    /// The text in front of the `@` of a URL.
    fn decode(text: &str) -> Result<Self, AddressError> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        if user.is_empty() {
            return Err(AddressError::NoUser);
        }
        let user = string(user, Part::User)?;
        let password = match bytes(password, Part::Password)? {
            none if none.is_empty() => None,
            password => Some(Password(password)),
        };
        Ok(Self { user, password })
    }

    /// The login for [`Options::login`](crate::Options::login).
    pub fn as_login(&self) -> Login<'_> {
        Login::new(&self.user, self.password.as_ref().map(Password::as_bytes))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(***)")
    }
}

impl Password {
    /// The password of these bytes.
    #[must_use]
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Any text without the parts that are a login or a query if it is a URL or a part of one. For messages about text that
/// may not be an address at all, such as an argument of a command line.
///
/// ```
/// use mqtt_core::driver::address::without_login;
///
/// assert_eq!(without_login("mqtt://meter:secret@host:1883/a"), "***@host:1883/a");
/// assert_eq!(without_login("wss://host/mqtt?token=secret"), "wss://host/mqtt?***");
/// assert_eq!(without_login("plant/+/state"), "plant/+/state");
/// ```
#[must_use]
pub fn without_login(text: &str) -> String {
    let is_url = text.contains("://");
    let (login, place) = match text.rsplit_once('@') {
        // Nobody knows whether the ? is in a password or the @ in a query.
        Some((login, _)) if is_url && login.contains('?') => return "***".to_owned(),
        Some((_login, place)) => ("***@", place),
        None => ("", text),
    };
    match place.split_once('?') {
        Some((place, _query)) if is_url => format!("{login}{place}?***"),
        Some(_) | None => format!("{login}{place}"),
    }
}

/// The text behind the host of `mqtt://`. A topic filter may have a raw `#`.
fn topic(behind: &str) -> Result<String, AddressError> {
    if behind.contains('?') {
        return Err(AddressError::Query);
    }
    match behind.strip_prefix('/') {
        Some(topic) => string(topic, Part::Topic),
        None if behind.is_empty() => Ok(String::new()),
        None => Err(AddressError::NoTopic),
    }
}

/// The text behind the host of `ws://`, as an HTTP request has it. A line end in it would begin another header.
fn websocket_path(behind: &str) -> Result<String, AddressError> {
    if !behind.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Err(AddressError::PathCharacter);
    }
    let _decoded = bytes(behind, Part::Path)?;
    let default = if behind.starts_with('/') { "" } else { WEBSOCKET_PATH };
    Ok(format!("{default}{behind}"))
}

/// The text behind `unix://`.
fn socket_path(behind: &str) -> Result<PathBuf, AddressError> {
    if behind.contains('?') {
        return Err(AddressError::Query);
    }
    let path = string(behind, Part::Path)?;
    if !path.starts_with('/') || path == "/" || path.contains('\0') {
        return Err(AddressError::SocketPath);
    }
    Ok(Path::new(&path).to_owned())
}

fn is(scheme: &str, name: &str) -> bool {
    scheme.eq_ignore_ascii_case(name)
}

#[cfg(test)]
mod tests;
