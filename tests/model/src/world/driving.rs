//! The driver: which of its actions can come next, and how it carries them out.

use mqtt_core::{Action as Told, ConnectionState, Fatal, Reason, codec::Packet};
use test_kit::text;

use super::{
    Action, State, no_packet,
    packets::{decode, packet_len, packets},
    sources, withdrawn,
};
use crate::{
    config::{Config, Driver, Partial},
    device::{NOW, RECONNECT, RECORD},
    rules::{Broken, Rule, Verdict},
    trace::Trace,
};

/// Connections to each broker that may end at a reclaim until the client gives it up.
const RECLAIMS: u8 = 3;

impl State {
    /// The actions of the driver.
    pub(super) fn driving(&self, config: &Config, actions: &mut Vec<Action>) {
        let state = self.client.0.state();
        if state == ConnectionState::Connecting && !self.open {
            actions.push(Action::Connected);
        }
        if self.writing.is_some() {
            actions.push(Action::Persisted);
            return;
        }
        let mut client = self.client.0.clone();
        match client.poll(NOW) {
            Told::Persist(_) => {
                actions.push(Action::Persist);
                return;
            }
            told @ (Told::Transmit(_) | Told::TransmitFrom(_)) => {
                let bytes = sources::to_send(&told).unwrap_or_default();
                match config.driver {
                    Driver::Writes => self.transmissions(config, &bytes, actions),
                    Driver::Copies if *bytes != self.copied => actions.push(Action::Show),
                    Driver::Copies => {}
                }
            }
            Told::Close(_) => {
                actions.push(Action::Close);
                return;
            }
            Told::Connect { .. } | Told::Wait(_) => {}
        }
        if self.written != 0 {
            actions.push(Action::Report);
        } else if !self.copied.is_empty() {
            self.transmissions(config, &self.copied, actions);
        }
        if state == ConnectionState::Waiting {
            actions.push(Action::Connect);
        } else if matches!(client.poll(RECORD), Told::Persist(_)) {
            actions.push(Action::PersistAtLast);
        }
    }

    /// How much of `bytes` the transport may take.
    fn transmissions(&self, config: &Config, bytes: &[u8], actions: &mut Vec<Action>) {
        let protocol = self.client.0.protocol();
        let (_, part) = packets(&self.up, protocol);
        if part.is_empty() && config.partial != Partial::Never {
            actions.push(Action::TransmitPart);
        }
        let bytes = [part, bytes].concat();
        let (whole, _) = packets(&bytes, protocol);
        if self.first_reclaimed(config, &bytes).is_some() {
            actions.push(Action::Transmit(whole));
            return;
        }
        // A packet of a renewal lies apart from its header, which comes first.
        actions.push(Action::Transmit(whole.min(1)));
        if whole > 1 {
            actions.push(Action::Transmit(whole));
        }
    }

    pub(super) fn connect(&mut self, config: &Config) -> Verdict {
        match self.client.0.poll(RECONNECT) {
            Told::Connect { endpoint } => self.turn_to(config, endpoint),
            Told::Close(_)
            | Told::Persist(_)
            | Told::Transmit(_)
            | Told::TransmitFrom(_)
            | Told::Wait(_) => {
                Err(Broken::new(Rule::AtLeastOnce, "the client does not connect when it is time"))
            }
        }
    }

    /// The client ends the connection of itself only if it had to pass messages over or to end a session, or if it was
    /// refused.
    pub(super) fn close(&mut self, config: &Config, trace: &mut Trace) -> Verdict {
        let Told::Close(reason) = self.client.0.poll(NOW) else { return Err(withdrawn()) };
        trace.say(|| reason.to_string());
        let ends = self.may_end_session(config);
        self.ended();
        let is_right = matches!(
            reason,
            // The rest of a packet whose source failed cannot be sent.
            Reason::PassedOver | Reason::Fatal(Fatal::Refused(_) | Fatal::Source { .. })
        ) || reason == Reason::SessionEnded && ends;
        if is_right {
            Ok(())
        } else {
            Err(Broken::new(Rule::Progress, "the client ends a connection without need"))
        }
    }

    /// Nothing is on its way, so the broker does not answer. The driver reads once more, and nothing came.
    pub(super) fn answer_overdue(&mut self, config: &Config, trace: &mut Trace) -> Verdict {
        if self.broker.awaits_answer() {
            let how = "an answer to the broker waits for the answer to a request";
            return Err(Broken::new(Rule::Progress, how));
        }
        let Told::Wait(deadline) = self.client.0.poll(NOW) else { return Err(withdrawn()) };
        let is_at_reclaim = config.bad.is_some_and(|bad| bad.manner.is_at_reclaim());
        for _ in 0..4 {
            match self.client.0.poll(deadline) {
                Told::Wait(_) => {
                    let none = self.client.0.receive(&mut &[][..], deadline);
                    if none != Ok(None) {
                        return Err(Broken::new(
                            Rule::OneEvent,
                            "an event of which there is no reason",
                        ));
                    }
                }
                Told::Close(Reason::Fatal(Fatal::Unanswered(handle))) => {
                    trace.say(|| format!("no answer to {}", text::id_of(handle)));
                    self.ended();
                    return self.connection_fails(config);
                }
                // The client goes on without the answers.
                Told::Persist(_) | Told::Transmit(_) if is_at_reclaim => return Ok(()),
                Told::Close(_)
                | Told::Connect { .. }
                | Told::Persist(_)
                | Told::Transmit(_)
                | Told::TransmitFrom(_) => {
                    let how = "a missing answer has another effect than the end of the connection";
                    return Err(Broken::new(Rule::Progress, how));
                }
            }
        }
        // The time was for packets that are answered, and begins again for later ones.
        Ok(())
    }

    /// The transport is closed.
    pub(super) fn ended(&mut self) {
        self.disconnect();
        self.client.0.closed(NOW);
    }

    /// The broker ends a connection because of a request.
    pub(super) fn broker_closes(&mut self, config: &Config) -> Verdict {
        let leaving = self.client.0.state() == ConnectionState::Closing;
        self.ended();
        if leaving {
            self.requests.interrupted();
            return Ok(());
        }
        self.connection_fails(config)
    }

    /// The broker ended a connection because of a request, or it does not answer. After as many connections as the
    /// settings say the application hears of it. One more may be needed if a request ahead of it had no answer either,
    /// and one if a renewal had none.
    fn connection_fails(&mut self, config: &Config) -> Verdict {
        let renews = config.lost_sessions > 0 && config.filters > 0;
        let most = if config.bad.is_some_and(|bad| bad.manner.is_at_reclaim()) {
            RECLAIMS * config.brokers.endpoints()
        } else {
            config.stuck_after + 1 + u8::from(renews)
        };
        self.requests.connection_ended(most)
    }

    /// The bytes that the transport is offered.
    fn offered(&mut self, config: &Config) -> Result<Vec<u8>, Broken> {
        if config.driver == Driver::Copies {
            return Ok(self.copied.clone());
        }
        let told = self.client.0.poll(NOW);
        Ok(sources::to_send(&told).ok_or_else(withdrawn)?.into_owned())
    }

    pub(super) fn transmit_part(&mut self, config: &Config, trace: &mut Trace) -> Verdict {
        let bytes = self.offered(config)?;
        let len = packet_len(&bytes, self.client.0.protocol()).unwrap_or(bytes.len());
        let count = match config.partial {
            Partial::Never | Partial::FirstByte => 1,
            Partial::LastByte => len - 1,
        };
        trace.say(|| format!("{count} of {len} bytes"));
        self.up.extend(bytes.iter().take(count));
        self.wrote(config, count);
        Ok(())
    }

    pub(super) fn transmit(&mut self, config: &Config, count: u8, trace: &mut Trace) -> Verdict {
        let bytes = self.offered(config)?;
        let protocol = self.client.0.protocol();
        let (_, part) = packets(&self.up, protocol);
        let (had, mut at) = (self.up.len(), self.up.len() - part.len());
        self.up.extend_from_slice(&bytes);
        for _ in 0..count {
            let rest = self.up.get(at..).unwrap_or_default();
            let Some((packet, len)) = decode(rest, protocol) else { return Err(no_packet()) };
            trace.say(|| text::packet(&packet));
            if let Packet::Connect(connect) = packet {
                self.versions.connects(self.endpoint, connect.protocol)?;
            }
            at += len;
        }
        if count == 0 {
            at = self.up.len();
        }
        self.up.truncate(at);
        self.wrote(config, at - had);
        Ok(())
    }

    fn wrote(&mut self, config: &Config, count: usize) {
        match config.driver {
            Driver::Writes => self.client.0.transmitted(count, NOW),
            Driver::Copies => self.written = count,
        }
    }

    /// The driver that copies asks for bytes. Those that it has must still be the first ones.
    pub(super) fn show(&mut self) -> Verdict {
        let told = self.client.0.poll(NOW);
        let bytes = sources::to_send(&told).ok_or_else(withdrawn)?.into_owned();
        if !bytes.starts_with(&self.copied) {
            return Err(Broken::new(Rule::Protocol, "bytes that were shown have changed"));
        }
        self.copied = bytes;
        self.shown(&self.copied.clone());
        Ok(())
    }

    /// It reports the bytes that it has written.
    pub(super) fn report(&mut self) {
        self.client.0.transmitted(self.written, NOW);
        self.copied.drain(..self.written.min(self.copied.len()));
        self.written = 0;
    }
}
