//! The program that restarts the modem.

use std::{
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crate::board::Board;

/// The program is ended if it takes longer.
const LONGEST: Duration = Duration::from_secs(20);
/// Its end is looked for this often.
const LOOK: Duration = Duration::from_millis(50);

/// Starts the program. It runs beside the connection, so that a program that hangs does not stop the gateway.
pub(super) fn restart(command: &[String], board: &Arc<Board>) {
    let Some((program, arguments)) = command.split_first() else { return };
    let mut child = match Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
    {
        Ok(child) => child,
        Err(error) => return board.tell(&format!("link.modem, {program}: {error}")),
    };
    let board = Arc::clone(board);
    let watching = thread::Builder::new().name("modem".into()).spawn({
        let board = Arc::clone(&board);
        move || {
            let began = Instant::now();
            let ended = loop {
                match child.try_wait() {
                    Ok(None) if began.elapsed() < LONGEST => thread::sleep(LOOK),
                    Ok(None) => {
                        let killed = child.kill().and_then(|()| child.wait());
                        break killed.map(|_| format!("ended after {LONGEST:?}"));
                    }
                    Ok(Some(status)) => break Ok(status.to_string()),
                    Err(error) => break Err(error),
                }
            };
            match ended {
                Ok(how) => board.tell(&format!("link.modem: {how}")),
                Err(error) => board.tell(&format!("link.modem: {error}")),
            }
        }
    });
    board.tell_error("link.modem", watching);
}
