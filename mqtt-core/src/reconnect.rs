//! When to connect again, and to which broker. Both depend only on the number of attempts and on a seed.
//!
//! It is exponential back-off with a cap. Half of each delay is random, so that a thousand devices do not connect in
//! the same second after their broker restarted.
//!
//! A fleet of clients needs [`Reconnect::seed`], and more so the larger it is: without it all clients draw the same
//! numbers and connect in the same moment. [`Reconnect::first_within`] spreads their start, and
//! [`Reconnect::shuffle_endpoints`] spreads them over the brokers.
//!
//! With several brokers the back-off counts rounds: each broker is asked once in a round. So each of them sees as many
//! attempts as a single broker would, and one that is up is found soon, however many of the others are down.
//!
//! ```
//! use mqtt_core::Reconnect;
//!
//! let policy = Reconnect::after(1_000).at_most(60_000).seed(7);
//! let delay = policy.delay(3).unwrap();
//! assert!((4_000..=8_000).contains(&delay));
//! assert!(policy.delay(40).unwrap() <= 60_000);
//! assert_eq!(Reconnect::never().delay(0), None);
//! ```

use core::num::NonZeroU32;

/// The full delay in milliseconds after the first round, if the first delay is 0. It doubles from here on.
const AFTER_NONE: u32 = 1_000;

/// What a random number is for. Those for delays are counted from 0, by failures.
const FIRST_DELAY: u32 = 1 << 30;
/// Below this number, one for each turn.
const ORDER: u32 = 1 << 31;

/// When to connect again after a connection ended or could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Reconnect {
    first: u32,
    cap: u32,
    refused: u32,
    stable: u32,
    first_within: u32,
    return_after: u32,
    /// `None` if no seed was given: then it is 0.
    seed: Option<NonZeroU32>,
    endpoints: u8,
    shuffles: bool,
    prefers_first: bool,
    on: bool,
}

impl Reconnect {
    /// The client connects again: after `millis` milliseconds at first, then after twice as long each time. Up to half
    /// of each delay is taken off at random.
    ///
    /// The delay is at most two minutes, or the value of [`Reconnect::at_most`]. If `millis` is 0, the first attempt
    /// follows at once, and the delays grow from 1,000 on.
    ///
    /// With several brokers it doubles after each round over all of them, and within a round the first delay is used.
    /// So if one of `n` brokers is up, it is reached after at most `n` first delays and the time that the failed
    /// attempts take. In a longer failure of all brokers the delay of one round comes on top.
    pub const fn after(millis: u32) -> Self {
        Self {
            first: millis,
            cap: 120_000,
            refused: 300_000,
            stable: 30_000,
            first_within: 0,
            return_after: 0,
            seed: None,
            endpoints: 1,
            shuffles: false,
            prefers_first: false,
            on: true,
        }
    }

    /// The client does not connect again. The application gets the reason and calls `Client::connect` if it wants to.
    pub const fn never() -> Self {
        Self { on: false, ..Self::after(0) }
    }

    /// The longest delay, in milliseconds.
    pub const fn at_most(mut self, millis: u32) -> Self {
        self.cap = millis;
        self
    }

    /// The least delay after a refusal that a retry seldom mends, in milliseconds: a wrong login, a client that is not
    /// authorised, a rejected client id, or a version of the protocol that the broker does not speak. Default 300,000.
    ///
    /// Up to half of it is added at random. With several brokers the others are asked first, with the usual delays;
    /// this delay follows once all of them have refused. The application hears of each refusal by `Event::Down`, and
    /// can call `Client::connect` if it knows better. Only a new client has another login or client id.
    ///
    /// A broker that is unavailable for now is asked again with the usual delays.
    pub const fn refused_after(mut self, millis: u32) -> Self {
        self.refused = millis;
        self
    }

    /// The time in milliseconds after which a connection is stable: then the back-off starts again at its first delay.
    /// It does so as well if the application ends a connection. Default 30,000.
    pub const fn stable_after(mut self, millis: u32) -> Self {
        self.stable = millis;
        self
    }

    /// The longest delay of the very first attempt, in milliseconds: a random part of it, from the seed. Default 0, at
    /// once.
    ///
    /// It is for a fleet whose devices start together, after a power failure or an update. `Client::connect` does not
    /// wait for it.
    pub const fn first_within(mut self, millis: u32) -> Self {
        self.first_within = millis;
        self
    }

    /// The seed of everything random: a number that differs between the clients of a fleet, such as a serial number, a
    /// hardware address or a register of random bits. Consecutive numbers are good enough.
    ///
    /// **Without it all clients draw the same numbers**, because the library has no source of random ones. After their broker
    /// restarted, they connect in the same moment, and again after each delay.
    /// `driver::blocking` draws a seed from the operating system if none is given; see `Options::default_seed` for
    /// other drivers.
    pub const fn seed(mut self, seed: u32) -> Self {
        self.seed = Some(match NonZeroU32::new(seed) {
            Some(seed) => seed,
            None => NonZeroU32::MAX,
        });
        self
    }

    /// As [`Reconnect::seed`], if no seed was given.
    pub(crate) const fn default_seed(self, seed: u32) -> Self {
        if self.seed.is_some() { self } else { self.seed(seed) }
    }

    /// The number of brokers. `Action::Connect` takes the next one in turn at each attempt. Default 1.
    ///
    /// They are separate brokers, each with a session of its own, unless `Options::cluster` says that they are a
    /// cluster.
    pub const fn endpoints(mut self, count: u8) -> Self {
        self.endpoints = count;
        self
    }

    /// Whether each client has an order of the brokers of its own, from the seed; off by default: all clients begin
    /// with broker 0 and go on by one.
    ///
    /// It is for brokers that are alike, such as the nodes of a cluster. A fleet then spreads over them evenly, and if
    /// one of them fails, its clients spread evenly over all the others. Without it they all go to the next one.
    pub const fn shuffle_endpoints(mut self, on: bool) -> Self {
        self.shuffles = on;
        self
    }

    /// Whether the first broker is preferred; off by default: after each connection the next broker has its turn.
    ///
    /// If it is on, the turns begin again with the first broker once a [stable](Self::stable_after) connection to any
    /// broker has ended. The first one is broker 0, or with [`Reconnect::shuffle_endpoints`] the first in this client's
    /// order.
    pub const fn prefer_first(mut self, on: bool) -> Self {
        self.prefers_first = on;
        self
    }

    /// The time in milliseconds after which the client leaves another broker to go back to the first one. Default 0,
    /// never. It is at least that of [`Reconnect::stable_after`]. Usually [`Reconnect::prefer_first`] is on as well.
    ///
    /// The client sends a DISCONNECT, so the broker does not publish the will, and connects to the first broker at
    /// once. The application hears of it by `Reason::Returning`. If the first broker does not accept the connection,
    /// the client connects to the broker that it has left, at once and without a back-off, and tries again only after
    /// the same time. Meanwhile it is offline: for one attempt, up to `Options::connect_timeout` if the first broker is
    /// dead.
    ///
    /// The client leaves at a quiet moment: all requests that were sent are answered, and so are all messages. It looks
    /// for one ten times a second. If it has found none after five seconds, it holds new requests back, and they go out
    /// on the next connection. After ten seconds it leaves anyway. As after any broken connection, unanswered requests
    /// then stay in the session, or end as `Event::Lost`. It does not leave while a message comes in pieces, while
    /// subscriptions are renewed, or while the packet ids of a session that was found are reclaimed.
    pub const fn return_after(mut self, millis: u32) -> Self {
        self.return_after = millis;
        self
    }

    /// Milliseconds to wait before the next attempt, after `failures` failed ones; `None` if the application decides.
    #[must_use]
    pub const fn delay(&self, failures: u32) -> Option<u32> {
        if self.on { Some(self.pause(failures, false)) } else { None }
    }

    /// As [`Reconnect::delay`]; longer if every broker has `refused`.
    pub(crate) const fn pause(&self, failures: u32, refused: bool) -> u32 {
        let brokers = self.brokers() as u32;
        // Within a round the next broker is asked after the first delay.
        let round = if failures % brokers == 0 { failures / brokers } else { 0 };
        let (base, doublings) = match round {
            1.. if self.first == 0 => (AFTER_NONE, round - 1),
            _ => (self.first, round),
        };
        let doubled = match base.checked_mul(1 << if doublings < 31 { doublings } else { 31 }) {
            Some(delay) if delay < self.cap => delay,
            Some(_) | None => self.cap,
        };
        let half = doubled / 2;
        let pause = doubled - half + self.jitter(failures, half);
        if refused {
            let refused = self.refused.saturating_add(self.jitter(failures, self.refused / 2));
            if refused > pause {
                return refused;
            }
        }
        pause
    }

    /// Whether the client connects again by itself.
    pub(crate) const fn is_on(&self) -> bool {
        self.on
    }

    /// The broker of the next attempt, after `attempts` attempts; counted from 0.
    #[must_use]
    pub const fn endpoint(&self, attempts: u32) -> u8 {
        self.endpoint_at((attempts % self.brokers() as u32) as u8)
    }

    /// The broker at `turn` of a round: with [`Reconnect::shuffle_endpoints`] the one that is drawn then, if none is put
    /// back.
    pub(crate) const fn endpoint_at(&self, turn: u8) -> u8 {
        let mut position = turn as u32;
        let mut draws = if self.shuffles { position + 1 } else { 0 };
        // A draw is a position among the brokers that are left. From the last draw back to the first, it becomes the
        // position among those that were left one draw before.
        while draws != 0 {
            let drawn = self.jitter(ORDER - draws, self.brokers() as u32 - draws);
            draws -= 1;
            if draws == turn as u32 {
                position = drawn;
            } else if position >= drawn {
                position += 1;
            }
        }
        position as u8
    }

    /// Milliseconds to wait before the very first attempt.
    pub(crate) const fn first_delay(&self) -> u32 {
        self.jitter(FIRST_DELAY, self.first_within)
    }

    pub(crate) const fn prefers_first(&self) -> bool {
        self.prefers_first
    }

    /// Milliseconds from the time when a connection is stable to the return to the first broker; `None` if the client
    /// does not return.
    pub(crate) const fn return_delay(&self) -> Option<u32> {
        if self.on && self.return_after != 0 {
            Some(self.return_after.saturating_sub(self.stable))
        } else {
            None
        }
    }

    /// The number of brokers.
    pub(crate) const fn brokers(&self) -> u8 {
        if self.endpoints == 0 { 1 } else { self.endpoints }
    }

    /// The seed; 0 if none was given.
    pub(crate) const fn seed_value(&self) -> u32 {
        match self.seed {
            Some(seed) => seed.get(),
            None => 0,
        }
    }

    pub(crate) const fn longest_delay(&self) -> u32 {
        self.cap
    }

    pub(crate) const fn stable_millis(&self) -> u32 {
        self.stable
    }

    /// A number from 0 to `most`, the same for the same seed and `purpose` (the finaliser of MurmurHash3).
    #[inline(never)] // for less flash
    const fn jitter(&self, purpose: u32, most: u32) -> u32 {
        let mut hash = self.seed_value() ^ purpose.wrapping_mul(0x9E37_79B9);
        hash = (hash ^ (hash >> 16)).wrapping_mul(0x85EB_CA6B);
        hash = (hash ^ (hash >> 13)).wrapping_mul(0xC2B2_AE35);
        hash ^= hash >> 16;
        ((hash as u64 * (most as u64 + 1)) >> 32) as u32
    }
}

#[cfg(test)]
mod tests;
