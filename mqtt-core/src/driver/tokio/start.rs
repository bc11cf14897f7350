//! The start of a client for tasks.

use super::{Brokers, Client, Config, Connector, Error, Events, source::Reactor};

impl Client {
    /// Connects to the first of `brokers` that accepts the connection, and waits for it. For what can be written see
    /// [`Address`](crate::driver::address::Address): `host:port`, or a URL. After a broken connection the client tries
    /// the brokers in turn. They are separate brokers, each with a session of its own, unless `Options::cluster` says
    /// that they are a cluster.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), or, if no broker accepted the connection, why the last one did not.
    pub async fn connect(config: Config<'_>, brokers: &[&str]) -> Result<(Self, Events), Error> {
        let (client, mut events) = Self::start(config, brokers)?;
        events.await_up(brokers.len()).await?;
        Ok((client, events))
    }

    /// As [`connect`](Self::connect), but does not wait for the broker: the client connects while [`Events`] is polled,
    /// and requests that are accepted before that are sent once it is connected. For devices that start offline.
    ///
    /// # Errors
    ///
    /// [`Error::Address`], [`Error::Config`], [`Error::NoJournal`], [`Error::Journal`], [`Error::Restore`], and
    /// [`Error::Io`] outside of a tokio runtime.
    ///
    /// # Panics
    ///
    /// [`Events`] panics if the runtime was built without IO or without time: see `Builder::enable_all` of tokio.
    pub fn start(config: Config<'_>, brokers: &[&str]) -> Result<(Self, Events), Error> {
        Self::to(config, Brokers::new(brokers)?)
    }

    /// As [`start`](Self::start), with the options of `brokers`. If the options have no login, that of the first address
    /// that has one is taken.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn to(config: Config<'_>, brokers: Brokers) -> Result<(Self, Events), Error> {
        let (requests, service) = config.build_to(Reactor::current()?, brokers)?;
        Ok((Self::new(requests), Events::new(service)))
    }

    /// A client over transports that `connector` opens, in a thread of its own for each attempt.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn over(
        config: Config<'_>,
        connector: impl Connector + 'static,
    ) -> Result<(Self, Events), Error> {
        let (requests, service) = config.build(Reactor::current()?, connector)?;
        Ok((Self::new(requests), Events::new(service)))
    }
}
