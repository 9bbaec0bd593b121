use std::io::Write as _;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::model::dependency::HostKey;
use crate::model::idle::{IdleEnd, IdleLimit, IdleMeasurement};
use crate::model::record::{Change, PersistSeq};
use crate::model::time::Wall;

fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("whyd-store-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    path
}

fn host(name: &str) -> HostKey {
    HostKey {
        name: name.into(),
        port: 443,
        proxy: Some("http://proxy:3128".into()),
    }
}

fn record(name: &str, seconds: u64) -> Record {
    let after = Duration::from_millis(seconds * 1000 + 3);
    Record::IdleTimeout {
        host: host(name),
        measurement: IdleMeasurement {
            limit: IdleLimit::Ends {
                how: IdleEnd::Silence,
                low: after,
                high: after * 2,
            },
            samples: 2,
            control_uses: 31,
            announced: Some(Duration::from_secs(5)),
            at: Wall::from_unix_nanos(1_795_478_400_123_456_789),
        },
    }
}

/// Starts a writer whose results come out of the channel.
fn writer(store: Store) -> (Writer, Writing, mpsc::Receiver<(PersistSeq, bool)>) {
    let (tell, told) = mpsc::channel();
    let on_written = Box::new(move |written: Written| {
        let _ = tell.send((written.seq, written.trouble.is_none()));
    });
    let (writer, writing) = Writer::start(store, on_written).unwrap();
    (writer, writing, told)
}

fn keep(directory: &Path, records: Vec<Record>) {
    let opened = Store::open(directory).unwrap();
    let (writer, writing, told) = writer(opened.store);
    writer.keep(PersistSeq(1), records.into_iter().map(Change::Put).collect());
    assert_eq!(
        told.recv_timeout(Duration::from_secs(10)),
        Ok((PersistSeq(1), true))
    );
    writing.finish();
}

fn read(directory: &Path) -> (Vec<Record>, Vec<String>) {
    let opened = Store::open(directory).unwrap();
    (opened.records, opened.warnings)
}

#[test]
fn what_is_kept_is_there_the_next_time() {
    let directory = directory("kept");
    assert_eq!(read(&directory), (vec![], vec![]));
    let none_found = Record::IdleTimeout {
        host: HostKey {
            name: "2001:db8::1".into(),
            port: 80,
            proxy: None,
        },
        measurement: IdleMeasurement {
            limit: IdleLimit::NoneFound {
                up_to: Duration::from_secs(910),
            },
            samples: 1,
            control_uses: 60,
            announced: None,
            at: Wall::from_unix_secs(5),
        },
    };
    keep(
        &directory,
        vec![record("b", 60), none_found.clone(), record("a", 7)],
    );
    let (records, warnings) = read(&directory);
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(records, vec![none_found.clone(), record("a", 7), record("b", 60)]);
    // A newer one takes the place of the older, and one that is removed is gone.
    let opened = Store::open(&directory).unwrap();
    let (writer, writing, told) = writer(opened.store);
    writer.keep(PersistSeq(7), vec![Change::Put(record("a", 9))]);
    writer.keep(
        PersistSeq(8),
        vec![Change::Remove(record("b", 0).key()), Change::Put(record("a", 8))],
    );
    while told.recv_timeout(Duration::from_secs(10)).unwrap() != (PersistSeq(8), true) {}
    writing.finish();
    assert_eq!(read(&directory).0, vec![none_found, record("a", 8)]);
    let _ = std::fs::remove_dir_all(directory);
}

#[test]
fn two_daemons_do_not_share_a_directory() {
    let directory = directory("locked");
    let first = Store::open(&directory).unwrap();
    let text = match Store::open(&directory) {
        Err(error @ OpenError::InUse { .. }) => error.to_string(),
        other => panic!("{:?}", other.map(|opened| opened.warnings)),
    };
    assert!(text.contains("is in use by another whyd"), "{text}");
    assert!(
        text.contains(&format!("(process {})", std::process::id())),
        "{text}"
    );
    drop(first);
    assert!(Store::open(&directory).is_ok());
    let _ = std::fs::remove_dir_all(directory);
}

#[test]
fn a_damaged_file_is_moved_aside_and_said() {
    for (name, damage) in [("text", &b"this is no database"[..]), ("zeros", &[0; 8192][..])] {
        let directory = directory(&format!("damaged-{name}"));
        keep(&directory, vec![record("a", 1)]);
        std::fs::write(directory.join("whyd.redb"), damage).unwrap();
        let (records, warnings) = read(&directory);
        assert_eq!(records, vec![]);
        assert!(warnings[0].contains("damaged"), "{warnings:?}");
        let aside = std::fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.file_name().unwrap().to_string_lossy().contains("damaged-"));
        assert_eq!(std::fs::read(aside.unwrap()).unwrap(), damage);
        keep(&directory, vec![record("a", 2)]);
        assert_eq!(read(&directory), (vec![record("a", 2)], vec![]));
        let _ = std::fs::remove_dir_all(directory);
    }
}

#[test]
fn a_file_with_a_hole_is_moved_aside() {
    let directory = directory("hole");
    keep(
        &directory,
        (0..200).map(|n| record(&format!("host-{n}"), n)).collect(),
    );
    let path = directory.join("whyd.redb");
    let mut bytes = std::fs::read(&path).unwrap();
    // Everything behind the header, which is intact.
    let from = bytes.len().min(4096);
    bytes[from..].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let (records, warnings) = read(&directory);
    assert_eq!(records, vec![]);
    assert!(warnings[0].contains("damaged"), "{warnings:?}");
    let _ = std::fs::remove_dir_all(directory);
}

#[test]
fn what_a_later_version_wrote_is_left_as_it_is() {
    let directory = directory("future");
    keep(&directory, vec![record("a", 1)]);
    let future = br#"{"version":2,"record":{"something":"else"}}"#;
    let kinds = redb::TableDefinition::<&str, &[u8]>::new("idle_timeout");
    let unknown = redb::TableDefinition::<&str, u64>::new("of_a_later_version");
    let path = directory.join("whyd.redb");
    let database = redb::Database::create(&path).unwrap();
    let writing = database.begin_write().unwrap();
    writing
        .open_table(kinds)
        .unwrap()
        .insert("b:1", &future[..])
        .unwrap();
    writing.open_table(unknown).unwrap().insert("x", 7).unwrap();
    writing.commit().unwrap();
    drop(database);
    let (records, warnings) = read(&directory);
    assert_eq!(records, vec![record("a", 1)]);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("idle_timeout b:1"), "{warnings:?}");
    assert!(warnings[0].contains("version 2"), "{warnings:?}");
    keep(&directory, vec![record("c", 3)]);
    let database = redb::Database::create(&path).unwrap();
    let reading = redb::ReadableDatabase::begin_read(&database).unwrap();
    let kept = reading.open_table(kinds).unwrap();
    assert_eq!(
        redb::ReadableTable::get(&kept, "b:1").unwrap().unwrap().value(),
        future
    );
    let other = reading.open_table(unknown).unwrap();
    assert_eq!(redb::ReadableTable::get(&other, "x").unwrap().unwrap().value(), 7);
    let _ = std::fs::remove_dir_all(directory);
}

#[test]
fn a_place_that_cannot_be_used_is_an_error() {
    let directory = directory("file-in-the-way");
    std::fs::write(&directory, b"a file").unwrap();
    let inside = directory.join("state");
    assert!(matches!(Store::open(&inside), Err(OpenError::Directory { .. })));
    let _ = std::fs::remove_file(directory);
}

#[test]
fn a_write_that_fails_stays_in_memory_and_is_tried_again() {
    let directory = directory("failing");
    let mut opened = Store::open(&directory).unwrap();
    // A directory in the file's place: it cannot be opened, whoever we are.
    opened.store.file = None;
    let path = directory.join("whyd.redb");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let (writer, writing, told) = writer(opened.store);
    writer.keep(PersistSeq(1), vec![Change::Put(record("a", 1))]);
    assert_eq!(
        told.recv_timeout(Duration::from_secs(10)),
        Ok((PersistSeq(1), false))
    );
    let status = writer.status();
    assert!(status.trouble.is_some() && status.failures == 1, "{status:?}");
    writer.keep(PersistSeq(2), vec![Change::Put(record("b", 2))]);
    std::fs::remove_dir(&path).unwrap();
    // The stop is the next try.
    writing.finish();
    assert_eq!(
        told.recv_timeout(Duration::from_secs(10)),
        Ok((PersistSeq(2), true))
    );
    assert_eq!(writer.status().trouble, None);
    assert_eq!(read(&directory).0, vec![record("a", 1), record("b", 2)]);
    let _ = std::fs::remove_dir_all(directory);
}

/// Set for the process that [`a_writer_that_is_killed_leaves_whole_batches`] kills.
const VICTIM: &str = "WHYD_STORE_VICTIM";
const HOSTS: u64 = 20;

/// Not a test by itself: the process that is killed while it writes. Every batch gives all hosts the same number.
#[test]
fn victim() {
    let Some(directory) = std::env::var_os(VICTIM) else {
        return;
    };
    let opened = Store::open(Path::new(&directory)).unwrap();
    let (writer, _writing, told) = writer(opened.store);
    for round in 1.. {
        let all = (0..HOSTS).map(|n| Change::Put(record(&format!("host-{n}"), round)));
        writer.keep(PersistSeq(round), all.collect());
        told.recv_timeout(Duration::from_secs(10)).unwrap();
        println!("round {round}");
        std::io::stdout().flush().unwrap();
    }
}

#[test]
fn a_writer_that_is_killed_leaves_whole_batches() {
    use std::io::BufRead as _;
    let directory = directory("killed");
    for kill_after in [1, 4, 9] {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["store::tests::victim", "--exact", "--nocapture"])
            .env(VICTIM, &directory)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        for line in lines.map_while(Result::ok) {
            if let Some(round) = line.split("round ").nth(1) {
                seen = round.parse().unwrap();
            }
            if seen >= kill_after {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let (records, warnings) = read(&directory);
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!(records.len() as u64, HOSTS);
        let rounds: std::collections::BTreeSet<u64> = records.iter().map(round_of).collect();
        assert_eq!(rounds.len(), 1, "a batch in pieces: {rounds:?}");
        assert!(rounds.first() >= Some(&seen), "{rounds:?} after {seen}");
    }
    let _ = std::fs::remove_dir_all(directory);
}

fn round_of(record: &Record) -> u64 {
    let Record::IdleTimeout { measurement, .. } = record else {
        panic!("not what was kept");
    };
    match measurement.limit {
        IdleLimit::Ends { low, .. } => low.as_secs(),
        IdleLimit::NoneFound { .. } => panic!("written by somebody else"),
    }
}

#[test]
fn what_names_gave_comes_back_as_it_was() {
    use crate::model::looks::{NameSource, SeenAddress};
    let at = |nanos: i64| Wall::from_unix_nanos(1_795_478_400_123_456_789 + nanos);
    let seen = |ip: &str| SeenAddress {
        address: ip.parse().unwrap(),
        first: at(0),
        last: at(5),
    };
    let record = Record::Names {
        dependency: "shop".into(),
        name: "shop.example".into(),
        seen: vec![
            (NameSource::HostsFile, vec![seen("192.0.2.1")]),
            (NameSource::System, vec![]),
            (
                NameSource::Nameserver("[2001:db8::53]:53".parse().unwrap()),
                vec![seen("2001:db8::1"), seen("192.0.2.2")],
            ),
        ],
    };
    let path = directory("names");
    keep(&path, vec![record.clone()]);
    assert_eq!(Store::open(&path).unwrap().records, [record]);
    std::fs::remove_dir_all(&path).unwrap();
}
