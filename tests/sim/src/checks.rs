//! The invariants and their checks: one function for each invariant. A check that fails names its invariant, the device
//! and the time, and the run ends.
//!
//! # Claims
//!
//! Every invariant is claimed for every message and request that was accepted. A claim is weaker only if an event says
//! so, or if a quirk makes it impossible for any client:
//!
//! | event or quirk | remaining claim |
//! |---|---|
//! | `Cancelled { sent: false }` | the message never arrives |
//! | `Cancelled { sent: true }`, `GivenUp` | it may be missing, or come after later ones; at QoS 2 it does not come twice; its id is not used before the broker answers it, or eight more requests ended so |
//! | `Downgraded` | the broker has it at least once, and has answered with PUBACK |
//! | `Lost` | QoS 2, or QoS 0 that was shown: it may be missing, or come after later ones if the broker kept it after all |
//! | `Skipped` | the message is not due any more, if its size or topic is a reason |
//! | cancelled SUBSCRIBE, UNSUBSCRIBE | it is unknown whether the broker has the subscription |
//! | the broker ignores a PUBLISH | the message may come after later ones |
//! | the broker repeats acknowledgements, or has some for unknown ids | a PUBREL may come twice, out of order, and for unknown ids |
//! | PUBACK to QoS 2 | at least once towards the broker; it is never told as `Published` |
//! | session present though clean | as in 3.1 after a lost session: publishes in flight may be missing or come twice |
//! | session absent though kept | the epoch of the session ends: QoS 2 messages in flight to the client may come twice, and a message under an id that the broker kept may be missing |
//! | closes at PUBREL, or at an unknown one | a client that lost its memory, or was elsewhere, cannot reclaim ids, so a message under such an id may be missing |
//! | forgets a filter at a restart | the broker has it again only if the client renews on each connection |
//! | another broker | QoS 2 publishes that were sent end as `Lost`, or may come twice with `resend_lost`; QoS 1 publishes may come at both |
//! | `SessionEnded` | the messages that waited at that broker do not come |
//! | eight requests ended early in a session that was found | there may be no reclaimed id for the next message, so the broker may take it for an old one, and it may be missing |
//! | a session that was found, and always in 3.1 | ids come again soon, so the broker repeats no late answers |
//! | the broker ignores a PUBREC | that message stays at the broker; it may come again once the client forgot it |
//!
//! All other claims hold under every quirk: no mistake of a client that a broker can see, order, one event for each
//! request, progress ([`progress`](crate::progress)), and content.

use std::fmt;

use mqtt_core::QoS;

use crate::{
    ledger::{Pair, Receipt, Status},
    stage::Stage,
};

/// Attempts within so many milliseconds come at once.
const AT_ONCE: u64 = 100;

/// The promises. [`words`](Self::words) says each of them in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Invariant {
    /// Invariant 1.
    AtLeastOnce,
    /// Invariant 2.
    ExactlyOnce,
    /// QoS 0.
    AtMostOnce,
    /// Invariant 3, for packet ids.
    IdReuse,
    /// Invariant 3, for the order of PUBLISH, PUBACK, PUBREC, PUBREL, and of messages.
    Order,
    /// Invariant 4.
    Progress,
    /// Invariant 5.
    Deadline,
    /// Invariant 6: no panic.
    Panic,
    /// Every accepted request ends in exactly one event.
    OneEvent,
    /// Any other rule that a broker can see broken.
    Protocol,
    /// A message arrives as it was sent.
    Content,
    /// Faults have stopped and the link is up again, but not all is done.
    Healing,
    /// A journal gives back the records that it was given.
    Journal,
    /// The subscriptions of both sides agree.
    Subscriptions,
    /// Invariant 10.
    Shown,
    /// A link on which nothing arrives.
    Silence,
    /// Invariant 9.
    Convergence,
    /// What is told of brokers and sessions.
    Sessions,
    /// The version that a client chooses.
    Version,
    /// The attempts of many clients.
    InStep,
}

impl Invariant {
    /// The promise in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::AtLeastOnce => "QoS 1: every accepted publish arrives at least once",
            Self::ExactlyOnce => "QoS 2: exactly once, both directions",
            Self::AtMostOnce => "QoS 0: at most once",
            Self::IdReuse => "no packet id is reused while in flight",
            Self::Order => "PUBLISH, PUBACK, PUBREC, PUBREL and messages keep their order",
            Self::Progress => "a bounded number of actions between two inputs",
            Self::Deadline => "Wait is never later than the next deadline, never in the past twice",
            Self::Panic => "no panic",
            Self::OneEvent => "every accepted request ends in exactly one event",
            Self::Protocol => "a client breaks no normative statement",
            Self::Content => "a message arrives as it was sent",
            Self::Healing => "once faults stop, all that was accepted is done",
            Self::Journal => "a journal gives back what was recorded",
            Self::Subscriptions => "the broker has the subscriptions that the client keeps",
            Self::Shown => "bytes that were shown stay what they are until they are taken",
            Self::Silence => "a link on which nothing arrives is given up in time",
            Self::Convergence => {
                "each connection leaves less to do, or an event names what stands in the way"
            }
            Self::Version => "a client does not fall back to 3.1 for good",
            Self::InStep => "many clients with different seeds do not connect in step",
            Self::Sessions => "what is told of a broker and its session is true",
        }
    }
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// By which device.
    pub device: usize,
    /// When, in milliseconds since the beginning.
    pub at: u64,
    /// How.
    pub words: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.at / 1_000, self.at % 1_000);
        let words = self.invariant.words();
        write!(f, "[{words}] device {} at {seconds}.{millis:03} s: {}", self.device, self.words)
    }
}

/// Invariant 2, towards the broker: `broker` has taken ownership of message `number` once more.
pub(crate) fn arrives_as_often_as_promised(stage: &mut Stage<'_>, broker: usize, number: u32) {
    let message = stage.ledger.message_mut(number);
    message.arrivals[broker] += 1;
    let (qos, device) = (message.qos, message.publisher);
    if message.status == (Status::Cancelled { sent: false }) {
        stage.fail(Invariant::OneEvent, device, || {
            format!("message #{number} was cancelled as never sent, and arrives")
        });
        return;
    }
    let message = stage.ledger.message(number);
    let (arrived, allowed) = (message.arrived(), 1 + message.may_double);
    let invariant = match qos {
        QoS::AtMostOnce => Invariant::AtMostOnce,
        QoS::AtLeastOnce => return,
        QoS::ExactlyOnce => Invariant::ExactlyOnce,
    };
    if arrived > allowed {
        stage.fail(invariant, device, || {
            format!("message #{number} was taken {arrived} times, {allowed} are allowed")
        });
    }
}

/// Invariant 2, towards the application: the receipt of message `number` is durable.
pub(crate) fn is_received_as_often_as_promised(
    stage: &mut Stage<'_>,
    pair: Pair,
    number: u32,
    qos: QoS,
) {
    let receipt = stage.ledger.receipt_mut(pair, number);
    let count = &mut receipt.counts[qos as usize];
    count.kept += 1;
    let (kept, due) = (count.kept, count.due + count.may_double);
    let invariant = match qos {
        QoS::AtMostOnce => Invariant::AtMostOnce,
        QoS::AtLeastOnce => return,
        QoS::ExactlyOnce => Invariant::ExactlyOnce,
    };
    if kept > due {
        stage.fail(invariant, pair.device, || {
            format!("message #{number} was received {kept} times, the broker had it {due} times")
        });
    }
}

/// Invariants 1 and 2, at the end: the broker has every message that was accepted and not given up.
pub(crate) fn everything_accepted_has_arrived(stage: &mut Stage<'_>) {
    for number in 0..stage.ledger.len() {
        let message = stage.ledger.message(number);
        let (qos, device, status) = (message.qos, message.publisher, message.status);
        let invariant = match qos {
            QoS::AtMostOnce => continue,
            QoS::AtLeastOnce => Invariant::AtLeastOnce,
            QoS::ExactlyOnce => Invariant::ExactlyOnce,
        };
        let promised = matches!(status, Status::Accepted | Status::Published);
        if promised && message.arrived() == 0 && !message.may_miss {
            stage.fail(invariant, device, || {
                format!("message #{number} was accepted ({status:?}) and never arrived")
            });
        }
    }
}

/// Invariants 1 and 2, at the end: the application has every message that the broker had for its device.
pub(crate) fn everything_due_was_received(stage: &mut Stage<'_>, pair: Pair) {
    for number in 0..stage.ledger.len() {
        let Some(Receipt { counts, .. }) = stage.ledger.receipt(pair, number) else { return };
        for (qos, invariant) in [(1, Invariant::AtLeastOnce), (2, Invariant::ExactlyOnce)] {
            let count = counts[qos];
            if count.kept + count.void < count.due {
                stage.fail(invariant, pair.device, || {
                    format!("message #{number} at QoS {qos} did not come: {count:?}")
                });
            }
        }
    }
}

/// A PUBACK or PUBCOMP is true: `broker`, which sent it, has the message.
pub(crate) fn published_means_arrived(stage: &mut Stage<'_>, broker: usize, number: u32) {
    let message = stage.ledger.message(number);
    let (qos, device) = (message.qos, message.publisher);
    if message.downgraded && message.status == Status::Published {
        stage.fail(Invariant::ExactlyOnce, device, || {
            format!("message #{number} is reported as published, after a PUBACK at QoS 2")
        });
        return;
    }
    let message = stage.ledger.message(number);
    if qos != QoS::AtMostOnce && message.arrivals[broker] == 0 && !message.may_miss {
        let invariant =
            if qos == QoS::AtLeastOnce { Invariant::AtLeastOnce } else { Invariant::ExactlyOnce };
        stage.fail(invariant, device, || {
            format!("message #{number} is reported as published and never arrived there")
        });
    }
}

/// [MQTT-4.6.0-5], [MQTT-4.6.0-6]: the messages of one publisher to one topic, at one QoS, arrive in order. Only the
/// first arrival of each message counts.
pub(crate) fn comes_in_order(stage: &mut Stage<'_>, pair: Pair, number: u32, qos: QoS) {
    let message = stage.ledger.message(number);
    let key = (message.topic, message.qos, qos);
    let (publisher, index) = (message.publisher, message.index);
    // A QoS 1 message that the broker took again may arrive for the first time then. A device without memory releases
    // the messages of its old session in any order. A message that was taken back is released when its PUBREC comes, if
    // it does.
    let out_of_turn = matches!(
        message.status,
        Status::Vanished | Status::Lost | Status::Cancelled { .. } | Status::GivenUp
    );
    let excused = message.arrivals[pair.broker] > 1 || out_of_turn || message.reordered;
    let receipt = stage.ledger.receipt_mut(pair, number);
    // The message may be missing once, in a 3.1 session that the client took for an older one.
    let swallowed = receipt.counts[qos as usize].void != 0;
    if std::mem::replace(&mut receipt.handed[qos as usize], true) {
        return;
    }
    if let Some(before) = stage
        .ledger
        .last_of(pair, key, index)
        .filter(|last| *last > index && !excused && !swallowed)
    {
        stage.fail(Invariant::Order, pair.device, || {
            format!("message #{number}, {index} of device {publisher}, comes after {before}")
        });
    }
}

/// [MQTT-4.3.3-1]: a PUBREL was sent. It belongs to no publish that still awaits its PUBREC. If it only reclaims an id, a
/// publish of QoS 2 needs that.
pub(crate) fn releases_with_a_reason(stage: &mut Stage<'_>, pair: Pair, id: u16) {
    if stage.ledger.awaits_pubrec(pair.device, id) {
        stage.fail(Invariant::Protocol, pair.device, || {
            format!("PUBREL {id} to broker {}, which sent no PUBREC [MQTT-4.3.3-1]", pair.broker)
        });
    }
    let needed = stage.ledger.had_exactly_once(pair.device);
    if !needed && stage.ledger.is_reclaimed(pair, id) {
        stage.fail(Invariant::Sessions, pair.device, || {
            format!("id {id} is reclaimed, and no publish of QoS 2 needs it")
        });
    }
}

/// At the end of a visit: each session that the client ended was told.
pub(crate) fn tells_of_each_end(stage: &mut Stage<'_>, pair: Pair) {
    if stage.ledger.knows_of_an_end(pair) {
        stage.fail(Invariant::Sessions, pair.device, || {
            format!("the session at broker {} was ended, and nobody was told", pair.broker)
        });
    }
}

/// Some time after their broker came back, so many clients are still down.
pub(crate) fn a_fleet_comes_back(stage: &mut Stage<'_>, down: usize) {
    if down != 0 {
        stage.fail(Invariant::Healing, 0, || format!("{down} clients of a fleet are still down"));
    }
}

/// The attempts of a fleet of so many clients since its broker stopped: no more than a fifth of them, and of half of the
/// clients, come at once.
pub(crate) fn a_fleet_is_not_in_step(stage: &mut Stage<'_>, clients: usize, attempts: &[u64]) {
    let at_once = |(nth, start): (usize, &u64)| {
        attempts[nth..].iter().take_while(|at| **at < start + AT_ONCE).count()
    };
    let most = attempts.iter().enumerate().map(at_once).max().unwrap_or(0);
    let all = attempts.len();
    if most > all / 5 || most > clients / 2 {
        stage.fail(Invariant::InStep, 0, || {
            format!("{most} of {all} attempts of {clients} clients within {AT_ONCE} ms")
        });
    }
}

/// `device` may speak 3.1.1, and was accepted so often in 3.1.
pub(crate) fn speaks_the_best_version(stage: &mut Stage<'_>, device: usize, connections: u32) {
    stage.fail(Invariant::Version, device, || {
        format!("3.1 is spoken after {connections} more connections to a broker of 3.1.1")
    });
}

/// Invariant 4.
pub(crate) fn makes_progress(stage: &mut Stage<'_>, device: usize, actions: usize, most: usize) {
    if actions > most {
        stage.fail(Invariant::Progress, device, || {
            format!("{actions} actions and events without a pause")
        });
    }
}

/// Invariant 5: the client said to wait until `before`, and nothing has happened since. Now it says `again`, or `None`
/// if it had something to do.
pub(crate) fn waited_for_the_true_deadline(
    stage: &mut Stage<'_>,
    device: usize,
    before: u64,
    again: Option<u64>,
) {
    let now = stage.now;
    match again {
        Some(again) if again <= now => stage.fail(Invariant::Deadline, device, || {
            format!("a wait until {again} at {now}, in the past, and no action")
        }),
        Some(again) if now < before && again != before => {
            stage.fail(Invariant::Deadline, device, || {
                format!("a wait until {before} became one until {again} at {now}")
            });
        }
        None if now < before => stage.fail(Invariant::Deadline, device, || {
            format!("something was due at {now}, before the deadline {before}")
        }),
        Some(_) | None => {}
    }
}

/// [MQTT-3.1.2-23], for the part that the client can decide: it lets no keep alive interval pass without sending.
pub(crate) fn is_never_silent_for_too_long(
    stage: &mut Stage<'_>,
    device: usize,
    last_sent: u64,
    keep_alive: u64,
    next: u64,
) {
    if keep_alive != 0 && next.saturating_sub(last_sent) > keep_alive {
        stage.fail(Invariant::Protocol, device, || {
            format!(
                "silent from {last_sent} until {next}, keep alive {keep_alive} ms [MQTT-3.1.2-23]"
            )
        });
    }
}

/// Requirement M7: nothing has arrived at `device` since `heard`, and it still believes in its link.
pub(crate) fn gives_a_mute_link_up(stage: &mut Stage<'_>, device: usize, heard: u64) {
    stage.fail(Invariant::Silence, device, || format!("nothing arrived since {heard}"));
}

/// Invariant 9: `device` was accepted so many times since the work became less.
pub(crate) fn converges(stage: &mut Stage<'_>, device: usize, connections: u32, most: u32) {
    if connections > most {
        stage.fail(Invariant::Convergence, device, || {
            format!("{connections} connections in a row, and the work did not become less")
        });
    }
}

/// Invariant 9, at the end: what was published after all was done got through.
pub(crate) fn a_probe_gets_through(stage: &mut Stage<'_>, device: usize, number: u32) {
    let message = stage.ledger.message(number);
    let status = message.status;
    let through = match status {
        // Refused: the outbox is too small for any message.
        Status::Published | Status::Downgraded | Status::Refused => true,
        // The client says that it did not outlive its connection.
        Status::Lost => true,
        Status::Dropped => message.qos == QoS::AtMostOnce,
        Status::Waiting
        | Status::Accepted
        | Status::Vanished
        | Status::Will
        | Status::Cancelled { .. }
        | Status::GivenUp => false,
    };
    if !through && !message.reordered {
        stage.fail(Invariant::Convergence, device, || {
            format!(
                "message #{number}, published when all was done, did not get through: {status:?}"
            )
        });
    }
}
