//! Names that the application stores: [`Handle`] for a request, [`Delivery`] for a message.

use crate::codec::PacketId;

/// Names one accepted request until its event: packet id and generation.
///
/// A handle whose request has ended never equals a later one, though packet ids are reused (the generation counts
/// 2^32 requests). QoS 0 publishes have handles as well, without a packet id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use = "a handle tells this request's outcome from others; if that does not matter, write `let _ =`"]
pub struct Handle {
    generation: u32,
    id: u16,
}

const _: () = assert!(size_of::<Handle>() == 8);

impl Handle {
    /// A number that no other request of this client has: for tables of requests.
    #[must_use]
    pub const fn number(self) -> u64 {
        (self.generation as u64) << 16 | self.id as u64
    }

    pub(crate) const fn new(id: u16, generation: u32) -> Self {
        Self { generation, id }
    }

    /// What tells it from other requests of its packet id; of QoS 0, its number.
    pub(crate) const fn generation(self) -> u32 {
        self.generation
    }

    /// The packet id on the wire; `None` for a publish of QoS 0.
    #[must_use]
    pub const fn packet_id(self) -> Option<PacketId> {
        PacketId::new(self.id)
    }
}

/// Names one received message that the application acknowledges itself, see `Options::manual_acknowledge`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "an unacknowledged message delays the acknowledgements of all later ones"]
pub struct Delivery {
    sequence: u32,
    id: u16,
}

impl Delivery {
    /// The packet id on the wire.
    #[must_use]
    pub const fn packet_id(self) -> Option<PacketId> {
        PacketId::new(self.id)
    }

    pub(crate) const fn new(id: u16, sequence: u32) -> Self {
        Self { sequence, id }
    }

    pub(crate) const fn sequence(self) -> u32 {
        self.sequence
    }

    pub(crate) const fn id(self) -> u16 {
        self.id
    }
}
