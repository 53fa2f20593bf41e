//! Drives one run of an agenda: takes in what happens, records it, reports it, and does what follows.
//!
//! [`run`] is the loop; [`RunFolder`] is where a run lives on disk, whole: its frozen inputs, its journal, its
//! logs. Whoever has the folder can resume the run, explain it and make reports of it.

mod attempt;
mod dead_letter;
mod dead_letter_queue;
mod driver;
mod effects;
mod folder_error;
mod frozen_inputs;
mod host;
mod journal;
mod lock;
mod postponed_launches;
mod restore;
mod run_folder;
mod run_identity;
mod whole_file;

pub use attempt::{AttemptLimits, AttemptOrder, AttemptRunner, Runners, operation_log, preview};
pub use dead_letter_queue::{DeadLetter, DeadLetters, HeldLetter, LetterError, PastAttempt};
pub use driver::{FinishedRun, Ports, RunError, RunRequest, RunStart, run};
pub use effects::{EffectReply, EffectRequest, Effects, ExecProgram, HostEffects, Ticket};
pub use folder_error::FolderError;
pub use frozen_inputs::{ConfDSettings, Inputs, ReplayOf, Settings};
pub use host::{
    CacheAnswer, CacheEntry, CacheFile, CacheOrigin, CommitOutcome, DelayTurn, HeldLock, Holder, Host,
    HostError, LockAttempt, LockWait, MOST_BYTES, Miss, ShortLock, remote_file_system,
};
pub use journal::{FileJournal, Journal, JournalError, Opened, Sync, read_journal};
pub use lock::Lock;
/// How launch data says that a cluster is reached.
pub use pop_handler_base::cluster;
pub use restore::{RestoredRun, adopt, restore};
pub use run_folder::RunFolder;
pub use run_identity::RunIdentity;
