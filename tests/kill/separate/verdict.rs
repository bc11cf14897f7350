//! Compares the messages that arrived at the brokers with the events of the publisher.

use std::collections::HashMap;

use mqtt_examples::print;

use super::publisher::{Account, Told, in_topic};
use crate::{
    evidence::Evidence,
    report::SHOWN,
    verdict::{Anomaly, Kind},
};

/// The sum of a part.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdict {
    pub(super) messages: u64,
    pub(super) account: Account,
    pub(super) published: u64,
    pub(super) lost: u64,
    /// Messages that were told as lost, and have arrived.
    pub(super) lost_and_arrived: u64,
    anomalies: Vec<Anomaly>,
}

impl Verdict {
    /// Compares the lines `received` at each broker with everything that was told.
    pub(super) fn new(
        messages: u64,
        account: &Account,
        received: &[Vec<String>],
        evidence: &[Evidence],
    ) -> Self {
        let mut verdict = Self { messages, account: account.clone(), ..Self::default() };
        let told = |number: u64| account.told.get(usize::try_from(number / 2).ok()?).copied();
        // How often each message arrived at each broker.
        let mut arrivals: HashMap<u64, Vec<u64>> = HashMap::new();
        for (site, lines) in received.iter().enumerate() {
            let mut highest = None;
            for line in lines {
                let number: Option<u64> = line.parse().ok();
                let Some((number, told)) = number.and_then(|n| Some((n, told(n)?))) else {
                    verdict.add(Kind::Foreign, format!("{line:?} was not published"), None);
                    continue;
                };
                let counts = arrivals.entry(number).or_insert_with(|| vec![0; received.len()]);
                let Some(count) = counts.get_mut(site) else { continue };
                *count += 1;
                // A lost message arrives when the broker is told to let it go: at any time.
                if *count > 1 || told == Told::Lost {
                    continue;
                }
                match highest {
                    Some(later) if later > number => {
                        let why = evidence.get(site).and_then(|of| of.of_disorder(number, later));
                        verdict.add(Kind::Disorder, format!("{number} came behind {later}"), why);
                    }
                    _ => highest = Some(number),
                }
            }
        }
        for (number, told) in (0..).map(in_topic).zip(&account.told) {
            let counts = arrivals.remove(&number).unwrap_or_default();
            let arrived: u64 = counts.iter().sum();
            match told {
                Told::Published => verdict.published += 1,
                Told::Lost => {
                    verdict.lost += 1;
                    verdict.lost_and_arrived += u64::from(arrived > 0);
                }
            }
            if *told == Told::Published && arrived == 0 {
                let why = evidence.iter().find_map(|of| of.of_lost(number));
                verdict.add(Kind::Lost, format!("{number} was told as published"), why);
            }
            if arrived > 1 {
                let twice_at_one = counts.iter().zip(evidence).find(|(count, _)| **count > 1);
                let why = twice_at_one.and_then(|(_, of)| of.of_doubled(number));
                verdict.add(Kind::Doubled, format!("{number} came {counts:?} times"), why);
            }
        }
        // Missing messages first.
        verdict.anomalies.sort_by_key(|anomaly| anomaly.kind != Kind::Lost);
        let untold = messages - account.told.len() as u64;
        if untold > 0 {
            verdict.add(Kind::Lost, format!("nothing was told of {untold} messages"), None);
        }
        verdict
    }

    fn add(&mut self, kind: Kind, what: String, by_broker: Option<String>) {
        self.anomalies.push(Anomaly { kind, what, by_broker });
    }

    /// Missing, doubled and out of order.
    pub(super) fn counts(&self) -> [usize; 3] {
        [Kind::Lost, Kind::Doubled, Kind::Disorder]
            .map(|kind| self.anomalies.iter().filter(|anomaly| anomaly.kind == kind).count())
    }

    /// How many anomalies no broker is to blame for.
    pub(super) fn blamed(&self) -> usize {
        self.anomalies.iter().filter(|anomaly| anomaly.by_broker.is_none()).count()
    }

    pub(super) fn is_right(&self) -> bool {
        self.blamed() == 0
    }

    /// Prints some of the anomalies. Returns how many of them are the brokers'.
    pub(super) fn print(&self) -> usize {
        let (by_broker, by_client): (Vec<_>, Vec<_>) =
            self.anomalies.iter().partition(|anomaly| anomaly.by_broker.is_some());
        for anomaly in by_broker.iter().take(SHOWN) {
            let why = anomaly.by_broker.as_deref().unwrap_or_default();
            print::line(&format!("  Mosquitto's: {}: {why}", anomaly.what));
        }
        if by_broker.len() > SHOWN {
            print::line(&format!("  and {} more, each with its evidence", by_broker.len() - SHOWN));
        }
        for anomaly in by_client.iter().take(SHOWN) {
            print::line(&format!("  FAILED: {}: the logs do not say why", anomaly.what));
        }
        if self.account.not_reclaimed > 0 {
            print::line(&format!("  NotReclaimed: {} times", self.account.not_reclaimed));
        }
        by_broker.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: Told = Told::Published;
    const L: Told = Told::Lost;

    fn kinds(told: &[Told], received: [&[&str]; 2]) -> Vec<Kind> {
        let account = Account { told: told.to_vec(), ..Account::default() };
        let received = received.map(|lines| lines.iter().map(ToString::to_string).collect());
        let evidence = [Evidence::default(), Evidence::default()];
        let messages = told.len() as u64;
        let verdict = Verdict::new(messages, &account, &received, &evidence);
        verdict.anomalies.iter().map(|anomaly| anomaly.kind).collect()
    }

    #[test]
    fn a_published_message_has_to_be_at_one_of_the_brokers() {
        assert_eq!(kinds(&[P, P], [&["0"], &["2"]]), []);
        assert_eq!(kinds(&[P, P], [&["0"], &[]]), [Kind::Lost]);
        assert_eq!(kinds(&[P, P], [&["0", "2"], &["2"]]), [Kind::Doubled]);
        assert_eq!(kinds(&[P, P], [&["0", "0", "2"], &[]]), [Kind::Doubled]);
        assert_eq!(kinds(&[P, P], [&["2", "0"], &[]]), [Kind::Disorder]);
    }

    #[test]
    fn a_lost_message_may_be_anywhere_but_not_twice() {
        assert_eq!(kinds(&[L, P], [&["2"], &[]]), []);
        assert_eq!(kinds(&[L, P], [&["2", "0"], &[]]), []);
        assert_eq!(kinds(&[L, P], [&["2", "0"], &["0"]]), [Kind::Doubled]);
    }

    #[test]
    fn a_message_that_nobody_published_is_foreign() {
        assert_eq!(kinds(&[P], [&["0", "2"], &["x"]]), [Kind::Foreign, Kind::Foreign]);
    }
}
