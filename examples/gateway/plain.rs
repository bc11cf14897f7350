//! Lines for logs: each event, and a summary now and then.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use mqtt_examples::print;

use crate::{
    board::{Board, Snapshot},
    uplink::Uplink,
};

/// A summary follows so long after the one before.
const SUMMARY: u64 = 60_000;
/// The longest wait for a line.
const WAIT: Duration = Duration::from_secs(1);

/// Prints the lines of `board` until its end, in a thread of its own: whoever reads them may be slow.
///
/// # Errors
///
/// The thread cannot be started.
pub fn start(board: Arc<Board>, uplink: Arc<Uplink>) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name("plain".into()).spawn(move || {
        let (mut next, mut summary) = (0, SUMMARY);
        loop {
            let (lines, after) = board.lines(next, WAIT);
            let Some(lines) = lines else { return };
            next = after;
            for line in lines {
                print::line(&format!(
                    "{:>8}.{:03} s  {}",
                    line.at / 1_000,
                    line.at % 1_000,
                    line.text
                ));
            }
            let now = board.clock().millis();
            if now >= summary {
                summary = now + SUMMARY;
                board.tell(&summary_of(&board.snapshot(&uplink)));
            }
        }
    })
}

fn summary_of(shown: &Snapshot) -> String {
    let figures = &shown.figures;
    format!(
        "{}: {} readings accepted, {} dropped, {} messages acknowledged, {} unanswered, round trip {}",
        shown.link_word(),
        figures.accepted,
        figures.dropped,
        figures.acknowledged,
        shown.unanswered,
        shown.round_trip()
    )
}
