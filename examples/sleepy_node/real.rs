//! The same node on a real socket, with a minute that may be short. It sleeps in the read of the socket.

use std::{
    io::{ErrorKind, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use mqtt_core::Record;
use mqtt_examples::print;
use watchdog_core::Supervisor;

use crate::{
    Error,
    node::{Board, Cause, Node},
    settings::{MINUTE, Settings},
};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// A place, a client and how many minutes it lives.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) id: String,
    pub(crate) minutes: u64,
}

struct Socket {
    host: String,
    port: u16,
    stream: Option<TcpStream>,
    /// An attempt to connect has just ended so.
    attempt: Option<bool>,
    sent_at: Option<u64>,
}

impl Socket {
    fn open(&self) -> std::io::Result<TcpStream> {
        let mut last = ErrorKind::AddrNotAvailable.into();
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, Duration::from_secs(5)) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_write_timeout(Some(Duration::from_secs(5)))?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl Board for Socket {
    fn connect(&mut self, _now: u64) {
        let opened = self.open();
        if let Err(error) = &opened {
            print::error(&format!("sleepy_node: {}:{}: {error}", self.host, self.port));
        }
        self.attempt = Some(opened.is_ok());
        self.stream = opened.ok();
    }

    fn send(&mut self, bytes: &[u8], now: u64) -> usize {
        self.sent_at = Some(now);
        let sent = self.stream.as_mut().map(|stream| stream.write(bytes));
        sent.and_then(Result::ok).unwrap_or(0)
    }

    fn close(&mut self) {
        self.stream = None;
    }

    fn store(&mut self, _record: &Record<'_>) {}

    fn feed_chip(&mut self, _now: u64) {}

    fn radio_is_on(&self, now: u64) -> bool {
        self.sent_at == Some(now)
    }
}

/// Lives for some minutes. Prints each wake-up by an alarm with its reason, and the counts at the end.
pub(crate) fn live(settings: Settings, trial: &Trial) -> Result<(), Error> {
    ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed))?;
    let timing = settings.timing()?;
    let tasks = settings.tasks(timing)?;
    let start = Instant::now();
    let clock = || u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let supervisor = Supervisor::new(&tasks, timing, watchdog_core::Instant::from_millis(0));
    let handles = tasks.each_ref().map(|task| task.handle());
    let minute = u64::from(settings.scaled(MINUTE));
    let mut node = Node::new(&trial.id, settings, supervisor, handles, minute * 37 / 60)?;
    let Trial { host, port, .. } = trial.clone();
    let mut socket = Socket { host, port, stream: None, attempt: None, sent_at: None };
    let mut counts = [0_u32; Cause::ALL.len()];
    let (mut buffer, mut alarmed, mut leaving) = ([0; 512], true, None);
    loop {
        let now = clock();
        let cause = node.wake(&mut socket, now)?;
        if alarmed {
            print::line(&format!("{now:>8} ms  {}", cause.name()));
            for (count, of) in counts.iter_mut().zip(Cause::ALL) {
                *count += u32::from(of == cause);
            }
        }
        match socket.attempt.take() {
            Some(true) => node.opened(now),
            Some(false) => node.lost(now),
            None => {}
        }
        let over = node.measured >= trial.minutes || INTERRUPTED.load(Ordering::Relaxed);
        if over && leaving.is_none() {
            node.disconnect();
            leaving = Some(now);
        }
        // A broker that takes no DISCONNECT does not keep the program.
        if node.is_stopped() || leaving.is_some_and(|since| now > since + 5_000) {
            break;
        }
        let until = if leaving.is_some() { now } else { node.alarm() };
        let rest = Duration::from_millis(until.saturating_sub(clock()).max(1));
        alarmed = false;
        let Some(stream) = &mut socket.stream else {
            thread::sleep(rest);
            alarmed = true;
            continue;
        };
        let read = stream.set_read_timeout(Some(rest)).and_then(|()| stream.read(&mut buffer));
        match read {
            Ok(0) => {
                socket.stream = None;
                node.lost(clock());
            }
            Ok(count) => node.heard(buffer.get(..count).unwrap_or_default(), clock())?,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                alarmed = clock() >= until;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => {
                socket.stream = None;
                node.lost(clock());
            }
        }
    }
    for (count, cause) in counts.iter().zip(Cause::ALL) {
        print::line(&format!("{count:>8}  {}", cause.name()));
    }
    print::line(&format!("{:>8}  messages published", node.published));
    Ok(())
}
