//! A gateway in tasks of tokio: three sources publish through one client, and a stream shows what comes back.
//!
//! ```sh
//! cargo run --example tokio -- mqtt://localhost
//! mosquitto_pub -t gateway/ask -m status
//! ```
//!
//! Ctrl-C ends it in order: what was accepted is sent and answered, within five seconds.

use std::{env, error, process, time::Duration};

use mqtt_core::{
    Options, OwnedEvent, QoS,
    driver::tokio::{Client, Config, Error, EventQueue},
};
use tokio::{signal, task::JoinSet, time};

const USAGE: &str = "\
usage: tokio [BROKER]

Publishes readings to gateway/#, and shows what comes back.

  BROKER    host, host:port, mqtts://host or another URL (mqtt://localhost)";

/// Requests that have no answer after that time are named.
const LONGEST_END: Duration = Duration::from_secs(5);
/// Events that may wait for this program.
const QUEUE: usize = 100;

const SOURCES: [(&str, Duration); 3] = [
    ("gateway/temperature", Duration::from_millis(500)),
    ("gateway/pressure", Duration::from_millis(800)),
    ("gateway/level", Duration::from_secs(2)),
];

/// Publishes numbered readings without end. Offline they wait in the client, until it is full; then this task waits.
async fn publish(client: Client, topic: &str, pace: Duration) -> Result<(), Error> {
    let mut ticks = time::interval(pace);
    for number in 0_u64.. {
        ticks.tick().await;
        let reading = number.to_string();
        let _ = client.publish(topic, reading.as_bytes(), QoS::AtLeastOnce, false).await?;
    }
    Ok(())
}

async fn show(mut events: EventQueue) {
    while let Some(event) = events.next().await {
        if let OwnedEvent::Message(message) = event {
            println!("{}: {}", message.topic, message.payload.escape_ascii());
        } else if let OwnedEvent::Down { reason, .. } = event {
            eprintln!("offline: {reason}");
        } else if let OwnedEvent::Up { .. } = event {
            eprintln!("online");
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn error::Error>> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "mqtt://localhost".into());
    if address == "--help" {
        println!("{USAGE}");
        return Ok(());
    }
    if address.starts_with('-') || arguments.next().is_some() {
        eprintln!("{USAGE}");
        process::exit(2);
    }
    let (client, events) = Client::start(Config::new(&Options::new("gateway")), &[&address])?;
    let showing = tokio::spawn(show(events.into_queue(QUEUE)));
    let _ = client.subscribe("gateway/#", QoS::AtLeastOnce)?;
    let mut sources = JoinSet::new();
    for (topic, pace) in SOURCES {
        sources.spawn(publish(client.clone(), topic, pace));
    }
    signal::ctrl_c().await?;
    sources.shutdown().await;
    if let Err(unfinished) = client.finish(LONGEST_END).await {
        eprintln!("{unfinished}");
    }
    showing.await?;
    Ok(())
}
