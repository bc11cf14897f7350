//! Small libraries, right and wrong.

use super::*;

const LIBRARY: Library = Library { sources: "x/src", rooms: &["codec", "event", "session"] };

/// The errors in a library of these files. Rooms that are not among them get an empty file.
fn wrong(files: &[(&str, &str)]) -> Vec<String> {
    let empty = LIBRARY.rooms.iter().map(|room| (*room, ""));
    let file = |(name, source): (&str, &str)| (format!("x/src/{name}.rs"), source.to_owned());
    let files: BTreeMap<String, String> =
        empty.chain([("lib", "")]).chain(files.iter().copied()).map(file).collect();
    wrong_in(&LIBRARY, &files).expect("sources")
}

const NONE: [&str; 0] = [];

#[test]
fn imports_that_point_down_pass() {
    let session = "use crate::{codec::PacketId, event::{self, Event}}; mod record; use record::R;";
    let files = [("session", session), ("event", "fn f() -> crate::codec::QoS {}")];
    assert_eq!(wrong(&files), NONE);
}

#[test]
fn an_upward_import_fails_and_names_both_files_and_the_names() {
    let files = [
        ("event", "use crate::session::record::{Chunk, Record};"),
        ("session", "mod record;"),
        ("session/record", "pub struct Record; pub struct Chunk;"),
    ];
    assert_eq!(
        wrong(&files),
        ["x/src/event.rs -> session/record.rs: Chunk, Record (rooms: event is below session)"]
    );
    let files = [("codec", "fn f() { super::event::g() }")];
    assert_eq!(wrong(&files), ["x/src/codec.rs -> event.rs: g (rooms: codec is below event)"]);
}

#[test]
fn a_name_counts_for_the_file_that_defines_it_and_not_for_those_that_pass_it_on() {
    let lib = "pub use session::Record; pub use codec::PacketId; mod session; mod codec;";
    let files = [
        ("lib", lib),
        ("codec", "pub struct PacketId;"),
        ("event", "use crate::PacketId; use crate::Record;"),
        ("session", "mod record; pub use record::*;"),
        ("session/record", "pub struct Record;"),
    ];
    assert_eq!(
        wrong(&files),
        ["x/src/event.rs -> session/record.rs: Record (rooms: event is below session)"]
    );
}

#[test]
fn an_exported_macro_counts_for_its_file() {
    let files = [
        ("session", "#[macro_export] macro_rules! slots { () => {} }"),
        ("event", "const S: u8 = crate::slots!();"),
    ];
    assert_eq!(
        wrong(&files),
        ["x/src/event.rs -> session.rs: slots (rooms: event is below session)"]
    );
}

#[test]
fn nothing_names_the_root() {
    let files = [("lib", "pub fn help() {}"), ("codec", "use crate::help;")];
    assert_eq!(wrong(&files), ["x/src/codec.rs -> lib.rs: help (rooms: the root is above all)"]);
}

#[test]
fn a_file_and_the_files_of_its_folder_may_name_each_other() {
    let files = [
        ("session", "mod outbox; use outbox::frames::Frame; pub struct Slot;"),
        ("session/outbox", "use super::Slot; mod frames;"),
        ("session/outbox/frames", "use super::super::Slot; pub struct Frame;"),
    ];
    assert_eq!(wrong(&files), NONE);
}

#[test]
fn a_module_that_is_written_inside_of_a_file_counts_as_that_file() {
    let files = [
        ("lib", "pub mod inner { pub use crate::session::Slot; }"),
        ("session", "mod outbox; mod inner { use super::outbox::Frame; } pub struct Slot;"),
        ("session/outbox", "use super::inner::x; pub struct Frame;"),
    ];
    assert_eq!(wrong(&files), NONE);
    let files = [("lib", "pub mod inner { pub fn x() {} }"), ("event", "use crate::inner::x;")];
    assert_eq!(wrong(&files), ["x/src/event.rs -> lib.rs: x (rooms: the root is above all)"]);
}

#[test]
fn siblings_in_a_circle_fail_also_if_the_parent_passes_the_name_on() {
    let files = [
        ("session", "mod inbound; mod outbox; mod queue; use outbox::Frame;"),
        ("session/inbound", "use super::Frame;"),
        ("session/outbox", "mod bytes; pub struct Frame;"),
        ("session/outbox/bytes", "use crate::session::queue::Queue;"),
        ("session/queue", "use super::inbound; pub struct Queue;"),
    ];
    assert_eq!(
        wrong(&files),
        [
            "x/src/session/inbound.rs -> session/outbox.rs: Frame (circle in session: outbox leads back to inbound)",
            "x/src/session/outbox/bytes.rs -> session/queue.rs: Queue (circle in session: queue leads back to outbox)",
            "x/src/session/queue.rs -> session/inbound.rs: inbound (circle in session: inbound leads back to queue)",
        ]
    );
    let without = files.into_iter().filter(|(file, _)| *file != "session/queue");
    let without: Vec<_> = without.chain([("session/queue", "pub struct Queue;")]).collect();
    assert_eq!(wrong(&without), NONE);
}

#[test]
fn tests_may_name_everything() {
    let files = [
        ("codec", "#[cfg(test)]\nmod tests { use crate::session::Slot; }"),
        ("event", "#[cfg(test)]\nmod table_tests;"),
        ("event/table_tests", "use crate::session::Slot; mod more;"),
        ("event/table_tests/more", "use crate::session::Slot;"),
    ];
    assert_eq!(wrong(&files), NONE);
}

#[test]
fn names_of_other_crates_do_not_count() {
    let files = [("codec", "use core::{fmt, session::Slot}; use session::Slot; use ::event::E;")];
    assert_eq!(wrong(&files), NONE);
}

#[test]
fn every_file_has_a_room_and_every_room_a_file() {
    assert_eq!(
        wrong(&[("cellar", ""), ("cellar/wine", "")]),
        [
            "x/src/cellar.rs is in no room (table: xtask/src/layers.rs)",
            "x/src/cellar/wine.rs is in no room (table: xtask/src/layers.rs)"
        ]
    );
    let files = BTreeMap::from([("x/src/codec/mod.rs".to_owned(), String::new())]);
    let wrong = wrong_in(&LIBRARY, &files).expect("sources");
    assert!(wrong.contains(&"x/src has no room event (table: xtask/src/layers.rs)".to_owned()));
    assert!(wrong.iter().all(|line| !line.contains("codec")), "{wrong:?}");
}

#[test]
fn the_table_names_no_room_twice() {
    for Library { sources, rooms } in LIBRARIES {
        let distinct: BTreeSet<&&str> = rooms.iter().collect();
        assert_eq!(distinct.len(), rooms.len(), "{sources}");
    }
}
