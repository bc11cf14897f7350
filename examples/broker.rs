//! The broker that the options of `pub` and `sub` name, and the way to it: TCP, TLS, WebSocket, a Unix socket.
//!
//! Whatever the options are, they become one [`Url`] for the library's [`Brokers`].

use std::{io, net::IpAddr, path};

#[cfg(feature = "tls")]
use mqtt_core::driver::transport::{TlsOptions, TlsVersion};
use mqtt_core::driver::{
    address::{Address, DEFAULT_PORT, Place, Scheme},
    blocking::Brokers,
    transport::TcpOptions,
};

use crate::arguments::{Arguments, Url, UsageError, place, shown};

/// The text of `--help` for these options.
pub const HELP: &str = "\
Broker
  -h, --host HOST              the broker's name or address (localhost)
  -p, --port PORT              its port (1883; with TLS 8883)
  --unix PATH                  its Unix socket
  -L, --url URL                scheme://[user[:password]@]host[:port][/topic] instead of -h -p -u -P -t; the scheme is
                               mqtt, mqtts, ws, wss (without a topic: the path is that of the WebSocket) or unix
  -A ADDRESS                   connect from this address of this machine
  --nodelay                    send small packets at once (always so)

TLS, for mqtts and wss; each of these options turns it on
  --cafile FILE                trust these authorities (those of the system)
  --capath FOLDER              trust the authorities in this folder
  --tls-use-os-certs           trust those of the system too
  --cert FILE, --key FILE      the client's certificate and its key
  --tls-version VERSION        the oldest one, tlsv1.2 or tlsv1.3 (tlsv1.2)
  --tls-alpn NAME              the protocol to ask for
  --insecure                   accept the certificate of another host
";

const TLS_PORT: u16 = 8883;

/// The options that lead to the broker.
#[derive(Clone, Debug, Default)]
pub struct Way {
    host: Option<String>,
    port: Option<u16>,
    url: Option<Url>,
    unix: Option<String>,
    local_address: Option<IpAddr>,
    tls: Tls,
}

#[derive(Clone, Debug, Default)]
struct Tls {
    /// The first of its options.
    wanted_by: Option<String>,
    cafile: Option<String>,
    capath: Option<String>,
    system_roots: bool,
    cert: Option<String>,
    key: Option<String>,
    only_13: bool,
    alpn: Option<String>,
    insecure: bool,
}

impl Way {
    /// Reads the value of `option` if it is one of these options; `false` if it is not.
    ///
    /// # Errors
    ///
    /// [`UsageError`]: the value is wrong.
    pub fn take(&mut self, option: &str, arguments: &mut Arguments) -> Result<bool, UsageError> {
        match option {
            "-h" | "--host" => {
                let host = arguments.text()?;
                if host.contains(['@', '/']) {
                    return Err(arguments.wrong("it takes a name or an address; -L takes a URL"));
                }
                self.host = Some(host);
                self.url = None;
            }
            "-p" | "--port" => self.port = Some(arguments.number("a port")?),
            "-L" | "--url" => {
                self.url = Some(arguments.broker()?);
                (self.host, self.port) = (None, None);
            }
            "--unix" => self.unix = Some(arguments.text()?),
            "-A" => self.local_address = Some(arguments.number("an IP address")?),
            "--nodelay" => {}
            _ => return self.tls.take(option, arguments),
        }
        Ok(true)
    }

    /// The address of `-L`.
    #[must_use]
    pub fn url(&self) -> Option<&Url> {
        self.url.as_ref()
    }

    /// The one address that the options stand for, without a login and a topic.
    ///
    /// # Errors
    ///
    /// [`UsageError`]: options that do not go together, or an address that is not possible.
    pub fn address(&self) -> Result<Url, UsageError> {
        let secure = self.tls.wanted_by.is_some();
        if let Some(path) = &self.unix {
            if self.host.is_some() || self.port.is_some() || self.url.is_some() {
                return Err(UsageError::Together("--unix goes without -h, -p and -L"));
            }
            let path = path::absolute(path).map_err(|error| value("--unix", error.to_string()))?;
            let path = path.to_string_lossy();
            return self.checked("--unix", &format!("unix:{}", escaped(&path)));
        }
        let Some(url) = &self.url else {
            let default = if secure { TLS_PORT } else { DEFAULT_PORT };
            let host = self.host.as_deref().unwrap_or("localhost");
            let place = place(host, self.port.unwrap_or(default)).replace('%', "%25");
            let scheme = if secure { Scheme::Mqtts } else { Scheme::Mqtt };
            return self.checked("-h", &format!("{scheme}://{place}"));
        };
        let scheme = url.address().scheme();
        let secured = [(Scheme::Mqtt, Scheme::Mqtts), (Scheme::Ws, Scheme::Wss)]
            .into_iter()
            .find_map(|(plain, secured)| (secure && scheme == plain).then_some(secured));
        let address = match secured {
            // Read again, because the default port is another one.
            Some(scheme) => {
                let rest = url.text().split_once("://").map_or(url.text(), |(_, rest)| rest);
                let address = Address::parse(&format!("{scheme}://{rest}"));
                address.map_err(|error| value("-L", error.to_string()))?
            }
            None => url.address().clone(),
        };
        let place = match address.place() {
            Place::Host { host, port } => {
                let place = place(host, self.port.unwrap_or(*port));
                format!("//{}", place.replace('%', "%25"))
            }
            Place::Path(path) => escaped(&path.to_string_lossy()),
            other => other.to_string(),
        };
        let path = address.websocket_path().unwrap_or_default();
        self.checked("-L", &format!("{}:{place}{path}", address.scheme()))
    }

    fn checked(&self, option: &str, text: &str) -> Result<Url, UsageError> {
        let url = Url::parse(text).map_err(|problem| value(option, problem))?;
        if url.address().scheme() == Scheme::Unix {
            if self.tls.wanted_by.is_some() {
                return Err(UsageError::Together("there is no TLS over a Unix socket"));
            }
            if self.local_address.is_some() {
                return Err(UsageError::Together("option -A is for TCP, not for a Unix socket"));
            }
        }
        self.tls.check()?;
        Ok(url)
    }

    /// The broker at `url` with the options of TCP and TLS.
    ///
    /// # Errors
    ///
    /// A file of TLS that cannot be read or has nothing usable.
    pub fn brokers(&self, url: &Url) -> io::Result<Brokers> {
        let mut tcp = TcpOptions::new();
        if let Some(address) = self.local_address {
            tcp = tcp.local_address(address);
        }
        let brokers = Brokers::new(&[url.text()]).map_err(io::Error::other)?.tcp(tcp);
        self.tls.applied(brokers)
    }
}

impl Tls {
    fn take(&mut self, option: &str, arguments: &mut Arguments) -> Result<bool, UsageError> {
        match option {
            "--cafile" => self.cafile = Some(arguments.text()?),
            "--capath" => self.capath = Some(arguments.text()?),
            "--tls-use-os-certs" => self.system_roots = true,
            "--cert" => self.cert = Some(arguments.text()?),
            "--key" => self.key = Some(arguments.text()?),
            "--tls-version" => {
                let version = arguments.text()?;
                self.only_13 = match version.as_str() {
                    "tlsv1.3" => true,
                    "tlsv1.2" => false,
                    "tlsv1.1" => {
                        return Err(arguments.wrong("TLS 1.1 is too old: tlsv1.2 or tlsv1.3"));
                    }
                    _ => {
                        let version = shown(&version);
                        return Err(arguments.wrong(format!("{version} is not tlsv1.2 or tlsv1.3")));
                    }
                };
            }
            "--tls-alpn" => self.alpn = Some(arguments.text()?),
            "--insecure" => self.insecure = true,
            _ => return Ok(false),
        }
        self.wanted_by.get_or_insert_with(|| option.into());
        Ok(true)
    }

    fn check(&self) -> Result<(), UsageError> {
        match &self.wanted_by {
            Some(option) if cfg!(not(feature = "tls")) => {
                Err(value(option, "it needs tls, which this program was built without".into()))
            }
            _ if self.cert.is_some() != self.key.is_some() => {
                Err(UsageError::Together("--cert and --key go together"))
            }
            _ => Ok(()),
        }
    }

    #[cfg(not(feature = "tls"))]
    fn applied(&self, brokers: Brokers) -> io::Result<Brokers> {
        Ok(brokers)
    }

    #[cfg(feature = "tls")]
    fn applied(&self, brokers: Brokers) -> io::Result<Brokers> {
        if self.wanted_by.is_none() {
            return Ok(brokers);
        }
        let mut options = TlsOptions::new().any_name(self.insecure);
        if let Some(file) = &self.cafile {
            options = options.root_file(file);
        }
        if let Some(folder) = &self.capath {
            options = options.root_directory(folder);
        }
        if self.system_roots {
            options = options.with_system_roots();
        }
        if let (Some(cert), Some(key)) = (&self.cert, &self.key) {
            options = options.identity_files(cert, key);
        }
        if self.only_13 {
            options = options.minimum_version(TlsVersion::Tls13);
        }
        if let Some(name) = &self.alpn {
            options = options.alpn(&[name]);
        }
        Ok(brokers.tls(options.build()?))
    }
}

fn value(option: &str, problem: String) -> UsageError {
    UsageError::Value { option: option.into(), problem }
}

/// A path as it stands in a URL.
fn escaped(path: &str) -> String {
    let mut text = String::new();
    for byte in path.bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'~' => text.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(line: &str) -> Result<String, UsageError> {
        let mut arguments = Arguments::new(line.split_whitespace());
        let mut way = Way::default();
        while let Some(option) = arguments.option()? {
            if !way.take(&option, &mut arguments)? {
                return Err(arguments.unknown());
            }
        }
        way.address().map(|url| url.text().to_owned())
    }

    #[test]
    fn every_option_leads_to_one_address() {
        for (line, expected) in [
            ("", "mqtt://localhost:1883"),
            ("-h ::1 -p 7", "mqtt://[::1]:7"),
            ("-h fe80::1%lo", "mqtt://[fe80::1%25lo]:1883"),
            ("-L mqtt://u:p@h/a/b", "mqtt://h:1883"),
            ("-L h:7", "mqtt://h:7"),
            ("-L mqtt://h -p 7", "mqtt://h:7"),
            ("-p 7 -L mqtt://h", "mqtt://h:1883"),
            ("-L mqtt://h:7 -h g", "mqtt://g:1883"),
            ("--unix /run/a%b", "unix:/run/a%25b"),
            ("-L unix:///run/a%20b", "unix:/run/a%20b"),
        ] {
            assert_eq!(address(line), Ok(expected.into()), "{line}");
        }
    }

    #[test]
    #[cfg(all(feature = "tls", feature = "websocket"))]
    fn an_option_of_tls_turns_it_on_and_changes_the_default_port() {
        for (line, expected) in [
            ("--cafile x", "mqtts://localhost:8883"),
            ("--insecure -p 1883", "mqtts://localhost:1883"),
            ("-L mqtt://h/a --capath x", "mqtts://h:8883"),
            ("-L mqtt://h:7/a --capath x", "mqtts://h:7"),
            ("-L ws://h/a?t=1", "ws://h:80/a?t=1"),
            ("-L ws://u:p@h --tls-version tlsv1.3", "wss://h:443/mqtt"),
            ("-L mqtts://h", "mqtts://h:8883"),
        ] {
            assert_eq!(address(line), Ok(expected.into()), "{line}");
        }
    }

    #[test]
    fn a_program_without_a_feature_says_which_one() {
        for (line, feature, has_it) in [
            ("-L mqtts://h", "-L: mqtts:// needs tls", cfg!(feature = "tls")),
            ("-L ws://h", "-L: ws:// needs websocket", cfg!(feature = "websocket")),
            ("--insecure", "tls, which this program was built without", cfg!(feature = "tls")),
        ] {
            match address(line) {
                Ok(_) => assert!(has_it, "{line}"),
                Err(error) => assert!(!has_it && error.to_string().contains(feature), "{error}"),
            }
        }
    }
}
