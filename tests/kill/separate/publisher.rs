//! Publishes numbered messages over two brokers, and keeps account of the events.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use mqtt_core::{
    Event, Handle, QoS, RequestError,
    driver::blocking::{self, Client, Config, Events},
};

use crate::{
    Error, PATIENCE, message,
    publisher::{ID, options},
};

/// How long to wait for an event, if more may be published soon.
const SHORT: Duration = Duration::from_millis(1);

/// What was told of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Published,
    Lost,
}

/// Everything that the client told.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    /// Of each message, by number.
    pub(super) told: Vec<Told>,
    /// Connections to another broker than the last one.
    pub(super) moves: u64,
    /// How often the client gave up reclaiming packet ids.
    pub(super) not_reclaimed: u64,
}

/// The publisher, on a thread of its own.
pub(super) struct Publisher {
    thread: JoinHandle<Result<Account, Error>>,
    accepted: Arc<AtomicU64>,
}

impl Publisher {
    /// Starts it. It publishes no more than `allowed` messages, and ends after `messages`.
    pub(super) fn start(
        brokers: [SocketAddr; 2],
        messages: u64,
        allowed: Arc<AtomicU64>,
    ) -> Result<Self, Error> {
        let brokers = brokers.map(|broker| broker.to_string());
        let brokers = brokers.each_ref().map(String::as_str);
        let (client, events) = Config::new(&options(ID)).start(&brokers)?;
        let accepted = Arc::new(AtomicU64::new(0));
        let work = Work {
            client,
            events,
            messages,
            allowed,
            accepted: Arc::clone(&accepted),
            under_way: HashMap::new(),
            told: HashMap::new(),
            account: Account::default(),
            broker: None,
        };
        Ok(Self { thread: thread::spawn(|| work.run()), accepted })
    }

    /// How many messages the client has accepted.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst)
    }

    pub(super) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until something was told of each message.
    pub(super) fn finish(self) -> Result<Account, Error> {
        self.thread.join().map_err(|_| Error::Run("the publishing thread panicked".into()))?
    }
}

struct Work {
    client: Client,
    events: Events,
    messages: u64,
    allowed: Arc<AtomicU64>,
    accepted: Arc<AtomicU64>,
    under_way: HashMap<Handle, u64>,
    told: HashMap<u64, Told>,
    account: Account,
    broker: Option<u8>,
}

impl Work {
    fn run(mut self) -> Result<Account, Error> {
        let mut progress = Instant::now();
        while (self.told.len() as u64) < self.messages {
            let before = (self.told.len(), self.accepted.load(Ordering::SeqCst));
            self.publish()?;
            self.hear()?;
            if before != (self.told.len(), self.accepted.load(Ordering::SeqCst)) {
                progress = Instant::now();
            } else if progress.elapsed() > PATIENCE {
                let told = self.told.len();
                return Err(Error::Run(format!("nothing was told after {told} messages")));
            }
        }
        self.client.disconnect();
        while self.events.next().is_some() {}
        let told = (0..self.messages).filter_map(|number| self.told.remove(&number));
        self.account.told = told.collect();
        Ok(self.account)
    }

    /// Publishes as much as is allowed and finds room.
    fn publish(&mut self) -> Result<(), Error> {
        loop {
            let number = self.accepted.load(Ordering::SeqCst);
            if number >= self.allowed.load(Ordering::SeqCst) {
                return Ok(());
            }
            let (topic, payload) = (topic(number), message::payload(in_topic(number)));
            match self.client.publish(&topic, &payload, QoS::ExactlyOnce, false) {
                Ok(handle) => self.under_way.insert(handle, number),
                Err(blocking::Error::Request(
                    RequestError::WindowFull { .. } | RequestError::OutboxFull { .. },
                )) => {
                    return Ok(());
                }
                Err(error) => return Err(Error::Request { what: "publish", error }),
            };
            self.accepted.store(number + 1, Ordering::SeqCst);
        }
    }

    /// Takes the events that have come.
    #[expect(clippy::wildcard_enum_match_arm, reason = "others are of no interest")]
    fn hear(&mut self) -> Result<(), Error> {
        let mut wait = SHORT;
        while let Some(event) = self.events.next_timeout(wait) {
            wait = Duration::ZERO;
            let (handle, told) = match event {
                Event::Published(handle) => (handle, Told::Published),
                Event::Lost(handle) => (handle, Told::Lost),
                Event::Up { endpoint, .. } => {
                    let moved = self.broker.replace(endpoint).is_some_and(|last| last != endpoint);
                    self.account.moves += u64::from(moved);
                    continue;
                }
                Event::NotReclaimed => {
                    self.account.not_reclaimed += 1;
                    continue;
                }
                Event::Downgraded(_) | Event::Cancelled { .. } | Event::GivenUp(_) => {
                    return Err(Error::Run(format!("the publisher was told {event:?}")));
                }
                _ => continue,
            };
            let Some(number) = self.under_way.remove(&handle) else {
                return Err(Error::Run(format!("{told:?} was told of no message under way")));
            };
            self.told.insert(number, told);
        }
        Ok(())
    }
}

/// The number in the topic: the even ones have QoS 2.
pub(super) const fn in_topic(number: u64) -> u64 {
    2 * number
}

fn topic(number: u64) -> String {
    message::topic(in_topic(number))
}
