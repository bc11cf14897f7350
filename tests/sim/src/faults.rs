//! The kinds of faults.

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Fault {
    /// Bytes that were written together arrive apart.
    Split,
    /// Bytes that were written apart arrive together.
    Merge,
    /// The transport takes fewer bytes than it was given.
    ShortWrite,
    /// A device pauses between two actions.
    Pause,
    /// One or both directions deliver nothing for a while, and then everything.
    Stall,
    /// A link is cut at some byte of each direction, and both sides learn it.
    Cut,
    /// A link or one direction of it is cut, and at least one side does not learn it.
    HalfOpen,
    /// A link does not open.
    Unreachable,
    /// The broker refuses a connection.
    Refusal,
    /// The broker accepts a client several times in a row and closes soon after.
    KickOut,
    /// A half-open link whose transport takes all bytes for ever.
    Bottomless,
    /// A driver writes bytes and never reports it: a future was dropped.
    DroppedWrite,
    /// The broker closes the oldest connection of a client for a newer one.
    TakeOver,
    /// The broker has not heard a client for one and a half times its keep alive.
    Silence,
    /// The broker restarts and still has its sessions.
    BrokerRestart,
    /// The broker restarts and has lost its sessions.
    BrokerReset,
    /// A node of a cluster, or one of several brokers, cannot be reached for a while.
    EndpointAway,
    /// Power is lost between two actions; the device has a journal.
    PowerLoss,
    /// Power is lost before the record was appended.
    PowerLossBeforeRecord,
    /// Power is lost in the middle of the record.
    PowerLossTornRecord,
    /// Power is lost after the record was appended and before it was confirmed.
    PowerLossUnconfirmed,
    /// Power is lost, and the device has no journal.
    PowerLossWithoutJournal,
    /// The driver wakes later than the client asked for.
    LateWake,
    /// A source has no bytes for a while.
    SourcePauses,
    /// A source fails.
    SourceFails,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 25] = [
        Self::Split,
        Self::Merge,
        Self::ShortWrite,
        Self::Pause,
        Self::Stall,
        Self::Cut,
        Self::HalfOpen,
        Self::Unreachable,
        Self::Refusal,
        Self::KickOut,
        Self::Bottomless,
        Self::DroppedWrite,
        Self::TakeOver,
        Self::Silence,
        Self::BrokerRestart,
        Self::BrokerReset,
        Self::EndpointAway,
        Self::PowerLoss,
        Self::PowerLossBeforeRecord,
        Self::PowerLossTornRecord,
        Self::PowerLossUnconfirmed,
        Self::PowerLossWithoutJournal,
        Self::LateWake,
        Self::SourcePauses,
        Self::SourceFails,
    ];

    /// The kind in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Merge => "merge",
            Self::ShortWrite => "short write",
            Self::Pause => "pause",
            Self::Stall => "stall",
            Self::Cut => "cut",
            Self::HalfOpen => "half-open",
            Self::Unreachable => "unreachable",
            Self::Refusal => "refusal",
            Self::KickOut => "kicked out",
            Self::Bottomless => "half-open, takes all bytes",
            Self::DroppedWrite => "write that is never reported",
            Self::TakeOver => "take-over",
            Self::Silence => "silence",
            Self::BrokerRestart => "broker restart",
            Self::BrokerReset => "broker restart without sessions",
            Self::EndpointAway => "endpoint away",
            Self::PowerLoss => "power loss between actions",
            Self::PowerLossBeforeRecord => "power loss before a record",
            Self::PowerLossTornRecord => "power loss in a record",
            Self::PowerLossUnconfirmed => "power loss behind a record",
            Self::PowerLossWithoutJournal => "power loss without journal",
            Self::LateWake => "late wake-up",
            Self::SourcePauses => "source without bytes",
            Self::SourceFails => "source that fails",
        }
    }

    /// Whether it only changes the grouping or the timing of bytes on a link that works. Such faults are too frequent
    /// to be counted with the others.
    #[must_use]
    pub const fn is_texture(self) -> bool {
        matches!(self, Self::Split | Self::Merge | Self::ShortWrite | Self::Pause | Self::LateWake)
    }
}
