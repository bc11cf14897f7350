//! RabbitMQ with its MQTT plug-in, `rabbitmq-server`.
//!
//! It is started by its own script and not by the system's one, which changes the user and uses the system's folders.
//! An Erlang node wants a name server (`epmd`), which it would start as a daemon that outlives it. So the test has one
//! of its own, on a port of its own.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::daemon::{Daemon, GET, PID_FILE, Recipe, found};
use super::{Broker, DOLLAR, Engine, Known, NO_SESSION, TELLS_THE_GRANT};
use crate::broker::free_port;
use crate::process::{Process, SOON};

pub(super) const ENGINE: Engine = Engine {
    name: "RabbitMQ",
    version: || {
        found("epmd")?;
        let folder = installed().ok_or_else(|| format!("rabbitmq-server is missing; {GET}"))?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.rsplit_once('-').map(|(_, version)| version.to_owned()).ok_or(name)
    },
    start: || Box::new(RabbitMq::start(PLUGINS, LISTEN)),
    logins: true,
    untakeable: None,
    known: KNOWN,
};

const KNOWN: &[Known] = &[
    Known::new(&["QoS 2"], "grants QoS 1", "allowed by [MQTT-3.8.4-6]", TELLS_THE_GRANT),
    Known::new(
        &["QoS 2", "QoS 2 after a restart", "QoS 2 in 3.1 after a restart"],
        "answers a QoS 2 publish with PUBACK",
        "[MQTT-4.3.3-2]",
        "`Downgraded`: the message has arrived at least once",
    ),
    Known::new(
        &["QoS 2 after a restart", "QoS 2 in 3.1 after a restart"],
        "answers nothing after a PUBREL for an unknown packet id",
        "[MQTT-4.3.3-2]",
        DEAF,
    ),
    Known::new(&["$-topics"], "`+/leaf` matches `$private/leaf`", "[MQTT-4.7.2-1]", DOLLAR),
    Known::new(
        &["session without subscriptions"],
        "session present 0 for a session without subscriptions",
        "[MQTT-3.2.2-2]",
        NO_SESSION,
    ),
];

/// It no longer reads the connection, not even PINGREQs.
const DEAF: &str = "before the first QoS 2 publish after a restart: `NotReclaimed` after `ping_timeout`; \
     the publish goes out on the next connection, after `ping_timeout` once more";

/// Starts it with its plug-in for MQTT over WebSocket, at the path `/ws`; an error if it is not here.
///
/// # Errors
///
/// The command that installs it.
pub fn start_web() -> Result<Box<dyn Broker>, String> {
    (ENGINE.version)()?;
    Ok(Box::new(RabbitMq::start("[rabbitmq_web_mqtt].\n", LISTEN_WEB)))
}

/// Why it cannot be started here, if so.
pub(crate) fn missing() -> Result<(), String> {
    (ENGINE.version)().map(drop)
}

/// The folder `rabbitmq_server-VERSION`.
fn installed() -> Option<PathBuf> {
    let folders = ["/usr/lib/rabbitmq/lib", "/usr/lib64/rabbitmq/lib"].into_iter();
    let entries = folders.filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let mut entries = entries.map(|entry| entry.path());
    entries.find(|path| path.join("sbin").join("rabbitmq-server").is_file())
}

/// The broker and the name server of its node. The broker is dropped first.
#[derive(Debug)]
struct RabbitMq {
    broker: Daemon,
    _names: Process,
}

impl RabbitMq {
    fn start(plugins: &'static str, listen: &'static str) -> Self {
        let (names, names_port) = start_names();
        let broker = Daemon::start(node("test@localhost", names_port, plugins, move |port| {
            [listen, CONFIG].concat().replace("PORT", &port.to_string())
        }));
        Self { broker, _names: names }
    }
}

/// A node called `name`, whose name server listens on `names_port`. `config` gives its configuration from its port for
/// MQTT.
pub(crate) fn node(
    name: &'static str,
    names_port: u16,
    plugins: &'static str,
    config: impl Fn(u16) -> String + 'static,
) -> Recipe {
    Recipe {
        name: "rabbitmq",
        ready: "Server startup complete",
        taken: "eaddrinuse",
        command: Box::new(move |folder, port| {
            let place = |name: &str| folder.join(name);
            let config = config(port).replace("HOST", &Ipv4Addr::LOCALHOST.to_string());
            fs::write(place("rabbitmq.conf"), config).expect("the folder is writable");
            fs::write(place("plugins"), plugins).expect("the folder is writable");
            let script =
                installed().expect("its version was asked for").join("sbin/rabbitmq-server");
            let mut command = Command::new(script);
            command
                .env("HOME", folder)
                .env("ERL_EPMD_ADDRESS", Ipv4Addr::LOCALHOST.to_string())
                .env("ERL_EPMD_PORT", names_port.to_string())
                .env("RABBITMQ_NODENAME", name)
                .env("RABBITMQ_DIST_PORT", free_port().to_string())
                .env("RABBITMQ_CONFIG_FILE", place("rabbitmq.conf"))
                .env("RABBITMQ_ENABLED_PLUGINS_FILE", place("plugins"))
                .env("RABBITMQ_MNESIA_BASE", place("mnesia"))
                .env("RABBITMQ_LOG_BASE", place("log"))
                .env("RABBITMQ_LOGS", "-")
                .env("RABBITMQ_PID_FILE", place(PID_FILE))
                .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", ERLANG);
            command
        }),
    }
}

/// One scheduler that does not spin; the port for other nodes is on the loopback interface only.
const ERLANG: &str = "+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}";

pub(crate) const PLUGINS: &str = "[rabbitmq_mqtt].\n";

/// `HOST` and `PORT` are put in.
pub(crate) const LISTEN: &str = "mqtt.listeners.tcp.1 = HOST:PORT\n";
const LISTEN_WEB: &str = "mqtt.listeners.tcp = none\nweb_mqtt.tcp.listener = HOST:PORT\n";

pub(crate) const CONFIG: &str = "\
listeners.tcp = none
mqtt.allow_anonymous = true
default_user = u
default_pass = p
mqtt.default_user = u
mqtt.default_pass = p
";

/// Starts the name server in the foreground and waits until it listens.
#[track_caller]
pub(crate) fn start_names() -> (Process, u16) {
    let limit = Instant::now() + SOON;
    loop {
        let port = free_port();
        let mut command = Command::new(crate::process::program("epmd"));
        let host = Ipv4Addr::LOCALHOST;
        command.args(["-port", &port.to_string(), "-address", &host.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Process::spawn("epmd", &mut command);
        // It ends if the port is taken.
        while process.runs() {
            if TcpStream::connect((host, port)).is_ok() && process.runs() {
                return (process, port);
            }
            assert!(Instant::now() < limit, "epmd does not listen for {SOON:?}");
            thread::sleep(Duration::from_millis(5));
        }
        assert!(Instant::now() < limit, "epmd does not start for {SOON:?}");
    }
}

impl Broker for RabbitMq {
    fn address(&self) -> SocketAddr {
        self.broker.address()
    }

    #[track_caller]
    fn kill(&mut self) {
        self.broker.kill();
    }

    #[track_caller]
    fn stop(&mut self) {
        self.broker.stop();
    }

    #[track_caller]
    fn start_again(&mut self) {
        self.broker.start_again();
    }
}
