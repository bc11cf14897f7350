//! The events of a run as small notes. They are always hashed, and kept only for a chart.
//!
//! Two runs are compared by the hash. The words are in [`chart`](crate::chart).

use std::hash::{Hash, Hasher};

use mqtt_core::{
    QoS, Reason, SessionStatus,
    codec::{Packet, PacketType},
};

use crate::{faults::Fault, ledger, quirks::Quirk};

/// One note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Note {
    /// In milliseconds.
    pub(crate) at: u64,
    /// The device concerned.
    pub(crate) device: u8,
    pub(crate) what: What,
}

/// The content of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum What {
    /// The device handed a whole packet to its transport.
    DeviceSent(Summary),
    /// The broker received it.
    BrokerGot(Summary),
    /// The broker handed a packet to its transport.
    BrokerSent(Summary),
    /// The application was handed a message.
    HandedOver {
        number: Option<u32>,
        qos: QoS,
    },
    /// The application's receipt of a message is durable.
    Kept {
        number: Option<u32>,
        qos: QoS,
    },
    /// The application's publish was accepted.
    Accepted {
        number: u32,
        id: u16,
    },
    /// A request ended.
    Published {
        number: u32,
    },
    /// It was lost with its session.
    Lost {
        number: u32,
    },
    /// It gave way in the queue.
    Dropped {
        number: u32,
    },
    /// The application takes a request back.
    Cancels {
        id: u16,
    },
    /// It was taken back.
    Cancelled {
        id: u16,
        sent: bool,
    },
    /// The client says that it stands in the way.
    Stuck {
        id: u16,
    },
    /// The client says that the renewal of these subscriptions does.
    NotReclaimed,
    RenewalStuck {
        first: u32,
        count: u32,
    },
    /// A message was not handed over.
    Skipped {
        id: u16,
        qos: QoS,
    },
    /// The application forgets a message whose PUBREL does not come.
    ForgetsMessage {
        id: u16,
    },
    /// The client gave it up.
    GivenUp {
        id: u16,
    },
    /// The broker has it at least once.
    Downgraded {
        number: u32,
    },
    Connecting {
        endpoint: u8,
    },
    Up {
        endpoint: u8,
        session: SessionStatus,
    },
    Down {
        endpoint: u8,
        reason: Reason,
    },
    PowerOn,
    /// A record of this many bytes went into the journal.
    Recorded {
        len: u32,
        snapshot: bool,
    },
    /// This many records came out of the journal.
    Restored {
        records: u32,
        position: u64,
    },
    Fault(Fault),
    Quirk(Quirk),
    BrokerUp,
    /// From now on only this broker can be reached.
    Only {
        broker: u8,
    },
    /// Faults have stopped.
    Heal,
}

/// A packet in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Summary {
    /// The broker that it is for, or comes from.
    pub(crate) broker: u8,
    pub(crate) kind: PacketType,
    pub(crate) id: u16,
    pub(crate) dup: bool,
    pub(crate) qos: QoS,
    /// The message that a PUBLISH carries.
    pub(crate) number: Option<u32>,
}

impl Summary {
    /// The packet, between `broker` and a device.
    pub(crate) fn at(broker: usize, packet: &Packet<'_>) -> Self {
        Self { broker: broker as u8, ..Self::of(packet) }
    }

    pub(crate) fn of(packet: &Packet<'_>) -> Self {
        let kind = packet.packet_type();
        let plain =
            |id: u16| Self { broker: 0, kind, id, dup: false, qos: QoS::AtMostOnce, number: None };
        match packet {
            Packet::Publish(publish) => Self {
                dup: publish.dup,
                qos: publish.qos,
                number: ledger::number(publish.payload),
                ..plain(publish.id.map_or(0, |id| id.get()))
            },
            Packet::PubRel { id, dup } => Self { dup: *dup, ..plain(id.get()) },
            Packet::PubAck(id)
            | Packet::PubRec(id)
            | Packet::PubComp(id)
            | Packet::UnsubAck(id) => plain(id.get()),
            Packet::Subscribe(subscribe) => {
                Self { dup: subscribe.dup, ..plain(subscribe.id.get()) }
            }
            Packet::Unsubscribe(un) => Self { dup: un.dup, ..plain(un.id.get()) },
            Packet::SubAck(suback) => plain(suback.id.get()),
            Packet::Connect(_)
            | Packet::ConnAck(_)
            | Packet::PingReq
            | Packet::PingResp
            | Packet::Disconnect => plain(0),
        }
    }
}

/// The notes of one run.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    hash: Mixer,
    /// Time and device of the last note.
    pub(crate) last: (u64, usize),
    /// `None`: notes are not kept.
    pub(crate) notes: Option<Vec<Note>>,
}

impl Trace {
    /// One that keeps its notes.
    pub(crate) fn keeping() -> Self {
        Self { notes: Some(Vec::new()), ..Self::default() }
    }

    pub(crate) fn note(&mut self, at: u64, device: usize, what: What) {
        let note = Note { at, device: device as u8, what };
        note.hash(&mut self.hash);
        self.last = (at, device);
        if let Some(notes) = &mut self.notes {
            notes.push(note);
        }
    }

    /// The same for the same notes.
    pub(crate) fn hash(&self) -> u64 {
        self.hash.finish()
    }
}

/// The fast hash of Firefox: one rotation and one multiplication for each word.
#[derive(Clone, Copy, Debug, Default)]
struct Mixer(u64);

impl Mixer {
    const fn word(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517C_C1B7_2722_0A95);
    }
}

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.word(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, n: u8) {
        self.word(u64::from(n));
    }

    fn write_u16(&mut self, n: u16) {
        self.word(u64::from(n));
    }

    fn write_u32(&mut self, n: u32) {
        self.word(u64::from(n));
    }

    fn write_u64(&mut self, n: u64) {
        self.word(n);
    }

    fn write_usize(&mut self, n: usize) {
        self.word(n as u64);
    }

    fn write_isize(&mut self, n: isize) {
        self.word(n as u64);
    }
}
