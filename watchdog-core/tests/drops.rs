//! A value that is dropped disarms nothing. The pins of the board disconnect when they are dropped, as those of a HAL
//! do, so a drop that reached them would show: a floating WDI switches a TPS3823 off, and a floating gate disconnects
//! it.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
#![expect(clippy::drop_non_drop, reason = "a drop that does nothing is what the tests show")]

mod chip;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use chip::{Board, Delay, GatePin, Part, WdiPin};
use embedded_hal::digital::{OutputPin, PinState};
use watchdog_core::chips::{Profile, TPS3813, TPS3823_33, TPS3851_100NF};
use watchdog_core::external::boot::{DelayedStart, EarlyFeeding};
use watchdog_core::external::{Disarmed, ExternalWatchdog, Gate, NoGate, Pulse, Takeover, Toggle};
use watchdog_core::hardware::{ErrorKind, ErrorType, Watchdog};
use watchdog_core::{Action, Guard, Plan, Rules, Supervisor, Task, Timing, plan};

const TIMING: Timing<'static> = plan!(Plan::heartbeat(500).chip(900, 2_500));
const MINUTE: Duration = Duration::from_secs(60);

type Gated = ExternalWatchdog<Toggle<WdiPin, Delay>, Gate<GatePin>, Disarmed>;

fn gated(board: &Board) -> Gated {
    let gate = Gate::active_high(board.gate(PinState::High));
    ExternalWatchdog::new(
        &TPS3823_33,
        Toggle::new(board.wdi(), board.delay()),
        gate,
        Takeover::Reset(board.now()),
    )
    .unwrap()
}

/// The resets of the board within a minute.
fn resets(board: &Board) -> usize {
    let before = board.board_resets().len();
    board.advance(MINUTE);
    board.board_resets().len() - before
}

/// The loop of an application that ends at the reset stage, and drops its guard.
fn runs_until_the_reset_stage<W: Watchdog>(board: &Board, dog: W) {
    let tasks = [Task::new(Rules::deadline(1_000), TIMING).unwrap()];
    let mut guard = Guard::new(dog, Supervisor::new(&tasks, TIMING, board.now()));
    loop {
        let Ok(polled) = guard.poll(board.now()) else { panic!("pins of a board do not fail") };
        if let Action::Stage(..) | Action::Stopped(_) = polled.action {
            return;
        }
        board.advance_millis(polled.next.millis_since(board.now()));
    }
}

#[test]
fn a_guard_that_is_dropped_after_a_failure_lets_the_chip_bite_on() {
    let board = Board::new(&TPS3823_33, Part::Slowest);
    runs_until_the_reset_stage(&board, gated(&board).arm_for_good(board.now()).unwrap());
    assert!(resets(&board) > 15);
    let board = Board::new(&TPS3823_33, Part::Slowest);
    runs_until_the_reset_stage(&board, gated(&board).arm(board.now()).unwrap());
    assert!(resets(&board) > 15);
}

#[test]
fn a_guard_that_is_dropped_before_any_failure_disarms_nothing() {
    let board = Board::new(&TPS3823_33, Part::Slowest);
    let tasks = [Task::new(Rules::deadline(1_000), TIMING).unwrap()];
    let dog = gated(&board).arm(board.now()).unwrap();
    drop(Guard::new(dog, Supervisor::new(&tasks, TIMING, board.now())));
    assert!(resets(&board) > 15);
}

#[test]
fn a_guard_that_ends_in_a_panic_disarms_nothing() {
    let board = Board::new(&TPS3823_33, Part::Slowest);
    let dog = gated(&board).arm_for_good(board.now()).unwrap();
    let seen = board.clone();
    let ended = std::thread::scope(|_| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _guard = Guard::new(dog, Supervisor::new(&[], TIMING, board.now()));
            std::panic::resume_unwind(Box::new("on purpose"));
        }))
    });
    assert!(ended.is_err());
    assert!(resets(&seen) > 15);
}

#[test]
fn an_armed_chip_whose_value_is_dropped_bites_on() {
    let board = Board::new(&TPS3823_33, Part::Slowest);
    drop(gated(&board).arm(board.now()).unwrap());
    assert!(resets(&board) > 15);
    let board = Board::new(&TPS3823_33, Part::Slowest);
    drop(gated(&board).arm_for_good(board.now()).unwrap());
    assert!(resets(&board) > 15);
    let board = Board::new(&TPS3823_33, Part::Slowest);
    drop(gated(&board).arm(board.now()).unwrap().for_good());
    assert!(resets(&board) > 15);
    let board = Board::new(&TPS3823_33, Part::Slowest);
    let clock = board.clone();
    drop(gated(&board).arm(board.now()).unwrap().clocked(move || clock.now()));
    assert!(resets(&board) > 15);
}

#[test]
fn a_chip_without_a_gate_bites_on_whatever_holds_it_when_it_is_dropped() {
    fn dog(
        board: &Board,
        chip: &'static Profile,
    ) -> ExternalWatchdog<Pulse<WdiPin, Delay>, NoGate, Disarmed> {
        ExternalWatchdog::new(
            chip,
            Pulse::new(board.wdi(), board.delay()),
            NoGate,
            Takeover::Reset(board.now()),
        )
        .unwrap()
    }
    for chip in [&TPS3823_33, &TPS3813, &TPS3851_100NF] {
        let drops: [fn(&Board, &'static Profile); 4] = [
            |board, chip| drop(dog(board, chip)),
            |board, chip| drop(dog(board, chip).arm(board.now()).unwrap()),
            |board, chip| drop(DelayedStart::new(dog(board, chip), 100, board.now())),
            |board, chip| {
                drop(EarlyFeeding::new(
                    dog(board, chip).arm(board.now()).unwrap(),
                    3,
                    100,
                    board.now(),
                ));
            },
        ];
        for drops in drops {
            let board = Board::new(chip, Part::Slowest);
            drops(&board, chip);
            assert!(resets(&board) > 15, "{}", chip.name());
        }
    }
}

/// A watchdog of a HAL that stops when it is dropped.
struct StopsInDrop(Rc<Cell<bool>>);

impl Drop for StopsInDrop {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

impl ErrorType for StopsInDrop {
    type Error = ErrorKind;
}

impl Watchdog for StopsInDrop {
    fn feed(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

#[test]
fn a_watchdog_that_stops_when_it_is_dropped_is_not_dropped_with_its_guard() {
    let board = Board::new(&TPS3823_33, Part::Slowest);
    let stopped = Rc::new(Cell::new(false));
    runs_until_the_reset_stage(&board, StopsInDrop(Rc::clone(&stopped)));
    drop(EarlyFeeding::new(StopsInDrop(Rc::clone(&stopped)), 3, 100, board.now()));
    assert!(!stopped.get());
    drop(EarlyFeeding::new(StopsInDrop(Rc::clone(&stopped)), 3, 100, board.now()).finish());
    assert!(stopped.get(), "it was given back, by a call that says so");
}

#[test]
fn a_chip_that_cannot_be_taken_over_is_not_switched_off() {
    let board = Board::new(&TPS3851_100NF, Part::Slowest);
    let mut wdi = board.wdi();
    wdi.set_high().unwrap();
    let input = Toggle::new(wdi, board.delay());
    let since = Takeover::Unknown(board.now());
    drop(ExternalWatchdog::new(&TPS3851_100NF, input, NoGate, since).unwrap_err());
    assert_eq!(board.changes().last().unwrap().level, Some(PinState::High));
}

#[test]
fn the_pins_come_back_only_by_a_release_of_the_disarmed_chip() {
    let board = Board::new(&TPS3823_33, Part::Slowest);
    let (_input, gate) =
        gated(&board).arm(board.now()).unwrap().disarm(board.now()).unwrap().release();
    drop(gate);
    assert!(!board.is_connected());
    assert_eq!(resets(&board), 0);
}
