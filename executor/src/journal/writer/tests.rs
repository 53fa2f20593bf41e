//! Tests of the journal's writer.

use super::super::format::JSON_FORMAT;
use super::super::read_journal;
use super::super::reader::read_bytes;
use super::*;
use pop_agenda::{OpIx, RunEvent, RunOptions, RunTime};

fn events(count: u32) -> Vec<EventRecord> {
    let started = RunEvent::RunStarted {
        run: "r".into(),
        started: 7,
        options: RunOptions::default(),
        adopted: Vec::new(),
        adoptable: Vec::new(),
        parent: None,
    };
    let first = EventRecord { at: RunTime(0), event: started };
    let more = (0..count).map(|number| EventRecord {
        at: RunTime(u64::from(number)),
        event: RunEvent::AttemptStarted { op: OpIx(number), attempt: 1 },
    });
    std::iter::once(first).chain(more).collect()
}

fn written(folder: &Path, count: u32, sync: Sync) -> PathBuf {
    let path = folder.join("journal");
    let mut journal = FileJournal::create(&path, "digest", sync).unwrap();
    for event in events(count) {
        journal.append(&[event]).unwrap();
    }
    path
}

#[test]
fn written_events_are_read_back() {
    for sync in [Sync::Behind, Sync::Each] {
        let folder = tempfile::tempdir().unwrap();
        let content = read_journal(&written(folder.path(), 3, sync)).unwrap();
        assert_eq!((content.inputs.as_deref(), content.torn), (Some("digest"), 0));
        assert_eq!(content.events, events(3));
    }
}

#[test]
fn f2_journal_cut_at_any_byte_reopens_at_the_last_good_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), 4, Sync::Behind);
    let bytes = std::fs::read(&path).unwrap();
    let header = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let all = events(4);
    for cut in 0..=bytes.len() {
        let part = &bytes[..cut];
        let complete_lines = part.split(|byte| *byte == b'\n').count() - 1;
        let content = read_bytes(part, &path).unwrap();
        let known = complete_lines.saturating_sub(1);
        assert_eq!(content.inputs.is_some(), cut >= header, "{cut}");
        assert_eq!(content.events, all[..known], "{cut}");
        assert_eq!(content.good + content.torn, cut as u64, "{cut}");
        std::fs::write(&path, part).unwrap();
        let mut journal = FileJournal::reopen(&path, &content, "digest", Sync::Behind).unwrap();
        journal.append(&all[known..]).unwrap();
        drop(journal);
        assert_eq!(read_journal(&path).unwrap().events, all, "{cut}");
    }
}

#[test]
fn f2_flipped_bit_is_damage_or_in_the_last_line_a_torn_tail() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), 4, Sync::Behind);
    let bytes = std::fs::read(&path).unwrap();
    let header = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let last_line = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for at in header..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            let read = read_bytes(&flipped, &path);
            // without its line feed the line before the last joins the last, and both are the tail
            if at >= last_line - 1 {
                let good = if at == last_line - 1 { 3 } else { 4 };
                assert_eq!(read.unwrap().events.len(), good, "{at}.{bit}");
            } else {
                assert!(matches!(read, Err(JournalError::Damaged { .. })), "{at}.{bit}");
            }
        }
    }
}

#[test]
fn f2_trailing_zeros_are_a_torn_tail() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), 2, Sync::Behind);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(&[0; 4096]);
    let content = read_bytes(&bytes, &path).unwrap();
    assert_eq!((content.events.len(), content.torn), (3, 4096));
}

/// A disk that loses unsynced bytes and has limited room.
#[derive(Debug, Default)]
struct Disk(Mutex<DiskState>);

#[derive(Debug, Default)]
struct DiskState {
    bytes: Vec<u8>,
    synced: usize,
    room: Option<usize>,
    /// Whether truncating fails.
    cut_fails: bool,
}

impl Storage for Disk {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        let taken = disk.room.map_or(bytes.len(), |room| (room - disk.bytes.len()).min(bytes.len()));
        disk.bytes.extend_from_slice(&bytes[..taken]);
        if taken == bytes.len() { Ok(()) } else { Err(ErrorKind::StorageFull.into()) }
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        disk.synced = disk.bytes.len();
        Ok(())
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        if disk.cut_fails {
            return Err(ErrorKind::StorageFull.into());
        }
        disk.bytes.truncate(length as usize);
        disk.synced = disk.synced.min(length as usize);
        Ok(())
    }
}

/// A disk with a new journal on it.
fn disk(sync: Sync) -> (Arc<Disk>, FileJournal) {
    let disk = Arc::new(Disk::default());
    let mut line = Vec::new();
    encode(&Header { format: FORMAT, inputs: "digest".to_owned() }, &mut line).unwrap();
    disk.append(&line).unwrap();
    let storage = Arc::clone(&disk) as Arc<dyn Storage>;
    let journal =
        FileJournal::with_storage(storage, Path::new("j"), line.len() as u64, sync, FORMAT).unwrap();
    (disk, journal)
}

#[test]
fn f3_power_loss_loses_no_event_if_each_write_is_synced() {
    let (disk, mut journal) = disk(Sync::Each);
    let all = events(20);
    for (number, event) in all.iter().enumerate() {
        journal.append(std::slice::from_ref(event)).unwrap();
        let disk = disk.0.lock().unwrap();
        let left = read_bytes(&disk.bytes[..disk.synced], Path::new("j")).unwrap();
        assert_eq!(left.events, all[..=number]);
    }
}

#[test]
fn f3_power_loss_loses_only_the_end_if_synced_behind() {
    let (disk, mut journal) = disk(Sync::Behind);
    let all = events(20);
    for event in &all {
        journal.append(std::slice::from_ref(event)).unwrap();
        let disk = disk.0.lock().unwrap();
        for left in disk.synced..=disk.bytes.len() {
            let left = read_bytes(&disk.bytes[..left], Path::new("j")).unwrap();
            assert!(all.starts_with(&left.events));
        }
    }
    // closing a journal syncs all of it
    drop(journal);
    let disk = disk.0.lock().unwrap();
    assert_eq!(read_bytes(&disk.bytes[..disk.synced], Path::new("j")).unwrap().events, all);
}

#[test]
fn f6_write_without_room_leaves_no_torn_line_and_can_be_repeated() {
    /// Bytes of the line of a start, one millisecond after the event before.
    const LINE: usize = "00000000 s1 1\n".len();
    let all = events(3);
    for cut_fails in [false, true] {
        let (disk, mut journal) = disk(Sync::Each);
        journal.append(&all[..2]).unwrap();
        let before = disk.0.lock().unwrap().bytes.clone();
        for room in 0..2 * LINE {
            {
                let mut disk = disk.0.lock().unwrap();
                (disk.room, disk.cut_fails) = (Some(before.len() + room), cut_fails);
            }
            assert!(matches!(journal.append(&all[2..]), Err(JournalError::Full { .. })), "{room}");
            let disk = disk.0.lock().unwrap();
            assert!(cut_fails || disk.bytes == before, "{room}");
            assert_eq!(read_bytes(&disk.bytes, Path::new("j")).unwrap().events, all[..2], "{room}");
        }
        {
            let mut disk = disk.0.lock().unwrap();
            (disk.room, disk.cut_fails) = (None, false);
        }
        journal.append(&all[2..]).unwrap();
        assert_eq!(read_bytes(&disk.0.lock().unwrap().bytes, Path::new("j")).unwrap().events, all);
    }
}

#[test]
fn f12_journal_of_the_format_before_is_read_and_continued_in_that_format() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let all = events(4);
    let mut lines = Vec::new();
    encode(&Header { format: JSON_FORMAT, inputs: "digest".to_owned() }, &mut lines).unwrap();
    all[..3].iter().for_each(|event| encode(event, &mut lines).unwrap());
    std::fs::write(&path, &lines).unwrap();
    let content = read_journal(&path).unwrap();
    assert_eq!((content.format, &content.events[..]), (2, &all[..3]));
    let mut journal = FileJournal::reopen(&path, &content, "digest", Sync::Behind).unwrap();
    journal.append(&all[3..]).unwrap();
    drop(journal);
    assert_eq!(read_journal(&path).unwrap().events, all);
    all[3..].iter().for_each(|event| encode(event, &mut lines).unwrap());
    assert_eq!(std::fs::read(&path).unwrap(), lines);
}

#[test]
fn f12_journal_of_another_format_is_refused_by_number() {
    for (header, found) in [
        (serde_json::json!({"format": 1, "inputs": "digest"}), 1),
        (serde_json::json!({"format": 4, "new": true}), 4),
    ] {
        let mut line = Vec::new();
        encode(&header, &mut line).unwrap();
        let error = read_bytes(&line, Path::new("j")).unwrap_err();
        let message = format!("journal `j` has format {found}; this program reads format 3");
        assert_eq!(error.to_string(), message);
    }
}
