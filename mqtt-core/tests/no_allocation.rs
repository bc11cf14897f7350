//! A full exchange at every QoS with borrowed storage allocates nothing. Invariant 6.

use mqtt_core::{Action, Client, Event, Instant, Options, Publish, QoS, Slot, filter, topic};

const WHEN: Instant = Instant::from_millis(0);

/// Carries out what the client says; gives how many bytes it sent.
fn transmit<B, S>(client: &mut Client<B, S>) -> usize
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    S: AsRef<[Slot]> + AsMut<[Slot]>,
{
    let mut sent = 0;
    loop {
        match client.poll(WHEN) {
            Action::Connect { .. } => client.connected(WHEN),
            Action::Transmit(bytes) => {
                let count = bytes.len();
                sent += count;
                client.transmitted(count, WHEN);
            }
            Action::Close(_) => client.closed(WHEN),
            Action::Persist(_) => client.persisted(),
            Action::Wait(_) => return sent,
        }
    }
}

/// Receives `wire`; gives how many messages and how many outcomes of requests came.
fn receive<B, S>(client: &mut Client<B, S>, wire: &[u8]) -> (usize, usize)
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    S: AsRef<[Slot]> + AsMut<[Slot]>,
{
    let mut input = wire;
    let (mut messages, mut outcomes) = (0, 0);
    while let Ok(Some(event)) = client.receive(&mut input, WHEN) {
        messages += usize::from(matches!(event, Event::Message(_)));
        outcomes += usize::from(matches!(event, Event::Published(_) | Event::Subscribed { .. }));
    }
    (messages, outcomes)
}

#[test]
fn an_exchange_at_every_qos_allocates_nothing() {
    let (mut bytes, mut slots) = ([0; 256], [Slot::EMPTY; 4]);
    let (mut messages, mut outcomes, mut sent) = (0, 0, 0);
    let mut made = false;
    let allocations = allocation_counter::measure(|| {
        let Ok(mut client) = Client::new(&Options::new("me"), &mut bytes[..], &mut slots[..])
        else {
            return;
        };
        made = true;
        sent += transmit(&mut client);
        receive(&mut client, b"\x20\x02\0\0");
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let accepted = client.publish(&Publish::new(topic!("a/b"), b"payload").qos(qos));
            made &= accepted.is_ok();
        }
        made &= client.subscribe(&[(filter!("c/#"), QoS::ExactlyOnce)]).is_ok();
        sent += transmit(&mut client);
        for wire in [
            &b"\x40\x02\0\x01"[..],
            b"\x50\x02\0\x02",
            b"\x70\x02\0\x02",
            b"\x90\x03\0\x03\x02",
            b"\x30\x04\0\x01cx",
            b"\x32\x06\0\x01c\0\x07x",
            b"\x34\x06\0\x01c\0\x08x",
            b"\x62\x02\0\x08",
        ] {
            let (more_messages, more_outcomes) = receive(&mut client, wire);
            messages += more_messages;
            outcomes += more_outcomes;
            sent += transmit(&mut client);
        }
        client.closed(WHEN);
    });
    assert!(made);
    assert_eq!((messages, outcomes), (3, 4));
    assert!(sent > 60, "{sent} bytes were sent");
    assert_eq!(allocations.count_total, 0);
}
