//! The slots of a device that has power: which image runs, and which is refused.

use ed25519_dalek::SigningKey;
use embedded_storage::nor_flash::ReadNorFlash;

use super::*;
use crate::{
    chunk::ChunkHeader,
    nor::{Cells, Nor, NorError, Ram},
    reception::Taken,
};

/// Sectors of 512 bytes and units of 8: six sectors for an image.
pub(super) type Flash = Nor<Ram<8_192>, 512, 8>;

pub(super) fn key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

pub(super) fn product() -> Product {
    "meter".parse().expect("a name")
}

pub(super) fn slots(flash: Flash) -> Slots<Flash> {
    Slots::new(flash, key().verifying_key()).expect("room")
}

/// An image of this version, whose bytes no other version has, and its manifest.
pub(super) fn image(major: u16, len: usize) -> (Vec<u8>, Manifest) {
    let bytes: Vec<u8> = (0..len).map(|at| (at as u8).wrapping_mul(major as u8 * 2 + 1)).collect();
    let version = Version { major, minor: 0, patch: 0 };
    let manifest = Manifest::of_image(product(), version, 512, &bytes);
    (bytes, manifest)
}

/// The chunk `number` as a message.
pub(super) fn message(image: &(Vec<u8>, Manifest), number: u32) -> Vec<u8> {
    let (bytes, manifest) = image;
    let bytes = bytes.get(manifest.range(number).expect("a chunk")).expect("it is as long");
    [&ChunkHeader::of(manifest, number, bytes).encode()[..], bytes].concat()
}

/// Gives a message in pieces of `piece` bytes.
fn give(
    reception: &mut Reception,
    slots: &mut Slots<Flash>,
    message: &[u8],
    piece: usize,
) -> Result<Taken, Error<NorError<core::convert::Infallible>>> {
    reception.start();
    for piece in message.chunks(piece) {
        reception.bytes(slots, piece)?;
    }
    reception.end(slots)
}

/// Receives an image, boots it, and confirms it.
fn update(
    slots: &mut Slots<Flash>,
    running: Option<&Running>,
    image: &(Vec<u8>, Manifest),
) -> Running {
    receive(slots, running, image);
    let mut running = slots.boot().expect("flash").expect("an image");
    assert!(running.trial);
    assert_eq!(running.manifest, image.1);
    slots.confirm(&mut running).expect("flash");
    running
}

fn receive(slots: &mut Slots<Flash>, running: Option<&Running>, image: &(Vec<u8>, Manifest)) {
    let mut reception = slots.begin(&image.1.sign(&key()), product(), running).expect("taken");
    for number in 0..image.1.chunks() {
        assert_eq!(give(&mut reception, slots, &message(image, number), 100), Ok(Taken::Stored));
    }
    assert!(reception.finish(slots, |_| ()).expect("flash"));
}

/// The bytes of a slot.
pub(super) fn bytes(slots: &mut Slots<Flash>, slot: Slot, len: usize) -> Vec<u8> {
    let (mut bytes, at) = (vec![0; len], slots.layout.data(slot));
    slots.flash.read(at, &mut bytes).expect("inside");
    bytes
}

#[test]
fn images_alternate_between_the_slots_and_the_last_confirmed_one_boots() {
    let mut slots = slots(Nor::new(Ram::erased()));
    assert_eq!(slots.boot(), Ok(None));
    let mut running: Option<Running> = None;
    for version in 1..6 {
        let image = image(version, 2_300);
        let next = update(&mut slots, running.as_ref(), &image);
        assert_eq!(next.slot, if version % 2 == 1 { Slot::A } else { Slot::B });
        assert_eq!(bytes(&mut slots, next.slot, 2_300), image.0);
        assert_eq!(slots.boot(), Ok(Some(next.clone())));
        running = Some(next);
    }
}

#[test]
fn a_chunk_comes_in_pieces_of_any_length() {
    for piece in [1, 3, 7, 8, 9, 55, 56, 57, 63, 64, 500, 4_096] {
        let mut slots = slots(Nor::new(Ram::erased()));
        let image = image(1, 1_531);
        let mut reception = slots.begin(&image.1.sign(&key()), product(), None).expect("taken");
        for number in 0..3 {
            let taken = give(&mut reception, &mut slots, &message(&image, number), piece);
            assert_eq!(taken, Ok(Taken::Stored), "pieces of {piece}");
        }
        assert_eq!(reception.finish(&mut slots, |_| ()), Ok(true), "pieces of {piece}");
    }
}

#[test]
fn an_image_that_is_not_confirmed_in_three_boots_is_rejected_and_not_received_again() {
    let mut slots = slots(Nor::new(Ram::erased()));
    let first = update(&mut slots, None, &image(1, 600));
    let bad = image(2, 700);
    receive(&mut slots, Some(&first), &bad);
    let mut boot = || slots.boot().expect("flash").expect("an image");
    let [trial, again, once_more] = [boot(), boot(), boot()];
    assert!(trial.trial && again == trial && once_more == trial);
    let third = image(3, 600).1.sign(&key());
    let refused = slots.begin(&third, product(), Some(&trial)).expect_err("on trial");
    assert_eq!(refused, Refused::OnTrial.into());
    let back = slots.boot().expect("flash").expect("an image");
    assert_eq!(back, Running { rolled_back: Some(bad.1.version), ..first.clone() });
    assert_eq!(slots.boot(), Ok(Some(first.clone())), "it is told once");
    let refused = slots.begin(&bad.1.sign(&key()), product(), Some(&back)).expect_err("it failed");
    assert_eq!(refused, Refused::Failed.into());
    let _third = update(&mut slots, Some(&back), &image(3, 600));
}

#[test]
fn the_only_image_stays_on_trial_until_it_is_confirmed() {
    let mut slots = slots(Nor::new(Ram::erased()));
    receive(&mut slots, None, &image(1, 600));
    for _ in 0..10 {
        let running = slots.boot().expect("flash").expect("an image");
        assert!(running.trial);
    }
}

#[test]
fn flash_that_loses_a_bit_of_the_image_boots_the_other_one() {
    let mut slots = slots(Nor::new(Ram::erased()));
    let first = update(&mut slots, None, &image(1, 600));
    let second = update(&mut slots, Some(&first), &image(2, 600));
    let at = slots.layout.data(second.slot) + 599;
    slots.flash.cells().store(at, &[0]).expect("RAM");
    assert_eq!(slots.boot(), Ok(Some(first)));
}

#[test]
fn manifests_that_this_device_does_not_take_are_refused_with_the_reason() {
    let mut slots = slots(Nor::new(Ram::erased()));
    let running = update(&mut slots, None, &image(5, 600));
    let mut refused = |manifest: Manifest, key: &SigningKey| {
        let begun = slots.begin(&manifest.sign(key), product(), Some(&running));
        match begun.expect_err("refused") {
            BeginError::Refused(refused) => refused,
            BeginError::Slots(error) => panic!("{error}"),
        }
    };
    let good = image(6, 600).1;
    let forged = refused(good, &SigningKey::from_bytes(&[2; 32]));
    assert_eq!(forged, Refused::Manifest(ManifestError::Signature));
    let pump: Product = "pump".parse().expect("a name");
    assert_eq!(refused(Manifest { product: pump, ..good }, &key()), Refused::Product(pump));
    let current = running.manifest.version;
    assert_eq!(refused(running.manifest, &key()), Refused::Current(current));
    let older = image(4, 600).1;
    let wanted = Refused::Older { running: current, offered: older.version };
    assert_eq!(refused(older, &key()), wanted);
    let size = 6 * 512 + 1;
    let large = Refused::TooLarge { size, room: 6 * 512 };
    assert_eq!(refused(Manifest { size, ..good }, &key()), large);
    let wanted = Refused::ChunkSize { chunk: 500, sector: 512 };
    assert_eq!(refused(Manifest { chunk_size: 500, ..good }, &key()), wanted);
}

#[test]
fn a_reception_goes_on_where_it_was_after_a_restart() {
    let mut slots = slots(Nor::new(Ram::erased()));
    let image = image(1, 2_300);
    let signed = image.1.sign(&key());
    for number in 0..5 {
        let mut reception = slots.begin(&signed, product(), None).expect("taken");
        assert_eq!(reception.next(), number);
        let _ = give(&mut reception, &mut slots, &message(&image, number), 64).expect("flash");
    }
    assert!(slots.begin(&signed, product(), None).expect("taken").is_complete());
}

#[test]
fn chunks_that_are_known_damaged_early_or_foreign_change_nothing() {
    let mut slots = slots(Nor::new(Ram::erased()));
    let image = image(1, 2_300);
    let mut reception = slots.begin(&image.1.sign(&key()), product(), None).expect("taken");
    let chunks = [0, 1, 2, 3, 4].map(|number| message(&image, number));
    let changed = |number: u32, place: usize| {
        let mut message = message(&image, number);
        message.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 1);
        message
    };
    let [first, second, third, fourth, fifth] = &chunks;
    for (message, taken) in [
        (first.clone(), Taken::Stored),
        (first.clone(), Taken::Known),
        (third.clone(), Taken::Gap),
        (changed(1, 0), Taken::Foreign),
        (changed(1, 4), Taken::Foreign),
        (changed(1, 15), Taken::Damaged),
        (changed(1, 16), Taken::Damaged),
        (changed(1, 20), Taken::Damaged),
        (changed(1, 24), Taken::Damaged),
        (changed(1, 300), Taken::Damaged),
        ([&second[..], &[0]].concat(), Taken::Damaged),
        (second.split_at(500).0.to_vec(), Taken::Damaged),
        (second.split_at(20).0.to_vec(), Taken::Foreign),
        (Vec::new(), Taken::Foreign),
        (second.clone(), Taken::Stored),
        (third.clone(), Taken::Stored),
        (fourth.clone(), Taken::Stored),
        (changed(4, 100), Taken::Damaged),
        (fifth.clone(), Taken::Stored),
    ] {
        assert_eq!(give(&mut reception, &mut slots, &message, 64), Ok(taken));
    }
    assert_eq!(reception.finish(&mut slots, |_| ()), Ok(true));
}

#[test]
fn an_image_with_another_hash_is_refused_and_may_be_received_again() {
    let mut slots = slots(Nor::new(Ram::erased()));
    let running = update(&mut slots, None, &image(1, 600));
    let good = image(2, 1_000);
    let signed = good.1.sign(&key());
    let mut bad = good.clone();
    bad.0.iter_mut().skip(700).take(1).for_each(|byte| *byte ^= 1);
    let mut reception = slots.begin(&signed, product(), Some(&running)).expect("taken");
    for number in 0..2 {
        let taken = give(&mut reception, &mut slots, &message(&bad, number), 64);
        assert_eq!(taken, Ok(Taken::Stored), "the chunks have hashes of their own");
    }
    assert_eq!(reception.finish(&mut slots, |_| ()), Ok(false));
    assert_eq!(slots.boot(), Ok(Some(running.clone())));
    let _second = update(&mut slots, Some(&running), &good);
}

#[test]
fn slots_believe_the_key_of_the_device_alone() {
    let mut own = slots(Nor::new(Ram::erased()));
    let _running = update(&mut own, None, &image(1, 600));
    let other = SigningKey::from_bytes(&[2; 32]);
    let mut others = Slots::new(own.flash, other.verifying_key()).expect("room");
    assert_eq!(others.boot(), Ok(None));
}
