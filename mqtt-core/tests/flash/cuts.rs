//! Power fails at every single operation of the flash: no confirmed record is lost, and no record is there in part.

use mqtt_core::{
    QoS,
    driver::journal::{ReplayError, flash::FlashError},
};

use crate::{
    device::{Device, options, session, snapshot},
    nor::{Nor, PowerCut, Tear},
};

const OUTBOX: usize = 240;
const WINDOW: usize = 3;
/// `scratch_len(OUTBOX, WINDOW)`.
const SCRATCH: usize = 320;

type Small<const READ: usize, const WORD: usize, const PAGE: usize> =
    Device<READ, WORD, PAGE, SCRATCH>;

fn device<const READ: usize, const WORD: usize, const PAGE: usize>(
    flash: Nor<READ, WORD, PAGE>,
) -> Small<READ, WORD, PAGE> {
    Device::new(&options(), OUTBOX, WINDOW, flash)
}

/// Some of everything that is recorded, in records with one item and with several. `salt` varies their lengths. The
/// conversation stops when power fails.
fn conversation<const READ: usize, const WORD: usize, const PAGE: usize>(
    device: &mut Small<READ, WORD, PAGE>,
    (rounds, salt): (u8, usize),
) {
    let mut talk = || {
        device.try_drive()?;
        device.subscribe();
        device.try_drive()?;
        for round in 0..rounds {
            device.publish(&vec![round; 20 + salt % 13], QoS::AtLeastOnce).unwrap();
            device.publish(&vec![round; 9 + salt % 7], QoS::ExactlyOnce).unwrap();
            device.client.set_position(round.into());
            device.try_drive()?;
            device.millis += 2_000;
            device.try_drive()?;
            device.publish(&vec![round; 130 + salt % 20], QoS::ExactlyOnce).unwrap();
            device.hear(0x700 + u16::from(round), &[round]);
            device.try_drive()?;
        }
        Ok::<(), FlashError<_>>(())
    };
    let _ = talk();
}

/// Cuts power at every operation, and then at every operation of the recovery.
fn survives_every_cut<const READ: usize, const WORD: usize, const PAGE: usize>(
    pages: usize,
    talk: (u8, usize),
) {
    let mut whole = device(Nor::<READ, WORD, PAGE>::new(pages));
    conversation(&mut whole, talk);
    let sessions: Vec<Vec<u8>> = (0..=whole.records.len())
        .map(|count| session(&whole.records[..count], OUTBOX, WINDOW))
        .collect();
    let flash = whole.journal.into_parts().0;
    let moved = flash.erasures.iter().take(pages / 2 * 2).all(|count| *count > 0);
    assert!(moved, "not there and back: {:?}", flash.erasures);
    for at in 0..flash.operations {
        for &tear in Tear::all(flash.erasing.contains(&at), WORD) {
            let mut device = device(Nor::<READ, WORD, PAGE>::new(pages).stopping(at, tear));
            conversation(&mut device, talk);
            let confirmed = device.records.len();
            assert!(device.under_way.is_some(), "all is written for a record");
            let (mut device, records) = recovered(device.journal.into_parts().0, tear);
            let found = snapshot(&mut device.client);
            let right = sessions[confirmed] == found || sessions[confirmed + 1] == found;
            assert!(right, "{talk:?}, operation {at}, {tear:?}, {confirmed} confirmed");
            goes_on(device, records, at);
        }
    }
}

/// Power fails again and again during the recovery, each time one operation later.
fn recovered<const READ: usize, const WORD: usize, const PAGE: usize>(
    mut flash: Nor<READ, WORD, PAGE>,
    tear: Tear,
) -> (Small<READ, WORD, PAGE>, Vec<Vec<u8>>) {
    for nth in 0.. {
        let mut again = device(flash.restarted().stopping(nth, tear));
        match again.replay() {
            Ok(records) => return (again, records),
            Err(error) => assert_eq!(error, ReplayError::Medium(FlashError::Flash(PowerCut))),
        }
        flash = again.journal.into_parts().0;
    }
    unreachable!("the recovery ends at some time");
}

/// Records that are written after a power cut are there after the next one.
fn goes_on<const READ: usize, const WORD: usize, const PAGE: usize>(
    device: Small<READ, WORD, PAGE>,
    mut records: Vec<Vec<u8>>,
    at: u64,
) {
    let mut device = self::device(device.journal.into_parts().0.restarted());
    device.replay().unwrap();
    device.peer.present = true;
    device.client.set_position(1_000 + at);
    device.drive();
    records.append(&mut device.records);
    let mut again = self::device(device.journal.into_parts().0);
    again.replay().unwrap();
    assert_eq!(again.client.position(), 1_000 + at);
    assert_eq!(snapshot(&mut again.client), session(&records, OUTBOX, WINDOW));
}

/// As a serial NOR chip, with small pages.
#[test]
fn every_cut_is_survived_with_words_of_1_byte() {
    survives_every_cut::<1, 1, 128>(16, (4, 0));
}

/// As the flash of a Nordic nRF52.
#[test]
fn every_cut_is_survived_with_words_of_4_bytes() {
    survives_every_cut::<4, 4, 512>(6, (6, 0));
}

/// As the flash of an STM32L4: each word has a checksum of its own.
#[test]
fn every_cut_is_survived_with_words_of_8_bytes() {
    survives_every_cut::<1, 8, 1024>(5, (12, 0));
}

/// As the flash of an STM32H7: two large pages.
#[test]
fn every_cut_is_survived_with_words_of_32_bytes_and_one_page_for_each_half() {
    survives_every_cut::<4, 32, 4096>(2, (14, 0));
}

#[test]
fn every_cut_is_survived_if_reads_are_wider_than_writes() {
    survives_every_cut::<8, 2, 256>(12, (6, 0));
}

#[test]
#[ignore = "takes many minutes"]
fn every_cut_is_survived_with_records_of_many_lengths() {
    for salt in 1..20 {
        survives_every_cut::<1, 1, 128>(16, (4, salt));
        survives_every_cut::<4, 4, 512>(6, (6, salt));
        survives_every_cut::<1, 8, 1024>(4, (12, salt));
        survives_every_cut::<4, 32, 4096>(2, (14, salt));
        survives_every_cut::<8, 2, 256>(12, (6, salt));
    }
}
