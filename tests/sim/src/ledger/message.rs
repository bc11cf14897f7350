//! A message: who published it, and its fate.

use mqtt_core::QoS;

use super::Stay;
use crate::landscape::MOST_BROKERS;

/// The state of a message at its publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// The client has not accepted it, or the journal does not hold it after a power cut.
    Waiting,
    Accepted,
    Published,
    /// `Event::Lost`
    Lost,
    /// `Event::Dropped`
    Dropped,
    /// It was lost with the power, and no journal held it.
    Vanished,
    /// It is too large for the client.
    Refused,
    /// The broker publishes it when the device is gone.
    Will,
    /// `Event::Cancelled`, and whether it said that the message may have arrived.
    Cancelled {
        sent: bool,
    },
    /// `Event::GivenUp`
    GivenUp,
    /// `Event::Downgraded`
    Downgraded,
}

/// How much of a PUBLISH the transport has been given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Nothing,
    /// A part of it, or it is unknown how much.
    Perhaps,
    Whole,
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) publisher: usize,
    /// Its position among the messages of its publisher.
    pub(crate) index: u32,
    /// In [`topics`](crate::topics).
    pub(crate) topic: usize,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// Bytes of payload; 0: a retained message is cleared.
    pub(crate) len: usize,
    pub(crate) status: Status,
    pub(crate) sent: Sent,
    /// How often each broker took it.
    pub(crate) arrivals: [u32; MOST_BROKERS],
    /// How many times more than once it may arrive, and whether it may be missing. In MQTT 3.1 the broker does not say
    /// that a session was lost.
    pub(crate) may_double: u32,
    pub(crate) may_miss: bool,
    /// The stay in which a broker saw its PUBREL.
    pub(crate) released_in: Option<Stay>,
    /// The last stay in which a broker saw its PUBLISH.
    pub(crate) seen_in: Option<Stay>,
    /// The last stay in which all of it was sent.
    pub(crate) sent_in: Option<Stay>,
    /// The broker ignored it at first, so it may come after later ones.
    pub(crate) reordered: bool,
    /// The broker answered it with a PUBACK though it is of QoS 2.
    pub(crate) downgraded: bool,
    /// The last stay in which a broker sent a PUBREC for it.
    pub(crate) received_in: Option<Stay>,
    /// The brokers to which a part of it may have been sent.
    pub(crate) sent_to: [bool; MOST_BROKERS],
}

impl Message {
    /// A message that was not given to a client yet.
    pub(crate) const fn new(publisher: usize, index: u32, topic: usize, qos: QoS) -> Self {
        Self {
            publisher,
            index,
            topic,
            qos,
            retain: false,
            len: 8,
            status: Status::Waiting,
            sent: Sent::Nothing,
            arrivals: [0; MOST_BROKERS],
            may_double: 0,
            may_miss: false,
            released_in: None,
            seen_in: None,
            sent_in: None,
            reordered: false,
            downgraded: false,
            received_in: None,
            sent_to: [false; MOST_BROKERS],
        }
    }

    /// How often a broker took it.
    pub(crate) fn arrived(&self) -> u32 {
        self.arrivals.iter().sum()
    }
}
