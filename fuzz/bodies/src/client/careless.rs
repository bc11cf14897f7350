//! A driver that breaks every rule: it reports bytes that were never there, calls out of order, and turns the clock as
//! it likes. It is promised only that nothing panics and every loop ends.

use mqtt_core::{Action, Client, Event, Filter, Instant, Publish, Slot, Topic};

use super::{filter, input::Input, qos, settings::Settings, topic};

/// Takes settings and instructions of its own.
pub(super) fn run(mut input: Input<'_>) {
    let settings = Settings::read(&mut input);
    let (outbox, slots) = (vec![0xA5; settings.outbox], vec![Slot::EMPTY; settings.window]);
    let Ok(mut client) = Client::new(&settings.options, outbox, slots) else { return };
    let mut now = Instant::from_millis(0);
    let (mut deliveries, mut handles) = (Vec::new(), Vec::new());
    while let Some(instruction) = input.next() {
        let detail = input.byte();
        match instruction % 16 {
            0 | 1 => {
                let payload = vec![detail; usize::from(detail)];
                let name = Topic::new(topic(detail)).expect("a name");
                let publish = Publish::new(name, &payload).qos(qos(instruction >> 4));
                handles.extend(client.publish(&publish));
            }
            2 => {
                let typed = Filter::new(filter(detail)).expect("a filter");
                let filters = [(typed, qos(detail >> 4)), (typed, qos(detail >> 6))];
                handles.extend(client.subscribe(&filters));
            }
            3 => {
                let typed = Filter::new(filter(detail)).expect("a filter");
                handles.extend(client.unsubscribe(&[typed]));
            }
            4 => {
                if let Some(delivery) = deliveries.get(usize::from(detail)) {
                    let _ = client.acknowledge(*delivery);
                }
                if let Some(handle) = handles.get(usize::from(detail)) {
                    let _ = client.cancel(*handle);
                }
                if detail > 0xF0 {
                    let _ = client.forget_subscriptions(usize::from(detail & 3), 2);
                }
            }
            5 => client.disconnect(),
            6 => client.connect(),
            7 => client.connected(now),
            8 => client.closed(now),
            9 => client.transmitted(usize::from(detail), now),
            10 => client.transmitted(usize::MAX >> (detail & 63), now),
            11 => now = Instant::from_millis(u64::from(detail) << (input.byte() & 63)),
            12 => {
                let _ = client.set_receive_capacity(usize::from(detail));
            }
            13 => {
                let mut rest = input.take(usize::from(detail));
                let most = rest.len() + 400;
                for nth in 0.. {
                    assert!(nth <= most, "events without end");
                    let Ok(Some(event)) = client.receive(&mut rest, now) else { break };
                    if let Event::Message(message) = event {
                        deliveries.extend(message.delivery);
                    }
                }
            }
            14 => client.defer_connect(now),
            _ => {
                if let Action::Transmit(bytes) = client.poll(now) {
                    assert!(!bytes.is_empty());
                    let count = bytes.len().min(usize::from(detail));
                    client.transmitted(count, now);
                }
            }
        }
        assert!(client.in_flight() <= settings.window);
        assert!(client.outbox_free() <= settings.outbox);
        let _ = (client.state(), client.protocol(), client.subscriptions().count());
    }
}
