//! A gateway: sensor threads, one MQTT client with a journal, a watchdog over all of them, and a view.
//!
//! ```sh
//! cargo run --release --example gateway
//! cargo run --release --example gateway -- --inject hang:sensor2
//! ```

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use mqtt_examples::{arguments::Arguments, print};
    use mqtt_gateway::{
        arguments::{CommandLine, HELP},
        gateway::{self, Error},
    };

    let done = match CommandLine::read(Arguments::of_process()) {
        Ok(None) => {
            print::line(HELP);
            return ExitCode::SUCCESS;
        }
        Ok(Some(line)) => gateway::run(&line),
        Err(error) => Err(error.into()),
    };
    let Err(error) = done else { return ExitCode::SUCCESS };
    print::error(&format!("gateway: {error}"));
    if matches!(error, Error::Usage(_) | Error::Inject(_)) {
        print::error("gateway: --help lists the options");
    }
    ExitCode::FAILURE
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    mqtt_examples::print::error(
        "gateway: it needs Linux: its watchdogs are those of Linux and systemd",
    );
    ExitCode::FAILURE
}
