//! Proxies: HTTP CONNECT (RFC 9110, section 9.3.6) and SOCKS5 (RFC 1928, RFC 1929).
//!
//! The name of the broker is resolved by the proxy. No byte behind the answer of the proxy is read, so the next layer
//! finds all of its own.

use std::{
    format,
    io::{self, Read, Write},
    net::IpAddr,
    string::String,
    time::Instant,
    vec::Vec,
};

use super::{
    http::{Answer, authority, is_one_line},
    located::at,
};
use crate::driver::{readiness::Waiting, stream::Stream};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Http,
    Socks5,
}

/// A proxy on the way to the broker.
///
/// Connect to its [`host`](Self::host) and [`port`](Self::port), and give the stream to [`connect`](Self::connect).
#[derive(Clone)]
#[must_use]
pub struct Proxy {
    kind: Kind,
    host: String,
    port: u16,
    login: Option<(String, String)>,
}

/// Without the password.
impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("kind", &self.kind)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("user", &self.login.as_ref().map(|(user, _)| user))
            .finish_non_exhaustive()
    }
}

impl Proxy {
    /// An HTTP proxy that allows `CONNECT`.
    pub fn http(host: &str, port: u16) -> Self {
        Self { kind: Kind::Http, host: host.into(), port, login: None }
    }

    /// A SOCKS5 proxy.
    pub fn socks5(host: &str, port: u16) -> Self {
        Self { kind: Kind::Socks5, host: host.into(), port, login: None }
    }

    /// A user and a password for the proxy. They are sent in clear text, as both kinds of proxies want them.
    pub fn login(mut self, user: &str, password: &str) -> Self {
        self.login = Some((user.into(), password.into()));
        self
    }

    /// The host of the proxy.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port of the proxy.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Asks the proxy at the other end of `stream` for a connection to `host` and `port`. The stream then leads there.
    ///
    /// # Errors
    ///
    /// The proxy refuses: `PermissionDenied` for a login or a rule, `HostUnreachable`, `NetworkUnreachable` or
    /// `ConnectionRefused` for the way behind it. It does not speak that protocol: `InvalidData`. `TimedOut` at `until`.
    /// The errors of the stream. The text names proxy and broker, and never the password.
    pub fn connect<S: Stream>(
        &self,
        mut stream: S,
        host: &str,
        port: u16,
        until: Instant,
    ) -> io::Result<S> {
        let opened = match self.kind {
            Kind::Http => self.ask_http(&mut stream, host, port, until),
            Kind::Socks5 => self.ask_socks5(Waiting { stream: &mut stream, until }, host, port),
        };
        match opened {
            Ok(()) => Ok(stream),
            Err(error) => {
                let (proxy, broker) = (authority(&self.host, self.port), authority(host, port));
                Err(at(format!("proxy {proxy} on the way to {broker}"), error))
            }
        }
    }

    fn ask_http(
        &self,
        stream: &mut impl Stream,
        host: &str,
        port: u16,
        until: Instant,
    ) -> io::Result<()> {
        let broker = authority(host, port);
        if host.contains(' ') || !is_one_line(host) {
            return Err(invalid_input("the host has spaces or control characters"));
        }
        let mut request = format!("CONNECT {broker} HTTP/1.1\r\nHost: {broker}\r\n");
        if let Some((user, password)) = &self.login {
            // RFC 7617, section 2.
            if user.contains(':') || !is_one_line(user) || !is_one_line(password) {
                return Err(invalid_input(
                    "the login has control characters, or the user has a colon",
                ));
            }
            let login = base64(format!("{user}:{password}").as_bytes());
            request.extend(["Proxy-Authorization: Basic ", &login, "\r\n"]);
        }
        request.push_str("\r\n");
        let answer = Answer::to(&request, stream, until)?;
        let (kind, problem) = match answer.status {
            200..=299 => return Ok(()),
            // tinyproxy answers a missing login with 401.
            401 | 407 => (io::ErrorKind::PermissionDenied, self.login_problem()),
            403 => (io::ErrorKind::PermissionDenied, "it does not allow that"),
            502..=504 => (io::ErrorKind::HostUnreachable, "it cannot reach the broker"),
            _ => (io::ErrorKind::ConnectionRefused, "it refuses"),
        };
        Err(io::Error::new(kind, format!("{problem}: {}", answer.shown())))
    }

    fn ask_socks5(
        &self,
        mut stream: Waiting<'_, impl Stream>,
        host: &str,
        port: u16,
    ) -> io::Result<()> {
        let request = socks5_request(host, port)?;
        let login = self.login.as_ref().map(|(user, password)| socks5_login(user, password));
        let login = login.transpose()?;
        let methods: &[u8] = if login.is_some() { &[NO_LOGIN, PASSWORD] } else { &[NO_LOGIN] };
        let count = if login.is_some() { 2 } else { 1 };
        let hello = [&[SOCKS5, count], methods].concat();
        let [version, method] = ask(&mut stream, &hello)?;
        if version != SOCKS5 {
            return Err(invalid_data("its answer is not SOCKS5"));
        }
        match (method, login) {
            (NO_LOGIN, _) => {}
            (PASSWORD, Some(login)) => {
                let [_version, status] = ask(&mut stream, &login)?;
                if status != 0 {
                    return Err(denied("it does not accept the login"));
                }
            }
            (NO_METHOD, _) => return Err(denied(self.login_problem())),
            _ => return Err(invalid_data("it chose a login that was not offered")),
        }
        let [version, status, _reserved, kind] = ask(&mut stream, &request)?;
        if version != SOCKS5 {
            return Err(invalid_data("its answer is not SOCKS5"));
        }
        socks5_status(status)?;
        // The address that the proxy uses. It is read only to reach its end.
        let len = match kind {
            IPV4 => 4,
            IPV6 => 16,
            NAME => {
                let mut len = [0];
                read_exact(&mut stream, &mut len)?;
                usize::from(len[0])
            }
            _ => return Err(invalid_data("its answer has an address of an unknown kind")),
        };
        let mut address = Vec::from([0; 2]);
        address.resize(len + 2, 0);
        read_exact(&mut stream, &mut address)
    }

    fn login_problem(&self) -> &'static str {
        if self.login.is_some() { "it does not accept the login" } else { "it wants a login" }
    }
}

const SOCKS5: u8 = 5;
const NO_LOGIN: u8 = 0;
const PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xFF;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// RFC 1928, section 4.
fn socks5_request(host: &str, port: u16) -> io::Result<Vec<u8>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let mut request = Vec::from([SOCKS5, CONNECT, 0]);
    match bare.parse() {
        Ok(IpAddr::V4(address)) => {
            request.push(IPV4);
            request.extend(address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            request.push(IPV6);
            request.extend(address.octets());
        }
        Err(_) => {
            request.push(NAME);
            push_short(&mut request, host)
                .ok_or_else(|| invalid_input("the name of the host has 1 to 255 bytes"))?;
        }
    }
    request.extend(port.to_be_bytes());
    Ok(request)
}

/// RFC 1929, section 2.
fn socks5_login(user: &str, password: &str) -> io::Result<Vec<u8>> {
    let mut login = Vec::from([1]);
    push_short(&mut login, user)
        .and_then(|()| push_short(&mut login, password))
        .ok_or_else(|| invalid_input("user and password have 1 to 255 bytes each"))?;
    Ok(login)
}

/// A text behind its length; `None` if it is empty or too long.
fn push_short(bytes: &mut Vec<u8>, text: &str) -> Option<()> {
    let len = u8::try_from(text.len()).ok().filter(|&len| len > 0)?;
    bytes.push(len);
    bytes.extend_from_slice(text.as_bytes());
    Some(())
}

/// RFC 1928, section 6.
fn socks5_status(status: u8) -> io::Result<()> {
    let (kind, text) = match status {
        0 => return Ok(()),
        2 => (io::ErrorKind::PermissionDenied, "its rules do not allow that"),
        3 => (io::ErrorKind::NetworkUnreachable, "it cannot reach the network of the broker"),
        4 => (io::ErrorKind::HostUnreachable, "it cannot reach the broker"),
        5 => (io::ErrorKind::ConnectionRefused, "the broker refuses the connection"),
        6 => (io::ErrorKind::HostUnreachable, "the way to the broker is too long"),
        7 => (io::ErrorKind::Unsupported, "it makes no connections"),
        8 => (io::ErrorKind::Unsupported, "it does not support this kind of address"),
        _ => (io::ErrorKind::ConnectionRefused, "it could not connect"),
    };
    Err(io::Error::new(kind, text))
}

/// Sends `bytes` and reads the first bytes of the answer.
fn ask<const N: usize>(stream: &mut Waiting<'_, impl Stream>, bytes: &[u8]) -> io::Result<[u8; N]> {
    stream.write_all(bytes)?;
    stream.flush()?;
    let mut answer = [0; N];
    read_exact(stream, &mut answer)?;
    Ok(answer)
}

fn read_exact(stream: &mut Waiting<'_, impl Stream>, bytes: &mut [u8]) -> io::Result<()> {
    stream.read_exact(bytes).map_err(|error| {
        if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) {
            io::Error::new(error.kind(), "the connection was closed before the answer")
        } else {
            error
        }
    })
}

fn invalid_input(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

fn invalid_data(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn denied(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let value = (bits >> (18 - 6 * at)) as usize % DIGITS.len();
            // A group of n bytes has n + 1 digits.
            let digit = DIGITS.get(value).filter(|_| at <= group.len());
            text.push(digit.map_or('=', |&digit| char::from(digit)));
        }
    }
    text
}

#[cfg(test)]
mod tests;
