//! The messages: their number is in the topic, so that it is in Mosquitto's log, and the payload follows from the
//! number.

use mqtt_core::QoS;

/// The filter of the subscriber.
pub(crate) const FILTER: &str = "cut/#";
/// The last part of the topic of the last message of each QoS.
const LAST: &str = "last";

/// Odd numbers have QoS 1, even ones QoS 2.
pub(crate) fn qos_of(number: u64) -> QoS {
    if number % 2 == 0 { QoS::ExactlyOnce } else { QoS::AtLeastOnce }
}

pub(crate) fn topic(number: u64) -> String {
    format!("cut/{}/{number}", qos_of(number) as u8)
}

pub(crate) fn last_topic(qos: QoS) -> String {
    format!("cut/{}/{LAST}", qos as u8)
}

/// It has between none and a few hundred bytes.
pub(crate) fn payload(number: u64) -> Vec<u8> {
    let len = number.wrapping_mul(37) % 300;
    (0..len).map(|at| (number ^ at) as u8).collect()
}

/// The meaning of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Number(u64),
    /// No message of this QoS follows.
    Last(QoS),
}

/// `None`: it is not a topic of this run.
pub(crate) fn meaning(topic: &str) -> Option<Meaning> {
    let (qos, number) = topic.strip_prefix("cut/")?.split_once('/')?;
    let qos = qos.parse().ok().and_then(QoS::from_bits)?;
    if number == LAST {
        return Some(Meaning::Last(qos));
    }
    let number = number.parse().ok()?;
    (qos_of(number) == qos).then_some(Meaning::Number(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_holds_its_number() {
        for number in [0, 1, 812] {
            assert_eq!(meaning(&topic(number)), Some(Meaning::Number(number)));
        }
        assert_eq!(meaning(&last_topic(QoS::AtLeastOnce)), Some(Meaning::Last(QoS::AtLeastOnce)));
        assert_eq!(meaning("cut/2/1"), None, "odd numbers have QoS 1");
        assert_eq!(meaning("else/2/2"), None);
    }
}
