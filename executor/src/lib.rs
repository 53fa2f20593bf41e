//! Drives one run of an agenda: takes in what happens, records it, reports it, and does what follows.
//!
//! [`run`] is the loop; [`RunFolder`] is where a run lives on disk, whole: its frozen inputs, its journal, its
//! logs. Whoever has the folder can resume the run, explain it and make reports of it.

mod dead_letter;
mod driver;
mod granted;
mod host;
mod journal;
mod letter;
mod lock;
mod order;
mod postponed;
mod resident;
mod restore;
mod run_folder;
mod whole_file;

pub use dead_letter::{DeadLetter, DeadLetters, HeldLetter, LetterError, PastAttempt};
pub use driver::{Finished, Given, Ports, RunError, run};
pub use host::{
    Answer, Cached, Commit, HeldLock, Holder, Host, HostError, Kept, MOST_BYTES, Miss, Tried, Turn, Written,
    remote_file_system,
};
pub use journal::{FileJournal, Journal, JournalError, Opened, Sync, read_journal};
pub use lock::Lock;
pub use order::{RunIdentity, operation_log, preview};
/// How launch data says that a cluster is reached.
pub use pop_handler_base::cluster;
pub use restore::{Restored, adopt, restore};
pub use run_folder::{ConfDSettings, FolderError, Inputs, ReplayOf, RunFolder, Settings};
