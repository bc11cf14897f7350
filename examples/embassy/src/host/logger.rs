//! The log goes to standard output.

extern crate std;

use log::{LevelFilter, Log, Metadata, Record};

struct Console;

impl Log for Console {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // embedded-tls logs each step.
        metadata.target().starts_with("mqtt_")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            std::println!("{}", record.args());
        }
    }

    fn flush(&self) {}
}

pub(super) fn start() {
    static CONSOLE: Console = Console;
    if log::set_logger(&CONSOLE).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}
