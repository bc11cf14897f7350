//! Seeds of the target `client`: five bytes of settings, then instructions, which `Step` writes as it reads them.

use fuzz_bodies::program::{
    BrokerPacket, Id, Kind, Step,
    flags::{AGAIN, ALIVE, AUTO, CLEAN, MANUAL, RENEW, V31, V311, WILL},
    more::{GIVE_UP, LENIENT, ONE_FILTER, STUCK, WINDOWS},
};
use mqtt_core::QoS;

use crate::Seeds;

/// Each seed has a name, settings, and its instructions by their names: see [`steps`].
pub(crate) fn seeds() -> Seeds {
    let settings = |flags: u8| [flags, 0x38, 0xFF, 100, 4];
    let kept = settings(V311 | RENEW | AGAIN);
    let clean = settings(V311 | CLEAN | RENEW | ALIVE);
    let manual = settings(V311 | MANUAL | AGAIN);
    let tight = [V311 | AGAIN, 8, 0xFF, 30, 2];
    let with = |flags: u8, more: u8| [flags, 0x38, 0xFF, 100, 4 + WINDOWS * more];
    let lenient = with(V311 | RENEW | AGAIN, LENIENT);
    let stuck = with(V311 | RENEW | AGAIN, LENIENT | STUCK);
    let given_up = with(V311 | RENEW | AGAIN, LENIENT | GIVE_UP);
    let renewing = |more: u8| with(V311 | CLEAN | RENEW | AGAIN, more);
    let programs = [
        ("publish", kept, "up each honest"),
        ("publish-offline", kept, "each up honest"),
        ("publish-31", settings(V31 | AGAIN), "up each honest lose up honest"),
        ("publish-window-full", kept, "each each each up honest each"),
        ("publish-outbox-full", [V311, 0, 0, 30, 8], "publish-long:200 up each each"),
        ("resend", kept, "up each drive lose up honest"),
        ("resend-cut", kept, "up each poll:20 lose up honest"),
        ("resend-release", kept, "up publish-2 drive answer:0 drive lose up"),
        ("session-lost", clean, "up each drive lose up honest"),
        ("subscribe", kept, "up subscribe honest unsubscribe honest"),
        ("subscribe-renewed", clean, "up subscribe honest lose up honest"),
        ("subscribe-refused", kept, "up subscribe drive answer:2 drive"),
        ("subscribe-twice", clean, "up subscribe subscribe honest lose up honest"),
        ("subscribe-none", kept, "subscribe-to-none unsubscribe-from-none up"),
        ("receive", kept, "up messages honest release drive message-2 drive"),
        ("receive-again", kept, "up message-2 lose up message-2 drive release"),
        ("receive-large", [V311, 8, 0, 100, 4], "up large drive message-1 drive"),
        ("receive-in-pieces", kept, "up message-in-pieces receive:3 receive:9 drive"),
        ("receive-too-large", kept, "up too-large drive"),
        ("receive-too-many", [V311, 8, 0xFF, 100, 1], "up message-2 message-of-id:6"),
        (
            "acknowledge",
            manual,
            "up messages acknowledge:0 drive acknowledge:1 drive acknowledge:0",
        ),
        ("acknowledge-late", manual, "up messages lose acknowledge:0 up messages"),
        ("ping", clean, "up seconds-66 honest seconds-66 drive"),
        ("ping-unanswered", clean, "up seconds-66 drive pass:2048 drive"),
        (
            "ping-unanswered-twice",
            settings(V311 | ALIVE | AGAIN),
            "up seconds-66 drive lose up seconds-66 drive pass:2048 drive",
        ),
        ("connect-timeout", kept, "drive pass:3072 drive seconds-66 drive"),
        ("connect-refused", kept, "drive answer:253 drive seconds-66 drive"),
        ("connect-falls-back", settings(AUTO | AGAIN), "drive answer:249 drive up"),
        ("connect-never-again", settings(V311 | WILL), "up lose drive each up"),
        ("disconnect", kept, "up each leave drive each up honest"),
        ("disconnect-early", kept, "drive leave answer:0 drive up honest"),
        (
            "deferred",
            kept,
            "poll:9 defer drive poll:9 seconds-66 poll:9 defer leave connect up honest",
        ),
        ("garbage", kept, "up garbage drive seconds-66 drive"),
        ("unasked-answers", kept, "up puback drive up pubrec drive"),
        ("clock-goes-back", clean, "up seconds-66 drive go-back:63 drive honest"),
        ("end-of-time", clean, "up near-the-end:3 each honest lose drive"),
        ("former-life", kept, "each former honest each honest each honest"),
        ("former-life-31", settings(V31 | AGAIN), "each up each honest lose up honest each"),
        ("former-life-cut", kept, "each former answer:0 lose up honest each"),
        ("former-life-sent-in-part", kept, "each drive answer:4 poll:6 lose up honest each"),
        ("former-life-lost", kept, "each former lose drive answer:1 honest each"),
        (
            "former-life-of-a-client-without-qos-2",
            [V311 | AGAIN, 8, 0xFE, 100, 4],
            "each former honest messages honest",
        ),
        ("former-life-messages", kept, "former messages release honest message-2 drive lose up"),
        (
            "former-life-messages-manual",
            [V311 | MANUAL | AGAIN, 0x38, 0xFF, 100, 2],
            "former messages acknowledge:0 messages acknowledge:0 message-2 honest up messages honest",
        ),
        (
            "former-life-outbox-full",
            tight,
            "publish-long:60 former message-1*10 release honest up message-1 honest",
        ),
        (
            "former-life-inbound-full",
            tight,
            "former message-2 message-of-id:6 message-of-id:4 honest up honest",
        ),
        (
            "former-life-inbound-full-and-lost",
            tight,
            "former message-2 message-of-id:6 message-of-id:4 lose up honest",
        ),
        (
            "former-life-outbox-full-manual",
            [V311 | MANUAL | AGAIN, 8, 0xFF, 30, 1],
            "publish-long:60 former acknowledged-message*10 release honest up honest",
        ),
        (
            "former-life-in-pieces",
            tight,
            "former message-2 message-of-id:6 large-in-pieces drive honest up honest",
        ),
        ("former-life-unanswered", kept, "each former pass:2048 drive seconds-66 up honest"),
        ("former-life-given-up", kept, "each former lose-up*6 honest each honest"),
        ("former-life-nearly-given-up", kept, "each former lose-up*4 answer:0 lose-up*5 honest"),
        (
            "uncertain-31",
            [V31 | AGAIN, 8, 0xFF, 100, 1],
            "up honest message-2 lose up message-2 lose up message-of-id:6 honest",
        ),
        (
            "uncertain-unanswered-connect",
            kept,
            "up subscribe honest message-2 lose drive lose up message-2 message-again honest",
        ),
        ("former-life-disconnect", kept, "each former leave drive honest up"),
        (
            "former-life-disconnect-passed-over",
            tight,
            "former message-2 message-of-id:6 message-of-id:4 leave honest up honest",
        ),
        ("no-window", [V311, 8, 0xFF, 100, 0], "up"),
        ("lost-at-qos-0", kept, "up publish-0 poll:0 lose up"),
        ("lost-at-qos-0-in-part", kept, "up publish-0 publish-0 poll:15 lose up"),
        ("shown-at-qos-2-and-session-lost", clean, "up publish-2 poll:0 lose up honest"),
        ("answer-before-the-report", kept, "up publish-1 poll:0 puback-now drive"),
        ("bears-unasked-answers", lenient, "up puback pubrec drive honest each honest"),
        ("bears-a-pubrec-again", lenient, "up publish-2 drive pubrec-now drive pubrec-now honest"),
        ("bears-two-unasked-pubrecs", lenient, "up each pubrec pubrec-of-id:7 drive honest"),
        ("bears-a-kept-session", with(V311 | CLEAN, LENIENT), "each drive present drive honest"),
        (
            "bears-a-refusal-31",
            with(V31 | RENEW, LENIENT),
            "up honest subscribe drive answer:2 drive",
        ),
        ("strict-refusal-31", settings(V31 | RENEW), "up honest subscribe drive answer:2 drive"),
        ("strict-kept-session", settings(V311 | CLEAN), "each drive present drive up honest"),
        ("downgraded", lenient, "up publish-2 drive puback-now drive"),
        ("strict-downgraded", kept, "up publish-2 drive puback-now drive up honest"),
        ("cancel-unsent", kept, "each cancel:2 cancel:1 cancel:0 up honest publish-2 honest"),
        ("cancel-sent", kept, "up each drive cancel:0 cancel:0 each honest lose up honest"),
        ("cancel-in-part", kept, "up publish-2 poll:6 cancel:0 each drive honest"),
        ("cancel-in-part-and-lost", kept, "up publish-2 poll:6 cancel:0 lose up each honest"),
        ("cancel-released", kept, "up publish-2 drive answer:0 drive cancel:0 honest"),
        ("cancel-many", kept, "up cancelled*12 each honest"),
        ("stuck", stuck, "up each drive lose-up*7 cancel:1 lose-up honest"),
        ("stuck-released", stuck, "up publish-2 drive answer:0 drive lose-up*3 cancel:0 honest"),
        ("stuck-given-up", given_up, "up each drive lose-up*7 honest"),
        ("stuck-answers-go-on", stuck, "up each drive lose-up*2 messages pubrec each drive honest"),
        ("renewal-in-chunks", renewing(0), "up subscribe subscribe-more honest lose up honest"),
        (
            "renewal-one-by-one",
            renewing(ONE_FILTER),
            "up subscribe honest each lose up answer:0 drive lose up honest",
        ),
        (
            "renewal-stuck",
            renewing(LENIENT | STUCK),
            "up subscribe subscribe-more honest each lose-up*5 forget:0 lose-up honest",
        ),
        (
            "renewal-given-up",
            renewing(LENIENT | GIVE_UP),
            "up subscribe subscribe-more honest each lose-up*5 honest",
        ),
        (
            "renewal-of-a-filter-that-is-forgotten",
            renewing(0),
            "up subscribe subscribe-more honest lose connect drive answer:0 forget:0 drive honest",
        ),
    ];
    let program = |(name, settings, text): (&'static str, [u8; 5], &str)| {
        let mut data = settings.to_vec();
        for step in text.split(' ').flat_map(steps) {
            step.write(&mut data);
        }
        (name, data)
    };
    programs.map(program).into()
}

/// The instructions that a word of a program stands for. A word is a name; a number behind `:`, if the instruction
/// takes one; and behind `*` how many times it is repeated.
fn steps(word: &str) -> Vec<Step> {
    let (word, times) = word.split_once('*').unwrap_or((word, "1"));
    let (name, number) = word.split_once(':').unwrap_or((word, "0"));
    let number: u16 = number.parse().expect("a number");
    let steps = named(name, number);
    let count = steps.len() * times.parse::<usize>().expect("a number");
    steps.into_iter().cycle().take(count).collect()
}

fn named(name: &str, number: u16) -> Vec<Step> {
    let byte = number as u8;
    let all = |names: &[&str]| names.iter().copied().flat_map(steps).collect();
    let step = match name {
        // The application.
        "each" => return all(&["publish-0", "publish-1", "publish-2"]),
        "publish-0" => publish(QoS::AtMostOnce, false, 5),
        "publish-1" => publish(QoS::AtLeastOnce, false, 5),
        "publish-2" => publish(QoS::ExactlyOnce, true, 9),
        "publish-long" => publish(QoS::AtLeastOnce, false, byte),
        "subscribe" => Step::Subscribe(vec![(0, QoS::AtLeastOnce), (1, QoS::ExactlyOnce)]),
        "subscribe-more" => Step::Subscribe(vec![(2, QoS::AtMostOnce), (3, QoS::AtLeastOnce)]),
        "subscribe-to-none" => Step::Subscribe(vec![]),
        "unsubscribe" => Step::Unsubscribe(vec![0]),
        "unsubscribe-from-none" => Step::Unsubscribe(vec![]),
        "cancel" => Step::Cancel(byte),
        "cancelled" => return all(&["publish-2", "drive", "cancel:0"]),
        "forget" => Step::ForgetSubscription(byte),
        "acknowledge" => Step::Acknowledge(byte),
        "leave" => Step::Disconnect,
        // The driver and the clock.
        "up" => Step::ComeUp,
        "connect" => Step::Connect,
        "drive" => Step::Drive,
        "receive" => Step::Receive(byte),
        "poll" => Step::Poll(byte),
        "lose" => Step::Closed,
        "defer" => Step::Defer,
        "lose-up" => return all(&["lose", "up"]),
        "pass" => Step::Pass(number),
        "seconds-66" => Step::PassLong(65),
        "go-back" => Step::GoBack(byte),
        "near-the-end" => Step::NearTheEnd(byte),
        // The broker. With `former` it has a session of a former life.
        "answer" => Step::Answer(byte),
        "honest" => Step::AnswerAll,
        "former" => return all(&["drive", "answer:4", "drive"]),
        "messages" => return all(&["message-0", "message-1", "message-2"]),
        "message-0" => send(1, message(0, QoS::AtMostOnce, 4)),
        "message-1" => send(2, message(1, QoS::AtLeastOnce, 4)),
        "acknowledged-message" => return all(&["message-1", "acknowledge", "drive"]),
        "message-2" => send(3, message(2, QoS::ExactlyOnce, 4)),
        "message-again" => {
            let (qos, dup) = (QoS::ExactlyOnce, true);
            send(2, Kind::Publish { topic: 2, qos, retain: false, dup, len: 4 })
        }
        "message-of-id" => send(byte, message(0, QoS::ExactlyOnce, 1)),
        "message-in-pieces" => later(send(2, message(0, QoS::ExactlyOnce, 40))),
        "large" => {
            let (qos, dup) = (QoS::ExactlyOnce, false);
            send(4, Kind::Publish { topic: 1, qos, retain: true, dup, len: 200 })
        }
        "large-in-pieces" => {
            let mut steps = named("large", 0);
            steps = steps.into_iter().map(later).collect();
            steps.extend([Step::Receive(99), Step::Receive(200)]);
            return steps;
        }
        "release" => send(3, Kind::PubRel),
        "puback" => send(1, Kind::PubAck),
        "pubrec" => send(1, Kind::PubRec),
        "pubrec-of-id" => send(byte, Kind::PubRec),
        "puback-now" => send_in_flight(Kind::PubAck),
        "pubrec-now" => send_in_flight(Kind::PubRec),
        "present" => send(1, Kind::ConnAck { session_present: true }),
        "too-large" => Step::Garbage(vec![0x30, 0xFF, 0xFF, 0x7F, 0]),
        "garbage" => Step::Garbage(vec![0xF0, 0, 1, 2]),
        _ => panic!("no instruction is called {name}"),
    };
    vec![step]
}

const fn publish(qos: QoS, retain: bool, len: u8) -> Step {
    Step::Publish { topic: 0, qos, retain, len }
}

const fn message(topic: u8, qos: QoS, len: u8) -> Kind {
    Kind::Publish { topic, qos, retain: false, dup: false, len }
}

/// The broker sends a packet, and the client receives it at once.
const fn send(id: u8, kind: Kind) -> Step {
    Step::Packet { packet: BrokerPacket { id: Id::Small(id), kind }, at_once: true }
}

/// The same, with the id of the first request.
const fn send_in_flight(kind: Kind) -> Step {
    Step::Packet { packet: BrokerPacket { id: Id::InFlight(0x80), kind }, at_once: true }
}

/// The client does not receive the packet at once.
fn later(step: Step) -> Step {
    let Step::Packet { packet, .. } = step else { panic!("{step:?} is no packet") };
    Step::Packet { packet, at_once: false }
}
