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

use std::{fmt, ops::Deref};

use thiserror::Error;

/// The port of MQTT over TCP.
pub const DEFAULT_PORT: u16 = 1883;

/// A broker and the other parts of its URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// User name.
    pub user: Option<String>,
    /// Password.
    pub password: Option<Password>,
    /// Name or address, without brackets.
    pub host: String,
    /// Port; [`DEFAULT_PORT`] if the URL has none.
    pub port: u16,
    /// Everything behind the slash after the host, wildcards included.
    pub topic: Option<String>,
}

/// A password. Its `Debug` text does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Vec<u8>);

impl Password {
    /// The password of these bytes.
    #[must_use]
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for Password {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// An error in a URL. It repeats no part of the URL: in one that is written wrongly, the password may lie anywhere.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UrlError {
    /// Another scheme than `mqtt`.
    #[error("it does not begin with mqtt:// (there is no TLS in this example)")]
    Scheme,
    /// No host.
    #[error("it names no host")]
    NoHost,
    /// The port is not a port number.
    #[error("the port is not a number from 1 to 65535 (a / in a password is written %2F)")]
    Port,
    /// A `%` without two hexadecimal digits, or text that is not UTF-8, in this part.
    #[error("the {0} is wrongly encoded")]
    Encoding(&'static str),
}

/// `text` without the part in front of its last `@`, which is a login if `text` is a URL or a part of one.
#[must_use]
pub fn without_login(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_login, place)) => format!("***@{place}"),
        None => text.into(),
    }
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
            Some((user, "")) => (Some(user), None),
            Some((user, password)) => (Some(user), Some(password)),
            None => (None, None),
        };
        let user = user.map(|user| string(user, "user name")).transpose()?;
        let password = password.map(|password| bytes(password, "password")).transpose()?;
        let (host, port) = split_port(place)?;
        if host.is_empty() {
            return Err(UrlError::NoHost);
        }
        let topic = topic.map(|topic| string(topic, "topic")).transpose()?;
        let password = password.map(Password);
        Ok(Self { user, password, host: string(host, "host")?, port, topic })
    }
}

/// Host and port; an IPv6 address is in brackets.
fn split_port(place: &str) -> Result<(&str, u16), UrlError> {
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => {
            let port = rest.strip_prefix(':').ok_or(UrlError::Port)?;
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
        Ok(_) | Err(_) => Err(UrlError::Port),
    }
}

fn string(text: &str, part: &'static str) -> Result<String, UrlError> {
    String::from_utf8(bytes(text, part)?).map_err(|_| UrlError::Encoding(part))
}

fn bytes(text: &str, part: &'static str) -> Result<Vec<u8>, UrlError> {
    let mut rest = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = rest.next() {
        decoded.push(if byte == b'%' {
            let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
            let pair = digit().zip(digit()).ok_or(UrlError::Encoding(part))?;
            (pair.0 << 4 | pair.1) as u8
        } else {
            byte
        });
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::{Url, UrlError, without_login};

    fn parsed(text: &str) -> (Option<String>, Option<Vec<u8>>, String, u16, Option<String>) {
        let Url { user, password, host, port, topic } = Url::parse(text).expect("a URL");
        (user, password.map(|password| password.to_vec()), host, port, topic)
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
        assert_eq!(wrong("mqtt://h:port"), UrlError::Port);
        assert_eq!(wrong("mqtt://h:0"), UrlError::Port);
        assert_eq!(wrong("mqtt://h:65536"), UrlError::Port);
        assert_eq!(wrong("mqtt://[::1]1"), UrlError::Port);
        assert_eq!(wrong("mqtt://h/%4"), UrlError::Encoding("topic"));
        assert_eq!(wrong("mqtt://%FF@h"), UrlError::Encoding("user name"));
        assert_eq!(wrong("mqtt://u:%g@h"), UrlError::Encoding("password"));
        assert_eq!(wrong("mqtt://%"), UrlError::Encoding("host"));
    }

    /// A URL that is written wrongly may have a part of the password anywhere.
    #[test]
    fn no_error_repeats_a_part_of_the_password() {
        for text in [
            "u:marker@h",
            "mqtts://u:marker@h",
            "mqtt://u:%marker@h",
            "mqtt://u:marker%@h",
            "mqtt://u:marker/marker@h",
            "mqtt://u:marker/%marker@h",
            "mqtt://u:marker",
            "mqtt://u:p@h:marker",
            "mqtt://u:[::1]marker",
        ] {
            let error = Url::parse(text).expect_err(text);
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("marker"), "{text}: {shown}");
        }
    }

    #[test]
    fn a_url_is_shown_without_its_password() {
        let url = Url::parse("mqtt://u:abcd@h").expect("a URL");
        let shown = format!("{url:?} {url:#?} {url:x?}");
        assert!(
            !shown.contains("abcd") && !shown.contains("97") && !shown.contains("61"),
            "{shown}"
        );
        assert_eq!(without_login("mqtt://u:p@q@h:1/t"), "***@h:1/t");
        assert_eq!(without_login("h:1"), "h:1");
    }
}
