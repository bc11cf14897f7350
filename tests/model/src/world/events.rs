//! The client's events, as the application takes them and the ledgers of the rules get them.

use mqtt_core::{Event, Handle, Message, QoS};
use test_kit::text;

use super::State;
use crate::{
    broker::Down,
    config::{Config, Manner},
    rules::{Broken, End, Rule, Verdict, hand_over},
    trace::Trace,
};

impl State {
    /// `down` is the packet that caused the event.
    pub(super) fn told(
        &mut self,
        config: &Config,
        event: &Event<'_>,
        down: Option<Down>,
        trace: &mut Trace,
    ) -> Verdict {
        match event {
            Event::Message(message) => self.message(config, message, down),
            Event::Published(handle) => {
                let message = self.requests.done(*handle)?;
                if self.released().has(message) {
                    Ok(())
                } else {
                    let how = "published, though no broker has it, or the one that has it holds it";
                    Err(Broken::new(Rule::OneEvent, how))
                }
            }
            Event::Lost(handle) => {
                let message = self.requests.lost(*handle)?;
                // After a power cut the client may know of an earlier PUBREC.
                let forgot = self.power_cuts < config.power_cuts;
                if config.resend_lost && !forgot && !self.requests.is_released(message) {
                    let how = "lost, though it is to be sent again";
                    return Err(Broken::new(Rule::AtLeastOnce, how));
                }
                Ok(())
            }
            Event::Up { endpoint, session, protocol } => {
                self.is_at(*endpoint)?;
                self.up(config, *session, *protocol, down)
            }
            Event::Subscribed { handle, .. } => {
                // The client has subscribed to the others before the world begins.
                let known = self.requests.handle(config.subscribe_number()).is_some();
                if known { self.requests.done(*handle).map(|_| ()) } else { Ok(()) }
            }
            Event::Cancelled { handle, sent } => {
                self.requests.taken_back(*handle, End::Cancelled(*sent))
            }
            Event::GivenUp(handle) if config.give_up_stuck => {
                self.requests.taken_back(*handle, End::GivenUp)
            }
            Event::SourceFailed(handle) => self.requests.taken_back(*handle, End::SourceFailed),
            Event::Stuck { handle, connections } => {
                self.stuck(config, *handle, *connections, trace)
            }
            Event::RenewalStuck { first, count, .. } => {
                self.renewal_stuck(config, *first, *count, trace)
            }
            Event::Skipped(_) => match down {
                Some(Down::Publish { id, message, qos, .. })
                    if config.too_large == Some(message) =>
                {
                    self.held = self.held.with(message);
                    self.remembers(config, id, qos);
                    Ok(())
                }
                _ => Err(Broken::new(Rule::AtLeastOnce, "a message is skipped without need")),
            },
            Event::Connecting { endpoint } | Event::Down { endpoint, .. } => self.is_at(*endpoint),
            Event::Renewed { .. } => Ok(()),
            Event::NotReclaimed => self.not_reclaimed(config),
            // No message is that large, none has QoS 0, and the application does not unsubscribe.
            Event::MessageStart(_)
            | Event::MessageChunk(_)
            | Event::MessageEnd { .. }
            | Event::Unsubscribed(_)
            | Event::Dropped(_)
            | _ => Err(Broken::new(Rule::OneEvent, "an event of which there is no reason")),
        }
    }

    /// The application is handed a message, because of `down`.
    fn message(&mut self, config: &Config, message: &Message<'_>, down: Option<Down>) -> Verdict {
        let (Some(number), Some(Down::Publish { id, message: sent, qos, .. })) =
            (message.payload.first(), down)
        else {
            return Err(Broken::new(Rule::Protocol, "a message that was not sent"));
        };
        if *number != sent {
            return Err(Broken::new(Rule::Protocol, "another message than the one that was sent"));
        }
        self.remembers(config, id, qos);
        if let Some(delivery) = message.delivery {
            self.owed.push((delivery, sent));
            return Ok(());
        }
        let (before, number) =
            (self.own(config, self.handed()), sent - self.broker.first_message());
        hand_over(before, number, config.inbound, false)?;
        self.held = self.held.with(sent);
        // The work on the message has to be durable before the broker gets its acknowledgement.
        self.client.0.set_position(self.next.into());
        Ok(())
    }

    /// The client took a message, and remembers its id if it is one of QoS 2.
    fn remembers(&mut self, config: &Config, id: u16, qos: QoS) {
        if qos == QoS::ExactlyOnce {
            self.sessions.took(self.here(config), id, config.window);
        }
    }

    /// A request stands in the way: the application takes it back, unless the client gives it up of itself.
    fn stuck(
        &mut self,
        config: &Config,
        handle: Handle,
        connections: u16,
        trace: &mut Trace,
    ) -> Verdict {
        let request = self.requests.stuck(handle)?;
        // A broken link looks like a broker that closes.
        let faults = self.cuts < config.cuts || self.power_cuts < config.power_cuts;
        if !faults && config.bad.map(|bad| bad.request) != Some(request) {
            let how = "the event names another request than the one that stands in the way";
            return Err(Broken::new(Rule::Progress, how));
        }
        if connections < u16::from(config.stuck_after) {
            return Err(Broken::new(Rule::Progress, "a request is told as stuck too early"));
        }
        if !config.give_up_stuck {
            let cancelled = self.client.0.cancel(handle);
            trace.say(|| format!("cancel {}: {cancelled:?}", text::id_of(handle)));
            if cancelled.is_err() {
                let how = "a request that stands in the way cannot be taken back";
                return Err(Broken::new(Rule::Progress, how));
            }
        }
        self.requests.take_back(request);
        if let Some(id) = handle.packet_id() {
            self.order.given_up(id.get());
        }
        Ok(())
    }

    /// A subscription stands in the way: the application forgets it. After a fault it may be an innocent one, and the
    /// application waits.
    fn renewal_stuck(
        &mut self,
        config: &Config,
        first: usize,
        count: usize,
        trace: &mut Trace,
    ) -> Verdict {
        self.requests.interrupted();
        let bad = config.bad.filter(|bad| bad.manner == Manner::ClosesAtRenewal);
        let is_it = bad.is_some_and(|bad| (usize::from(bad.request), 1) == (first, count));
        if !is_it {
            // One cut loses the session.
            let faults = self.cuts + 1 < config.cuts || self.power_cuts < config.power_cuts;
            let how = "the event names another subscription than the one that stands in the way";
            return if faults { Ok(()) } else { Err(Broken::new(Rule::Progress, how)) };
        }
        let forgotten = self.client.0.forget_subscriptions(first, count);
        trace.say(|| format!("forget subscription {first}: {forgotten:?}"));
        self.forgotten = true;
        forgotten.map_err(|_| {
            Broken::new(
                Rule::Progress,
                "a subscription that stands in the way cannot be taken away",
            )
        })
    }
}
