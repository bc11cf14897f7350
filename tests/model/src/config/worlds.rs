//! The closed worlds that are explored, each to its end.

use mqtt_core::{QoS, Version};

use super::{Acknowledge, Bad, Brokers, Config, Driver, Manner, Partial, Speaks};
use crate::{broker::Method, device::LARGEST_OUTBOX};

const ONE: QoS = QoS::AtLeastOnce;
const TWO: QoS = QoS::ExactlyOnce;

/// The usual world: two cuts, one power cut, method B, parts of one byte, and more room than is ever needed.
const BASE: Config = Config {
    name: "",
    outbound: &[],
    inbound: &[],
    brokers: Brokers::One,
    cuts: 2,
    power_cuts: 1,
    lost_sessions: 0,
    loss_unheard: false,
    snapshots: 0,
    failed_records: 0,
    cancels: 0,
    from_source: &[],
    source_faults: 0,
    subscribes_at: None,
    bad: None,
    stuck_after: 0,
    give_up_stuck: false,
    version: Version::V311,
    speaks: Speaks::Both,
    resend_lost: false,
    renew_each_time: false,
    window: 2,
    broker_window: 2,
    too_large: None,
    acknowledge: Acknowledge::Automatic,
    filters: 0,
    filters_per_subscribe: 8,
    driver: Driver::Writes,
    method: Method::B,
    partial: Partial::FirstByte,
    shuffled: false,
    payload: 1,
    outbox: LARGEST_OUTBOX,
    large: false,
};

const OUT: Config = Config { outbound: &[ONE, TWO, TWO, ONE], ..BASE };
const IN: Config = Config { inbound: &[ONE, TWO, TWO, ONE], filters: 1, ..BASE };
const BOTH: Config = Config { outbound: &[ONE, TWO], inbound: &[ONE, TWO], filters: 1, ..BASE };
/// A broker that closes the connection at the second of three requests; nothing else fails.
const POISON: Config = Config {
    bad: Some(Bad { request: 1, manner: Manner::Closes }),
    stuck_after: 2,
    window: 3,
    cuts: 0,
    power_cuts: 0,
    ..BASE
};
/// The application takes one request back.
const CANCEL: Config = Config { cancels: 1, cuts: 1, power_cuts: 0, ..BASE };
/// The broker has more messages in flight than the client has slots.
const PASS: Config =
    Config { inbound: &[TWO, TWO, TWO, TWO], broker_window: 4, cuts: 1, power_cuts: 0, ..IN };
/// Two brokers with a session each; the client leaves one and comes back.
const BROKERS: Config = Config { brokers: Brokers::Two, power_cuts: 0, ..BASE };
/// The client may miss the first CONNACK, and finds a session.
const RECLAIM: Config = Config { outbound: &[ONE, TWO, TWO], cuts: 1, power_cuts: 0, ..BASE };
/// Publishes of QoS 2 that would be lost with the session are sent again.
const RESEND: Config = Config { resend_lost: true, lost_sessions: 1, ..BASE };
/// The client may speak any version, and a connection may break before its CONNACK.
const AUTO: Config = Config { version: Version::Auto, outbound: &[TWO], power_cuts: 0, ..BASE };
/// The session is lost, and two subscriptions are renewed one by one.
const RENEW: Config = Config {
    filters: 2,
    filters_per_subscribe: 1,
    lost_sessions: 1,
    loss_unheard: true,
    power_cuts: 0,
    ..BASE
};

/// Payloads that are read while they are sent, also in two parts. Sources may have no bytes, or fail.
const SOURCE: Config = Config {
    source_faults: 1,
    payload: 2,
    partial: Partial::LastByte,
    cuts: 1,
    power_cuts: 0,
    ..BASE
};

const fn bad(request: u8, manner: Manner) -> Option<Bad> {
    Some(Bad { request, manner })
}

const LARGE: bool = true;

/// Every world. Small ones come first, so that a bug is found soon, and those that are explored on demand last.
///
/// The numbers in a name are the QoS of the messages, in their order.
pub const ALL: &[Config] = &[
    Config { name: "smallest", outbound: &[TWO], cuts: 1, power_cuts: 0, ..BASE },
    // A request that stands in the way.
    Config { name: "poison-111", outbound: &[ONE, ONE, ONE], ..POISON },
    Config { name: "poison-222", outbound: &[TWO, TWO, TWO], ..POISON },
    Config { name: "poison-121", outbound: &[ONE, TWO, ONE], ..POISON },
    Config { name: "poison-212", outbound: &[TWO, ONE, TWO], ..POISON },
    Config {
        name: "poison-subscribe",
        outbound: &[TWO, ONE],
        subscribes_at: Some(1),
        bad: bad(2, Manner::Closes),
        ..POISON
    },
    Config { name: "poison-give-up", outbound: &[ONE, TWO, TWO], give_up_stuck: true, ..POISON },
    Config { name: "poison-cut", outbound: &[ONE, TWO, ONE], cuts: 1, ..POISON },
    Config { name: "poison-cuts", outbound: &[TWO, TWO, TWO], cuts: 2, ..POISON },
    Config { name: "poison-power", outbound: &[TWO, TWO, ONE], power_cuts: 1, ..POISON },
    Config {
        name: "poison-both",
        outbound: &[ONE, TWO, ONE],
        inbound: &[ONE, TWO],
        filters: 1,
        ..POISON
    },
    Config {
        name: "poison-renewal",
        outbound: &[TWO],
        inbound: &[ONE],
        filters: 3,
        filters_per_subscribe: 8,
        lost_sessions: 1,
        cuts: 1,
        bad: bad(1, Manner::ClosesAtRenewal),
        ..POISON
    },
    Config {
        name: "mute-1",
        outbound: &[ONE, ONE, TWO],
        inbound: &[TWO],
        filters: 1,
        bad: bad(1, Manner::Ignores),
        ..POISON
    },
    Config { name: "mute-2", outbound: &[TWO, TWO, ONE], bad: bad(1, Manner::Ignores), ..POISON },
    Config {
        name: "mute-pubrel",
        outbound: &[TWO, TWO, ONE],
        bad: bad(1, Manner::NeverCompletes),
        ..POISON
    },
    Config {
        name: "mute-give-up",
        outbound: &[ONE, TWO, ONE],
        bad: bad(1, Manner::NeverCompletes),
        give_up_stuck: true,
        ..POISON
    },
    // Payloads from sources.
    Config { name: "source-121", outbound: &[ONE, TWO, ONE], from_source: &[0, 1], ..SOURCE },
    Config {
        name: "source-222",
        outbound: &[TWO, TWO, TWO],
        from_source: &[1],
        source_faults: 2,
        ..SOURCE
    },
    Config {
        name: "source-head",
        outbound: &[TWO, ONE],
        from_source: &[0, 1],
        partial: Partial::FirstByte,
        source_faults: 2,
        cuts: 2,
        ..SOURCE
    },
    Config {
        name: "source-power",
        outbound: &[TWO, ONE],
        from_source: &[0, 1],
        power_cuts: 1,
        ..SOURCE
    },
    Config {
        name: "source-lost",
        outbound: &[TWO, TWO],
        from_source: &[0, 1],
        lost_sessions: 1,
        cuts: 2,
        ..SOURCE
    },
    Config {
        name: "source-resend",
        outbound: &[TWO, ONE],
        from_source: &[0, 1],
        lost_sessions: 1,
        resend_lost: true,
        ..SOURCE
    },
    Config {
        name: "source-cancel",
        outbound: &[TWO, ONE, TWO],
        from_source: &[0, 2],
        cancels: 1,
        ..SOURCE
    },
    Config {
        name: "source-both",
        outbound: &[TWO],
        inbound: &[ONE, TWO],
        filters: 1,
        from_source: &[0],
        ..SOURCE
    },
    Config {
        name: "source-copies",
        outbound: &[TWO, ONE],
        from_source: &[0],
        driver: Driver::Copies,
        ..SOURCE
    },
    Config {
        name: "source-narrow",
        outbound: &[TWO, ONE, TWO],
        from_source: &[0, 1, 2],
        outbox: 84,
        ..SOURCE
    },
    // Requests that are taken back.
    Config { name: "cancel-121", outbound: &[ONE, TWO, ONE], ..CANCEL },
    Config { name: "cancel-212", outbound: &[TWO, ONE, TWO], ..CANCEL },
    Config { name: "cancel-a", outbound: &[TWO, TWO], method: Method::A, cancels: 2, ..CANCEL },
    Config {
        name: "cancel-subscribe",
        outbound: &[TWO, ONE],
        subscribes_at: Some(1),
        cancels: 2,
        ..CANCEL
    },
    Config {
        name: "cancel-copies",
        outbound: &[TWO, ONE],
        cancels: 2,
        driver: Driver::Copies,
        ..CANCEL
    },
    Config { name: "cancel-stuck", outbound: &[TWO, ONE], cuts: 2, stuck_after: 2, ..CANCEL },
    // Subscriptions that are made again, and messages that cannot be taken, or not yet.
    Config { name: "renew", ..RENEW },
    Config { name: "renew-copies", driver: Driver::Copies, ..RENEW },
    Config {
        name: "renew-both",
        outbound: &[ONE, TWO],
        inbound: &[ONE],
        loss_unheard: false,
        ..RENEW
    },
    Config { name: "renew-power", inbound: &[TWO], power_cuts: 1, ..RENEW },
    Config {
        name: "skip-manual",
        inbound: &[ONE, ONE, TWO],
        too_large: Some(1),
        acknowledge: Acknowledge::Manual,
        power_cuts: 0,
        ..IN
    },
    Config { name: "pass-2222", ..PASS },
    // The version, and two brokers with a session each.
    Config { name: "auto", ..AUTO },
    Config { name: "auto-31", speaks: Speaks::V31, ..AUTO },
    Config { name: "auto-brokers", brokers: Brokers::Two, speaks: Speaks::OneEach, ..AUTO },
    Config {
        name: "brokers",
        outbound: &[TWO],
        inbound: &[TWO],
        filters: 1,
        method: Method::A,
        ..BROKERS
    },
    Config { name: "brokers-renew", inbound: &[TWO], filters: 2, renew_each_time: true, ..BROKERS },
    Config { name: "brokers-resend", outbound: &[TWO, ONE], resend_lost: true, ..BROKERS },
    Config { name: "brokers-full-2", inbound: &[TWO, TWO], filters: 1, ..BROKERS },
    Config { name: "brokers-full", inbound: &[TWO, TWO], window: 1, filters: 1, ..BROKERS },
    Config { name: "brokers-subscribe", outbound: &[TWO, TWO], subscribes_at: Some(1), ..BROKERS },
    Config { name: "resend", outbound: &[TWO, ONE, TWO], power_cuts: 0, ..RESEND },
    Config {
        name: "cluster",
        outbound: &[TWO],
        inbound: &[TWO, ONE],
        filters: 1,
        brokers: Brokers::Cluster,
        ..BROKERS
    },
    Config { name: "brokers-copies", outbound: &[TWO, ONE], driver: Driver::Copies, ..BROKERS },
    Config { name: "brokers-out-1221", outbound: &[ONE, TWO, TWO, ONE], ..BROKERS },
    Config { name: "brokers-out-a", outbound: &[TWO, ONE, ONE, TWO], method: Method::A, ..BROKERS },
    Config { name: "brokers-in-1221", inbound: &[ONE, TWO, TWO, ONE], filters: 1, ..BROKERS },
    Config { name: "reclaim-closes", bad: bad(0, Manner::ClosesAtReclaim), ..RECLAIM },
    Config { name: "reclaim-mute", bad: bad(0, Manner::IgnoresReclaim), ..RECLAIM },
    Config {
        name: "brokers-closes",
        outbound: &[TWO, TWO],
        bad: bad(0, Manner::ClosesAtReclaim),
        ..BROKERS
    },
    Config {
        name: "brokers-mute",
        outbound: &[TWO, TWO],
        bad: bad(0, Manner::IgnoresReclaim),
        ..BROKERS
    },
    // Every message arrives.
    Config { name: "in-1221", stuck_after: 3, ..IN },
    Config { name: "out-1221", stuck_after: 3, ..OUT },
    Config { name: "in-2112", inbound: &[TWO, ONE, ONE, TWO], ..IN },
    Config { name: "in-1212", inbound: &[ONE, TWO, ONE, TWO], ..IN },
    Config { name: "in-2121", inbound: &[TWO, ONE, TWO, ONE], ..IN },
    Config { name: "in-1122", inbound: &[ONE, ONE, TWO, TWO], ..IN },
    Config { name: "in-2211", inbound: &[TWO, TWO, ONE, ONE], ..IN },
    Config { name: "in-last-byte", partial: Partial::LastByte, ..IN },
    Config { name: "in-shuffled", shuffled: true, ..IN },
    Config { name: "in-snapshot", snapshots: 1, ..IN },
    Config { name: "in-failed", failed_records: 1, ..IN },
    Config { name: "in-lost", lost_sessions: 1, loss_unheard: true, ..IN },
    Config { name: "out-2112", cuts: 1, outbound: &[TWO, ONE, ONE, TWO], ..OUT },
    Config { name: "out-1212", cuts: 1, outbound: &[ONE, TWO, ONE, TWO], ..OUT },
    Config { name: "out-2121", cuts: 1, outbound: &[TWO, ONE, TWO, ONE], ..OUT },
    Config { name: "out-1122", cuts: 1, outbound: &[ONE, ONE, TWO, TWO], ..OUT },
    Config { name: "out-2211", cuts: 1, outbound: &[TWO, TWO, ONE, ONE], ..OUT },
    Config { name: "out-a", cuts: 1, method: Method::A, ..OUT },
    Config { name: "out-last-byte", cuts: 1, partial: Partial::LastByte, ..OUT },
    Config { name: "out-tight", payload: 20, outbox: 106, ..OUT },
    Config { name: "out-no-journal", power_cuts: 0, ..OUT },
    Config { name: "out-shuffled", shuffled: true, cuts: 1, ..OUT },
    Config { name: "out-snapshot", snapshots: 1, cuts: 1, ..OUT },
    Config { name: "out-failed", failed_records: 1, cuts: 1, ..OUT },
    Config { name: "out-lost", lost_sessions: 1, cuts: 1, ..OUT },
    Config { name: "both", cuts: 1, ..BOTH },
    // Larger worlds of the kinds above.
    Config { name: "cancel-power", outbound: &[TWO, TWO], power_cuts: 1, ..CANCEL },
    Config {
        name: "cancel-tight",
        outbound: &[ONE, TWO],
        power_cuts: 1,
        payload: 20,
        outbox: 106,
        ..CANCEL
    },
    Config {
        name: "cancel-snapshot",
        outbound: &[ONE, TWO],
        snapshots: 1,
        power_cuts: 1,
        cuts: 0,
        ..CANCEL
    },
    Config { name: "out-copies", outbound: &[TWO, ONE], driver: Driver::Copies, cuts: 1, ..OUT },
    Config { name: "pass-2212", inbound: &[TWO, TWO, ONE, TWO], power_cuts: 1, ..PASS },
    Config {
        name: "pass-both",
        outbound: &[TWO],
        inbound: &[TWO, TWO, TWO],
        broker_window: 3,
        ..PASS
    },
    Config { name: "resend-power", outbound: &[TWO, TWO], cuts: 1, ..RESEND },
    Config { name: "brokers-in-power", inbound: &[TWO], filters: 1, power_cuts: 1, ..BROKERS },
    Config {
        name: "brokers-full-power",
        inbound: &[TWO],
        window: 1,
        filters: 1,
        power_cuts: 1,
        ..BROKERS
    },
    Config {
        name: "brokers-lost",
        outbound: &[TWO],
        inbound: &[TWO],
        filters: 1,
        lost_sessions: 1,
        cuts: 3,
        ..BROKERS
    },
    Config { name: "brokers-power-22", outbound: &[TWO, TWO], power_cuts: 1, ..BROKERS },
    Config {
        name: "brokers-power-1221",
        outbound: &[ONE, TWO, TWO, ONE],
        cuts: 1,
        power_cuts: 1,
        ..BROKERS
    },
    Config {
        name: "brokers-both",
        outbound: &[ONE, TWO],
        inbound: &[ONE, TWO],
        filters: 1,
        ..BROKERS
    },
    Config {
        name: "brokers-both-power",
        outbound: &[TWO],
        inbound: &[TWO],
        filters: 1,
        power_cuts: 1,
        ..BROKERS
    },
    // On demand.
    Config {
        name: "cancel-lost",
        outbound: &[TWO, ONE, TWO],
        lost_sessions: 1,
        large: LARGE,
        ..CANCEL
    },
    Config {
        name: "cancel-shuffled",
        outbound: &[TWO, ONE, TWO],
        cancels: 2,
        shuffled: true,
        window: 3,
        large: LARGE,
        ..CANCEL
    },
    Config {
        name: "cancel-failed",
        outbound: &[TWO, TWO],
        failed_records: 1,
        power_cuts: 1,
        large: LARGE,
        ..CANCEL
    },
    Config {
        name: "cancel-both",
        outbound: &[TWO, ONE],
        inbound: &[TWO, ONE],
        filters: 1,
        power_cuts: 1,
        large: LARGE,
        ..CANCEL
    },
    Config {
        name: "cancel-powers",
        outbound: &[TWO, ONE, TWO],
        power_cuts: 1,
        large: LARGE,
        ..CANCEL
    },
    Config {
        name: "poison-copies",
        outbound: &[TWO, TWO, ONE],
        driver: Driver::Copies,
        cuts: 1,
        large: LARGE,
        ..POISON
    },
    Config {
        name: "poison-cancel",
        outbound: &[TWO, TWO],
        cancels: 1,
        cuts: 1,
        power_cuts: 1,
        large: LARGE,
        ..POISON
    },
    Config {
        name: "poison-renew",
        outbound: &[TWO, ONE],
        filters: 2,
        filters_per_subscribe: 1,
        lost_sessions: 1,
        cuts: 2,
        large: LARGE,
        ..POISON
    },
    Config {
        name: "pass-copies",
        outbound: &[TWO],
        inbound: &[TWO, TWO, TWO],
        driver: Driver::Copies,
        large: LARGE,
        ..PASS
    },
    Config {
        name: "pass-manual",
        inbound: &[TWO, ONE, TWO, TWO],
        acknowledge: Acknowledge::Manual,
        power_cuts: 1,
        large: LARGE,
        ..PASS
    },
    Config {
        name: "pass-poison",
        outbound: &[TWO, ONE],
        inbound: &[TWO, TWO, TWO],
        filters: 1,
        broker_window: 4,
        window: 2,
        large: LARGE,
        ..POISON
    },
    Config {
        name: "renew-copies-both",
        outbound: &[ONE, TWO],
        inbound: &[ONE],
        loss_unheard: false,
        driver: Driver::Copies,
        power_cuts: 1,
        large: LARGE,
        ..RENEW
    },
    Config { name: "both-cuts", large: LARGE, ..BOTH },
    Config { name: "both-lost", lost_sessions: 1, large: LARGE, ..BOTH },
    Config { name: "both-shuffled", shuffled: true, cuts: 1, large: LARGE, ..BOTH },
    Config {
        name: "both-calm",
        outbound: &[ONE, TWO, TWO, ONE],
        cuts: 1,
        power_cuts: 0,
        large: LARGE,
        ..IN
    },
    Config { name: "out-shuffled-a", shuffled: true, method: Method::A, large: LARGE, ..OUT },
    Config { name: "out-snapshots", snapshots: 1, large: LARGE, ..OUT },
    Config { name: "out-failures", failed_records: 1, large: LARGE, ..OUT },
    Config { name: "out-lost-cuts", lost_sessions: 1, large: LARGE, ..OUT },
    Config { name: "out-lost-a", lost_sessions: 1, method: Method::A, large: LARGE, ..OUT },
    Config {
        name: "brokers-all",
        outbound: &[TWO, ONE],
        inbound: &[TWO, ONE, TWO],
        filters: 1,
        cuts: 1,
        large: LARGE,
        ..BROKERS
    },
    Config {
        name: "brokers-lost-power",
        outbound: &[TWO],
        inbound: &[TWO],
        filters: 1,
        lost_sessions: 1,
        power_cuts: 1,
        large: LARGE,
        ..BROKERS
    },
    Config {
        name: "brokers-full-powers",
        inbound: &[TWO, TWO],
        window: 1,
        filters: 1,
        power_cuts: 1,
        large: LARGE,
        ..BROKERS
    },
    Config {
        name: "brokers-in-powers",
        inbound: &[TWO, TWO],
        filters: 1,
        power_cuts: 1,
        large: LARGE,
        ..BROKERS
    },
    Config {
        name: "brokers-out-powers",
        outbound: &[ONE, TWO, TWO, ONE],
        power_cuts: 1,
        large: LARGE,
        ..BROKERS
    },
    Config { name: "out-cuts", cuts: 3, large: LARGE, ..OUT },
    Config { name: "out-power", power_cuts: 2, cuts: 1, large: LARGE, ..OUT },
    Config { name: "in-power", power_cuts: 2, cuts: 3, large: LARGE, ..IN },
];
