//! The task of the flash: it receives an image, asks for what it lacks, checks it, and confirms it after the restart.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use mqtt_core::{Handle, Publish, QoS, Topic, driver::blocking::Client};
use mqtt_fota::{
    Version,
    manifest::{ImageId, Manifest, Product},
    nor::PowerCut,
    reception::{Reception, Taken},
    slots::{self, BeginError, Refused, Running, Slots},
};
use watchdog_core::{self as watchdog, host::daemon::Watched};

use crate::{
    error::{Error, FlashError},
    flash::Flash,
    handover::{End, Handover, Job},
    inject::{self, DeviceFault},
    screen::{Bar, Screen},
    status::{State, Status},
    watch::{LastWords, MOST_BITES},
};

/// After such a silence the device asks again; the time doubles with each question.
const ASK_AGAIN: Duration = Duration::from_secs(3);
const ASK_AT_LEAST_EACH: Duration = Duration::from_secs(10);
/// The progress is told so often.
const TELL_EACH: Duration = Duration::from_millis(500);
/// How long a status waits for room in the outbox.
const ROOM: Duration = Duration::from_secs(1);
/// No grant is left.
const MANY: &str = "there were too many updates since the last restart";
/// Writes and erases of a chunk, about.
const OPERATIONS: u64 = 5;

/// What the task works with.
pub(crate) struct Parts {
    pub(crate) client: Client,
    pub(crate) handover: Arc<Handover>,
    pub(crate) flash: Watched,
    pub(crate) chunks: Watched,
    pub(crate) screen: Screen,
    pub(crate) words: LastWords,
    /// The flag that breaks the connection.
    pub(crate) cut: Option<Arc<AtomicBool>>,
}

/// What the user has asked for.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The path of the flash, for errors.
    pub(crate) path: String,
    pub(crate) device: String,
    pub(crate) want: String,
    pub(crate) status: String,
    pub(crate) product: Product,
    /// Chunks that are under way at most.
    pub(crate) window: u32,
    /// End once the update is done or refused.
    pub(crate) once: bool,
    pub(crate) inject: Option<DeviceFault>,
}

pub(crate) struct Updater {
    parts: Parts,
    settings: Settings,
    slots: Slots<Flash>,
    running: Option<Running>,
    online: bool,
    publisher: bool,
    /// The image that comes in, and its manifest as it was sent.
    reception: Option<(Reception, Vec<u8>)>,
    bar: Option<Bar>,
    asking: Asking,
    /// The task `chunks` is awaited.
    awaits_chunks: bool,
    /// An image whose bytes were wrong is not received again before it is offered anew.
    refused: Option<ImageId>,
    /// The status that shows that an image on trial reaches the broker.
    trial: Option<Handle>,
    /// Why the device was reset, until it is told.
    reset: Option<String>,
    bites: u8,
    told: Instant,
}

/// When to ask for chunks again.
struct Asking {
    round: u32,
    /// Chunks before this one are asked for.
    end: u32,
    /// The last sign of the publisher, or the last question.
    since: Instant,
    patience: Duration,
    /// A chunk has come since the image was begun, so the next one is awaited.
    has_begun: bool,
    /// The publisher that is there has been asked for this image.
    has_asked: bool,
    /// The gap is asked for already.
    gap: bool,
}

impl Updater {
    pub(crate) fn new(
        parts: Parts,
        settings: Settings,
        slots: Slots<Flash>,
        running: Option<Running>,
    ) -> Self {
        let now = Instant::now();
        let record = parts.words.read();
        let bites = record.as_ref().map_or(0, |record| record.in_a_row);
        let failure = record.and_then(|record| record.failure);
        let rolled_back = running.as_ref().and_then(|running| running.rolled_back);
        let reset = failure.map(|failure| format!("after a reset: {failure}"));
        let asking = Asking {
            round: inject::random() as u32,
            end: 0,
            since: now,
            patience: ASK_AGAIN,
            has_begun: false,
            has_asked: false,
            gap: false,
        };
        if let Some(version) = rolled_back {
            parts.screen.tell(&format!("rolled back: {version} has not confirmed itself"));
        }
        Self {
            parts,
            settings,
            slots,
            running,
            online: false,
            publisher: false,
            reception: None,
            bar: None,
            asking,
            awaits_chunks: false,
            refused: None,
            trial: None,
            reset,
            bites,
            told: now,
        }
    }

    /// Works until the run is over.
    pub(crate) fn works(mut self) -> Result<(), Error> {
        if self.settings.inject == Some(DeviceFault::BadImage) && self.is_on_trial() {
            report("flash", self.parts.flash.resume())?;
            self.hangs("the new image hangs");
        }
        loop {
            let job = self.parts.handover.take(Duration::from_millis(500));
            report("flash", self.parts.flash.resume())?;
            match job {
                Some(Job::Stop) => break,
                Some(job) => self.takes(job)?,
                None => {}
            }
            self.asks_again();
            report("flash", self.parts.flash.feed())?;
            report("flash", self.parts.flash.pause())?;
            self.awaits()?;
        }
        self.bar = None;
        report("flash", self.parts.flash.retire())?;
        report("chunks", self.parts.chunks.retire())
    }

    fn takes(&mut self, job: Job) -> Result<(), Error> {
        match job {
            Job::Online => {
                self.online = true;
                self.tells_where_it_is();
            }
            Job::Offline => (self.online, self.asking.has_asked) = (false, false),
            Job::Publisher(is_there) => {
                self.publisher = is_there;
                self.asking.has_asked &= is_there;
                self.asks_first();
            }
            Job::Manifest(signed, retained) => self.is_offered(&signed, retained)?,
            Job::Start => {
                self.asking.since = Instant::now();
                if let Some((reception, _)) = &mut self.reception {
                    reception.start();
                }
            }
            Job::Bytes(bytes) => {
                let taken = self.takes_bytes(&bytes);
                self.parts.handover.give_back(bytes);
                taken?;
            }
            Job::End => self.takes_chunk()?,
            Job::Published(handle) if self.trial == Some(handle) => self.confirms()?,
            Job::Published(_) | Job::Stop => {}
        }
        Ok(())
    }

    /// A manifest has come: a new one, or that of an image that is under way.
    fn is_offered(&mut self, signed: &[u8], retained: bool) -> Result<(), Error> {
        if self.reception.as_ref().is_some_and(|(_, known)| known == signed) {
            self.asks_first();
            return Ok(());
        }
        let was_receiving = self.reception.take().is_some();
        self.bar = None;
        if signed.is_empty() {
            self.tells(State::Running, None, None);
            return Ok(());
        }
        let offered = Manifest::unverified(signed).ok();
        let image = offered.map(|manifest| manifest.image());
        if image.is_some() && image == self.refused && retained {
            return Ok(());
        }
        let offered = offered.map(|manifest| manifest.version);
        if self.bites >= MOST_BITES {
            let why = format!("{} resets in a row", self.bites);
            return self.refuses(offered, why);
        }
        if !self.has_grant()? {
            return self.refuses(offered, MANY.into());
        }
        let begun = self.slots.begin(signed, self.settings.product, self.running.as_ref());
        report("flash", self.parts.flash.feed())?;
        let reception = match begun {
            Ok(reception) => reception,
            Err(BeginError::Refused(Refused::Current(_))) => {
                if was_receiving {
                    self.tells(State::Running, None, None);
                }
                if self.settings.once && !self.is_on_trial() {
                    self.ends(End::Done);
                }
                return Ok(());
            }
            Err(BeginError::Refused(Refused::OnTrial)) => return Ok(()),
            Err(BeginError::Refused(refused)) => return self.refuses(offered, refused.to_string()),
            Err(BeginError::Slots(error)) => return Err(self.failed(error)),
            Err(error) => return self.refuses(offered, error.to_string()),
        };
        let (next, all) = (reception.next(), reception.manifest().chunks());
        let version = reception.manifest().version;
        self.parts.screen.tell(&format!("receives {version}, {next} of {all} chunks are here"));
        self.bar = Some(self.parts.screen.bar(&self.settings.device, next, all));
        if self.settings.inject == Some(DeviceFault::PowerCut(None)) {
            let operations = self.slots.flash().operations();
            let cut = inject::power_cut(operations, u64::from(all - next) * OPERATIONS);
            self.slots.flash().cut_power(cut);
        }
        self.reception = Some((reception, signed.to_vec()));
        (self.asking.has_begun, self.asking.has_asked) = (false, false);
        self.tells_progress(State::Receiving);
        self.asks_first();
        self.finishes_if_complete()
    }

    fn takes_bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.asking.since = Instant::now();
        let Some((reception, _)) = &mut self.reception else { return Ok(()) };
        let is_half = reception.next() >= reception.manifest().chunks() / 2;
        if let Some(cut) = self.parts.cut.take_if(|_| is_half) {
            self.parts.screen.tell("!! the connection breaks, as injected");
            cut.store(true, Ordering::Relaxed);
        }
        let taken = reception.bytes(&mut self.slots, bytes);
        taken.map_err(|error| self.failed(error))
    }

    fn takes_chunk(&mut self) -> Result<(), Error> {
        let Some((reception, _)) = &mut self.reception else { return Ok(()) };
        let is_half = reception.next() >= reception.manifest().chunks() / 2;
        if self.settings.inject == Some(DeviceFault::Stall) && is_half {
            self.hangs("the flash hangs");
        }
        let taken = reception.end(&mut self.slots);
        let next = reception.next();
        match taken.map_err(|error| self.failed(error))? {
            Taken::Stored => {
                let window = self.settings.window;
                self.asking.has_begun = true;
                self.asking.gap = false;
                self.asking.patience = ASK_AGAIN;
                self.awaits()?;
                if self.awaits_chunks {
                    report("chunks", self.parts.chunks.feed())?;
                }
                if let Some(bar) = &mut self.bar {
                    bar.set(next, "receiving");
                }
                if self.told.elapsed() >= TELL_EACH {
                    self.tells_progress(State::Receiving);
                }
                if self.asking.end.saturating_sub(next) <= window / 2 {
                    self.asks();
                }
                self.finishes_if_complete()
            }
            Taken::Gap if !self.asking.gap => {
                self.asking.gap = true;
                self.asks_anew();
                Ok(())
            }
            Taken::Damaged => {
                self.parts.screen.tell(&format!("chunk {next} is damaged, and asked for again"));
                self.asking.gap = true;
                self.asks_anew();
                Ok(())
            }
            Taken::Known | Taken::Gap | Taken::Foreign => Ok(()),
        }
    }

    fn finishes_if_complete(&mut self) -> Result<(), Error> {
        let Some((reception, _)) = self.reception.take_if(|(known, _)| known.is_complete()) else {
            return Ok(());
        };
        let manifest = *reception.manifest();
        self.awaits()?;
        let all = manifest.chunks();
        let status = Status {
            offered: Some(manifest.version),
            chunks: Some((all, all)),
            ..self.status(State::Checking)
        };
        self.publishes(&status);
        if !self.has_grant()? {
            return self.refuses(Some(manifest.version), MANY.into());
        }
        let whole = reception.finish(&mut self.slots, |_| ());
        let whole = whole.map_err(|error| self.failed(error))?;
        report("flash", self.parts.flash.feed())?;
        self.bar = None;
        if !whole {
            self.refused = Some(manifest.image());
            let why = "its bytes have not the hash that was signed".into();
            return self.refuses(Some(manifest.version), why);
        }
        self.tells(State::Restarting, Some(manifest.version), None);
        self.ends(End::Restart);
        Ok(())
    }

    /// The broker has the status of the image on trial, so it works.
    fn confirms(&mut self) -> Result<(), Error> {
        self.trial = None;
        let Some(running) = &mut self.running else { return Ok(()) };
        let version = running.manifest.version;
        let confirmed = self.slots.confirm(running);
        confirmed.map_err(|error| self.failed(error))?;
        self.parts.words.forget();
        self.bites = 0;
        self.parts.screen.tell(&format!("{version} is confirmed"));
        self.tells(State::Confirmed, None, None);
        if self.settings.once {
            self.ends(End::Done);
        }
        Ok(())
    }

    fn tells_where_it_is(&mut self) {
        let why = self.reset.take();
        if self.is_on_trial() {
            let status = Status { why, ..self.status(State::Trial) };
            self.trial = self.publishes(&status);
        } else if self.reception.is_some() {
            self.tells_progress(State::Receiving);
        } else if let Some(version) = self.running.as_ref().and_then(|running| running.rolled_back)
        {
            let reason = format!("{version} has not confirmed itself");
            self.tells(State::RolledBack, Some(version), Some(why.unwrap_or(reason)));
        } else {
            self.tells(State::Running, None, why);
        }
    }

    fn refuses(&mut self, offered: Option<Version>, why: String) -> Result<(), Error> {
        let version = offered.map_or_else(|| "an image".into(), |version| version.to_string());
        self.parts.screen.tell(&format!("refuses {version}: {why}"));
        self.tells(State::Refused, offered, Some(why.clone()));
        if self.settings.once {
            self.ends(End::Refused(why));
        }
        Ok(())
    }

    /// Asks for the next chunks, beyond those that are under way.
    fn asks(&mut self) {
        let Some((reception, _)) = &self.reception else { return };
        let want = reception.want(self.asking.round, self.settings.window);
        if want.count == 0 || !self.online || !self.publisher {
            return;
        }
        self.asking.end = want.first + want.count;
        let topic = &self.settings.want;
        // If there is no room, it asks again soon.
        let asked = self.parts.client.publish(topic, &want.encode(), QoS::AtMostOnce, false);
        self.asking.has_asked |= asked.is_ok();
    }

    /// Manifest and publisher come in any order, and each of them on each connection. One question is enough.
    fn asks_first(&mut self) {
        if !self.asking.has_asked && self.online && self.publisher {
            self.asks_anew();
        }
    }

    /// Asks for the next chunks, whatever is under way.
    fn asks_anew(&mut self) {
        self.asking.round = self.asking.round.wrapping_add(1);
        self.asking.since = Instant::now();
        self.asks();
    }

    fn asks_again(&mut self) {
        let waits = self.online && self.publisher && self.reception.is_some();
        if waits && self.asking.since.elapsed() >= self.asking.patience {
            self.asking.patience = (self.asking.patience * 2).min(ASK_AT_LEAST_EACH);
            self.asks_anew();
        }
    }

    /// A chunk is awaited while the publisher is there and has sent one before. Otherwise its absence is not a fault of
    /// this device, and a reset would not help.
    fn awaits(&mut self) -> Result<(), Error> {
        let awaits =
            self.online && self.publisher && self.asking.has_begun && self.reception.is_some();
        if awaits != self.awaits_chunks {
            let chunks = &self.parts.chunks;
            report("chunks", if awaits { chunks.resume() } else { chunks.pause() })?;
            self.awaits_chunks = awaits;
        }
        Ok(())
    }

    fn tells_progress(&mut self, state: State) {
        let Some((reception, _)) = &self.reception else { return };
        let manifest = reception.manifest();
        let status = Status {
            offered: Some(manifest.version),
            chunks: Some((reception.next(), manifest.chunks())),
            ..self.status(state)
        };
        self.told = Instant::now();
        self.publishes(&status);
    }

    fn tells(&mut self, state: State, offered: Option<Version>, why: Option<String>) {
        let status = Status { offered, why, ..self.status(state) };
        self.publishes(&status);
    }

    fn status(&self, state: State) -> Status {
        let version = self.running.as_ref().map(|running| running.manifest.version);
        Status::new(state, version.unwrap_or_default())
    }

    fn publishes(&mut self, status: &Status) -> Option<Handle> {
        let (topic, text) = (Topic::new(&self.settings.status).ok()?, status.to_string());
        let publish = Publish::new(topic, text.as_bytes()).qos(QoS::AtLeastOnce).retain(true);
        // While the device is offline there may be no room. The next status tells.
        self.parts.client.send_within(&publish, ROOM).ok()
    }

    /// Takes a grant for a long job.
    fn has_grant(&self) -> Result<bool, Error> {
        match self.parts.flash.grant() {
            Err(watchdog::Refused::NoGrant) => Ok(false),
            granted => report("flash", granted).map(|()| true),
        }
    }

    fn is_on_trial(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.trial)
    }

    fn ends(&mut self, end: End) {
        if end != End::Restart {
            // There is no will after a DISCONNECT.
            self.tells(State::Offline, None, None);
        }
        self.parts.handover.end(end);
        self.parts.client.disconnect();
    }

    fn failed(&self, error: slots::Error<FlashError>) -> Error {
        Error::Slots { path: self.settings.path.clone(), error }
    }

    /// Stands for a driver that waits for a part that does not answer.
    fn hangs(&self, what: &str) -> ! {
        self.parts.screen.tell(&format!("!! {what}, as injected"));
        loop {
            thread::park();
        }
    }
}

/// The cut of `--inject power-cut=N`.
pub(crate) fn chosen_cut(inject: Option<DeviceFault>) -> Option<PowerCut> {
    match inject {
        Some(DeviceFault::PowerCut(Some(after))) => {
            Some(PowerCut { after, tear: inject::random() as u32 })
        }
        _ => None,
    }
}

/// A report that does not count. A task that is late does nothing any more, and waits for its reset.
fn report(task: &'static str, reported: Result<(), watchdog::Refused>) -> Result<(), Error> {
    use watchdog::Refused::{Failed, Late};
    match reported {
        Err(Late | Failed) => loop {
            thread::park();
        },
        other => other.map_err(|why| Error::Report { task, why }),
    }
}
