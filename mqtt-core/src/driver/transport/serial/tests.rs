use std::{
    format,
    fs::File,
    io::{self, Read, Write},
    path::PathBuf,
    string::{String, ToString},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
    vec::Vec,
};

use rustix::termios::{ControlModes, tcgetattr};
use test_kit::terminal::pseudo_terminal;

use super::{FlowControl, Modem, Parity, Serial, SerialOptions, StopBits};
use crate::driver::transport::testing::{content, read_exact, read_to_end, soon, write_all};

const LONG: Duration = Duration::from_secs(20);

fn options() -> SerialOptions {
    SerialOptions::new(115_200)
}

fn line() -> (Serial, File, PathBuf) {
    let (end, path) = pseudo_terminal();
    (Serial::open(&path, &options()).expect("it can be opened"), end, path)
}

/// A modem that waits for each of these commands, repeats it, and answers with the text beside it.
fn modem(script: &'static [(&'static str, &'static str)]) -> (Serial, JoinHandle<File>) {
    let (serial, mut end, _) = line();
    let modem = thread::spawn(move || {
        for (command, answer) in script {
            let mut heard = std::vec![0; command.len() + 1];
            end.read_exact(&mut heard).expect("the client is there");
            assert_eq!(String::from_utf8_lossy(&heard), format!("{command}\r"));
            end.write_all(&heard).expect("the client is there");
            end.write_all(answer.as_bytes()).expect("the client is there");
        }
        end
    });
    (serial, modem)
}

fn refused(modem: &Modem, script: &'static [(&'static str, &'static str)]) -> io::Error {
    let (mut serial, peer) = self::modem(script);
    let error = serial.dial(modem, soon()).expect_err("no call");
    drop(peer.join().expect("the script was followed"));
    error
}

fn dialling() -> Modem {
    Modem::new().command("ATZ", "OK", LONG).command("ATD5551", "CONNECT", LONG)
}

#[test]
fn all_values_of_a_byte_pass_in_both_directions() {
    let (mut serial, mut end, _) = line();
    let all: Vec<u8> = (0..=255).collect();
    write_all(&mut serial, &all);
    let mut heard = std::vec![0; all.len()];
    end.read_exact(&mut heard).expect("it was sent");
    assert_eq!(heard, all);
    end.write_all(&all).expect("it is open");
    assert_eq!(read_exact(&mut serial, all.len()), all);
}

#[test]
fn a_line_does_not_wait() {
    let (mut serial, _end, _) = line();
    let error = serial.read(&mut [0]).expect_err("nothing was sent");
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    let error = loop {
        if let Err(error) = serial.write(&content(1_000)) {
            break error;
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_hangup_ends_the_stream() {
    let (mut serial, end, _) = line();
    drop(end);
    assert!(read_to_end(&mut serial).is_empty());
    let error = serial.write(b"x").expect_err("it is hung up");
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(error.to_string(), "the line was hung up");
}

#[test]
fn the_options_reach_the_line() {
    let (_end, path) = pseudo_terminal();
    let options = SerialOptions::new(9_600)
        .parity(Parity::Odd)
        .stop_bits(StopBits::Two)
        .flow_control(FlowControl::Hardware);
    // A pseudo-terminal has no parity, and says so.
    #[cfg(target_os = "linux")]
    {
        let error = Serial::open(&path, &options).expect_err("no parity");
        assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains("parity: Odd"), "{error}");
    }
    let options = options.parity(Parity::None);
    let serial = Serial::open(&path, &options).expect("possible");
    let settings = tcgetattr(&serial.line).expect("a terminal");
    assert_eq!(settings.output_speed(), 9_600);
    let modes = settings.control_modes;
    assert!(modes.contains(ControlModes::CSTOPB | ControlModes::CRTSCTS | ControlModes::CLOCAL));
    assert_eq!(modes & ControlModes::CSIZE, ControlModes::CS8);
}

#[test]
fn a_path_that_is_no_line_is_named() {
    let missing = Serial::open("/dev/no-such-line", &options()).expect_err("it is missing");
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    assert!(missing.to_string().starts_with("serial line /dev/no-such-line: "), "{missing}");
    let null = Serial::open("/dev/null", &options()).expect_err("no terminal");
    assert!(null.to_string().starts_with("serial line /dev/null: "), "{null}");
}

#[test]
fn a_line_is_for_one_program() {
    let (_serial, _end, path) = line();
    let error = Serial::open(&path, &options()).expect_err("it is in use");
    assert!(error.to_string().ends_with("another program uses it"), "{error}");
}

#[test]
fn a_call_is_made_and_the_next_byte_is_data() {
    let script =
        &[("ATZ", "\r\nOK\r\n"), ("ATD5551", "\r\nRINGING\r\n\r\nCONNECT 9600\r\n\x20\x02")];
    let (mut serial, peer) = modem(script);
    serial.dial(&dialling(), soon()).expect("a call");
    let _end = peer.join().expect("followed");
    assert_eq!(read_exact(&mut serial, 2), b"\x20\x02");
}

#[test]
fn a_carrier_is_heeded_after_the_call_if_its_wire_is_there() {
    let modem = Modem::new();
    for (modem, heeded) in [(modem.clone(), true), (modem.without_carrier_wire(), false)] {
        let (mut serial, _end, _) = line();
        serial.dial(&modem, soon()).expect("no commands");
        let modes = tcgetattr(&serial.line).expect("a terminal").control_modes;
        assert_eq!(!modes.contains(ControlModes::CLOCAL), heeded);
    }
}

#[test]
fn a_call_that_fails_says_why() {
    for (script, said) in [
        (&[("ATZ", "\r\nOK\r\n"), ("ATD5551", "\r\nNO CARRIER\r\n")], "NO CARRIER"),
        (&[("ATZ", "\r\nOK\r\n"), ("ATD5551", "\r\nBUSY\r\n")], "BUSY"),
    ] {
        let error = refused(&dialling(), script);
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(error.to_string().ends_with(&format!("the modem at ATD5551: {said}")), "{error}");
    }
}

#[test]
fn a_command_that_the_modem_does_not_know_is_told_without_its_secret() {
    let modem = Modem::new().command("AT+CPIN=\"1234\"", "OK", LONG);
    let error = refused(&modem, &[("AT+CPIN=\"1234\"", "\r\n+CME ERROR: 16\r\n")]);
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(error.to_string().ends_with("the modem at AT+CPIN: +CME ERROR: 16"), "{error}");
    assert!(!format!("{error} {error:?} {modem:?}").contains("1234"), "{error:?} {modem:?}");
}

#[test]
fn no_carrier_among_the_data_is_data() {
    let script = &[("ATZ", "\r\nOK\r\n"), ("ATD5551", "\r\nCONNECT\r\n\r\nNO CARRIER\r\nmore")];
    let (mut serial, peer) = modem(script);
    serial.dial(&dialling(), soon()).expect("a call");
    let end = peer.join().expect("followed");
    assert_eq!(read_exact(&mut serial, 18), b"\r\nNO CARRIER\r\nmore");
    drop(end);
    assert!(read_to_end(&mut serial).is_empty());
}

#[test]
fn a_silent_modem_costs_the_limit_of_its_command() {
    let (mut serial, _end, _) = line();
    let start = Instant::now();
    let modem = Modem::new().command("AT", "OK", Duration::from_millis(50));
    let error = serial.dial(&modem, soon()).expect_err("no answer");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(error.to_string().ends_with("the modem at AT: no answer in time"), "{error}");
    assert!(start.elapsed() < LONG / 4);
    let modem = Modem::new().command("AT", "OK", LONG);
    let error = serial.dial(&modem, Instant::now()).expect_err("no time");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[test]
fn a_line_that_is_hung_up_at_a_command_is_told() {
    let (mut serial, mut end, _) = line();
    let peer = thread::spawn(move || {
        end.read_exact(&mut [0; 3]).expect("the client is there");
        end.write_all(b"\r\nRI").expect("the client is there");
    });
    let modem = Modem::new().command("AT", "OK", LONG);
    let error = serial.dial(&modem, soon()).expect_err("hung up");
    peer.join().expect("it has ended");
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert!(error.to_string().ends_with("the modem at AT: the line was hung up"), "{error}");
}

#[test]
fn a_command_of_two_lines_is_an_error() {
    let (mut serial, _end, _) = line();
    let modem = Modem::new().command("AT\rATD", "OK", LONG);
    let error = serial.dial(&modem, soon()).expect_err("two lines");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn a_modem_that_says_anything_else_for_ever_is_not_heard_for_ever() {
    let (mut serial, mut end, _) = line();
    let peer = thread::spawn(move || {
        let mut command = [0; 3];
        end.read_exact(&mut command).expect("the client is there");
        for _ in 0..150 {
            end.write_all(b"\r\nRING\r\n").expect("the line is there");
        }
        end
    });
    let modem = Modem::new().command("AT", "OK", LONG);
    let error = serial.dial(&modem, soon()).expect_err("no answer");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    drop(peer.join().expect("it was heard"));
}
