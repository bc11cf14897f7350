//! The quirks of a world: everything in which it differs from a world with a good broker, fast links, quick
//! applications and drivers that write at once.
//!
//! Faults stop, quirks stay. Most worlds have none. Each is noted in the trace when it shows, so that a failing seed can
//! be read, and the report counts the seeds in which it showed. Which promises hold under which quirk is written in
//! [`checks`](crate::checks).

/// A quirk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Quirk {
    /// A link carries few bytes a second.
    SlowLink,
    /// Messages are large, up to 60,000 bytes.
    LargeMessages,
    /// An application takes long for a message, and its driver does nothing meanwhile.
    SlowHandler,
    /// An application takes long for a message, and another thread writes meanwhile.
    WritesMeanwhile,
    /// A driver copies the bytes that it is shown, and writes them later.
    WritesLate,
    /// A driver writes at once and reports later how many bytes were taken. An answer may come before that.
    ReportsLate,
    /// A driver sends between any two events.
    SendsBetween,
    /// The broker has more messages in flight than the device has slots.
    WideWindow,
    /// Messages are larger than a device accepts.
    Oversized,
    /// The payload of a message is read from a source while it is sent.
    FromSource,
    /// The broker closes at a PUBLISH to one topic.
    ClosesAtTopic,
    /// The broker closes at a topic with a blank.
    ClosesAtBlank,
    /// The broker closes at a PUBLISH that is larger than its limit.
    ClosesAtSize,
    /// The broker closes at a SUBSCRIBE with one filter.
    ClosesAtFilter,
    /// The broker closes at a SUBSCRIBE with more than 8 filters.
    ClosesAtManyFilters,
    /// The broker does not answer PUBREL.
    IgnoresPubRel,
    /// The broker does not answer the PUBREC to one of its messages.
    IgnoresPubRec,
    /// The broker ignores one PUBLISH.
    IgnoresPublish,
    /// The broker ignores a SUBSCRIBE or UNSUBSCRIBE of one filter.
    IgnoresSubscribe,
    /// The broker sends acknowledgements twice.
    AnswersTwice,
    /// The broker repeats acknowledgements after others.
    AnswersLate,
    /// The broker acknowledges ids that are not in flight.
    AnswersUnknown,
    /// The broker sends a PUBREC again, before or after the PUBREL.
    RepeatsPubRec,
    /// The broker sends an UNSUBACK for each filter.
    UnsubAckEach,
    /// The broker answers a PUBLISH of QoS 2 with PUBACK.
    PubAckAtQos2,
    /// The broker closes at a PUBREL.
    ClosesAtPubRel,
    /// The broker says that there is a session though a clean one was asked for.
    PresentThoughClean,
    /// The broker says that there is no session though it kept one.
    AbsentThoughKept,
    /// The broker refuses filters with 0x80 in 3.1.
    RefusesIn31,
    /// The broker sends topics that are not UTF-8, or have U+0000 or wildcards, or are empty.
    UnreadableTopics,
    /// The broker sends topics that are longer than the buffer of a device.
    LongTopics,
    /// The broker leaves out a PINGRESP if other bytes follow the PINGREQ.
    WithholdsPingResp,
    /// The broker does not answer a PUBREL for an id that it does not know.
    IgnoresUnknownPubRel,
    /// The broker closes at a PUBREL for an id that it does not know.
    ClosesAtUnknownPubRel,
    /// The broker keeps sessions over a restart, but not their subscriptions to one filter.
    ForgetsFilter,
}

impl Quirk {
    /// Every quirk.
    pub const ALL: [Self; 35] = [
        Self::SlowLink,
        Self::LargeMessages,
        Self::SlowHandler,
        Self::WritesMeanwhile,
        Self::WritesLate,
        Self::ReportsLate,
        Self::SendsBetween,
        Self::WideWindow,
        Self::Oversized,
        Self::FromSource,
        Self::ClosesAtTopic,
        Self::ClosesAtBlank,
        Self::ClosesAtSize,
        Self::ClosesAtFilter,
        Self::ClosesAtManyFilters,
        Self::IgnoresPubRel,
        Self::IgnoresPubRec,
        Self::IgnoresPublish,
        Self::IgnoresSubscribe,
        Self::AnswersTwice,
        Self::AnswersLate,
        Self::AnswersUnknown,
        Self::RepeatsPubRec,
        Self::UnsubAckEach,
        Self::PubAckAtQos2,
        Self::ClosesAtPubRel,
        Self::PresentThoughClean,
        Self::AbsentThoughKept,
        Self::RefusesIn31,
        Self::UnreadableTopics,
        Self::LongTopics,
        Self::WithholdsPingResp,
        Self::IgnoresUnknownPubRel,
        Self::ClosesAtUnknownPubRel,
        Self::ForgetsFilter,
    ];

    /// Quirks of brokers.
    pub(crate) const OF_BROKERS: &[Self] = Self::ALL
        .split_at(Self::IgnoresUnknownPubRel as usize)
        .0
        .split_at(Self::ClosesAtTopic as usize)
        .1;

    /// Quirks of brokers that show if sessions are lost or found.
    pub(crate) const OF_SESSIONS: &[Self] = &[
        Self::IgnoresPubRel,
        Self::ClosesAtPubRel,
        Self::IgnoresUnknownPubRel,
        Self::ClosesAtUnknownPubRel,
        Self::ForgetsFilter,
    ];

    /// The quirk in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::SlowLink => "slow link",
            Self::LargeMessages => "large messages",
            Self::SlowHandler => "slow handler",
            Self::WritesMeanwhile => "slow handler, a thread writes",
            Self::WritesLate => "driver copies and writes late",
            Self::ReportsLate => "driver reports late",
            Self::SendsBetween => "driver sends between events",
            Self::WideWindow => "wide window",
            Self::Oversized => "oversized message",
            Self::FromSource => "payload from a source",
            Self::ClosesAtTopic => "closes at a topic",
            Self::ClosesAtBlank => "closes at a blank",
            Self::ClosesAtSize => "closes at a size",
            Self::ClosesAtFilter => "closes at a filter",
            Self::ClosesAtManyFilters => "closes at 9 filters",
            Self::IgnoresPubRel => "ignores PUBREL",
            Self::IgnoresPubRec => "ignores a PUBREC",
            Self::IgnoresPublish => "ignores a PUBLISH",
            Self::IgnoresSubscribe => "ignores a SUBSCRIBE",
            Self::AnswersTwice => "answers twice",
            Self::AnswersLate => "answers again later",
            Self::AnswersUnknown => "answers unknown ids",
            Self::RepeatsPubRec => "repeats PUBREC",
            Self::UnsubAckEach => "UNSUBACK for each filter",
            Self::PubAckAtQos2 => "PUBACK to QoS 2",
            Self::ClosesAtPubRel => "closes at PUBREL",
            Self::PresentThoughClean => "session present though clean",
            Self::AbsentThoughKept => "session absent though kept",
            Self::RefusesIn31 => "SUBACK 0x80 in 3.1",
            Self::UnreadableTopics => "unreadable topic",
            Self::LongTopics => "long topic",
            Self::WithholdsPingResp => "withholds PINGRESP",
            Self::IgnoresUnknownPubRel => "ignores an unknown PUBREL",
            Self::ClosesAtUnknownPubRel => "closes at an unknown PUBREL",
            Self::ForgetsFilter => "forgets a filter at a restart",
        }
    }

    /// Whether the broker ends every connection, or one exchange, at QoS 2.
    pub(crate) const fn spoils_exactly_once(self) -> bool {
        matches!(
            self,
            Self::PubAckAtQos2
                | Self::ClosesAtPubRel
                | Self::IgnoresPubRel
                // A PUBREL is sent again if the PUBCOMP was lost.
                | Self::ClosesAtUnknownPubRel
                | Self::IgnoresUnknownPubRel
        )
    }
}
