//! One session: a client, its socket, and the account of its messages.

use std::io::{self, ErrorKind};

use mio::Token;
use mqtt_core::{
    Action, ConfigError, ConnectionState, Filter, Instant, Options, Publish, QoS, RequestError,
    StaticClient, Topic,
    framer::{Framer, Rest},
};

use crate::{
    account::{Account, Payload},
    fleet::Shared,
    link::{self, Link},
};

/// Bytes for the CONNECT, the subscription and the messages under way.
const OUTBOX: usize = 512;

/// Requests under way.
const WINDOW: usize = 4;

type Client = StaticClient<OUTBOX, WINDOW>;

pub(crate) struct Session {
    client: Client,
    link: Link,
    rest: Rest,
    account: Account,
    /// The state that the fleet knows of.
    known: ConnectionState,
}

/// What a step of the loop did.
enum Step {
    /// Something: the client is asked again.
    Went,
    /// Nothing: the rest has to wait.
    Waits,
}

impl Session {
    pub(crate) fn new(options: &Options<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            client: Client::new_static(options)?,
            link: Link::default(),
            rest: Rest::new(),
            account: Account::default(),
            known: ConnectionState::Waiting,
        })
    }

    pub(crate) const fn state(&self) -> ConnectionState {
        self.client.state()
    }

    /// The state at the last call, and the present one.
    pub(crate) const fn change_of_state(&mut self) -> (ConnectionState, ConnectionState) {
        let before = self.known;
        self.known = self.client.state();
        (before, self.known)
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.client.deadline()
    }

    /// The selector says that something has changed.
    pub(crate) fn note(&mut self, event: &mio::event::Event) {
        self.link.note(event);
    }

    pub(crate) fn connect(&mut self) {
        self.client.connect();
    }

    pub(crate) fn disconnect(&mut self) {
        self.client.disconnect();
    }

    pub(crate) fn subscribe(&mut self, filter: Filter<'_>, qos: QoS) -> Result<(), RequestError> {
        self.client.subscribe(&[(filter, qos)]).map(drop)
    }

    /// Publishes the next message, also while the session is offline, unless its window is full.
    pub(crate) fn publish(&mut self, topic: Topic<'_>, qos: QoS, shared: &mut Shared) {
        let number = self.account.published;
        let payload = Payload { run: shared.run, number, at: shared.now.since_start }.to_bytes();
        match self.client.publish(&Publish::new(topic, &payload).qos(qos)) {
            Ok(_) => {
                self.account.published += 1;
                shared.figures.published += 1;
            }
            Err(_full) => shared.figures.held_back += 1,
        }
    }

    /// Does everything that can be done without waiting. The deadline may be another one afterwards.
    pub(crate) fn serve(&mut self, token: Token, shared: &mut Shared) {
        let Self { client, link, rest, account, .. } = self;
        let now = shared.now;
        let Shared { framer, figures, gate, registry, address, run, .. } = shared;
        // A transport that takes no bytes is offered them once more before the client gives it up.
        link.offer_again();
        let mut has_looked = false;
        rest.with(framer, |framer| {
            loop {
                loop {
                    match framer.take(|input| client.receive(input, now.instant)) {
                        Ok(Some(event)) => {
                            account.note(&event, *run, now.since_start, figures, gate)
                        }
                        Ok(None) => break,
                        // The next action is to close.
                        Err(_fatal) => break,
                    }
                }
                let step = match client.poll(now.instant) {
                    Action::Connect { .. } if gate.enter(token.0) => {
                        account.attempt(now.since_start, figures);
                        link.open(*address, registry, token).map(|()| Step::Went)
                    }
                    Action::Connect { .. } => {
                        client.defer_connect(Instant::FAR_FUTURE);
                        Ok(Step::Went)
                    }
                    Action::Close(_) => {
                        link.close();
                        framer.clear();
                        client.closed(now.instant);
                        Ok(Step::Went)
                    }
                    // There is no journal, and no source.
                    Action::Persist(_) | Action::TransmitFrom(_) => Ok(Step::Waits),
                    Action::Transmit(bytes) => match link.write(bytes) {
                        Ok(Some(count)) => {
                            client.transmitted(count, now.instant);
                            Ok(Step::Went)
                        }
                        Ok(None) => read(link, framer),
                        Err(error) => Err(error),
                    },
                    Action::Wait(until) if until <= now.instant && !has_looked => {
                        // Input is overdue. Only another look at the socket proves that it is missing.
                        has_looked = true;
                        link.look_again();
                        read(link, framer).map(|_| Step::Went)
                    }
                    Action::Wait(_) => match link.opens() {
                        Ok(true) => {
                            client.connected(now.instant);
                            Ok(Step::Went)
                        }
                        Ok(false) => read(link, framer),
                        Err(error) => Err(error),
                    },
                };
                match step {
                    Ok(Step::Went) => {}
                    Ok(Step::Waits) => break,
                    Err(error) => {
                        link.close();
                        framer.clear();
                        client.failed(link::fault(&error), now.instant);
                    }
                }
            }
        });
    }
}

/// Reads once.
fn read(link: &mut Link, framer: &mut Framer<Box<[u8]>>) -> io::Result<Step> {
    match link.read(framer.space())? {
        None => Ok(Step::Waits),
        Some(0) => Err(ErrorKind::UnexpectedEof.into()),
        Some(count) => {
            framer.filled(count);
            Ok(Step::Went)
        }
    }
}
