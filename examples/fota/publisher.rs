//! The publisher: offers an image, and sends each device the chunks that it asks for.
//!
//! Two threads share the client. This one receives wishes and status; the other one reads chunks and publishes them. A
//! chunk is not copied: its bytes are read from the file while they are sent.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use mqtt_core::{
    ConnectionState, Event, Filter, Message, QoS, SourceId, Topic, Will,
    driver::blocking::{self, Client, Payload},
};
use mqtt_examples::{
    arguments::shown,
    common::{Common, topic_of},
    connection::{self, Connection},
};
use mqtt_fota::{
    Version,
    chunk::{ChunkHeader, Want},
    manifest::Manifest,
};

use crate::{
    desk::Desk,
    error::Error,
    image::{self, ImageFile},
    inject::PublisherFault,
    screen::{Bar, Screen},
    status::{State, Status},
    topics::{Sender, Topics},
};

/// What the user has asked for.
pub(crate) struct Order {
    pub(crate) common: Common,
    pub(crate) prefix: String,
    pub(crate) manifest: String,
    pub(crate) image: String,
    /// End once so many devices run the image, or do not take it.
    pub(crate) devices: Option<usize>,
    pub(crate) inject: Option<PublisherFault>,
}

/// Bytes for packets that wait: heads of chunks, because their bytes stay in the file.
const OUTBOX: usize = 16 << 10;
/// Bytes of the read buffer.
const BUFFER: usize = 4 << 10;
/// Messages under way.
const WINDOW: usize = 64;
/// The longest single wait for room.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// The source number of chunks.
const CHUNK: SourceId = SourceId::new(0);

pub(crate) fn run(order: &Order) -> Result<(), Error> {
    let (mut signed, manifest, mut file) = image::open(&order.manifest, &order.image)?;
    let mut offered = manifest.version;
    match order.inject {
        Some(PublisherFault::Corrupt) => file.corrupt = Some(u64::from(file.size) / 2),
        Some(PublisherFault::Forge) => {
            // The last number of the version.
            signed.iter_mut().skip(10).take(1).for_each(|byte| *byte = byte.wrapping_add(1));
            offered = Manifest::unverified(&signed).map_or(offered, |forged| forged.version);
        }
        Some(PublisherFault::Stall | PublisherFault::Damage) | None => {}
    }
    let topics = Topics::new(&order.prefix, manifest.product);
    let options = order.common.options()?;
    let will = Will::new(topic_of("--prefix", &topics.publisher)?, b"offline");
    let options = options.will(will.qos(QoS::AtLeastOnce).retain(true));
    let Connection { client, mut events, mut watch } =
        connection::open_with(&order.common, &options, |config| {
            config.outbox(OUTBOX).buffer(BUFFER).window(WINDOW)
        })?;
    let interrupted = end_on_interrupt(&client, &topics)?;
    let desk = Arc::new(Desk::default());
    let sender = Chunks {
        client: client.clone(),
        topics: topics.clone(),
        desk: Arc::clone(&desk),
        manifest,
        file,
        fault: order
            .inject
            .filter(|fault| matches!(fault, PublisherFault::Stall | PublisherFault::Damage)),
    };
    let sending = thread::Builder::new().name("chunks".into()).spawn(move || sender.send_all());
    let sending = sending.map_err(Error::Thread)?;
    let mut fleet = Fleet::new(offered, order.devices);
    let mut failed = None;
    loop {
        match events.next() {
            Some(Event::Up { session, .. }) => {
                let first = watch.up(session);
                offer(&client, &topics, &signed, first).map_err(Error::Request)?;
                if first {
                    let (version, chunks) = (manifest.version, manifest.chunks());
                    fleet.screen.tell(&format!(
                        "offers {} {version}: {} bytes, {chunks} chunks",
                        manifest.product, manifest.size
                    ));
                }
            }
            Some(Event::Down { reason, .. }) => {
                if let Err(error) = watch.down(reason, &client, &events) {
                    failed = Some(error.into());
                    break;
                }
            }
            Some(Event::Message(Message { topic, payload, .. })) => {
                match topics.sender(topic.as_str()) {
                    Some(Sender::Want(device)) => {
                        if let Some(want) = Want::decode(payload) {
                            desk.want(device, &want, &manifest);
                        }
                    }
                    Some(Sender::Status(device)) => {
                        if let Some(status) = Status::parse(payload) {
                            fleet.hears(device, &status);
                        }
                        if fleet.is_done() {
                            leave(&client, &topics);
                        }
                    }
                    None => {}
                }
            }
            Some(Event::SourceFailed(_)) => {
                failed = Some(Error::ImageFailed);
                leave(&client, &topics);
            }
            Some(_) => {}
            None if client.state() == ConnectionState::Stopped => break,
            None => {}
        }
    }
    watch.report();
    desk.close();
    sending.join().unwrap_or(Err(Error::Panicked("sends chunks")))?;
    match failed {
        Some(error) => Err(error),
        None if interrupted.load(Ordering::Relaxed) => Ok(()),
        None => fleet.verdict(),
    }
}

/// Offers the image, on each connection: the broker may have lost what was retained.
fn offer(
    client: &Client,
    topics: &Topics,
    signed: &[u8],
    first: bool,
) -> Result<(), blocking::Error> {
    if first {
        // Further connections make the subscriptions again.
        let (want, status) = (topics.want("+"), topics.status("+"));
        let want = (Filter::new(&want)?, QoS::AtMostOnce);
        let status = (Filter::new(&status)?, QoS::AtLeastOnce);
        let _ = client.subscribe_all(&[want, status])?;
    }
    let _ = client.publish(&topics.publisher, b"online", QoS::AtLeastOnce, true)?;
    let _ = client.publish(&topics.manifest, signed, QoS::AtLeastOnce, true)?;
    Ok(())
}

/// Ends in order: a DISCONNECT alone would leave 'online' at the broker.
fn leave(client: &Client, topics: &Topics) {
    let _no_room = client.publish(&topics.publisher, b"offline", QoS::AtLeastOnce, true);
    client.disconnect();
}

/// Leaves on the first interrupt, ends at once on the second.
fn end_on_interrupt(client: &Client, topics: &Topics) -> Result<Arc<AtomicBool>, Error> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let (client, topics, flag) = (client.clone(), topics.clone(), Arc::clone(&interrupted));
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(crate::INTERRUPTED);
        }
        leave(&client, &topics);
    })?;
    Ok(interrupted)
}

/// The devices, as their status tells.
struct Fleet {
    screen: Screen,
    version: Version,
    devices: Option<usize>,
    bars: BTreeMap<String, Bar>,
    /// The devices that have come to an end: whether they run the image.
    ended: BTreeMap<String, bool>,
}

impl Fleet {
    fn new(version: Version, devices: Option<usize>) -> Self {
        let screen = Screen::new();
        Self { screen, version, devices, bars: BTreeMap::new(), ended: BTreeMap::new() }
    }

    fn hears(&mut self, device: &str, status: &Status) {
        let name = device.escape_debug().to_string();
        let is_ours = status.offered == Some(self.version);
        if let (State::Receiving | State::Checking, Some((chunks, of)), true) =
            (status.state, status.chunks, is_ours)
        {
            let screen = &self.screen;
            let new = || screen.bar(&name, chunks, of);
            self.bars.entry(device.to_owned()).or_insert_with(new).set(chunks, status.state.name());
            return;
        }
        self.bars.remove(device);
        let why = status.why.as_ref().map(|why| format!(": {}", shown(why))).unwrap_or_default();
        self.screen.tell(&format!("{name}: {}, runs {}{why}", status.state.name(), status.version));
        let runs = status.version == self.version;
        match status.state {
            State::Running | State::Confirmed if runs => {
                self.ended.insert(device.to_owned(), true);
            }
            State::Refused | State::RolledBack if is_ours => {
                self.ended.insert(device.to_owned(), false);
            }
            State::Running
            | State::Receiving
            | State::Checking
            | State::Restarting
            | State::Trial
            | State::Confirmed
            | State::Refused
            | State::RolledBack
            | State::Offline => {}
        }
    }

    fn is_done(&self) -> bool {
        self.devices.is_some_and(|devices| self.ended.len() >= devices)
    }

    fn verdict(&self) -> Result<(), Error> {
        let run = self.ended.values().filter(|runs| **runs).count();
        match self.devices {
            Some(devices) if run < devices => Err(Error::Devices(devices - run, devices)),
            _ => Ok(()),
        }
    }
}

/// The thread that sends chunks.
struct Chunks {
    client: Client,
    topics: Topics,
    desk: Arc<Desk>,
    manifest: Manifest,
    file: ImageFile,
    fault: Option<PublisherFault>,
}

impl Chunks {
    fn send_all(mut self) -> Result<(), Error> {
        while let Some((device, number)) = self.desk.next() {
            let Some(range) = self.manifest.range(number) else { continue };
            let half = number >= self.manifest.chunks() / 2;
            if half && self.fault == Some(PublisherFault::Stall) {
                continue;
            }
            let (begin, len) = (range.start as u64, u32::try_from(range.len()).unwrap_or(0));
            let hash = match self.file.hash(begin, len) {
                Ok(hash) => hash,
                Err(error) => {
                    leave(&self.client, &self.topics);
                    return Err(error);
                }
            };
            let (image, total) = (self.manifest.image(), self.manifest.chunks());
            let header = ChunkHeader { image, number, total, len, hash }.encode();
            let mut file = self.file.clone();
            if half && self.fault.take().is_some() {
                file.corrupt = Some(begin);
            }
            let topic = self.topics.chunk(&device);
            let chunk = Chunk { header, file, begin, len };
            self.send(&topic, chunk);
        }
        Ok(())
    }

    /// Waits for room: the broker may be slow, or away.
    fn send(&self, topic: &str, chunk: Chunk) {
        // The name of a device that is no level of a topic was never subscribed.
        let Ok(topic) = Topic::new(topic) else { return };
        let how = (QoS::AtMostOnce, false);
        while self.client.state() != ConnectionState::Stopped {
            let chunk = chunk.clone();
            match self.client.publish_from_within(topic.as_str(), CHUNK, chunk, how, LOOK_AGAIN) {
                Err(blocking::Error::Request(error)) if error.is_full() => {}
                // A device asks again for a chunk that does not come.
                Ok(_) | Err(_) => return,
            }
        }
    }
}

/// A chunk message, which is read while it is sent.
#[derive(Clone)]
struct Chunk {
    header: [u8; ChunkHeader::LEN],
    file: ImageFile,
    begin: u64,
    len: u32,
}

impl Payload for Chunk {
    fn len(&mut self) -> io::Result<u64> {
        Ok(ChunkHeader::LEN as u64 + u64::from(self.len))
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let place = usize::try_from(offset).unwrap_or(usize::MAX);
        match self.header.get(place..).filter(|rest| !rest.is_empty()) {
            Some(mut header) => header.read(buffer),
            None => self.file.read(self.begin + offset - ChunkHeader::LEN as u64, buffer),
        }
    }
}
