//! Writes the seed corpora: `cargo run -p fuzz-bodies --example seeds`.
//!
//! The packets are put together by hand, so that the codec under test has no part in them. What the fuzzer found
//! and is kept as a regression stands beside the seeds and is left alone.

mod journal;

use std::{fs, io, path::Path};

type Seeds = Vec<(&'static str, Vec<u8>)>;

fn main() -> io::Result<()> {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    let mut written = 0;
    for (target, seeds) in [
        ("client", client_seeds()),
        ("decode", decode_seeds()),
        ("journal", journal::seeds()),
        ("topic", topic_seeds()),
        ("watchdog", watchdog_seeds()),
    ] {
        fs::create_dir_all(corpora.join(target))?;
        for (name, bytes) in seeds {
            fs::write(corpora.join(target).join(name), bytes)?;
            written += 1;
        }
    }
    println!("{written} seeds written");
    Ok(())
}

/// Five bytes of settings and the instructions of `client::Run::step`.
fn client_seeds() -> Seeds {
    // Of the settings: version 3.1, automatic, or 3.1.1; a session that is kept or clean; and so on.
    const V31: u8 = 0;
    const AUTO: u8 = 1;
    const V311: u8 = 2;
    const CLEAN: u8 = 1 << 2;
    const MANUAL: u8 = 1 << 3;
    const RENEW: u8 = 1 << 4;
    const ALIVE: u8 = 1 << 5;
    const AGAIN: u8 = 1 << 6;
    const WILL: u8 = 1 << 7;
    let settings = |flags: u8| [flags, 0x38, 0xFF, 100, 4];
    let kept = settings(V311 | RENEW | AGAIN);
    let clean = settings(V311 | CLEAN | RENEW | ALIVE);
    let manual = settings(V311 | MANUAL | AGAIN);
    let tight = [V311 | AGAIN, 8, 0xFF, 30, 2];

    const UP: &[u8] = &[14];
    // The broker has a session of a former life.
    const FORMER: &[u8] = &[13, 10, 4, 13];
    const HONEST: &[u8] = &[15];
    const DRIVE: &[u8] = &[13];
    const LOSE: &[u8] = &[4, 200];
    const LEAVE: &[u8] = &[4, 0];
    const SECONDS_66: &[u8] = &[6, 65];
    const PUBLISH: [&[u8]; 3] = [&[0, 0, 5], &[0, 1, 5], &[0, 6, 9]];
    const SUBSCRIBE: &[u8] = &[1, 2, 0x40, 0x81];
    const UNSUBSCRIBE: &[u8] = &[2, 1, 0];
    // Packets of the peer: kind, id, and what the kind needs.
    const MESSAGE: [&[u8]; 3] = [&[24, 3, 0, 0, 4], &[24, 3, 1, 0x11, 4], &[24, 3, 2, 0x22, 4]];
    const RELEASE: &[u8] = &[24, 9, 2];
    const LARGE: &[u8] = &[24, 3, 3, 0x16, 200];
    const ACKNOWLEDGE: &[u8] = &[3, 0];
    // The broker answers once; the application asks for so much that no room is left.
    const ANSWER: &[u8] = &[10, 0];
    const FILL: &[u8] = &[0, 0x81, 60];

    let each = [PUBLISH[0], PUBLISH[1], PUBLISH[2]].concat();
    let messages = [MESSAGE[0], MESSAGE[1], MESSAGE[2]].concat();
    let program = |settings: [u8; 5], steps: &[&[u8]]| [&settings[..], &steps.concat()].concat();
    vec![
        ("publish", program(kept, &[UP, &each, HONEST])),
        ("publish-offline", program(kept, &[&each, UP, HONEST])),
        ("publish-31", program(settings(V31 | AGAIN), &[UP, &each, HONEST, LOSE, UP, HONEST])),
        ("publish-window-full", program(kept, &[&each, &each, &each, UP, HONEST, &each])),
        ("publish-outbox-full", program([V311, 0, 0, 30, 8], &[&[0, 0x81, 200], UP, &each, &each])),
        ("resend", program(kept, &[UP, &each, DRIVE, LOSE, UP, HONEST])),
        ("resend-cut", program(kept, &[UP, &each, &[12, 20], LOSE, UP, HONEST])),
        ("resend-release", program(kept, &[UP, PUBLISH[2], DRIVE, &[10, 0], DRIVE, LOSE, UP])),
        ("session-lost", program(clean, &[UP, &each, DRIVE, LOSE, UP, HONEST])),
        ("subscribe", program(kept, &[UP, SUBSCRIBE, HONEST, UNSUBSCRIBE, HONEST])),
        ("subscribe-renewed", program(clean, &[UP, SUBSCRIBE, HONEST, LOSE, UP, HONEST])),
        ("subscribe-refused", program(kept, &[UP, SUBSCRIBE, DRIVE, &[10, 2], DRIVE])),
        ("subscribe-twice", program(clean, &[UP, SUBSCRIBE, SUBSCRIBE, HONEST, LOSE, UP, HONEST])),
        ("subscribe-none", program(kept, &[&[1, 0], &[2, 0], UP])),
        ("receive", program(kept, &[UP, &messages, HONEST, RELEASE, DRIVE, MESSAGE[2], DRIVE])),
        ("receive-again", program(kept, &[UP, MESSAGE[2], LOSE, UP, MESSAGE[2], DRIVE, RELEASE])),
        ("receive-large", program([V311, 8, 0, 100, 4], &[UP, LARGE, DRIVE, MESSAGE[1], DRIVE])),
        ("receive-in-pieces", program(kept, &[UP, &[8, 3, 1, 2, 40], &[11, 3], &[11, 9], DRIVE])),
        ("receive-too-large", program(kept, &[UP, &[7, 5, 0x30, 0xFF, 0xFF, 0x7F, 0], DRIVE])),
        (
            "receive-too-many",
            program([V311, 8, 0xFF, 100, 1], &[UP, MESSAGE[2], &[24, 3, 5, 2, 1]]),
        ),
        (
            "acknowledge",
            program(manual, &[UP, &messages, ACKNOWLEDGE, DRIVE, &[3, 1], DRIVE, ACKNOWLEDGE]),
        ),
        ("acknowledge-late", program(manual, &[UP, &messages, LOSE, ACKNOWLEDGE, UP, &messages])),
        ("ping", program(clean, &[UP, SECONDS_66, HONEST, SECONDS_66, DRIVE])),
        ("ping-unanswered", program(clean, &[UP, SECONDS_66, DRIVE, &[5, 8, 0], DRIVE])),
        (
            "ping-unanswered-twice",
            program(
                settings(V311 | ALIVE | AGAIN),
                &[UP, SECONDS_66, DRIVE, LOSE, UP, SECONDS_66, DRIVE, &[5, 8, 0], DRIVE],
            ),
        ),
        ("connect-timeout", program(kept, &[DRIVE, &[5, 12, 0], DRIVE, SECONDS_66, DRIVE])),
        ("connect-refused", program(kept, &[DRIVE, &[10, 0xFD], DRIVE, SECONDS_66, DRIVE])),
        ("connect-falls-back", program(settings(AUTO | AGAIN), &[DRIVE, &[10, 0xF9], DRIVE, UP])),
        ("connect-never-again", program(settings(V311 | WILL), &[UP, LOSE, DRIVE, &each, UP])),
        ("disconnect", program(kept, &[UP, &each, LEAVE, DRIVE, &each, UP, HONEST])),
        ("disconnect-early", program(kept, &[DRIVE, LEAVE, &[10, 0], DRIVE, UP, HONEST])),
        ("garbage", program(kept, &[UP, &[7, 4, 0xF0, 0, 1, 2], DRIVE, SECONDS_66, DRIVE])),
        ("unasked-answers", program(kept, &[UP, &[24, 7, 0], DRIVE, UP, &[24, 8, 0], DRIVE])),
        ("clock-goes-back", program(clean, &[UP, SECONDS_66, DRIVE, &[6, 63], DRIVE, HONEST])),
        ("end-of-time", program(clean, &[UP, &[6, 0, 3], &each, HONEST, LOSE, DRIVE])),
        ("former-life", program(kept, &[&each, FORMER, HONEST, &each, HONEST, &each, HONEST])),
        (
            "former-life-31",
            program(settings(V31 | AGAIN), &[&each, UP, &each, HONEST, LOSE, UP, HONEST, &each]),
        ),
        ("former-life-cut", program(kept, &[&each, FORMER, ANSWER, LOSE, UP, HONEST, &each])),
        (
            "former-life-sent-in-part",
            program(kept, &[&each, DRIVE, &[10, 4], &[12, 6], LOSE, UP, HONEST, &each]),
        ),
        ("former-life-lost", program(kept, &[&each, FORMER, LOSE, DRIVE, &[10, 1], HONEST, &each])),
        (
            "former-life-of-a-client-without-qos-2",
            program([V311 | AGAIN, 8, 0xFE, 100, 4], &[&each, FORMER, HONEST, &messages, HONEST]),
        ),
        (
            "former-life-messages",
            program(kept, &[FORMER, &messages, RELEASE, HONEST, MESSAGE[2], DRIVE, LOSE, UP]),
        ),
        (
            "former-life-messages-manual",
            program(
                [V311 | MANUAL | AGAIN, 0x38, 0xFF, 100, 2],
                &[
                    &[FORMER, &messages, ACKNOWLEDGE, &messages, ACKNOWLEDGE, MESSAGE[2]].concat(),
                    HONEST,
                    UP,
                    &messages,
                    HONEST,
                ],
            ),
        ),
        (
            "former-life-outbox-full",
            program(
                tight,
                &[
                    FILL,
                    FORMER,
                    &[MESSAGE[1]; 10].concat(),
                    RELEASE,
                    HONEST,
                    UP,
                    MESSAGE[1],
                    HONEST,
                ],
            ),
        ),
        (
            "former-life-inbound-full",
            program(
                tight,
                &[FORMER, MESSAGE[2], &[24, 3, 5, 2, 1], &[24, 3, 3, 2, 1], HONEST, UP, HONEST],
            ),
        ),
        (
            "former-life-inbound-full-and-lost",
            program(
                tight,
                &[FORMER, MESSAGE[2], &[24, 3, 5, 2, 1], &[24, 3, 3, 2, 1], LOSE, UP, HONEST],
            ),
        ),
        (
            "former-life-outbox-full-manual",
            program(
                [V311 | MANUAL | AGAIN, 8, 0xFF, 30, 1],
                &[
                    FILL,
                    FORMER,
                    &[MESSAGE[1], ACKNOWLEDGE, DRIVE].concat().repeat(10),
                    RELEASE,
                    HONEST,
                    UP,
                    HONEST,
                ],
            ),
        ),
        (
            "former-life-in-pieces",
            program(
                tight,
                &[
                    &[FORMER, MESSAGE[2], &[24, 3, 5, 2, 1]].concat(),
                    &[8, 3, 3, 0x16, 200, 11, 99, 11, 200],
                    DRIVE,
                    HONEST,
                    UP,
                    HONEST,
                ],
            ),
        ),
        (
            "former-life-unanswered",
            program(kept, &[&each, FORMER, &[5, 8, 0], DRIVE, &[6, 65], UP, HONEST]),
        ),
        (
            "former-life-given-up",
            program(kept, &[&each, FORMER, &[LOSE, UP].concat().repeat(6), HONEST, &each, HONEST]),
        ),
        (
            "former-life-nearly-given-up",
            program(
                kept,
                &[
                    &[&each, FORMER, &[LOSE, UP].concat().repeat(4), ANSWER].concat(),
                    &[LOSE, UP].concat().repeat(5),
                    HONEST,
                ],
            ),
        ),
        (
            "doubt-31",
            program(
                [V31 | AGAIN, 8, 0xFF, 100, 1],
                &[
                    UP,
                    HONEST,
                    MESSAGE[2],
                    LOSE,
                    UP,
                    MESSAGE[2],
                    LOSE,
                    UP,
                    &[24, 3, 5, 2, 1],
                    HONEST,
                ],
            ),
        ),
        (
            "doubt-unanswered-connect",
            program(
                kept,
                &[
                    &[UP, SUBSCRIBE, HONEST, MESSAGE[2], LOSE, DRIVE, LOSE].concat(),
                    UP,
                    MESSAGE[2],
                    &[24, 3, 1, 0x2A, 4],
                    HONEST,
                ],
            ),
        ),
        ("former-life-disconnect", program(kept, &[&each, FORMER, LEAVE, DRIVE, HONEST, UP])),
        (
            "former-life-disconnect-passed-over",
            program(
                tight,
                &[
                    &[FORMER, MESSAGE[2], &[24, 3, 5, 2, 1], &[24, 3, 3, 2, 1]].concat(),
                    LEAVE,
                    HONEST,
                    UP,
                    HONEST,
                ],
            ),
        ),
        ("no-window", program([V311, 8, 0xFF, 100, 0], &[UP])),
    ]
}

/// One packet or a few, as they are on the wire.
fn decode_seeds() -> Seeds {
    let stream = [
        packet(0x20, &[&[0, 0]]),
        packet(0x31, &[&string("a/b"), b"retained"]),
        packet(0x34, &[&string("a"), &[0, 7], b"x"]),
        packet(0x62, &[&[0, 7]]),
        packet(0x90, &[&[0, 1, 2, 0x80]]),
        packet(0xD0, &[]),
    ];
    let mut seeds = vec![
        ("connect-311", connect("MQTT", 4, 0x02, &[&string("")])),
        ("connect-311-kept-session", connect("MQTT", 4, 0x00, &[&string("device-7")])),
        (
            "connect-311-will-login",
            connect(
                "MQTT",
                4,
                0xF6,
                &[
                    &string("device-7"),
                    &string("state"),
                    &string("gone"),
                    &string("user"),
                    &string("secret"),
                ],
            ),
        ),
        ("connect-311-user", connect("MQTT", 4, 0x82, &[&string("d"), &string("user")])),
        (
            "connect-311-empty-will",
            connect("MQTT", 4, 0x0E, &[&string("d"), &string("w"), &string("")]),
        ),
        ("connect-31", connect("MQIsdp", 3, 0x02, &[&string("device-7")])),
        ("connect-31-23-characters", connect("MQIsdp", 3, 0x00, &[&string(&"c".repeat(23))])),
        ("connect-31-24-characters", connect("MQIsdp", 3, 0x00, &[&string(&"c".repeat(24))])),
        ("connect-reserved-flag", connect("MQTT", 4, 0x03, &[&string("d")])),
        (
            "connect-will-qos-3",
            connect("MQTT", 4, 0x1E, &[&string("d"), &string("w"), &string("gone")]),
        ),
        ("connect-will-qos-without-will", connect("MQTT", 4, 0x0A, &[&string("d")])),
        ("connect-password-without-user", connect("MQTT", 4, 0x42, &[&string("d"), &string("p")])),
        ("connect-empty-id-kept-session", connect("MQTT", 4, 0x00, &[&string("")])),
        ("connect-level-5", connect("MQTT", 5, 0x02, &[&string("d")])),
        ("connect-unknown-name", connect("MQTX", 4, 0x02, &[&string("d")])),
        ("connect-trailing", connect("MQTT", 4, 0x02, &[&string("d"), b"x"])),
        ("connack", packet(0x20, &[&[0, 0]])),
        ("connack-session-present", packet(0x20, &[&[1, 0]])),
        ("connack-not-authorized", packet(0x20, &[&[0, 5]])),
        ("connack-code-6", packet(0x20, &[&[0, 6]])),
        ("connack-refused-present", packet(0x20, &[&[1, 2]])),
        ("connack-reserved-flags", packet(0x20, &[&[2, 0]])),
        ("publish-qos0", packet(0x30, &[&string("sensor/t01"), b"21.5"])),
        ("publish-qos1", packet(0x32, &[&string("sensor/t01"), &[0x12, 0x34], b"21.5"])),
        ("publish-qos2-dup-retain", packet(0x3D, &[&string("a"), &[0xFF, 0xFF], b"x"])),
        ("publish-empty", packet(0x31, &[&string("a")])),
        ("publish-two-byte-length", packet(0x30, &[&string("a"), &[b'x'; 125]])),
        ("publish-padded-length", vec![0x30, 0x84, 0x80, 0x00, 0, 1, b'a', b'x']),
        ("publish-unicode", packet(0x30, &[&string("\u{FEFF}città/温度/\u{10FFFF}"), b"x"])),
        ("publish-qos3", packet(0x36, &[&string("a"), &[0, 1], b"x"])),
        ("publish-qos0-dup", packet(0x38, &[&string("a"), b"x"])),
        ("publish-id-zero", packet(0x32, &[&string("a"), &[0, 0], b"x"])),
        ("publish-no-id", packet(0x32, &[&string("a"), &[0]])),
        ("publish-wildcard", packet(0x30, &[&string("a/+")])),
        ("publish-nul", packet(0x30, &[&string("a\0b")])),
        ("publish-surrogate", packet(0x30, &[&[0, 3, 0xED, 0xA0, 0x80], b"x"])),
        ("publish-topic-empty", packet(0x30, &[&string(""), b"x"])),
        ("publish-topic-too-long", packet(0x30, &[&[0, 9], b"short"])),
        ("publish-cut", vec![0x30, 0x20, 0, 3, b'a', b'/', b'b', b'x']),
        ("puback", packet(0x40, &[&[0, 1]])),
        ("puback-id-zero", packet(0x40, &[&[0, 0]])),
        ("puback-too-long", packet(0x40, &[&[0, 1, 0]])),
        ("pubrec", packet(0x50, &[&[0xFF, 0xFF]])),
        ("pubrel", packet(0x62, &[&[0, 1]])),
        ("pubrel-dup", packet(0x6A, &[&[0, 1]])),
        ("pubrel-flags", packet(0x60, &[&[0, 1]])),
        ("pubcomp", packet(0x70, &[&[0, 1]])),
        ("subscribe", packet(0x82, &[&[0, 1], &string("a/#"), &[1]])),
        (
            "subscribe-three",
            packet(
                0x82,
                &[&[0, 2], &string("a"), &[0], &string("+/b"), &[1], &string("$share/g/#"), &[2]],
            ),
        ),
        ("subscribe-dup", packet(0x8A, &[&[0, 1], &string("a"), &[2]])),
        ("subscribe-none", packet(0x82, &[&[0, 1]])),
        ("subscribe-qos3", packet(0x82, &[&[0, 1], &string("a"), &[3]])),
        ("subscribe-reserved-bits", packet(0x82, &[&[0, 1], &string("a"), &[0x81]])),
        ("subscribe-misplaced", packet(0x82, &[&[0, 1], &string("a#"), &[0]])),
        ("suback", packet(0x90, &[&[0, 1, 0, 1, 2]])),
        ("suback-refused", packet(0x90, &[&[0, 1, 0x80]])),
        ("suback-code-3", packet(0x90, &[&[0, 1, 3]])),
        ("suback-none", packet(0x90, &[&[0, 1]])),
        ("unsubscribe", packet(0xA2, &[&[0, 3], &string("a/#"), &string("b")])),
        ("unsubscribe-none", packet(0xA2, &[&[0, 3]])),
        ("unsuback", packet(0xB0, &[&[0, 3]])),
        ("pingreq", packet(0xC0, &[])),
        ("pingresp", packet(0xD0, &[])),
        ("pingresp-long", packet(0xD0, &[&[0]])),
        ("disconnect", packet(0xE0, &[])),
        ("reserved-0", packet(0x00, &[])),
        ("reserved-15", packet(0xF0, &[])),
        ("length-of-five-bytes", vec![0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]),
        ("length-largest", vec![0x30, 0xFF, 0xFF, 0xFF, 0x7F, 0, 1, b'a']),
        ("length-cut", vec![0x30, 0x80]),
        ("nothing", vec![]),
    ];
    seeds.push(("stream", stream.concat()));
    seeds
}

/// A filter, a line feed, a name.
fn topic_seeds() -> Seeds {
    let text = [
        ("literal", "sport/tennis\nsport/tennis"),
        ("case", "ACCOUNTS\nAccounts"),
        ("hash-below", "sport/tennis/#\nsport/tennis/player1/ranking"),
        ("hash-parent", "sport/#\nsport"),
        ("hash-alone", "#\nsport"),
        ("hash-not-alone", "sport/tennis#\nsport/tennis#"),
        ("hash-not-last", "sport/#/ranking\nsport/a/ranking"),
        ("plus", "sport/+/player1\nsport/tennis/player1"),
        ("plus-one-level", "sport/+\nsport/tennis/player1"),
        ("plus-not-none", "sport/+\nsport"),
        ("plus-empty-level", "sport/+\nsport/"),
        ("plus-plus", "+/+\n/finance"),
        ("plus-hash", "+/#\nsport"),
        ("plus-not-alone", "sport+\nsport+"),
        ("plus-first", "+\n/finance"),
        ("empty-levels", "//+//\n//a//"),
        ("dollar-hash", "#\n$SYS/uptime"),
        ("dollar-plus", "+/uptime\n$SYS/uptime"),
        ("dollar-named", "$SYS/#\n$SYS/uptime"),
        ("share", "$share/group/a/+\na/b"),
        ("share-hash-dollar", "$share/group/#\n$SYS/uptime"),
        ("share-nested", "$share/a/$share/b/c\n$share/b/c"),
        ("share-no-group", "$share//a\n$share//a"),
        ("share-no-filter", "$share/a/\n$share/a/"),
        ("share-wild-group", "$share/+/a\n$share/b/a"),
        ("unicode", "città/+/温度\ncittà/キッチン/温度"),
        ("byte-order-mark", "\u{FEFF}a\na"),
        ("nul", "a\0b\na\0b"),
        (
            "long",
            "abcdefghijklmnopqrstuvwxyz/+/abcdefghijkl\nabcdefghijklmnopqrstuvwxyz/0/abcdefghijkl",
        ),
        ("empty", ""),
    ];
    let mut seeds: Seeds = text.map(|(name, text)| (name, text.as_bytes().to_vec())).into();
    seeds.push(("surrogate", b"a/\xED\xA0\x80".to_vec()));
    seeds.push(("overlong", b"\xC0\xAF\n\xC0\xAF".to_vec()));
    seeds
}

/// Settings and calls of the body `watchdog`, and what its other choices take.
fn watchdog_seeds() -> Seeds {
    // Heartbeat 100 ms, one rescue, from 0 on; restart, last words after 50 ms, reset after 20.
    const SETTINGS: &[u8] = &[0, 100, 0, 1, 0, 2, 1, 0, 0, 4, 50, 0, 20];
    // The same, 60 ms before the stamp wraps, and before the end of time.
    const WRAP: &[u8] = &[0, 100, 0, 1, 1, 60, 0, 2, 1, 0, 0, 4, 50, 0, 20];
    const END: &[u8] = &[0, 100, 0, 1, 4, 0, 4, 0, 0, 2, 1, 0, 0, 4, 50, 0, 20];
    // Rules: a deadline of 250 ms, and more.
    const PLAIN: &[u8] = &[0, 250, 0];
    const VACANT: &[u8] = &[1];
    const WINDOW: &[u8] = &[2, 250, 0, 30, 0];
    const STEPS: &[u8] = &[4, 250, 0, 3];
    const GRANTS: &[u8] = &[8, 250, 0, 3, 4];
    const PAUSED: &[u8] = &[16, 250, 0];
    const LONGEST: &[u8] = &[32, 0, 0xBA, 0xDB, 0];
    // Calls, of task 0 but for the last.
    const FEED: u8 = 0;
    const STEP: u8 = 2;
    const NEXT: u8 = 3;
    const GRANT: u8 = 4;
    const PAUSE: u8 = 5;
    const RESUME: u8 = 6;
    const RETIRE: u8 = 7;
    const RETURN: u8 = 8;
    const PANIC: u8 = 8 | 4 << 4;
    const RESTARTED: u8 = 10;
    const DUE: u8 = 14;
    const MILLIS_10: u8 = 12 | 10 << 4;
    const FEED_OTHER: u8 = 1 << 4;

    let program = |settings: &[u8], tasks: &[&[u8]], calls: &[u8]| {
        [settings, &[tasks.len() as u8], &tasks.concat(), calls].concat()
    };
    let beats = [FEED, DUE, DUE].repeat(6);
    let starve = [FEED, DUE, DUE, DUE, DUE, DUE];
    let plan = [5, 0, 20, 244, 1, 0, 0, 20, 0, 0, 0, 132, 3, 0, 0, 196, 9, 0, 0]
        .into_iter()
        .chain([232, 3, 0, 0, 100, 0, 0, 0, 50, 0, 0, 0, 160, 15, 0, 0, 0, 0, 0, 0])
        .collect();
    // Starved task 2, at checkpoint 1, since 60,000 ms, found at 61,000; with its checksum.
    let record = b"WDcr\x01\x01\x01\x01\x02\0\0\0\0\0\0\0\x60\xEA\0\0\0\0\0\0\x48\xEE\0\0\0\0\0\0";
    vec![
        ("feeds", program(SETTINGS, &[PLAIN], &beats)),
        ("feeds-through-the-wrap", program(WRAP, &[PLAIN], &beats)),
        ("feeds-to-the-end-of-time", program(END, &[PLAIN], &beats)),
        ("starves", program(SETTINGS, &[PLAIN], &[&starve[..], &[DUE; 4]].concat())),
        (
            "starves-beside-another",
            program(SETTINGS, &[PLAIN, PLAIN], &[FEED_OTHER, DUE].repeat(6)),
        ),
        ("starves-at-start", program(WRAP, &[PLAIN], &[DUE; 6])),
        ("late-feed", program(SETTINGS, &[PLAIN], &[FEED, 11, 251, 0, FEED, DUE, DUE])),
        (
            "restarted",
            program(SETTINGS, &[PLAIN], &[&starve[..], &[RESTARTED, FEED, DUE]].concat()),
        ),
        (
            "restarted-twice",
            program(
                SETTINGS,
                &[PLAIN],
                &[&starve[..], &[RESTARTED], &starve, &[RESTARTED]].concat(),
            ),
        ),
        ("early", program(SETTINGS, &[WINDOW], &[FEED, MILLIS_10, FEED, DUE])),
        ("window", program(SETTINGS, &[WINDOW], &beats)),
        ("checkpoints", program(WRAP, &[STEPS], &[NEXT, DUE].repeat(9))),
        ("checkpoint-out-of-order", program(SETTINGS, &[STEPS], &[NEXT, STEP, 2, DUE, DUE])),
        ("checkpoint-unknown", program(SETTINGS, &[STEPS], &[NEXT, STEP, 19, DUE, DUE])),
        ("feed-without-checkpoint", program(SETTINGS, &[STEPS], &[NEXT, FEED, DUE, DUE, DUE, DUE])),
        (
            "grants",
            program(SETTINGS, &[GRANTS], &[FEED, GRANT, GRANT, DUE, DUE, DUE, DUE].repeat(4)),
        ),
        ("grant-for-the-start", program(WRAP, &[GRANTS], &[DUE; 12])),
        (
            "pause",
            program(SETTINGS, &[PLAIN], &[FEED, PAUSE, FEED, DUE, DUE, DUE, DUE, RESUME, DUE]),
        ),
        (
            "pause-of-hours",
            program(SETTINGS, &[PAUSED], &[13 | 15 << 4, 0, 16, 0, 0, DUE, RESUME, FEED]),
        ),
        ("retire", program(SETTINGS, &[PLAIN], &[FEED, RETIRE, FEED, RETIRE, DUE, DUE, DUE, DUE])),
        ("returns", program(SETTINGS, &[PLAIN], &[FEED, MILLIS_10, RETURN, RETIRE, DUE, DUE])),
        ("panics", program(SETTINGS, &[PLAIN, STEPS], &[FEED, MILLIS_10, PANIC, DUE, DUE])),
        (
            "watch",
            program(SETTINGS, &[VACANT], &[DUE, 9, 0, 250, 0, FEED, DUE, RETIRE, 9, 1, FEED]),
        ),
        (
            "clock-goes-back",
            program(SETTINGS, &[PLAIN], &[11, 0, 1, FEED, 13, 0, 1, DUE, FEED, DUE]),
        ),
        ("clock-of-another", program(SETTINGS, &[PLAIN], &[11, 0, 9, FEED, 13, 0, 8, DUE, DUE])),
        (
            "longest-deadline",
            program(SETTINGS, &[LONGEST], &[FEED, 13 | 15 << 4, 0, 12, 0, 0, DUE]),
        ),
        (
            "asleep-for-hours",
            program(SETTINGS, &[LONGEST], &[FEED, 13 | 15 << 4, 0, 64, 0, 0, DUE]),
        ),
        ("nobody", program(SETTINGS, &[], &[DUE; 3])),
        ("record", [&[4], &record[..], &[0; 16], &[0x4A, 0xAA, 0xD8, 0x5E]].concat()),
        ("record-damaged", [&[4], &record[..], &[0; 20]].concat()),
        ("record-absent", vec![4]),
        ("plan", plan),
        ("countdown", [&[6, 3][..], &[1, 1, 0, 1, 0, 1, 1, 1, 0, 1]].concat()),
    ]
}

fn connect(name: &str, level: u8, flags: u8, payload: &[&[u8]]) -> Vec<u8> {
    packet(0x10, &[&string(name), &[level, flags, 0, 60], &payload.concat()])
}

fn packet(first: u8, body: &[&[u8]]) -> Vec<u8> {
    let body = body.concat();
    let mut packet = vec![first];
    let mut remaining = body.len();
    while remaining > 0x7F {
        packet.push((remaining & 0x7F) as u8 | 0x80);
        remaining >>= 7;
    }
    packet.push(remaining as u8);
    packet.extend(body);
    packet
}

fn string(text: &str) -> Vec<u8> {
    let mut field = (text.len() as u16).to_be_bytes().to_vec();
    field.extend(text.as_bytes());
    field
}
