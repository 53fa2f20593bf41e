//! The lines of events: JSON, or short text for what nearly every operation has, namely the start of an attempt, its
//! success, and the files that a success names.
//!
//! A short line depends on the lines before it: its time counts from the event before, and a file is written once and
//! then named by its slot. docs/formats/journal.md has the grammar.

use super::format::{JSON_FORMAT, encode, encode_line};
use super::json::read_json;
use pop_agenda::{Ending, EventRecord, NamedFile, OpIx, RunEvent, RunTime};
use pop_contract::Usage;
use serde_json::{Value, json};
use std::io::{self, Write as _};
use std::sync::{Arc, LazyLock};

/// Number of files that lines can name at any place.
const SLOTS: usize = 16;

type Slots = [Option<NamedFile>; SLOTS];

/// The result that a short line leaves out.
static PLAIN_RESULT: LazyLock<Arc<Value>> = LazyLock::new(|| Arc::new(json!({"exitCode": 0})));

/// Writes the lines of events. It refers only to lines that it has written, so it may begin anywhere in a journal.
#[derive(Debug, Default)]
pub(super) struct EventWriter {
    /// Whether the journal's format has no short lines.
    is_json_only: bool,
    /// Time of the event before; none if another writer wrote it.
    last: Option<RunTime>,
    slots: Slots,
    /// The slot of the next new file.
    next: usize,
    /// What the lines since [`Self::keep`] have changed.
    before: Before,
}

/// The state of a writer before lines that may be cut off again.
#[derive(Debug, Default)]
struct Before {
    last: Option<RunTime>,
    next: usize,
    /// The slots that were written since, with what they had.
    slots: Vec<(usize, Option<NamedFile>)>,
}

impl EventWriter {
    /// A writer of lines for a journal of this format.
    pub(super) fn of(format: u32) -> Self {
        Self { is_json_only: format == JSON_FORMAT, ..Self::default() }
    }

    /// The lines written so far are in the journal.
    pub(super) fn keep(&mut self) {
        self.before.slots.clear();
        (self.before.last, self.before.next) = (self.last, self.next);
    }

    /// The lines since [`Self::keep`] are not in the journal. The same events get the same lines again, because a reader
    /// may have seen some of them.
    pub(super) fn undo(&mut self) {
        (self.last, self.next) = (self.before.last, self.before.next);
        while let Some((slot, file)) = self.before.slots.pop() {
            self.slots[slot] = file;
        }
    }

    /// Appends the line of an event, after the lines of files that it is the first to name.
    pub(super) fn write(&mut self, recorded: &EventRecord, into: &mut Vec<u8>) -> io::Result<()> {
        let since = self.last.and_then(|last| recorded.at.0.checked_sub(last.0));
        self.last = Some(recorded.at);
        match (&recorded.event, since) {
            (RunEvent::AttemptStarted { op, attempt }, Some(since)) if !self.is_json_only => {
                encode_line(into, |line| {
                    write_head(line, b's', *op, *attempt, since);
                    Ok(())
                })
            }
            (
                RunEvent::AttemptEnded {
                    op,
                    attempt,
                    ending: Ending::Succeeded { result },
                    named_files,
                    files: None,
                    instance: None,
                    usage,
                },
                Some(since),
            ) if !self.is_json_only && named_files.len() <= SLOTS => {
                let slots = self.slots_of(named_files, into)?;
                encode_line(into, |line| {
                    write_head(line, b'e', *op, *attempt, since);
                    if let Some(usage) = usage {
                        write_usage(line, usage);
                    }
                    for (index, slot) in slots.iter().enumerate() {
                        line.extend_from_slice(if index == 0 { b" f" } else { b"," });
                        push_number(line, *slot as u64);
                    }
                    if *result != *PLAIN_RESULT {
                        line.extend_from_slice(b" =");
                        serde_json::to_writer(line, result)?;
                    }
                    Ok(())
                })
            }
            _ => encode(recorded, into),
        }
    }

    /// The slots of files. New files get lines.
    fn slots_of(&mut self, files: &[NamedFile], into: &mut Vec<u8>) -> io::Result<Vec<usize>> {
        let mut found = Vec::with_capacity(files.len());
        for file in files {
            let known = self.slots.iter().position(|slot| slot.as_ref() == Some(file));
            let slot = known.unwrap_or_else(|| {
                // the files of one event keep their slots until its line
                while found.contains(&self.next) {
                    self.next = (self.next + 1) % SLOTS;
                }
                self.next
            });
            if known.is_none() {
                encode_line(into, |line| {
                    write!(line, "f{slot} ")?;
                    Ok(serde_json::to_writer(line, file)?)
                })?;
                self.before.slots.push((slot, self.slots[slot].replace(file.clone())));
                self.next = (slot + 1) % SLOTS;
            }
            found.push(slot);
        }
        Ok(found)
    }
}

/// The beginning of a short line: kind, operation, attempt if it is not the first, time if any passed.
fn write_head(line: &mut Vec<u8>, kind: u8, op: OpIx, attempt: u32, since: u64) {
    line.push(kind);
    push_number(line, op.0.into());
    if attempt != 1 {
        line.push(b'.');
        push_number(line, attempt.into());
    }
    if since != 0 {
        line.push(b' ');
        push_number(line, since);
    }
}

fn push_number(line: &mut Vec<u8>, number: u64) {
    line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// The figures of a usage, up to the last that is not zero; a zero is empty.
fn write_usage(line: &mut Vec<u8>, usage: &Usage) {
    let figures = figures(usage);
    let count = figures.iter().rposition(|figure| *figure != 0).map_or(0, |last| last + 1);
    line.extend_from_slice(b" u");
    for (index, figure) in figures[..count].iter().enumerate() {
        if index > 0 {
            line.push(b',');
        }
        if *figure != 0 {
            push_number(line, *figure);
        }
    }
}

/// The figures of a usage in the order of a line: what a short program has comes first.
fn figures(usage: &Usage) -> [u64; 7] {
    let Usage { user_us, sys_us, mem_kib, read_kib, write_kib, major_faults, preempted } = *usage;
    [user_us, sys_us, preempted, mem_kib, read_kib, write_kib, major_faults]
}

/// What a good line has.
#[derive(Debug)]
pub(super) enum Line {
    /// An event.
    Event(EventRecord),
    /// A file that later lines name.
    File,
}

/// Reads the lines of events, in order.
#[derive(Debug, Default)]
pub(super) struct EventReader {
    /// Time of the event before.
    last: RunTime,
    slots: Slots,
    /// The files of the event before that named any, with their slots: most events name the same.
    named: (Box<[u8]>, Arc<[NamedFile]>),
}

impl EventReader {
    /// Reads the text of a line with a correct checksum; none if it is no event that this version knows.
    pub(super) fn read(&mut self, text: &[u8]) -> Option<Line> {
        match text.first()? {
            b's' => self.started(&text[1..]).map(Line::Event),
            b'e' => self.succeeded(&text[1..]).map(Line::Event),
            b'f' => self.file(&text[1..]),
            _ => {
                let recorded: EventRecord = read_json(text).ok()?;
                self.last = recorded.at;
                Some(Line::Event(recorded))
            }
        }
    }

    fn file(&mut self, text: &[u8]) -> Option<Line> {
        let (slot, rest) = number(text)?;
        let slot = self.slots.get_mut(usize::try_from(slot).ok()?)?;
        *slot = Some(read_json(rest.strip_prefix(b" ")?).ok()?);
        self.named = <_>::default();
        Some(Line::File)
    }

    fn started(&mut self, text: &[u8]) -> Option<EventRecord> {
        let (op, attempt, at, rest) = self.head(text)?;
        rest.is_empty().then(|| self.at(at, RunEvent::AttemptStarted { op, attempt }))
    }

    fn succeeded(&mut self, text: &[u8]) -> Option<EventRecord> {
        let (op, attempt, at, mut rest) = self.head(text)?;
        let mut usage = None;
        if let Some(after) = rest.strip_prefix(b" u") {
            let (text, after) = word(after);
            (usage, rest) = (Some(usage_of(text)?), after);
        }
        let mut named_files = Arc::default();
        if let Some(after) = rest.strip_prefix(b" f") {
            let (text, after) = word(after);
            (named_files, rest) = (self.files(text)?, after);
        }
        let result = match rest.strip_prefix(b" =") {
            Some(json) => Arc::new(read_json(json).ok()?),
            None if rest.is_empty() => Arc::clone(&PLAIN_RESULT),
            None => return None,
        };
        let ending = Ending::Succeeded { result };
        let (files, instance) = (None, None);
        let event = RunEvent::AttemptEnded { op, attempt, ending, named_files, files, instance, usage };
        Some(self.at(at, event))
    }

    fn at(&mut self, at: RunTime, event: RunEvent) -> EventRecord {
        self.last = at;
        EventRecord { at, event }
    }

    /// Operation, attempt and time of a short line, and what follows them.
    fn head<'t>(&self, text: &'t [u8]) -> Option<(OpIx, u32, RunTime, &'t [u8])> {
        let (op, mut rest) = number(text)?;
        let (mut attempt, mut since) = (1, 0);
        if let Some(after) = rest.strip_prefix(b".") {
            (attempt, rest) = number(after)?;
        }
        if let [b' ', b'0'..=b'9', ..] = rest {
            (since, rest) = number(&rest[1..])?;
        }
        let at = RunTime(self.last.0.checked_add(since)?);
        Some((OpIx(u32::try_from(op).ok()?), u32::try_from(attempt).ok()?, at, rest))
    }

    /// The files in the listed slots.
    fn files(&mut self, listed: &[u8]) -> Option<Arc<[NamedFile]>> {
        if *self.named.0 != *listed {
            let file = |slot: &[u8]| {
                let (slot, rest) = number(slot)?;
                self.slots.get(usize::try_from(slot).ok()?)?.clone().filter(|_| rest.is_empty())
            };
            let files = listed.split(|byte| *byte == b',').map(file).collect::<Option<_>>()?;
            self.named = (listed.into(), files);
        }
        Some(Arc::clone(&self.named.1))
    }
}

fn usage_of(text: &[u8]) -> Option<Usage> {
    let mut figures = [0; 7];
    for (index, figure) in text.split(|byte| *byte == b',').enumerate() {
        let (figure, rest) = if figure.is_empty() { (0, figure) } else { number(figure)? };
        *figures.get_mut(index).filter(|_| rest.is_empty())? = figure;
    }
    let [user_us, sys_us, preempted, mem_kib, read_kib, write_kib, major_faults] = figures;
    Some(Usage { user_us, sys_us, mem_kib, read_kib, write_kib, major_faults, preempted })
}

/// The text up to the next space, and the rest.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| *byte == b' ').unwrap_or(text.len()))
}

/// The decimal number at the beginning of a text, and the rest.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(digits);
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((number, rest))
}

#[cfg(test)]
mod tests;
