//! The topics and filters of every world, and which filter matches which topic.

use std::sync::LazyLock;

use mqtt_core::{Filter, Topic};

/// The most devices that a world has.
pub(crate) const MOST_DEVICES: usize = 5;
/// Topics that each device publishes to.
pub(crate) const TOPICS_EACH: usize = 4;

/// Four topics for each device, one of them with a blank, then the topics of the wills.
pub(crate) const TOPICS: [&str; MOST_DEVICES * (TOPICS_EACH + 1)] = [
    "t/0/a", "t/0/b", "t/0/c", "t/0/c c", "t/1/a", "t/1/b", "t/1/c", "t/1/c c", "t/2/a", "t/2/b",
    "t/2/c", "t/2/c c", "t/3/a", "t/3/b", "t/3/c", "t/3/c c", "t/4/a", "t/4/b", "t/4/c", "t/4/c c",
    "w/0", "w/1", "w/2", "w/3", "w/4",
];

/// The filters that devices subscribe to.
pub(crate) const FILTERS: [&str; 16] = [
    "#", "t/#", "+/+/a", "t/+/b", "t/+/c", "t/0/#", "t/1/#", "t/2/#", "t/3/#", "t/4/#", "t/0/a",
    "t/1/b", "t/2/c", "t/3/a", "w/#", "w/+",
];

static MATCHES: LazyLock<Vec<[bool; TOPICS.len()]>> = LazyLock::new(|| {
    let matches = |filter: &str| {
        let filter = Filter::new(filter).expect("a filter");
        TOPICS.map(|topic| filter.matches(Topic::new(topic).expect("a topic")))
    };
    FILTERS.iter().map(|filter| matches(filter)).collect()
});

/// The `nth` topic that `device` publishes to.
pub(crate) fn topic_of(device: usize, nth: usize) -> usize {
    device * TOPICS_EACH + nth % TOPICS_EACH
}

/// Whether a topic has a blank.
pub(crate) fn has_blank(topic: usize) -> bool {
    TOPICS[topic].contains(' ')
}

/// The topic of the will of `device`.
pub(crate) fn will_topic(device: usize) -> usize {
    MOST_DEVICES * TOPICS_EACH + device
}

pub(crate) fn topic(index: usize) -> Topic<'static> {
    Topic::new(TOPICS[index]).expect("a topic")
}

pub(crate) fn filter(index: usize) -> Filter<'static> {
    Filter::new(FILTERS[index]).expect("a filter")
}

pub(crate) fn topic_index(topic: Topic<'_>) -> Option<usize> {
    TOPICS.iter().position(|known| known.as_bytes() == topic.as_bytes())
}

pub(crate) fn filter_index(filter: Filter<'_>) -> Option<usize> {
    FILTERS.iter().position(|known| known.as_bytes() == filter.as_bytes())
}

pub(crate) fn matches(filter: usize, topic: usize) -> bool {
    MATCHES[filter][topic]
}
