//! [`Desk`]: the wishes of all devices, served in turn, a chunk each.
//!
//! A device gets no more chunks than it has asked for, so neither the broker nor the publisher holds more of them. A
//! device that is slow delays no other one.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use mqtt_fota::{chunk::Want, manifest::Manifest};

/// Devices that are known at most, so that nobody makes the publisher's memory grow.
const MOST_DEVICES: usize = 10_000;
/// Chunks that a device gets at most for one wish.
const MOST_CHUNKS: u32 = 1_024;

/// The wishes.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: HashMap<String, Line>,
    /// Devices with chunks to come, each once.
    waiting: VecDeque<String>,
    is_closed: bool,
}

/// The chunks that a device waits for: from `next` up to `end`.
#[derive(Debug, Default)]
struct Line {
    round: Option<u32>,
    next: u32,
    end: u32,
}

impl Desk {
    /// A device wants chunks.
    pub(crate) fn want(&self, device: &str, want: &Want, manifest: &Manifest) {
        let mut state = self.lock();
        let State { lines, waiting, .. } = &mut *state;
        if want.image != manifest.image()
            || (lines.len() >= MOST_DEVICES && !lines.contains_key(device))
        {
            return;
        }
        let line = lines.entry(device.to_owned()).or_default();
        let had = line.next < line.end;
        if line.round != Some(want.round) {
            *line = Line { round: Some(want.round), next: want.first, end: want.first };
        }
        let end = want.first.saturating_add(want.count.min(MOST_CHUNKS)).min(manifest.chunks());
        line.end = line.end.max(end);
        if line.next < line.end && !had {
            waiting.push_back(device.to_owned());
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Waits for the next chunk to send: the device and the number. `None`: the desk is closed.
    pub(crate) fn next(&self) -> Option<(String, u32)> {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return None;
            }
            let State { lines, waiting, .. } = &mut *state;
            while let Some(device) = waiting.pop_front() {
                let Some(line) = lines.get_mut(&device).filter(|line| line.next < line.end) else {
                    continue;
                };
                let number = line.next;
                line.next += 1;
                if line.next < line.end {
                    waiting.push_back(device.clone());
                }
                return Some((device, number));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nothing more is sent.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
