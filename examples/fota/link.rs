//! The task of the link: it serves the connection, gives what comes to the task of the flash, and watches the progress of
//! the link.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mqtt_core::{
    ConnectionState, Event, QoS, SessionStatus,
    driver::blocking::{Client, Events},
};
use mqtt_examples::{
    common::filter_of,
    link_health::{LinkHealth, Sample, Step},
};
use watchdog_core::{Instant as Millis, host::daemon::Watched};

use crate::{
    error::Error,
    handover::{End, Handover, Job},
    screen::Screen,
    topics::Topics,
    watch::LINK_HEALTH,
};

/// The longest wait for an event.
const LOOK: Duration = Duration::from_millis(500);
/// How long the link waits for a buffer.
const BUFFER_WITHIN: Duration = Duration::from_secs(2);

/// What the task works with.
pub(crate) struct Link {
    pub(crate) client: Client,
    pub(crate) events: Events,
    pub(crate) handover: Arc<Handover>,
    pub(crate) watched: Watched,
    pub(crate) screen: Screen,
    pub(crate) topics: Topics,
    /// The topic of the chunks for this device.
    pub(crate) chunk: String,
    /// An image on trial has to be confirmed by then.
    pub(crate) trial_until: Option<Instant>,
}

impl Link {
    /// Serves the connection until the run is over, and tells how it ends. `None`: an interrupt.
    pub(crate) fn serves(mut self) -> Result<Option<End>, Error> {
        let begun = Instant::now();
        let now = || Millis::from_millis(u64::try_from(begun.elapsed().as_millis()).unwrap_or(0));
        let mut health = LinkHealth::new(LINK_HEALTH, now());
        // The message that comes in is a chunk, and none of its bytes was dropped.
        let mut in_chunk = false;
        let mut is_subscribed = false;
        loop {
            match self.events.next_timeout(LOOK) {
                Some(Event::Up { session, .. }) => {
                    self.screen.tell("connected");
                    if session == SessionStatus::New && !is_subscribed {
                        subscribe(&self.client, &self.topics, &self.chunk)?;
                        is_subscribed = true;
                    }
                }
                Some(Event::Subscribed { .. } | Event::Renewed { .. }) => {
                    self.handover.give(Job::Online);
                }
                Some(Event::Down { reason, .. }) => {
                    in_chunk = false;
                    self.handover.give(Job::Offline);
                    if self.handover.ending().is_none() {
                        self.screen.tell(&format!("not connected: {reason}"));
                    }
                }
                Some(Event::Message(message)) => {
                    let topic = message.topic.as_str();
                    if topic == self.chunk {
                        if give_bytes(&self.handover, true, message.payload) {
                            self.handover.give(Job::End);
                        }
                    } else if topic == self.topics.manifest {
                        let signed = message.payload.to_vec();
                        self.handover.give(Job::Manifest(signed, message.retain));
                    } else if topic == self.topics.publisher {
                        self.handover.give(Job::Publisher(message.payload == b"online"));
                    }
                }
                Some(Event::MessageStart(start)) => {
                    in_chunk = start.topic.as_str() == self.chunk && self.handover.give(Job::Start);
                }
                Some(Event::MessageChunk(bytes)) => {
                    in_chunk = in_chunk && give_bytes(&self.handover, false, bytes);
                }
                Some(Event::MessageEnd { .. }) => {
                    if in_chunk {
                        self.handover.give(Job::End);
                    }
                    in_chunk = false;
                }
                Some(Event::Published(handle)) => {
                    self.handover.give(Job::Published(handle));
                }
                Some(_) => {}
                None if self.client.state() == ConnectionState::Stopped => break,
                None => {}
            }
            let counters = self.client.counters();
            let look = health.look(&Sample { counters, in_flight: self.client.in_flight() }, now());
            if look.progress {
                let fed = self.watched.feed();
                fed.map_err(|why| Error::Report { task: "link", why })?;
            }
            if let Some(Step::Reconnect | Step::NextBroker | Step::RestartModem) = look.step {
                self.screen.tell("the link makes no progress: connects again");
                self.client.disconnect();
                self.client.reconnect();
            }
            if self.trial_until.is_some_and(|until| Instant::now() >= until) {
                self.trial_until = None;
                self.screen.tell("the image on trial has not reached the broker");
                self.handover.end(End::Restart);
                self.client.disconnect();
            }
        }
        let retired = self.watched.retire();
        retired.map_err(|why| Error::Report { task: "link", why })?;
        Ok(self.handover.ending())
    }
}

/// Gives bytes of a chunk message. `false`: one of them was dropped, and with it the message.
fn give_bytes(handover: &Handover, is_whole: bool, bytes: &[u8]) -> bool {
    if is_whole && !handover.give(Job::Start) {
        return false;
    }
    handover.give_bytes(bytes, BUFFER_WITHIN)
}

/// Further connections make the subscriptions again.
fn subscribe(client: &Client, topics: &Topics, chunk: &str) -> Result<(), Error> {
    let filter = |topic| filter_of("--prefix", topic);
    // The publisher first, so that its presence is known when the manifest comes.
    let filters = [
        (filter(chunk)?, QoS::AtMostOnce),
        (filter(&topics.publisher)?, QoS::AtLeastOnce),
        (filter(&topics.manifest)?, QoS::AtLeastOnce),
    ];
    let _ = client.subscribe_all(&filters).map_err(Error::Request)?;
    Ok(())
}
