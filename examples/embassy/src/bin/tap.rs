//! The network stack of embassy over a TAP device: what a device does with its Ethernet or Wi-Fi.
//!
//! With `--nal` by way of embedded-nal-async, which does not split; otherwise by a dialler of this example, which does.

use std::boxed::Box;

use embassy_executor::Spawner;
use embassy_net::{
    Config, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4,
    dns::DnsSocket,
    tcp::client::{TcpClient, TcpClientState},
};
use embassy_net_tuntap::TunTapDevice;
use embassy_time::{Delay, Duration};
use mqtt_core::driver::asynch::Nal;
use mqtt_embassy::host::{self, Settings, Table};
use mqtt_embassy::{clock, device::Device, dial::embassy_net::EmbassyNet, ending, events, memory};
use static_cell::{ConstStaticCell, StaticCell};

/// Bytes that the peer has sent and nobody has read, and the other way round.
const BUFFER: usize = 1_024;

/// Sockets: one for TCP, one for the name service.
const SOCKETS: usize = 2;

type Client = TcpClient<'static, 1, BUFFER, BUFFER>;

#[embassy_executor::task]
async fn network(mut runner: Runner<'static, TunTapDevice>) {
    runner.run().await
}

/// Serves the connection, by a dialler that splits.
#[embassy_executor::task]
async fn serve(mut runner: memory::Runner, dial: EmbassyNet<'static>, device: Device) {
    let handle = async |requests: memory::Requests<'_>, event: mqtt_core::Event<'_>| {
        events::handle(&device, requests, &event);
    };
    let dialler = size_of_val(&dial);
    let run = runner.run(dial, Delay, clock::now, handle);
    Table::of_client()
        .row("dialler", dialler)
        .row("buffers of TCP", 2 * BUFFER)
        .row("run", size_of_val(&run))
        .print();
    host::exit(run.await)
}

/// Serves the connection, by way of embedded-nal-async.
#[embassy_executor::task]
async fn serve_nal(
    mut runner: memory::Runner,
    dial: Nal<'static, Client, DnsSocket<'static>>,
    device: Device,
) {
    let handle = async |requests: memory::Requests<'_>, event: mqtt_core::Event<'_>| {
        events::handle(&device, requests, &event);
    };
    let dialler = size_of_val(&dial);
    let run = runner.run(dial, Delay, clock::now, handle);
    Table::of_client()
        .row("dialler", dialler)
        .row("buffers of TCP", size_of::<TcpClientState<1, BUFFER, BUFFER>>())
        .row("run", size_of_val(&run))
        .print();
    host::exit(run.await)
}

/// The network, with a fixed address. With the feature `dhcpv4` of embassy-net, `Config::dhcpv4` asks for one.
fn stack(spawner: Spawner, settings: &Settings) -> host::Result<Stack<'static>> {
    static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();
    let (ip, prefix) = settings.address;
    let config = Config::ipv4_static(StaticConfigV4 {
        address: Ipv4Cidr::new(ip, prefix),
        gateway: None,
        dns_servers: Default::default(),
    });
    let tap = TunTapDevice::new(&settings.tap)?;
    // A device takes a random number: two runs in a row must not use the same ports and sequence numbers.
    let seed = u64::from(std::process::id());
    let resources = RESOURCES.init(StackResources::new());
    let (stack, runner) = embassy_net::new(tap, config, resources, seed);
    spawner.spawn(network(runner)?);
    Ok(stack)
}

fn start(spawner: Spawner) -> host::Result<(memory::Client, Device)> {
    static BUFFERS: ConstStaticCell<[[u8; BUFFER]; 2]> = ConstStaticCell::new([[0; BUFFER]; 2]);
    let settings = Settings::read()?;
    let device = settings.device;
    let stack = stack(spawner, settings)?;
    let (runner, client) = memory::start(&device.options())?;
    if settings.nal {
        let state = Box::leak(Box::new(TcpClientState::new()));
        let mut tcp = TcpClient::new(stack, state);
        tcp.set_timeout(Some(Duration::from_secs(15)));
        let dial = Nal::new(tcp, DnsSocket::new(stack), &settings.broker);
        spawner.spawn(serve_nal(runner, dial, device)?);
    } else {
        let [receive, transmit] = BUFFERS.take();
        let [broker] = settings.broker;
        spawner.spawn(serve(runner, EmbassyNet::new(stack, receive, transmit, broker), device)?);
    }
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
