//! Drives one run of an agenda: receives inputs, records events, reports them, and carries out actions.
//!
//! [`run`] is the loop. [`RunFolder`] is the complete run on disk: frozen inputs, journal and logs. The folder is enough to
//! resume the run, explain it and report on it.

mod atomic_file;
mod attempt;
mod dead_letter;
mod dead_letter_queue;
mod driver;
mod effects;
mod exec_program;
mod files;
mod folder_error;
mod forecast;
mod frozen_inputs;
mod host;
mod journal;
mod lock;
mod locked_file;
mod named_files;
mod parent_results;
mod postponed_launches;
mod process_stat;
mod restore;
mod run_folder;
mod run_identity;

pub use attempt::{AttemptLimits, AttemptOrder, AttemptRunner, Runners, operation_log, preview};
pub use dead_letter_queue::{DeadLetter, DeadLetters, LetterError, LockedLetter, PastAttempt};
pub use driver::{FinishedRun, Ports, ReplayResult, RunError, RunRequest, RunStart, run};
pub use effects::{EffectReply, EffectRequest, Effects, HostEffects, Ticket};
pub use exec_program::ExecProgram;
pub use files::{FileChange, FilesError, MOST_FILES, MOST_PATH_BYTES, changed_reads, changed_writes};
pub use folder_error::FolderError;
pub use forecast::{Prospect, forecast};
pub use frozen_inputs::{ConfDSettings, Inputs, ReplayOf, RerunOf, Settings, TraceSettings};
pub use host::{
    CacheAnswer, CacheEntry, CacheFile, CacheOrigin, CommitOutcome, DelayTurn, FILES_LIMIT, HeldLock, Holder,
    Host, HostError, LockAttempt, LockWait, MOST_BYTES, Miss, ShortLock, StoreError, StoredFile,
    remote_file_system,
};
pub use journal::{
    FileJournal, Journal, JournalContent, JournalError, JournalLine, JournalTail, Sync, read_events,
    read_journal,
};
pub use lock::{ExecutorProcess, Lock};
pub use parent_results::parent_bytes;
/// Reads the access to a cluster from launch data.
pub use pop_handler_base::cluster;
pub use restore::{RestoredRun, adopt, restore};
pub use run_folder::RunFolder;
pub use run_identity::RunIdentity;
