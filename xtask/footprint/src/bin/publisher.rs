//! A sensor: connects without will or login, publishes at QoS 0, never subscribes.
#![no_std]
#![no_main]

use core::hint::black_box;

use footprint::{Held, now, write};
use mqtt_core::{Action, Options, Publish, StaticClient, topic};

#[cortex_m_rt::entry]
fn main() -> ! {
    let Ok(mut client) = StaticClient::<256, 1>::new_static(&Options::new("boiler-7")) else {
        loop {}
    };
    let mut held = Held::<64>::EMPTY;
    loop {
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
                let mut input = held.input();
                while let Ok(Some(event)) = client.receive(&mut input, now()) {
                    black_box(&event);
                }
                let left = input.len();
                held.keep(left);
                let publish = Publish::new(topic!("boiler/7/temperature"), black_box(b"21.5"));
                let _ = client.publish(&publish);
            }
        }
    }
}
