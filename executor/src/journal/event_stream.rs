//! The events of a journal, which a thread decodes while the caller does something else.

use super::JournalError;
use super::reader::{bytes_of, scan};
use pop_agenda::EventRecord;
use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

/// Journals from this length on, in bytes, are decoded on a thread. For shorter ones, starting it takes longer than it
/// saves.
const LONG: usize = 256 * 1024;
/// Events that are handed over at once.
const BATCH: usize = 1024;
/// Most batches that wait for the caller.
const WAITING: usize = 64;

/// The events of a journal, in order.
///
/// *Guarantees.* An error comes after the events before the damage, and nothing follows it. A journal that does not exist
/// has no events. At most 64 batches of 1,024 events are in memory, unless the journal is short.
#[derive(Debug)]
pub struct EventStream {
    batch: std::vec::IntoIter<EventRecord>,
    /// The error with which a decoded journal ends.
    end: Option<JournalError>,
    decoder: Option<Decoder>,
}

/// A thread that decodes a journal.
#[derive(Debug)]
struct Decoder {
    batches: Receiver<Vec<EventRecord>>,
    thread: JoinHandle<Result<(), JournalError>>,
}

impl EventStream {
    /// Reads a journal, and begins to decode its events.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let bytes = bytes_of(path)?;
        if bytes.len() < LONG {
            return Ok(Self::decoded(&bytes, path));
        }
        let (bytes, path) = (std::sync::Arc::new(bytes), path.to_owned());
        let (sender, batches) = sync_channel(WAITING);
        let started = std::thread::Builder::new().name("journal-read".to_owned()).spawn({
            let (bytes, path) = (std::sync::Arc::clone(&bytes), path.clone());
            move || {
                // the receiver is gone when the caller needs no more events
                batched(&bytes, &path, &mut |batch| match sender.send(batch) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                })
            }
        });
        Ok(match started {
            Ok(thread) => {
                let decoder = Some(Decoder { batches, thread });
                Self { batch: Vec::new().into_iter(), end: None, decoder }
            }
            // no resources for a thread
            Err(_) => Self::decoded(&bytes, &path),
        })
    }

    /// The events of a journal that is decoded at once.
    fn decoded(bytes: &[u8], path: &Path) -> Self {
        let mut all = Vec::new();
        let end = scan(bytes, path, &mut |event| {
            all.push(event);
            ControlFlow::Continue(())
        });
        Self { batch: all.into_iter(), end: end.err(), decoder: None }
    }
}

/// Decodes a journal, and gives each batch of its events to `each`, until that asks for no more.
fn batched(
    bytes: &[u8],
    path: &Path,
    each: &mut dyn FnMut(Vec<EventRecord>) -> ControlFlow<()>,
) -> Result<(), JournalError> {
    let mut batch = Vec::with_capacity(BATCH);
    let read = scan(bytes, path, &mut |event| {
        batch.push(event);
        if batch.len() < BATCH {
            return ControlFlow::Continue(());
        }
        each(std::mem::replace(&mut batch, Vec::with_capacity(BATCH)))
    });
    // also before an error, and of no use to a caller that needs no more
    let _is_wanted = each(batch);
    read.map(|_| ())
}

impl Iterator for EventStream {
    type Item = Result<EventRecord, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(event) = self.batch.next() {
                return Some(Ok(event));
            }
            let Some(decoder) = self.decoder.take() else { return self.end.take().map(Err) };
            match decoder.batches.recv() {
                Ok(batch) => {
                    self.batch = batch.into_iter();
                    self.decoder = Some(decoder);
                }
                // the thread has ended
                Err(_) => match decoder.thread.join() {
                    Ok(read) => self.end = read.err(),
                    Err(panic) => resume_unwind(panic),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests;
