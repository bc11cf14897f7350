//! The options that `pub` and `sub` share, named as in `mosquitto_pub` and `mosquitto_sub`.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    io,
};

use mqtt_core::{
    Filter, Login, Options, QoS, Reconnect, Topic, Version, Will,
    driver::{
        address::Password,
        blocking::{Brokers, Config},
        trace::Account,
    },
};

use crate::{
    arguments::{Arguments, UsageError, shown},
    broker::Way,
    trace::{Trace, TraceError},
};
use thiserror::Error;

/// The text of `--help` for these options, before that for [`trace`](crate::trace).
pub const HELP: &str = "\
Connection
  -V, --protocol-version V     mqttv311, mqttv31, or auto: 3.1.1 and where that is refused 3.1 (auto)
  -i, --id ID                  client id (made up)
  -I, --id-prefix PREFIX       client id: this and the number of the process
  -c, --disable-clean-session  keep the session on the broker when this ends; needs -i
  -k, --keepalive SECONDS      longest silence; 0: any (60)
  -u, --username USER          user name
  -P, --pw PASSWORD            password
  --will-topic TOPIC           where the broker publishes the will if this client dies
  --will-payload TEXT          what it publishes (nothing)
  --will-qos QOS               at this QoS (0)
  --will-retain                and retains
  -d, --debug                  tell every packet on standard error
  --quiet                      no errors on standard error; the exit status tells
  --version                    the version of this program";

/// What MQTT 5 has and MQTT 3.1.1 has not.
const V5_OPTIONS: [&str; 7] = [
    "-D",
    "--property",
    "-x",
    "--session-expiry-interval",
    "--retain-as-published",
    "--retain-handling",
    "--topic-alias",
];
/// Options of mosquitto_pub and mosquitto_sub that rustls has no counterpart for.
const OPENSSL_OPTIONS: [&str; 6] = [
    "--psk",
    "--psk-identity",
    "--ciphers",
    "--keyform",
    "--tls-engine",
    "--tls-engine-kpass-sha1",
];

/// The most characters of a client id in MQTT 3.1.
const V31_CLIENT_ID: std::ops::RangeInclusive<usize> = 1..=23;

/// Why there is no way to the broker.
#[derive(Debug, Error)]
pub enum BrokerError {
    /// Options that do not go together.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// A file of TLS that cannot be read or has nothing usable.
    #[error(transparent)]
    Tls(#[from] io::Error),
}

/// What a command line asks for.
#[derive(Debug)]
pub enum Wish<T> {
    /// `--help`.
    Help,
    /// `--version`.
    Version,
    /// The program's work.
    Run(T),
}

/// The line of `--version`.
#[must_use]
pub fn version_of(program: &str) -> String {
    format!("{program}, an example of mqtt-core {}", env!("CARGO_PKG_VERSION"))
}

/// The options that both programs have.
#[derive(Clone, Debug)]
pub struct Common {
    program: &'static str,
    way: Way,
    id: Option<String>,
    /// It came from `-i`, or from `-I`.
    id_from: Option<&'static str>,
    made_up_id: String,
    user: Option<String>,
    password: Option<Password>,
    keep_alive: u16,
    persistent: bool,
    version: Version,
    will_topic: Option<String>,
    will_payload: Option<Vec<u8>>,
    will_qos: Option<QoS>,
    will_retain: bool,
    seed: u32,
    debug: bool,
    quiet: bool,
    trace: Option<String>,
    /// `-q`.
    pub qos: QoS,
    /// `-t`, and the topic of `-L`.
    pub topics: Vec<String>,
}

impl Common {
    /// The defaults of `program`.
    #[must_use]
    pub fn new(program: &'static str) -> Self {
        let random = RandomState::new().build_hasher().finish();
        Self {
            program,
            way: Way::default(),
            id: None,
            id_from: None,
            // Short enough for MQTT 3.1.
            made_up_id: format!("{program}-{random:016x}"),
            user: None,
            password: None,
            keep_alive: 60,
            persistent: false,
            version: Version::Auto,
            will_topic: None,
            will_payload: None,
            will_qos: None,
            will_retain: false,
            seed: random as u32,
            debug: false,
            quiet: false,
            trace: None,
            qos: QoS::AtMostOnce,
            topics: Vec::new(),
        }
    }

    /// Reads the value of `option` if it is one of these options; `false` if it is not.
    ///
    /// # Errors
    ///
    /// [`UsageError`]: the value is wrong.
    pub fn take(&mut self, option: &str, arguments: &mut Arguments) -> Result<bool, UsageError> {
        match option {
            "-i" | "--id" => {
                let id = arguments.text()?;
                self.set_id("-i", id)?;
            }
            "-I" | "--id-prefix" => {
                let prefix = arguments.text()?;
                self.set_id("-I", format!("{prefix}{}", std::process::id()))?;
            }
            "-u" | "--username" => self.user = Some(arguments.text()?),
            "-P" | "--pw" => self.password = Some(Password::new(arguments.bytes()?)),
            "-k" | "--keepalive" => {
                self.keep_alive = arguments.number("a number of seconds up to 65535")?;
            }
            "-c" | "--disable-clean-session" => self.persistent = true,
            "-q" | "--qos" => self.qos = arguments.qos()?,
            "-d" | "--debug" => self.debug = true,
            "--quiet" => self.quiet = true,
            "--trace" => self.trace = Some(arguments.text()?),
            "-V" | "--protocol-version" => {
                let name = arguments.text()?;
                self.version = version(&name).ok_or_else(|| {
                    let five = matches!(name.as_str(), "mqttv5" | "5");
                    let why = if five { "; there is no MQTT 5 here" } else { "" };
                    let name = shown(&name);
                    arguments.wrong(format!("{name} is not mqttv31, mqttv311 or auto{why}"))
                })?;
            }
            "--will-topic" => self.will_topic = Some(arguments.topic()?),
            "--will-payload" => self.will_payload = Some(arguments.bytes()?),
            "--will-qos" => self.will_qos = Some(arguments.qos()?),
            "--will-retain" => self.will_retain = true,
            five if V5_OPTIONS.contains(&five) => {
                return Err(
                    arguments.wrong("it is one of MQTT 5, and this speaks MQTT 3.1.1 and 3.1")
                );
            }
            openssl if OPENSSL_OPTIONS.contains(&openssl) => {
                return Err(arguments.wrong("the TLS of this program, rustls, has nothing like it"));
            }
            "--proxy" => return Err(arguments.wrong("there are no proxies in this program")),
            other => {
                let taken = self.way.take(other, arguments)?;
                if let ("-L" | "--url", Some(url)) = (other, self.way.url()) {
                    let address = url.address();
                    if let Some(login) = address.login() {
                        self.user = Some(login.user.clone());
                        self.password = login.password.clone().or_else(|| self.password.take());
                    }
                    self.topics.extend(address.topic().map(str::to_owned));
                }
                return Ok(taken);
            }
        }
        Ok(true)
    }

    fn set_id(&mut self, from: &'static str, id: String) -> Result<(), UsageError> {
        if *self.id_from.get_or_insert(from) != from {
            return Err(UsageError::Together("options -i and -I do not go together"));
        }
        self.id = Some(id);
        Ok(())
    }

    /// The settings of the client.
    ///
    /// # Errors
    ///
    /// [`UsageError`]: options that do not go together.
    pub fn options(&self) -> Result<Options<'_>, UsageError> {
        let id = self.id.as_deref();
        if self.persistent && id.is_none_or(str::is_empty) {
            return Err(UsageError::Together("option -c needs a client id, -i"));
        }
        let v31_id = id.is_none_or(|id| V31_CLIENT_ID.contains(&id.chars().count()));
        if self.version == Version::V31 && !v31_id {
            return Err(UsageError::Together("option -i: MQTT 3.1 takes 1 to 23 characters"));
        }
        let mut options = Options::new(id.unwrap_or(&self.made_up_id))
            .version(self.version)
            .clean_session(!self.persistent)
            .keep_alive(self.keep_alive)
            .reconnect(Reconnect::after(500).at_most(30_000).seed(self.seed));
        match (&self.user, &self.password) {
            (Some(user), password) => {
                let password = password.as_ref().map(Password::as_bytes);
                options = options.login(Login::new(user, password));
            }
            (None, Some(_)) => {
                return Err(UsageError::Together("option -P needs a user name, -u"));
            }
            (None, None) => {}
        }
        match &self.will_topic {
            Some(topic) => {
                let payload = self.will_payload.as_deref().unwrap_or_default();
                let qos = self.will_qos.unwrap_or(QoS::AtMostOnce);
                let will = Will::new(topic_of("--will-topic", topic)?, payload);
                options = options.will(will.qos(qos).retain(self.will_retain));
            }
            None if self.will_payload.is_some() || self.will_qos.is_some() || self.will_retain => {
                return Err(UsageError::Together("the options of the will need --will-topic"));
            }
            None => {}
        }
        Ok(options)
    }

    /// Whether the client may use either version.
    #[must_use]
    pub fn falls_back(&self) -> bool {
        self.version == Version::Auto
    }

    /// The broker.
    ///
    /// # Errors
    ///
    /// Options that do not go together, or a file of TLS that cannot be used.
    pub fn brokers(&self) -> Result<Brokers, BrokerError> {
        let url = self.way.address()?;
        Ok(self.way.brokers(&url)?)
    }

    /// The file of `--trace`.
    ///
    /// # Errors
    ///
    /// [`TraceError`]: it cannot be made.
    pub fn trace(&self) -> Result<Option<Trace>, TraceError> {
        self.trace.as_deref().map(Trace::create).transpose()
    }

    /// `config`, whose links are shown as `-d` and `--trace` ask for.
    pub fn traced<'a>(&self, mut config: Config<'a>, trace: Option<&Trace>) -> Config<'a> {
        if self.debug {
            config = config.trace(Account::new(self.program, io::stderr()));
        }
        match trace {
            Some(trace) => config.trace(trace.of(self.program)),
            None => config,
        }
    }

    /// `--quiet`.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// The program's name, for messages.
    #[must_use]
    pub fn program(&self) -> &'static str {
        self.program
    }
}

/// A topic name that came with `option`.
///
/// # Errors
///
/// [`UsageError::Value`].
pub fn topic_of<'a>(option: &str, text: &'a str) -> Result<Topic<'a>, UsageError> {
    Topic::new(text).map_err(|error| wrong(option, text, error))
}

/// A topic filter that came with `option`.
///
/// # Errors
///
/// [`UsageError::Value`].
pub fn filter_of<'a>(option: &str, text: &'a str) -> Result<Filter<'a>, UsageError> {
    Filter::new(text).map_err(|error| wrong(option, text, error))
}

fn wrong(option: &str, text: &str, error: mqtt_core::TopicError) -> UsageError {
    let problem = format!("{}: {error}", shown(text));
    UsageError::Value { option: option.into(), problem }
}

fn version(name: &str) -> Option<Version> {
    match name {
        "mqttv31" | "31" => Some(Version::V31),
        "mqttv311" | "311" => Some(Version::V311),
        "auto" => Some(Version::Auto),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use mqtt_core::driver::blocking::Connector as _;

    use super::*;

    fn read(line: &str) -> Result<Common, UsageError> {
        let mut arguments = Arguments::new(line.split_whitespace());
        let mut common = Common::new("test");
        while let Some(option) = arguments.option()? {
            if !common.take(&option, &mut arguments)? {
                return Err(arguments.unknown());
            }
        }
        common.options().map(drop)?;
        Ok(common)
    }

    fn refused(line: &str) -> String {
        read(line).expect_err("refused").to_string()
    }

    #[test]
    fn a_url_stands_for_host_port_login_and_topic() {
        let common = read("-q 1 -L mqtt://u:p@h:7/a/b").expect("valid");
        let brokers = common.brokers().expect("an address");
        assert_eq!(brokers.name(0), "h:7");
        assert_eq!(
            (common.user.as_deref(), common.password.as_ref().map(Password::as_bytes)),
            (Some("u"), Some(&b"p"[..]))
        );
        assert_eq!(common.topics, ["a/b"]);
    }

    #[test]
    fn options_that_do_not_go_together_are_named() {
        assert_eq!(refused("-P secret"), "option -P needs a user name, -u");
        assert_eq!(refused("-c"), "option -c needs a client id, -i");
        assert_eq!(refused("--will-qos 1"), "the options of the will need --will-topic");
        assert_eq!(
            refused("-V mqttv31 -i 123456789012345678901234"),
            "option -i: MQTT 3.1 takes 1 to 23 characters"
        );
    }

    #[test]
    fn a_wrong_value_is_named_with_its_option() {
        assert_eq!(refused("-p 70000"), "option -p: \"70000\" is not a port");
        assert_eq!(
            refused("-V mqttv5"),
            "option -V: \"mqttv5\" is not mqttv31, mqttv311 or auto; there is no MQTT 5 here"
        );
        assert_eq!(
            refused("--will-topic a/#"),
            "option --will-topic: \"a/#\": wildcard in a topic name"
        );
        assert_eq!(refused("-i a -I b"), "options -i and -I do not go together");
    }

    /// Users mistake options for one another.
    #[test]
    fn no_error_repeats_a_login() {
        for line in [
            "mqtt://u:marker@h",
            "--url=mqtt://u:%marker@h",
            "-L mqtt://u:marker/x@h",
            "-L mqtt://u%3Amarker%40h",
            "-h mqtt://u:marker@h",
            "-h u:marker@h",
            "-p mqtt://u:marker@h",
            "-q u:marker@h",
            "-V u:marker@h",
            "-t u:marker@h/a#",
            "-d=marker",
            "--debug=marker",
            "--passwd=marker",
            "-P marker",
        ] {
            let shown = match read(line) {
                Err(error) => format!("{error} {error:?}"),
                Ok(common) => panic!("{line}: {common:?}"),
            };
            assert!(!shown.contains("marker"), "{line}: {shown}");
        }
        let common = read("-L mqtt://u:marker@h -P marker").expect("it is not looked up");
        let brokers = common.brokers().expect("it is not looked up");
        let shown = format!("{brokers:?} {}", brokers.name(0));
        assert!(!shown.contains("marker"), "{shown}");
        let common = read("-u u -P marker").expect("valid");
        let shown = format!("{common:?} {common:x?}");
        assert!(!shown.contains("marker") && !shown.contains("109, 97"), "{shown}");
        assert!(!shown.contains("6d, 61"), "{shown}");
        let arguments = Arguments::new(["-P", "marker"]);
        assert!(!format!("{arguments:?}").contains("marker"));
    }

    #[test]
    fn a_client_id_that_is_made_up_suits_mqtt_31() {
        let common = read("-V mqttv31").expect("valid");
        assert!(V31_CLIENT_ID.contains(&common.made_up_id.chars().count()));
    }
}
