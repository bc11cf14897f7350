//! A plant: a broker, images with their manifests, the flash of devices, and a watcher that is none of ours.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use system_tests::{Config, Done, Example, Message, Mosquitto, Running, SOON, Subscriber, content};
use tempfile::TempDir;

/// Bytes of a chunk.
pub(crate) const CHUNK: usize = 4_096;
/// Bytes of a chunk's header; its number stands at 12, its total at 16.
const HEADER: usize = 56;
/// Chunks of the image that is published.
pub(crate) const CHUNKS: usize = 128;
/// Chunks that a device has under way at most.
pub(crate) const WINDOW: usize = 16;
/// A part of the field takes longer for a sector. It leaves time to kill a device in the middle.
pub(crate) const SLOW: [&str; 2] = ["--erase-ms", "10"];

pub(crate) struct Plant {
    pub(crate) broker: Mosquitto,
    folder: TempDir,
    /// The image of version 2.0.0.
    pub(crate) image: Vec<u8>,
}

impl Plant {
    /// Version 1.0.0 is for factories, 2.0.0 to be published.
    pub(crate) fn new() -> Self {
        // The watcher may be slow.
        Self::with_image(Config::new().line("max_queued_messages 0"), CHUNKS * CHUNK - 100)
    }

    pub(crate) fn with_image(config: Config, len: usize) -> Self {
        let (broker, folder) = (config.start(), tempfile::tempdir().expect("a folder"));
        let plant = Self { broker, folder, image: content(len) };
        fota(&["keygen", &plant.path("maker")]).run().well_done();
        let mut old = content(CHUNK * 3 + 5);
        old.reverse();
        plant.adds("1.0.0", &old);
        plant.adds("2.0.0", &plant.image);
        plant
    }

    /// The path of a file of this plant.
    pub(crate) fn path(&self, name: &str) -> String {
        let path: PathBuf = self.folder.path().join(name);
        path.to_str().expect("UTF-8").into()
    }

    /// An image of this version, and its manifest.
    pub(crate) fn adds(&self, version: &str, image: &[u8]) {
        fs::write(self.path(version), image).expect("a folder");
        self.signs(version, "meter", &self.path("maker.key"));
    }

    pub(crate) fn signs(&self, version: &str, product: &str, key: &str) {
        let manifest = self.manifest(version);
        let sign = fota(&["sign", "--key", key, "--image", &self.path(version)]);
        let sign = sign.args(&["--product", product, "--version", version]);
        sign.args(&["--manifest", &manifest]).run().well_done();
    }

    pub(crate) fn manifest(&self, version: &str) -> String {
        self.path(&format!("{version}.manifest"))
    }

    /// The flash of a device that runs this version.
    pub(crate) fn has_device(&self, device: &str, version: &str, room: &str) {
        let factory = fota(&["factory", "--flash", &self.path(device), "--room", room]);
        let factory = factory.args(&["--public-key", &self.path("maker.pub")]);
        let (manifest, image) = (self.manifest(version), self.path(version));
        factory.args(&["--manifest", &manifest, "--image", &image]).run().well_done();
    }

    /// A device that has a flash.
    pub(crate) fn device(&self, device: &str) -> Example {
        self.device_at(device, self.broker.address())
    }

    /// The same, at another address.
    pub(crate) fn device_at(&self, device: &str, address: SocketAddr) -> Example {
        if !Path::new(&self.path(device)).exists() {
            self.has_device(device, "1.0.0", "1M");
        }
        self.stays_at(device, address).args(&["--once"])
    }

    /// A device that does not end after the update.
    pub(crate) fn stays(&self, device: &str) -> Example {
        self.stays_at(device, self.broker.address())
    }

    fn stays_at(&self, device: &str, address: SocketAddr) -> Example {
        let fota = fota(&["device", "-i", device, "--product", "meter"]).broker(address);
        let fota = fota.args(&["--flash", &self.path(device)]);
        fota.args(&["--public-key", &self.path("maker.pub")])
    }

    /// The publisher of this version, for one device.
    pub(crate) fn publisher(&self, version: &str) -> Example {
        let fota = fota(&["publish", "--image", &self.path(version)]);
        let fota = fota.args(&["--manifest", &self.manifest(version)]);
        fota.broker(self.broker.address())
    }

    /// A publisher that is there: the broker has its manifest.
    pub(crate) fn published(&self, version: &str, args: &[&str]) -> Running {
        let mut running = self.publisher(version).args(args).start();
        running.lines().wait("offers meter", SOON);
        running
    }

    /// The watcher: mosquitto_sub.
    pub(crate) fn watcher(&self) -> Watcher {
        let subscriber = Subscriber::new(&self.broker, "watcher");
        let subscriber = subscriber.filter("fota/#", mqtt_core::QoS::AtLeastOnce).start();
        Watcher { subscriber, seen: Vec::new() }
    }
}

/// The program with these arguments.
pub(crate) fn fota(args: &[&str]) -> Example {
    Example::new("fota").args(args)
}

/// A program that has ended with success.
pub(crate) trait WellDone {
    /// Asserts it, and gives its output.
    fn well_done(self) -> String;
}

impl WellDone for Done {
    #[track_caller]
    fn well_done(self) -> String {
        self.text()
    }
}

/// What an independent client has seen.
pub(crate) struct Watcher {
    subscriber: Subscriber,
    pub(crate) seen: Vec<Message>,
}

impl Watcher {
    /// Waits for a status of this device with each of these parts.
    #[track_caller]
    pub(crate) fn sees(&mut self, device: &str, parts: &[&str]) -> String {
        self.sees_within(device, parts, SOON)
    }

    #[track_caller]
    pub(crate) fn sees_within(&mut self, device: &str, parts: &[&str], within: Duration) -> String {
        let topic = format!("fota/meter/status/{device}");
        loop {
            let message = self.subscriber.next(within);
            let is_status = message.topic == topic;
            let text = String::from_utf8_lossy(&message.payload).into_owned();
            self.seen.push(message);
            if is_status && parts.iter().all(|part| text.contains(part)) {
                return text;
            }
        }
    }

    /// Waits for another chunk for this device, with this number or a later one.
    #[track_caller]
    pub(crate) fn sees_chunk(&mut self, device: &str, number: u32) {
        let topic = format!("fota/meter/chunk/{device}");
        loop {
            let message = self.subscriber.next(SOON);
            let is_it = message.topic == topic && Chunk::of(&message.payload).number >= number;
            self.seen.push(message);
            if is_it {
                return;
            }
        }
    }

    /// Waits for the presence of the publisher, if it was not seen yet.
    #[track_caller]
    pub(crate) fn sees_publisher(&mut self, presence: &str) {
        let is_it = |message: &Message| {
            message.topic == "fota/meter/publisher" && message.payload == presence.as_bytes()
        };
        while !self.seen.iter().any(is_it) {
            let message = self.subscriber.next(SOON);
            self.seen.push(message);
        }
    }

    /// The states that a device has told, each once in a row.
    pub(crate) fn states(&self, device: &str) -> Vec<String> {
        let topic = format!("fota/meter/status/{device}");
        let statuses = self.seen.iter().filter(|message| message.topic == topic);
        let mut states: Vec<String> = statuses
            .map(|message| {
                let text = String::from_utf8_lossy(&message.payload).into_owned();
                let field = |name: &str| {
                    let (_, rest) = text.split_once(&format!("\"{name}\":\""))?;
                    rest.split('"').next().map(str::to_owned)
                };
                let [state, version] = ["state", "version"].map(|name| field(name).expect("JSON"));
                format!("{state} {version}")
            })
            .collect();
        states.dedup();
        states
    }

    /// The chunks for a device, in the order in which they came.
    pub(crate) fn chunks(&self, device: &str) -> Vec<Chunk> {
        let topic = format!("fota/meter/chunk/{device}");
        let messages = self.seen.iter().filter(|message| message.topic == topic);
        messages.map(|message| Chunk::of(&message.payload)).collect()
    }

    /// The numbers of the chunks for a device.
    pub(crate) fn numbers(&self, device: &str) -> Vec<u32> {
        self.chunks(device).iter().map(|chunk| chunk.number).collect()
    }
}

/// A chunk message, read by the page that describes it and not by the library.
pub(crate) struct Chunk {
    pub(crate) number: u32,
    pub(crate) total: u32,
    pub(crate) bytes: Vec<u8>,
}

impl Chunk {
    fn of(payload: &[u8]) -> Self {
        let (header, bytes) = payload.split_at(HEADER);
        let number = |at: usize| {
            let bytes = header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            u32::from_le_bytes(bytes.expect("four bytes"))
        };
        assert_eq!(header.get(..4), Some(&b"FCHK"[..]));
        assert_eq!(number(20) as usize, bytes.len());
        Self { number: number(12), total: number(16), bytes: bytes.into() }
    }
}
