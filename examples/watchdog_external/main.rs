//! Draws the WDI pin of a TPS3823 over time, as text: boot, normal run, update, hang. With `--gpio` it feeds a real chip
//! instead, at a line of Linux (`lines.rs`).
//!
//! The board is the simulated board of the library's tests, so the example runs anywhere and takes no time. The code
//! between board and drawing is as in a firmware: a supervisor over three tasks feeds the chip.

use std::{fmt::Write, process::ExitCode};

use chip::{Board, Delay, GatePin, Part, WdiPin};
use embedded_hal::digital::PinState;
use mqtt_examples::{
    arguments::{Arguments, UsageError},
    print,
};
use thiserror::Error;
use watchdog_core::{
    Action, Guard, Instant, NotStopped, Plan, Refused, Rules, Stage, Supervisor, Task, TaskHandle,
    Timing,
    chips::{Profile, TPS3823_33},
    external::{Armed, Clocked, Disarmed, ErrorOf, ExternalWatchdog, Gate, Takeover, Toggle},
    plan, task,
};

#[path = "../../watchdog-core/tests/chip/mod.rs"]
mod chip;
#[cfg(target_os = "linux")]
mod lines;

const HELP: &str = "\
Draws how a TPS3823 watchdog chip is fed on a simulated board: boot, normal run, update, hang.
Or feeds a real TPS3823 at a GPIO line, until it is interrupted.

usage: watchdog_external [--part PART]
       watchdog_external --gpio CHIP:LINE [--gate CHIP:LINE [--gate-low]] [--feeds COUNT]

  --part PART        which part is on the board: fastest (0.765 s), slowest (2.875 s), or a number that draws its times
                     (1); these are the limits at 25 °C and 15 %
  --gpio CHIP:LINE   the line at WDI, such as gpiochip0:17; gpiodetect and gpioinfo list them
  --gate CHIP:LINE   the line that connects RESET of the chip to the board while it is high
  --gate-low         ... while it is low
  --feeds COUNT      stop after so many feeds

With a gate the chip is disarmed at the end. Without one it resets this machine 2.875 s after the last feed, unless
something else feeds it. With a gate WDI has to float until the program starts, so a resistor there needs no gate.

Exit status: 0 the chip reset the board after the hang, in time, and at no other moment; or all feeds were made;
1 otherwise.";

const CHIP: &Profile = &TPS3823_33;

// This builds only if the heartbeat and all stages fit into the shortest time-out, 765 ms.
const STAGES: &[(Stage, u32)] = &[(Stage::Warn, 0), (Stage::LastWords, 100), (Stage::Reset, 100)];
const TIMING: Timing<'static> =
    plan!(Plan::heartbeat(500).late(10).profile(CHIP).stages(STAGES).recovery(6_000));
// Each task builds only if it can keep its rules, and if the reset follows its longest silence in time. The update
// reports chunk by chunk; for steps without chunks it has two grants of three seconds.
static TASKS: [Task; 3] = [
    task!(TIMING, Rules::deadline(1_000).works(500, 50)),
    task!(TIMING, Rules::deadline(2_500).works(1_000, 50)),
    task!(TIMING, Rules::deadline(1_000).works(500, 50).grants(2, 3).paused()),
];
const NAMES: [&str; 3] = ["pump", "valve", "update"];

/// The interval of the simulation, in milliseconds.
const TICK: u64 = 10;
/// The time of a column of the drawing, in milliseconds.
const COLUMN: u64 = 100;
/// The number of columns in a line of the drawing.
const WIDTH: usize = 70;

type Input = Toggle<WdiPin, Delay>;
type Enable = Gate<GatePin>;
/// The feeder with a clock, so that a guard can stop it.
type Dog<S> = Clocked<ExternalWatchdog<Input, Enable, S>, Box<dyn FnMut() -> Instant>>;

#[derive(Debug, Error)]
enum Error {
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Lines(#[from] lines::LinesError),
    #[cfg(not(target_os = "linux"))]
    #[error("--gpio needs the GPIO character devices of Linux, and this system has none")]
    NoLines,
    #[error("the watchdog: {0}")]
    Watchdog(#[from] ErrorOf<Input, Enable>),
    #[error("the watchdog is not disarmed: {0}")]
    NotDisarmed(#[from] NotStopped<ErrorOf<Input, Enable>>),
    #[error("a report of a task: {0}")]
    Report(#[from] Refused),
    #[error("the supervisor did not let the chip be fed at {} ms", .0.as_millis())]
    Starved(Instant),
    #[error("the chip reset the board {0} times before the hang")]
    Bitten(usize),
    #[error("the chip did not reset the board within its longest time-out")]
    NotBitten,
}

/// The lines of a real chip, as the user named them.
#[derive(Debug)]
struct Lines {
    wdi: LineName,
    gate: Option<LineName>,
    gate_is_active_low: bool,
    feeds: Option<u64>,
}

/// A line of a GPIO chip.
#[derive(Debug)]
struct LineName {
    chip: String,
    line: u32,
}

#[derive(Debug)]
enum Order {
    Help,
    Draw(Part),
    Feed(Lines),
}

fn main() -> ExitCode {
    let done = match read_arguments(Arguments::of_process()) {
        Ok(Order::Help) => {
            print::line(HELP);
            return ExitCode::SUCCESS;
        }
        Ok(Order::Draw(part)) => run(part),
        #[cfg(target_os = "linux")]
        Ok(Order::Feed(lines)) => lines::run(&lines).map_err(Error::from),
        #[cfg(not(target_os = "linux"))]
        Ok(Order::Feed(_)) => Err(Error::NoLines),
        Err(error) => Err(error.into()),
    };
    let Err(error) = done else { return ExitCode::SUCCESS };
    print::error(&format!("watchdog_external: {error}"));
    if matches!(error, Error::Usage(_)) {
        print::error("watchdog_external: --help lists the options");
    }
    ExitCode::FAILURE
}

fn read_arguments(mut arguments: Arguments) -> Result<Order, UsageError> {
    let (mut part, mut wdi, mut gate) = (None, None, None);
    let (mut gate_is_active_low, mut feeds) = (false, None);
    while let Some(option) = arguments.option()? {
        match option.as_str() {
            "--help" | "-h" => return Ok(Order::Help),
            "--part" => part = Some(read_part(&mut arguments)?),
            "--gpio" => wdi = Some(read_line(&mut arguments)?),
            "--gate" => gate = Some(read_line(&mut arguments)?),
            "--gate-low" => gate_is_active_low = true,
            "--feeds" => feeds = Some(arguments.number("a number of feeds")?),
            _ => return Err(arguments.unknown()),
        }
    }
    let together = |problem| Err(UsageError::Together(problem));
    match (part, wdi) {
        (Some(_), Some(_)) => together("--part is for the simulated board, --gpio for a real one"),
        (_, None) if gate.is_some() || gate_is_active_low || feeds.is_some() => {
            together("--gate, --gate-low and --feeds need --gpio")
        }
        (None, Some(_)) if gate_is_active_low && gate.is_none() => {
            together("--gate-low needs --gate")
        }
        (None, Some(wdi)) => Ok(Order::Feed(Lines { wdi, gate, gate_is_active_low, feeds })),
        (part, None) => Ok(Order::Draw(part.unwrap_or(Part::Random(1)))),
    }
}

fn read_part(arguments: &mut Arguments) -> Result<Part, UsageError> {
    let text = arguments.text()?;
    match (text.as_str(), text.parse()) {
        ("fastest", _) => Ok(Part::Fastest),
        ("slowest", _) => Ok(Part::Slowest),
        (_, Ok(seed)) => Ok(Part::Random(seed)),
        _ => Err(arguments.wrong(format!("{text:?} is not fastest, slowest or a number"))),
    }
}

/// `gpiochip0:17` or `/dev/gpiochip0:17`.
fn read_line(arguments: &mut Arguments) -> Result<LineName, UsageError> {
    let text = arguments.text()?;
    let name = text.rsplit_once(':').filter(|(chip, _)| !chip.is_empty());
    let name = name.and_then(|(chip, line)| {
        let chip = if chip.contains('/') { chip.to_owned() } else { format!("/dev/{chip}") };
        Some(LineName { chip, line: line.parse().ok()? })
    });
    name.ok_or_else(|| arguments.wrong(format!("{text:?} is not CHIP:LINE, such as gpiochip0:17")))
}

fn run(part: Part) -> Result<(), Error> {
    let mut bench = Bench::new(part);
    let wdi = Toggle::new(bench.board.wdi(), bench.board.delay());
    let gate = Gate::active_high(bench.board.gate(PinState::High));
    // The pin has been an input since the reset.
    let dog = ExternalWatchdog::new(CHIP, wdi, gate, Takeover::Floating(bench.now()));
    let dog = dog.map_err(|failed| failed.error)?;

    let dog = boot(&mut bench, dog)?;
    let [pump, valve, update] = TASKS.each_ref().map(Task::handle);
    let supervisor = Supervisor::new(&TASKS, TIMING, bench.now());
    let mut guard = Guard::new(dog, supervisor);

    bench.phase('n', "normal run: the pump works each 500 ms, the valve each second");
    work(&mut bench, &mut guard, 3_000, &pump, Some(&valve))?;

    let mut guard = install(&mut bench, guard, [&pump, &valve, &update])?;

    bench.phase('n', "normal run again");
    work(&mut bench, &mut guard, 2_000, &pump, Some(&valve))?;
    match bench.board.board_resets().len() {
        0 => {}
        resets => return Err(Error::Bitten(resets)),
    }
    let done = hang(&mut bench, &mut guard, &valve);
    bench.draw();
    done
}

/// Four steps of 600 ms with the gate off. Each step feeds the chip, so that it does not hold RESET when it is armed.
fn boot(
    bench: &mut Bench,
    mut dog: ExternalWatchdog<Input, Enable, Disarmed>,
) -> Result<Dog<Armed>, Error> {
    bench.phase('b', "boot: the gate is off, each of four steps feeds the chip");
    for _ in 0..4 {
        bench.pass(600);
        dog.feed_early(bench.now())?;
    }
    bench.note("armed");
    let clock = bench.board.clone();
    let dog = dog.arm(bench.now()).map_err(|failed| failed.error)?;
    Ok(dog.clocked(Box::new(move || clock.now())))
}

/// The pump works, and the valve too if it is given; the guard is polled.
fn work(
    bench: &mut Bench,
    guard: &mut Guard<'_, Dog<Armed>>,
    millis: u64,
    pump: &TaskHandle<'_>,
    valve: Option<&TaskHandle<'_>>,
) -> Result<(), Error> {
    for passed in (0..millis).step_by(500) {
        pump.feed(bench.now())?;
        if let Some(valve) = valve.filter(|_| passed % 1_000 == 0) {
            valve.feed(bench.now())?;
        }
        feed(bench, guard)?;
        bench.pass(500);
    }
    Ok(())
}

/// A heartbeat at which all tasks have to be healthy.
fn feed(bench: &mut Bench, guard: &mut Guard<'_, Dog<Armed>>) -> Result<(), Error> {
    match guard.poll(bench.now())?.action {
        Action::Feed => Ok(()),
        Action::Wait | Action::Report(_) | Action::Stage(..) | Action::Stopped(_) => {
            Err(Error::Starved(bench.now()))
        }
    }
}

/// An update: each chunk reports progress, the check of the image takes a grant, and erasing flash cannot report at
/// all.
fn install<'a>(
    bench: &mut Bench,
    mut guard: Guard<'a, Dog<Armed>>,
    [pump, valve, update]: [&TaskHandle<'_>; 3],
) -> Result<Guard<'a, Dog<Armed>>, Error> {
    bench.phase('u', "update: pump and valve pause, four chunks report progress");
    pump.pause(bench.now())?;
    valve.pause(bench.now())?;
    update.resume(bench.now())?;
    work(bench, &mut guard, 2_000, update, None)?;

    bench.phase('c', "checking the image takes 2.5 s: a grant of 3 s for it");
    update.grant(bench.now())?;
    for _ in 0..5 {
        feed(bench, &mut guard)?;
        bench.pass(500);
    }
    update.feed(bench.now())?;
    update.pause(bench.now())?;

    bench.phase('e', "erasing blocks everything for 2.4 s: disarmed, a timer keeps the chip quiet");
    let mut dog = guard.stop(bench.now()).map_err(|failed| failed.error)?.into_inner();
    for _ in 0..4 {
        dog.feed_early(bench.now())?;
        bench.pass(600);
    }
    let clock = bench.board.clone();
    let dog = dog.arm(bench.now()).map_err(|failed| failed.error)?;
    let dog: Dog<Armed> = dog.clocked(Box::new(move || clock.now()));
    bench.note("armed again");
    let guard = Guard::new(dog, Supervisor::new(&TASKS, TIMING, bench.now()));
    pump.resume(bench.now())?;
    valve.resume(bench.now())?;
    Ok(guard)
}

/// The pump hangs. The valve goes on working, but that does not prevent the bite; the chip resets the board.
fn hang(
    bench: &mut Bench,
    guard: &mut Guard<'_, Dog<Armed>>,
    valve: &TaskHandle<'_>,
) -> Result<(), Error> {
    bench.phase('h', "the pump hangs, the valve works on");
    let mut next = bench.now();
    let mut fed = bench.now();
    while bench.board.board_resets().is_empty() {
        let now = bench.now();
        if now.millis_since(fed) > u64::from(CHIP.longest_millis()) + TICK {
            return Err(Error::NotBitten);
        }
        if now >= next {
            let failed = guard.supervisor().failure().is_some();
            if !failed {
                valve.feed(now)?;
            }
            let polled = guard.poll(now)?;
            next = polled.next;
            match polled.action {
                Action::Feed => fed = now,
                Action::Wait | Action::Report(_) | Action::Stopped(_) => {}
                Action::Stage(stage, failure) => {
                    let index = usize::try_from(failure.task.index()).unwrap_or(usize::MAX);
                    let name = NAMES.get(index).copied().unwrap_or("?");
                    let whose = if stage == Stage::Reset { ", which is the chip's" } else { "" };
                    bench.note(&format!("{stage:?}{whose}: {name} {}", failure.fault));
                }
            }
        }
        bench.pass(TICK);
    }
    let waited = bench.now().millis_since(fed);
    bench.note(&format!("RESET, {waited} ms after the last feed"));
    bench.pass(600);
    Ok(())
}

/// The signals in a column.
#[derive(Clone, Copy)]
struct Column {
    phase: char,
    wdi: Option<PinState>,
    /// The number of changes of WDI within the column. The drawing cannot show more than one.
    edges: usize,
    armed: bool,
    reset: bool,
}

/// The board, and an oscilloscope.
struct Bench {
    board: Board,
    phase: char,
    columns: Vec<Column>,
}

impl Bench {
    fn new(part: Part) -> Self {
        let board = Board::new(CHIP, part);
        let part_name = match part {
            Part::Random(seed) => format!("a part of times drawn by {seed}"),
            Part::Fastest | Part::Slowest | Part::Strictest => format!("the {part:?} part"),
        };
        print::line(&format!("{} on a simulated board, {part_name}", CHIP.name()));
        Self { board, phase: ' ', columns: Vec::new() }
    }

    fn now(&self) -> Instant {
        self.board.now()
    }

    fn phase(&mut self, letter: char, what: &str) {
        self.phase = letter;
        self.note(&format!("[{letter}] {what}"));
    }

    fn note(&self, what: &str) {
        let millis = self.now().as_millis();
        print::line(&format!("{:3}.{:03} s  {what}", millis / 1_000, millis % 1_000));
    }

    /// Lets time pass, and reads the pins at each new column.
    fn pass(&mut self, millis: u64) {
        for _ in (0..millis).step_by(TICK as usize) {
            let due = self.columns.len() as u64 * COLUMN;
            if self.now().as_millis() >= due {
                self.columns.push(self.look());
            }
            self.board.advance_millis(TICK);
        }
    }

    fn look(&self) -> Column {
        let changes = self.board.changes();
        let known: usize = self.columns.iter().map(|column| column.edges).sum();
        Column {
            phase: self.phase,
            wdi: changes.last().and_then(|change| change.level),
            edges: changes.len() - known,
            armed: self.board.is_connected(),
            reset: self.board.holds_reset(),
        }
    }

    fn draw(&self) {
        let level = |is_high| if is_high { '▔' } else { '▁' };
        for (line, columns) in self.columns.chunks(WIDTH).enumerate() {
            let from = (line * WIDTH) as u64 * COLUMN;
            let mut drawing = format!("\n{:>5} s  ", from / 1_000);
            for index in 0..columns.len() {
                let millis = from + index as u64 * COLUMN;
                drawing.push(if millis % 1_000 == 0 { '|' } else { ' ' });
            }
            let mut draw = |name: &str, sign: &dyn Fn(&Column) -> char| {
                let signs: String = columns.iter().map(sign).collect();
                // Writing to a string never fails.
                let _ = write!(drawing, "\n{name:>7}  {signs}");
            };
            draw("phase", &|column| column.phase);
            draw("WDI", &|column| match column.wdi {
                _ if column.edges > 1 => '║',
                Some(wdi) => level(wdi == PinState::High),
                None => '·',
            });
            draw("gate", &|column| level(column.armed));
            draw("/RESET", &|column| level(!column.reset));
            print::line(&drawing);
        }
        print::line(
            "\na column is 100 ms; ║: several edges in it; gate high: the chip is connected; /RESET low: it resets the board",
        );
    }
}
