//! A model checker around the real client: small closed worlds, each explored to its end.
//!
//! The simulator runs long lives by chance, and the model checker runs short lives in every possible order. A world has
//! a few messages, a client with its application, driver and journal, a link, a broker, and a limited number of faults.
//! `stateright` visits every reachable state, breadth first, and checks the rules of delivery in each. A second
//! exploration, depth first, shows that all ways end. A broken rule is reported with a shortest way to it: every
//! action, packet and event.
//!
//! The client is [`mqtt_core::Client`] itself and not a model of it: its methods are called, its bytes are decoded, and
//! its records are given to `restore`. Only its surroundings are a model.
//!
//! # The actions
//!
//! Every interleaving of
//!
//! - the application publishes its next message at any time, also offline, up to a window of 2, and calls
//!   [`Client::set_position`](mqtt_core::Client::set_position) after each; it takes the messages that it is handed;
//! - the driver carries out the actions of [`Client::poll`](mqtt_core::Client::poll), one at a time, and everything
//!   else may happen between any two actions: connecting, an open transport, writing one packet, all packets, or a part
//!   of one, a record begun, the record durable (or failed), a deadline passed;
//! - the broker takes a packet, and its answer is on its way from then on; the broker sends its next message, with at
//!   most two in flight; the client takes a packet;
//! - up to two link cuts at any moment, also of a transport that is being opened: everything on its way, in either
//!   direction, is lost, even a part of a packet. This includes a link that takes bytes and delivers none, because
//!   nothing forces the broker to get the bytes before the cut comes;
//! - one power cut, at any moment: a new client is restored from every durable record, and from the one that is being
//!   written in two ways, whole or not at all. Nothing lies in between: the checksum refuses a torn record as a whole,
//!   as `mqtt-core/tests/client/recording.rs` shows for every length. The application goes on from its position, and
//!   has lost the messages that it was handed since the last durable record. A snapshot restores the same with the
//!   records before it and without;
//! - in some worlds: the loss of the session, a snapshot at any moment, a record that the medium reports as not written
//!   (whether it is written or not), and answers of different types in any order, as from a broker with a task for each
//!   exchange;
//! - in the worlds `cancel-*`: the application takes a request back at any moment;
//! - in the worlds `poison-*` and `mute-*`: a broker that closes the connection when it reads a certain request, or
//!   never answers it, on every connection. The application takes back whatever
//!   [`Event::Stuck`](mqtt_core::Event::Stuck) names, or the client gives it up;
//! - in the worlds `pass-*`: a broker with more messages in flight than the client has slots. `skip-manual` has a
//!   message that is too large, and an application that acknowledges the others in any order;
//! - in the worlds `renew-*`: subscriptions that are made again one by one after the session was lost;
//! - in the worlds `brokers*`: two brokers, each with a session for the client and messages of its own. The client
//!   turns to the other one at each attempt, so every link cut is a change of broker, at any step; after the second one
//!   the client is back. In the world `cluster` both endpoints have the same session;
//! - in the worlds `reclaim-*`, `brokers-closes` and `brokers-mute`: a broker that closes the connection at a PUBREL for
//!   an id that it does not hold, or ignores it;
//! - in the worlds `auto*`: a client that may speak any version, and brokers that speak both, one, or one each;
//! - in the worlds `*resend*` and `brokers-renew`: `Options::resend_lost` and `Options::renew_on_each_connection`;
//! - in the worlds `*-copies`: a driver that asks for bytes, writes them and reports them in three steps. Everything
//!   else may happen in between, so an answer may come ahead of the report, and a cut may leave it open whether bytes
//!   left.
//!
//! The broker follows sections 4.3, 4.4 and 4.6 of the standard, with both methods of figure 4.3 for QoS 2. It keeps
//! the session from the first CONNECT on. It gives each message the lowest free packet id, so that ids are used again
//! as soon as possible, and sends everything unanswered again on a new connection. It is strict: an answer to nothing
//! is a violation. Its one bad manner is the packet that it closes at or ignores. A clean session ends the former one,
//! and ends with its connection.
//!
//! # The rules
//!
//! | property | in each state |
//! |---|---|
//! | exactly once | no message of QoS 2 was handed over twice, by the client, or by the brokers, whichever of them; none that may have arrived in another session is sent again |
//! | at least once | if nothing more happens by itself, all is delivered, each request has had its event, client and broker are at rest, the outbox is empty, and the broker has all subscriptions; what waits at the other broker may wait; the only excuses are a lost or ended session, for messages that were in flight or are reported as lost, and a request that was taken back; a message is reported as lost only if it was sent in a session that was lost, or that belongs to the other broker; the client has each message that it acknowledges |
//! | order | messages keep their order at each broker, and PUBLISH, PUBACK, PUBREC, PUBREL on each connection [MQTT-4.6.0-1] to [MQTT-4.6.0-4] |
//! | packet ids | no id stands for two messages in flight, beginning with the call that gave it out; the id of a request that was taken back after it was sent is not used before its answer or the end of the session |
//! | one event a request | no event comes twice or without a request; `Published` means that a broker has handed the message on and does not hold it; a request that was taken back is not sent on a later connection, does not come back after a power cut once a record is durable, and never arrives if it was told as not sent |
//! | protocol | neither side refuses a packet of the other; DUP is set [MQTT-3.3.1-1], but not on what is new at a broker; no PUBLISH follows its PUBREL [MQTT-4.3.3-1]; ids are reclaimed only at a broker that may hold some, and only if a publish of QoS 2 waits for that; a session is ended only if its ids had to give way |
//! | session status | `Up` says what the CONNACK says and what the client knows of its session at this broker; events name the right endpoint |
//! | progress | no more connections than the settings say end at a request without an event, and the event names this request; a client that leaves to take more messages has completed one; 3.1 is asked for only if the endpoint refused 3.1.1, or once after a connection that broke before its CONNACK; a reclaim is given up after as many connections as it may end, and only if the broker does not answer; answers go on while a request is sent alone |
//! | no panic | no call panics, in a build with debug assertions and overflow checks |
//! | no livelock | no way leads back to a state that it has passed |
//!
//! Connections are counted in the client, so states of two connections are seldom the same. That is why progress has a
//! rule of its own beside the circles.
//!
//! The second and the last row together are eventual delivery, which holds without any assumption of fairness. The
//! `eventually` of `stateright` cannot show it: it is sound only for graphs without circles, and does not look for
//! circles; see the head of `descent.rs`. The length of the longest way is printed twice: with faults, and calm (the
//! most actions that can follow any state without a fault).
//!
//! *Complete* means that `stateright` and the descent have both visited every state, and count the same number of
//! states with two different hashes of 64 bits. For the largest world, with 6.3 million states, the probability that
//! any two of them share a hash is about 1 in 900,000.
//!
//! # Simplifications, and why they are sound
//!
//! - **Time** stands still, except for three deadlines that may pass whenever they are set: the next attempt to
//!   connect, a record that can wait, and the time from which a connection counts as stable (at once). The instants are
//!   chosen so that each passes alone. Deadlines that end a connection never pass, as a cut at that moment does the
//!   same. The exception is the time for an answer in the worlds `mute-*`: it passes when nothing else can happen but a
//!   new request. Keep alive is off: a PINGREQ changes nothing about messages, and the simulator covers it.
//! - **When two states are the same**: clients are the same if their [`digest`](mqtt_core::Client::digest) is, which
//!   leaves the counters out. The journal is kept as the client that it would restore, which is all that a later
//!   restore can see of it. Once power can no longer fail, records are still written, but their content is not kept.
//! - **Polling** that says to wait or to transmit has changed only timers that were due, so the states before and after
//!   it count as one. Events that need no input are taken at once, as every driver does.
//! - **Packets to the client come whole.** Every delivery checks that a part of the packet changes nothing. Several
//!   packets in one read are several deliveries without a `poll` in between, which is one of the orders.
//! - **PUBRELs that reclaim ids** are written, and arrive, all at once, or only the first byte of the first one is
//!   written. Until a PUBCOMP comes, the client keeps nothing of them over the end of a connection, and the broker keeps
//!   nothing of those for ids that it does not hold. Those for other ids arrive one by one. The worlds `*-copies` have
//!   every order.
//! - **Parts of packets to the broker** end behind the first byte, or, in other worlds, before the last. The code only
//!   asks if a packet was begun and if it is whole. Both give the same number of states.
//! - **A request that stands in the way is the only one with certainty if nothing else fails.** After a cut or a power
//!   cut the client may name an innocent request that was the first unanswered one each time. The application takes it
//!   back as well.
//! - **An event before its record.** `Cancelled` may be told ahead of the record that holds it. If power fails in
//!   between, the request comes back and has another event.
//! - **A cut is seen by both sides at once.** If one side acts before it has noticed the cut, the result is the same as
//!   if it had acted just before the cut, because nothing from the other side reaches it.
//! - **Power comes back at once**: a device that is off does nothing.
//! - **The application** follows the rules of `Options::journal`: its work on a message is durable with the next
//!   record, and it sets the position in its source.
//! - **The client hears of a lost session** before the next fault, if it publishes. Otherwise the broker makes a new
//!   session, its CONNACK is lost (or forgotten, if power fails before its record), and the next CONNACK says 'session
//!   present'. No client of 3.1.1 can distinguish that session from the old one, and a QoS 2 publish in flight is sent
//!   into a session that does not know it. The test `a_lost_session_that_the_client_never_hears_of_doubles_a_message`
//!   keeps the counterexample. Messages to the client are explored without this restriction (`in-lost`).
//! - **The front of a message that is too large** is taken before its end. Only whole packets are explored.
//! - **A session that the client has to end** is known only up to the last power cut. After one, the client may end any
//!   session, and it may take either broker for the one of its last connection.
//! - **QoS 0**, UNSUBSCRIBE, messages in 3.1, retained messages, wills and packets larger than the buffer are covered by
//!   the simulator and the tests, and so is manual acknowledgement but for one world.
//!
//! # Figures
//!
//! `cargo xtask model`: 87 worlds, 12,637,736 states, the longest way 201 actions; about 110 s of processor time on two
//! threads. As of November 2026; the numbers change with the client. In many worlds a client finds a session that it did
//! not open, and reclaims eight packet ids: that makes the longest ways. `--large` adds 29 worlds that take up to
//! minutes each and up to some GB of memory; the largest had 6.3 million states before the client reclaimed so many ids.
//!
//! | world | states | steps | longest way | calm |
//! |---|---|---|---|---|
//! | `smallest`: one message of QoS 2 out, a cut, no journal; also a test | 223 | 337 | 37 | 31 |
//! | `out-1221`: two of QoS 1 and two of QoS 2 out, two cuts, a power cut | 1,032,478 | 2,424,664 | 125 | 74 |
//! | `in-1221`: the same in | 162,699 | 375,821 | 97 | 54 |
//! | `out-snapshot`: a snapshot as well, one cut | 1,078,380 | 2,622,646 | 112 | 76 |
//! | `both`: one of each QoS out and in, one cut, a power cut | 1,062,193 | 2,605,078 | 98 | 57 |
//! | `poison-power`: the broker closes at the second of three requests, a power cut | 14,950 | 29,924 | 111 | 94 |
//! | `cancel-power`: one of two requests is taken back, one cut, a power cut | 193,921 | 384,288 | 88 | 56 |
//! | `pass-2212`: four messages for two slots, one cut, a power cut | 337,983 | 894,843 | 118 | 79 |
//! | `brokers-out-1221`: two of QoS 1 and two of QoS 2 out, two changes between two brokers | 43,047 | 83,524 | 66 | 50 |
//! | `brokers-in-1221`: the same in, from each broker | 113,878 | 233,937 | 84 | 38 |
//! | `brokers-both`: one of each QoS out, and in from each broker, two changes | 749,738 | 1,778,382 | 69 | 38 |
//! | `brokers-power-1221`: as `brokers-out-1221`, one change, a power cut | 342,691 | 671,359 | 96 | 74 |
//!
//! # Bugs on purpose
//!
//! `cargo xtask mutations` builds this and the simulator from a copy of the sources with the bugs of `xtask/mutations`,
//! and switches on one bug after the other. Each has to be found by both. Here:
//!
//! | bug | rule | first world |
//! |---|---|---|
//! | an id in flight given out again | packet ids | `poison-111` |
//! | a hold that loses its place | at least once | `poison-111` |
//! | the first of several requests told as stuck | progress | `poison-111` |
//! | PUBLISH again behind the PUBREL | protocol | `smallest` |
//! | PUBRELs in the wrong order | order | `poison-222` |
//! | shown bytes count as unsent | one event a request | `poison-cuts` |
//! | the id of a request that was taken back used again | packet ids | `poison-power` |
//! | a cancel that the journal does not hear of | one event a request | `poison-power` |
//! | sent before the record is durable | protocol | `poison-power` |
//! | incoming ids forgotten with the connection | exactly once | `poison-both` |
//! | ids reclaimed on each connection | protocol | `smallest` |
//! | 3.1 for good after a broken handshake | progress | `auto` |
//! | the session kept over a change of broker | session status | `auto-brokers` |
//! | ids of an absent broker's messages forgotten | exactly once | `brokers` |
//! | ids at a broker that was left not reclaimed | one event a request | `brokers-closes` |
//! | an answer ahead of its report ignored | one event a request | `cancel-copies` |
//! | a renewal that ends with its first packet | at least once | `renew` |
//! | a message that is skipped out of turn | order | `skip-manual` |
//! | a later message taken during a pass-over | order | `pass-2222` |
//! | PUBRECs dropped at a full table | no livelock | `pass-2222` |
//!
//! It cannot see that only PINGRESPs count as life, because its time stands still.

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
pub use config::{ALL, Acknowledge, Bad, Brokers, Config, Driver, Manner, Partial, Speaks};
