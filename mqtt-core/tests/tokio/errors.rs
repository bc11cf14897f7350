//! A start that fails is the same error as that of the client for threads.

use std::{pin::pin, thread};

use mqtt_core::{
    Options,
    driver::{
        blocking,
        tokio::{Client, Config, Error},
    },
};

use crate::peer::{Peer, listen, options, poll_once};

async fn both(config: impl Fn() -> Config<'static>, brokers: &[&str]) -> [Error; 2] {
    let task = Client::connect(config(), brokers).await.unwrap_err();
    let owned: Vec<String> = brokers.iter().map(ToString::to_string).collect();
    let config = config();
    let brokers: Vec<&str> = owned.iter().map(String::as_str).collect();
    [config.connect(&brokers).unwrap_err(), task]
}

fn plain() -> Config<'static> {
    Config::new(&options())
}

#[tokio::test]
async fn an_address_that_is_not_possible() {
    let errors = both(plain, &["mqtt://a:b:c"]).await;
    assert!(matches!(errors, [Error::Address { .. }, Error::Address { .. }]), "{errors:?}");
    assert_eq!(errors[0].to_string(), errors[1].to_string());
}

#[tokio::test]
async fn options_that_are_not_possible() {
    let errors = both(|| plain().outbox(1), &["localhost"]).await;
    assert!(matches!(errors, [Error::Config(_), Error::Config(_)]), "{errors:?}");
    assert_eq!(errors[0].to_string(), errors[1].to_string());
}

#[tokio::test]
async fn a_journal_that_is_missing() {
    let errors = both(|| Config::new(&options().journal(true)), &["localhost"]).await;
    assert!(matches!(errors, [Error::NoJournal, Error::NoJournal]), "{errors:?}");
}

#[tokio::test]
async fn a_broker_that_cannot_be_reached() {
    let (listener, address) = listen();
    drop(listener);
    let errors = both(plain, &[&address]).await;
    for error in &errors {
        let Error::Io { broker, error } = error else { panic!("{error}") };
        assert_eq!((broker, error.kind()), (&address, std::io::ErrorKind::ConnectionRefused));
    }
}

#[tokio::test]
async fn a_connection_that_is_refused() {
    let (listener, address) = listen();
    let peer = thread::spawn(move || {
        for _ in 0..2 {
            let mut peer = Peer::accept(&listener);
            peer.expect("Connect");
            peer.send(&[0x20, 2, 0, 5]);
        }
    });
    let [thread, task] = both(plain, &[&address]).await;
    let (Error::NotConnected(one), Error::NotConnected(other)) = (&thread, &task) else {
        panic!("{thread} {task}")
    };
    assert_eq!(one, other);
    peer.join().unwrap();
}

#[cfg(not(feature = "tls"))]
#[tokio::test]
async fn a_transport_that_this_program_does_not_have() {
    let errors = both(plain, &["mqtts://localhost"]).await;
    assert!(matches!(errors, [Error::NoTransport { .. }, Error::NoTransport { .. }]), "{errors:?}");
}

#[test]
fn a_start_outside_of_a_runtime() {
    let config = Config::new(&Options::new("me"));
    let mut connecting = pin!(Client::connect(config, &["localhost"]));
    let std::task::Poll::Ready(Err(error)) = poll_once(connecting.as_mut()) else { panic!() };
    assert!(error.to_string().starts_with("this program: "), "{error}");
}

const _: fn(blocking::Error) -> Error = |same| same;
