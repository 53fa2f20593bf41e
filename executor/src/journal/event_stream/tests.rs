//! Tests of the events that are read while something else is done.

use super::super::{FileJournal, Journal as _, Sync, read_journal};
use super::*;
use pop_agenda::{OpIx, RunEvent, RunTime};
use std::path::PathBuf;

fn written(folder: &Path, count: u32) -> PathBuf {
    let path = folder.join("journal");
    let mut journal = FileJournal::create(&path, "digest", Sync::Behind).unwrap();
    let event = |number| EventRecord {
        at: RunTime(u64::from(number)),
        event: RunEvent::AttemptStarted { op: OpIx(number), attempt: 1 },
    };
    journal.append(&(0..count).map(event).collect::<Vec<_>>()).unwrap();
    path
}

fn is_on_a_thread(stream: &EventStream) -> bool {
    stream.decoder.is_some()
}

#[test]
fn events_of_short_and_long_journals_are_those_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(EventStream::open(&folder.path().join("none")).unwrap().count(), 0);
    for (count, is_long) in [(3, false), (90_000, true)] {
        let path = written(folder.path(), count);
        let stream = EventStream::open(&path).unwrap();
        assert_eq!(is_on_a_thread(&stream), is_long);
        let events: Vec<_> = stream.map(Result::unwrap).collect();
        assert_eq!(events, read_journal(&path).unwrap().events);
        assert_eq!(events.len(), count as usize);
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn f2_damage_comes_after_the_events_before_it() {
    let folder = tempfile::tempdir().unwrap();
    for count in [30, 90_000] {
        let path = written(folder.path(), count);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        let line = middle + bytes[middle..].iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let before = bytes[..line].split(|byte| *byte == b'\n').count() - 2;
        bytes[line] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let mut stream = EventStream::open(&path).unwrap();
        let good = stream.by_ref().take_while(Result::is_ok).count();
        assert_eq!(good, before);
        assert!(stream.next().is_none());
        let last = EventStream::open(&path).unwrap().last();
        assert!(matches!(last, Some(Err(JournalError::Damaged { offset, .. })) if offset == line as u64));
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_caller_may_stop_early() {
    let folder = tempfile::tempdir().unwrap();
    // more than the batches that may wait
    let path = written(folder.path(), 3 * (BATCH * WAITING) as u32);
    let mut stream = EventStream::open(&path).unwrap();
    assert!(stream.next().unwrap().is_ok());
    let thread = stream.decoder.take().map(|decoder| decoder.thread).unwrap();
    drop(stream);
    thread.join().unwrap().unwrap();
}
