//! The conversations with each broker that is here, and the table of differences, `brokers.md`.
//!
//! A difference that is not known fails. So does a known one that is gone, and a section of the table that is not as
//! this run would write it, but only if the broker has the version of the table. `cargo xtask brokers` installs the
//! brokers and writes the table.

use std::env;
use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use system_tests::SOON;
use system_tests::brokers::ENGINES;
use system_tests::conversations::{self, blocking, in_table, judge, section};
use system_tests::transports::{Kind, Transport};

/// Set by `cargo xtask brokers`: the folder for the sections of the table, which are then not compared.
const SECTIONS: &str = "BROKERS_SECTIONS";

#[track_caller]
fn converse(name: &str) {
    let engine = ENGINES.iter().find(|engine| engine.name == name).expect("it is one of them");
    let version = match (engine.version)() {
        Ok(version) => version,
        Err(why) => {
            println!("{name} is not here: {why}");
            return;
        }
    };
    let list = conversations::all();
    let tcp = Transport::new(Kind::Tcp).expect("it needs no program");
    let mut broker = (engine.start)();
    let verdicts = conversations::hold(&list, engine, &mut *broker, &|broker, options| {
        blocking(&tcp, broker, options)
    });
    let address = broker.address();
    drop(broker);
    // A start script ends before the broker that it has started.
    let limit = Instant::now() + SOON;
    while TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < limit, "{name} has not ended");
        thread::sleep(Duration::from_millis(5));
    }
    for verdict in &verdicts {
        println!("{:7.3} s  {}", verdict.took.as_secs_f32(), verdict.conversation);
        for (what, took) in &verdict.measured {
            println!("{:11.3} s  {what}", took.as_secs_f32());
        }
    }
    let surprises = judge(engine.known, &verdicts);
    assert!(
        surprises.new.is_empty(),
        "{name} {version} differs in a new way: {:#?}",
        surprises.new
    );

    let section = section(engine, &version, &verdicts);
    if let Some(folder) = env::var_os(SECTIONS) {
        let place = ENGINES.iter().position(|other| other.name == name).unwrap_or_default();
        let file = Path::new(&folder).join(format!("{place}.md"));
        fs::write(file, &section).expect("the folder is writable");
    }
    let table = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../brokers.md"));
    let table = table.unwrap_or_default();
    match in_table(&table, engine) {
        Some((known, _)) if known != version => {
            println!(
                "the table is about {name} {known}, and this is {version}. Gone: {:#?}",
                surprises.gone
            );
        }
        other => {
            assert!(
                surprises.gone.is_empty(),
                "{name} {version} no longer differs: {:#?}",
                surprises.gone
            );
            let same =
                other.is_some_and(|(_, known)| known == section) || env::var_os(SECTIONS).is_some();
            assert!(
                same,
                "brokers.md is not as this run has it; `cargo xtask brokers` writes it\n{section}"
            );
        }
    }
}

#[test]
fn mosquitto_talks_as_the_table_says() {
    converse("Mosquitto");
}

#[test]
fn nats_talks_as_the_table_says() {
    converse("NATS");
}

#[test]
fn rabbitmq_talks_as_the_table_says() {
    converse("RabbitMQ");
}

#[test]
fn aedes_talks_as_the_table_says() {
    converse("aedes");
}

#[test]
fn amqtt_talks_as_the_table_says() {
    converse("amqtt");
}

#[test]
fn rumqttd_talks_as_the_table_says() {
    converse("rumqttd");
}

#[test]
fn mosquitto_and_two_other_brokers_are_here() {
    let (mut here, mut missing) = (Vec::new(), Vec::new());
    for engine in ENGINES {
        match (engine.version)() {
            Ok(_) => here.push(engine.name),
            Err(why) => missing.push(why),
        }
    }
    assert!(here.contains(&"Mosquitto") && here.len() >= 3, "only {here:?} are here: {missing:#?}");
}

#[test]
fn known_differences_name_conversations_that_exist() {
    let all = conversations::all();
    for engine in ENGINES {
        for name in engine.known.iter().flat_map(|known| known.conversations) {
            assert!(
                all.iter().any(|conversation| conversation.name == *name),
                "{}: {name}",
                engine.name
            );
        }
    }
}
