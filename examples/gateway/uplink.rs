//! Everything that the gateway publishes, for all threads.
//!
//! Each reading has a number, one more than that of the one before, whatever its sensor. The number is recorded together
//! with the message (`publish_at`), so it goes on after a reset: a gap in the numbers that a subscriber sees is a loss.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use mqtt_core::{
    Handle, Publish, QoS, Topic,
    driver::blocking::{Client, Error},
};

use crate::topics::Topics;

/// The client and its figures.
#[derive(Debug)]
pub struct Uplink {
    client: Client,
    topics: Topics,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    figures: Figures,
    /// A message whose round trip is measured.
    probe: Option<(Handle, Instant)>,
    /// The status of the last connection, until the broker has it.
    birth: Option<Handle>,
}

/// What went through since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Readings that were accepted.
    pub accepted: u64,
    /// Readings that found no room.
    pub dropped: u64,
    /// Messages that the broker has acknowledged.
    pub acknowledged: u64,
    /// From the acceptance of a message to its acknowledgement, the last one that was measured.
    pub round_trip: Option<Duration>,
}

impl Uplink {
    /// The uplink over this client.
    #[must_use]
    pub fn new(client: Client, topics: Topics) -> Self {
        Self { client, topics, state: Mutex::default() }
    }

    /// The client.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The topics.
    #[must_use]
    pub const fn topics(&self) -> &Topics {
        &self.topics
    }

    /// The figures.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.lock().figures
    }

    /// The number of the last reading or last words.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.client.position()
    }

    /// Publishes a reading, and returns its number. If there is no room, the reading is dropped and counted: the sensor
    /// goes on, and the task of the link has to answer for it.
    ///
    /// # Errors
    ///
    /// [`Error`]: it was not accepted.
    pub fn reading(&self, sensor: &str, value: f64) -> Result<u64, Error> {
        let topic = self.topics.of_sensor(sensor);
        let topic = Topic::new(&topic)?;
        // Under the lock, numbers and messages are in the same order, and the answer cannot be seen before the request.
        let mut state = self.lock();
        let number = self.client.position() + 1;
        let text = format!("{{\"number\":{number},\"value\":{value:.2}}}");
        let publish = Publish::new(topic, text.as_bytes()).qos(QoS::AtLeastOnce);
        let accepted = self.client.publish_at(&publish, number);
        match &accepted {
            Ok(handle) => {
                state.figures.accepted += 1;
                state.probe.get_or_insert((*handle, Instant::now()));
            }
            Err(_) => state.figures.dropped += 1,
        }
        accepted.map(|_| number)
    }

    /// Publishes last words under the next number, after `name` has named their file by it.
    ///
    /// # Errors
    ///
    /// That of `name`; inside, that of the client.
    pub fn last_words<E>(
        &self,
        text: &str,
        name: impl FnOnce(u64) -> Result<(), E>,
    ) -> Result<Result<Handle, Error>, E> {
        let topic = match Topic::new(&self.topics.last_words) {
            Ok(topic) => topic,
            Err(error) => return Ok(Err(error.into())),
        };
        let publish = Publish::new(topic, text.as_bytes()).qos(QoS::ExactlyOnce).retain(true);
        let _in_order = self.lock();
        let number = self.client.position() + 1;
        name(number)?;
        Ok(self.client.publish_at(&publish, number))
    }

    /// Publishes the status of a new connection, unless that of an earlier one is still under way: it is sent on this
    /// connection.
    ///
    /// # Errors
    ///
    /// [`Error`]: it was not accepted.
    pub fn birth(&self, status: &str) -> Result<(), Error> {
        let mut state = self.lock();
        if state.birth.is_none() {
            state.birth = Some(self.status(status)?);
        }
        Ok(())
    }

    /// Publishes the status.
    ///
    /// # Errors
    ///
    /// [`Error`]: it was not accepted.
    pub fn status(&self, status: &str) -> Result<Handle, Error> {
        self.client.publish(&self.topics.status, status.as_bytes(), QoS::AtLeastOnce, true)
    }

    /// Publishes the answer to a command.
    ///
    /// # Errors
    ///
    /// [`Error`]: it was not accepted.
    pub fn answer(&self, text: &str) -> Result<(), Error> {
        let answer =
            self.client.publish(&self.topics.answer, text.as_bytes(), QoS::AtLeastOnce, false);
        answer.map(|_| ())
    }

    /// The broker has the message of this request.
    pub fn published(&self, handle: Handle) {
        let mut state = self.lock();
        state.figures.acknowledged += 1;
        if let Some((_, since)) = state.probe.take_if(|(probe, _)| *probe == handle) {
            state.figures.round_trip = Some(since.elapsed());
        }
        let _told = state.birth.take_if(|birth| *birth == handle);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
