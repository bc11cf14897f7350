//! The time of a publish over each transport, beside TCP: how long the call takes, and how long the message takes to come
//! back to the same client.
//!
//! A real Mosquitto is at the other end. It speaks TCP, TLS and Unix sockets itself; for the rest a terminator of the
//! system tests is in between, or a real proxy. The calls come from one thread while another one serves the connection.
//!
//! - The time of a call: bursts of [`BURST`] calls. While they are made, the other thread reads answers and messages.
//! - The time of a message: one at a time, from before the call until `Events::next` has given it back.
//!
//! `cargo run --release -p system-tests --example latency [calls]`

mod measure;
mod summary;

use std::process::ExitCode;
use std::{env, fs, thread};

use mqtt_core::driver::transport::{TlsConnector, TlsOptions};
use system_tests::transports::{Kind, Transport, Way};
use system_tests::{Config, Mosquitto};
use tempfile::TempDir;
use test_kit::certificates::Authority;

use measure::measure;
use summary::{Row, Summary, table};

/// Calls in a row. Mosquitto has 20 messages in flight to a client by default.
const BURST: usize = 16;
const CALLS: usize = 2_000;
const PAYLOAD: usize = 100;

fn main() -> ExitCode {
    let calls = env::args().nth(1).map_or(Ok(CALLS), |calls| calls.parse());
    let Ok(calls) = calls else {
        eprintln!("usage: latency [calls]");
        return ExitCode::from(2);
    };
    let brokers = Brokers::start();
    let mut rows = Vec::new();
    for kind in Kind::ALL {
        let Some(transport) = Transport::new(kind) else {
            eprintln!("{}: its proxy is not installed", kind.name());
            continue;
        };
        let (way, between) = brokers.way(kind, &transport);
        let times = measure(&way, calls);
        rows.push(Row { kind, between, summaries: times.map(Summary::of) });
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    println!("{calls} calls each, payloads of {PAYLOAD} bytes, {cores} processors\n");
    print!("{}", table(&rows));
    ExitCode::SUCCESS
}

/// One with and one without TLS.
struct Brokers {
    plain: Mosquitto,
    secured: Mosquitto,
    tls: TlsConnector,
    folder: TempDir,
}

impl Brokers {
    fn start() -> Self {
        let folder = TempDir::with_prefix("latency-").expect("a temporary folder");
        let place = |name: &str| folder.path().join(name).display().to_string();
        let authority = Authority::new("root");
        let identity = authority.server(&["localhost"]);
        for (name, text) in [("certificate", &identity.certificate), ("key", &identity.key)] {
            fs::write(place(name), text).expect("the folder is writable");
        }
        let config = Config::new().line("set_tcp_nodelay true");
        let plain = config.clone().line(&format!("listener 0 {}", place("broker"))).start();
        let secured = config
            .line(&format!("certfile {}", place("certificate")))
            .line(&format!("keyfile {}", place("key")))
            .start();
        let options = TlsOptions::new().root_pem(authority.pem().as_bytes());
        Self { plain, secured, tls: options.build().expect("possible options"), folder }
    }

    /// The way to a broker, and what is in between.
    fn way(&self, kind: Kind, transport: &Transport) -> (Way, &'static str) {
        let port = self.secured.address().port();
        let socket = self.folder.path().join("broker");
        match kind {
            Kind::Tcp => (transport.to(self.plain.address()), "nothing"),
            Kind::Tls => {
                let address = format!("mqtts://localhost:{port}");
                (Transport::directly_to(&address, Some(self.tls.clone())), "nothing")
            }
            Kind::Unix => {
                let address = format!("unix://{}", socket.display());
                (Transport::directly_to(&address, None), "nothing")
            }
            Kind::WebSocket | Kind::SecureWebSocket | Kind::Serial => {
                (transport.to(self.plain.address()), "a terminator")
            }
            Kind::HttpProxy => (transport.to(self.plain.address()), "tinyproxy"),
            Kind::SocksProxy => (transport.to(self.plain.address()), "microsocks"),
        }
    }
}
