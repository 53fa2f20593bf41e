//! The store: threads that perform transactions.
//!
//! *Guarantees.* A reply says that the transaction is committed and synced. A transaction that fails changes nothing.
//! SQLite commits all transactions together that wait at the same time, so that they share one sync.

use crate::ledger::SqlLedger;
use crate::migration::migrate;
#[cfg(feature = "postgres")]
use crate::postgres::PostgresConnection;
use crate::sql::Connection;
use crate::sqlite::SqliteConnection;
use pop_service::{Ledger, LedgerError, ServiceError};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// Most transactions that are committed together.
const MOST_TOGETHER: usize = 256;
/// Attempts of a transaction that fails for a temporary reason.
const ATTEMPTS: u32 = 5;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be used.
    #[error("cannot use the database `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Reason.
        source: LedgerError,
    },
    /// The server cannot be used.
    #[error("cannot use the PostgreSQL server")]
    Server(#[source] LedgerError),
    /// The system cannot start a thread.
    #[error("cannot start a thread for the database")]
    Thread(#[source] std::io::Error),
}

/// The store. Its clones share its connections.
#[derive(Clone)]
pub struct Store {
    jobs: Sender<Box<dyn Job>>,
}

impl Store {
    /// The store in a file, which is created if it does not exist.
    pub fn sqlite(path: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError::File { path: path.to_owned(), source };
        let mut connection = SqliteConnection::open(path).map_err(failed)?;
        migrate(&mut connection).map_err(failed)?;
        Self::start(vec![Box::new(connection)], MOST_TOGETHER)
    }

    /// The store in a PostgreSQL database, with so many connections.
    #[cfg(feature = "postgres")]
    pub fn postgres(url: &str, connections: usize) -> Result<Self, StoreError> {
        let mut all: Vec<Box<dyn Connection + Send>> = Vec::new();
        for nth in 0..connections.max(1) {
            let mut connection = PostgresConnection::open(url).map_err(StoreError::Server)?;
            if nth == 0 {
                migrate(&mut connection).map_err(StoreError::Server)?;
            }
            all.push(Box::new(connection));
        }
        Self::start(all, 1)
    }

    /// Starts a thread for each connection.
    pub(crate) fn start(
        connections: Vec<Box<dyn Connection + Send>>,
        together: usize,
    ) -> Result<Self, StoreError> {
        let (jobs, waiting) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        for connection in connections {
            let mut worker = Worker { connection, waiting: Arc::clone(&waiting), together };
            let thread = std::thread::Builder::new().name("store".to_owned());
            thread.spawn(move || worker.work()).map_err(StoreError::Thread)?;
        }
        Ok(Self { jobs })
    }

    /// Performs a transaction. It is performed again if it failed for a temporary reason, so it must have no other effect.
    pub async fn transact<T: Send + 'static>(
        &self,
        perform: impl FnMut(&mut dyn Ledger) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let (reply, result) = oneshot::channel();
        let job = Transaction { perform, result: None, reply };
        let closed =
            || LedgerError { message: "the database thread has ended".to_owned(), is_temporary: false };
        self.jobs.send(Box::new(job)).map_err(|_| closed())?;
        result.await.map_err(|_| closed())?
    }
}

/// A transaction that waits for a connection.
trait Job: Send {
    /// Performs it and keeps the result; false if it failed.
    fn perform(&mut self, ledger: &mut dyn Ledger) -> bool;
    /// Whether it failed for a temporary reason.
    fn is_to_repeat(&self) -> bool;
    /// Sends the result, or the failure of the commit.
    fn reply(self: Box<Self>, committed: Result<(), LedgerError>);
}

struct Transaction<T, F> {
    perform: F,
    result: Option<Result<T, ServiceError>>,
    reply: oneshot::Sender<Result<T, ServiceError>>,
}

impl<T: Send, F: FnMut(&mut dyn Ledger) -> Result<T, ServiceError> + Send> Job for Transaction<T, F> {
    fn perform(&mut self, ledger: &mut dyn Ledger) -> bool {
        let result = (self.perform)(ledger);
        let is_ok = result.is_ok();
        self.result = Some(result);
        is_ok
    }

    fn is_to_repeat(&self) -> bool {
        matches!(&self.result, Some(Err(ServiceError::Ledger(error))) if error.is_temporary)
    }

    fn reply(self: Box<Self>, committed: Result<(), LedgerError>) {
        let Self { result, reply, .. } = *self;
        let result = match (committed, result) {
            // its own error says more than that of the commit
            (_, Some(Err(error))) => Err(error),
            (Err(error), _) => Err(error.into()),
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => return,
        };
        // the request may be gone
        reply.send(result).ok();
    }
}

/// A commit whose answer was lost may have happened, so the transaction is not performed again.
fn in_commit(error: &LedgerError) -> LedgerError {
    let message = format!("{}; it is unknown whether the change was stored", error.message);
    LedgerError { message, is_temporary: false }
}

/// A thread with its connection.
struct Worker {
    connection: Box<dyn Connection + Send>,
    waiting: Arc<Mutex<Receiver<Box<dyn Job>>>>,
    /// Most transactions that are committed together.
    together: usize,
}

impl Worker {
    /// Works until the store is dropped.
    fn work(&mut self) {
        while let Some(mut jobs) = self.next() {
            let mut attempt = 1;
            let committed = loop {
                let committed = self.attempt(&mut jobs);
                let is_temporary = match &committed {
                    Err(error) => error.is_temporary,
                    Ok(()) => jobs.len() == 1 && jobs.iter().any(|job| job.is_to_repeat()),
                };
                if !is_temporary || attempt == ATTEMPTS {
                    break committed;
                }
                std::thread::sleep(std::time::Duration::from_millis(10 << (2 * attempt)));
                attempt += 1;
                // if this fails, the next attempt says why
                self.connection.reconnect().ok();
            };
            for job in jobs {
                let committed = match &committed {
                    Ok(()) => Ok(()),
                    Err(error) => {
                        Err(LedgerError { message: error.message.clone(), is_temporary: error.is_temporary })
                    }
                };
                job.reply(committed);
            }
        }
    }

    /// The next transactions; none if the store was dropped.
    fn next(&self) -> Option<Vec<Box<dyn Job>>> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut jobs = vec![waiting.recv().ok()?];
        while jobs.len() < self.together
            && let Ok(job) = waiting.try_recv()
        {
            jobs.push(job);
        }
        Some(jobs)
    }

    /// Performs transactions and commits them together. One that fails is undone alone.
    fn attempt(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<(), LedgerError> {
        let connection = self.connection.as_mut();
        connection.batch(connection.dialect().begin)?;
        let performed = jobs.iter_mut().try_for_each(|job| {
            connection.batch("savepoint job")?;
            let is_ok = job.perform(&mut SqlLedger(connection));
            connection.batch(if is_ok { "release job" } else { "rollback to job; release job" })
        });
        let ended = performed.and_then(|()| connection.batch("commit").map_err(|error| in_commit(&error)));
        if ended.is_err() {
            // it may be over already
            connection.batch("rollback").ok();
        }
        ended
    }
}
