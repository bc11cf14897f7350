//! Seeds of the target `decode`: packets put together by hand, so that the codec under test has no part in them.

use test_kit::wire::{packet, string};

use crate::Seeds;

/// One packet or several, as bytes on the wire.
pub(crate) fn seeds() -> Seeds {
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

fn connect(name: &str, level: u8, flags: u8, payload: &[&[u8]]) -> Vec<u8> {
    packet(0x10, &[&string(name), &[level, flags, 0, 60], &payload.concat()])
}
