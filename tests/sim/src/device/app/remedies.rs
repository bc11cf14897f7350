//! Requests that end without their answer, and the remedies of an application against what stands in the way.
//!
//! The rule, which is the one of the documentation: if an event says that a request is stuck, cancel it; that a renewal
//! is stuck, forget these subscriptions; that a message is not released, forget the message. Some applications cancel
//! requests at random as well.

use mqtt_core::{BoxedClient, Handle, QoS, RequestError};

use super::{App, Asked};
use crate::{
    checks::Invariant,
    ledger::{Sent, Status},
    setup::DeviceSetup,
    stage::Stage,
    topics,
    trace::What,
};

impl App {
    /// Cancels any request that has not ended.
    pub(crate) fn cancels_something(&self, stage: &mut Stage<'_>, client: &mut BoxedClient) {
        if self.asked.is_empty() {
            return;
        }
        let at = stage.rng.usize(..self.asked.len());
        self.cancel(stage, client, self.asked[at].0, false);
    }

    /// `stuck`: the client said that this request is in the way, so it has to take it back.
    fn cancel(&self, stage: &mut Stage<'_>, client: &mut BoxedClient, handle: Handle, stuck: bool) {
        let cancelled = client.cancel(handle);
        let fine = match cancelled {
            Ok(()) => {
                stage.totals.cancelled += 1;
                stage.note(self.device, What::Cancels { id: id_of(handle) });
                stage.ledger.cancels_id(self.device, id_of(handle));
                true
            }
            Err(RequestError::AtMostOnce) => handle.packet_id().is_none(),
            // Its event is on the way.
            Err(RequestError::NotInFlight) => true,
            Err(RequestError::Released) => !stuck,
            // The event comes again.
            Err(RequestError::OutboxFull { .. }) => true,
            Err(_) => false,
        };
        if !fine {
            stage.fail(Invariant::OneEvent, self.device, || {
                format!("{handle:?}, stuck: {stuck}, is not cancelled: {cancelled:?}")
            });
        }
    }

    /// The client says that this request is in the way.
    pub(super) fn is_stuck(
        &self,
        stage: &mut Stage<'_>,
        client: &mut BoxedClient,
        handle: Handle,
        connections: u16,
        setup: &DeviceSetup,
    ) {
        stage.note(self.device, What::Stuck { id: id_of(handle) });
        let asked = self.asked.iter().find(|(known, _)| *known == handle);
        let shown = match asked {
            Some((_, Asked::Publish(number))) => {
                let message = stage.ledger.message(*number);
                message.sent != Sent::Nothing || message.len == 0
            }
            Some((_, Asked::Subscribe(_) | Asked::Unsubscribe(_))) => true,
            None => false,
        };
        let often = u16::from(setup.patience.stuck_after);
        if !shown || connections < often || connections % often != 0 {
            stage.fail(Invariant::OneEvent, self.device, || {
                format!("{asked:?}, {handle:?}, shown: {shown}, is stuck after {connections}")
            });
        }
        if setup.patience.give_up_stuck {
            stage.ledger.cancels_id(self.device, id_of(handle));
        }
        self.cancel(stage, client, handle, true);
    }

    /// The client says that the renewal of some subscriptions is in the way.
    pub(super) fn renewal_is_stuck(
        &mut self,
        stage: &mut Stage<'_>,
        client: &mut BoxedClient,
        (first, count): (usize, usize),
        connections: u16,
        setup: &DeviceSetup,
    ) {
        stage.note(self.device, What::RenewalStuck { first: first as u32, count: count as u32 });
        let often = u16::from(setup.patience.stuck_after);
        let known = self.subscriptions.len();
        if first + count > known || count == 0 || connections < often {
            stage.fail(Invariant::Subscriptions, self.device, || {
                format!("{count} of {known} subscriptions, from {first} on, are stuck")
            });
        }
        if setup.patience.give_up_stuck {
            // The client has forgotten them already.
            self.forgot_subscriptions(client);
            if self.subscriptions.len() + count != known {
                let left = self.subscriptions.len();
                stage.fail(Invariant::Subscriptions, self.device, || {
                    format!("{count} of {known} subscriptions are given up, {left} are left")
                });
            }
            return;
        }
        let stuck = client.subscriptions().skip(first).take(count);
        self.to_forget.extend(stuck.filter_map(|kept| topics::filter_index(kept.filter)));
        self.forget_stuck(stage, client);
    }

    /// Forgets the subscriptions whose renewal is stuck, once the client allows it.
    pub(crate) fn forget_stuck(&mut self, stage: &mut Stage<'_>, client: &mut BoxedClient) {
        while let Some(filter) = self.to_forget.pop() {
            let Some(at) = position(client, filter) else { continue };
            match client.forget_subscriptions(at, 1) {
                Ok(()) => self.forgot_subscriptions(client),
                Err(RequestError::Renewing) => {
                    self.to_forget.push(filter);
                    break;
                }
                Err(error) => stage.fail(Invariant::Subscriptions, self.device, || {
                    format!("forgetting subscription {at}: {error}")
                }),
            }
        }
    }

    /// The client keeps fewer subscriptions.
    fn forgot_subscriptions(&mut self, client: &BoxedClient) {
        self.subscriptions.retain(|(filter, _)| position(client, *filter).is_some());
    }

    /// The request was taken back. `sent`: the client says that it may have arrived.
    pub(super) fn was_cancelled(&mut self, stage: &mut Stage<'_>, handle: Handle, sent: bool) {
        stage.note(self.device, What::Cancelled { id: id_of(handle), sent });
        let Some(asked) = self.end_early(stage, handle, sent) else { return };
        let Asked::Publish(number) = asked else { return };
        let message = stage.ledger.message_mut(number);
        message.status = Status::Cancelled { sent };
        let (was, unknown) = (message.sent, message.len == 0);
        // A message without a number is not recognised when it is sent.
        let wrong = if sent { was == Sent::Nothing } else { was == Sent::Whole };
        if wrong && !unknown {
            stage.fail(Invariant::OneEvent, self.device, || {
                format!("message #{number}, sent: {was:?}, is cancelled with sent: {sent}")
            });
        }
    }

    /// The client gave the request up, because it was in the way of all others.
    pub(super) fn was_given_up(
        &mut self,
        stage: &mut Stage<'_>,
        handle: Handle,
        setup: &DeviceSetup,
    ) {
        stage.note(self.device, What::GivenUp { id: id_of(handle) });
        if !setup.patience.give_up_stuck {
            stage.fail(Invariant::OneEvent, self.device, || {
                format!("{handle:?} is given up, and the settings do not allow it")
            });
        }
        if let Some(Asked::Publish(number)) = self.end_early(stage, handle, true) {
            stage.ledger.message_mut(number).status = Status::GivenUp;
        }
    }

    /// The source of a message failed, so it is as if it were taken back.
    pub(super) fn source_has_failed(
        &mut self,
        stage: &mut Stage<'_>,
        handle: Handle,
        setup: &DeviceSetup,
    ) {
        let asked = self.asked.iter().find(|(known, _)| *known == handle);
        let Some((_, Asked::Publish(number))) = asked.filter(|_| setup.sources) else {
            stage.fail(Invariant::OneEvent, self.device, || format!("{handle:?}: a source failed"));
            return;
        };
        let number = *number;
        // If only a part of it was sent, the broker has nothing of it.
        let was = stage.ledger.message(number).sent;
        let sent = was == Sent::Whole;
        stage.note(self.device, What::Cancelled { id: id_of(handle), sent });
        let Some((_, answered)) = self.end_and_tell(stage, handle) else { return };
        if handle.packet_id().is_some() && was != Sent::Nothing {
            // The id of one that was never sent whole takes a place all the same, and nobody awaits its answer.
            stage.ledger.lingers(self.device, id_of(handle), answered || !sent);
        }
        stage.ledger.message_mut(number).status = Status::Cancelled { sent };
    }

    /// The broker has no QoS 2, and has the message at least once.
    pub(super) fn was_downgraded(&mut self, stage: &mut Stage<'_>, handle: Handle) {
        let Some(Asked::Publish(number)) = self.end(stage, handle) else {
            stage.fail(Invariant::OneEvent, self.device, || format!("{handle:?} downgraded"));
            return;
        };
        stage.note(self.device, What::Downgraded { number });
        let message = stage.ledger.message_mut(number);
        message.status = Status::Downgraded;
        let (qos, true_word) = (message.qos, message.downgraded && message.arrived() != 0);
        if qos != QoS::ExactlyOnce || !(true_word || message.may_miss) {
            stage.fail(Invariant::AtLeastOnce, self.device, || {
                format!("message #{number}, {qos:?}, is downgraded, and the broker did not do it")
            });
        }
    }

    /// A request ends without its answer. If it may have arrived, its id stays out of use.
    fn end_early(&mut self, stage: &mut Stage<'_>, handle: Handle, sent: bool) -> Option<Asked> {
        let Some((asked, answered)) = self.end_and_tell(stage, handle) else {
            stage.fail(Invariant::OneEvent, self.device, || format!("{handle:?} ends early"));
            return None;
        };
        if sent {
            match &asked {
                Asked::Publish(_) => {}
                Asked::Subscribe(filters) => {
                    self.uncertain.extend(filters.iter().map(|(filter, _)| *filter));
                }
                Asked::Unsubscribe(filters) => self.uncertain.extend(filters),
            }
            stage.ledger.lingers(self.device, id_of(handle), answered);
        }
        Some(asked)
    }
}

/// The position of the subscription to `filter` among those that the client keeps.
fn position(client: &BoxedClient, filter: usize) -> Option<usize> {
    client.subscriptions().position(|kept| topics::filter_index(kept.filter) == Some(filter))
}

fn id_of(handle: Handle) -> u16 {
    handle.packet_id().map_or(0, |id| id.get())
}
