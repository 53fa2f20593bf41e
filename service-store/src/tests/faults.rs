//! Each statement made to fail: a transaction happens whole or not at all, and doing it again leads to the same end.

use super::{Desk, run_steps};
use crate::Store;
use crate::migration::migrate;
use crate::sql::{Cell, Connection, Dialect};
use crate::sqlite::SqliteConnection;
use pop_service::LedgerError;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Fails one statement, the one that is so many statements away.
struct Faulty {
    inner: SqliteConnection,
    left: Arc<AtomicI64>,
    is_temporary: bool,
}

impl Faulty {
    fn fault(&self) -> Result<(), LedgerError> {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 0 {
            return Err(LedgerError { message: "a fault".to_owned(), is_temporary: self.is_temporary });
        }
        Ok(())
    }
}

impl Connection for Faulty {
    fn dialect(&self) -> Dialect {
        self.inner.dialect()
    }

    fn batch(&mut self, sql: &str) -> Result<(), LedgerError> {
        // the end of a transaction that already failed must work, as it does in a database
        if !sql.starts_with("rollback") {
            self.fault()?;
        }
        self.inner.batch(sql)
    }

    fn execute(&mut self, sql: &str, values: &[Cell]) -> Result<u64, LedgerError> {
        self.fault()?;
        self.inner.execute(sql, values)
    }

    fn query(&mut self, sql: &str, values: &[Cell]) -> Result<Vec<Vec<Cell>>, LedgerError> {
        self.fault()?;
        self.inner.query(sql, values)
    }
}

/// Runs all steps with one fault; returns everything that is stored, and whether the fault came.
async fn stored_with_fault(at: i64, is_temporary: bool) -> (Vec<String>, bool) {
    let folder = tempfile::tempdir().unwrap();
    let mut inner = SqliteConnection::open(&folder.path().join("pop.db")).unwrap();
    migrate(&mut inner).unwrap();
    inner.batch("pragma synchronous = off").unwrap();
    let left = Arc::new(AtomicI64::new(i64::MAX));
    let connection = Faulty { inner, left: Arc::clone(&left), is_temporary };
    let desk = Desk::new(Store::start(vec![Box::new(connection)], 8).unwrap());
    desk.populate("RoundRobin").await;
    left.store(at, Ordering::Relaxed);
    run_steps(&desk).await.unwrap();
    let has_come = left.swap(i64::MAX, Ordering::Relaxed) < 0;
    (desk.dump().await, has_come)
}

#[tokio::test]
async fn a_failed_statement_changes_nothing() {
    let (wanted, _) = stored_with_fault(i64::MAX, false).await;
    assert!(wanted.len() > 6, "{wanted:#?}");
    let mut count = 0;
    for is_temporary in [false, true] {
        for at in 0.. {
            let (stored, has_come) = stored_with_fault(at, is_temporary).await;
            if !has_come {
                break;
            }
            count += 1;
            assert_eq!(stored, wanted, "fault {at}, temporary {is_temporary}");
        }
    }
    assert!(count > 100, "{count}");
}
