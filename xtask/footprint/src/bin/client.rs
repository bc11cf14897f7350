//! The full client: will and login, publishing and receiving at every QoS, subscribing, unsubscribing, acknowledging
//! by hand, disconnecting, reconnecting.
#![no_std]
#![no_main]

use core::hint::black_box;

use footprint::{Held, now, write};
use mqtt_core::{
    Action, Event, Login, Options, Publish, QoS, StaticClient, Version, Will, filter, topic,
};

type Client = StaticClient<1024, 8>;

/// Constant, so that no code runs to build it.
const OPTIONS: Options<'static> = Options::new("boiler-7")
    .version(Version::Auto)
    .clean_session(false)
    .will(Will::new(topic!("boiler/7/state"), b"gone").qos(QoS::AtLeastOnce).retain(true))
    .login(Login::new("boiler", Some(b"secret")))
    .receive_capacity(256)
    .manual_acknowledge(true);

#[cortex_m_rt::entry]
fn main() -> ! {
    if let Ok(mut client) = Client::new_static(&OPTIONS) {
        run(&mut client);
    }
    loop {}
}

fn run(client: &mut Client) -> ! {
    let mut held = Held::<256>::EMPTY;
    loop {
        let mut input = held.input();
        while let Ok(Some(event)) = client.receive(&mut input, now()) {
            handle(client, event);
        }
        let left = input.len();
        held.keep(left);
        match client.poll(now()) {
            Action::Connect { .. } => client.connected(now()),
            // The second comes only with `Options::sources`.
            Action::Close(_) | Action::TransmitFrom(_) => client.closed(now()),
            Action::Persist(_) => client.persisted(),
            Action::Transmit(bytes) => {
                let count = write(bytes);
                client.transmitted(count, now());
            }
            Action::Wait(deadline) => {
                black_box(deadline);
                held.read();
                request(client);
            }
        }
    }
}

fn handle(client: &mut Client, event: Event<'_>) {
    match event {
        Event::Message(message) => {
            write(message.topic.as_bytes());
            write(message.payload);
            if let Some(delivery) = message.delivery {
                let _ = client.acknowledge(delivery);
            }
        }
        Event::MessageChunk(bytes) => {
            write(bytes);
        }
        Event::MessageEnd { delivery: Some(delivery) } => {
            let _ = client.acknowledge(delivery);
        }
        other => {
            black_box(&other);
        }
    }
}

/// The requests of an application.
fn request(client: &mut Client) {
    match black_box(0_u8) {
        0 => {
            let qos = match black_box(0_u8) {
                0 => QoS::AtMostOnce,
                1 => QoS::AtLeastOnce,
                _ => QoS::ExactlyOnce,
            };
            let publish = Publish::new(topic!("boiler/7/temperature"), black_box(b"21.5"));
            let _ = client.publish(&publish.qos(qos).retain(black_box(false)));
        }
        1 => {
            let _ = client.subscribe(black_box(&[(filter!("boiler/7/set/#"), QoS::ExactlyOnce)]));
        }
        2 => {
            let _ = client.unsubscribe(black_box(&[filter!("boiler/7/set/#")]));
        }
        3 => client.disconnect(),
        4 => client.connect(),
        _ => {}
    }
}
