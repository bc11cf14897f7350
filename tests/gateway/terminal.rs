//! The view on a real terminal: what it draws, its keys, and that the terminal is given back at each end.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use rustix::termios::{Winsize, tcsetwinsize};
use system_tests::{Mosquitto, SOON};
use test_kit::terminal::pseudo_terminal;

use super::plant::{BITTEN, Plant, Witness};

const ENTERED: &str = "\x1b[?1049h";
const LEFT: &str = "\x1b[?1049l";

/// A gateway at a terminal. It is killed when dropped.
struct AtTerminal {
    child: Child,
    keys: File,
    written: Arc<(Mutex<String>, Condvar)>,
}

impl AtTerminal {
    fn start(plant: &Plant, args: &[&str], (columns, rows): (u16, u16)) -> Self {
        let (end, path) = pseudo_terminal();
        let line = OpenOptions::new().read(true).write(true).open(path).expect("the line");
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&line, size).expect("a size");
        let copy = || Stdio::from(line.try_clone().expect("a copy"));
        let mut command = plant.example(args).into_command();
        command.stdin(copy()).stdout(copy()).stderr(copy());
        let child = command.spawn().expect("it was built");
        // Only the child holds the line, so its end is the end of the line.
        drop((command, line));
        let written = Arc::<(Mutex<String>, Condvar)>::default();
        let (mut reads, shared) = (end.try_clone().expect("a copy"), Arc::clone(&written));
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reads.read(&mut buffer) {
                let text = String::from_utf8_lossy(buffer.get(..count).unwrap_or_default());
                shared.0.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
                shared.1.notify_all();
            }
        });
        Self { child, keys: end, written }
    }

    /// Waits until it has written this.
    #[track_caller]
    fn shows(&self, text: &str) {
        let written = self.written.0.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = |written: &mut String| !written.contains(text);
        let waited = self.written.1.wait_timeout_while(written, SOON, missing);
        let (written, over) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!over.timed_out(), "no {text:?} in {written:?}");
    }

    fn types(&mut self, keys: &[u8]) {
        self.keys.write_all(keys).expect("it listens");
    }

    /// Waits for its end. The terminal was given back.
    #[track_caller]
    fn ends(mut self) -> Option<i32> {
        self.shows(LEFT);
        let status = self.child.wait().expect("it can be reaped").code();
        let written = self.written.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (entered, left) = (written.matches(ENTERED).count(), written.matches(LEFT).count());
        assert_eq!((entered, left), (1, 1), "{written:?}");
        status
    }
}

impl Drop for AtTerminal {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[test]
fn the_view_shows_link_and_tasks_and_ends_at_a_key() {
    let broker = Mosquitto::start();
    let plant = Plant::at(&broker);
    for (keys, size) in [(&b"q"[..], (80, 24)), (b"\x03", (120, 40)), (b"q", (20, 5))] {
        let mut witness = Witness::of(&broker);
        let mut gateway = AtTerminal::start(&plant, &[], size);
        gateway.shows(ENTERED);
        witness.status("online");
        if size.0 >= 80 {
            // A cell that has not changed is not written again, so long texts may come in parts.
            for part in ["link", "messages", "boiler", "tank", "█", "●", "127.0.0.1", "events"]
            {
                gateway.shows(part);
            }
        }
        let _ = witness.readings(3);
        gateway.types(keys);
        assert_eq!(gateway.ends(), Some(0));
        witness.status("stopped");
    }
}

#[test]
fn the_terminal_is_given_back_at_a_bite_and_shows_who_has_starved() {
    let broker = Mosquitto::start();
    let plant = Plant::at(&broker);
    for (inject, word) in [("hang:tank", "starved"), ("panic:tank", "panicked")] {
        let gateway = AtTerminal::start(&plant, &["--inject", inject], (80, 24));
        gateway.shows(ENTERED);
        gateway.shows(LEFT);
        gateway.shows(": the watchdog bites");
        gateway.shows(&format!("(tank) {word}"));
        assert_eq!(gateway.ends(), BITTEN);
    }
}

#[test]
fn plain_takes_no_terminal() {
    let broker = Mosquitto::start();
    let plant = Plant::at(&broker);
    let gateway = AtTerminal::start(&plant, &["--plain"], (80, 24));
    gateway.shows(" online: ");
    let written = gateway.written.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(!written.contains(ENTERED), "{written:?}");
}
