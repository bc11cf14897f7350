//! A table of filters and handlers: each message goes to the handlers whose filter matches its topic.
//!
//! ```sh
//! cargo run --example routes -- mqtt://localhost
//! mosquitto_pub -t boiler/alarm -m hot; mosquitto_pub -t boiler/reading -m 21.5
//! ```

use std::{env, error, sync::Arc};

use mqtt_core::{
    Event, Filter, Message, Options, QoS,
    driver::blocking::{Client, Events},
    filter,
    topic::Router,
};

type Handler = fn(&Client, &Message<'_>) -> Result<(), Box<dyn error::Error>>;

const ROUTES: [(Filter<'_>, Handler); 3] = [
    (filter!("+/alarm"), on_alarm),
    (filter!("+/reading"), on_reading),
    (filter!("stop"), on_stop),
];

fn on_alarm(client: &Client, message: &Message<'_>) -> Result<(), Box<dyn error::Error>> {
    println!("ALARM {}: {}", message.topic, message.payload.escape_ascii());
    // A handler may publish: no lock is held.
    let _ = client.publish("alarms/seen", message.payload, QoS::AtLeastOnce, false)?;
    Ok(())
}

fn on_reading(_client: &Client, message: &Message<'_>) -> Result<(), Box<dyn error::Error>> {
    let value: f64 = std::str::from_utf8(message.payload)?.parse()?;
    println!("{} is at {value:.1}", message.topic);
    Ok(())
}

fn on_stop(client: &Client, _message: &Message<'_>) -> Result<(), Box<dyn error::Error>> {
    client.disconnect();
    Ok(())
}

fn serve(client: &Client, events: &mut Events) {
    let router = Router::new(ROUTES);
    while let Some(event) = events.next() {
        if let Event::Message(message) = event {
            for handler in router.route(message.topic) {
                // An error of one message is no reason to stop.
                if let Err(error) = handler(client, &message) {
                    eprintln!("{}: {error}", message.topic);
                }
            }
        } else if let Event::Down { reason, .. } = event {
            eprintln!("offline: {reason}");
        }
    }
}

fn main() -> Result<(), Box<dyn error::Error>> {
    let address = env::args().nth(1).unwrap_or_else(|| "mqtt://localhost".into());
    let (client, mut events) = Client::connect(&address, &Options::new("routes"))?;
    let client = Arc::new(client);
    ctrlc::set_handler({
        let client = Arc::clone(&client);
        move || client.disconnect()
    })?;
    let filters: Vec<_> =
        Router::new(ROUTES).filters().map(|filter| (filter, QoS::AtLeastOnce)).collect();
    let _ = client.subscribe_all(&filters)?;
    serve(&client, &mut events);
    Ok(())
}
