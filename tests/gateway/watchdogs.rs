//! The hardware behind the verdict: systemd, played by a socket, and a file in the place of a device.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use system_tests::{Example, Mosquitto, SOON};

use super::plant::{BITTEN, Config, Gateway, Plant, Witness};

/// systemd, as a service sees it. As systemd does, it always reads: a socket that is full would block the service.
struct Manager {
    folder: tempfile::TempDir,
    messages: Receiver<String>,
}

impl Manager {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        let (sender, messages) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 1024];
            while let Ok(length) = socket.recv(&mut buffer) {
                let message = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
                if sender.send(message.into_owned()).is_err() {
                    return;
                }
            }
        });
        Self { folder, messages }
    }

    /// Starts the gateway as a service with `WatchdogSec=2`.
    fn serves(&self, plant: &Plant, args: &[&str]) -> Gateway {
        let path = self.folder.path().join("notify").display().to_string();
        let example = plant.example(&["--plain"]).args(args).env("NOTIFY_SOCKET", &path);
        Gateway::of(example.env("WATCHDOG_USEC", "2000000").start())
    }

    /// Waits for this message.
    #[track_caller]
    fn awaits(&self, message: &str) {
        while self.messages.recv_timeout(SOON).expect("a message in time") != message {}
    }

    /// All messages until none has come for this time.
    fn rest(&self, silence: Duration) -> Vec<String> {
        std::iter::from_fn(|| self.messages.recv_timeout(silence).ok()).collect()
    }
}

/// Longer than a heartbeat, and the time-out of the service.
const SILENCE: Duration = Duration::from_secs(2);

#[test]
fn systemd_hears_that_the_gateway_is_ready_is_fed_and_hears_of_the_clean_end() {
    let broker = Mosquitto::start();
    let manager = Manager::start();
    let plant = Plant::at(&broker);
    let gateway = manager.serves(&plant, &[]).comes_online();
    manager.awaits("READY=1\n");
    // The interval of the feeds is the heartbeat.
    for _ in 0..10 {
        manager.awaits("WATCHDOG=1\n");
    }
    assert_eq!(gateway.lines.count("bites: systemd after 2s"), 1);
    gateway.ends_well();
    let rest = manager.rest(SILENCE);
    let stopping = rest.iter().position(|message| message == "STOPPING=1\n");
    assert!(stopping.is_some(), "{rest:?}");
    // It is fed until the connection has ended, so an end that hangs is bitten.
    let status = rest.iter().any(|message| message.starts_with("STATUS=offline: "));
    assert!(status, "{rest:?}");
}

#[test]
fn systemd_is_not_fed_any_more_once_a_task_starves() {
    let broker = Mosquitto::start();
    let manager = Manager::start();
    let plant = Plant::at(&broker);
    let gateway = manager.serves(&plant, &["--inject", "hang:tank"]).comes_online();
    manager.awaits("READY=1\n");
    manager.awaits("WATCHDOG=1\n");
    let (status, errors) = gateway.done();
    assert_eq!(status, BITTEN, "{errors}");
    // Feeds of about three seconds, and nothing that sounds like an end in order.
    let rest = manager.rest(SILENCE);
    let feeds = rest.iter().filter(|message| *message == "WATCHDOG=1\n").count();
    assert!((10..=60).contains(&feeds), "{feeds} feeds: {rest:?}");
    assert!(!rest.iter().any(|message| message.contains("STOPPING")), "{rest:?}");
}

/// While the process stands still, nothing feeds: the feeds come from the threads that are watched, not from a timer.
#[test]
fn a_gateway_that_stands_still_feeds_nothing() {
    let broker = Mosquitto::start();
    let manager = Manager::start();
    let plant = Plant::at(&broker);
    let gateway = manager.serves(&plant, &[]).comes_online();
    manager.awaits("WATCHDOG=1\n");
    gateway.freeze();
    // It ends only because no feed comes any more: systemd would restart the gateway now.
    let before = manager.rest(SILENCE);
    assert!(before.len() < 20, "{before:?}");
    gateway.thaw();
    manager.awaits("WATCHDOG=1\n");
    gateway.lines.wait("the process did not run for ", SOON);
    gateway.ends_well();
}

/// A file in place of a device.
fn with_device(broker: &Mosquitto, more: &str) -> (Plant, tempfile::NamedTempFile) {
    let device = tempfile::NamedTempFile::new().expect("a file");
    let mut config = Config::to(&[broker]);
    config.watchdog = format!("device = {:?}\n{more}", device.path().display().to_string());
    (Plant::new(config), device)
}

#[test]
fn a_device_is_fed_and_stopped_by_the_magic_close_at_a_clean_end_if_it_is_asked_for() {
    let broker = Mosquitto::start();
    for (more, stops) in [("", true), ("device_stops = false", false)] {
        let (plant, device) = with_device(&broker, more);
        let gateway = plant.start(&[]).comes_online();
        let mut witness = Witness::of(&broker);
        let _ = witness.readings(3);
        gateway.ends_well();
        let bytes = fs::read(device.path()).expect("it is there");
        assert!(bytes.starts_with(b"\0\0\0"), "{bytes:?}");
        assert_eq!(bytes.last() == Some(&b'V'), stops, "{bytes:?}");
    }
}

#[test]
fn a_device_is_left_running_at_the_bite() {
    let broker = Mosquitto::start();
    let (plant, device) = with_device(&broker, "");
    let gateway = plant.start(&["--inject", "panic:tank"]).comes_online();
    let (status, errors) = gateway.done();
    assert_eq!(status, BITTEN, "{errors}");
    let bytes = fs::read(device.path()).expect("it is there");
    assert!(bytes.len() > 1 && !bytes.contains(&b'V'), "{bytes:?}");
}

#[test]
fn a_device_that_cannot_be_opened_or_set_is_named() {
    let broker = Mosquitto::start();
    let mut config = Config::to(&[&broker]);
    config.watchdog = "device = \"/nowhere/watchdog0\"".into();
    let error = Plant::new(config).example(&["--plain"]).run();
    assert_eq!(error.status, Some(1));
    assert!(
        error.err.contains("gateway: watchdog.device, /nowhere/watchdog0: it cannot be opened"),
        "{}",
        error.err
    );
    let (plant, device) = with_device(&broker, "device_timeout = \"9s\"");
    let error = plant.example(&["--plain"]).run();
    assert!(error.err.contains("it does not take 9s as its time-out"), "{}", error.err);
    // It is not left running.
    assert_eq!(fs::read(device.path()).expect("it is there"), b"V");
}

/// The unit, with the program where it was built. Machines without systemd have no such tool.
#[test]
fn the_unit_is_one_that_systemd_takes() {
    let tool = Path::new("/usr/bin/systemd-analyze");
    if !tool.exists() {
        return;
    }
    let unit = fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../examples/gateway/gateway.service"
    ));
    let program = Example::new("gateway").into_command().get_program().to_owned();
    let program = program.into_string().expect("UTF-8");
    let unit = unit.expect("it is there").replace("/usr/local/bin/mqtt-gateway", &program);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mqtt-gateway.service");
    fs::write(&file, &unit).expect("writable");
    let output =
        Command::new(tool).arg("verify").arg("--man=no").arg(&file).output().expect("it is there");
    let told = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<&str> = told.lines().filter(|line| line.contains("mqtt-gateway")).collect();
    assert!(ours.is_empty(), "{ours:?}");
    for line in
        ["Type=notify", "WatchdogSec=10", "Restart=on-failure", "StateDirectory=mqtt-gateway"]
    {
        assert!(unit.lines().any(|one| one == line), "{line}");
    }
}
