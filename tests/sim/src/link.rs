//! Links: two directions of bytes. Each of them delays, splits, merges and stalls, and can be cut at any byte.
//!
//! A link is a TCP connection as its two ends see it. Bytes come in order or not at all. The end of a direction comes
//! behind its last byte. Each side sees a cut late or never, independently of the other.

use std::collections::VecDeque;

use mqtt_core::codec::PacketType;

use crate::{agenda::Event, faults::Fault, ledger::Pair, quirks::Quirk, stage::Stage};

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// From the device to the broker.
    Up,
    /// From the broker to the device.
    Down,
}

/// An end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Device,
    Broker,
}

/// How slow a link is, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) least: u64,
    pub(crate) most: u64,
}

/// The most bytes a second that a link carries; `None`: any number.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rate {
    pub(crate) up: Option<u64>,
    pub(crate) down: Option<u64>,
}

/// Bytes that arrive together; without bytes it is the end of this direction.
#[derive(Clone, Copy, Debug)]
struct Segment {
    at: u64,
    len: usize,
}

/// One direction.
#[derive(Debug)]
struct Pipe {
    /// Chunks that have arrived and are not read, then those on the way.
    bytes: VecDeque<u8>,
    flying: VecDeque<Segment>,
    arrived: usize,
    /// When the last byte on the way arrives.
    last: u64,
    /// Bytes that are written from now on are lost.
    cut: bool,
    /// Bytes written since the cut. They fill the sender's buffer.
    swallowed: usize,
    /// Bytes that the sender's buffer and the network hold.
    capacity: usize,
    /// Bytes a second.
    rate: Option<u64>,
    /// The last time at which bytes or the end arrived.
    heard: u64,
    /// Bytes that were written so far.
    written: u64,
}

impl Pipe {
    fn new(capacity: usize) -> Self {
        Self {
            bytes: VecDeque::new(),
            flying: VecDeque::new(),
            arrived: 0,
            last: 0,
            cut: false,
            swallowed: 0,
            capacity,
            rate: None,
            heard: 0,
            written: 0,
        }
    }

    fn room(&self) -> usize {
        self.capacity.saturating_sub(self.bytes.len() + self.swallowed)
    }

    /// Only `keep` of the bytes on the way still arrive, and nothing after them.
    fn cut(&mut self, keep: usize) {
        self.cut = true;
        let mut left = keep;
        for segment in &mut self.flying {
            segment.len = segment.len.min(left);
            left -= segment.len;
        }
        self.flying.retain(|segment| segment.len != 0);
        self.bytes.truncate(self.arrived + keep);
    }

    /// Milliseconds that `len` bytes take.
    fn takes(&self, len: usize) -> u64 {
        self.rate.map_or(0, |rate| len as u64 * 1_000 / rate)
    }

    /// The most bytes that arrive together.
    fn most(&self) -> usize {
        self.rate.map_or(usize::MAX, |rate| (rate / 2) as usize)
    }

    fn on_the_way(&self) -> usize {
        self.bytes.len() - self.arrived
    }
}

/// The output of a pipe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub(crate) bytes: bool,
    /// The other side has closed.
    pub(crate) end: bool,
}

/// One connection between a device and a broker.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) device: usize,
    pub(crate) broker: usize,
    /// The endpoint that the client asked for.
    pub(crate) endpoint: u8,
    /// How often the client had changed its home when it heard that it was accepted.
    pub(crate) visit: u32,
    /// The device uses it.
    pub(crate) device_open: bool,
    /// The broker uses it.
    pub(crate) broker_open: bool,
    /// It was cut, stalled or throttled, so that silence is not the client's fault.
    pub(crate) disturbed: bool,
    /// The attempt to open it fails.
    pub(crate) refused: bool,
    /// The acknowledgements that the broker has sent on it: kind and packet id.
    pub(crate) answers: Vec<(PacketType, u16)>,
    pace: Pace,
    up: Pipe,
    down: Pipe,
    id: usize,
}

/// Every split adds an event. More pieces than this show nothing new.
const PIECES: u32 = 4;

impl Link {
    /// The device can write `capacity` bytes before any of them arrives.
    pub(crate) fn new(id: usize, device: usize, pace: Pace, capacity: usize) -> Self {
        Self {
            device,
            broker: 0,
            endpoint: 0,
            visit: 0,
            device_open: true,
            broker_open: false,
            disturbed: false,
            refused: false,
            answers: Vec::new(),
            pace,
            up: Pipe::new(capacity),
            // Brokers queue the bytes that their sockets do not take.
            down: Pipe::new(usize::MAX),
            id,
        }
    }

    /// The same link to this broker, as the client knows it.
    pub(crate) const fn to(mut self, broker: usize, endpoint: u8) -> Self {
        self.broker = broker;
        self.endpoint = endpoint;
        self
    }

    /// The two that it connects.
    pub(crate) const fn pair(&self) -> Pair {
        Pair { device: self.device, broker: self.broker }
    }

    /// The same link with a limited rate.
    pub(crate) const fn rated(mut self, Rate { up, down }: Rate) -> Self {
        self.up.rate = up;
        self.down.rate = down;
        self
    }

    fn pipe(&mut self, way: Way) -> &mut Pipe {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }

    /// Writes as many bytes of `data` as there is room for.
    pub(crate) fn write(&mut self, stage: &mut Stage<'_>, way: Way, data: &[u8]) -> usize {
        let (pace, id, device) = (self.pace, self.id, self.device);
        let pipe = self.pipe(way);
        let count = data.len().min(pipe.room());
        pipe.written += count as u64;
        if pipe.rate.is_some() && count != 0 {
            stage.quirk(device, Quirk::SlowLink);
        }
        if pipe.cut {
            pipe.swallowed += count;
            return count;
        }
        let data = &data[..count];
        pipe.bytes.extend(data);
        let mut left = count;
        let mut pieces = 0;
        while left != 0 {
            pieces += 1;
            let split = left > 1 && pieces < PIECES && stage.fault_one_in(8);
            let len = if split { stage.rng.usize(1..left) } else { left.min(pipe.most()) };
            if split {
                stage.fault(device, Fault::Split);
            }
            left -= len;
            let delay = stage.rng.u64(pace.least..=pace.most);
            let takes = pipe.takes(len);
            let at = (stage.now + delay.max(takes)).max(pipe.last + takes);
            match pipe.flying.back_mut() {
                Some(before)
                    if pipe.rate.is_none()
                        && before.len != 0
                        && (before.at == at || stage.fault_one_in(8)) =>
                {
                    before.len += len;
                    stage.fault(device, Fault::Merge);
                }
                _ => {
                    pipe.last = at;
                    pipe.flying.push_back(Segment { at, len });
                    stage.agenda.plan(at, Event::Arrive { link: id, way });
                }
            }
        }
        count
    }

    /// Ends one direction behind its last byte.
    pub(crate) fn end(&mut self, stage: &mut Stage<'_>, way: Way) {
        let (pace, id) = (self.pace, self.id);
        let pipe = self.pipe(way);
        if !pipe.cut {
            let at = (stage.now + pace.least).max(pipe.last);
            pipe.flying.push_back(Segment { at, len: 0 });
            stage.agenda.plan(at, Event::Arrive { link: id, way });
            pipe.last = at;
        }
    }

    /// The output of one direction at this time.
    pub(crate) fn arrive(&mut self, now: u64, way: Way) -> Arrived {
        let pipe = self.pipe(way);
        let mut arrived = Arrived::default();
        if pipe.flying.front().is_some_and(|front| front.at <= now) {
            pipe.heard = now;
        }
        while let Some(segment) = pipe.flying.front().copied().filter(|front| front.at <= now) {
            pipe.flying.pop_front();
            pipe.arrived += segment.len;
            arrived.bytes |= segment.len != 0;
            arrived.end |= segment.len == 0;
        }
        arrived
    }

    /// Bytes that have arrived and are not read.
    pub(crate) fn readable(&mut self, way: Way) -> usize {
        self.pipe(way).arrived
    }

    /// Reads at most `most` bytes to the end of `into`.
    pub(crate) fn read(&mut self, way: Way, most: usize, into: &mut Vec<u8>) -> usize {
        let pipe = self.pipe(way);
        let count = most.min(pipe.arrived);
        into.extend(pipe.bytes.drain(..count));
        pipe.arrived -= count;
        count
    }

    /// Nothing more is read: bytes on the way are dropped.
    pub(crate) fn discard(&mut self, way: Way) {
        let pipe = self.pipe(way);
        pipe.cut(0);
        pipe.arrived = 0;
        pipe.bytes = VecDeque::new();
        pipe.flying = VecDeque::new();
    }

    /// Cuts one direction at some byte of those on the way.
    pub(crate) fn cut(&mut self, stage: &mut Stage<'_>, way: Way) {
        self.disturbed = true;
        let pipe = self.pipe(way);
        let on_the_way = pipe.on_the_way();
        pipe.cut(stage.rng.usize(..=on_the_way));
    }

    /// Bytes that are written from now on vanish, however many there are.
    pub(crate) const fn takes_all(&mut self) {
        self.up.capacity = usize::MAX;
    }

    /// Bytes that the broker has sent so far.
    pub(crate) const fn sent_down(&self) -> u64 {
        self.down.written
    }

    /// When bytes last arrived at the device.
    pub(crate) const fn last_heard(&self) -> u64 {
        self.down.heard
    }

    /// Whether nothing that is sent to the device from now on arrives.
    pub(crate) const fn is_mute(&self) -> bool {
        self.down.cut
    }

    /// Whether one direction is cut.
    pub(crate) fn is_cut(&self) -> bool {
        self.up.cut || self.down.cut
    }

    /// One direction delivers nothing for `millis`, and then everything.
    pub(crate) fn stall(&mut self, stage: &mut Stage<'_>, way: Way, millis: u64) {
        self.disturbed = true;
        let id = self.id;
        let pipe = self.pipe(way);
        pipe.last = pipe.last.max(stage.now) + millis;
        for segment in &mut pipe.flying {
            segment.at += millis;
            stage.agenda.plan(segment.at, Event::Arrive { link: id, way });
        }
    }

    /// Faults have stopped: the bytes on the way arrive soon, but for those on a slow link.
    pub(crate) fn heal(&mut self, stage: &mut Stage<'_>) {
        let (id, soon) = (self.id, stage.now + self.pace.most);
        for way in [Way::Up, Way::Down] {
            let pipe = self.pipe(way);
            if pipe.rate.is_some() {
                continue;
            }
            pipe.last = pipe.last.min(soon);
            for segment in &mut pipe.flying {
                segment.at = segment.at.min(soon);
            }
            if !pipe.flying.is_empty() {
                stage.agenda.plan(soon, Event::Arrive { link: id, way });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::{Link, Pace, Rate, Way};
    use crate::{agenda::Event, stage::Stage, trace::Trace};

    fn link() -> Link {
        Link::new(0, 0, Pace { least: 5, most: 50 }, 10_000)
    }

    /// Reads all that ever comes.
    fn drain(link: &mut Link, stage: &mut Stage<'_>, way: Way) -> (Vec<u8>, bool) {
        let (mut bytes, mut end) = (Vec::new(), false);
        while let Some((at, _)) = stage.agenda.next() {
            stage.now = at;
            end |= link.arrive(at, way).end;
            link.read(way, usize::MAX, &mut bytes);
        }
        (bytes, end)
    }

    #[test]
    fn bytes_come_in_order_however_they_are_split_merged_and_stalled() {
        for seed in 0..200 {
            let mut trace = Trace::default();
            let mut stage = Stage::new(Rng::with_seed(seed), &mut trace);
            let mut link = link();
            let data: Vec<u8> = (0..200).collect();
            for part in data.chunks(1 + seed as usize % 50) {
                assert_eq!(link.write(&mut stage, Way::Up, part), part.len());
                link.stall(&mut stage, Way::Up, 3);
            }
            link.end(&mut stage, Way::Up);
            assert_eq!(drain(&mut link, &mut stage, Way::Up), (data, true));
        }
    }

    #[test]
    fn a_cut_leaves_a_beginning_and_no_end() {
        let mut lengths = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let mut trace = Trace::default();
            let mut stage = Stage::new(Rng::with_seed(seed), &mut trace);
            let mut link = link();
            link.write(&mut stage, Way::Down, b"beginning");
            link.cut(&mut stage, Way::Down);
            link.write(&mut stage, Way::Down, b"void");
            link.end(&mut stage, Way::Down);
            let (bytes, end) = drain(&mut link, &mut stage, Way::Down);
            assert!(b"beginning".starts_with(&bytes) && !end, "{bytes:?}");
            lengths.insert(bytes.len());
        }
        assert_eq!(lengths.len(), 10, "at every byte");
    }

    #[test]
    fn a_slow_link_takes_its_time_and_something_arrives_all_the_time() {
        let mut trace = Trace::default();
        let mut stage = Stage::new(Rng::with_seed(0), &mut trace);
        let mut link = link().rated(Rate { up: Some(2_000), down: None });
        assert_eq!(link.write(&mut stage, Way::Up, &[7; 6_000]), 6_000);
        let (mut before, mut count) = (0, 0);
        while let Some((at, _)) = stage.agenda.next() {
            assert!(link.arrive(at, Way::Up).bytes && at - before <= 1_000, "{before} {at}");
            (before, count) = (at, count + link.read(Way::Up, usize::MAX, &mut Vec::new()));
        }
        assert!(count == 6_000 && (3_000..3_100).contains(&before), "{count} bytes in {before} ms");
    }

    #[test]
    fn a_full_link_takes_nothing_until_something_arrives() {
        let mut trace = Trace::default();
        let mut stage = Stage::new(Rng::with_seed(0), &mut trace);
        let mut link = Link::new(0, 0, Pace { least: 1, most: 1 }, 4);
        assert_eq!(link.write(&mut stage, Way::Up, b"12345"), 4);
        assert_eq!(link.write(&mut stage, Way::Up, b"5"), 0);
        let (at, event) = stage.agenda.next().expect("an arrival");
        assert!(matches!(event, Event::Arrive { link: 0, way: Way::Up }));
        link.arrive(at, Way::Up);
        assert_eq!(link.read(Way::Up, 3, &mut Vec::new()), 3);
        assert_eq!(link.write(&mut stage, Way::Up, b"5678"), 3);
    }
}
