//! A model checker around the real client: small closed worlds, each explored to its end.
//!
//! The simulator next door plays long lives by chance; this plays short ones in every possible order. A world has a few
//! messages, a client with its application, driver and journal, a link, a faithful broker, and a limited number of
//! faults. `stateright` visits every state that can be reached, breadth first, and asks each whether the rules of
//! delivery hold; a second exploration, depth first, shows that all ways end. A rule that is broken is told with a
//! shortest way to it: every action, packet and event.
//!
//! The client is [`mqtt_core::Client`] as it is built for users, not a model of it: its methods are called, its bytes are
//! decoded, its records are given to `restore`. What stands around it is the model.
//!
//! # What is explored
//!
//! Every interleaving of
//!
//! - the application publishing its next message, at any time, also offline, up to a window of 2, each with
//!   [`Client::set_position`](mqtt_core::Client::set_position) set behind it; and taking what it is handed;
//! - the driver carrying out what [`Client::poll`](mqtt_core::Client::poll) says, one action at a time, with
//!   everything else happening between any two of them: connecting, the transport being open, writing one packet, all
//!   packets, or a part of one, a record begun, the record durable (or failed), a deadline passed;
//! - the broker taking a packet, with the answer on its way from then on; the broker sending its next message, of which
//!   two may be under way; the client taking a packet;
//! - up to two link cuts (also of a transport that is being opened), at any moment: what is on its way, either way, is
//!   lost, down to the part of a packet. That a link takes bytes and delivers none is among these: nothing forces the
//!   broker to get what was written before the cut comes;
//! - one power cut, at any moment: a new client is restored from every durable record, and from the one that is being
//!   written in two ways, whole or not at all. Nothing lies in between: a record that is torn is refused as a whole by
//!   its checksum, which `mqtt-core/tests/client/journal.rs` shows for every length. The application goes on from its
//!   position, and has lost the messages that it was handed since the last durable record. A snapshot restores the same with
//!   the records before it and without;
//! - in some worlds the loss of the session, a snapshot at any moment, a record that the medium says it could not write
//!   (whether it did or not), and answers of different types in any order, as a broker with a task for each exchange
//!   sends them.
//!
//! The broker keeps to sections 4.3, 4.4 and 4.6 of the standard, with both methods of figure 4.3 for QoS 2. It keeps the
//! session from the first CONNECT on, gives its messages the lowest free packet id, so that ids come again as soon as
//! they may, and sends everything unanswered again on a new connection. It is strict: an answer to nothing is a violation.
//!
//! # What must hold
//!
//! | property | in each state |
//! |---|---|
//! | exactly once | no message of QoS 2 was handed over twice, by broker or client |
//! | at least once | a state in which nothing more happens of itself is one in which all is delivered, each request has had its event, and both sides are at rest; only a lost session excuses, and only what was told to be lost |
//! | order | messages, and PUBLISH, PUBACK, PUBREC, PUBREL keep their order [MQTT-4.6.0-1] to [MQTT-4.6.0-4] |
//! | packet ids | no id stands for two messages in flight, from the call that gave it out on |
//! | one event a request | no event comes twice or for nothing; `Published` is true |
//! | protocol | neither side refuses what the other one sends; DUP is set [MQTT-3.3.1-1], no PUBLISH follows its PUBREL [MQTT-4.3.3-1] |
//! | no panic | no call panics; built with debug assertions and overflow checks |
//! | no livelock | no way leads back to a state that it has passed |
//!
//! Eventual delivery is the second and the last row together, and holds without assuming that anybody is fair. It is
//! not left to `stateright`'s `eventually`, which is sound for graphs without circles only and does not look for those;
//! see the head of `descent.rs`. The length of the longest way is printed: all (with faults), and calm (the most actions
//! that can follow on any state while nothing goes wrong).
//!
//! *Complete* means that `stateright` has visited every state, the descent has as well, and both count the same number,
//! under two different hashes: each tells states apart by 64 bits. For the largest world, of 6.3 million states, the
//! odds that any two of them share a hash are about 1 in 900,000.
//!
//! # What is left out, and why that is sound
//!
//! - **Time** stands still but for three deadlines, each of which may pass whenever it is set: the next attempt to
//!   connect, the record that can wait, and a connection counting as stable (at once). The instants are chosen so that
//!   each passes alone. Deadlines that end a connection never pass, for a cut at that moment does the same. Keep alive is
//!   off: a PINGREQ changes nothing about messages, and the simulator has it.
//! - **Where a state is the same**: clients with the same [`digest`](mqtt_core::Client::digest), which leaves the
//!   counters out. The journal is kept as the client that it would restore: all that a later restore can see of it. Once
//!   power will not fail any more, records are written all the same, but what is in them is forgotten.
//! - **Polling** that says to wait or to transmit has changed nothing but timers that were due, so the state before is not
//!   told from the state behind it. Events that need no input are taken at once, as every driver does.
//! - **Packets to the client come whole.** That a part changes nothing is checked at every delivery. Several packets in
//!   one read are several deliveries with no `poll` in between, which is one of the orders.
//! - **Parts of packets to the broker** end behind the first byte, or, in other worlds, before the last: only whether a
//!   packet was begun, and whether it is whole, is asked anywhere. The two give the same number of states.
//! - **A cut is seen by both sides at once.** What one side does before it has noticed is the same as if it had done it
//!   just before the cut, for nothing of the other side reaches it.
//! - **Power comes back at once**: a device that is off does nothing.
//! - **The application** keeps to the rules of `Options::journal`: what it does with a message is durable with the record
//!   that follows; it marks where its source is.
//! - **A loss of the session is heard of**, where the client publishes, before the next fault: a broker that has made a
//!   new session, and whose CONNACK is lost (or forgotten, when power fails before its record), says 'session present'
//!   the next time, and no client of 3.1.1 can tell that session from the old one. A QoS 2 publish under way is then sent
//!   into a session that does not know it. The test `a_lost_session_that_is_never_heard_of_doubles_a_message` keeps the
//!   counterexample. What the client receives is explored without this restriction (`in-lost`).
//! - **QoS 0**, UNSUBSCRIBE, 3.1, manual acknowledgement, retained messages, wills and packets larger than the buffer are
//!   the simulator's and the tests'.
//!
//! # Figures
//!
//! `cargo xtask model`: 27 worlds, 6,578,585 states, the longest way 103 actions; 41 s of processor time, 69 s on two
//! cores that others used as well. With `--large`: 39 worlds, 28.9 million states, the longest way 136; 240 s of
//! processor time and up to 1.4 GB of memory. As of November 2026; the numbers change with the client.
//!
//! | world | states | steps | longest way | calm | processor time |
//! |---|---|---|---|---|---|
//! | `smallest`: one message of QoS 2 out, a cut, no journal; also a test | 157 | 258 | 29 | 23 | 0.0 s |
//! | `out-1221`: two of QoS 1 and two of QoS 2 out, two cuts, a power cut | 327,663 | 714,028 | 103 | 66 | 2.4 s |
//! | `in-1221`: the same in | 108,964 | 257,016 | 97 | 54 | 0.7 s |
//! | `out-snapshot`: a snapshot as well, one cut | 554,287 | 1,296,479 | 93 | 68 | 3.9 s |
//! | `both`: one of each QoS out and in, one cut, a power cut | 719,209 | 1,849,161 | 98 | 57 | 5.9 s |
//! | `both-cuts`, large: two cuts | 2,160,809 | 5,890,707 | 122 | 58 | 18 s |
//! | `both-lost`, large: and one of them loses the session | 4,237,919 | 11,689,586 | 122 | 60 | 36 s |
//! | `both-calm`, large: four messages out and four in, one cut, no journal | 6,341,587 | 20,518,522 | 75 | 62 | 66 s |
//!
//! # Bugs on purpose
//!
//! `cargo xtask mutations` builds this and the simulator from a copy of the sources with the bugs of `xtask/mutations`,
//! and switches on one bug after the other. Each has to be found by both. Here:
//!
//! | bug | found after | by | actions to it |
//! |---|---|---|---|
//! | PUBLISH again behind the PUBREL | 182 states | protocol | 18 |
//! | incoming ids forgotten with the connection | 4,004 states | exactly once | 14 |
//! | an id in flight given out again | 111,085 states, of which `out-1221` has 1,964 | packet ids | 2 |
//! | PUBRELs in the wrong order | 146,120 states, of which `out-1221` has 36,999 | order | 24 |
//! | sent before the record is durable | 204,800 states | at least once | 30 |

mod broker;
mod check;
mod config;
mod descent;
mod device;
mod model;
mod rules;
mod trace;
mod world;

pub use broker::Method;
pub use check::{End, Outcome, Violation, check};
pub use config::{ALL, Config, Partial};
