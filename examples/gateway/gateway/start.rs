//! Everything that is opened before anything is watched.

use std::{fs, sync::Arc};

use mqtt_core::{
    Login, Options, QoS, Reconnect, Topic, Will,
    driver::{
        blocking::{Config as ClientConfig, Connector},
        journal::file::{self, FileJournal},
    },
};
use watchdog_core::host::systemd::{Service, SystemdError};

use super::{Error, Parts};
use crate::{
    board::Board,
    budget::Budget,
    config::{Config, Survive},
    hardware::Hardware,
    inject::Inject,
    last_words::{LastWords, text_of},
    link::{Adjustable, Link},
    records::Records,
    sampling::Control,
    topics::{OFFLINE, Topics},
    uplink::Uplink,
    ways::{self, Ways},
};

/// The first delay before the client connects again, in milliseconds.
const RETRY_AFTER: u32 = 500;

/// Opens the journal, the records of earlier runs and, last, the hardware.
pub(super) fn parts(
    config: &Config,
    board: &Arc<Board>,
    inject: Option<Inject>,
) -> Result<Parts, Error> {
    let service = match Service::from_env() {
        Ok(service) => Some(service),
        Err(SystemdError::NotAService) => None,
        Err(error) => return Err(error.into()),
    };
    let folder = config.state_folder();
    fs::create_dir_all(&folder).map_err(|error| Error::State { folder: folder.clone(), error })?;
    // The journal first: its lock keeps a second gateway out of the folder.
    let journal = FileJournal::open(folder.join("session.journal"))?;
    let journal = journal.survive(match config.queue.survive {
        Survive::PowerCut => file::Survive::PowerCut,
        Survive::ProcessKill => file::Survive::ProcessKill,
    });
    let topics = Topics::below(config.topic.as_str());
    let password = ways::password(&config.broker)?;
    let password = password.as_ref().map(|password| password.as_bytes());
    let options = options(config, &topics, password)?;
    let (ways, switch) = Ways::new(&config.broker)?;
    let count = u8::try_from(config.broker.addresses.len()).unwrap_or(u8::MAX);
    let brokers = (0..count).map(|endpoint| ways.name(endpoint)).collect();
    let client = ClientConfig::new(&options)
        .outbox(usize::try_from(config.queue.bytes).unwrap_or(usize::MAX))
        .window(config.queue.messages.into())
        .journal(journal)
        .over(ways);
    let (client, events) = client?;
    let uplink = Arc::new(Uplink::new(client, topics));
    let records = Records::begin(&folder)?;
    if let Some(before) = records.before() {
        board.tell(&format!("the run before: {}", text_of(before)));
    }
    let last_words = LastWords::new(records.clone(), &uplink)?;
    let unanswered = uplink.client().in_flight();
    board.tell(&format!("the journal has {unanswered} messages without an answer"));
    let hardware = Hardware::start(&config.watchdog, service.as_ref())?;
    let budget = match Budget::new(config, hardware.bites()) {
        Ok(budget) => budget,
        Err(error) => {
            hardware.stop()?;
            return Err(error.into());
        }
    };
    board.tell(&format!("bites: {}", hardware.text()));
    board.set_hardware(&hardware.text());
    let controls: Vec<Arc<Control>> = config
        .sensors
        .iter()
        .map(|sensor| Control::new(sensor.name.as_str(), sensor.period))
        .collect();
    let sensors = config.sensors.iter().zip(&controls).map(|(sensor, control)| Adjustable {
        control: Arc::clone(control),
        deadline: sensor.deadline,
    });
    let link = Link {
        uplink,
        board: Arc::clone(board),
        last_words,
        switch,
        brokers,
        sensors: sensors.collect(),
        timing: budget.timing,
        modem: config.link.modem.clone(),
        service,
        inject: inject.clone(),
        endpoint: None,
    };
    Ok(Parts { link, events, budget, hardware, records, controls, inject })
}

fn options<'a>(
    config: &'a Config,
    topics: &'a Topics,
    password: Option<&'a [u8]>,
) -> Result<Options<'a>, Error> {
    let broker = &config.broker;
    let seconds = u16::try_from(broker.keep_alive.as_millis() / 1_000).unwrap_or(u16::MAX);
    let count = u8::try_from(broker.addresses.len()).unwrap_or(u8::MAX);
    let will = Will::new(Topic::new(&topics.status)?, OFFLINE.as_bytes());
    let reconnect = Reconnect::after(RETRY_AFTER).at_most(broker.retry_at_most.as_millis());
    let options = Options::new(config.name.as_str())
        .clean_session(false)
        .keep_alive(seconds)
        .connect_timeout(broker.connect_timeout.as_millis())
        .cluster(broker.cluster)
        .will(will.qos(QoS::AtLeastOnce).retain(true))
        .reconnect(reconnect.endpoints(count));
    Ok(match &broker.user {
        Some(user) => options.login(Login::new(user, password)),
        None => options,
    })
}
