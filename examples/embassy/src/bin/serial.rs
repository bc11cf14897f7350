//! A serial line, with a gateway at its other end.

use embassy_executor::Spawner;
use embassy_time::Delay;
use mqtt_embassy::host::{self, Settings, Table, Tty};
use mqtt_embassy::{clock, device::Device, dial::serial::SerialLine, ending, events, memory};

#[embassy_executor::task]
async fn serve(mut runner: memory::Runner, dial: SerialLine<Tty>, device: Device) {
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
    spawner.spawn(serve(runner, SerialLine::new(Tty::open(&settings.line)?), device)?);
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
