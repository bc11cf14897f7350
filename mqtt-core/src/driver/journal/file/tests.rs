//! The journal in a file: power cuts at every byte, damage, full disks, failed syncs.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "tests fail by panicking"
)]

use std::{
    env, format, fs,
    os::unix::fs::{FileExt, MetadataExt, PermissionsExt},
    pin::pin,
    println,
    process::Command,
    string::{String, ToString},
    sync::OnceLock,
    task::{Context, Poll, Waker},
    vec,
    vec::Vec,
};

use proptest::prelude::*;

use super::*;
use crate::{Action, BoxedClient, Instant, Options, Publish, QoS, driver::journal::replay, topic};

/// The result of a future that is ready at once, as all futures of a file journal are.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a file does not wait"),
    }
}

/// A folder for one test, with a journal in it.
struct Place(std::path::PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let folder = env::temp_dir().join(format!("mqtt-core-{}-{name}", std::process::id()));
        let _older = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn path(&self) -> PathBuf {
        self.0.join("journal")
    }

    /// A journal with these bytes in it.
    fn with(&self, bytes: &[u8]) -> Result<FileJournal, FileError> {
        fs::write(self.path(), bytes).unwrap();
        FileJournal::open(self.path())
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

fn client() -> BoxedClient {
    let options = Options::new("c").clean_session(false).journal(true);
    BoxedClient::new_boxed(&options, 1 << 16, 64).unwrap()
}

/// The client that `journal` restores.
fn restored(journal: &mut FileJournal) -> BoxedClient {
    let mut client = client();
    now(replay(journal, &mut client)).unwrap();
    client
}

/// Appends the record that `client` has to give, if there is one.
fn persist(journal: &mut FileJournal, client: &mut BoxedClient) -> Result<(), FileError> {
    let at = Instant::from_millis(0);
    // The client asks for a connection before its first record.
    for _ in 0..2 {
        if let Action::Persist(record) = client.poll(at) {
            now(journal.append(&record))?;
            client.persisted();
        }
    }
    Ok(())
}

fn publish(client: &mut BoxedClient, payload: &[u8]) {
    let publish = Publish::new(topic!("t"), payload).qos(QoS::AtLeastOnce);
    let _ = client.publish(&publish).unwrap();
    client.set_position(client.position() + 1);
}

/// A journal with `count` records after the first one, and the offset at which each record ends. Each of them has one
/// publish, and its number as the position.
fn filled(journal: &mut FileJournal, count: usize) -> Vec<u64> {
    let mut client = restored(journal);
    let mut ends = vec![journal.size()];
    for _ in 0..count {
        publish(&mut client, b"payload");
        persist(journal, &mut client).unwrap();
        ends.push(journal.size());
    }
    ends
}

/// The state in `journal`: the number of messages that wait, and the position.
fn told(journal: &mut FileJournal) -> (usize, u64) {
    let client = restored(journal);
    (client.in_flight(), client.position())
}

#[test]
fn a_session_survives_a_restart() {
    let place = Place::new("back");
    let mut journal = FileJournal::open(place.path()).unwrap();
    filled(&mut journal, 3);
    drop(journal);
    assert_eq!(told(&mut FileJournal::open(place.path()).unwrap()), (3, 3));
}

#[test]
fn a_file_cut_at_any_byte_gives_the_session_as_of_a_confirmed_record() {
    let place = Place::new("cut");
    let ends = filled(&mut FileJournal::open(place.path()).unwrap(), 4);
    let whole = place.bytes();
    for len in 0..=whole.len() {
        for zeros in [0, 100] {
            let mut bytes = whole[..len].to_vec();
            bytes.resize(len + zeros, 0);
            if len < frame::FRONT_LEN as usize && zeros != 0 {
                continue;
            }
            let confirmed = ends.iter().filter(|end| **end <= len as u64).count().max(1) - 1;
            let mut journal = place.with(&bytes).unwrap();
            assert_eq!(told(&mut journal), (confirmed, confirmed as u64), "{len} and {zeros}");
            // The journal can be appended to again.
            let mut client = restored(&mut journal);
            publish(&mut client, b"more");
            persist(&mut journal, &mut client).unwrap();
            drop(journal);
            let again = told(&mut FileJournal::open(place.path()).unwrap());
            assert_eq!(again, (confirmed + 1, confirmed as u64 + 1), "{len} and {zeros}");
        }
    }
}

/// If power fails while a record is appended, any bytes may stand in its place.
#[test]
fn any_damage_to_the_last_record_keeps_the_records_before_it() {
    let place = Place::new("last");
    let ends = filled(&mut FileJournal::open(place.path()).unwrap(), 3);
    let whole = place.bytes();
    for at in ends[2] as usize..whole.len() {
        for bits in [0xFF, 1, 0x80] {
            let mut bytes = whole.clone();
            bytes[at] ^= bits;
            assert_eq!(told(&mut place.with(&bytes).unwrap()), (2, 2), "{at}");
            assert_eq!(place.bytes().len() as u64, ends[2], "cut off");
        }
        // Old bytes of the disk, in the whole record or in half of it.
        let mut bytes = whole.clone();
        bytes[ends[2] as usize..=at].fill(0);
        if bytes == whole {
            continue;
        }
        assert_eq!(told(&mut place.with(&bytes).unwrap()), (2, 2), "{at}");
    }
}

#[test]
fn damage_before_a_record_is_an_error_and_the_file_is_not_changed() {
    let place = Place::new("damage");
    let ends = filled(&mut FileJournal::open(place.path()).unwrap(), 3);
    let whole = place.bytes();
    for at in frame::FRONT_LEN as usize..ends[2] as usize {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        let number = ends.iter().filter(|end| **end <= at as u64).count() - 1;
        match place.with(&bytes).unwrap_err() {
            FileError::Damaged { file, record, offset } => {
                let file_is_right = file == place.path().canonicalize().unwrap();
                assert!(file_is_right && record == number && offset == ends[number], "{at}");
            }
            other => panic!("{at}: {other}"),
        }
        assert_eq!(place.bytes(), bytes);
    }
    // A whole record is lost, as a sector may be.
    let mut bytes = whole;
    bytes[ends[1] as usize..ends[2] as usize].fill(0);
    let error = place.with(&bytes).unwrap_err().to_string();
    assert!(
        error
            .ends_with(&format!("record 1, at byte {}, is damaged, and others follow it", ends[1]))
    );
}

#[test]
fn a_file_that_is_not_a_journal_is_refused_and_not_changed() {
    let place = Place::new("other");
    for bytes in
        [&b"ssh-rsa AAAA"[..], b"mqttjrn\x01", &[0; 16], &[0xFF; 100], b"mqttjrn\x01aaaabbbb"]
    {
        let opened = place.with(bytes);
        if b"mqttjrn\x01".starts_with(bytes) {
            assert_eq!(told(&mut opened.unwrap()), (0, 0));
        } else {
            assert!(matches!(opened, Err(FileError::NotAJournal { .. })), "{bytes:?}");
            assert_eq!(place.bytes(), bytes);
        }
    }
    let later = b"mqttjrn\x02\0\0\0\0\xFF\xFF\xFF\xFF";
    assert!(matches!(place.with(later), Err(FileError::Version { found: 2, .. })));
    let error = FileJournal::open(&place.0).unwrap_err();
    assert!(matches!(error, FileError::Io { doing: "open", .. }), "{error}");
    let error = FileJournal::open(place.0.join("no/folder")).unwrap_err();
    assert!(matches!(error, FileError::Io { doing: "resolve", .. }), "{error}");
}

/// Someone sends a journal as a message, and power fails while the message is recorded.
#[test]
fn records_inside_a_message_are_not_mistaken_for_records() {
    let place = Place::new("carried");
    let mut journal = FileJournal::open(place.path()).unwrap();
    filled(&mut journal, 2);
    let carried = place.bytes();
    let mut client = restored(&mut journal);
    publish(&mut client, &carried);
    persist(&mut journal, &mut client).unwrap();
    drop(journal);
    let mut torn = place.bytes();
    let front = carried.len();
    torn[front] ^= 1;
    assert_eq!(told(&mut place.with(&torn).unwrap()), (2, 2));
}

#[test]
fn a_second_journal_on_a_file_is_refused() {
    let place = Place::new("lock");
    let journal = FileJournal::open(place.path()).unwrap();
    let link = place.0.join("link");
    std::os::unix::fs::symlink(place.path(), &link).unwrap();
    for name in [place.path(), link] {
        assert!(matches!(FileJournal::open(name), Err(FileError::InUse { .. })));
    }
    drop(journal);
    assert!(FileJournal::open(place.path()).is_ok());
}

#[test]
fn only_the_owner_can_read_the_files() {
    let place = Place::new("private");
    let _journal = FileJournal::open(place.path()).unwrap();
    let mode = |ending| {
        let file = fs::metadata(beside(&place.path(), ending)).unwrap();
        file.permissions().mode() & 0o7777
    };
    assert_eq!((mode(""), mode(".lock")), (0o600, 0o600));
}

#[test]
fn a_snapshot_keeps_the_mode_and_the_owner() {
    let place = Place::new("mode");
    drop(FileJournal::open(place.path()).unwrap());
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o640)).unwrap();
    // Only root may give a file away.
    let given = std::os::unix::fs::chown(place.path(), Some(4711), Some(4712)).is_ok();
    let mut journal = FileJournal::open(place.path()).unwrap();
    let mut client = restored(&mut journal);
    client.compact();
    persist(&mut journal, &mut client).unwrap();
    let file = fs::metadata(place.path()).unwrap();
    assert_eq!(file.permissions().mode() & 0o7777, 0o640);
    if given {
        assert_eq!((file.uid(), file.gid()), (4711, 4712));
    }
}

#[test]
fn a_symbolic_link_in_the_place_of_a_snapshot_is_not_followed() {
    let place = Place::new("link");
    let victim = place.0.join("victim");
    fs::write(&victim, "untouched").unwrap();
    let mut journal = FileJournal::open(place.path()).unwrap();
    let mut client = restored(&mut journal);
    std::os::unix::fs::symlink(&victim, beside(&place.path(), ".new")).unwrap();
    client.compact();
    persist(&mut journal, &mut client).unwrap();
    assert_eq!(fs::read(&victim).unwrap(), b"untouched");
}

#[test]
fn a_symbolic_link_in_the_place_of_the_lock_is_refused() {
    let place = Place::new("lock-link");
    std::os::unix::fs::symlink(place.0.join("elsewhere"), beside(&place.path(), ".lock")).unwrap();
    assert!(matches!(FileJournal::open(place.path()), Err(FileError::Io { .. })));
    assert!(!place.0.join("elsewhere").exists());
}

#[test]
fn a_second_journal_is_refused_also_if_the_lock_was_deleted() {
    let place = Place::new("deleted-lock");
    let mut journal = FileJournal::open(place.path()).unwrap();
    let mut client = restored(&mut journal);
    for _ in 0..2 {
        fs::remove_file(beside(&place.path(), ".lock")).unwrap();
        assert!(matches!(FileJournal::open(place.path()), Err(FileError::InUse { .. })));
        // The file that a snapshot puts in its place is locked as well.
        client.compact();
        persist(&mut journal, &mut client).unwrap();
    }
}

#[test]
fn a_journal_with_a_second_name_is_refused() {
    let place = Place::new("hard-link");
    let mut journal = FileJournal::open(place.path()).unwrap();
    let other = place.0.join("other");
    fs::hard_link(place.path(), &other).unwrap();
    assert!(matches!(FileJournal::open(&other), Err(FileError::InUse { .. })));
    let mut client = restored(&mut journal);
    client.compact();
    let error = persist(&mut journal, &mut client).unwrap_err();
    assert!(matches!(error, FileError::Linked { names: 2, .. }), "{error}");
    drop(journal);
    assert!(matches!(FileJournal::open(&other), Err(FileError::Linked { names: 2, .. })));
    fs::remove_file(&other).unwrap();
    assert!(FileJournal::open(place.path()).is_ok());
}

#[test]
fn a_snapshot_is_a_new_file_under_the_same_name() {
    let place = Place::new("snapshot");
    let mut journal = FileJournal::open(place.path()).unwrap().long_at(500);
    let mut client = client();
    let mut records = 0;
    while !journal.is_long() {
        publish(&mut client, b"a payload of some length");
        persist(&mut journal, &mut client).unwrap();
        records += 1;
    }
    let before = journal.size();
    assert!((500..600).contains(&before));
    client.compact();
    persist(&mut journal, &mut client).unwrap();
    assert!(journal.size() < before && !journal.is_long());
    let base = journal.size();
    publish(&mut client, b"one more");
    persist(&mut journal, &mut client).unwrap();
    drop(journal);
    // Power failed during the next snapshot.
    fs::write(beside(&place.path(), ".new"), b"half a snapsh").unwrap();
    let mut journal = FileJournal::open(place.path()).unwrap().long_at(base);
    assert_eq!(told(&mut journal), (records + 1, records as u64 + 1));
    assert!(!beside(&place.path(), ".new").exists());
    assert!(!journal.is_long(), "twice the snapshot, or it would be all snapshots");
}

#[test]
fn a_full_disk_is_an_error_and_no_record_is_lost() {
    let place = Place::new("full");
    let mut journal = FileJournal::open(place.path()).unwrap();
    filled(&mut journal, 2);
    let mut client = restored(&mut journal);
    let file = core::mem::replace(&mut journal.file, device("/dev/full"));
    publish(&mut client, b"too much");
    let error = persist(&mut journal, &mut client).unwrap_err();
    assert!(
        matches!(&error, FileError::Io { doing: "append", error, .. }
        if error.kind() == io::ErrorKind::StorageFull),
        "{error}"
    );
    // A device cannot be truncated, so its content is unknown.
    assert!(journal.is_long());
    journal.file = file;
    assert!(matches!(persist(&mut journal, &mut client), Err(FileError::Distrusted { .. })));
    client.compact();
    persist(&mut journal, &mut client).unwrap();
    assert_eq!(told(&mut journal), (3, 3));
}

/// `/dev/null` takes every byte, and cannot be synced.
#[test]
fn after_a_failed_sync_only_a_snapshot_is_accepted() {
    let place = Place::new("sync");
    let mut journal = FileJournal::open(place.path()).unwrap();
    let mut client = client();
    persist(&mut journal, &mut client).unwrap();
    let file = core::mem::replace(&mut journal.file, device("/dev/null"));
    publish(&mut client, b"1");
    let error = persist(&mut journal, &mut client).unwrap_err();
    assert!(matches!(error, FileError::Io { doing: "sync", .. }), "{error}");
    journal.file = file;
    assert!(matches!(persist(&mut journal, &mut client), Err(FileError::Distrusted { .. })));
    assert!(journal.is_long());
    client.compact();
    persist(&mut journal, &mut client).unwrap();
    assert!(!journal.is_long());
    drop(journal);
    assert_eq!(told(&mut FileJournal::open(place.path()).unwrap()), (1, 1));
}

fn device(name: &str) -> File {
    OpenOptions::new().read(true).write(true).open(name).unwrap()
}

/// If this variable is set, the test is the process with the limit.
const LIMITED: &str = "MQTT_CORE_TEST_LIMITED";

/// A real short write: the system takes bytes up to the largest size that a file may have, and refuses the rest.
#[test]
fn an_incomplete_write_is_cut_off_and_the_journal_goes_on() {
    if env::var_os(LIMITED).is_none() {
        let limited = "trap '' XFSZ && ulimit -f 4 && exec \"$0\" \"$@\"";
        let mut again = Command::new("sh");
        again.args(["-c", limited]).arg(env::current_exe().unwrap());
        again.args(["--exact", "--nocapture", "--test-threads=1"]);
        again.arg(
            concat!(module_path!(), "::an_incomplete_write_is_cut_off_and_the_journal_goes_on")
                .trim_start_matches("mqtt_core::"),
        );
        let output = again.env(LIMITED, "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("fell short"), "{said}");
        return;
    }
    let place = Place::new("short");
    let mut journal = FileJournal::open(place.path()).unwrap();
    let mut client = client();
    persist(&mut journal, &mut client).unwrap();
    let (mut kept, mut refused) = (0, 0);
    while refused < 3 {
        publish(&mut client, &[b'x'; 200]);
        match persist(&mut journal, &mut client) {
            Ok(()) => kept = client.in_flight(),
            Err(FileError::Io { doing: "append", error, .. }) => {
                assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
                assert_eq!(place.bytes().len() as u64, journal.size(), "cut off");
                refused += 1;
            }
            Err(other) => panic!("{other}"),
        }
        assert_eq!(told(&mut journal).0, kept);
    }
    // A small record still fits.
    let mut small = restored(&mut journal);
    small.set_position(7);
    persist(&mut journal, &mut small).unwrap();
    assert_eq!(told(&mut journal), (kept, 7));
    println!("fell short");
}

proptest! {
    /// Any content of the file gives a session or an error.
    #[test]
    fn any_bytes_give_a_session_or_an_error(
        junk in prop::collection::vec(any::<u8>(), 0..200),
        cut in 0..400_usize,
        flips in prop::collection::vec((0..400_usize, any::<u8>()), 0..4),
        with_front in any::<bool>(),
    ) {
        static WHOLE: OnceLock<Vec<u8>> = OnceLock::new();
        let place = Place::new("hostile");
        let whole = WHOLE.get_or_init(|| {
            filled(&mut FileJournal::open(place.path()).unwrap(), 4);
            place.bytes()
        });
        let mut bytes = if with_front { whole.clone() } else { Vec::new() };
        bytes.truncate(cut);
        for (at, bits) in flips {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= bits;
            }
        }
        bytes.extend(junk);
        if let Ok(mut journal) = place.with(&bytes) {
            let mut client = client();
            let _session = now(replay(&mut journal, &mut client));
        }
    }
}

/// A record that claims to be longer than any file is not given memory for it.
#[test]
fn a_wrong_length_takes_no_memory() {
    let place = Place::new("lies");
    drop(FileJournal::open(place.path()).unwrap());
    let front = place.bytes();
    let file = File::open(place.path()).unwrap();
    let Ok(Front::Head(head)) = Front::read(&file) else { panic!() };
    let id = u32::from_be_bytes(front[8..12].try_into().unwrap());
    let mut bytes = front;
    let len = u32::MAX;
    let place_of = id.wrapping_add(frame::FRONT_LEN as u32);
    for part in [len, !len, place_of] {
        bytes.extend(part.to_be_bytes());
    }
    fs::write(place.path(), &bytes).unwrap();
    let file = File::open(place.path()).unwrap();
    let mut reader = Reader::new(&file, head, bytes.len() as u64).unwrap();
    assert_eq!(reader.next().unwrap(), Next::End);
    assert_eq!(file.read_at(&mut [0], 0).unwrap(), 1, "and it is still there");
}
