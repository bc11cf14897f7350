//! The task that carries out commands, at QoS 2: each command and each answer comes once.
//!
//! It may wait for a command for ever, so it is paused then. Whoever hands it a command ends the pause
//! ([`handed_over`]). So a task that does not take its command is found, as is one that does not answer it.

use embassy_futures::select::{Either, select};
use embassy_time::{Duration, with_timeout};
use mqtt_core::{Publish, QoS};
use watchdog_core::Task;

use super::{
    Node,
    budget::{PERIOD, ROOM},
    fault::{self, Victim},
};
use crate::{
    clock,
    commands::{COMMANDS, Command, UP},
    memory::Client,
    publishing,
    text::{Text, text},
};

/// Subscribes, then carries out each command and answers it; and says that the node is on, at each connection.
#[embassy_executor::task]
pub async fn orders(client: Client, node: Node, task: &'static Task) {
    match client.subscribe_wait(&[(node.device.command, QoS::ExactlyOnce)]).await {
        Ok(outcome) => log::info!("commands: {outcome}"),
        Err(error) => log::warn!("commands: {error}"),
    }
    let mut round = 0;
    loop {
        match select(UP.wait(), COMMANDS.receive()).await {
            Either::First(()) => {
                let on = Publish::new(node.device.state, b"on").qos(QoS::AtLeastOnce).retain(true);
                publish(client, on).await;
            }
            Either::Second(command) => {
                round += fault::ROUNDS;
                fault::strike(Victim::Commands, round).await;
                let answer = carry_out(client, command);
                log::info!("command: {answer}");
                let answer = Publish::new(node.device.answer, answer.as_bytes());
                publish(client, answer.qos(QoS::ExactlyOnce)).await;
                done(task);
            }
        }
    }
}

/// The handler of events has handed over a command, if there is one: the task is awaited from now on.
pub fn handed_over(task: &Task) {
    if !COMMANDS.is_empty() {
        // If it has an earlier command, it is awaited already.
        let _awaited = task.handle().resume(clock::watchdog());
    }
}

/// A command is answered. The task is awaited on if there is another one.
fn done(task: &Task) {
    let (task, now) = (task.handle(), clock::watchdog());
    let reported = if COMMANDS.is_empty() { task.pause(now) } else { task.feed(now) };
    if let Err(refused) = reported {
        log::warn!("commands: {refused}");
    }
}

fn carry_out(client: Client, command: Command) -> Text {
    match command {
        Command::Interval(millis) if millis > PERIOD => {
            text(format_args!("interval: at most {PERIOD}"))
        }
        Command::Interval(millis) => {
            publishing::set_interval(millis);
            text(format_args!("interval {millis}"))
        }
        Command::Report => text(format_args!("{} in flight", client.in_flight())),
    }
}

/// Publishes, if there is room in time. Otherwise the sender of a command misses an answer, and asks again.
async fn publish(client: Client, message: Publish<'_>) {
    match with_timeout(Duration::from_millis(ROOM.into()), client.publish(&message)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => log::warn!("{}: {error}", message.topic.as_str()),
        Err(_) => log::warn!("{}: no room", message.topic.as_str()),
    }
}
