//! The fuzz bodies run over their checked-in corpora, so that every compiler runs them and every known crash stays
//! fixed.

use std::{fs, path::Path};

#[test]
fn client_holds_over_its_corpus() {
    assert!(over_corpus("client", fuzz_bodies::client) >= 55);
}

#[test]
fn decode_holds_over_its_corpus() {
    assert!(over_corpus("decode", fuzz_bodies::decode) >= 70);
}

#[test]
fn journal_holds_over_its_corpus() {
    assert!(over_corpus("journal", fuzz_bodies::journal) >= 23);
}

#[test]
fn topic_holds_over_its_corpus() {
    assert!(over_corpus("topic", fuzz_bodies::topic) >= 30);
}

#[test]
fn watchdog_holds_over_its_corpus() {
    assert!(over_corpus("watchdog", fuzz_bodies::watchdog) >= 25);
}

/// Runs `body` over each file. Returns the number of files. If it fails, the file printed last is the cause.
fn over_corpus(target: &str, body: fn(&[u8])) -> usize {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let files: Vec<_> = fs::read_dir(corpus)
        .expect("the corpus is checked in")
        .map(|entry| entry.expect("the folder can be read").path())
        .collect();
    for file in &files {
        println!("{}", file.display());
        body(&fs::read(file).expect("the file can be read"));
    }
    files.len()
}
