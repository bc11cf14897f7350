//! The attempts to connect after a loss of links: do they come all at once?

use std::{fmt, time::Duration};

/// Longer outages are not counted to their end.
const LONGEST: usize = 600_000;

/// The attempts of one outage, which begins when the first link is lost and ends when all sessions are up.
pub(crate) struct Outage {
    /// When it began, since the start of the program.
    began: Duration,
    /// Sessions that lost their link.
    losses: u32,
    /// Attempts in each millisecond.
    attempts: Vec<u32>,
}

impl Outage {
    pub(crate) const fn new(began: Duration) -> Self {
        Self { began, losses: 0, attempts: Vec::new() }
    }

    pub(crate) const fn began(&self) -> Duration {
        self.began
    }

    /// A session has lost its link.
    pub(crate) const fn lose(&mut self) {
        self.losses += 1;
    }

    /// A session begins an attempt.
    pub(crate) fn attempt(&mut self, at: Duration) {
        let millis = at.saturating_sub(self.began).as_millis();
        let millis = usize::try_from(millis).unwrap_or(usize::MAX).min(LONGEST);
        if self.attempts.len() <= millis {
            self.attempts.resize(millis + 1, 0);
        }
        if let Some(count) = self.attempts.get_mut(millis) {
            *count += 1;
        }
    }

    /// The most attempts within so many milliseconds in a row.
    fn most_within(&self, millis: usize) -> u32 {
        let mut within = 0;
        let mut most = 0;
        let left = std::iter::repeat_n(0, millis).chain(self.attempts.iter().copied());
        for (entering, leaving) in self.attempts.iter().zip(left) {
            within = within + entering - leaving;
            most = most.max(within);
        }
        most
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: u32 = self.attempts.iter().sum();
        let (milli, tenth) = (self.most_within(1), self.most_within(100));
        let share = f64::from(tenth) * 100.0 / f64::from(self.losses.max(1));
        write!(
            f,
            "{} lost their link; {all} attempts, most in 1 ms {milli}, in 100 ms {tenth} ({share:.0} % of them)",
            self.losses
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outage(attempts: &[u64]) -> Outage {
        let mut outage = Outage::new(Duration::from_secs(1));
        for millis in attempts {
            outage.lose();
            outage.attempt(Duration::from_millis(1_000 + millis));
        }
        outage
    }

    #[test]
    fn the_most_attempts_within_a_time_are_found_wherever_they_are() {
        let outage = outage(&[0, 0, 50, 199, 200, 250, 298, 299]);
        assert_eq!([1, 100, 1_000].map(|millis| outage.most_within(millis)), [2, 4, 8]);
    }

    #[test]
    fn an_outage_without_an_attempt_has_none() {
        assert_eq!(Outage::new(Duration::ZERO).most_within(100), 0);
    }

    #[test]
    fn the_share_is_that_of_the_sessions_that_lost_their_link() {
        let text = outage(&[0, 500, 550, 900]).to_string();
        let told = "4 lost their link; 4 attempts, most in 1 ms 1, in 100 ms 2 (50 % of them)";
        assert_eq!(text, told);
    }

    #[test]
    fn an_endless_outage_takes_bounded_memory() {
        let mut outage = Outage::new(Duration::ZERO);
        outage.attempt(Duration::MAX);
        assert_eq!((outage.attempts.len(), outage.most_within(100)), (LONGEST + 1, 1));
    }
}
