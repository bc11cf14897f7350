//! The driver: it receives until nothing comes, then polls and carries out the action. Anything may happen between two
//! steps. A single action is carried out by the test kit.

use mqtt_core::{Action, BoxedClient, ConnectionState, Event as Told, Instant, Reason};
use test_kit::drive::{self as kit, Step};

use super::{
    Device, Power,
    app::Arrival,
    hands::{Did, Hands},
};
use crate::{
    agenda::Event,
    checks::{self, Invariant},
    faults::Fault,
    link::{Link, Way},
    quirks::Quirk,
    setup::Handler,
    stage::Stage,
};

/// How long the driver waits for a transport that takes no bytes before it polls again, in milliseconds.
pub(super) const CONGESTED: u64 = 200;
/// The most writes in a row of a thread that only writes.
const MOST_WRITES: usize = 10_000;

/// How an action went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Next,
    /// The client has nothing to do until then.
    Wait(u64),
    /// The transport, or the time, keeps the driver from going on.
    Pause,
    PowerLost,
}

impl Device {
    /// As [`drive`](Self::drive), and notes whether the client takes all input.
    pub(crate) fn drive_and_note(&mut self, stage: &mut Stage<'_>, links: &mut Vec<Link>) -> Power {
        self.note_distraction(stage.now);
        let power = self.drive(stage, links);
        self.note_distraction(stage.now);
        power
    }

    /// Carries out the actions of the client, until the client waits or something holds the driver up.
    fn drive(&mut self, stage: &mut Stage<'_>, links: &mut Vec<Link>) -> Power {
        if let Some(until) = self.busy_until(stage.now) {
            return self.while_busy(stage, links, until);
        }
        // What is due goes out between a message that took its time and the next one.
        if self.busy_until != 0 && self.sends_what_is_due(stage, links) == Power::Lost {
            return Power::Lost;
        }
        self.busy_until = 0;
        self.goes_on_writing(stage, links);
        self.source_goes_on(stage.now);
        if let Some(pause) = self.source_pause(stage.now) {
            self.wake_in(stage, pause);
        }
        // Nothing has happened since the client said to wait.
        let mut quiet = self.waits_until.take();
        let readable = self.link.map_or(0, |link| links[link].readable(Way::Down));
        let from_sources = if self.setup.sources { 10_000 } else { 0 };
        let most = 100
            + readable
            + self.input.len()
            + self.setup.outbox
            + 8 * self.setup.window
            + from_sources;
        let mut actions = 0;
        // The client said to read once more before it judges whether input is missing.
        let mut looked_again = false;
        loop {
            let received = self.receive(stage, links, &mut actions);
            match received {
                Received::PowerLost => return Power::Lost,
                Received::Busy => {
                    let until = self.busy_until;
                    return self.while_busy(stage, links, until);
                }
                Received::All | Received::Some => {}
            }
            let Some(client) = &mut self.client else { return Power::On };
            if self.app.publish(stage, client, &self.setup) {
                actions += 1;
                // One message may have given way to another, which is an event.
                continue;
            }
            checks::makes_progress(stage, self.index, actions, most);
            if stage.broken.is_some() {
                return Power::On;
            }
            if self.uses_slack(stage) {
                quiet = None;
            }
            match self.act(stage, links) {
                Outcome::Wait(_) | Outcome::Pause if received == Received::Some => {}
                Outcome::Wait(until) if until <= stage.now && !looked_again => looked_again = true,
                Outcome::Wait(until) => {
                    if let Some(before) = quiet {
                        let again = (actions == 0).then_some(until);
                        checks::waited_for_the_true_deadline(stage, self.index, before, again);
                    }
                    self.wait(stage, until);
                    return Power::On;
                }
                Outcome::Next => actions += 1,
                Outcome::Pause => return Power::On,
                Outcome::PowerLost => return Power::Lost,
            }
            if self.loses_power() {
                self.between_actions(stage);
                return Power::Lost;
            }
            if stage.fault_one_in(128) {
                stage.fault(self.index, Fault::Pause);
                let pause = stage.rng.u64(1..100);
                self.wake_in(stage, pause);
                return Power::On;
            }
        }
    }

    /// Now and then a device with slack asks for the work that is due soon. Gives whether it did.
    fn uses_slack(&mut self, stage: &mut Stage<'_>) -> bool {
        let (Some(client), Some(slack)) = (&mut self.client, self.setup.slack) else {
            return false;
        };
        let asks = stage.one_in(4);
        if asks {
            client.awake(slack, Instant::from_millis(stage.now));
        }
        asks
    }

    /// The application handles a message. The driver does nothing, or another thread writes.
    fn while_busy(&mut self, stage: &mut Stage<'_>, links: &mut Vec<Link>, until: u64) -> Power {
        self.wake_in(stage, until - stage.now);
        let Some(client) = &mut self.client else { return Power::On };
        if self.setup.handler.is_none_or(|handler| !handler.writes) {
            return Power::On;
        }
        self.app.publish(stage, client, &self.setup);
        self.sends_what_is_due(stage, links)
    }

    /// Carries out actions as long as they are records or bytes.
    fn sends_what_is_due(&mut self, stage: &mut Stage<'_>, links: &mut Vec<Link>) -> Power {
        self.goes_on_writing(stage, links);
        for _ in 0..MOST_WRITES {
            let now = Instant::from_millis(stage.now);
            let Some(client) = &mut self.client else { break };
            // Only the thread that reads opens, closes and waits for input.
            if !matches!(
                client.poll(now),
                Action::Persist(_) | Action::Transmit(_) | Action::TransmitFrom(_)
            ) {
                break;
            }
            match self.act(stage, links) {
                Outcome::Next => {}
                Outcome::PowerLost => return Power::Lost,
                Outcome::Wait(_) | Outcome::Pause => break,
            }
        }
        Power::On
    }

    /// Carries out the next action of the client.
    fn act(&mut self, stage: &mut Stage<'_>, links: &mut Vec<Link>) -> Outcome {
        let Some(client) = &mut self.client else { return Outcome::Pause };
        let now = Instant::from_millis(stage.now);
        let mut hands = Hands {
            stage,
            links,
            device: self.index,
            endpoints: self.setup.endpoints.max(1),
            protocol: client.protocol(),
            link: self.link,
            tap: &mut self.tap,
            journal: self.journal.as_mut(),
            copying: self.setup.copies.map(|kind| (kind, &mut self.copying)),
            payload: Vec::new(),
            paused: &mut self.paused,
            did: Did::Nothing,
        };
        let step = kit::act(client, &mut hands, now);
        match (hands.did, step) {
            (_, Step::Wait(until)) => Outcome::Wait(until.as_millis()),
            (Did::Nothing, _) => Outcome::Pause,
            (Did::Source, _) => {
                if let Some(pause) = self.source_pause(stage.now) {
                    // No PINGREQ fits into the publish, so until its end nobody can ask whether the broker is there.
                    self.distracted_until = self.distracted_until.max(stage.now + pause);
                    if let Some(link) = self.link {
                        links[link].disturbed = true;
                    }
                    self.wake_in(stage, pause);
                }
                Outcome::Next
            }
            (Did::Copy, _) => {
                if let Some(link) = self.link {
                    links[link].disturbed = true;
                }
                self.wake_in(stage, self.copying.due.saturating_sub(stage.now).max(1));
                Outcome::Pause
            }
            (Did::Connect(endpoint), _) => {
                self.connect(stage, links, endpoint);
                Outcome::Next
            }
            (Did::Close(reason), _) => {
                // [MQTT-3.14.4-1]. A transport that takes no bytes gets no DISCONNECT either.
                if reason == Reason::Requested && !self.may_leave_silently(links) {
                    stage.fail(Invariant::Protocol, self.index, || {
                        "closed on request without a DISCONNECT".to_owned()
                    });
                }
                // The driver reports the closed connection once more, which changes nothing.
                self.close(stage, links);
                Outcome::Next
            }
            (Did::Persist, _) => self.persist(stage),
            (Did::Transmit { link, taken }, _) => self.transmitted(stage, &mut links[link], taken),
        }
    }

    /// The transport has taken this many bytes.
    fn transmitted(&mut self, stage: &mut Stage<'_>, link: &mut Link, taken: usize) -> Outcome {
        self.blocked = taken == 0;
        if self.blocked {
            link.disturbed = true;
            self.wake_in(stage, CONGESTED);
            return Outcome::Pause;
        }
        let state = self.client.as_ref().map(BoxedClient::state);
        if state == Some(ConnectionState::Up) && !link.disturbed {
            let keep_alive = u64::from(self.setup.keep_alive) * 1_000;
            let (last_sent, now) = (self.last_sent, stage.now);
            checks::is_never_silent_for_too_long(stage, self.index, last_sent, keep_alive, now);
        }
        self.last_sent = stage.now;
        Outcome::Next
    }

    /// Writes the record that was given to the journal.
    fn persist(&mut self, stage: &mut Stage<'_>) -> Outcome {
        let (Some(client), Some(journal)) = (&mut self.client, &mut self.journal) else {
            return Outcome::Pause;
        };
        self.app.begins_record(stage, client);
        if self.power.is_some_and(|left| left == 0) {
            match stage.rng.u32(..4) {
                0 => stage.fault(self.index, Fault::PowerLossBeforeRecord),
                1 => {
                    stage.fault(self.index, Fault::PowerLossUnconfirmed);
                    journal.append(stage, self.index);
                    self.app.is_recorded(stage);
                }
                _ => {
                    stage.fault(self.index, Fault::PowerLossTornRecord);
                    journal.tear(stage);
                }
            }
            return Outcome::PowerLost;
        }
        if stage.fault_one_in(32) {
            // The write fails, and is tried again.
            return Outcome::Next;
        }
        journal.append(stage, self.index);
        self.app.is_recorded(stage);
        if stage.one_in(16) {
            // The application goes on while the flash is busy.
            self.app.publish(stage, client, &self.setup);
        }
        client.persisted();
        if self.power.is_none() {
            journal.trim();
        }
        Outcome::Next
    }

    /// Gives the client the bytes that have come: until it has no more events, or until its first event if the driver
    /// sends between events.
    fn receive(
        &mut self,
        stage: &mut Stage<'_>,
        links: &mut [Link],
        actions: &mut usize,
    ) -> Received {
        loop {
            let Some(client) = &mut self.client else { return Received::All };
            let mut read = 0;
            if let Some(link) = self.link {
                let room = self.setup.receive_capacity - self.input.len();
                read = links[link].read(Way::Down, room, &mut self.input);
            }
            let now = Instant::from_millis(stage.now);
            let mut rest = self.input.as_slice();
            let before = rest.len();
            let outcome = client.receive(&mut rest, now);
            let taken = before - rest.len();
            // After a broken rule the next event says the same.
            let event = outcome.unwrap_or(None);
            if let (Some(accepted), Some(link)) =
                (self.arrival.takes(&self.input[..taken]), self.link)
            {
                let (pair, endpoint) = (links[link].pair(), links[link].endpoint);
                let clean = self.tap.asked_for_clean;
                let arrival = Arrival { pair, endpoint, present: accepted.present, clean };
                self.app.arrives(stage, arrival, client.protocol(), &self.setup);
                links[link].visit = stage.ledger.visit(self.index);
            }
            let told = event.is_some();
            let mut message = false;
            if let Some(event) = event {
                *actions += 1;
                if let Told::Up { .. } = event {
                    self.up_since = Some(stage.now);
                }
                message = matches!(event, Told::Message(_) | Told::MessageEnd { .. });
                self.app.event(stage, client, event, &self.setup);
            }
            self.input.drain(..taken);
            if stage.broken.is_some() {
                return Received::All;
            }
            if told && self.loses_power() {
                self.between_actions(stage);
                return Received::PowerLost;
            }
            if message && self.takes_its_time(stage, links) {
                return Received::Busy;
            }
            if told && self.setup.sends_between {
                return Received::Some;
            }
            if !told && taken == 0 && read == 0 {
                break;
            }
        }
        let drained = self.link.is_none_or(|link| links[link].readable(Way::Down) == 0);
        if self.ended && drained {
            *actions += 1;
            self.close(stage, links);
            return self.receive(stage, links, actions);
        }
        Received::All
    }

    /// Whether the application takes its time for the message that it was handed.
    fn takes_its_time(&mut self, stage: &mut Stage<'_>, links: &mut [Link]) -> bool {
        let Some(Handler { one_in, least, most, writes }) = self.setup.handler else {
            return false;
        };
        if !stage.one_in(one_in) {
            return false;
        }
        let mut millis = stage.rng.u64(least..=most);
        if stage.healing && self.setup.keep_alive != 0 {
            // Whoever does nothing for longer is not online.
            millis = millis.min(u64::from(self.setup.keep_alive) * 400);
        }
        let quirk = if writes { Quirk::WritesMeanwhile } else { Quirk::SlowHandler };
        stage.quirk(self.index, quirk);
        self.busy_until = stage.now + millis;
        if let Some(link) = self.link {
            links[link].disturbed = true;
        }
        true
    }

    fn between_actions(&self, stage: &mut Stage<'_>) {
        if self.journal.is_some() {
            stage.fault(self.index, Fault::PowerLoss);
        }
    }

    /// Counts down to a power cut.
    const fn loses_power(&mut self) -> bool {
        match &mut self.power {
            None => false,
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
        }
    }

    /// Whether the connection may end without a DISCONNECT.
    fn may_leave_silently(&self, links: &[Link]) -> bool {
        let disturbed = self.link.is_none_or(|link| links[link].disturbed);
        self.tap.left || self.up_since.is_none() || disturbed
    }

    /// The client waits.
    fn wait(&mut self, stage: &mut Stage<'_>, until: u64) {
        self.waits_until = Some(until);
        let state = self.client.as_ref().map(BoxedClient::state);
        let disturbed = self.link.is_none_or(|_| self.blocked || self.paused.is_some());
        if state == Some(ConnectionState::Up) && !disturbed {
            let keep_alive = u64::from(self.setup.keep_alive) * 1_000;
            checks::is_never_silent_for_too_long(
                stage,
                self.index,
                self.last_sent,
                keep_alive,
                until.max(stage.now),
            );
        }
        if until == u64::MAX {
            return;
        }
        let mut delay = until.saturating_sub(stage.now);
        if delay > 1 && stage.one_in(16) {
            // The driver polls just before the deadline, when nothing may be due.
            delay -= 1;
        } else if stage.fault_one_in(64) {
            stage.fault(self.index, Fault::LateWake);
            delay += stage.rng.u64(1..100);
        }
        self.wake_in(stage, delay);
    }

    fn connect(&mut self, stage: &mut Stage<'_>, links: &mut Vec<Link>, endpoint: u8) {
        let link = links.len();
        let mut new = Link::new(link, self.index, self.setup.pace, self.setup.capacity)
            .rated(self.setup.rate)
            .to(self.land.broker_at(endpoint), endpoint);
        let delay = stage.rng.u64(self.setup.pace.least..=2 * self.setup.pace.most);
        if stage.fault_one_in(30) {
            stage.fault(self.index, Fault::Unreachable);
            new.refused = true;
        }
        self.tap.broker = new.broker;
        links.push(new);
        self.link = Some(link);
        self.input.clear();
        self.arrival.begin();
        self.ended = false;
        self.blocked = false;
        self.last_sent = stage.now;
        if stage.fault_one_in(30) {
            // There is no answer.
            stage.fault(self.index, Fault::Unreachable);
        } else {
            stage.plan(delay, Event::Opened { link });
        }
    }
}

/// How far the input was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Received {
    All,
    /// Up to an event.
    Some,
    /// Up to a message that the application takes its time for.
    Busy,
    PowerLost,
}
