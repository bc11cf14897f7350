//! The state that survives a power cut, and how the application goes on from there.

use mqtt_core::{BoxedClient, Handle, Publish, QoS};

use super::{App, Asked, sessions::Expectations};
use crate::{
    checks::Invariant,
    landscape::MOST_BROKERS,
    ledger::{Lingering, Sent, Status, Stay},
    setup::DeviceSetup,
    stage::Stage,
    topics,
};

/// The part of a journal that is about an application and its requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Saved {
    position: u64,
    /// Publishes in flight, by id.
    in_flight: Vec<(u16, u32)>,
    subscriptions: Vec<(usize, QoS)>,
    /// The broker that the requests belong to, and how often it has changed.
    home: (Option<usize>, u32),
    /// The brokers where the client expects its session.
    expected: Expectations,
    /// Ids out of use, and the stay in which they are.
    lingering: (Stay, Vec<Lingering>),
}

impl App {
    /// A record is given. Notes its content about the application and its requests.
    pub(crate) fn begins_record(&mut self, stage: &Stage<'_>, client: &BoxedClient) {
        // A publish may have ended whose event is still to come.
        let kept: Vec<Handle> = client.publishes().map(|(handle, _)| handle).collect();
        let publishes = self.asked.iter().filter_map(|(handle, asked)| match asked {
            Asked::Publish(number) if kept.contains(handle) => {
                Some((handle.packet_id()?.get(), *number))
            }
            Asked::Publish(_) | Asked::Subscribe(_) | Asked::Unsubscribe(_) => None,
        });
        self.recording = Saved {
            position: client.position(),
            in_flight: publishes.collect(),
            subscriptions: self.subscriptions.clone(),
            home: (stage.ledger.home(self.device), stage.ledger.visit(self.device)),
            expected: self.sessions.expected,
            lingering: stage.ledger.lingering(self.device),
        };
        self.unrecorded.append(&mut self.recent);
    }

    /// The record is durable, and with it all that was received before.
    pub(crate) fn is_recorded(&mut self, stage: &mut Stage<'_>) {
        self.recorded = std::mem::take(&mut self.recording);
        self.news = <[bool; MOST_BROKERS]>::default();
        for receipt in std::mem::take(&mut self.unrecorded) {
            self.has(stage, receipt);
        }
    }

    /// Everything in memory is gone. Returns the brokers of which the journal does not know that they began a new session.
    pub(crate) fn lose_power(
        &mut self,
        stage: &mut Stage<'_>,
        journal: bool,
    ) -> [bool; MOST_BROKERS] {
        self.stream = None;
        self.unacknowledged.clear();
        self.recent.clear();
        self.unrecorded.clear();
        self.subscriptions.clear();
        self.to_forget.clear();
        self.unreadable = false;
        stage.ledger.frees_all_ids(self.device);
        if !journal {
            self.sessions.forget();
            stage.ledger.returns_to(self.device, (None, stage.ledger.visit(self.device)));
        }
        for (_, asked) in self.asked.drain(..) {
            match asked {
                Asked::Publish(number) if !journal => {
                    stage.ledger.message_mut(number).status = Status::Vanished;
                }
                Asked::Publish(number) => self.cut_off.push(number),
                Asked::Subscribe(filters) => {
                    self.uncertain.extend(filters.iter().map(|(filter, _)| *filter));
                }
                Asked::Unsubscribe(filters) => self.uncertain.extend(filters),
            }
        }
        std::mem::take(&mut self.news).map(|news| news && journal)
    }

    /// The client is restored from its journal, and the application goes on from there.
    pub(crate) fn restored(
        &mut self,
        stage: &mut Stage<'_>,
        client: &BoxedClient,
        setup: &DeviceSetup,
    ) {
        let device = self.device;
        let Saved { position, in_flight, subscriptions, home, expected, lingering } =
            self.recorded.clone();
        self.sessions.restored(expected);
        stage.ledger.returns_to(device, home);
        stage.ledger.linger_again(device, lingering);
        if (client.position(), client.in_flight()) != (position, in_flight.len()) {
            stage.fail(Invariant::Journal, device, || {
                let found = (client.position(), client.in_flight());
                format!(
                    "(position, in flight): {found:?} was restored, not {position}, {in_flight:?}"
                )
            });
        }
        self.subscriptions = subscriptions;
        self.check_subscriptions(stage, client);
        if marks_output(setup) {
            self.output = position;
        } else {
            self.goes_back(stage, position as usize);
        }
        self.ends_with_the_power(stage, &in_flight);
        for (handle, publish) in client.publishes() {
            let id = handle.packet_id().map_or(0, |id| id.get());
            let known = in_flight.iter().find(|(known, _)| *known == id);
            let Some(number) = known.map(|(_, number)| *number) else {
                stage.fail(Invariant::Journal, device, || {
                    format!("{handle:?} was restored, the journal had {in_flight:?}")
                });
                return;
            };
            // The message is missing if the broker has it, and the payload if it comes from a source.
            let source = client.sources().find(|(from, _)| *from == handle);
            let same = match source {
                Some((_, from)) => {
                    let message = stage.ledger.message(number);
                    from.source.get() == number
                        && from.len as usize == message.len
                        && (from.qos, from.retain) == (message.qos, message.retain)
                        && publish.is_some_and(|publish| publish.topic == from.topic)
                }
                None => publish.is_none_or(|publish| self.is_message(stage, number, &publish)),
            };
            if !same {
                stage.fail(Invariant::Journal, device, || {
                    format!("{publish:?} was restored for message #{number}")
                });
            }
            stage.ledger.takes_id(device, id, number);
            let message = stage.ledger.message_mut(number);
            message.status = Status::Accepted;
            // It is unknown whether it was sent, and where, so it may be sent as a repetition.
            message.sent_to = [true; MOST_BROKERS];
            if message.sent == Sent::Nothing {
                message.sent = Sent::Perhaps;
            }
            self.asked.push((handle, Asked::Publish(number)));
        }
    }

    /// Publishes that the journal does not hold as unfinished had ended, and power was lost before their event.
    fn ends_with_the_power(&mut self, stage: &mut Stage<'_>, in_flight: &[(u16, u32)]) {
        for number in std::mem::take(&mut self.cut_off) {
            let message = stage.ledger.message_mut(number);
            if message.status == Status::Accepted
                && in_flight.iter().all(|(_, known)| *known != number)
            {
                message.status = Status::Vanished;
            }
        }
    }

    /// Whether `publish` is message `number`, unchanged.
    fn is_message(&mut self, stage: &Stage<'_>, number: u32, publish: &Publish<'_>) -> bool {
        stage.ledger.write_payload(number, &mut self.payload);
        let message = stage.ledger.message(number);
        (publish.topic, publish.payload, publish.qos, publish.retain)
            == (topics::topic(message.topic), self.payload.as_slice(), message.qos, message.retain)
    }

    /// Messages accepted behind `position` are published again, and none of them may have been sent.
    fn goes_back(&mut self, stage: &mut Stage<'_>, position: usize) {
        for number in self.source.iter().take(self.place).skip(position).copied() {
            let message = stage.ledger.message_mut(number);
            message.status = Status::Waiting;
            if message.sent != Sent::Nothing {
                stage.fail(Invariant::Journal, self.device, || {
                    format!("message #{number} was sent, and no record of it was durable")
                });
            }
        }
        self.place = self.place.min(position);
    }
}

/// Whether the position counts received messages, and not published ones.
pub(super) const fn marks_output(setup: &DeviceSetup) -> bool {
    setup.journal && setup.marks_output && setup.burst == 0
}
