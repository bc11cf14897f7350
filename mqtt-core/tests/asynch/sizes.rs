//! The memory that the driver takes.

use std::cell::RefCell;
use std::rc::Rc;

use mqtt_core::QoS;
use mqtt_core::driver::asynch::{State, Storage, Waiter, split};

use crate::broker::{Broker, DialSplit};
use crate::executor::{Delay, World};
use crate::{kept, message};

/// On a 64-bit host; a Cortex-M takes less than half, see `cargo xtask footprint`.
#[test]
#[cfg(target_pointer_width = "64")]
fn the_futures_are_small() {
    let world = World::new(1);
    let broker = Broker::new(&world);
    let mut storage = Storage::<512, 4, 4>::new();
    let share = RefCell::new(storage.state(&kept("d")).unwrap());
    let (mut read, mut write) = ([0; 64], [0; 48]);
    let (mut runner, client) = split(&share, &mut read, &mut write).unwrap();
    let clock = || world.instant();
    let message = message("m", QoS::AtLeastOnce);
    let publish = size_of_val(&client.publish(&message));
    let wait = size_of_val(&client.publish_wait(&message));
    let run = runner.run(DialSplit(broker), Delay(Rc::clone(&world)), clock, async |_, _| ());
    let run = size_of_val(&run);
    let (waiter, state) = (size_of::<Waiter>(), size_of::<State<'_>>());
    println!("run {run}, publish {publish}, publish_wait {wait}, State {state}, Waiter {waiter}");
    assert!(run <= 2_500, "run: {run} bytes, with the futures of this test's transport");
    assert!(publish <= 200, "publish: {publish} bytes");
    assert!(wait <= 300, "publish_wait: {wait} bytes");
    assert!(waiter <= 40, "a waiter: {waiter} bytes");
    assert!(state <= 1_100, "the state: {state} bytes");
}
