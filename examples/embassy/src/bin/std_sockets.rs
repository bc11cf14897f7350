//! The sockets of the operating system, by edge-nal-std: they can be split.

use edge_nal_std::Stack;
use embassy_executor::Spawner;
use embassy_time::Delay;
use mqtt_core::driver::asynch::Edge;
use mqtt_embassy::host::{self, Settings, Table};
use mqtt_embassy::{clock, device::Device, ending, events, memory};

/// Serves the connection. The transport has a name here, because a task takes no generic argument.
#[embassy_executor::task]
async fn serve(mut runner: memory::Runner, dial: Edge<'static, Stack, Stack>, device: Device) {
    let handle = async |requests: memory::Requests<'_>, event: mqtt_core::Event<'_>| {
        events::handle(&device, requests, &event);
    };
    let dialler = size_of_val(&dial);
    let run = runner.run(dial, Delay, clock::now, handle);
    Table::of_client().row("dialler", dialler).row("run", size_of_val(&run)).print();
    host::exit(run.await)
}

fn start(spawner: Spawner) -> host::Result<(memory::Client, Device)> {
    let settings = Settings::read()?;
    let device = settings.device;
    let (runner, client) = memory::start(&device.options())?;
    let dial = Edge::new(Stack::new(), Stack::new(), &settings.broker);
    spawner.spawn(serve(runner, dial, device)?);
    mqtt_embassy::spawn(spawner, client, device, settings.count)?;
    Ok((client, device))
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    match start(spawner) {
        Ok((client, device)) => ending::when_done(client, device).await,
        Err(error) => host::fail(&*error),
    }
}
