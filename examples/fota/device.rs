//! The device: it boots an image, runs, receives the next one, and restarts to try it.
//!
//! A restart is a turn of the loop here, so one command shows a whole update. A reset by the watchdog ends the process.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use ed25519_dalek::VerifyingKey;
use mqtt_core::{
    QoS, Will,
    driver::blocking::{Client, Config},
};
use mqtt_examples::{
    common::{Common, topic_of},
    trace::Trace,
};
use mqtt_fota::{
    Version,
    slots::{Running, Slots},
};

use crate::{
    error::Error,
    flash::{self, Flash},
    handover::{BUFFER, End, Handover, Job},
    inject::{Breakable, DeviceFault},
    keys,
    link::Link,
    screen::Screen,
    status::{State, Status},
    topics::Topics,
    updater::{self, Parts, Settings, Updater},
    watch::{self, CONFIRM_WITHIN, KEEP_ALIVE, LastWords},
};

/// What the user has asked for.
pub(crate) struct Order {
    pub(crate) common: Common,
    pub(crate) prefix: String,
    pub(crate) public_key: String,
    /// How long each erase of a sector takes.
    pub(crate) erase: Duration,
    pub(crate) settings: Settings,
}

/// Bytes for packets that wait: wishes and status.
const OUTBOX: usize = 4 << 10;
/// Requests under way.
const REQUESTS: usize = 16;

/// The client of the present run, for interrupts.
#[derive(Clone, Default)]
struct Interrupt {
    flag: Arc<AtomicBool>,
    client: Arc<Mutex<Option<(Client, Farewell)>>>,
}

/// The status of a device that leaves in order.
type Farewell = (String, String);

pub(crate) fn run(mut order: Order) -> Result<(), Error> {
    let key = keys::verifying(&order.public_key)?;
    let screen = Screen::new();
    let interrupt = Interrupt::default();
    let on_interrupt = interrupt.clone();
    ctrlc::set_handler(move || on_interrupt.comes())?;
    let trace = order.common.trace()?;
    let ended = loop {
        match boots(&mut order, &key, &screen, &interrupt, trace.as_ref())? {
            Some(End::Restart) if !interrupt.flag.load(Ordering::Relaxed) => {
                screen.tell("restarts");
            }
            other => break other,
        }
    };
    if let Some(trace) = trace {
        trace.report("fota");
    }
    match ended {
        Some(End::Refused(why)) => Err(Error::Refused(why)),
        Some(End::Done | End::Restart) | None => Ok(()),
    }
}

/// From a boot to the next one.
fn boots(
    order: &mut Order,
    key: &VerifyingKey,
    screen: &Screen,
    interrupt: &Interrupt,
    trace: Option<&Trace>,
) -> Result<Option<End>, Error> {
    let path = order.settings.path.clone();
    let failed = |error| Error::Slots { path: path.clone(), error };
    let mut flash = flash::open(&path, order.erase)?;
    if let Some(cut) = updater::chosen_cut(order.settings.inject) {
        flash.cut_power(cut);
    }
    let mut slots = Slots::new(flash, *key).map_err(failed)?;
    let running = slots.boot().map_err(failed)?;
    let version = tell_boot(screen, running.as_ref());

    let words = LastWords::beside(&path);
    let daemon = watch::start(words.clone(), screen.clone())?;
    let topics = Topics::new(&order.prefix, order.settings.product);
    let offline = Status::new(State::Offline, version).to_string();
    let will = Will::new(topic_of("-i", &order.settings.status)?, offline.as_bytes());
    let options = order.common.options()?.keep_alive(KEEP_ALIVE);
    let options = options.will(will.qos(QoS::AtLeastOnce).retain(true));
    let config = Config::new(&options).outbox(OUTBOX).buffer(BUFFER).window(REQUESTS);
    let config = order.common.traced(config, trace);
    let brokers = order.common.brokers()?;
    let mut cut = None;
    let connected = if order.settings.inject == Some(DeviceFault::Cut) {
        let (breakable, flag) = Breakable::new(brokers);
        cut = Some(flag);
        order.settings.inject = None;
        config.over(breakable)
    } else {
        config.to(brokers)
    };
    let (client, events) = connected.map_err(Error::Request)?;
    interrupt.is_for(&client, (order.settings.status.clone(), offline.clone()));

    let handover = Arc::new(Handover::new());
    let trial = running.as_ref().is_some_and(|running| running.trial);
    let link = Link {
        client: client.clone(),
        events,
        handover: Arc::clone(&handover),
        watched: daemon.watch("link", watch::LINK)?,
        screen: screen.clone(),
        chunk: topics.chunk(&order.settings.device),
        topics,
        trial_until: trial.then(|| Instant::now() + Duration::from_secs(CONFIRM_WITHIN)),
    };
    let parts = Parts {
        client: client.clone(),
        handover: Arc::clone(&handover),
        flash: daemon.watch("flash", watch::FLASH)?,
        chunks: daemon.watch("chunks", watch::CHUNKS)?,
        screen: screen.clone(),
        words: words.clone(),
        cut,
    };
    let updater = Updater::new(parts, order.settings.clone(), slots, running);
    let works = move || {
        let worked = updater.works();
        if worked.is_err() {
            client.disconnect();
        }
        worked
    };
    let thread = thread::Builder::new().name("flash".into()).spawn(works);
    let thread = thread.map_err(Error::Thread)?;
    let served = link.serves();
    handover.give(Job::Stop);
    let worked = thread.join().unwrap_or(Err(Error::Panicked("writes the flash")));
    let end = served.and_then(|end| worked.map(|()| end))?;
    let _no_hardware = daemon.stop()?;
    if !matches!(end, Some(End::Restart)) {
        words.forget();
    }
    Ok(end)
}

fn tell_boot(screen: &Screen, running: Option<&Running>) -> Version {
    let Some(running) = running else {
        screen.tell("boots the loader alone: there is no image");
        return Version::default();
    };
    let version = running.manifest.version;
    let trial = if running.trial { ", on trial" } else { "" };
    screen.tell(&format!("boots {version} from slot {:?}{trial}", running.slot));
    version
}

impl Interrupt {
    fn is_for(&self, client: &Client, farewell: Farewell) {
        let mut present = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        *present = Some((client.clone(), farewell));
    }

    /// The first one leaves in order, the second one at once.
    fn comes(&self) {
        if self.flag.swap(true, Ordering::Relaxed) {
            std::process::exit(crate::INTERRUPTED);
        }
        let present = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((client, (topic, offline))) = &*present {
            let _no_room = client.publish(topic, offline.as_bytes(), QoS::AtLeastOnce, true);
            client.disconnect();
        }
    }
}

/// What the factory does: a flash with two slots, and an image in one of them, which is confirmed.
pub(crate) fn install(
    path: &str,
    room: u32,
    key: &VerifyingKey,
    image: Option<(&str, &str)>,
) -> Result<(), Error> {
    let failed = |error| Error::Slots { path: path.into(), error };
    let files = image.map(|(manifest, image)| crate::image::open(manifest, image)).transpose()?;
    let capacity = Slots::<Flash>::capacity(room).ok_or(Error::Room(room))?;
    let mut slots = Slots::new(flash::create(path, capacity)?, *key).map_err(failed)?;
    let Some((signed, manifest, mut file)) = files else { return Ok(()) };
    let begun = slots.begin(&signed, manifest.product, None);
    let mut reception = begun.map_err(|error| Error::NotInstalled { path: path.into(), error })?;
    let mut part = [0; BUFFER];
    for number in 0..manifest.chunks() {
        let Some(range) = manifest.range(number) else { break };
        let (mut at, len) = (range.start as u64, u32::try_from(range.len()).unwrap_or(0));
        let hash = file.hash(at, len)?;
        let (image, total) = (manifest.image(), manifest.chunks());
        let header = mqtt_fota::chunk::ChunkHeader { image, number, total, len, hash };
        reception.start();
        reception.bytes(&mut slots, &header.encode()).map_err(failed)?;
        while at < range.end as u64 {
            let left = usize::try_from(range.end as u64 - at).unwrap_or(BUFFER).min(BUFFER);
            let part = part.get_mut(..left).unwrap_or_default();
            let count = file.read(at, part).map_err(|error| Error::file(path, error))?;
            if count == 0 {
                return Err(Error::ImageFailed);
            }
            let bytes = part.get(..count).unwrap_or_default();
            reception.bytes(&mut slots, bytes).map_err(failed)?;
            at += count as u64;
        }
        let _stored = reception.end(&mut slots).map_err(failed)?;
    }
    if !reception.finish(&mut slots, |_| ()).map_err(failed)? {
        return Err(Error::ImageFailed);
    }
    match slots.boot().map_err(failed)? {
        Some(mut running) => slots.confirm(&mut running).map_err(failed),
        None => Err(Error::ImageFailed),
    }
}
