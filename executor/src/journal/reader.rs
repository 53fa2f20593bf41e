//! Reads a journal: its good lines, where they end, and whether the rest is a torn tail or damage.

use super::JournalError;
use super::event_lines::{EventReader, Line};
use super::format::{FORMAT, Header, decode, header};
use super::json::read_json;
use pop_agenda::EventRecord;
use pop_launchers::read_regular_file;
use serde_json::Value;
use std::io;
use std::path::Path;

/// Largest journal that is read, in bytes.
const JOURNAL_LIMIT: u64 = 4 * 1024 * 1024 * 1024;

/// The content of a journal.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalContent {
    /// Number of the format; the one that this version writes if there is no header.
    pub format: u32,
    /// The digest of the run's frozen inputs; none if the executor died before it wrote the header.
    pub inputs: Option<String>,
    /// The events, in order; none after [`read_events`].
    pub events: Vec<EventRecord>,
    /// Length of the header and the good lines in bytes.
    pub good: u64,
    /// Length of the torn tail in bytes; 0 without one.
    pub torn: u64,
}

/// Receives the events of a journal, in order.
type EventCallback<'c> = &'c mut dyn FnMut(EventRecord);

/// Reads a journal without changing it. A torn tail is only cut off when the journal is opened for writing.
pub fn read_journal(path: &Path) -> Result<JournalContent, JournalError> {
    read_bytes(&bytes_of(path)?, path)
}

/// Reads a journal like [`read_journal`], but gives each event to `each` instead of storing it: the content has none.
///
/// If the journal is damaged, `each` has received the events before the damage.
pub fn read_events(path: &Path, each: &mut dyn FnMut(EventRecord)) -> Result<JournalContent, JournalError> {
    scan(&bytes_of(path)?, path, each)
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, JournalError> {
    match read_regular_file(path, JOURNAL_LIMIT) {
        Ok(bytes) => Ok(bytes),
        // the executor died before it wrote anything
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(JournalError::Io { path: path.to_owned(), source }),
    }
}

pub(super) fn read_bytes(bytes: &[u8], path: &Path) -> Result<JournalContent, JournalError> {
    let mut events = Vec::new();
    let content = scan(bytes, path, &mut |event| events.push(event))?;
    Ok(JournalContent { events, ..content })
}

/// The content of a journal without its events, which `each` receives.
fn scan(bytes: &[u8], path: &Path, each: EventCallback<'_>) -> Result<JournalContent, JournalError> {
    let first = bytes.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    let Some(line) = first.strip_suffix(b"\n") else {
        // even the header is torn
        return Ok(JournalContent {
            format: FORMAT,
            inputs: None,
            events: Vec::new(),
            good: 0,
            torn: bytes.len() as u64,
        });
    };
    let Header { format, inputs } = header(line, path)?;
    let mut content = JournalContent {
        format,
        inputs: Some(inputs),
        events: Vec::new(),
        good: first.len() as u64,
        torn: 0,
    };
    let mut events = EventReader::default();
    let mut lines = bytes[first.len()..].split_inclusive(|byte| *byte == b'\n');
    let mut line_number = 1;
    while let Some(line) = lines.next() {
        line_number += 1;
        let Some(text) = complete(line) else {
            // a crash only tears the tail, so a good line after a bad one means damage
            if lines.any(|line| complete(line).is_some()) {
                let (path, offset) = (path.to_owned(), content.good);
                return Err(JournalError::Damaged { path, offset, line: line_number });
            }
            content.torn = bytes.len() as u64 - content.good;
            break;
        };
        if let Some(event) = event_in(text, &mut events, line_number, path)? {
            each(event);
        }
        content.good += line.len() as u64;
    }
    Ok(content)
}

/// The text of a line, if it has its line feed and a correct checksum.
fn complete(line: &[u8]) -> Option<&[u8]> {
    decode(line.strip_suffix(b"\n")?)
}

/// The event in the text of a line with a correct checksum; none if the text is a file that later lines name.
pub(super) fn event_in(
    text: &[u8],
    events: &mut EventReader,
    line: u64,
    path: &Path,
) -> Result<Option<EventRecord>, JournalError> {
    match events.read(text) {
        Some(Line::Event(event)) => Ok(Some(event)),
        Some(Line::File) => Ok(None),
        // no crash tore this line: another version wrote it
        None => Err(JournalError::UnknownEvent { path: path.to_owned(), event: unknown_event(text), line }),
    }
}

/// The name of the unknown event in the text of a line; `?` if it has no name.
fn unknown_event(text: &[u8]) -> String {
    /// Longest name that is shown, in characters.
    const LONGEST: usize = 40;
    let value: Option<Value> = read_json(text).ok();
    let event = value.as_ref().and_then(|value| value.get("event"));
    let name = event.and_then(|event| match event {
        Value::Object(fields) => fields.keys().next().map(String::as_str),
        event => event.as_str(),
    });
    name.unwrap_or("?").chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::super::format::encode;
    use super::super::{FileJournal, Journal as _, Sync};
    use super::*;
    use pop_agenda::{Ending, OpIx, Outcome, RunEvent, RunTime};
    use serde_json::json;
    use std::sync::Arc;

    /// The result of an attempt with nested lists.
    fn ended(levels: usize) -> Vec<u8> {
        let result = (0..levels).fold(Value::from("]\\\"["), |inner, _| Value::Array(vec![inner]));
        let ending = Ending::Succeeded { result: Arc::new(result) };
        let (op, outcome) = (OpIx(0), Outcome::Succeeded);
        let joined = RunEvent::Joined { op, ending, outcome };
        let mut line = Vec::new();
        encode(&EventRecord { at: RunTime(0), event: joined }, &mut line).unwrap();
        line
    }

    fn written(folder: &Path, count: u32) -> std::path::PathBuf {
        let path = folder.join("journal");
        let mut journal = FileJournal::create(&path, "digest", Sync::Behind).unwrap();
        let event = |number| EventRecord {
            at: RunTime(u64::from(number)),
            event: RunEvent::AttemptStarted { op: OpIx(number), attempt: 1 },
        };
        journal.append(&(0..count).map(event).collect::<Vec<_>>()).unwrap();
        path
    }

    fn events(path: &Path) -> (Vec<EventRecord>, Result<JournalContent, JournalError>) {
        let mut events = Vec::new();
        let read = read_events(path, &mut |event| events.push(event));
        (events, read)
    }

    #[test]
    fn events_of_short_and_long_journals_are_those_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(events(&folder.path().join("none")), (events, Ok(_)) if events.is_empty()));
        for count in [3, 90_000] {
            let path = written(folder.path(), count);
            let (events, read) = events(&path);
            assert_eq!(events.len(), count as usize);
            let whole = JournalContent { events, ..read.unwrap() };
            assert_eq!(whole, read_journal(&path).unwrap());
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
            let (good, read) = events(&path);
            assert_eq!(good.len(), before);
            assert!(matches!(read, Err(JournalError::Damaged { offset, .. }) if offset == line as u64));
            std::fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn fr_h12_unknown_event_is_refused_with_its_name() {
        let line = |event: Value| {
            let mut line = Vec::new();
            encode(&event, &mut line).unwrap();
            line
        };
        let mut header = Vec::new();
        encode(&super::super::format::Header { format: FORMAT, inputs: "x".into() }, &mut header).unwrap();
        for (event, name) in [
            (json!({"at": 5, "event": {"ServiceWarmed": {"op": 0}}}), "ServiceWarmed"),
            (json!({"at": 5, "event": "RunPaused"}), "RunPaused"),
            (json!({"at": 5, "event": {"AttemptStarted": {"operation": "a"}}}), "AttemptStarted"),
            (json!({"at": 5}), "?"),
            (json!(7), "?"),
        ] {
            for rest in [Vec::new(), b"12345678 {torn".to_vec(), ended(1)] {
                let bytes = [header.clone(), ended(1), line(event.clone()), rest].concat();
                let error = read_bytes(&bytes, Path::new("j")).unwrap_err();
                let message = error.to_string();
                let wanted = format!("has the event `{name}` in line 3, unknown to pop");
                assert!(
                    message.contains(&wanted) && message.contains(env!("CARGO_PKG_VERSION")),
                    "{message}"
                );
            }
        }
        // without its line feed, or with another checksum, the same line is torn
        let complete = line(json!({"at": 5, "event": "RunPaused"}));
        for torn in [&complete[..complete.len() - 1], &[b"00000000", &complete[8..]].concat()] {
            let content =
                read_bytes(&[header.clone(), ended(1), torn.to_vec()].concat(), Path::new("j")).unwrap();
            assert_eq!((content.events.len(), content.torn), (1, torn.len() as u64));
        }
    }

    #[test]
    fn f24_deepest_result_is_read_and_deeper_json_is_refused() {
        // captured output is one level deeper than the text it was parsed from
        let mut events = EventReader::default();
        assert!(events.read(complete(&ended(128)).unwrap()).is_some());
        assert!(events.read(complete(&ended(200)).unwrap()).is_none());
        assert!(read_json::<EventRecord>("[".repeat(200_000).as_bytes()).is_err());
    }
}
