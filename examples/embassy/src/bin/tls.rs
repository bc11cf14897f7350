//! TLS 1.3 by embedded-tls, over the sockets of the operating system.

use std::net::SocketAddrV4;

use embassy_executor::Spawner;
use embassy_time::Delay;
use mqtt_embassy::dial::tls::{LARGEST_RECORD, Tls};
use mqtt_embassy::host::{self, HostSocket, Settings, Table, WallClock};
use mqtt_embassy::{clock, device::Device, ending, events, memory};
use rand_core::OsRng;
use static_cell::ConstStaticCell;

/// One record each way. The one that is written holds the longest packet of this device, and its handshake.
const WRITE: usize = 1_024;

type Dialler = Tls<'static, HostSocket, OsRng, WallClock>;

#[embassy_executor::task]
async fn serve(mut runner: memory::Runner, dial: Dialler, device: Device) {
    let handle = async |requests: memory::Requests<'_>, event: mqtt_core::Event<'_>| {
        events::handle(&device, requests, &event);
    };
    let dialler = size_of_val(&dial);
    let run = runner.run(dial, Delay, clock::now, handle);
    Table::of_client()
        .row("dialler", dialler)
        .row("buffers of TLS", LARGEST_RECORD + WRITE)
        .row("run", size_of_val(&run))
        .print();
    host::exit(run.await)
}

fn start(spawner: Spawner) -> host::Result<(memory::Client, Device)> {
    static READ: ConstStaticCell<[u8; LARGEST_RECORD]> = ConstStaticCell::new([0; LARGEST_RECORD]);
    static WRITTEN: ConstStaticCell<[u8; WRITE]> = ConstStaticCell::new([0; WRITE]);
    let settings = Settings::read()?;
    let device = settings.device;
    let [broker] = settings.broker;
    let address = SocketAddrV4::new(broker.host.parse()?, broker.port);
    let authority = settings.authority()?.ok_or("--ca is missing")?;
    let (runner, client) = memory::start(&device.options())?;
    let buffers = (&mut READ.take()[..], &mut WRITTEN.take()[..]);
    let socket = HostSocket::default();
    let dial = Tls::new(socket, address, settings.name, authority, OsRng, buffers);
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
