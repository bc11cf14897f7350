//! A full exchange at every QoS with borrowed storage allocates nothing. Invariant 6.

use mqtt_core::{Client, Event, Instant, Options, Publish, QoS, Slot, filter, topic};
use test_kit::drive::{World, drive, receive};

const NOW: Instant = Instant::from_millis(0);

/// A transport that counts the bytes that it takes.
struct Counting {
    sent: usize,
}

impl<B, S> World<B, S> for Counting {
    fn transmit(&mut self, bytes: &[u8]) -> usize {
        self.sent += bytes.len();
        bytes.len()
    }
}

/// The client receives `wire`. Returns how many messages and how many outcomes of requests are reported.
fn hear<B, S>(client: &mut Client<B, S>, mut wire: &[u8]) -> (usize, usize)
where
    B: AsRef<[u8]> + AsMut<[u8]>,
    S: AsRef<[Slot]> + AsMut<[Slot]>,
{
    let (mut messages, mut outcomes) = (0, 0);
    // A broken rule would be seen in the counts.
    let _ = receive(client, &mut wire, NOW, |event| {
        messages += usize::from(matches!(event, Event::Message(_)));
        outcomes += usize::from(matches!(event, Event::Published(_) | Event::Subscribed { .. }));
    });
    (messages, outcomes)
}

#[test]
fn an_exchange_at_every_qos_allocates_nothing() {
    let (mut bytes, mut slots) = ([0; 256], [Slot::EMPTY; 4]);
    let (mut messages, mut outcomes) = (0, 0);
    let mut world = Counting { sent: 0 };
    let mut made = false;
    let allocations = allocation_counter::measure(|| {
        let Ok(mut client) = Client::new(&Options::new("me"), &mut bytes[..], &mut slots[..])
        else {
            return;
        };
        made = true;
        drive(&mut client, &mut world, NOW);
        hear(&mut client, b"\x20\x02\0\0");
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let accepted = client.publish(&Publish::new(topic!("a/b"), b"payload").qos(qos));
            made &= accepted.is_ok();
        }
        made &= client.subscribe(&[(filter!("c/#"), QoS::ExactlyOnce)]).is_ok();
        drive(&mut client, &mut world, NOW);
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
            let (more_messages, more_outcomes) = hear(&mut client, wire);
            messages += more_messages;
            outcomes += more_outcomes;
            drive(&mut client, &mut world, NOW);
        }
        client.closed(NOW);
    });
    assert!(made);
    assert_eq!((messages, outcomes), (3, 4));
    assert!(world.sent > 60, "{} bytes were sent", world.sent);
    assert_eq!(allocations.count_total, 0);
}
