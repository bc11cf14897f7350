//! The options that `pub` and `sub` share, named as in `mosquitto_pub` and `mosquitto_sub`.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    io,
};

use mqtt_core::{
    Filter, Login, Options, QoS, Reconnect, Topic, Version, Will,
    driver::{
        address::{DEFAULT_PORT, Password, without_login},
        blocking::{self, Brokers, Config},
        trace::Account,
    },
};

use crate::{
    arguments::{Arguments, UsageError, place},
    trace::{Trace, TraceError},
};

/// The text of `--help` for these options, before that for [`trace`](crate::trace).
pub const HELP: &str = "\
Connection
  -h, --host HOST              the broker's name or address (localhost)
  -p, --port PORT              its port (1883)
  -L, --url URL                mqtt://[user[:password]@]host[:port][/topic] instead of -h -p -u -P -t
  -V, --protocol-version V     mqttv311, mqttv31, or auto: 3.1.1 and where that is refused 3.1 (auto)
  -i, --id ID                  client id (made up)
  -c, --disable-clean-session  keep the session on the broker when this ends; needs -i
  -k, --keepalive SECONDS      longest silence; 0: any (60)
  -u, --username USER          user name
  -P, --pw PASSWORD            password
  --will-topic TOPIC           where the broker publishes the will if this client dies
  --will-payload TEXT          what it publishes (nothing)
  --will-qos QOS               at this QoS (0)
  --will-retain                and retains
  -d, --debug                  tell every packet on standard error";

/// The most characters of a client id in MQTT 3.1.
const V31_CLIENT_ID: std::ops::RangeInclusive<usize> = 1..=23;

/// The options that both programs have.
#[derive(Clone, Debug)]
pub struct Common {
    program: &'static str,
    host: String,
    port: u16,
    id: Option<String>,
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
            host: "localhost".into(),
            port: DEFAULT_PORT,
            id: None,
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
            "-h" | "--host" => {
                self.host = arguments.text()?;
                if self.host.contains(['@', '/']) {
                    return Err(arguments.wrong("it takes a name or an address; -L takes a URL"));
                }
            }
            "-p" | "--port" => self.port = arguments.number("a port")?,
            "-i" | "--id" => self.id = Some(arguments.text()?),
            "-u" | "--username" => self.user = Some(arguments.text()?),
            "-P" | "--pw" => self.password = Some(Password::new(arguments.bytes()?)),
            "-k" | "--keepalive" => {
                self.keep_alive = arguments.number("a number of seconds up to 65535")?;
            }
            "-c" | "--disable-clean-session" => self.persistent = true,
            "-q" | "--qos" => self.qos = arguments.qos()?,
            "-d" | "--debug" => self.debug = true,
            "--trace" => self.trace = Some(arguments.text()?),
            "-V" | "--protocol-version" => {
                let name = arguments.text()?;
                self.version = version(&name).ok_or_else(|| {
                    let name = without_login(&name);
                    arguments.wrong(format!("{name:?} is not mqttv31, mqttv311 or auto"))
                })?;
            }
            "-L" | "--url" => {
                let broker = arguments.broker()?;
                self.host = broker.host;
                self.port = broker.port;
                if let Some(login) = broker.login {
                    self.user = Some(login.user);
                    self.password = login.password.or_else(|| self.password.take());
                }
                self.topics.extend(broker.topic);
            }
            "--will-topic" => self.will_topic = Some(arguments.topic()?),
            "--will-payload" => self.will_payload = Some(arguments.bytes()?),
            "--will-qos" => self.will_qos = Some(arguments.qos()?),
            "--will-retain" => self.will_retain = true,
            _ => return Ok(false),
        }
        Ok(true)
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
    /// [`blocking::Error::Address`].
    pub fn brokers(&self) -> Result<Brokers, blocking::Error> {
        Brokers::new(&[&place(&self.host, self.port)])
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
    let problem = format!("{:?}: {error}", without_login(text));
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
        assert_eq!((common.host.as_str(), common.port), ("h", 7));
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
        assert_eq!(refused("-V mqttv5"), "option -V: \"mqttv5\" is not mqttv31, mqttv311 or auto");
        assert_eq!(
            refused("--will-topic a/#"),
            "option --will-topic: \"a/#\": wildcard in a topic name"
        );
        assert_eq!(
            refused("-L mqtts://h"),
            "option -L: it does not begin with mqtt:// (there is no TLS in this example)"
        );
    }

    /// Users mistake options for one another.
    #[test]
    fn no_error_repeats_a_login() {
        for line in [
            "mqtt://u:marker@h",
            "--url=mqtt://u:%marker@h",
            "-L mqtt://u:marker/x@h",
            "-L mqtt://u%3Amarker%40h",
            "-L mqtts://u:marker@h",
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
