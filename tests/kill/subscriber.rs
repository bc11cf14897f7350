//! Writes received messages to a file, and goes on from the position in its journal, until it is killed.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
};

use mqtt_core::{
    Delivery, Event, Message, QoS, RequestError,
    driver::{
        blocking::{self, Client, Config},
        journal::file::FileJournal,
    },
};
use mqtt_examples::print;

use crate::{
    Error, Role, end_with_parent,
    message::{self, FILTER, Meaning},
    publisher::options,
};

/// Its client id.
pub(crate) const ID: &str = "subscriber";
/// The received messages, with a line for each.
pub(crate) const OUTPUT: &str = "received";
/// It is small, so that snapshots are often written, and often interrupted.
const LONG: u64 = 2 << 10;
/// The broker sends all that came while the subscriber was away, without a limit.
pub(crate) const WINDOW: usize = 0xEFFF;

pub(crate) fn run(role: &Role) -> Result<(), Error> {
    end_with_parent();
    let folder = Path::new(&role.folder);
    let journal = FileJournal::open(folder.join("subscriber.journal"))?;
    // With automatic acknowledgement a message might be acknowledged before it is in the file.
    let options = options(ID).manual_acknowledge(true);
    let (client, mut events) = Config::new(&options)
        .window(WINDOW)
        .journal(journal.long_at(LONG))
        .start(&[&role.broker])?;
    let mut output = Output::open(&folder.join(OUTPUT), client.position())?;
    let (mut at_least_once_ended, mut exactly_once_ended) = (false, false);
    while let Some(event) = events.next() {
        if let Event::Up { .. } = event {
            // The answer comes after all that the broker sends to resume the session.
            let request = |error| Error::Request { what: "subscribe", error };
            let _ = client.subscribe(FILTER, QoS::ExactlyOnce).map_err(request)?;
        } else if let Event::Subscribed { .. } = event {
            print::line("resumed");
        } else if let Event::Message(message) = event {
            match output.take(&message, &client)? {
                Some(Meaning::Last(QoS::ExactlyOnce)) => exactly_once_ended = true,
                Some(Meaning::Last(_)) => at_least_once_ended = true,
                Some(Meaning::Number(_)) | None => {}
            }
            if exactly_once_ended && at_least_once_ended {
                client.disconnect();
            }
        }
    }
    match events.last_error() {
        Some(error) => Err(Error::Run(format!("subscriber: {error}"))),
        None => Ok(()),
    }
}

/// The file, cut to the position in the journal.
struct Output {
    file: File,
    len: u64,
}

impl Output {
    fn open(path: &Path, recorded_position: u64) -> Result<Self, Error> {
        let failed = |error| Error::File(format!("{}: {error}", path.display()));
        let file = OpenOptions::new().append(true).create(true).open(path).map_err(failed)?;
        let found = file.metadata().map_err(failed)?.len();
        if found < recorded_position {
            return Err(Error::File(format!(
                "{found} bytes received, {recorded_position} recorded_position"
            )));
        }
        // Messages behind the position were not acknowledged, and come again.
        file.set_len(recorded_position).map_err(failed)?;
        Ok(Self { file, len: recorded_position })
    }

    /// Writes `message` down, then acknowledges it together with the new length.
    fn take(&mut self, message: &Message<'_>, client: &Client) -> Result<Option<Meaning>, Error> {
        let Some(delivery) = message.delivery else { return Ok(None) };
        let meaning = message::meaning(message.topic.as_str());
        let line = match meaning {
            Some(Meaning::Number(number)) if message.payload == message::payload(number) => {
                format!("{number}\n")
            }
            Some(Meaning::Last(_)) => String::new(),
            _ => format!("{}: not what was published\n", message.topic),
        };
        let written = self.write(&line, delivery, client);
        written.map_err(|error| Error::File(format!("writing what was received: {error}")))?;
        Ok(meaning)
    }

    fn write(&mut self, line: &str, delivery: Delivery, client: &Client) -> io::Result<()> {
        self.file.write_all(line.as_bytes())?;
        let len = self.len + line.len() as u64;
        match client.acknowledge_at(delivery, len) {
            Ok(()) => self.len = len,
            // The connection is gone: the message comes again.
            Err(blocking::Error::Request(RequestError::StaleDelivery)) => {
                self.file.set_len(self.len)?
            }
            Err(error) => return Err(io::Error::other(error)),
        }
        Ok(())
    }
}
