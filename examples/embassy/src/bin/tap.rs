//! The network stack of embassy over a TAP device: what a device does with its Ethernet or Wi-Fi.
//!
//! With `--nal` by way of embedded-nal-async, which does not split; otherwise by a dialler of this example, which does.
//! With `--ca` by TLS.

use std::net::SocketAddrV4;

use embassy_executor::Spawner;
use embassy_net::{
    Config, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4,
    dns::DnsSocket,
    tcp::TcpSocket,
    tcp::client::{TcpClient, TcpClientState},
};
use embassy_net_tuntap::TunTapDevice;
use embassy_time::{Delay, Duration};
use mqtt_core::driver::asynch::Nal;
use mqtt_embassy::dial::embassy_net::EmbassyNet;
use mqtt_embassy::dial::tls::{EmbassyNetSocket, LARGEST_RECORD, Tls};
use mqtt_embassy::host::{self, Settings, Table, WallClock};
use mqtt_embassy::{clock, device::Device, ending, events, memory};
use rand_core::OsRng;
use static_cell::{ConstStaticCell, StaticCell};

/// Bytes that the peer has sent and nobody has read, and the other way round.
const BUFFER: usize = 1_024;

/// Sockets: one for TCP, one for the name service.
const SOCKETS: usize = 2;

/// What is written in a record of TLS.
const WRITE: usize = 1_024;

type Client = TcpClient<'static, 1, BUFFER, BUFFER>;
type State = TcpClientState<1, BUFFER, BUFFER>;
type Dialler = Tls<'static, EmbassyNetSocket<'static>, OsRng, WallClock>;

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
        .row("buffers of TCP", size_of::<State>())
        .row("run", size_of_val(&run))
        .print();
    host::exit(run.await)
}

/// Serves the connection, by TLS.
#[embassy_executor::task]
async fn serve_tls(mut runner: memory::Runner, dial: Dialler, device: Device) {
    let handle = async |requests: memory::Requests<'_>, event: mqtt_core::Event<'_>| {
        events::handle(&device, requests, &event);
    };
    let dialler = size_of_val(&dial);
    let run = runner.run(dial, Delay, clock::now, handle);
    Table::of_client()
        .row("dialler", dialler)
        .row("buffers of TCP", 2 * BUFFER)
        .row("buffers of TLS", LARGEST_RECORD + WRITE)
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
    static READ: ConstStaticCell<[u8; LARGEST_RECORD]> = ConstStaticCell::new([0; LARGEST_RECORD]);
    static WRITTEN: ConstStaticCell<[u8; WRITE]> = ConstStaticCell::new([0; WRITE]);
    static NAL: StaticCell<State> = StaticCell::new();
    let settings = Settings::read()?;
    let device = settings.device;
    let [broker] = settings.broker;
    let stack = stack(spawner, settings)?;
    let (runner, client) = memory::start(&device.options())?;
    if settings.nal {
        let mut tcp = TcpClient::new(stack, NAL.init(TcpClientState::new()));
        tcp.set_timeout(Some(Duration::from_secs(15)));
        let dial = Nal::new(tcp, DnsSocket::new(stack), &settings.broker);
        spawner.spawn(serve_nal(runner, dial, device)?);
    } else {
        let [receive, transmit] = BUFFERS.take();
        if let Some(authority) = settings.authority()? {
            let socket = EmbassyNetSocket::new(TcpSocket::new(stack, receive, transmit));
            let address = SocketAddrV4::new(broker.host.parse()?, broker.port);
            let buffers = (&mut READ.take()[..], &mut WRITTEN.take()[..]);
            let dial = Tls::new(socket, address, settings.name, authority, OsRng, buffers);
            spawner.spawn(serve_tls(runner, dial, device)?);
        } else {
            let dial = EmbassyNet::new(stack, receive, transmit, broker);
            spawner.spawn(serve(runner, dial, device)?);
        }
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
