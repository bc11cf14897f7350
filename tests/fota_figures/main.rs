//! Figures of the example `fota`, as Markdown: the memory of both sides for images of 1 to 64 MiB, and the time of an
//! update beside `mosquitto_pub -f` with `mosquitto_sub`, which send the same bytes as one message.
//!
//! Each round measures both, in turn, so that other work on the machine meets both. The time of `fota` ends with the
//! image in flash and its hash checked; that of mosquitto_sub with the bytes in a file.
//!
//! `cargo run --release -p system-tests --example fota_figures [rounds]`

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use system_tests::{Config, Example, Mosquitto, Running, content};
use tempfile::TempDir;

const MIB: usize = 1 << 20;
const SIZES: [usize; 4] = [1, 4, 16, 64];
const ROUNDS: usize = 5;
const LIMIT: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let rounds = env::args().nth(1).map_or(Ok(ROUNDS), |rounds| rounds.parse());
    let Some(rounds) = rounds.ok().filter(|rounds| *rounds > 0) else {
        eprintln!("usage: fota_figures [rounds]");
        return ExitCode::from(2);
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    println!("{rounds} rounds, {cores} processors, loopback, Mosquitto\n");
    println!(
        "| image | publisher | device | chunks of | fota | mosquitto_pub -f | ratio, median of the rounds |"
    );
    println!("|---|---|---|---|---|---|---|");
    for mebibytes in SIZES {
        for chunk in [4 << 10, 64 << 10] {
            let plant = Plant::new(mebibytes, chunk);
            let all: Vec<Round> = (0..rounds).map(|round| plant.measure(round)).collect();
            let median = |of: fn(&Round) -> f64| {
                let mut values: Vec<f64> = all.iter().map(of).collect();
                values.sort_by(f64::total_cmp);
                values.get(values.len() / 2).copied().unwrap_or_default()
            };
            let rate =
                |seconds: f64| format!("{:.0} MB/s", (mebibytes * MIB) as f64 / 1e6 / seconds);
            let peak = |of: fn(&Round) -> u64| all.iter().map(of).max().unwrap_or_default() >> 10;
            println!(
                "| {mebibytes} MiB | {} KiB | {} KiB | {} KiB | {} | {} | {:.2} |",
                peak(|round| round.publisher),
                peak(|round| round.device),
                chunk >> 10,
                rate(median(|round| round.fota)),
                rate(median(|round| round.mosquitto)),
                median(|round| round.fota / round.mosquitto),
            );
        }
    }
    ExitCode::SUCCESS
}

/// Seconds and bytes.
struct Round {
    fota: f64,
    mosquitto: f64,
    publisher: u64,
    device: u64,
}

struct Plant {
    broker: Mosquitto,
    folder: TempDir,
}

fn fota(args: &[&str]) -> Example {
    Example::new("fota").args(args)
}

impl Plant {
    fn new(mebibytes: usize, chunk: usize) -> Self {
        let broker =
            Config::new().quiet().line("log_type subscribe").line("set_tcp_nodelay true").start();
        let plant = Self { broker, folder: tempfile::tempdir().expect("a folder") };
        fs::write(plant.path("image"), content(mebibytes * MIB)).expect("a folder");
        let _silent = fota(&["keygen", &plant.text("maker")]).run().well();
        let sign = fota(&["sign", "--key", &plant.text("maker.key")]);
        let sign = sign.args(&["--image", &plant.text("image"), "--product", "meter"]);
        let sign = sign.args(&["--version", "2.0.0", "--chunk", &chunk.to_string()]);
        let _line = sign.args(&["--manifest", &plant.text("manifest")]).run().well();
        plant
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").into()
    }

    fn measure(&self, round: usize) -> Round {
        let mosquitto = self.mosquitto(round);
        let flash = self.text(&format!("flash{round}"));
        let factory = fota(&["factory", "--flash", &flash, "--room", "64M"]);
        let _silent = factory.args(&["--public-key", &self.text("maker.pub")]).run().well();
        let publisher = fota(&["publish", "--manifest", &self.text("manifest")]);
        let publisher = publisher.args(&["--image", &self.text("image")]);
        let mut publisher = publisher.broker(self.broker.address()).start();
        publisher.lines().wait("offers meter", LIMIT);
        let device = fota(&["device", "-i", "d1", "--product", "meter", "--flash", &flash]);
        let device = device.args(&["--public-key", &self.text("maker.pub")]);
        let mut device = device.broker(self.broker.address()).start();
        let lines = device.lines();
        lines.wait("receives 2.0.0, 0 of", LIMIT);
        let begun = Instant::now();
        // The image is in flash, and its hash is checked.
        lines.wait("restarts", LIMIT);
        let fota = begun.elapsed().as_secs_f64();
        lines.wait("is confirmed", LIMIT);
        let [of_publisher, of_device] = [&publisher, &device].map(Running::peak_memory);
        device.kill();
        publisher.kill();
        fs::remove_file(&flash).expect("it is there");
        Round { fota, mosquitto, publisher: of_publisher, device: of_device }
    }

    /// The seconds from the start of mosquitto_pub to the end of mosquitto_sub.
    fn mosquitto(&self, round: usize) -> f64 {
        let id = format!("copy{round}");
        let port = self.broker.address().port().to_string();
        let copy = self.path("copy");
        let mut sub = Command::new("mosquitto_sub");
        sub.args(["-p", &port, "-i", &id, "-t", "image", "-q", "1", "-C", "1", "-N"]);
        let file = File::create(&copy).expect("a folder");
        let mut sub = sub.stdout(file).stderr(Stdio::null()).spawn().expect("it is installed");
        // The log has a line for each subscription.
        self.broker.log().wait(&format!("{id} 1 image"), LIMIT);
        let begun = Instant::now();
        let mut publish = Command::new("mosquitto_pub");
        publish.args(["-p", &port, "-t", "image", "-q", "1", "-f", &self.text("image")]);
        assert!(publish.status().expect("it is installed").success());
        assert!(sub.wait().expect("it ends").success());
        begun.elapsed().as_secs_f64()
    }
}
