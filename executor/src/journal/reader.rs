//! Reads a journal: its good lines, where they end, and whether the rest is a torn tail or damage.

use super::JournalError;
use super::format::{FORMAT, decode, header};
use pop_agenda::EventRecord;
use pop_launchers::read_regular_file;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io;
use std::path::Path;

/// Largest journal that is read, in bytes.
const JOURNAL_LIMIT: u64 = 4 * 1024 * 1024 * 1024;

/// Deepest nesting of lists and maps in an event: the limit of a report, plus the levels of the event itself.
const MOST_LEVELS: usize = 160;

/// The content of a journal.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalContent {
    /// The digest of the run's frozen inputs; none if the executor died before it wrote the header.
    pub inputs: Option<String>,
    /// The events, in order.
    pub events: Vec<EventRecord>,
    /// Length of the header and the good lines in bytes.
    pub good: u64,
    /// Length of the torn tail in bytes; 0 without one.
    pub torn: u64,
}

/// Receives the events of a journal, in order. Its error ends the reading.
type EventCallback<'c> = &'c mut dyn FnMut(EventRecord) -> Result<(), JournalError>;

/// Reads a journal without changing it. A torn tail is only cut off when the journal is opened for writing.
pub fn read_journal(path: &Path) -> Result<JournalContent, JournalError> {
    read_bytes(&bytes_of(path)?, path)
}

/// Reads a journal like [`read_journal`], and gives each event to `each` instead of storing them all.
///
/// If the journal is damaged, `each` has received the events before the damage.
pub fn read_events(
    path: &Path,
    mut each: impl FnMut(EventRecord) -> Result<(), JournalError>,
) -> Result<(), JournalError> {
    scan(&bytes_of(path)?, path, &mut each).map(|_| ())
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
    let content = scan(bytes, path, &mut |event| {
        events.push(event);
        Ok(())
    })?;
    Ok(JournalContent { events, ..content })
}

/// The content of a journal without its events, which `each` receives.
fn scan(bytes: &[u8], path: &Path, each: EventCallback<'_>) -> Result<JournalContent, JournalError> {
    let first = bytes.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    let Some(line) = first.strip_suffix(b"\n") else {
        // even the header is torn
        return Ok(JournalContent { inputs: None, events: Vec::new(), good: 0, torn: bytes.len() as u64 });
    };
    let head = header(line).ok_or_else(|| JournalError::NoJournal { path: path.to_owned() })?;
    if head.format != FORMAT {
        return Err(JournalError::Format { path: path.to_owned(), found: head.format, known: FORMAT });
    }
    let mut content =
        JournalContent { inputs: Some(head.inputs), events: Vec::new(), good: first.len() as u64, torn: 0 };
    let mut rest = &bytes[first.len()..];
    let mut line_number = 1;
    while !rest.is_empty() {
        line_number += 1;
        let line = rest.split_inclusive(|byte| *byte == b'\n').next().unwrap_or(rest);
        match event(line) {
            Some(event) => {
                each(event)?;
                content.good += line.len() as u64;
                rest = &rest[line.len()..];
            }
            // the checksum is correct, so no crash tore this line: another version wrote it
            None if let Some(event) = unknown_event(line) => {
                let path = path.to_owned();
                return Err(JournalError::UnknownEvent { path, event, line: line_number });
            }
            // a crash only tears the tail, so a good line after a bad one means damage
            None if rest[line.len()..]
                .split_inclusive(|byte| *byte == b'\n')
                .any(|line| event(line).is_some()) =>
            {
                let (path, offset) = (path.to_owned(), content.good);
                return Err(JournalError::Damaged { path, offset, line: line_number });
            }
            None => {
                content.torn = rest.len() as u64;
                break;
            }
        }
    }
    Ok(content)
}

/// The name of the unknown event in a complete line; `?` if it has no name. None if the line is torn.
fn unknown_event(line: &[u8]) -> Option<String> {
    /// Longest name that is shown, in characters.
    const LONGEST: usize = 40;
    let json = decode(line.strip_suffix(b"\n")?)?;
    let value: Option<Value> = read_json(json).ok();
    let event = value.as_ref().and_then(|value| value.get("event"));
    let name = event.and_then(|event| match event {
        Value::Object(fields) => fields.keys().next().map(String::as_str),
        event => event.as_str(),
    });
    Some(name.unwrap_or("?").chars().take(LONGEST).collect())
}

/// The event of a complete line with its line feed.
pub(super) fn event(line: &[u8]) -> Option<EventRecord> {
    read_json(decode(line.strip_suffix(b"\n")?)?).ok()
}

/// Parses JSON of pop that may contain a report of the greatest depth.
pub(crate) fn read_json<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    // nearly all JSON is within the parser's own depth limit
    serde_json::from_slice(json).or_else(|error| {
        if levels(json) > MOST_LEVELS {
            return Err(error);
        }
        let mut parser = serde_json::Deserializer::from_slice(json);
        parser.disable_recursion_limit();
        let value = T::deserialize(&mut parser)?;
        parser.end().map(|()| value)
    })
}

/// Depth of the nesting of lists and maps.
fn levels(json: &[u8]) -> usize {
    let (mut level, mut deepest, mut in_text) = (0_usize, 0, false);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_text = !in_text,
            b'\\' if in_text => drop(bytes.next()),
            b'[' | b'{' if !in_text => {
                level += 1;
                deepest = deepest.max(level);
            }
            b']' | b'}' if !in_text => level = level.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::super::format::encode;
    use super::*;
    use pop_agenda::{Ending, OpIx, RunEvent, RunTime};
    use serde_json::json;
    use std::sync::Arc;

    fn ended(levels: usize) -> Vec<u8> {
        let result = (0..levels).fold(Value::from("]\\\"["), |inner, _| Value::Array(vec![inner]));
        let ending = Ending::Succeeded { result: Arc::new(result) };
        let event = RunEvent::AttemptEnded {
            op: OpIx(0),
            attempt: 1,
            ending,
            named_files: Arc::default(),
            files: None,
            instance: None,
            usage: None,
        };
        let mut line = Vec::new();
        encode(&EventRecord { at: RunTime(0), event }, &mut line).unwrap();
        line
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
        assert!(event(&ended(128)).is_some());
        assert!(event(&ended(200)).is_none());
        assert!(read_json::<EventRecord>("[".repeat(200_000).as_bytes()).is_err());
    }
}
