//! One list of conversations that a client has with any broker, over any driver and any transport.
//!
//! A conversation expects of the broker what the standard says. It notes each difference, together with the statement,
//! and goes on if it can. [`judge`] holds the differences against those that are known of the broker: a new one and one
//! that has gone are both told.
//!
//! A driver takes part by implementing [`Talker`]: requests, and events as owned values ([`Heard`]). [`blocking`],
//! [`tasks`] and [`devices`] are those for `driver::blocking`, `driver::tokio` and `driver::asynch`, over any of the
//! [`transports`](crate::transports).

mod alike;
mod devices;
mod everyday;
mod hosts;
mod limits;
mod party;
mod restarted;
mod room;
mod sessions;
mod table;
mod talker;

pub use alike::{Start, converse_alike, converse_with};
pub use devices::devices;
pub use hosts::{blocking, tasks};
pub use room::{Difference, Room, Stop, Verdict};
pub use table::{Surprises, in_table, judge, section};
pub use talker::{Connect, Ended, Heard, Talker};

use crate::brokers::{Broker, Engine};

/// One conversation.
#[derive(Clone, Copy, Debug)]
pub struct Conversation {
    /// Its name in the table and in messages.
    pub name: &'static str,
    talk: fn(&mut Room<'_>) -> Result<(), Stop>,
}

/// All of them, in the order in which they are held. Those that end the broker come last.
#[must_use]
pub fn all() -> Vec<Conversation> {
    [everyday::LIST, limits::LIST, restarted::LIST, sessions::LIST].concat()
}

/// Holds `conversations` with a broker, one after the other, and gives a verdict for each.
pub fn hold(
    conversations: &[Conversation],
    engine: &Engine,
    broker: &mut dyn Broker,
    connect: Connect<'_>,
) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for (number, conversation) in conversations.iter().enumerate() {
        let mut room = Room::new(engine, broker, connect, conversation.name, number);
        let result = (conversation.talk)(&mut room);
        verdicts.push(room.verdict(result));
    }
    verdicts
}
