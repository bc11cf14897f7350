//! Which records are kept and which are refused, without power cuts.

use mqtt_core::{
    Action, Instant, QoS, RestoreError,
    driver::journal::{
        Journal, ReplayError,
        flash::{FlashConfigError, FlashError, FlashJournal, Scratch, scratch_len},
    },
};

use test_kit::record::bytes_of;

use crate::{
    device::{Device, now, options, run, session, snapshot},
    nor::{Nor, PowerCut, Stop, Tear},
};

const OUTBOX: usize = 1024;
const WINDOW: usize = 4;
const SCRATCH: usize = scratch_len(OUTBOX, WINDOW);
/// Bytes of a page, and the number of pages.
const PAGE: usize = 1024;
const PAGES: usize = 8;

type Chip = Nor<1, 4, PAGE>;
type Kept = Device<1, 4, PAGE, SCRATCH>;

fn device(flash: Chip) -> Kept {
    Device::new(&options(), OUTBOX, WINDOW, flash)
}

fn restarted(device: Kept) -> Kept {
    self::device(device.journal.into_parts().0.restarted())
}

/// Appends the next record of the client, and confirms it.
fn append(device: &mut Kept) -> Result<(), FlashError<PowerCut>> {
    loop {
        match device.client.poll(Instant::from_millis(0)) {
            Action::Connect { .. } => {}
            Action::Persist(record) => {
                let bytes = bytes_of(&record);
                now(device.journal.append(&record))?;
                device.client.persisted();
                device.records.push(bytes);
                return Ok(());
            }
            action => panic!("{action:?}"),
        }
    }
}

#[test]
fn an_erased_flash_is_an_empty_journal() {
    let mut device = device(Nor::new(PAGES));
    assert_eq!(device.replay().unwrap(), Vec::<Vec<u8>>::new());
    assert!(!device.journal.is_long());
    assert_eq!(device.flash().operations, 0, "and nothing is written");
}

#[test]
fn a_record_longer_than_a_page_comes_back_as_it_was() {
    let mut device = device(Nor::new(PAGES));
    device.publish(&[b'x'; 900], QoS::ExactlyOnce).unwrap();
    append(&mut device).unwrap();
    device.client.set_position(1);
    append(&mut device).unwrap();
    let records = device.records.clone();
    assert!(records[0].len() > 900);
    let mut again = restarted(device);
    assert_eq!(again.replay().unwrap(), records);
    assert_eq!((again.client.in_flight(), again.client.position()), (1, 1));
}

/// The records move between the halves many times, and the session is still the one that all records restore.
#[test]
fn a_long_journal_restores_the_session_from_its_last_records() {
    let mut device = device(Nor::new(PAGES));
    device.drive();
    for round in 0..300_u16 {
        device.publish(&[b'x'; 30], QoS::ExactlyOnce).unwrap();
        device.publish(&[b'y'; 3], QoS::AtLeastOnce).unwrap();
        device.hear(round + 1, b"z");
        device.client.set_position(round.into());
        device.drive();
        if round % 7 == 0 {
            let expected = session(&device.records, OUTBOX, WINDOW);
            let mut again = self::device(device.flash().clone());
            let records = again.replay().unwrap();
            assert!(records.len() < 150, "the old ones are gone");
            assert_eq!(snapshot(&mut again.client), expected);
        }
    }
    assert!(device.flash().erasures.iter().all(|count| *count > 5));
}

#[test]
fn a_restart_does_not_change_how_much_fits() {
    let fill = |restart: bool| {
        let mut device = device(Nor::new(PAGES));
        for round in 0..1_000_u64 {
            if round % 5 == 1 && restart {
                let records = std::mem::take(&mut device.records);
                device = restarted(device);
                device.replay().unwrap();
                device.records = records;
            }
            // Short ones and, now and then, one of several items.
            let window_is_free = device.client.in_flight() < WINDOW - 1;
            if round % 13 == 0 && window_is_free {
                device.publish(&vec![b'x'; 100 + 11 * round as usize], QoS::AtLeastOnce).unwrap();
            }
            device.client.set_position(round);
            if let Err(error) = append(&mut device) {
                assert_eq!(error, FlashError::Full);
                return (round, device.records);
            }
        }
        panic!("never full");
    };
    let ((whole, records), (parts, _)) = (fill(false), fill(true));
    // A restarted client records that it was connected before, in a byte that is there anyway.
    assert_eq!(whole, parts);
    let bytes: usize = records.iter().map(Vec::len).sum();
    assert!(bytes > PAGE * PAGES / 2 / 2, "half of a half is in use: {bytes}");
}

#[test]
fn a_journal_that_was_not_compacted_in_time_is_full_until_it_is() {
    let mut device = device(Nor::new(PAGES));
    let mut long_at = None;
    let full_at = (0..1_000).find(|round| {
        device.client.set_position(*round);
        if device.journal.is_long() {
            long_at.get_or_insert(*round);
        }
        append(&mut device).is_err()
    });
    assert!(long_at.unwrap() < full_at.unwrap());
    device.client.compact();
    append(&mut device).unwrap();
    assert!(!device.journal.is_long());
    let mut again = restarted(device);
    assert_eq!(again.replay().unwrap().len(), 1);
    assert_eq!(again.client.position(), full_at.unwrap());
}

#[test]
fn a_snapshot_finds_room_however_often_power_fails_while_it_is_written() {
    let mut device = device(Nor::new(PAGES));
    device.publish(&[b'x'; 900], QoS::ExactlyOnce).unwrap();
    append(&mut device).unwrap();
    for position in 0.. {
        device.client.set_position(position);
        append(&mut device).unwrap();
        if device.journal.is_long() {
            break;
        }
    }
    let expected = session(&device.records, OUTBOX, WINDOW);
    for nth in 0..100 {
        let flash = device.journal.into_parts().0.stopping(20 + nth % 200, Tear::Front);
        device = self::device(flash);
        if device.replay().is_ok() {
            device.client.compact();
            assert_eq!(append(&mut device), Err(FlashError::Flash(PowerCut)));
        }
    }
    device = restarted(device);
    device.replay().unwrap();
    device.client.compact();
    append(&mut device).unwrap();
    assert!(!device.journal.is_long());
    let mut again = restarted(device);
    again.replay().unwrap();
    assert_eq!(snapshot(&mut again.client), expected);
}

/// A snapshot for another reason, such as a new session, does not move the journal to its other half.
#[test]
fn a_snapshot_that_is_not_due_is_a_record_among_others() {
    let mut device = device(Nor::new(PAGES));
    for _ in 0..5 {
        device.client.compact();
        append(&mut device).unwrap();
    }
    assert_eq!(device.flash().erasures, [0; PAGES]);
    assert_eq!(restarted(device).replay().unwrap().len(), 5);
}

#[test]
fn a_dropped_future_is_a_power_cut() {
    let operations = {
        let mut device = device(Nor::new(PAGES));
        device.publish(&[b'x'; 300], QoS::ExactlyOnce).unwrap();
        append(&mut device).unwrap();
        device.flash().operations
    };
    for at in 0..operations {
        let mut device = device(Nor::new(PAGES));
        device.publish(&[b'x'; 300], QoS::ExactlyOnce).unwrap();
        let (mut flash, scratch) = device.journal.into_parts();
        flash.stop = Some(Stop::Hang(at));
        device.journal = FlashJournal::new(flash, 0..(PAGE * PAGES) as u32, scratch).unwrap();
        let now_is = Instant::from_millis(0);
        assert_eq!(device.client.poll(now_is), Action::Connect { endpoint: 0 });
        let Action::Persist(record) = device.client.poll(now_is) else { panic!("a record is due") };
        assert_eq!(run(device.journal.append(&record)), None, "it never ends");
        append(&mut device).unwrap();
        let mut again = restarted(device);
        again.replay().unwrap();
        assert_eq!(again.client.in_flight(), 1, "{at}");
    }
}

/// Every single flipped bit is detected or harmless.
#[test]
fn damage_is_an_error_and_no_damaged_record_is_restored() {
    let mut device = device(Nor::new(PAGES));
    device.publish(&[b'x'; 300], QoS::AtLeastOnce).unwrap();
    for position in 0..30 {
        device.client.set_position(position);
        append(&mut device).unwrap();
    }
    let records = device.records.clone();
    let flash = device.journal.into_parts().0;
    let end = flash.bytes.iter().rposition(|byte| *byte != 0xFF).unwrap();
    let mut damaged = 0;
    for at in 0..end {
        let mut flash = flash.clone();
        flash.bytes[at] ^= 0x10;
        match self::device(flash).replay() {
            Ok(found) => {
                let lost_last = found == records[..records.len() - 1];
                assert!(found == records || lost_last, "{at}");
            }
            Err(error) => {
                assert_eq!(error, ReplayError::Medium(FlashError::Damaged), "{at}");
                damaged += 1;
            }
        }
    }
    assert!(damaged > end / 2, "{damaged} of {end}");
}

#[test]
fn a_damaged_journal_can_be_begun_anew() {
    let mut device = device(Nor::new(PAGES));
    for position in 0..3 {
        device.client.set_position(position);
        append(&mut device).unwrap();
    }
    let mut flash = device.journal.into_parts().0;
    flash.bytes[PAGE / 64] ^= 1;
    let mut device = self::device(flash);
    assert_eq!(device.replay(), Err(ReplayError::Medium(FlashError::Damaged)));
    device.client.compact();
    assert_eq!(append(&mut device), Err(FlashError::Damaged));
    now(device.journal.clear()).unwrap();
    append(&mut device).unwrap();
    assert_eq!(restarted(device).replay().unwrap().len(), 1);
}

#[test]
fn a_record_that_the_client_refuses_is_numbered() {
    let mut device = device(Nor::new(PAGES));
    device.client.set_position(1);
    append(&mut device).unwrap();
    for _ in 0..3 {
        device.publish(b"x", QoS::AtLeastOnce).unwrap();
        append(&mut device).unwrap();
    }
    let flash = device.journal.into_parts().0;
    let mut small = Kept::new(&options(), OUTBOX, 2, flash);
    let error = RestoreError::Window { needed: 3, slots: 2 };
    assert_eq!(small.replay(), Err(ReplayError::Record { number: 3, error }));
}

#[test]
fn a_record_that_is_too_long_for_the_scratch_is_named() {
    let flash = Chip::new(PAGES);
    let mut small = FlashJournal::new(flash, 0..flash_len(), [0; 256]).unwrap();
    let mut device = device(Nor::new(PAGES));
    device.publish(&[b'x'; 500], QoS::AtLeastOnce).unwrap();
    let now_is = Instant::from_millis(0);
    assert_eq!(device.client.poll(now_is), Action::Connect { endpoint: 0 });
    let Action::Persist(record) = device.client.poll(now_is) else { panic!("a record is due") };
    let (needed, capacity) = (record.len(), 251);
    let error = FlashError::RecordTooLong { needed, capacity };
    assert_eq!(now(small.append(&record)), Err(error));
    assert_eq!(small.into_parts().0.operations, 0);
    append(&mut device).unwrap();
    let (flash, _) = device.journal.into_parts();
    let mut small = FlashJournal::new(flash, 0..flash_len(), [0; 256]).unwrap();
    assert!(matches!(
        now(small.read(|_| Ok(()))),
        Err(ReplayError::Medium(FlashError::RecordTooLong { needed: 252.., capacity: 251 }))
    ));
}

const fn flash_len() -> u32 {
    (PAGES * PAGE) as u32
}

#[test]
fn a_range_has_whole_pages() {
    for range in [1..flash_len(), 0..flash_len() - 4, PAGE as u32..0] {
        let journal = FlashJournal::new(Chip::new(PAGES), range.clone(), Scratch::<256>::new());
        let error = FlashConfigError::Range { page: PAGE as u32 };
        assert_eq!(journal.map(|_| ()), Err(error), "{range:?}");
    }
}

#[test]
fn a_range_has_room_for_two_of_the_longest_records_in_each_half() {
    let new = |pages: usize| {
        let range = 0..(pages * PAGE) as u32;
        FlashJournal::new(Chip::new(PAGES), range, Scratch::<SCRATCH>::new()).map(|_| ())
    };
    for pages in 0..6 {
        let (needed, bytes) = (6 * PAGE as u32, (pages * PAGE) as u32);
        assert_eq!(new(pages), Err(FlashConfigError::RangeTooSmall { needed, bytes }));
    }
    assert_eq!(new(6), Ok(()));
}

#[test]
fn flash_with_unsuitable_pages_or_words_is_refused() {
    let scratch = Scratch::<256>::new;
    let tiny = FlashJournal::new(Nor::<1, 4, 16>::new(8), 0..128, scratch());
    assert_eq!(tiny.map(|_| ()), Err(FlashConfigError::PageTooSmall { bytes: 16 }));
    let wide = FlashJournal::new(Nor::<1, 64, 1024>::new(8), 0..8192, scratch());
    assert_eq!(wide.map(|_| ()), Err(FlashConfigError::Word { bytes: 64, most: 32 }));
}

#[test]
fn only_its_own_range_is_touched() {
    let mut flash = Chip::new(PAGES + 2);
    flash.bytes[..PAGE].fill(0x11);
    flash.bytes[(PAGES + 1) * PAGE..].fill(0x22);
    let range = PAGE as u32..(PAGES as u32 + 1) * PAGE as u32;
    let journal = FlashJournal::new(flash, range, Scratch::new()).unwrap();
    let mut device = device(Chip::new(PAGES));
    device.journal = journal;
    device.drive();
    for _ in 0..200 {
        device.publish(&[b'x'; 60], QoS::ExactlyOnce).unwrap();
        device.drive();
    }
    now(device.journal.clear()).unwrap();
    let flash = device.journal.into_parts().0;
    assert!(flash.bytes[..PAGE].iter().all(|byte| *byte == 0x11));
    assert!(flash.bytes[(PAGES + 1) * PAGE..].iter().all(|byte| *byte == 0x22));
    assert!(flash.erasures[1..=PAGES].iter().all(|count| *count > 1));
}

#[test]
fn the_scratch_takes_every_record_of_the_client_it_is_for() {
    let mut device = device(Nor::new(PAGES));
    device.drive();
    device.subscribe();
    device.drive();
    for id in 0..WINDOW as u16 {
        device.hear(500 + id, b"m");
    }
    while device.publish(&[b'x'; 150], QoS::ExactlyOnce).is_ok() {}
    while device.publish(&[b'x'; 1], QoS::AtLeastOnce).is_ok() {}
    let record = snapshot(&mut device.client);
    assert!(record.len() <= SCRATCH - 5, "{} of {SCRATCH}", record.len());
}
