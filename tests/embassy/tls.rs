//! `tls`: a whole life over embedded-tls, and brokers that cannot prove who they are.

use mqtt_core::QoS;
use system_tests::{SOON, Subscriber};
use tempfile::TempDir;
use test_kit::certificates::{Authority, Identity};

use super::device::{Device, Seen, WITNESS, start_again};
use super::secured::{HOST, Secured};

const PROGRAM: &str = "tls";

/// Starts the device, which trusts `authority` only.
#[track_caller]
fn device(broker: &Secured, authority: &Authority, count: usize, more: &[&str]) -> Device {
    let file = broker.file("authority.der", authority.der());
    let file = file.to_str().expect("a path of text");
    let args = [&["--ca", file][..], more].concat();
    Device::start(PROGRAM, broker.broker.address(), count, &args)
}

/// A broker with this certificate, of which the device says this, and never sends its CONNECT.
#[track_caller]
fn is_refused(identity: &Identity, authority: &Authority, more: &[&str], why: &str) {
    let broker = Secured::start(identity, &[]);
    let device = device(&broker, authority, 1, more);
    device.output().wait(why, SOON);
    // A second attempt ends in the same way.
    let _ = device.output().nth(2, why, SOON);
    assert_eq!(broker.broker.log().count("Received CONNECT from d"), 0);
}

const NOT_TRUSTED: &str = "down: the broker's certificate was not accepted";

/// A broker that takes TLS on its port, and the witness on a Unix socket: mosquitto_sub ends if its TLS connection does.
#[track_caller]
fn broker_and_witness(authority: &Authority) -> (Secured, TempDir, Subscriber) {
    let folder = TempDir::with_prefix("witness-").expect("a temporary folder");
    let socket = folder.path().join("socket");
    let socket = socket.to_str().expect("a path of text");
    let listener = format!("listener 0 {socket}");
    let broker = Secured::start(&authority.server(&[HOST]), &[&listener]);
    let witness = Subscriber::new(&broker.broker, WITNESS).filter("d/#", QoS::AtMostOnce);
    let witness = witness.args(["--unix", socket]).start();
    (broker, folder, witness)
}

#[test]
fn every_message_arrives_once_over_tls() {
    let authority = Authority::new("authority");
    let (broker, _folder, witness) = broker_and_witness(&authority);
    let device = device(&broker, &authority, 50, &[]);
    let mut seen = Seen::default();
    seen.take_all(&witness);
    seen.check_all_once(50, &device.outcomes());
}

#[test]
fn a_broker_that_is_killed_and_started_again_costs_only_what_is_told_over_tls() {
    let authority = Authority::new("authority");
    let (mut broker, _folder, witness) = broker_and_witness(&authority);
    let device = device(&broker, &authority, 150, &[]);
    let mut seen = Seen::default();
    seen.take(&witness, |seen| seen.counters.last().is_some_and(|last| *last >= 60));
    broker.broker.kill();
    start_again(&mut broker.broker, &device);
    seen.take_all(&witness);
    seen.check(150, &device.outcomes());
}

#[test]
fn a_certificate_of_another_authority_is_refused() {
    let (ours, theirs) = (Authority::new("authority"), Authority::new("authority"));
    is_refused(&theirs.server(&[HOST]), &ours, &[], NOT_TRUSTED);
}

#[test]
fn a_certificate_of_another_name_is_refused() {
    let authority = Authority::new("authority");
    let args = ["--name", "other.example"];
    is_refused(&authority.server(&[HOST]), &authority, &args, NOT_TRUSTED);
}

#[test]
fn a_certificate_out_of_its_time_is_refused() {
    let authority = Authority::new("authority");
    is_refused(&authority.expired_server(&[HOST]), &authority, &[], NOT_TRUSTED);
    is_refused(&authority.future_server(&[HOST]), &authority, &[], NOT_TRUSTED);
}

/// Whether another certificate may sign is not checked, so none stands between.
#[test]
fn more_than_one_certificate_is_refused() {
    let authority = Authority::new("authority");
    let Identity { certificate, key } = authority.server(&[HOST]);
    let chain = Identity { certificate: certificate + authority.pem(), key };
    is_refused(&chain, &authority, &[], NOT_TRUSTED);
}
