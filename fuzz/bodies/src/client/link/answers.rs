//! The broker's answers to the packets of the client.

use mqtt_core::{Fatal, Protocol, Violation, codec::Packet};

use super::{Link, Session, Verdict};

impl Link {
    /// The client took an answer.
    pub(super) fn answer(
        &mut self,
        packet: &Packet<'_>,
        now: u64,
        protocol: Protocol,
        session: &mut Session,
    ) -> Verdict {
        if let Packet::PubComp(id) = packet {
            if self.reclaim.take_answer(*id, now, &session.sender) {
                return Verdict::Late;
            }
        }
        session.sender.answer(packet, protocol)
    }

    /// The client fails. Only a strict one does so because of an answer that no request awaits.
    pub(in super::super) fn fails(&mut self, fatal: Fatal, protocol: Protocol) {
        // If input was left unread, the answers may lie in it.
        self.failed = fatal != Fatal::Unread;
        let Fatal::Violation(violation) = fatal else { return };
        // SUBACK and UNSUBACK are judged alike in both versions.
        let unknown = violation == Violation::UnknownPacketId;
        let strict = matches!(
            violation,
            Violation::WrongAck | Violation::UnknownSubscribeId | Violation::SessionPresentClean
        );
        assert!(self.strict || !(strict || unknown), "{violation}");
        assert!(!(unknown && protocol == Protocol::V31), "{violation} in 3.1");
    }
}
