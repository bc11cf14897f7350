//! The task that handles commands. The handler of events passes them on.

use core::str::FromStr;

use embassy_futures::select::{Either, select};
use embassy_sync::{
    blocking_mutex::raw::CriticalSectionRawMutex, channel::Channel, signal::Signal,
};
use mqtt_core::{Publish, QoS};

use crate::{
    device::Device,
    memory::Client,
    publishing,
    text::{Text, text},
};

/// Commands on their way from the handler to the task. If it is full, the handler refuses a command.
pub(crate) static COMMANDS: Channel<CriticalSectionRawMutex, Command, 4> = Channel::new();

/// The connection is up. A signal holds one value, so unlike a channel it is never full.
pub(crate) static UP: Signal<CriticalSectionRawMutex, ()> = Signal::new();

/// What the device can be told. It is a copy: the message is gone when the handler returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// "interval 500": milliseconds between two messages.
    Interval(u32),
    /// "report": how the device is.
    Report,
}

/// No command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unknown;

impl FromStr for Command {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        match text.split_once(' ') {
            None if text == "report" => Ok(Self::Report),
            Some(("interval", millis)) => millis.parse().map(Self::Interval).map_err(|_| Unknown),
            _ => Err(Unknown),
        }
    }
}

/// Subscribes, then carries out each command and answers it; and says that the device is on, at each connection.
///
/// A task of its own may wait for room; the handler may not.
#[embassy_executor::task]
pub async fn commands(client: Client, device: Device) {
    // Once: the client makes it again if the broker loses the session. A command at QoS 1 may come twice, so commands
    // are such that this does no harm.
    match client.subscribe_wait(&[(device.command, QoS::AtLeastOnce)]).await {
        Ok(outcome) => log::info!("commands: {outcome}"),
        Err(error) => log::warn!("commands: {error}"),
    }
    loop {
        match select(UP.wait(), COMMANDS.receive()).await {
            // The will of an earlier connection may have replaced it.
            Either::First(()) => {
                publish(client, Publish::new(device.state, b"on").retain(true)).await;
            }
            Either::Second(command) => {
                let answer = carry_out(client, command);
                log::info!("command: {answer}");
                publish(client, Publish::new(device.answer, answer.as_bytes())).await;
            }
        }
    }
}

fn carry_out(client: Client, command: Command) -> Text {
    match command {
        Command::Interval(millis) => {
            publishing::set_interval(millis);
            text(format_args!("interval {millis}"))
        }
        Command::Report => text(format_args!("{} in flight", client.in_flight())),
    }
}

async fn publish(client: Client, message: Publish<'_>) {
    if let Err(error) = client.publish(&message.qos(QoS::AtLeastOnce)).await {
        log::warn!("{}: {error}", message.topic.as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_read_from_text_and_nothing_else_is_a_command() {
        assert_eq!("report".parse::<Command>().ok(), Some(Command::Report));
        assert_eq!("interval 500".parse::<Command>().ok(), Some(Command::Interval(500)));
        for text in ["", "report now", "interval", "interval ", "interval x", "interval -1"] {
            assert!(text.parse::<Command>().is_err(), "{text:?}");
        }
    }
}
