//! What the programs for Linux share.

extern crate std;

mod chip;
mod logger;
mod radio;
mod retained_ram;
mod settings;
mod signals;
mod socket;
mod table;
mod tty;
mod wall_clock;

use std::error::Error;
use std::process;

pub use chip::{RESET, SoftwareChip};
pub use radio::{Half, Radio, RadioLink};
pub use retained_ram::RetainedRam;
pub use settings::Settings;
pub use signals::stop_at_signals;
pub use socket::HostSocket;
pub use table::Table;
pub use tty::Tty;
pub use wall_clock::WallClock;

/// The result of a program's start.
pub type Result<T> = std::result::Result<T, std::boxed::Box<dyn Error>>;

/// Ends the program: 0 if the client has stopped as it was told to.
pub fn exit(ended: std::result::Result<(), impl Error>) -> ! {
    match ended {
        Ok(()) => process::exit(0),
        Err(error) => fail(&error),
    }
}

/// Ends the program because of this error.
pub fn fail(error: &dyn Error) -> ! {
    std::eprintln!("{error}");
    process::exit(1)
}
