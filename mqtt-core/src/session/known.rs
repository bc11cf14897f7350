//! What the client knows of its session at each of several brokers. [`brokers`](super::brokers) says what that is for.

/// The client's knowledge of its session at the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum AtBroker {
    /// The broker has no session for this client, or one that this client knows nothing of.
    None,
    /// The broker should have this session.
    Expected,
    /// The broker should have it. But it may have begun a new one and said so in a CONNACK that got lost, or that no
    /// record shows.
    Uncertain,
}

/// How many separate brokers can be told apart if sessions outlive connections: an id in the table of incoming messages
/// names its broker with three bits.
pub(crate) const MOST_BROKERS: u8 = 8;

/// Whether the endpoints share their sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Endpoints {
    /// Each is a broker with sessions of its own.
    Separate,
    /// They are nodes of one cluster.
    Cluster,
}

/// What the client knows of its session at a broker that is not its home.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Known(pub(super) u8);

impl Known {
    /// The broker should have the session.
    pub(super) const EXPECTED: u8 = 1;
    /// See [`AtBroker::Uncertain`].
    pub(super) const UNCERTAIN: u8 = 2;
    /// It may hold packet ids of the client's publishes.
    pub(super) const HOLDS_IDS: u8 = 4;
    /// The subscriptions have to be renewed there.
    pub(super) const RENEWAL_DUE: u8 = 8;
    /// Ids of its messages were forgotten: the session has to be ended.
    pub(super) const TO_BE_ENDED: u8 = 16;
    /// Connections on which the broker did not answer a PUBREL that reclaims an id. Two bits.
    pub(super) const ATTEMPTS_SHIFT: u8 = 5;
    const ATTEMPTS: u8 = 3;
    /// The client has ended the session, so the broker has none.
    pub(super) const ENDED: u8 = 128;

    pub(super) const NOTHING: Self = Self(0);

    pub(super) const fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }

    pub(super) const fn add(&mut self, flag: u8) {
        self.0 |= flag;
    }

    pub(super) const fn attempts(self) -> u8 {
        (self.0 >> Self::ATTEMPTS_SHIFT) & Self::ATTEMPTS
    }

    pub(super) const fn at_broker(self) -> AtBroker {
        if self.has(Self::UNCERTAIN) {
            AtBroker::Uncertain
        } else if self.has(Self::EXPECTED) {
            AtBroker::Expected
        } else {
            AtBroker::None
        }
    }
}

#[derive(Clone, Debug, Hash)]
pub(super) struct Brokers {
    endpoints: Endpoints,
    /// The broker that accepted the last connection.
    pub(super) home: u8,
    /// Of the home it says nothing, once the session there goes on or a new one has begun.
    known: [Known; MOST_BROKERS as usize],
}

impl Brokers {
    pub(super) const fn new(endpoints: Endpoints) -> Self {
        Self { endpoints, home: 0, known: [Known::NOTHING; MOST_BROKERS as usize] }
    }

    /// The broker behind `endpoint`.
    pub(super) const fn broker(&self, endpoint: u8) -> u8 {
        match self.endpoints {
            Endpoints::Separate => endpoint,
            Endpoints::Cluster => 0,
        }
    }

    /// The name of the home in the table of incoming messages.
    pub(super) const fn home(&self) -> u8 {
        self.home % MOST_BROKERS
    }

    pub(super) fn of(&self, broker: u8) -> Known {
        self.known.get(usize::from(broker % MOST_BROKERS)).copied().unwrap_or_default()
    }

    pub(super) fn set(&mut self, broker: u8, known: Known) {
        if let Some(place) = self.known.get_mut(usize::from(broker % MOST_BROKERS)) {
            *place = known;
        }
    }

    pub(super) fn add(&mut self, broker: u8, flag: u8) {
        let mut known = self.of(broker);
        known.add(flag);
        self.set(broker, known);
    }

    /// The subscriptions have changed here, and the sessions elsewhere do not have the new ones.
    pub(super) fn subscriptions_changed(&mut self) {
        for known in self.known.iter_mut().filter(|known| known.has(Known::EXPECTED)) {
            known.add(Known::RENEWAL_DUE);
        }
    }

    /// Whether there is more than one broker to speak of.
    pub(super) fn are_several(&self) -> bool {
        self.home != 0 || self.known.iter().any(|known| *known != Known::NOTHING)
    }

    /// For a record: the home, and what is known of each broker.
    pub(super) fn encode(&self) -> [u8; BROKERS_LEN] {
        let mut bytes = [self.home; BROKERS_LEN];
        for (byte, known) in bytes.iter_mut().skip(1).zip(self.known) {
            *byte = known.0;
        }
        bytes
    }

    /// Restores what a record says, if it says anything.
    pub(super) fn restore(&mut self, bytes: Option<[u8; BROKERS_LEN]>) {
        let [home, known @ ..] = bytes.unwrap_or_default();
        self.home = home;
        self.known = known.map(|byte| {
            let uncertain = if byte & Known::EXPECTED != 0 { Known::UNCERTAIN } else { 0 };
            Known(byte | uncertain)
        });
    }
}

/// Bytes of [`Brokers::encode`].
pub(super) const BROKERS_LEN: usize = 1 + MOST_BROKERS as usize;
