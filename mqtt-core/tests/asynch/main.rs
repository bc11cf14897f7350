//! `driver::asynch` against a scripted broker, in virtual time: reads and writes move a few bytes, and nothing is polled
//! that was not woken.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests fail by panicking")]

mod broker;
mod chance;
mod dropping;
mod ending;
mod executor;
mod faults;
mod journal;
mod links;
#[cfg(feature = "journal-flash")]
#[path = "../flash/nor.rs"]
#[expect(dead_code, reason = "the tests of the journal itself use more of it")]
mod nor;
mod payloads;
mod sizes;
#[cfg(feature = "journal-flash")]
mod slow_flash;
mod waiting;

use std::cell::RefCell;
use std::rc::Rc;

use executor::{Delay, World};
use mqtt_core::driver::asynch::{Client, Dial, Requests, RunError, Runner, State};
use mqtt_core::{Event, Instant, Options, Publish, QoS, Topic};

type Shared<'a> = RefCell<State<'a>>;

/// A device whose session is kept.
fn kept(id: &str) -> Options<'_> {
    Options::new(id).clean_session(false).keep_alive(60)
}

fn message<'a>(payload: &'a str, qos: QoS) -> Publish<'a> {
    Publish::new(Topic::new("up").expect("a topic"), payload.as_bytes()).qos(qos)
}

/// Serves `runner` over transports of `dial`, with a handler.
async fn serve<'s>(
    runner: &mut Runner<'_, Shared<'s>>,
    world: &Rc<World>,
    dial: impl Dial,
    handle: impl AsyncFnMut(Requests<'_, Shared<'s>>, Event<'_>),
) {
    let clock = || -> Instant { world.instant() };
    let ended: Result<(), RunError<_>> =
        runner.run(dial, Delay(Rc::clone(world)), clock, handle).await;
    ended.expect("there is no journal");
}

/// A client in its storage, its runner, the world and the broker.
macro_rules! device {
    ($options:expr => $world:ident, $broker:ident, $runner:ident, $client:ident) => {
        let $world = crate::executor::World::new(1);
        let $broker = crate::broker::Broker::new(&$world);
        let mut storage = mqtt_core::driver::asynch::Storage::<512, 4, 4>::new();
        let share = std::cell::RefCell::new(storage.state(&$options).expect("options"));
        let (mut read, mut write) = ([0; 64], [0; 48]);
        let (mut $runner, $client) =
            mqtt_core::driver::asynch::split(&share, &mut read, &mut write).expect("buffers");
    };
}
pub(crate) use device;

/// Publishes each payload in turn, and waits for room.
async fn publish_all(client: Client<'_, Shared<'_>>, payloads: &[String], qos: QoS) {
    for payload in payloads {
        let _ = client.publish(&message(payload, qos)).await.expect("a message");
    }
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number}")).collect()
}

/// The payload of a message.
fn payload(event: &Event<'_>) -> Option<String> {
    if let Event::Message(message) = event {
        return Some(String::from_utf8_lossy(message.payload).into_owned());
    }
    None
}
