//! The health of a link as a watched task (C1), with real brokers, the blocking client, and a supervisor in real time.
//!
//! The deadlines are short, but long enough for a busy machine: a healthy link has at least a second more than it needs.

#[path = "link_health/life.rs"]
mod life;

use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use life::Life;
use mqtt_core::codec::Packet;
use mqtt_core::{Event, Options, Protocol, QoS, SourceId, Will, topic};
use mqtt_examples::link_health::{LinkRules, Step};
use system_tests::{
    AGAIN_AT_ONCE, Config, FakeBroker, Line, Message, Mosquitto, Publisher, SOON, Subscriber,
    content,
};
use watchdog_core::{Plan, Timing, plan};

/// The keep alive is 2 s, so something comes after 1.5 s. A dead link is noticed after 2.5 s, and an attempt takes 1 s at
/// first.
fn options() -> Options<'static> {
    Options::new("device")
        .keep_alive(2)
        .ping_timeout(1_000)
        .connect_timeout(1_000)
        .clean_session(false)
        .reconnect(AGAIN_AT_ONCE)
}

const SILENCE: u32 = 3_000;
const ANSWER: u32 = 1_500;
const STEPS: &[(Step, u32)] =
    &[(Step::Reconnect, 0), (Step::NextBroker, 1_000), (Step::RestartModem, 1_000)];

/// The second step leaves time for an orderly end of the connection, and for an attempt.
const LATER_STEPS: &[(Step, u32)] = &[(Step::Reconnect, 0), (Step::RestartModem, 7_000)];
/// A life that tries all of `STEPS`.
const ALL: [Step; 3] = [Step::Reconnect, Step::NextBroker, Step::RestartModem];

/// Its last step has the time of an attempt that was given up three times, and of its answer.
const PATIENT: LinkRules = LinkRules::new(SILENCE, ANSWER, STEPS).last_step(10_000);
/// It bites soon.
const STRICT: LinkRules = LinkRules::new(SILENCE, ANSWER, STEPS).last_step(500);
/// The device may be away for 5 s, and bites soon after it.
const AWAY: u32 = 5_000;
const LEAVING: LinkRules = STRICT.absence(AWAY);

/// The watchdog bites at most so long after the last sign of life, in milliseconds.
const PROMISE: u32 = STRICT.deadline_millis() + 1_500;
const TIMING: Timing<'static> = plan!(Plan::heartbeat(100).late(400).recovery(PROMISE));
const PATIENT_TIMING: Timing<'static> =
    plan!(Plan::heartbeat(100).late(400).recovery(PATIENT.deadline_millis() + 1_500));

fn witness(broker: &Mosquitto) -> Subscriber {
    Subscriber::new(broker, "witness").filter("n", QoS::AtLeastOnce).start()
}

fn message(payload: &str) -> Message {
    Message::new("n", payload.as_bytes(), QoS::AtLeastOnce, false)
}

/// mqtt-core waits two minutes for an answer. The rules of the link are stricter.
#[test]
fn a_broker_that_answers_pings_and_no_publish_is_left_for_the_next_and_the_message_comes_there_once()
 {
    let deaf = FakeBroker::start(Protocol::V311, |door| {
        let (mut link, _) = door.admit(false);
        let mut pings = 0;
        loop {
            let frame = link.receive(SOON);
            let packet = frame.packet();
            if packet == Packet::Disconnect {
                break;
            }
            if packet == Packet::PingReq {
                pings += 1;
                link.send(&Packet::PingResp);
            }
        }
        assert!(pings > 0, "the link was alive");
    });
    let good = Mosquitto::start();
    let witness = witness(&good);
    let brokers = [deaf.address().to_string(), good.address().to_string()];
    // A PINGREQ is due before the answer is.
    let rules = LinkRules::new(SILENCE, 2_500, STEPS).last_step(6_000);
    let timing = plan!(Plan::heartbeat(100).late(400).recovery(25_000));
    let brokers = brokers.each_ref().map(String::as_str);
    let mut life = Life::start(&brokers, &options(), rules, timing, || {});
    life.publish("n", "once");
    life.publish("n", "later");
    assert_eq!(life.steps, [Step::Reconnect]);
    assert_eq!(witness.take(2, SOON), [message("once"), message("later")]);
    life.end_well();
    deaf.finish(SOON);
}

/// The kernel of its machine goes on taking bytes and connections for it. So the DISCONNECT leaves, and the client waits
/// five seconds for the broker to close. The step after it has to be later.
#[test]
fn a_frozen_broker_is_left_for_the_next_and_the_message_comes_there_once() {
    let (frozen, good) = (Mosquitto::start(), Mosquitto::start());
    let witness = witness(&good);
    let brokers = [frozen.address().to_string(), good.address().to_string()];
    let brokers = brokers.each_ref().map(String::as_str);
    let rules = LinkRules::new(SILENCE, ANSWER, LATER_STEPS).last_step(1_000);
    let timing = plan!(Plan::heartbeat(100).late(400).recovery(20_000));
    let mut life = Life::start(&brokers, &options(), rules, timing, || {});
    life.publish("other", "the first broker works");
    frozen.freeze();
    life.publish("n", "once");
    life.publish("n", "later");
    assert_eq!(life.steps, [Step::Reconnect]);
    assert_eq!(witness.take(2, SOON), [message("once"), message("later")]);
    life.end_well();
    frozen.thaw();
}

#[test]
fn a_dead_link_is_connected_again_then_the_modem_is_restarted_and_that_heals_it_without_a_bite() {
    let broker = Mosquitto::start();
    let witness = witness(&broker);
    let line = Line::new(broker.address());
    let address = line.address().to_string();
    let mut life = Life::start(&[&address], &options(), PATIENT, PATIENT_TIMING, || line.restart());
    life.publish("n", "before");
    line.stall();
    life.publish("n", "held back");
    assert_eq!(life.steps, ALL);
    // All is well again: the next failure begins with the first step.
    life.publish("n", "after");
    line.stall();
    life.publish("n", "again");
    assert_eq!(life.steps.get(3..), Some(&ALL[..]));
    let payloads = ["before", "held back", "after", "again"];
    assert_eq!(witness.take(4, SOON), payloads.map(message));
    life.end_well();
}

#[test]
fn a_link_that_stays_dead_bites_after_all_steps_and_in_the_time_that_the_plan_promised() {
    let broker = Mosquitto::start();
    let witness = witness(&broker);
    let line = Line::new(broker.address());
    let address = line.address().to_string();
    let will = Will::new(topic!("n"), b"gone").qos(QoS::AtLeastOnce);
    let mut life = Life::start(&[&address], &options().will(will), STRICT, TIMING, || {});
    life.publish("n", "before");
    line.stall();
    let silence = life.bite();
    assert_eq!(life.steps, ALL);
    assert!(silence <= Duration::from_millis(PROMISE.into()), "bites after {silence:?}");
    assert!(silence > Duration::from_millis(STRICT.deadline_millis().into()), "{silence:?}");
    // The others heard of it long before: the broker has missed the keep alive.
    assert_eq!(witness.take(2, SOON), [message("before"), message("gone")]);
}

#[test]
fn an_intended_absence_is_no_fault_and_one_without_an_end_bites() {
    let broker = Mosquitto::start();
    let witness = witness(&broker);
    let line = Line::new(broker.address());
    let address = line.address().to_string();
    let mut life = Life::start(&[&address], &options(), LEAVING, TIMING, || {});
    life.publish("n", "before");

    let now = life.now();
    assert!(!life.health.away(AWAY + 1, now), "longer than the rules allow");
    assert!(life.health.away(AWAY, now));
    line.off();
    let request = life.client.publish("n", b"meanwhile", QoS::AtLeastOnce, false);
    let request = request.expect("a client takes requests offline");
    let end = Instant::now() + Duration::from_millis(AWAY.into());
    life.while_not("the end of the absence", |_| Instant::now() >= end);
    line.restart();
    life.until("an answer", |event| (*event == Event::Published(request)).then_some(()));
    assert_eq!(life.steps, []);

    let now = life.now();
    assert!(life.health.away(AWAY, now));
    line.off();
    let begin = Instant::now();
    let silence = life.bite();
    let now = life.now();
    assert!(!life.health.away(AWAY, now), "nothing was heard since the last one");
    assert!(begin.elapsed() > Duration::from_millis(AWAY.into()));
    assert!(silence <= Duration::from_millis(PROMISE.into()), "bites after {silence:?}");
    assert_eq!(life.steps, ALL);
    assert_eq!(witness.take(2, SOON), [message("before"), message("meanwhile")]);
}

/// Each message, each answer and each PINGREQ takes 300 ms, so a life of 3 s has several keep alives.
#[test]
fn a_slow_link_takes_no_step() {
    let broker = Mosquitto::start();
    let witness = witness(&broker);
    let line = Line::new(broker.address());
    let address = line.address().to_string();
    let mut life = Life::start(&[&address], &options(), STRICT, TIMING, || {});
    line.slow(Duration::from_millis(300));
    for number in 0..6 {
        life.publish("n", &number.to_string());
    }
    let quiet = Instant::now() + Duration::from_millis(u64::from(SILENCE) + 1_000);
    life.while_not("PINGREQs alone", |_| Instant::now() >= quiet);
    life.publish("n", "6");
    assert_eq!(life.steps, []);
    assert_eq!(line.connections(), 1);
    for number in 0..=6 {
        assert_eq!(witness.next(SOON), message(&number.to_string()));
    }
    life.end_well();
}

/// 48 MiB at about 6 MiB a second: several times longer than a silence, and than an answer may take.
#[test]
fn a_long_message_on_a_slow_link_takes_no_step() {
    const LEN: usize = 48 << 20;
    let broker = Mosquitto::start();
    let raw = Subscriber::new(&broker, "witness").filter("n", QoS::AtLeastOnce).start_raw();
    let line = Line::new(broker.address());
    let address = line.address().to_string();
    let options = options().sources(true);
    let rules = LinkRules::new(SILENCE, 2_500, STEPS).last_step(500);
    let timing = plan!(Plan::heartbeat(100).late(400).recovery(25_000));
    let mut life = Life::start(&[&address], &options, rules, timing, || {});
    line.slow(Duration::from_micros(2_500));
    let payload = content(LEN);
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(&payload).expect("it is written");
    let begin = Instant::now();
    let handle = life
        .client
        .publish_from("n", SourceId::new(1), file, QoS::AtLeastOnce, false)
        .expect("room");
    life.until("an answer", |event| (*event == Event::Published(handle)).then_some(()));
    let longest = Duration::from_millis(u64::from(SILENCE) + 2_500);
    assert!(begin.elapsed() > longest, "it was too fast to show anything: {:?}", begin.elapsed());
    assert_eq!(life.steps, []);
    assert!(raw.payload(SOON) == payload, "it is unchanged");
    life.end_well();
}

/// The handler takes longer than an answer may. The answer lies in the socket meanwhile.
#[test]
fn a_slow_handler_takes_no_step() {
    let broker = Mosquitto::start();
    let witness = witness(&broker);
    let mut life = Life::start(&[&broker.address().to_string()], &options(), STRICT, TIMING, || {});
    let subscribed = life.client.subscribe("work", QoS::AtLeastOnce).expect("there is room");
    life.until("a subscription", |event| {
        matches!(event, Event::Subscribed { handle, .. } if *handle == subscribed).then_some(())
    });
    let client = life.client.clone();
    life.work = Box::new(move || {
        let _ = client.publish("n", b"begun", QoS::AtLeastOnce, false).expect("there is room");
        // The time is really spent.
        thread::sleep(Duration::from_millis(u64::from(ANSWER) + 500));
    });
    let publisher = Publisher::new(&broker, "publisher");
    for _ in 0..3 {
        publisher.publish("work", b"1", QoS::AtLeastOnce, false);
        life.until("an answer", |event| matches!(event, Event::Published(_)).then_some(()));
    }
    assert_eq!(life.steps, []);
    assert_eq!(witness.take(3, SOON), ["begun", "begun", "begun"].map(message));
    life.end_well();
}

/// The second one takes so long that a step follows, which finds nobody.
#[test]
fn a_restart_of_the_broker_does_not_bite() {
    let mut broker = Config::new().persistence().start();
    Subscriber::new(&broker, "witness")
        .filter("n", QoS::AtLeastOnce)
        .keep_session()
        .subscribe_and_leave();
    let address = broker.address().to_string();
    let mut life = Life::start(&[&address], &options(), STRICT, TIMING, || {});
    life.publish("n", "before");
    for round in ["one", "two"] {
        broker.stop();
        let request = life.client.publish("n", round.as_bytes(), QoS::AtLeastOnce, false);
        let request = request.expect("a client takes requests offline");
        life.until("the end of the connection", |event| {
            matches!(event, Event::Down { .. }).then_some(())
        });
        if round == "two" {
            life.while_not("a step", |life| !life.steps.is_empty());
        }
        broker.start_again();
        life.until("an answer", |event| (*event == Event::Published(request)).then_some(()));
    }
    assert!(!life.steps.contains(&Step::RestartModem), "{:?}", life.steps);
    life.end_well();
    let witness = Subscriber::new(&broker, "witness").filter("n", QoS::AtLeastOnce);
    let witness = witness.keep_session().start();
    assert_eq!(witness.take(3, SOON), ["before", "one", "two"].map(message));
}
