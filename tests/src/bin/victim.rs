//! A client in a process of its own, to be killed or stopped from outside: `victim <host:port> <client id> <keep alive
//! in seconds> <will topic>`. Its will is `gone` with QoS 1. It prints `up` once the broker has accepted it.

use std::env;
use std::error::Error;

use mqtt_core::driver::blocking::Client;
use mqtt_core::{Event, Options, QoS, Topic, Will};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = env::args().skip(1).collect();
    let [broker, id, keep_alive, topic] = args.as_slice() else {
        return Err("usage: victim <host:port> <client id> <keep alive> <will topic>".into());
    };
    let will = Will::new(Topic::new(topic)?, b"gone").qos(QoS::AtLeastOnce);
    let options = Options::new(id).keep_alive(keep_alive.parse()?).will(will);
    let (_client, mut events) = Client::connect(broker, &options)?;
    while let Some(event) = events.next() {
        if let Event::Up { .. } = event {
            println!("up");
        }
    }
    Ok(())
}
