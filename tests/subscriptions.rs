//! Subscriptions (M4, M12): a thousand filters with their granted QoS, unicode, wildcards, `$` topics.

use mqtt_core::{
    Event, Filter, Options, QoS, RequestError, Topic, TopicError, driver::blocking::Error,
};
use system_tests::{
    AGAIN_AT_ONCE, BOTH_VERSIONS, Config, Device, EVERY_QOS, Message, Mosquitto, Paho, Publisher,
    SOON, Subscriber,
};

const FILTERS: usize = 1000;

fn name(n: usize) -> String {
    format!("house/{}/room/{n}", n % 7)
}

/// QoS 0, 1 and 2 in turn.
fn qos(n: usize) -> QoS {
    match n % 3 {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}

/// A QoS 2 message to each of the thousand topics arrives with the QoS of its filter.
#[track_caller]
fn each_filter_works(broker: &Mosquitto, device: &mut Device) {
    let mut paho = Paho::new(broker, "paho").connect();
    for n in (0..FILTERS).step_by(37).chain([FILTERS - 1]) {
        paho.publish(&name(n), b"hi", QoS::ExactlyOnce, false);
        assert_eq!(device.message(), Message::new(&name(n), b"hi", qos(n), false));
    }
}

#[test]
fn a_thousand_filters_in_one_subscribe_are_granted_in_order() {
    let mut broker = Mosquitto::start();
    let mut device = Device::connect(broker.address(), &Options::new("device"));
    let names: Vec<_> = (0..FILTERS).map(name).collect();
    let filters: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(n, name)| (Filter::new(name).expect("a filter"), qos(n)))
        .collect();
    let request = device.client().subscribe_all(&filters);
    let granted: Vec<_> = (0..FILTERS).map(|n| Some(qos(n))).collect();
    assert_eq!(device.granted(request), granted);
    each_filter_works(&broker, &mut device);
    broker.stop();
    assert_eq!(broker.log().count("Received SUBSCRIBE from device"), 1);
}

#[test]
fn a_thousand_subscribes_are_granted_each() {
    let mut broker = Mosquitto::start();
    let mut device = Device::connect(broker.address(), &Options::new("device"));
    for n in 0..FILTERS {
        assert_eq!(device.subscribe(&name(n), qos(n)), [Some(qos(n))]);
    }
    each_filter_works(&broker, &mut device);
    for n in 0..FILTERS {
        device.unsubscribe(&name(n));
    }
    Publisher::new(&broker, "publisher").publish(&name(1), b"unheard", QoS::AtLeastOnce, false);
    device.subscribe("end", QoS::AtLeastOnce);
    Publisher::new(&broker, "publisher").publish("end", b"heard", QoS::AtLeastOnce, false);
    assert_eq!(device.message(), Message::new("end", b"heard", QoS::AtLeastOnce, false));
    broker.stop();
    assert_eq!(broker.log().count("Received SUBSCRIBE from device"), FILTERS + 1);
    assert_eq!(broker.log().count("Received UNSUBSCRIBE from device"), FILTERS);
}

#[test]
fn a_thousand_subscriptions_are_made_again_when_the_broker_has_lost_the_session() {
    let mut broker = Mosquitto::start();
    let options = Options::new("device").clean_session(false).reconnect(AGAIN_AT_ONCE);
    let mut device = Device::connect(broker.address(), &options);
    for n in 0..FILTERS {
        device.subscribe(&name(n), qos(n));
    }
    broker.kill();
    broker.start_again();
    let mut renewed = Vec::new();
    device.until("the subscriptions", |event| {
        let Event::Renewed { first, granted } = event else { return None };
        assert_eq!(*first, renewed.len(), "in order, a few at a time");
        renewed.extend(granted.iter());
        (renewed.len() == FILTERS).then_some(())
    });
    assert_eq!(renewed, (0..FILTERS).map(|n| Some(qos(n))).collect::<Vec<_>>());
    each_filter_works(&broker, &mut device);
}

/// [MQTT-3.8.4-5], [MQTT-3.9.3-2]: one code for each filter, in order; 0x80 if it was refused.
#[test]
fn a_refused_filter_differs_from_granted_ones() {
    let broker = Config::new().only_subscribable("open/#").start();
    let mut device = Device::connect(broker.address(), &Options::new("device"));
    let filter = |name| Filter::new(name).expect("a filter");
    let request = device.client().subscribe_all(&[
        (filter("closed/#"), QoS::AtLeastOnce),
        (filter("open/#"), QoS::ExactlyOnce),
        (filter("#"), QoS::AtMostOnce),
    ]);
    assert_eq!(device.granted(request), [None, Some(QoS::ExactlyOnce), None]);
    let publisher = Publisher::new(&broker, "publisher");
    publisher.publish("closed/a", b"hi", QoS::AtLeastOnce, false);
    publisher.publish("open/a", b"hi", QoS::AtLeastOnce, false);
    assert_eq!(device.message(), Message::new("open/a", b"hi", QoS::AtLeastOnce, false));
}

/// [MQTT-3.8.4-6].
#[test]
fn a_lower_qos_than_asked_for_is_visible() {
    for (max, most) in [("0", QoS::AtMostOnce), ("1", QoS::AtLeastOnce)] {
        let broker = Config::new().line(&format!("max_qos {max}")).start();
        for (version, _) in BOTH_VERSIONS {
            let mut device =
                Device::connect(broker.address(), &Options::new("device").version(version));
            for qos in EVERY_QOS {
                assert_eq!(device.subscribe("a", qos), [Some(qos.min(most))], "{version:?}");
            }
            device.disconnect();
        }
    }
}

#[test]
fn unicode_topics_pass_unchanged_in_both_directions() {
    let broker = Mosquitto::start();
    let topics = [
        "Küche/Heizung/°C",
        "кухня/температура",
        "台所/温度",
        "بيت/مطبخ",
        "a b/ /c ",
        "/",
        "//",
        "🏠/🌡\u{FE0F}",
        // The same letter twice: composed, decomposed [MQTT-4.7.3-4].
        "\u{E9}",
        "e\u{301}",
        // [MQTT-1.5.3-3].
        "\u{FEFF}bom",
        // The last code points of one, two, three bytes that Mosquitto takes, and the last of all planes in use.
        "~/\u{7FF}/\u{FFFD}/\u{2FFFD}",
    ];
    for (version, protocol) in BOTH_VERSIONS {
        let mut device =
            Device::connect(broker.address(), &Options::new("device").version(version));
        let subscriber = Subscriber::new(&broker, &format!("subscriber-{version:?}"))
            .version(protocol)
            .filter("#", QoS::ExactlyOnce)
            .start();
        for topic in topics {
            device.publish(topic, topic.as_bytes(), QoS::AtLeastOnce, false);
            assert_eq!(
                subscriber.next(SOON),
                Message::new(topic, topic.as_bytes(), QoS::AtLeastOnce, false)
            );
            assert_eq!(device.subscribe(topic, QoS::AtLeastOnce), [Some(QoS::AtLeastOnce)]);
            let publisher = Publisher::new(&broker, "publisher").version(protocol);
            publisher.publish(topic, topic.as_bytes(), QoS::AtLeastOnce, false);
            assert_eq!(
                device.message(),
                Message::new(topic, topic.as_bytes(), QoS::AtLeastOnce, false)
            );
            assert_eq!(subscriber.next(SOON).topic, topic);
            device.unsubscribe(topic);
        }
        device.disconnect();
    }
}

#[test]
fn the_longest_topic_passes() {
    let broker = Mosquitto::start();
    let mut device = Device::connect(broker.address(), &Options::new("device"));
    let topic = "t".repeat(65_535);
    let mut paho = Paho::new(&broker, "paho").connect();
    paho.subscribe(&[("#", QoS::AtLeastOnce)]);
    device.publish(&topic, b"hi", QoS::AtLeastOnce, false);
    assert_eq!(paho.next(SOON), Message::new(&topic, b"hi", QoS::AtLeastOnce, false));
    let refused = device.client().publish(&format!("{topic}t"), b"", QoS::AtLeastOnce, false);
    assert!(matches!(refused, Err(Error::Request(RequestError::Topic(TopicError::TooLong)))));
}

/// [MQTT-4.7.1-2], [MQTT-4.7.1-3], [MQTT-4.7.2-1]: `Filter::matches` agrees with the broker.
#[test]
fn broker_and_library_agree_on_the_matches_of_a_filter() {
    let topics = ["a", "a/b", "a/b/c", "/", "/a", "a/", "a//c", "b", "b/c", "$x", "$x/b"];
    let filters = [
        "a", "a/#", "#", "+", "+/+", "a/+", "a/+/c", "/+", "+/", "+/b/#", "/#", "$x", "$x/#",
        "$x/+", "+/b",
    ];
    let broker = Mosquitto::start();
    let mut paho = Paho::new(&broker, "paho").connect();
    let mut device = Device::connect(broker.address(), &Options::new("device"));
    // No wildcard in this list matches it.
    device.subscribe("$end", QoS::AtLeastOnce);
    for filter in filters {
        device.subscribe(filter, QoS::AtLeastOnce);
        for topic in topics {
            paho.publish(topic, b"", QoS::AtLeastOnce, false);
        }
        paho.publish("$end", b"", QoS::AtLeastOnce, false);
        let mut matched = Vec::new();
        loop {
            let topic = device.message().topic;
            if topic == "$end" {
                break;
            }
            matched.push(topic);
        }
        let by_library: Vec<_> = topics
            .into_iter()
            .filter(|topic| {
                let topic = Topic::new(topic).expect("a topic");
                Filter::new(filter).expect("a filter").matches(topic)
            })
            .collect();
        device.unsubscribe(filter);
        assert_eq!(matched, by_library, "{filter}");
    }
}

/// [MQTT-3.3.5-1]: overlapping filters may bring copies; Mosquitto sends one for each.
#[test]
fn each_copy_for_overlapping_filters_is_handed_over() {
    let broker = Config::new().line("allow_duplicate_messages true").start();
    let mut device = Device::connect(broker.address(), &Options::new("device"));
    device.subscribe("a/+", QoS::AtLeastOnce);
    device.subscribe("a/#", QoS::ExactlyOnce);
    Publisher::new(&broker, "publisher").publish("a/b", b"hi", QoS::ExactlyOnce, false);
    let mut copies = device.messages(2);
    copies.sort();
    assert_eq!(
        copies,
        [QoS::AtLeastOnce, QoS::ExactlyOnce].map(|qos| Message::new("a/b", b"hi", qos, false))
    );
}

#[test]
fn a_shared_subscription_gives_each_message_to_one_of_the_group() {
    let broker = Mosquitto::start();
    let mut first = Device::connect(broker.address(), &Options::new("first"));
    let mut second = Device::connect(broker.address(), &Options::new("second"));
    for device in [&mut first, &mut second] {
        device.subscribe("$share/group/work/#", QoS::AtLeastOnce);
        device.subscribe("end", QoS::AtLeastOnce);
    }
    let mut paho = Paho::new(&broker, "paho").connect();
    for n in 0..20 {
        paho.publish("work/item", format!("{n:02}").as_bytes(), QoS::AtLeastOnce, false);
    }
    paho.publish("end", b"end", QoS::AtLeastOnce, false);
    let mut done = Vec::new();
    for device in [&mut first, &mut second] {
        let before = done.len();
        done.extend(
            std::iter::repeat_with(|| device.message().payload)
                .take_while(|payload| payload != b"end"),
        );
        assert!(done.len() > before, "each has its share");
    }
    done.sort();
    assert_eq!(done, (0..20).map(|n| format!("{n:02}").into_bytes()).collect::<Vec<_>>());
}
