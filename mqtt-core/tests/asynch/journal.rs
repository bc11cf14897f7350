//! A journal whose appends take time: requests go on meanwhile, and nothing is sent that is not recorded.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use mqtt_core::driver::asynch::{RunError, Storage, split};
use mqtt_core::driver::journal::{Journal, ReplayError, longest_record};
use mqtt_core::{Options, QoS, Record, RestoreError};

use crate::broker::{Broker, DialSplit};
use crate::executor::{Delay, World, dropped_after, run};
use crate::{message, numbers};

/// Records in memory that survives a power cut.
#[derive(Clone)]
pub(crate) struct Slow {
    world: Rc<World>,
    pub(crate) records: Rc<RefCell<Vec<Vec<u8>>>>,
    /// Appends from now on that succeed.
    pub(crate) left: Rc<Cell<usize>>,
}

impl Slow {
    pub(crate) fn new(world: &Rc<World>) -> Self {
        let left = Rc::new(Cell::new(usize::MAX));
        Self { world: Rc::clone(world), records: Rc::default(), left }
    }
}

impl Journal for Slow {
    type Error = &'static str;

    async fn append(&mut self, record: &Record<'_>) -> Result<(), &'static str> {
        let bytes: Vec<u8> = record.chunks().flat_map(|chunk| chunk.as_ref().to_vec()).collect();
        assert_eq!(bytes.len(), record.len());
        self.world.after(20).await;
        let left = self.left.get().checked_sub(1).ok_or("worn out")?;
        self.left.set(left);
        if record.is_snapshot() {
            self.records.borrow_mut().clear();
        }
        self.records.borrow_mut().push(bytes);
        Ok(())
    }

    async fn read(
        &mut self,
        mut take: impl FnMut(&[u8]) -> Result<(), RestoreError>,
    ) -> Result<(), ReplayError<&'static str>> {
        for (number, record) in self.records.borrow().iter().enumerate() {
            take(record).map_err(|error| ReplayError::Record { number, error })?;
        }
        Ok(())
    }

    fn is_long(&self) -> bool {
        self.records.borrow().len() > 20
    }
}

fn options() -> Options<'static> {
    Options::new("d").clean_session(false).keep_alive(60).journal(true)
}

/// One life of a device: it restores its session, is served for `polls` polls, and publishes from `messages` on behind
/// its position. Gives whether everything is done.
fn life<J: Journal<Error: std::fmt::Debug>>(
    journal: &mut J,
    broker: &Broker,
    messages: &[String],
    polls: usize,
) -> bool {
    let world = &broker.world;
    let mut storage = Storage::<512, 4, 4>::new();
    let mut state = storage.state(&options()).unwrap();
    run(world, state.replay(journal), Vec::new()).unwrap();
    let share = RefCell::new(state);
    let (mut read, mut write) = ([0; 64], [0; 48]);
    let mut record = [0; longest_record(512, 4)];
    let (mut runner, client) = split(&share, &mut read, &mut write).unwrap();
    let clock = || world.instant();
    let delay = Delay(Rc::clone(world));
    let dial = DialSplit(broker.clone());
    let served = runner.run_with(journal, &mut record, dial, delay, clock, async |_, _| ());
    let published = Box::pin(async {
        let first = client.position() as usize;
        for (number, payload) in messages.iter().enumerate().skip(first) {
            let message = message(payload, QoS::ExactlyOnce);
            let _ = client.publish_at(&message, number as u64 + 1).await.unwrap();
        }
        client.finish().await;
    });
    match run(world, dropped_after(polls, served), vec![published]) {
        Some(ended) => {
            ended.unwrap();
            true
        }
        None => false,
    }
}

/// Power fails before each poll in turn, and the device comes back with a journal that `open` opens anew. Gives how
/// often it failed.
fn power_fails<J: Journal<Error: std::fmt::Debug>>(
    before: impl Iterator<Item = usize>,
    mut open: impl FnMut(&Rc<World>, Option<J>) -> J,
) -> usize {
    let mut cuts = 0;
    for polls in before {
        let world = World::new(polls as u64);
        let broker = Broker::new(&world);
        let messages = numbers(12);
        let mut journal = open(&world, None);
        // Progress in each life is not certain if it is short.
        for number in 0.. {
            let polls = if number < 30 { polls } else { usize::MAX };
            if life(&mut journal, &broker, &messages, polls) {
                break;
            }
            journal = open(&world, Some(journal));
            cuts += 1;
        }
        assert_eq!(broker.delivered(), messages, "cut at {polls}");
    }
    cuts
}

#[test]
fn power_fails_at_every_poll_and_each_message_arrives_once() {
    let cuts = power_fails(1..120, |world, kept| kept.unwrap_or_else(|| Slow::new(world)));
    assert!(cuts > 300, "{cuts} power cuts");
}

#[cfg(all(feature = "journal-file", unix))]
#[test]
fn power_fails_at_any_poll_and_each_message_arrives_once_with_a_journal_in_a_file() {
    use mqtt_core::driver::journal::file::FileJournal;

    let mut files = 0;
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("asynch-journal");
    let _none = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let cuts = power_fails((1..120).step_by(7), |_, kept| {
        if kept.is_none() {
            files += 1;
        }
        // The file is locked as long as it is open.
        drop(kept);
        FileJournal::open(folder.join(format!("{files}"))).unwrap()
    });
    assert!(cuts > 40, "{cuts} power cuts");
}

#[cfg(feature = "journal-flash")]
#[test]
fn power_fails_at_every_poll_and_each_message_arrives_once_with_a_journal_in_flash() {
    use crate::slow_flash::SlowFlash;
    use mqtt_core::driver::journal::flash::{FlashJournal, Scratch, scratch_len};

    let cuts = power_fails(1..120, |world, kept| {
        let flash = kept.map_or_else(
            || SlowFlash::new(world),
            |journal: FlashJournal<SlowFlash, Scratch<{ scratch_len(512, 4) }>>| {
                journal.into_parts().0
            },
        );
        let range = flash.range();
        FlashJournal::new(flash, range, Scratch::new()).unwrap()
    });
    assert!(cuts > 1_000, "{cuts} power cuts, also in the middle of a record");
}

#[test]
fn requests_are_accepted_while_a_record_is_written() {
    let world = World::new(1);
    let broker = Broker::new(&world);
    let mut journal = Slow::new(&world);
    let mut storage = Storage::<512, 4, 4>::new();
    let share = RefCell::new(storage.state(&options()).unwrap());
    let (mut read, mut write) = ([0; 64], [0; 48]);
    let mut record = [0; longest_record(512, 4)];
    let (mut runner, client) = split(&share, &mut read, &mut write).unwrap();
    let (clock, delay) = (|| world.instant(), Delay(Rc::clone(&world)));
    let records = Rc::clone(&journal.records);
    let served = async {
        let dial = DialSplit(broker.clone());
        runner
            .run_with(&mut journal, &mut record, dial, delay, clock, async |_, _| ())
            .await
            .unwrap();
    };
    let main = async {
        client.up().await;
        client.recorded().await;
        let before = records.borrow().len();
        let _ = client.try_publish(&message("1", QoS::AtLeastOnce)).unwrap();
        world.after(5).await;
        let _ = client.try_publish(&message("2", QoS::AtLeastOnce)).unwrap();
        let _ = client.try_publish(&message("3", QoS::AtLeastOnce)).unwrap();
        assert!(!client.is_recorded());
        assert_eq!(broker.delivered(), [""; 0], "nothing is sent before its record is durable");
        client.recorded().await;
        assert_eq!(records.borrow().len(), before + 2, "the second and third share a record");
        client.finish().await;
    };
    run(&world, main, vec![Box::pin(served)]);
    assert_eq!(broker.delivered(), ["1", "2", "3"]);
}

#[test]
fn a_journal_that_fails_ends_the_run_and_nothing_is_sent_that_is_not_recorded() {
    let world = World::new(1);
    let broker = Broker::new(&world);
    let mut journal = Slow::new(&world);
    let mut storage = Storage::<512, 4, 4>::new();
    let share = RefCell::new(storage.state(&options()).unwrap());
    let (mut read, mut write) = ([0; 64], [0; 48]);
    let mut record = [0; longest_record(512, 4)];
    let (mut runner, client) = split(&share, &mut read, &mut write).unwrap();
    let left = Rc::clone(&journal.left);
    let publish = async {
        client.up().await;
        client.recorded().await;
        left.set(0);
        let _ = client.publish(&message("m", QoS::AtLeastOnce)).await.unwrap();
        std::future::pending::<()>().await;
    };
    let main = async {
        let (clock, delay) = (|| world.instant(), Delay(Rc::clone(&world)));
        let dial = DialSplit(broker.clone());
        let ended = runner.run_with(&mut journal, &mut record, dial, delay, clock, async |_, _| ());
        assert_eq!(ended.await, Err(RunError::Journal("worn out")));
        assert_eq!(broker.delivered(), [""; 0]);
        left.set(usize::MAX);
        // It is served again, and the request goes on.
        let (clock, delay) = (|| world.instant(), Delay(Rc::clone(&world)));
        let dial = DialSplit(broker.clone());
        let again = runner.run_with(
            &mut journal,
            &mut record,
            dial,
            delay,
            clock,
            async |requests, event| {
                if let mqtt_core::Event::Published(_) = event {
                    requests.disconnect();
                }
            },
        );
        assert_eq!(again.await, Ok(()));
    };
    run(&world, main, vec![Box::pin(publish)]);
    assert_eq!(broker.delivered(), ["m"]);
}

#[test]
fn a_record_without_room_for_its_copy_is_an_error_and_so_is_no_journal() {
    let world = World::new(1);
    let broker = Broker::new(&world);
    let mut journal = Slow::new(&world);
    let mut storage = Storage::<512, 4, 4>::new();
    let share = RefCell::new(storage.state(&options()).unwrap());
    let (mut read, mut write) = ([0; 64], [0; 48]);
    let (mut runner, client) = split(&share, &mut read, &mut write).unwrap();
    let _ = client.try_publish(&message("m", QoS::AtLeastOnce)).unwrap();
    let clock = || world.instant();
    let (dial, delay) = (DialSplit(broker.clone()), Delay(Rc::clone(&world)));
    let ended = runner.run(dial, delay, clock, async |_, _| ());
    assert_eq!(run(&world, ended, Vec::new()), Err(RunError::NoJournal));
    let (dial, delay) = (DialSplit(broker.clone()), Delay(Rc::clone(&world)));
    let mut short = [0; 10];
    let ended = runner.run_with(&mut journal, &mut short, dial, delay, clock, async |_, _| ());
    let ended = run(&world, ended, Vec::new());
    assert!(
        matches!(ended, Err(RunError::RecordTooLong { needed: 20.., capacity: 10 })),
        "{ended:?}"
    );
}
