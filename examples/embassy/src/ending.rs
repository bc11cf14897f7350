//! The orderly end, for a device that sleeps, and for programs that have published enough.

use mqtt_core::{Publish, QoS};

use crate::{
    device::Device,
    memory::Client,
    publishing::{DONE, TASKS},
};

/// Waits until the tasks that publish are done, and ends the connection when the broker has everything. The task that
/// serves the connection then goes on after [`Runner::run`](mqtt_core::driver::asynch::Runner::run).
///
/// The broker does not publish the will. On a device, put a time-out around `finish`, and call `disconnect` after it.
pub async fn when_done(client: Client, device: Device) {
    for _ in 0..TASKS {
        DONE.receive().await;
    }
    let off = Publish::new(device.state, b"off").qos(QoS::AtLeastOnce).retain(true);
    if let Err(error) = client.publish(&off).await {
        log::warn!("off: {error}");
    }
    client.finish().await;
}
