//! The arena against a list of packets.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::{vec, vec::Vec};

use proptest::prelude::*;

use super::{Outbox, Requests, Table, Until};
use crate::{
    codec::{FirstByte, PacketId, Protocol},
    session::{Slot, qos::Awaits},
};

const BASE: usize = 5;
const MOST_SHOWN: usize = 25;

/// A packet that the model knows of.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    id: Option<PacketId>,
    wire: Vec<u8>,
}

struct World {
    outbox: Outbox,
    bytes: Vec<u8>,
    slots: Vec<Slot>,
    requests: Requests,
    /// Sent and unanswered, then waiting; in order.
    sent: Vec<Entry>,
    waiting: Vec<Entry>,
    /// Bytes of the first waiting packet that are sent.
    into: usize,
    /// Bytes of the waiting packets that were shown.
    shown: usize,
}

impl World {
    fn new(size: usize) -> Self {
        let mut slots = vec![Slot::EMPTY; 6];
        let requests = Requests::new(&mut slots, 0);
        let bytes = vec![0xEE; BASE + size];
        let (sent, waiting) = (Vec::new(), Vec::new());
        let outbox = Outbox::new(BASE, MOST_SHOWN);
        Self { outbox, bytes, slots, requests, sent, waiting, into: 0, shown: 0 }
    }

    fn append(&mut self, len: usize, answered: bool) {
        let id = if answered { self.requests.next_id(&self.slots, Awaits::PubAck) } else { None };
        if answered && id.is_none() {
            return;
        }
        let mut wire = match id {
            Some(id) => {
                let [high, low] = id.get().to_be_bytes();
                vec![0x32, 0, 0, 1, b't', high, low]
            }
            None => vec![0x40, 0, 0, 9],
        };
        wire.resize(wire.len() + if answered { len } else { 0 }, len as u8);
        wire[1] = wire.len() as u8 - 2;
        let mut table = Table { requests: &mut self.requests, slots: &mut self.slots };
        let room = self.outbox.make_room(&mut self.bytes, &mut table, wire.len());
        let alive: usize = self.sent.iter().chain(&self.waiting).map(|e| e.wire.len()).sum();
        assert_eq!(room, BASE + alive + wire.len() <= self.bytes.len(), "{alive} alive");
        if room {
            let start = self
                .outbox
                .append(wire.len(), if answered { Until::Answered } else { Until::Sent });
            self.bytes[start..start + wire.len()].copy_from_slice(&wire);
            if let Some(id) = id {
                let _ = self.requests.begin(&mut self.slots, id, Awaits::PubAck, start as u32);
            }
            self.waiting.push(Entry { id, wire });
        }
    }

    /// The transport takes `count` bytes.
    fn transmit(&mut self, count: usize) {
        let mut left = count;
        while left != 0 && !self.waiting.is_empty() {
            left -= self.write(left);
        }
    }

    /// The transport takes at most `count` of the bytes that are shown; gives how many.
    fn write(&mut self, count: usize) -> usize {
        let all: Vec<u8> = self.waiting.iter().flat_map(|entry| entry.wire.clone()).collect();
        let first = self.waiting.first().map_or(0, |entry| entry.wire.len());
        self.shown = self.shown.max(first.max(self.into + MOST_SHOWN).min(all.len()));
        self.outbox.show(&self.bytes);
        assert_eq!(self.outbox.ready(&self.bytes), &all[self.into..self.shown]);
        let count = count.min(self.shown - self.into);
        self.outbox.transmitted(&self.bytes, &mut self.requests, count);
        self.into += count;
        while self.waiting.first().is_some_and(|entry| entry.wire.len() <= self.into) {
            let entry = self.waiting.remove(0);
            self.into -= entry.wire.len();
            self.shown -= entry.wire.len();
            if entry.id.is_some() {
                self.sent.push(entry);
            }
        }
        count
    }

    fn answer(&mut self, which: usize) {
        if self.sent.is_empty() {
            return;
        }
        let entry = self.sent.remove(which % self.sent.len());
        let found = self.requests.find(&self.slots, entry.id.unwrap()).unwrap();
        assert!(self.outbox.was_sent(found.place));
        let start = found.place as usize;
        assert_eq!(self.bytes[start..start + entry.wire.len()], entry.wire);
        self.outbox.release(&mut self.bytes, found.place);
        self.requests.end(&mut self.slots, found.index);
    }

    fn rewind(&mut self) {
        let mut table = Table { requests: &mut self.requests, slots: &mut self.slots };
        let again = self.outbox.rewind(&mut self.bytes, &mut table, Protocol::V311);
        let set_dup =
            |entry: &mut Entry| entry.wire[0] = FirstByte::new(entry.wire[0]).with_dup().get();
        self.sent.iter_mut().for_each(set_dup);
        let mut before = 0;
        let mut begun = 0;
        for entry in &mut self.waiting {
            if before < self.shown && entry.id.is_some() {
                set_dup(entry);
                begun += 1;
            }
            before += entry.wire.len();
        }
        assert_eq!(again as usize, self.sent.len() + begun);
        self.sent.append(&mut self.waiting);
        self.waiting = std::mem::take(&mut self.sent);
        self.waiting.retain(|entry| entry.id.is_some());
        self.into = 0;
        self.shown = 0;
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append(usize, bool),
    Transmit(usize),
    Answer(usize),
    Rewind,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_usize..30, any::<bool>()).prop_map(|(len, answered)| Step::Append(len, answered)),
        4 => prop_oneof![0_usize..10, Just(usize::MAX)].prop_map(Step::Transmit),
        3 => any::<usize>().prop_map(Step::Answer),
        1 => Just(Step::Rewind),
    ]
}

proptest! {
    /// Whatever comes and goes: what is ready is what waits, in order; each slot finds its packet; room is refused
    /// only when what is alive leaves none.
    #[test]
    fn the_arena_behaves_like_a_list_of_packets(
        size in 20_usize..120,
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut world = World::new(size);
        for step in steps {
            match step {
                Step::Append(len, answered) => world.append(len, answered),
                Step::Transmit(count) => world.transmit(count),
                Step::Answer(which) => world.answer(which),
                Step::Rewind => world.rewind(),
            }
        }
        world.transmit(usize::MAX);
        while !world.sent.is_empty() {
            world.answer(0);
        }
    }
}

#[test]
fn an_arena_with_every_packet_answered_starts_again_at_its_base() {
    let mut world = World::new(60);
    for len in 0..50 {
        world.append(len % 20, true);
        world.append(0, false);
        world.transmit(usize::MAX);
        world.answer(0);
        assert_eq!((world.outbox.head, world.outbox.tail, world.outbox.live), (BASE, BASE, 0));
    }
}

#[test]
fn answers_behind_the_last_unanswered_packet_take_no_room_once_sent() {
    let mut world = World::new(40);
    world.append(10, true);
    for _ in 0..100 {
        world.append(0, false);
        world.transmit(usize::MAX);
    }
    assert_eq!(world.outbox.tail, BASE + 17);
}
