//! Messages that the client does not hand over, and connections that it ends: whether it was right, and what the
//! application does about it.

use mqtt_core::{BoxedClient, Fatal, PacketId, QoS, SkipCause, Skipped};

use super::{App, Asked};
use crate::{
    checks::Invariant,
    ledger::{NO_MESSAGE, Sent},
    setup::DeviceSetup,
    stage::Stage,
    topics,
    trace::What,
};

impl App {
    /// A message was not handed over. It is not due any more.
    pub(super) fn was_skipped(
        &mut self,
        stage: &mut Stage<'_>,
        skipped: &Skipped<'_>,
        setup: &DeviceSetup,
    ) {
        let Skipped { topic, len, qos, id, cause, .. } = *skipped;
        let device = self.device;
        let id = id.map_or(0, PacketId::get);
        stage.note(device, What::Skipped { id, qos });
        let known = topics::TOPICS.iter().position(|known| known.as_bytes() == topic);
        let too_long = setup.max_packet.is_some_and(|most| len > most as usize);
        let right = match cause {
            SkipCause::TooLarge => too_long || known.is_none() && len > setup.receive_capacity,
            SkipCause::Unreadable(_) => known.is_none(),
            // It would not come again: the session is clean, or the broker says each time that it has lost it.
            SkipCause::NoSlot => {
                let comes_again = !setup.clean && !self.sessions.are_lost_each_time(self.broker);
                !comes_again && qos == QoS::ExactlyOnce && known.is_some()
            }
            _ => false,
        };
        if !right {
            stage.fail(Invariant::Content, device, || {
                format!("{topic:?}, {len} bytes, {qos:?}, is skipped: {cause:?}")
            });
        }
        self.unreadable |= matches!(cause, SkipCause::Unreadable(_)) && !setup.skips_unreadable;
        let sent = stage.ledger.sent_under(self.pair(), id).filter(|_| id != 0);
        let Some((number, sent_qos)) = sent else { return };
        if number != NO_MESSAGE {
            let message = stage.ledger.message(number);
            let due = (Some(message.topic), sent_qos, stage.ledger.packet_len(number, sent_qos));
            if due != (known, qos, len) {
                stage.fail(Invariant::Content, device, || {
                    format!("message #{number} {due:?} is skipped as {:?}", (known, qos, len))
                });
            }
            stage.ledger.receipt_mut(self.pair(), number).counts[qos as usize].void += 1;
        }
    }

    /// The connection, or the attempt to connect, has failed. `unreadable`: the client said why before.
    pub(super) fn connection_failed(
        &self,
        stage: &mut Stage<'_>,
        client: &mut BoxedClient,
        fatal: Fatal,
        unreadable: bool,
    ) {
        let device = self.device;
        match fatal {
            Fatal::Violation(_) if unreadable => {}
            Fatal::Violation(_) | Fatal::PacketTooLarge { .. } => {
                stage.fail(Invariant::Protocol, device, || {
                    format!("the client blames the broker: {fatal}")
                });
            }
            Fatal::Unanswered(handle) => {
                let asked = self.asked.iter().find(|(known, _)| *known == handle);
                // A request that was taken back meanwhile is not there any more.
                if let Some((_, Asked::Publish(number))) = asked {
                    let message = stage.ledger.message(*number);
                    if message.sent == Sent::Nothing && message.len != 0 {
                        stage.fail(Invariant::OneEvent, device, || {
                            format!("message #{number} is unanswered, and was not sent")
                        });
                    }
                }
            }
            Fatal::NotReleased { id } => self.forgets_message(stage, client, id),
            Fatal::Refused(_)
            | Fatal::ConnectTimeout
            | Fatal::PingTimeout
            | Fatal::RenewalUnanswered
            | Fatal::Unread
            | Fatal::Stalled
            | _ => {}
        }
    }

    /// The PUBREL of a message does not come. The broker may send the message again, as a new one.
    fn forgets_message(&self, stage: &mut Stage<'_>, client: &mut BoxedClient, id: PacketId) {
        stage.note(self.device, What::ForgetsMessage { id: id.get() });
        // If there is no room for it now, the event comes again.
        if client.forget_message(id).is_ok() {
            if let Some((number, QoS::ExactlyOnce)) = stage.ledger.sent_under(self.pair(), id.get())
            {
                if number != NO_MESSAGE {
                    stage.ledger.receipt_mut(self.pair(), number).counts[2].may_double += 1;
                }
            }
        }
    }
}
