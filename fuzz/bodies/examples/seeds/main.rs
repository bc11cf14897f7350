//! Writes the seed corpora: `cargo run -p fuzz-bodies --example seeds`.
//!
//! Inputs that the fuzzer found, and that are kept as regressions, stand beside the seeds and are left alone.

mod client;
mod decode;
mod records;
mod topic;
mod watchdog;

use std::{fs, io, path::Path};

type Seeds = Vec<(&'static str, Vec<u8>)>;

fn main() -> io::Result<()> {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    let mut written = 0;
    for (target, seeds) in [
        ("client", client::seeds()),
        ("decode", decode::seeds()),
        ("journal", records::seeds()),
        ("topic", topic::seeds()),
        ("watchdog", watchdog::seeds()),
    ] {
        fs::create_dir_all(corpora.join(target))?;
        for (name, bytes) in seeds {
            fs::write(corpora.join(target).join(name), bytes)?;
            written += 1;
        }
    }
    println!("{written} seeds written");
    Ok(())
}
