//! The start of a blocking client.

use std::{thread, time::Duration};

use super::{
    Brokers, Client, Config, Connector, Error, EventQueue, Events,
    events::Polling,
    queue::{Filled, queue},
};
use crate::event::Event;

impl Config<'_> {
    /// Connects to the first of `brokers` that accepts the connection, and waits for it. For what can be written see
    /// [`Address`](crate::driver::address::Address): `host:port`, or a URL. After a broken connection the client tries
    /// the brokers in turn. They are separate brokers, each with a session of its own, unless `Options::cluster` says
    /// that they are a cluster. With `Reconnect::shuffle_endpoints` the first one is any of them.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), or, if no broker accepted the connection, why the last one did not.
    pub fn connect(self, brokers: &[&str]) -> Result<(Client, Events), Error> {
        let count = brokers.len();
        let (client, mut events) = self.start(brokers)?;
        events.await_up(count)?;
        Ok((client, events))
    }

    /// As [`connect`](Self::connect), but does not wait for the broker: the client connects in [`Events::next`], and
    /// requests that are accepted before that are sent once it is connected. For devices that start offline.
    ///
    /// # Errors
    ///
    /// [`Error::Address`], [`Error::Config`], [`Error::NoJournal`], [`Error::Journal`], [`Error::Restore`], and
    /// [`Error::Io`] if the system has no sockets left.
    pub fn start(self, brokers: &[&str]) -> Result<(Client, Events), Error> {
        self.to(Brokers::new(brokers)?)
    }

    /// As [`start`](Self::start), with the options of `brokers`. If the options have no login, that of the first address
    /// that has one is taken.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn to(self, brokers: Brokers) -> Result<(Client, Events), Error> {
        let (requests, service) = self.build_to(Polling, brokers)?;
        Ok((Client::new(requests), Events::new(service)?))
    }

    /// A client over transports that `connector` opens. It connects in the first call of [`Events::next`].
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn over(self, connector: impl Connector + 'static) -> Result<(Client, Events), Error> {
        let (requests, service) = self.build(Polling, connector)?;
        Ok((Client::new(requests), Events::new(service)?))
    }

    /// As [`start`](Self::start), with a thread of its own that serves the connection and gives each event to
    /// `handler`. The handler may make requests with the client that it is given, and keep it. What is due is sent
    /// between two events, so one event should not take longer than half of the keep alive.
    ///
    /// The thread ends once the client is stopped, as after [`disconnect`](super::Requests::disconnect), or if `handler`
    /// panics. Later requests then fail with [`Error::NotServed`].
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start); the system has no threads left.
    pub fn spawn(
        self,
        brokers: Brokers,
        mut handler: impl FnMut(&Client, Event<'_>) + Send + 'static,
    ) -> Result<Client, Error> {
        let (client, mut events) = self.to(brokers)?;
        let own = client.for_the_driver();
        in_background(move || {
            while let Some(event) = events.next() {
                handler(&own, event);
            }
        })?;
        Ok(client)
    }

    /// As [`spawn`](Self::spawn), with a queue of at most `most` events instead of a handler.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    pub fn spawn_queue(self, brokers: Brokers, most: usize) -> Result<(Client, EventQueue), Error> {
        let (client, mut events) = self.to(brokers)?;
        let (filling, queue) = queue(most);
        in_background(move || {
            while let Some(event) = events.next() {
                let mut event = event.to_owned();
                loop {
                    event = match filling.put(event, BETWEEN_SENDS) {
                        Filled::Yes => break,
                        Filled::Abandoned => return,
                        Filled::NotYet(event) => event,
                    };
                    events.keep_alive();
                }
            }
        })?;
        Ok((client, queue))
    }
}

/// While nobody takes events, what is due is sent this often.
const BETWEEN_SENDS: Duration = Duration::from_millis(250);

fn in_background(serve: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let spawned = thread::Builder::new().name("mqtt".into()).spawn(serve);
    spawned.map(drop).map_err(Error::of_this_program)
}
