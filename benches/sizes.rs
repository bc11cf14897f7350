//! The operations on large sessions whose instructions `cargo xtask bench` counts under callgrind.
//!
//! Without arguments it lists them, as `instructions` does. With a name and a number it does that operation once, with a
//! session of this size. Its cost should be in proportion to the size. It is a program of its own, because more callers
//! of the client change what the compiler inlines.

#[path = "large.rs"]
mod large;

use std::env;
use std::process::ExitCode;

use large::{Content, Records, Session};
use mqtt_benches::consume;

struct Operation {
    name: &'static str,
    /// The operation whose count is subtracted: the work before this operation that is not part of it.
    less: &'static str,
    run: fn(usize),
}

const fn sized(name: &'static str, less: &'static str, run: fn(usize)) -> Operation {
    Operation { name, less, run }
}

const NOTHING: &str = "nothing";
const RECEIVED: &str = "a session of received ids";
const OWED: &str = "a session of owed ids";
const PUBLISHES: &str = "a session of publishes";
const RELEASED: &str = "a session of PUBRELs";
const RECEIVED_SNAPSHOT: &str = "a snapshot of received ids";
const PUBLISHES_SNAPSHOT: &str = "a snapshot of publishes";
const RELEASED_SNAPSHOT: &str = "a snapshot of PUBRELs";
const RECEIVED_RECORDS: &str = "the records of received ids";
const RELEASED_RECORDS: &str = "the records of PUBRELs";

const OPERATIONS: &[Operation] = &[
    sized("snapshot, for each received id", RECEIVED, |size| {
        consume(&snapshot(size, Content::Received));
    }),
    sized("snapshot, for each received id, half owed", OWED, |size| {
        consume(&snapshot(size, Content::Owed));
    }),
    sized("snapshot, for each publish", PUBLISHES, |size| {
        consume(&snapshot(size, Content::Publishes));
    }),
    sized("snapshot, for each PUBREL", RELEASED, |size| {
        consume(&snapshot(size, Content::Released));
    }),
    sized("restore, for each received id", RECEIVED_SNAPSHOT, |size| {
        restore(size, Content::Received);
    }),
    sized("restore, for each publish", PUBLISHES_SNAPSHOT, |size| {
        restore(size, Content::Publishes);
    }),
    sized("restore, for each PUBREL", RELEASED_SNAPSHOT, |size| {
        restore(size, Content::Released);
    }),
    sized("restore record by record, for each received id", RECEIVED_RECORDS, |size| {
        restore_from(size, Content::Received, &records(size, Content::Received));
    }),
    sized("restore record by record, for each PUBREL", RELEASED_RECORDS, |size| {
        restore_from(size, Content::Released, &records(size, Content::Released));
    }),
    sized("release, for each received id", RECEIVED, |size| {
        filled(size, Content::Received).release(size);
    }),
    sized("lose the session, for each publish", PUBLISHES, |size| {
        assert_eq!(filled(size, Content::Publishes).lose(), size, "each publish is lost");
    }),
];

/// The operations that are measured to be subtracted.
const SURROUNDINGS: &[Operation] = &[
    sized(RECEIVED, NOTHING, |size| drop(filled(size, Content::Received))),
    sized(OWED, NOTHING, |size| drop(filled(size, Content::Owed))),
    sized(PUBLISHES, NOTHING, |size| drop(filled(size, Content::Publishes))),
    sized(RELEASED, NOTHING, |size| drop(filled(size, Content::Released))),
    sized(RECEIVED_SNAPSHOT, NOTHING, |size| consume(&snapshot(size, Content::Received))),
    sized(PUBLISHES_SNAPSHOT, NOTHING, |size| consume(&snapshot(size, Content::Publishes))),
    sized(RELEASED_SNAPSHOT, NOTHING, |size| consume(&snapshot(size, Content::Released))),
    sized(RECEIVED_RECORDS, NOTHING, |size| consume(&records(size, Content::Received))),
    sized(RELEASED_RECORDS, NOTHING, |size| consume(&records(size, Content::Released))),
];

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let Some(name) = args.next() else {
        for Operation { name, less, .. } in OPERATIONS {
            println!("{name}\t-\t{less}");
        }
        return ExitCode::SUCCESS;
    };
    let operation = OPERATIONS.iter().chain(SURROUNDINGS).find(|operation| operation.name == name);
    let size = args.next().and_then(|size| size.parse().ok());
    let (Some(operation), Some(size)) = (operation, size) else {
        eprintln!("usage: sizes [NAME SIZE]");
        return ExitCode::from(2);
    };
    (operation.run)(size);
    ExitCode::SUCCESS
}

/// A session with `size` entries, and as many slots.
fn filled(size: usize, content: Content) -> Session {
    Session::filled(content, size, size, Records::One)
}

fn snapshot(size: usize, content: Content) -> Vec<u8> {
    filled(size, content).snapshot()
}

fn records(size: usize, content: Content) -> Vec<Vec<u8>> {
    Session::filled(content, size, size, Records::Many).into_records()
}

fn restore(size: usize, content: Content) {
    let snapshot = snapshot(size, content);
    restore_from(size, content, &[snapshot]);
}

fn restore_from(size: usize, content: Content, records: &[Vec<u8>]) {
    Session::new(size, content).restore(records);
}
