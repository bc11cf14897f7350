//! rumqttd in a process of its own, to be killed and started again: `rumqttd-server <host:port>`. It prints `listening`
//! once it listens, or `taken` if another program has the port.

use std::collections::HashMap;
use std::error::Error;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let listen: SocketAddr =
        std::env::args().nth(1).ok_or("usage: rumqttd-server <host:port>")?.parse()?;
    let mut broker = rumqttd::Broker::new(settings(listen));
    // It writes the details to its log, which is off.
    let running = thread::spawn(move || drop(broker.start()));
    while !running.is_finished() {
        if TcpStream::connect(listen).is_ok() && !running.is_finished() {
            println!("listening");
            let _ended = running.join();
            return Ok(());
        }
        thread::sleep(Duration::from_millis(5));
    }
    println!("taken");
    Ok(())
}

/// One plain listener, no login.
fn settings(listen: SocketAddr) -> rumqttd::Config {
    let connections = rumqttd::ConnectionSettings {
        connection_timeout_ms: 5_000,
        max_payload_size: 150_000,
        max_inflight_count: 100,
        auth: None,
        external_auth: None,
        dynamic_filters: true,
    };
    let server = rumqttd::ServerSettings {
        name: "test".into(),
        listen,
        tls: None,
        next_connection_delay_ms: 1,
        connections,
    };
    rumqttd::Config {
        router: rumqttd::RouterConfig {
            max_connections: 100,
            max_outgoing_packet_count: 200,
            max_segment_size: 1 << 20,
            max_segment_count: 4,
            ..rumqttd::RouterConfig::default()
        },
        v4: Some(HashMap::from([("1".into(), server)])),
        ..rumqttd::Config::default()
    }
}
