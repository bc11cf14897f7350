//! A node whose tasks are watched, over the sockets of the operating system: `docs/async-node.md`.

use core::pin::pin;

use edge_nal_std::Stack;
use embassy_executor::Spawner;
use embassy_futures::select::select;
use embassy_time::{Duration, with_timeout};
use mqtt_core::driver::asynch::Edge;
use mqtt_core::{Publish, QoS};
use mqtt_embassy::host::{self, Radio, RetainedRam, Settings, SoftwareChip};
use mqtt_embassy::node::budget::{PERIOD, TASKS, TIMING};
use mqtt_embassy::node::fault::{self, Victim};
use mqtt_embassy::node::sensors::{self, DONE, SENSORS, Sensor};
use mqtt_embassy::node::{Node, guard, last_words, link, orders};
use mqtt_embassy::{clock, memory, publishing};
use watchdog_core::{CrashRecord, Guard, Supervisor, Task};

/// The answers of the broker are awaited for so long at the end.
const LONGEST_END: Duration = Duration::from_secs(5);

type Dialler = Radio<Edge<'static, Stack, Stack>>;

/// Serves the connection. If it ends as it was told to, the node ends on purpose.
#[embassy_executor::task]
async fn serve(
    mut runner: memory::Runner,
    mut dial: Dialler,
    client: memory::Client,
    node: Node,
    link: &'static Task,
    commands: &'static Task,
) {
    match link::serve(&mut runner, &mut dial, client, &node, link, commands).await {
        Ok(()) => guard::END.signal(()),
        Err(error) => host::fail(&error),
    }
}

/// The guard, behind all other tasks. It has the hardware, and ends the program.
#[embassy_executor::task]
async fn watch(
    mut guard: Guard<'static, SoftwareChip>,
    mut ram: RetainedRam,
    last: Option<CrashRecord>,
) {
    loop {
        guard::watch(&mut guard, &mut ram, last.as_ref()).await;
        match guard.stop(clock::watchdog()) {
            Ok(()) => host::exit(ram.clear()),
            // A task has failed, so the node ends with a bite.
            Err(failed) => guard = failed.watchdog,
        }
    }
}

/// Starts everything. Gives what is needed for the end.
fn start(spawner: Spawner) -> host::Result<(memory::Client, Node, impl Future<Output = ()>)> {
    let settings = Settings::read()?;
    if publishing::interval() > PERIOD {
        return Err(format!("--interval: at most {PERIOD}, the period of the sensors").into());
    }
    if let Some(fault) = settings.fault {
        fault::inject(fault);
    }
    let node = settings.node()?;
    let stopped = host::stop_at_signals()?;
    let (ram, last) = RetainedRam::boot(&settings.memory)?;
    let [temperature, pressure, commands, link] = &TASKS;
    let supervisor = Supervisor::new(&TASKS, TIMING, clock::watchdog());
    let guard = Guard::new(SoftwareChip::start()?, supervisor);

    let (runner, client) = memory::start(&node.options())?;
    let dial = Radio::new(Edge::new(Stack::new(), Stack::new(), &settings.broker));
    let sensor = |topic, task, victim| {
        sensors::sensor(client, Sensor { topic, task, victim }, settings.count)
    };
    spawner.spawn(sensor(node.device.temperature, temperature, Victim::Temperature)?);
    spawner.spawn(sensor(node.pressure, pressure, Victim::Pressure)?);
    spawner.spawn(orders::orders(client, node, commands)?);
    spawner.spawn(serve(runner, dial, client, node, link, commands)?);
    if let Some(words) = last_words::words(&last) {
        println!("the last run: {words}");
        spawner.spawn(last_words::publish(client, node, words)?);
    }
    spawner.spawn(watch(guard, ram, last.ok())?);
    Ok((client, node, stopped))
}

/// Ends in order: the broker has everything, and does not publish the will. The watchdog watches until the end.
async fn end(client: memory::Client, node: Node) {
    let off = Publish::new(node.device.state, b"off").qos(QoS::AtLeastOnce).retain(true);
    let ended = with_timeout(LONGEST_END, async {
        if let Err(error) = client.publish(&off).await {
            println!("off: {error}");
        }
        client.finish().await;
    });
    if ended.await.is_err() {
        client.disconnect();
    }
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let (client, node, stopped) = match start(spawner) {
        Ok(started) => started,
        Err(error) => host::fail(&*error),
    };
    let done = async {
        for _ in 0..SENSORS {
            DONE.receive().await;
        }
    };
    select(pin!(stopped), pin!(done)).await;
    end(client, node).await;
}
