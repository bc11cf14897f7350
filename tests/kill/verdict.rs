//! Compares the messages that arrived with those that were published.

use std::collections::HashMap;

use mqtt_core::QoS;

use crate::{evidence::Evidence, message};

/// How a delivery broke its promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Lost,
    /// At QoS 2 only; at QoS 1 it is allowed.
    Doubled,
    /// It came after a message that was published later.
    Disorder,
    /// It was not published, or not like this.
    Foreign,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Anomaly {
    pub(crate) kind: Kind,
    pub(crate) what: String,
    /// How the broker caused it, if it did.
    pub(crate) by_broker: Option<String>,
}

impl Anomaly {
    /// Whether no client is to blame. As long as the broker is not killed, it has to be right as well.
    pub(crate) fn is_excused(&self, broker_was_killed: bool) -> bool {
        broker_was_killed && self.by_broker.is_some()
    }
}

/// The sum of a round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    /// Messages published at QoS 1 and at QoS 2.
    pub(crate) published: [u64; 2],
    /// Arrivals of QoS 1 beyond the first.
    pub(crate) repeated: u64,
    pub(crate) anomalies: Vec<Anomaly>,
}

impl Verdict {
    /// Compares the lines `received` with the numbers below `accepted`.
    pub(crate) fn new(accepted: u64, received: &str, evidence: &Evidence) -> Self {
        let mut verdict =
            Self { published: [accepted / 2, accepted.div_ceil(2)], ..Self::default() };
        let mut arrivals: HashMap<u64, u64> = HashMap::new();
        // The highest numbers so far.
        let (mut at_least_once, mut exactly_once) = (None, None);
        for line in received.lines() {
            let Some(number) = line.parse().ok().filter(|number| *number < accepted) else {
                verdict.add(Kind::Foreign, format!("{line:?} was not published"), None);
                continue;
            };
            let count = arrivals.entry(number).or_default();
            *count += 1;
            if *count > 1 {
                continue;
            }
            let is_exactly_once = message::qos_of(number) == QoS::ExactlyOnce;
            let highest = if is_exactly_once { &mut exactly_once } else { &mut at_least_once };
            match *highest {
                Some(later) if later > number => {
                    let why = evidence.of_disorder(number, later);
                    verdict.add(Kind::Disorder, format!("{number} came behind {later}"), why);
                }
                _ => *highest = Some(number),
            }
        }
        for number in 0..accepted {
            let is_exactly_once = message::qos_of(number) == QoS::ExactlyOnce;
            match arrivals.get(&number).copied().unwrap_or(0) {
                0 => {
                    let why = evidence.of_lost(number);
                    verdict.add(Kind::Lost, format!("{number} did not come"), why);
                }
                1 => {}
                count if is_exactly_once => {
                    let why = evidence.of_doubled(number);
                    verdict.add(Kind::Doubled, format!("{number} came {count} times"), why);
                }
                count => verdict.repeated += count - 1,
            }
        }
        verdict
    }

    fn add(&mut self, kind: Kind, what: String, by_broker: Option<String>) {
        self.anomalies.push(Anomaly { kind, what, by_broker });
    }

    /// Adds another round.
    pub(crate) fn merge(&mut self, other: Self) {
        for (sum, more) in self.published.iter_mut().zip(other.published) {
            *sum += more;
        }
        self.repeated += other.repeated;
        self.anomalies.extend(other.anomalies);
    }

    /// How many anomalies of that kind there are.
    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.anomalies.iter().filter(|anomaly| anomaly.kind == kind).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(accepted: u64, received: &str) -> Vec<Kind> {
        let verdict = Verdict::new(accepted, received, &Evidence::default());
        verdict.anomalies.iter().map(|anomaly| anomaly.kind).collect()
    }

    #[test]
    fn each_message_once_and_in_order_is_right() {
        assert_eq!(kinds(4, "0\n1\n2\n3\n"), []);
        assert_eq!(kinds(4, "1\n3\n0\n2\n"), [], "in order at each QoS");
        assert_eq!(kinds(4, "0\n1\n3\n1\n2\n"), [], "QoS 1 may come twice");
    }

    #[test]
    fn lost_doubled_disordered_and_foreign_messages_are_anomalies() {
        assert_eq!(kinds(4, "0\n1\n3\n"), [Kind::Lost]);
        assert_eq!(kinds(4, "0\n1\n2\n2\n3\n"), [Kind::Doubled]);
        assert_eq!(kinds(4, "2\n0\n1\n3\n"), [Kind::Disorder]);
        assert_eq!(kinds(4, "0\n3\n1\n2\n"), [Kind::Disorder]);
        assert_eq!(kinds(2, "0\n1\n2\n"), [Kind::Foreign]);
        assert_eq!(kinds(1, "0\ncut/2/0: not what was published\n"), [Kind::Foreign]);
    }
}
