//! `mqtt://user:password@host:port/topic`.
//!
//! ```
//! use mqtt_examples::url::Url;
//!
//! let url = Url::parse("mqtt://meter:p%40ss@[::1]:1884/plant/+/state")?;
//! assert_eq!((url.host.as_str(), url.port), ("::1", 1884));
//! assert_eq!(url.password.as_deref(), Some(&b"p@ss"[..]));
//! assert_eq!(url.topic.as_deref(), Some("plant/+/state"));
//! # Ok::<(), mqtt_examples::url::UrlError>(())
//! ```

use thiserror::Error;

/// The port of MQTT over TCP.
pub const DEFAULT_PORT: u16 = 1883;

/// A broker and the other parts of its URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// User name.
    pub user: Option<String>,
    /// Password.
    pub password: Option<Vec<u8>>,
    /// Name or address, without brackets.
    pub host: String,
    /// Port; [`DEFAULT_PORT`] if the URL has none.
    pub port: u16,
    /// Everything behind the slash after the host, wildcards included.
    pub topic: Option<String>,
}

/// An error in a URL.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UrlError {
    /// Another scheme than `mqtt`.
    #[error("it does not begin with mqtt:// (there is no TLS in this example)")]
    Scheme,
    /// No host.
    #[error("it names no host")]
    NoHost,
    /// The port is not a port number.
    #[error("{0:?} is not a port")]
    Port(String),
    /// A `%` without two hexadecimal digits, or text that is not UTF-8.
    #[error("{0:?} is wrongly encoded")]
    Encoding(String),
}

impl Url {
    /// Reads a URL; `%` and two digits stand for a byte anywhere but in the port.
    ///
    /// # Errors
    ///
    /// [`UrlError`].
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let rest = text.strip_prefix("mqtt://").ok_or(UrlError::Scheme)?;
        let (authority, topic) = match rest.split_once('/') {
            Some((authority, topic)) => (authority, Some(topic).filter(|topic| !topic.is_empty())),
            None => (rest, None),
        };
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, authority),
        };
        let (user, password) = match login.map(|login| login.split_once(':').unwrap_or((login, "")))
        {
            Some((user, "")) => (Some(string(user)?), None),
            Some((user, password)) => (Some(string(user)?), Some(bytes(password)?)),
            None => (None, None),
        };
        let (host, port) = split_port(place)?;
        if host.is_empty() {
            return Err(UrlError::NoHost);
        }
        let topic = topic.map(string).transpose()?;
        Ok(Self { user, password, host: string(host)?, port, topic })
    }
}

/// Host and port; an IPv6 address is in brackets.
fn split_port(place: &str) -> Result<(&str, u16), UrlError> {
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => {
            let port = rest.strip_prefix(':').ok_or_else(|| UrlError::Port(rest.into()))?;
            (host, Some(port))
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let Some(port) = port else { return Ok((host, DEFAULT_PORT)) };
    match port.parse() {
        Ok(number) if number != 0 => Ok((host, number)),
        Ok(_) | Err(_) => Err(UrlError::Port(port.into())),
    }
}

fn string(text: &str) -> Result<String, UrlError> {
    String::from_utf8(bytes(text)?).map_err(|_| UrlError::Encoding(text.into()))
}

fn bytes(text: &str) -> Result<Vec<u8>, UrlError> {
    let wrong = || UrlError::Encoding(text.into());
    let mut rest = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = rest.next() {
        decoded.push(if byte == b'%' {
            let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
            let pair = digit().zip(digit()).ok_or_else(wrong)?;
            (pair.0 << 4 | pair.1) as u8
        } else {
            byte
        });
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::{Url, UrlError};

    fn parsed(text: &str) -> (Option<String>, Option<Vec<u8>>, String, u16, Option<String>) {
        let Url { user, password, host, port, topic } = Url::parse(text).expect("a URL");
        (user, password, host, port, topic)
    }

    #[test]
    fn every_part_but_the_host_may_be_missing() {
        assert_eq!(parsed("mqtt://h"), (None, None, "h".into(), 1883, None));
        assert_eq!(parsed("mqtt://h:1/"), (None, None, "h".into(), 1, None));
        assert_eq!(parsed("mqtt://u@h"), (Some("u".into()), None, "h".into(), 1883, None));
        assert_eq!(
            parsed("mqtt://u:p:q@h:2/a/#"),
            (Some("u".into()), Some(b"p:q".to_vec()), "h".into(), 2, Some("a/#".into()))
        );
        assert_eq!(parsed("mqtt://[::1]"), (None, None, "::1".into(), 1883, None));
    }

    #[test]
    fn each_error_is_named() {
        let wrong = |text| Url::parse(text).expect_err("no URL");
        assert_eq!(wrong("mqtts://h"), UrlError::Scheme);
        assert_eq!(wrong("h:1883"), UrlError::Scheme);
        assert_eq!(wrong("mqtt:///t"), UrlError::NoHost);
        assert_eq!(wrong("mqtt://h:port"), UrlError::Port("port".into()));
        assert_eq!(wrong("mqtt://h:0"), UrlError::Port("0".into()));
        assert_eq!(wrong("mqtt://h:65536"), UrlError::Port("65536".into()));
        assert_eq!(wrong("mqtt://[::1]1"), UrlError::Port("1".into()));
        assert_eq!(wrong("mqtt://h/%4"), UrlError::Encoding("%4".into()));
        assert_eq!(wrong("mqtt://%FF@h"), UrlError::Encoding("%FF".into()));
    }
}
