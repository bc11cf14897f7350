//! The commands that make a modem call (ITU-T V.250).

use std::{
    borrow::ToOwned,
    fmt, format,
    io::{self, Read, Write},
    string::{String, ToString},
    time::{Duration, Instant},
    vec::Vec,
};

use super::Serial;
use crate::driver::readiness::Waiting;

/// Bytes of a line of the modem that are looked at. The rest of a longer one is skipped.
const LONGEST_LINE: usize = 200;
/// Lines of a modem that are read as an answer to one command.
const MOST_LINES: usize = 200;
/// Answers that say that a call has failed. Longer lines that begin with one count too.
const NO_CALL: [&str; 5] = ["NO CARRIER", "BUSY", "NO ANSWER", "NO DIALTONE", "NO DIAL TONE"];
/// Answers that say that a command has failed.
const NO_COMMAND: [&str; 3] = ["ERROR", "+CME ERROR:", "+CMS ERROR:"];

#[derive(Clone)]
struct Step {
    command: String,
    answer: String,
    within: Duration,
}

impl Step {
    /// The command without what may be secret.
    fn shown(&self) -> &str {
        self.command.split('=').next().unwrap_or_default()
    }
}

/// A modem at the other end of a line: the commands that make it call.
///
/// ```
/// use mqtt_core::driver::transport::Modem;
/// use std::time::Duration;
///
/// let modem = Modem::new()
///     .command("ATZ", "OK", Duration::from_secs(5))
///     .command("AT+CGDCONT=1,\"IP\",\"internet\"", "OK", Duration::from_secs(5))
///     .command("ATD*99#", "CONNECT", Duration::from_secs(60));
/// # let _ = modem;
/// ```
#[derive(Clone)]
#[must_use]
pub struct Modem {
    steps: Vec<Step>,
    pub(super) has_carrier_wire: bool,
}

/// Without what may be secret: all behind the `=` of a command.
impl fmt::Debug for Modem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commands: Vec<_> = self.steps.iter().map(Step::shown).collect();
        f.debug_struct("Modem").field("commands", &commands).finish_non_exhaustive()
    }
}

impl Default for Modem {
    fn default() -> Self {
        Self::new()
    }
}

impl Modem {
    /// A modem that connects without a command.
    pub const fn new() -> Self {
        Self { steps: Vec::new(), has_carrier_wire: true }
    }

    /// Sends `command` and waits for a line that is `answer`, or begins with it and a space, as in `CONNECT 115200`.
    /// Other lines are skipped, except those that say that the command or the call has failed.
    pub fn command(mut self, command: &str, answer: &str, within: Duration) -> Self {
        self.steps.push(Step { command: command.into(), answer: answer.into(), within });
        self
    }

    /// Says that the carrier wire (DCD) is not connected, or that the modem does not use it. Then only the keep alive of
    /// MQTT notices that a call has ended.
    pub const fn without_carrier_wire(mut self) -> Self {
        self.has_carrier_wire = false;
        self
    }

    pub(super) fn run(&self, line: &mut Serial, until: Instant) -> io::Result<()> {
        self.steps.iter().try_for_each(|step| {
            let until = Instant::now().checked_add(step.within).map_or(until, |end| end.min(until));
            step.run(Waiting { stream: &mut *line, until }).map_err(|error| {
                let text = if error.kind() == io::ErrorKind::TimedOut {
                    "no answer in time".to_owned()
                } else if error.kind() == io::ErrorKind::UnexpectedEof {
                    "the line was hung up".to_owned()
                } else {
                    error.to_string()
                };
                io::Error::new(error.kind(), format!("the modem at {}: {text}", step.shown()))
            })
        })
    }
}

impl Step {
    fn run(&self, mut line: Waiting<'_, Serial>) -> io::Result<()> {
        if self.command.contains(char::is_control) {
            let text = "a command is one line without control characters";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        line.write_all(format!("{}\r", self.command).as_bytes())?;
        line.flush()?;
        for _ in 0..MOST_LINES {
            let answer = read_line(&mut line)?;
            let is = |wanted: &str| {
                let rest = answer.strip_prefix(wanted);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
            };
            if is(&self.answer) {
                return Ok(());
            }
            if NO_CALL.into_iter().any(is) {
                return Err(io::Error::new(io::ErrorKind::ConnectionRefused, answer));
            }
            if NO_COMMAND.into_iter().any(is) {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, answer));
            }
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "it says much, and not the expected answer"))
    }
}

/// A line up to its line feed, byte by byte: behind the answer to the last command begins the data.
fn read_line(line: &mut Waiting<'_, Serial>) -> io::Result<String> {
    let mut text = Vec::new();
    loop {
        let mut byte = [0];
        if line.read(&mut byte)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match byte {
            [b'\n'] => return Ok(String::from_utf8_lossy(&text).trim().to_owned()),
            [byte] if text.len() < LONGEST_LINE && (byte == b' ' || byte.is_ascii_graphic()) => {
                text.push(byte);
            }
            _ => {}
        }
        if Instant::now() >= line.until {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
}
