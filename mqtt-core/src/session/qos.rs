//! The delivery protocols of section 4.3 as pure functions: (state, packet) gives (state, action).
//!
//! Nothing here knows of storage, ids or time. The tables are small enough to be tested exhaustively, and the rest of
//! the session only carries them out.

use crate::codec::QoS;

/// The answer that a request in flight waits for. Each variant names the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Awaits {
    /// A PUBLISH of QoS 1.
    PubAck,
    /// A PUBLISH of QoS 2 that the broker has not taken yet.
    PubRec,
    /// A PUBREL: the broker owns the message.
    PubComp,
    /// A SUBSCRIBE.
    SubAck,
    /// An UNSUBSCRIBE.
    UnsubAck,
    /// The request was cancelled while its packet was being sent.
    Nothing,
}

/// An answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    PubAck,
    PubRec,
    PubComp,
    SubAck,
    UnsubAck,
}

/// The effect of an answer on the request that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The request is done; its id is free [MQTT-2.3.1-3].
    Done,
    /// Discard the message, send PUBREL and await PUBCOMP [MQTT-4.3.3-1].
    Release,
    /// PUBACK for a publish of QoS 2: the broker has no QoS 2, and has taken the message at least once.
    Downgrade,
    /// PUBREC again: the PUBREL has to go out again [MQTT-4.3.3-1].
    ReleaseAgain,
    /// This answer does not belong to this request.
    Wrong,
}

impl Awaits {
    /// The state of a new PUBLISH; `None` for QoS 0, which awaits nothing.
    pub(crate) const fn of_publish(qos: QoS) -> Option<Self> {
        match qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce => Some(Self::PubAck),
            QoS::ExactlyOnce => Some(Self::PubRec),
        }
    }

    /// The sender's side of sections 4.3.2 and 4.3.3, and of SUBSCRIBE and UNSUBSCRIBE.
    pub(super) const fn answered(self, answer: Answer) -> Progress {
        match (self, answer) {
            // [MQTT-4.3.3-1]: after PUBREC the PUBLISH is never sent again.
            (Self::PubRec, Answer::PubRec) => Progress::Release,
            // [MQTT-4.3.2-1], [MQTT-4.3.3-1], [MQTT-3.8.4-1], [MQTT-3.10.4-4]
            (Self::PubAck, Answer::PubAck)
            | (Self::PubComp, Answer::PubComp)
            | (Self::SubAck, Answer::SubAck)
            | (Self::UnsubAck, Answer::UnsubAck) => Progress::Done,
            (Self::PubRec, Answer::PubAck) => Progress::Downgrade,
            (Self::PubComp, Answer::PubRec) => Progress::ReleaseAgain,
            _ => Progress::Wrong,
        }
    }
}

/// What becomes of a publish of QoS 2 that was sent, if the session ends before it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum InDoubt {
    /// It ends as lost: sent again, it might arrive twice.
    Lost,
    /// It is sent again.
    SentAgain,
}

/// The treatment of a PUBLISH that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Arrival {
    /// Hand it to the application.
    pub(crate) deliver: bool,
    /// Keep its id until the PUBREL.
    pub(super) remember: bool,
}

impl Arrival {
    /// The message is new, and its id need not be kept.
    pub(crate) const NEW: Self = Self { deliver: true, remember: false };
}

/// The receiver's side of sections 4.3.1 to 4.3.3; `seen`: its id came in before, and the
/// PUBREL for it did not.
pub(super) const fn arrived(qos: QoS, seen: bool) -> Arrival {
    match qos {
        // [MQTT-4.3.2-2]: after the PUBACK the id is a new publication, whatever DUP says.
        QoS::AtMostOnce | QoS::AtLeastOnce => Arrival::NEW,
        // [MQTT-4.3.3-2]: PUBREC every time, deliver once.
        QoS::ExactlyOnce => Arrival { deliver: !seen, remember: !seen },
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Arrival, Awaits, Progress, arrived};
    use crate::codec::QoS;

    const STATES: [Awaits; 6] = [
        Awaits::PubAck,
        Awaits::PubRec,
        Awaits::PubComp,
        Awaits::SubAck,
        Awaits::UnsubAck,
        Awaits::Nothing,
    ];
    const ANSWERS: [Answer; 5] =
        [Answer::PubAck, Answer::PubRec, Answer::PubComp, Answer::SubAck, Answer::UnsubAck];

    #[test]
    fn each_request_takes_its_own_answer_and_no_other() {
        for (i, state) in STATES.into_iter().enumerate() {
            for (j, answer) in ANSWERS.into_iter().enumerate() {
                let expected = match (i == j, state, answer) {
                    (false, Awaits::PubRec, Answer::PubAck) => Progress::Downgrade,
                    (false, Awaits::PubComp, Answer::PubRec) => Progress::ReleaseAgain,
                    (false, ..) => Progress::Wrong,
                    (true, Awaits::PubRec, _) => Progress::Release,
                    (true, ..) => Progress::Done,
                };
                assert_eq!(state.answered(answer), expected, "{state:?} {answer:?}");
            }
        }
    }

    /// [MQTT-4.3.1-1], [MQTT-4.3.2-1], [MQTT-4.3.3-1]
    #[test]
    fn a_publish_awaits_the_answer_of_its_qos() {
        assert_eq!(Awaits::of_publish(QoS::AtMostOnce), None);
        assert_eq!(Awaits::of_publish(QoS::AtLeastOnce), Some(Awaits::PubAck));
        assert_eq!(Awaits::of_publish(QoS::ExactlyOnce), Some(Awaits::PubRec));
    }

    /// [MQTT-4.3.2-2], [MQTT-4.3.3-2]
    #[test]
    fn only_a_qos_2_publish_that_was_seen_is_not_delivered() {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            for seen in [false, true] {
                let exactly = qos == QoS::ExactlyOnce;
                let expected = Arrival { deliver: !(exactly && seen), remember: exactly && !seen };
                assert_eq!(arrived(qos, seen), expected);
            }
        }
    }
}
