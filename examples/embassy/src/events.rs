//! The handler of events.

use core::str::from_utf8;

use mqtt_core::{Event, Message, Publish};

use crate::{
    commands::{COMMANDS, Command, UP},
    device::Device,
    memory::Requests,
};

/// Handles one event.
///
/// Nothing is received until it returns. So it makes requests that do not wait, and leaves everything that takes long,
/// or needs room, to a task. It could not wait for room: the acknowledgement that makes room comes after this event.
pub fn handle(device: &Device, requests: Requests<'_>, event: &Event<'_>) {
    match event {
        Event::Up { session, .. } => {
            log::info!("up, session {session:?}");
            UP.signal(());
        }
        Event::Down { reason, .. } => log::info!("down: {reason}"),
        Event::Message(message) => command(device, requests, message),
        // Messages that did not fit in the buffer; requests that need the application's decision.
        Event::Skipped(skipped) => log::warn!("skipped: {skipped:?}"),
        Event::Stuck { .. } | Event::RenewalStuck { .. } => log::warn!("{event:?}"),
        // The tasks that wait for outcomes get them without this.
        _ => {}
    }
}

fn command(device: &Device, requests: Requests<'_>, message: &Message<'_>) {
    let command = from_utf8(message.payload).ok().and_then(|text| text.parse::<Command>().ok());
    let refusal = match command {
        Some(command) if COMMANDS.try_send(command).is_ok() => return,
        Some(_) => "busy",
        None => "unknown command",
    };
    // QoS 0: if there is no room for it, the sender misses an answer and asks again.
    if let Err(error) = requests.try_publish(&Publish::new(device.answer, refusal.as_bytes())) {
        log::warn!("no answer: {error}");
    }
}
