//! Bugs on purpose, to show that the simulator and the model checker find them. Only with
//! `--cfg mqtt_core_mutations`; everywhere else every question is answered 'no' by the compiler.

/// A bug that can be switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mutation {
    /// The PUBLISH of a QoS 2 exchange stays after its PUBREC, and is sent again after the PUBREL.
    PublishAfterRelease = 1,
    /// Ids of incoming QoS 2 messages are forgotten with the connection.
    ForgetOnReconnect,
    /// A new request gets the id of one that is in flight.
    EarlyIdReuse,
    /// A PUBREL goes out ahead of the one before it.
    PubrelOrderSwapped,
    /// Packets are sent before the record that they rest on is durable.
    RecordAfterTransmit,
}

impl Mutation {
    /// Every bug.
    pub const ALL: [Self; 5] = [
        Self::PublishAfterRelease,
        Self::ForgetOnReconnect,
        Self::EarlyIdReuse,
        Self::PubrelOrderSwapped,
        Self::RecordAfterTransmit,
    ];
}

#[cfg(mqtt_core_mutations)]
static ON: core::sync::atomic::AtomicU8 = core::sync::atomic::AtomicU8::new(0);

/// Switches one bug on, for every client of the program, and the others off.
#[cfg(mqtt_core_mutations)]
pub fn set(mutation: Option<Mutation>) {
    let number = mutation.map_or(0, |mutation| mutation as u8);
    ON.store(number, core::sync::atomic::Ordering::Relaxed);
}

/// Whether `mutation` is switched on.
#[cfg(mqtt_core_mutations)]
pub(crate) fn is_on(mutation: Mutation) -> bool {
    ON.load(core::sync::atomic::Ordering::Relaxed) == mutation as u8
}

/// Whether `mutation` is switched on: never.
#[cfg(not(mqtt_core_mutations))]
pub(crate) const fn is_on(_: Mutation) -> bool {
    false
}
