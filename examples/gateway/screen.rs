//! The terminal of the view: it is taken at the start, and given back at each end of the program, also in a panic and at
//! the bite of the watchdog.

use std::{
    fs::File,
    io::{self, BufWriter, IsTerminal},
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use ratatui::{
    Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor::Show,
        event::{self, Event, KeyCode, KeyEvent, KeyModifiers},
        execute,
        terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
    },
};

use crate::{board::Board, uplink::Uplink, view};

/// The view is drawn this often, and keys are looked for meanwhile.
const REDRAW: Duration = Duration::from_millis(200);

/// The terminal is taken.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Whether there is a terminal for the view.
#[must_use]
pub fn is_possible() -> bool {
    io::stdout().is_terminal() && io::stdin().is_terminal()
}

/// The terminal behind the standard output, without its lock: a thread that hangs may hold it.
fn output() -> io::Result<File> {
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

/// Gives the terminal back, if it is taken. Any thread may call it.
pub fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // Nothing can be done if the terminal is gone.
        let _gone = disable_raw_mode();
        let _gone = output().and_then(|mut out| execute!(out, LeaveAlternateScreen, Show));
    }
}

/// The running view.
#[derive(Debug)]
#[must_use = "it runs until `end`"]
pub struct Screen {
    stops: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Screen {
    /// Takes the terminal, and shows `board` until `end`. `quit` is called if the user wants to end the program, or the
    /// terminal fails.
    ///
    /// # Errors
    ///
    /// The terminal cannot be taken.
    pub fn start(
        board: Arc<Board>,
        uplink: Arc<Uplink>,
        quit: impl Fn(&str) + Send + 'static,
    ) -> io::Result<Self> {
        let mut out = output()?;
        enable_raw_mode()?;
        TAKEN.store(true, Ordering::SeqCst);
        let started = execute!(out, EnterAlternateScreen).and_then(|()| {
            let terminal = Terminal::new(CrosstermBackend::new(BufWriter::new(out)))?;
            let stops = Arc::new(AtomicBool::new(false));
            let thread = thread::Builder::new().name("screen".into()).spawn({
                let stops = Arc::clone(&stops);
                move || {
                    let shown = show(terminal, &board, &uplink, &quit, &stops);
                    restore();
                    if let Err(error) = shown {
                        quit(&format!("the terminal: {error}"));
                    }
                }
            })?;
            Ok(Self { stops, thread })
        });
        started.inspect_err(|_| restore())
    }

    /// Ends the view, and gives the terminal back.
    pub fn end(self) {
        self.stops.store(true, Ordering::Release);
        // A view that has panicked has given the terminal back.
        let _panicked = self.thread.join();
    }
}

fn show(
    mut terminal: Terminal<CrosstermBackend<BufWriter<File>>>,
    board: &Board,
    uplink: &Uplink,
    quit: &impl Fn(&str),
    stops: &AtomicBool,
) -> io::Result<()> {
    // Another thread may have given the terminal back, because the program ends.
    while !stops.load(Ordering::Acquire) && TAKEN.load(Ordering::SeqCst) {
        let snapshot = board.snapshot(uplink);
        terminal.draw(|frame| view::draw(frame, &snapshot))?;
        if event::poll(REDRAW)? {
            if let Event::Key(key) = event::read()? {
                if is_end(key) {
                    quit("asked by a key");
                }
            }
        }
    }
    Ok(())
}

/// In raw mode Ctrl-C is a key, not a signal.
fn is_end(key: KeyEvent) -> bool {
    let ctrl_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    ctrl_c || key.code == KeyCode::Char('q')
}

/// From now on a panic is one line of `board`, after the terminal was given back if the thread is not watched. A
/// backtrace could take longer than the deadline of the thread, which would then be found as starved.
pub fn on_panic(board: Arc<Board>) {
    std::panic::set_hook(Box::new(move |info| {
        restore();
        let thread = thread::current();
        let name = thread.name().unwrap_or("a thread").to_owned();
        mqtt_examples::print::error(&format!("gateway: {name}: {info}"));
        board.tell(&format!("{name} panicked"));
    }));
}
