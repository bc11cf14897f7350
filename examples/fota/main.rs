//! Firmware update over MQTT, from the signature to the confirmed image: `docs/fota.md` tells how to run it.
//!
//! - `publisher`, `desk`: offers an image, and sends each device the chunks that it asks for.
//! - `device`: boots, and starts the two tasks of a run: `link` serves the connection, `updater` writes the flash. Between
//!   them is `handover`. `watch` has the plan of the watchdog.
//! - `flash`: a file that stands for flash. `inject`: faults on request.
//!
//! What a device needs without a host is in the library beside it (`lib.rs`), without std.

mod arguments;
mod desk;
mod device;
mod error;
mod flash;
mod handover;
mod image;
mod inject;
mod keys;
mod link;
mod publisher;
mod screen;
mod status;
mod topics;
mod updater;
mod watch;

use std::process::ExitCode;

use mqtt_examples::{arguments::Arguments, broker, common, print, trace};

use arguments::{AFTER_HELP, HELP, Wish};
use error::Error;

/// The exit status after a second interrupt.
const INTERRUPTED: i32 = 130;

fn main() -> ExitCode {
    let done = arguments::read(Arguments::of_process()).and_then(carry_out);
    let Err(error) = done else { return ExitCode::SUCCESS };
    print::error(&format!("fota: {error}"));
    if error.is_usage() {
        print::error("fota: --help lists the options");
    }
    ExitCode::FAILURE
}

fn carry_out(wish: Wish) -> Result<(), Error> {
    match wish {
        Wish::Help => {
            let (broker, options, trace) = (broker::HELP, common::HELP, trace::HELP);
            print::line(&format!("{HELP}\n\n{broker}\n{options}\n{trace}\n\n{AFTER_HELP}"));
            Ok(())
        }
        Wish::Version => {
            print::line(&common::version_of("fota"));
            Ok(())
        }
        Wish::Keygen(name) => keys::generate(&name),
        Wish::Sign { key, files: (image, manifest), what } => {
            let signed = image::sign((&image, &manifest), &keys::signing(&key)?, what)?;
            let (size, chunks) = (signed.size, signed.chunks());
            print::line(&format!("{} {}: {size} bytes, {chunks} chunks", what.0, what.1));
            Ok(())
        }
        Wish::Factory { flash, room, key, image } => {
            let files = image.as_ref().map(|(manifest, image)| (manifest.as_str(), image.as_str()));
            device::install(&flash, room, &keys::verifying(&key)?, files)
        }
        Wish::Publish(order) => publisher::run(&order),
        Wish::Device(order) => device::run(order),
    }
}
