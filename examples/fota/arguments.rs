//! The command line: a command and its options.

use std::time::Duration;

use mqtt_examples::{
    arguments::{Argument, Arguments, UsageError, unexpected},
    common::Common,
};
use mqtt_fota::{Version, manifest::Product};

use crate::{
    device,
    error::Error,
    flash::SECTOR,
    inject::{DeviceFault, PublisherFault},
    publisher,
    topics::{PREFIX, Topics},
    updater::Settings,
};

pub(crate) const HELP: &str = "\
Firmware update over MQTT: signs an image, publishes it, and is a device that receives it, with two slots and a watchdog.

usage: fota COMMAND [options]

fota keygen NAME               a key to sign with, NAME.key, and to check with, NAME.pub
fota sign                      the manifest of an image
  --key FILE                   NAME.key
  --image FILE                 the image
  --product NAME               the devices that it is for: 1 to 16 of a to z, digits, - and _
  --version VERSION            such as 1.4.2
  --chunk BYTES                bytes of a chunk, whole sectors of 4096 (4096)
  --manifest FILE              where to write it
fota factory                   a new device: a file that stands for its flash
  --flash FILE                 where to write it
  --room BYTES                 of the largest image; K and M behind it are allowed
  --public-key FILE            NAME.pub
  --manifest FILE --image FILE the image that it has from the beginning (none)
fota publish                   offers an image, and sends the chunks that devices ask for
  --manifest FILE --image FILE the image
  --devices COUNT              end once so many devices run it or have refused it (on an interrupt)
  --inject FAULT               stall: send no more from the middle on; corrupt: a wrong byte in the image; damage: a
                               wrong byte in a chunk on its way; forge: a higher version than was signed
fota device                    receives images, and boots them
  -i, --id ID                  the name of the device
  --product NAME               as above
  --flash FILE                 its flash, by fota factory
  --public-key FILE            NAME.pub
  --once                       end once the image that is offered runs or is refused (on an interrupt)
  --window COUNT               chunks under way at once (16)
  --erase-ms MILLISECONDS      each erase of a sector takes so long, as on a real part (0)
  --inject FAULT               stall: the flash hangs; cut: the connection breaks; power-cut or power-cut=N: the power
                               is cut within any operation of the flash, or the one after N; bad-image: the new image
                               hangs before it confirms itself

publish and device
  --prefix TOPIC               the first levels of all topics (fota)";

pub(crate) const AFTER_HELP: &str = "\
Exit status: 0 done, 1 an error or a refused image, 3 the watchdog of the device has bitten. A power cut aborts.";

/// What the user wants.
pub(crate) enum Wish {
    Help,
    Version,
    Keygen(String),
    Sign { key: String, files: (String, String), what: (Product, Version, u32) },
    Factory { flash: String, room: u32, key: String, image: Option<(String, String)> },
    Publish(publisher::Order),
    Device(device::Order),
}

/// All options of all commands.
#[derive(Default)]
struct Options {
    key: Option<String>,
    public_key: Option<String>,
    image: Option<String>,
    manifest: Option<String>,
    product: Option<Product>,
    version: Option<Version>,
    chunk: Option<u32>,
    flash: Option<String>,
    room: Option<u32>,
    devices: Option<usize>,
    once: bool,
    window: Option<u32>,
    erase: Option<u64>,
    inject: Option<String>,
    prefix: Option<String>,
    id: Option<String>,
}

/// Reads the command line.
pub(crate) fn read(mut arguments: Arguments) -> Result<Wish, Error> {
    let command = match arguments.next()? {
        Some(Argument::Other(command)) => command,
        Some(Argument::Option(option)) => return alone(&option).ok_or(arguments.unknown().into()),
        None => return Err(UsageError::Together("a command is missing").into()),
    };
    let allowed: &[&str] = match command.to_str() {
        Some("keygen") => &[],
        Some("sign") => &["--key", "--image", "--product", "--version", "--chunk", "--manifest"],
        Some("factory") => &["--flash", "--room", "--public-key", "--manifest", "--image"],
        Some("publish") => &["--manifest", "--image", "--devices", "--inject", "--prefix"],
        Some("device") => &[
            "--product",
            "--flash",
            "--public-key",
            "--once",
            "--window",
            "--erase-ms",
            "--inject",
            "--prefix",
        ],
        _ => return Err(unexpected(&command).into()),
    };
    let (mut options, mut common, mut names) =
        (Options::default(), Common::new("fota"), Vec::new());
    let connects = allowed.contains(&"--prefix");
    while let Some(argument) = arguments.next()? {
        let option = match argument {
            Argument::Option(option) => option,
            Argument::Other(name) if command == "keygen" && names.is_empty() => {
                names.push(name.to_string_lossy().into_owned());
                continue;
            }
            Argument::Other(other) => return Err(unexpected(&other).into()),
        };
        if allowed.contains(&option.as_str()) {
            options.take(&option, &mut arguments)?;
        } else if option == "--help" {
            return Ok(Wish::Help);
        } else if !connects || !options.connection(&option, &mut arguments, &mut common)? {
            return Err(arguments.unknown().into());
        }
    }
    if !common.topics.is_empty() {
        return Err(UsageError::Together("option -L: the topics are those of --prefix").into());
    }
    match command.to_str() {
        Some("keygen") => {
            let name = names.pop().ok_or(UsageError::Together("the name of the key is missing"))?;
            Ok(Wish::Keygen(name))
        }
        Some("sign") => options.sign(),
        Some("factory") => options.factory(),
        Some("publish") => options.publish(common),
        _ => options.device(common),
    }
}

fn alone(option: &str) -> Option<Wish> {
    match option {
        "--help" => Some(Wish::Help),
        "--version" => Some(Wish::Version),
        _ => None,
    }
}

/// An option that has to be there.
fn given<T>(value: Option<T>, missing: &'static str) -> Result<T, UsageError> {
    value.ok_or(UsageError::Together(missing))
}

impl Options {
    fn take(&mut self, option: &str, arguments: &mut Arguments) -> Result<(), UsageError> {
        match option {
            "--key" => self.key = Some(arguments.text()?),
            "--public-key" => self.public_key = Some(arguments.text()?),
            "--image" => self.image = Some(arguments.text()?),
            "--manifest" => self.manifest = Some(arguments.text()?),
            "--flash" => self.flash = Some(arguments.text()?),
            "--once" => self.once = true,
            "--devices" => self.devices = Some(positive(arguments, "a number of devices")?),
            "--erase-ms" => self.erase = Some(arguments.number("a number of milliseconds")?),
            "--inject" => self.inject = Some(arguments.text()?),
            "--product" => self.product = Some(parsed(arguments)?),
            "--version" => self.version = Some(parsed(arguments)?),
            "--window" => {
                let chunks = positive(arguments, "a number of chunks")?;
                self.window = Some(u32::try_from(chunks).unwrap_or(u32::MAX));
            }
            "--chunk" => {
                let bytes = bytes(arguments)?;
                let (sector, most) = (SECTOR as u32, mqtt_fota::manifest::LARGEST_CHUNK);
                if bytes == 0 || bytes % sector != 0 || bytes > most {
                    let what = format!("it takes a multiple of {sector} up to {most}");
                    return Err(arguments.wrong(what));
                }
                self.chunk = Some(bytes);
            }
            "--room" => {
                let room = bytes(arguments)?;
                if room == 0 {
                    return Err(arguments.wrong("an image has at least one byte"));
                }
                self.room = Some(room);
            }
            "--prefix" => {
                let prefix = arguments.topic()?;
                if prefix.starts_with(['$', '/']) || prefix.ends_with('/') {
                    return Err(arguments.wrong("it begins or ends with another character"));
                }
                self.prefix = Some(prefix);
            }
            _ => return Err(arguments.unknown()),
        }
        Ok(())
    }

    /// An option of the connection. Some of them are part of the protocol here.
    fn connection(
        &mut self,
        option: &str,
        arguments: &mut Arguments,
        common: &mut Common,
    ) -> Result<bool, UsageError> {
        let fixed = match option {
            "-k" | "--keepalive" => "the keep alive is part of the plan of the watchdog",
            "-q" | "--qos" => "each topic has a QoS of its own",
            "-c" | "--disable-clean-session" => {
                "no session is kept: what a device lacks, it asks for"
            }
            "-I" | "--id-prefix" => "a device has a name that stays",
            will if will.starts_with("--will") => "the will is part of the protocol",
            "-i" | "--id" => {
                let id = arguments.text()?;
                if id.is_empty() || id.contains(['/', '+', '#', '\0']) {
                    return Err(arguments.wrong("it is a level of a topic, without / + #"));
                }
                common.take("-i", &mut Arguments::new([&id]))?;
                self.id = Some(id);
                return Ok(true);
            }
            _ => return common.take(option, arguments),
        };
        Err(arguments.wrong(fixed))
    }

    fn sign(self) -> Result<Wish, Error> {
        let manifest = given(self.manifest, "the manifest to write is missing: --manifest")?;
        let image = given(self.image, "the image is missing: --image")?;
        let product = given(self.product, "the product is missing: --product")?;
        let version = given(self.version, "the version is missing: --version")?;
        let key = given(self.key, "the key is missing: --key")?;
        let what = (product, version, self.chunk.unwrap_or(SECTOR as u32));
        Ok(Wish::Sign { key, files: (image, manifest), what })
    }

    fn factory(self) -> Result<Wish, Error> {
        let image = match (self.manifest, self.image) {
            (Some(manifest), Some(image)) => Some((manifest, image)),
            (None, None) => None,
            _ => return Err(UsageError::Together("--manifest and --image go together").into()),
        };
        let flash = given(self.flash, "the flash to write is missing: --flash")?;
        let room = given(self.room, "the room for an image is missing: --room")?;
        let key = given(self.public_key, "the key is missing: --public-key")?;
        Ok(Wish::Factory { flash, room, key, image })
    }

    fn publish(self, common: Common) -> Result<Wish, Error> {
        let inject = match self.inject.as_deref() {
            None => None,
            Some("stall") => Some(PublisherFault::Stall),
            Some("corrupt") => Some(PublisherFault::Corrupt),
            Some("damage") => Some(PublisherFault::Damage),
            Some("forge") => Some(PublisherFault::Forge),
            Some(other) => return Err(fault(other, "stall, corrupt, damage or forge").into()),
        };
        Ok(Wish::Publish(publisher::Order {
            common,
            prefix: self.prefix.unwrap_or_else(|| PREFIX.into()),
            manifest: given(self.manifest, "the manifest is missing: --manifest")?,
            image: given(self.image, "the image is missing: --image")?,
            devices: self.devices,
            inject,
        }))
    }

    fn device(self, common: Common) -> Result<Wish, Error> {
        let inject = match self.inject.as_deref() {
            None => None,
            Some("stall") => Some(DeviceFault::Stall),
            Some("cut") => Some(DeviceFault::Cut),
            Some("bad-image") => Some(DeviceFault::BadImage),
            Some("power-cut") => Some(DeviceFault::PowerCut(None)),
            Some(other) => {
                let after = other.strip_prefix("power-cut=").and_then(|after| after.parse().ok());
                let wrong = || fault(other, "stall, cut, power-cut, power-cut=N or bad-image");
                Some(DeviceFault::PowerCut(Some(after.ok_or_else(wrong)?)))
            }
        };
        let device = given(self.id, "the name of the device is missing: -i")?;
        let product = given(self.product, "the product is missing: --product")?;
        let path = given(self.flash, "the flash is missing: --flash")?;
        let public_key = given(self.public_key, "the key is missing: --public-key")?;
        let prefix = self.prefix.unwrap_or_else(|| PREFIX.into());
        let topics = Topics::new(&prefix, product);
        let settings = Settings {
            path,
            want: topics.want(&device),
            status: topics.status(&device),
            device,
            product,
            window: self.window.unwrap_or(16),
            once: self.once,
            inject,
        };
        let erase = Duration::from_millis(self.erase.unwrap_or(0));
        Ok(Wish::Device(device::Order { common, prefix, public_key, erase, settings }))
    }
}

fn fault(given: &str, known: &str) -> UsageError {
    let problem = format!("{} is not {known}", mqtt_examples::arguments::shown(given));
    UsageError::Value { option: "--inject".into(), problem }
}

fn positive(arguments: &mut Arguments, what: &str) -> Result<usize, UsageError> {
    match arguments.number(what)? {
        0 => Err(arguments.wrong(format!("0 is not {what}"))),
        number => Ok(number),
    }
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    arguments: &mut Arguments,
) -> Result<T, UsageError> {
    arguments.text()?.parse().map_err(|error: T::Err| arguments.wrong(error))
}

/// A number of bytes, with K or M behind it.
fn bytes(arguments: &mut Arguments) -> Result<u32, UsageError> {
    let text = arguments.text()?;
    let (number, unit) = match text.strip_suffix(['K', 'M']) {
        Some(number) if text.ends_with('K') => (number, 1 << 10),
        Some(number) => (number, 1 << 20),
        None => (text.as_str(), 1),
    };
    let bytes = number.parse::<u32>().ok().and_then(|number| number.checked_mul(unit));
    bytes.ok_or_else(|| {
        let shown = mqtt_examples::arguments::shown(&text);
        arguments.wrong(format!("{shown} is not a number of bytes, such as 4096, 64K or 4M"))
    })
}
