//! The names of a device, and the options of its client.

use mqtt_core::{Filter, Options, QoS, Reconnect, Topic, Will};

/// What differs from one device to the next. A device that has one name all its life makes this a constant:
/// `topic!("boiler-7/temperature")`.
#[derive(Clone, Copy, Debug)]
pub struct Device {
    /// The client id. The broker keeps the session by it, so no two devices may share it.
    pub id: &'static str,
    /// Where the temperature goes.
    pub temperature: Topic<'static>,
    /// Where the counter goes.
    pub counter: Topic<'static>,
    /// Where commands come from.
    pub command: Filter<'static>,
    /// Where answers to commands go.
    pub answer: Topic<'static>,
    /// "on", "off" or "gone": retained, so whoever subscribes later knows it as well.
    pub state: Topic<'static>,
}

impl Device {
    /// The options of its client.
    pub fn options(&self) -> Options<'static> {
        Options::new(self.id)
            // The broker keeps the session while the device is away: nothing that it confirmed, and no command, is lost.
            .clean_session(false)
            // The broker publishes this for a device that leaves without a word.
            .will(Will::new(self.state, b"gone").qos(QoS::AtLeastOnce).retain(true))
            .keep_alive(30)
            // A fleet that lost its broker must not come back in step, so each device has a seed of its own.
            .reconnect(Reconnect::after(250).at_most(30_000).seed(hash(self.id)))
    }
}

/// FNV-1a. A device with a hardware id or a random number takes that.
fn hash(id: &str) -> u32 {
    id.bytes().fold(0x811C_9DC5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
