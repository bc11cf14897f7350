//! The ends of publishes that the client tells.

use mqtt_core::{Handle, QoS};

use super::{App, Asked};
use crate::{
    checks::{self, Invariant},
    ledger::{Sent, Status},
    setup::DeviceSetup,
    stage::Stage,
    trace::What,
};

impl App {
    /// The broker has the message, by its own word.
    pub(super) fn was_published(&mut self, stage: &mut Stage<'_>, handle: Handle) {
        let device = self.device;
        let Some(Asked::Publish(number)) = self.end(stage, handle) else {
            stage.fail(Invariant::OneEvent, device, || format!("{handle:?} published"));
            return;
        };
        stage.note(device, What::Published { number });
        let message = stage.ledger.message_mut(number);
        message.status = Status::Published;
        if message.qos == QoS::AtMostOnce && message.sent != Sent::Whole && message.len != 0 {
            stage.fail(Invariant::OneEvent, device, || {
                format!("QoS 0 message #{number} published, not sent")
            });
        }
        checks::published_means_arrived(stage, self.broker, number);
    }

    /// Nobody can say whether the message arrived.
    pub(super) fn was_lost(&mut self, stage: &mut Stage<'_>, handle: Handle, setup: &DeviceSetup) {
        let device = self.device;
        let Some(Asked::Publish(number)) = self.end(stage, handle) else {
            stage.fail(Invariant::OneEvent, device, || format!("{handle:?} lost"));
            return;
        };
        stage.totals.lost += 1;
        stage.note(device, What::Lost { number });
        let stay = stage.ledger.stay(device);
        let message = stage.ledger.message_mut(number);
        message.status = Status::Lost;
        let (qos, sent) = (message.qos, message.sent);
        // The session in which it was sent goes on.
        let goes_on = qos == QoS::ExactlyOnce && message.sent_in == Some(stay);
        // The client has its bytes until the PUBREC comes.
        let received = message.received_in.is_some();
        // A broker cannot tell whose an empty payload is.
        let known = !received && message.len != 0;
        let has_bytes = qos == QoS::ExactlyOnce && setup.resends_lost && known;
        // A driver is shown messages behind a large one that it still writes, and one that copies behind any.
        let shown_behind = setup.copies.is_some() || setup.large.is_some();
        let unsent = sent == Sent::Nothing && message.len != 0 && !shown_behind;
        if qos == QoS::AtLeastOnce || unsent || goes_on || has_bytes {
            stage.fail(Invariant::OneEvent, device, || {
                format!(
                    "message #{number}, {qos:?}, sent: {sent:?}, is lost; its session goes on: \
                     {goes_on}, it could be sent again: {has_bytes}"
                )
            });
        }
    }
}
