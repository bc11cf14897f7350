//! Reads the messages that arrive at one broker.

use std::{
    net::SocketAddr,
    sync::mpsc::{self, Receiver},
    thread::{self, JoinHandle},
};

use mqtt_core::{
    Event, QoS,
    driver::blocking::{Client, Config, Events},
};

use crate::{
    Error, PATIENCE,
    message::{self, FILTER, Meaning},
    publisher::options,
    subscriber::{ID, WINDOW},
};

/// A subscriber, on a thread of its own. Its session outlives connections.
pub(super) struct Reader {
    thread: JoinHandle<Result<Vec<String>, Error>>,
    ended: Receiver<()>,
}

impl Reader {
    /// Starts it and waits until it is subscribed.
    pub(super) fn start(broker: SocketAddr) -> Result<Self, Error> {
        let (client, mut events) =
            Config::new(&options(ID)).window(WINDOW).connect(&[&broker.to_string()])?;
        let request = |error| Error::Request { what: "subscribe", error };
        let _ = client.subscribe(FILTER, QoS::ExactlyOnce).map_err(request)?;
        while !matches!(events.next_timeout(PATIENCE), Some(Event::Subscribed { .. }) | None) {}
        let (sender, ended) = mpsc::channel();
        let thread = thread::spawn(move || {
            let received = read(&client, events);
            // After a failure nobody waits.
            let _ = sender.send(());
            received
        });
        Ok(Self { thread, ended })
    }

    /// Waits for the last message.
    pub(super) fn await_last(&self) -> Result<(), Error> {
        let ended = self.ended.recv_timeout(PATIENCE);
        ended.map_err(|_| Error::Run("a subscriber did not get the last message".into()))
    }

    /// The numbers in the order of arrival; a text if something else came.
    pub(super) fn received(self) -> Result<Vec<String>, Error> {
        self.thread.join().map_err(|_| Error::Run("a subscriber panicked".into()))?
    }
}

fn read(client: &Client, mut events: Events) -> Result<Vec<String>, Error> {
    let mut received = Vec::new();
    while let Some(event) = events.next() {
        let Event::Message(message) = event else { continue };
        received.push(match message::meaning(message.topic.as_str()) {
            Some(Meaning::Number(number)) if message.payload == message::payload(number) => {
                number.to_string()
            }
            Some(Meaning::Last(_)) => {
                client.disconnect();
                continue;
            }
            _ => format!("{}: not what was published", message.topic),
        });
    }
    match events.last_error() {
        Some(error) => Err(Error::Run(format!("subscriber: {error}"))),
        None => Ok(received),
    }
}
