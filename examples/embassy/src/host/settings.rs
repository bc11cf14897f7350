//! The command line of the programs.

extern crate std;

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::string::{String, ToString as _};
use std::{env, format, fs, println, process};

use lexopt::prelude::*;
use mqtt_core::driver::asynch::Broker;
use mqtt_core::{Filter, Topic};

use super::{Result, logger};
use crate::{
    device::Device,
    node::{
        Node,
        fault::{Fault, UnknownFault},
    },
    publishing,
};

/// The command line. It lives as long as the program.
#[derive(Debug)]
pub struct Settings {
    /// `--broker`.
    pub broker: [Broker<'static>; 1],
    /// `--id`, and the topics below it.
    pub device: Device,
    /// `--count`.
    pub count: Option<u32>,
    /// `--tap`.
    pub tap: String,
    /// `--address`.
    pub address: (Ipv4Addr, u8),
    /// `--nal`.
    pub nal: bool,
    /// `--ca`.
    authority: Option<PathBuf>,
    /// `--name`.
    pub name: &'static str,
    /// `--line`.
    pub line: PathBuf,
    /// `--memory`.
    pub memory: PathBuf,
    /// `--inject`.
    pub fault: Option<Fault>,
}

const HELP: &str = "\
  --broker HOST:PORT   the broker; by default 127.0.0.1:1883
  --id ID              the client id; by default 'device'
  --count N            ends after N messages of each task
  --interval MILLIS    between two messages of a task; by default 1000
tap:
  --tap NAME           the TAP device; by default 'tap0'
  --address IP/PREFIX  of this device; by default 192.168.69.2/24
  --nal                by way of embedded-nal-async, which does not split
tls, tap:
  --ca FILE            the certificate of the authority, in DER; tap speaks TLS if it is given
  --name NAME          the broker's name in its certificate; by default 'localhost'
serial:
  --line FILE          the serial line, in the mode that it has
async_node:
  --memory FILE        stands for RAM that survives a reset; by default async_node.ram in the temporary folder
  --inject FAULT       hang:NAME, spin:NAME (temperature, pressure, commands, guard), link, modem";

impl Settings {
    /// Reads the command line, and starts the log.
    ///
    /// # Errors
    ///
    /// Why the command line cannot be understood.
    pub fn read() -> Result<&'static Self> {
        logger::start();
        Self::parse(env::args_os().skip(1)).map(|settings| &*leak(settings))
    }

    /// The certificate of the authority, if there is one.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn authority(&self) -> Result<Option<&'static [u8]>> {
        let read = self.authority.as_ref().map(fs::read).transpose()?;
        Ok(read.map(|bytes| leak(bytes).as_slice()))
    }

    /// The device as a node.
    ///
    /// # Errors
    ///
    /// If a topic of it would be too long.
    pub fn node(&self) -> Result<Node> {
        let device = self.device;
        let (pressure, last_words) =
            (topic(device.id, "pressure")?, topic(device.id, "last-words")?);
        Ok(Node { device, pressure, last_words })
    }

    fn parse(args: impl Iterator<Item = OsString>) -> Result<Self> {
        let (mut host, mut port) = (String::from("127.0.0.1"), 1883);
        let mut id = String::from("device");
        let mut count = None;
        let mut tap = String::from("tap0");
        let mut address = (Ipv4Addr::new(192, 168, 69, 2), 24);
        let mut nal = false;
        let mut authority = None;
        let mut name = String::from("localhost");
        let mut line = PathBuf::new();
        let mut memory = env::temp_dir().join("async_node.ram");
        let mut fault = None;
        let mut parser = lexopt::Parser::from_args(args);
        while let Some(arg) = parser.next()? {
            match arg {
                Long("broker") => {
                    let place = parser.value()?.string()?;
                    let (of, at) = place.rsplit_once(':').ok_or("--broker: HOST:PORT")?;
                    let port_of = at.parse().map_err(|_| format!("--broker: {at:?} is no port"));
                    (host, port) = (of.to_string(), port_of?);
                }
                Long("id") => id = parser.value()?.string()?,
                Long("count") => count = Some(parser.value()?.parse()?),
                Long("interval") => publishing::set_interval(parser.value()?.parse()?),
                Long("tap") => tap = parser.value()?.string()?,
                Long("address") => {
                    let text = parser.value()?.string()?;
                    let (ip, prefix) = text.split_once('/').ok_or("--address: IP/PREFIX")?;
                    address = (ip.parse()?, prefix.parse()?);
                }
                Long("nal") => nal = true,
                Long("ca") => authority = Some(parser.value()?.into()),
                Long("name") => name = parser.value()?.string()?,
                Long("line") => line = parser.value()?.into(),
                Long("memory") => memory = parser.value()?.into(),
                Long("inject") => {
                    let text = parser.value()?.string()?;
                    let read = text.parse().map_err(|UnknownFault| {
                        format!("--inject: {text:?} is no fault; --help lists them")
                    });
                    fault = Some(read?);
                }
                Long("help") => {
                    println!("{HELP}");
                    process::exit(0);
                }
                Short(_) | Long(_) | Value(_) => return Err(arg.unexpected().into()),
            }
        }
        let broker = [Broker::new(leak(host), port)];
        let (device, name) = (device(leak(id))?, leak(name));
        Ok(Self { broker, device, count, tap, address, nal, authority, name, line, memory, fault })
    }
}

/// The device `id` and its topics.
fn device(id: &'static str) -> Result<Device> {
    Ok(Device {
        id,
        temperature: topic(id, "temperature")?,
        counter: topic(id, "counter")?,
        command: Filter::new(leak(format!("{id}/command")))?,
        answer: topic(id, "answer")?,
        state: topic(id, "state")?,
    })
}

fn topic(id: &str, leaf: &str) -> Result<Topic<'static>> {
    Ok(Topic::new(leak(format!("{id}/{leaf}")))?)
}

fn leak<T>(value: T) -> &'static mut T {
    std::boxed::Box::leak(std::boxed::Box::new(value))
}
