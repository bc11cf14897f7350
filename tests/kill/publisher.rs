//! Publishes numbered messages from the position in its journal on, until it is killed.

use std::{path::Path, thread, time::Duration};

use mqtt_core::{
    ConnectionState, Event, Options, Publish, QoS, Reconnect, RequestError, Topic,
    driver::{
        blocking::{self, Client, Config},
        journal::file::FileJournal,
    },
};

use crate::{Error, PATIENCE, Role, end_with_parent, message};
use mqtt_examples::print;

/// Its client id.
pub(crate) const ID: &str = "publisher";
/// It is small, so that snapshots are often written, and often interrupted.
pub(crate) const LONG: u64 = 8 << 10;
/// Requests that may be in flight.
pub(crate) const WINDOW: usize = 64;
/// The time between two messages of the source. If the publisher were faster than the subscriber, which writes more to
/// its journal, the run would only show a backlog that is sent over and over.
pub(crate) const PACE: Duration = Duration::from_millis(5);
/// How long to wait for room at once.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The options of both clients.
pub(crate) fn options(id: &str) -> Options<'_> {
    let reconnect = Reconnect::after(5).at_most(50);
    Options::new(id).clean_session(false).keep_alive(10).reconnect(reconnect)
}

pub(crate) fn run(role: &Role) -> Result<(), Error> {
    end_with_parent();
    let journal = FileJournal::open(Path::new(&role.folder).join("publisher.journal"))?;
    let config = Config::new(&options(ID)).window(WINDOW).journal(journal.long_at(LONG));
    let (client, mut events) = config.start(&[&role.broker])?;
    // Messages accepted before the last kill are in the journal. The source goes on behind them.
    let next = client.position();
    let publishing = {
        let (client, last) = (client.clone(), role.last);
        thread::spawn(move || if last { finish(&client) } else { publish(&client, next) })
    };
    loop {
        match events.next_timeout(LOOK_AGAIN) {
            Some(Event::Up { .. }) => print::line("up"),
            None if client.state() == ConnectionState::Stopped => break,
            _ => {}
        }
        if publishing.is_finished() && (client.in_flight() == 0 || !role.last) {
            client.disconnect();
        }
    }
    if let Some(error) = events.last_error() {
        return Err(Error::Run(format!("publisher: {error}")));
    }
    publishing.join().map_err(|_| Error::Run("the publishing thread panicked".into()))??;
    print::line(&format!("accepted {}", client.position()));
    Ok(())
}

/// Publishes without end.
fn publish(client: &Client, mut next: u64) -> Result<(), Error> {
    loop {
        let (topic, payload) = (message::topic(next), message::payload(next));
        send(client, &topic, &payload, message::qos_of(next), next + 1)?;
        next += 1;
        thread::sleep(PACE);
    }
}

/// Publishes the last message of each QoS.
fn finish(client: &Client) -> Result<(), Error> {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        send(client, &message::last_topic(qos), b"", qos, client.position())?;
    }
    Ok(())
}

/// Publishes one message, when there is room for it.
fn send(
    client: &Client,
    topic: &str,
    payload: &[u8],
    qos: QoS,
    position: u64,
) -> Result<(), Error> {
    let request = |error| Error::Request { what: "publish", error };
    let topic = Topic::new(topic).map_err(|error| request(error.into()))?;
    let publish = Publish::new(topic, payload).qos(qos);
    let mut waited = Duration::ZERO;
    loop {
        match client.publish_at_within(&publish, position, LOOK_AGAIN) {
            Ok(_) => return Ok(()),
            Err(blocking::Error::Request(
                RequestError::WindowFull { .. } | RequestError::OutboxFull { .. },
            )) if waited < PATIENCE => {
                waited += LOOK_AGAIN;
            }
            Err(error) => return Err(request(error)),
        }
    }
}
