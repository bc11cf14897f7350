//! When to connect again, and to which broker. Both depend only on the number of attempts and on a seed.
//!
//! It is exponential back-off with a cap. Half of each delay is random, so that a thousand devices do not connect in
//! the same second after their broker restarted.
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

/// The full delay in milliseconds after the first round, if the first delay is 0. It doubles from here on.
const AFTER_NONE: u32 = 1_000;

/// When to connect again after a connection ended or could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Reconnect {
    first: u32,
    cap: u32,
    refused: u32,
    stable: u32,
    seed: u32,
    endpoints: u8,
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
            seed: 0,
            endpoints: 1,
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

    /// The seed of the random part: any number that differs between devices (a serial number, a random register).
    pub const fn seed(mut self, seed: u32) -> Self {
        self.seed = seed;
        self
    }

    /// The number of brokers. `Action::Connect` takes the next one in turn at each attempt. Default 1.
    pub const fn endpoints(mut self, count: u8) -> Self {
        self.endpoints = count;
        self
    }

    /// Milliseconds to wait before the next attempt, after `failures` failed ones; `None` if the application decides.
    #[must_use]
    pub const fn delay(&self, failures: u32) -> Option<u32> {
        if !self.on {
            return None;
        }
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
        Some(doubled - half + self.jitter(failures, half))
    }

    /// Milliseconds to wait if every broker has refused; at least those of [`Reconnect::delay`].
    pub(crate) fn delay_if_refused(&self, failures: u32) -> Option<u32> {
        let refused = self.refused.saturating_add(self.jitter(failures, self.refused / 2));
        self.delay(failures).map(|delay| delay.max(refused))
    }

    /// The broker of the next attempt, after `attempts` attempts; counted from 0.
    #[must_use]
    pub const fn endpoint(&self, attempts: u32) -> u8 {
        if self.endpoints < 2 {
            return 0;
        }
        (attempts % self.endpoints as u32) as u8
    }

    /// The number of brokers.
    pub(crate) const fn brokers(&self) -> u8 {
        if self.endpoints == 0 { 1 } else { self.endpoints }
    }

    pub(crate) const fn longest_delay(&self) -> u32 {
        self.cap
    }

    pub(crate) const fn stable_millis(&self) -> u32 {
        self.stable
    }

    /// A number from 0 to `most`, the same for the same seed and `failures` (the finaliser of MurmurHash3).
    const fn jitter(&self, failures: u32, most: u32) -> u32 {
        let mut hash = self.seed ^ failures.wrapping_mul(0x9E37_79B9);
        hash = (hash ^ (hash >> 16)).wrapping_mul(0x85EB_CA6B);
        hash = (hash ^ (hash >> 13)).wrapping_mul(0xC2B2_AE35);
        hash ^= hash >> 16;
        ((hash as u64 * (most as u64 + 1)) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::Reconnect;

    #[test]
    fn delays_double_up_to_the_cap() {
        let policy = Reconnect::after(100).at_most(1_000);
        for (failures, full) in [(0, 100), (1, 200), (2, 400), (3, 800), (4, 1_000), (31, 1_000)] {
            let delay = policy.delay(failures).unwrap_or(0);
            assert!(delay >= full / 2 && delay <= full, "{failures}: {delay}");
        }
        assert!(policy.delay(u32::MAX).is_some_and(|delay| delay <= 1_000));
    }

    #[test]
    fn delays_that_begin_with_none_grow_from_a_second_on() {
        let policy = Reconnect::after(0).at_most(5_000);
        for (failures, full) in
            [(0, 0), (1, 1_000), (2, 2_000), (3, 4_000), (4, 5_000), (99, 5_000)]
        {
            let delay = policy.delay(failures).unwrap_or(9_999);
            assert!(delay >= full / 2 && delay <= full, "{failures}: {delay}");
        }
        assert!(Reconnect::after(0).at_most(10).delay(7).is_some_and(|delay| delay <= 10));
    }

    #[test]
    fn delays_double_after_each_round_over_the_brokers() {
        let policy = Reconnect::after(100).at_most(1_000).endpoints(3);
        let full = [100, 100, 100, 200, 100, 100, 400, 100, 100, 800, 100, 100, 1_000, 100, 100];
        for (failures, full) in (0..).zip(full) {
            let delay = policy.delay(failures).unwrap_or(0);
            assert!(delay >= full / 2 && delay <= full, "{failures}: {delay}");
        }
        let at_once = Reconnect::after(0).endpoints(2);
        let delays = [0, 1, 3, 5].map(|failures| at_once.delay(failures));
        assert_eq!(delays, [Some(0); 4]);
        assert!(at_once.delay(4).is_some_and(|delay| (1_000..=2_000).contains(&delay)));
    }

    #[test]
    fn after_refusals_the_delay_is_at_least_the_one_set_and_saturates() {
        let policy = Reconnect::after(100).at_most(1_000).refused_after(10_000);
        for failures in [0, 1, 9, u32::MAX] {
            let delay = policy.delay_if_refused(failures).unwrap_or(0);
            assert!((10_000..=15_000).contains(&delay), "{delay}");
        }
        let never = policy.refused_after(u32::MAX).delay_if_refused(0);
        assert_eq!(never, Some(u32::MAX));
        assert!(policy.refused_after(0).delay_if_refused(9).is_some_and(|delay| delay >= 500));
        assert_eq!(Reconnect::never().delay_if_refused(0), None);
    }

    #[test]
    fn two_seeds_give_two_delays() {
        let delay = |seed| Reconnect::after(60_000).seed(seed).delay(0);
        assert_ne!(delay(1), delay(2));
        assert_eq!(delay(1), delay(1));
    }

    #[test]
    fn endpoints_take_turns() {
        let policy = Reconnect::after(1).endpoints(3);
        let turns = [0, 1, 2, 3, 4].map(|attempt| policy.endpoint(attempt));
        assert_eq!(turns, [0, 1, 2, 0, 1]);
        assert_eq!(Reconnect::after(1).endpoints(0).endpoint(9), 0);
    }
}
