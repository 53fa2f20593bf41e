//! SQLite: one file, one connection, one writer.

use crate::sql::{Cell, Connection, Dialect};
use pop_service::LedgerError;
use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{ErrorCode, params_from_iter};
use std::path::Path;
use std::time::Duration;

/// Longest wait for another process that writes.
const BUSY: Duration = Duration::from_secs(10);
/// Statements that stay prepared.
const PREPARED: usize = 64;

/// A connection to a file.
pub(crate) struct SqliteConnection(rusqlite::Connection);

impl SqliteConnection {
    /// Opens or creates the file.
    ///
    /// A lease is a promise to others, so each commit is synced: losing one at a power cut would give an agenda out twice.
    pub(crate) fn open(path: &Path) -> Result<Self, LedgerError> {
        let connection = rusqlite::Connection::open(path).map_err(|error| failure(&error))?;
        connection.busy_timeout(BUSY).map_err(|error| failure(&error))?;
        connection.set_prepared_statement_cache_capacity(PREPARED);
        let mut connection = Self(connection);
        // on a file system without shared mapping this succeeds, and the first use fails
        connection.batch("pragma journal_mode = wal; pragma synchronous = full;")?;
        connection.batch(
            "begin immediate; create table if not exists probe (x bigint); drop table probe; commit",
        )?;
        Ok(connection)
    }
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(Value::Null),
            Self::Int(number) => ToSqlOutput::Owned(Value::Integer(*number)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

fn failure(error: &rusqlite::Error) -> LedgerError {
    let code = error.sqlite_error_code();
    let is_temporary =
        matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull));
    LedgerError { message: error.to_string(), is_temporary }
}

impl Connection for SqliteConnection {
    fn dialect(&self) -> Dialect {
        Dialect {
            serial: "integer primary key",
            locked: "",
            unlocked_only: "",
            // a transaction that reads before it writes would fail at once if another one wrote in between
            begin: "begin immediate",
            migration_lock: None,
        }
    }

    fn batch(&mut self, sql: &str) -> Result<(), LedgerError> {
        self.0.execute_batch(sql).map_err(|error| failure(&error))
    }

    fn execute(&mut self, sql: &str, values: &[Cell]) -> Result<u64, LedgerError> {
        let mut statement = self.0.prepare_cached(sql).map_err(|error| failure(&error))?;
        let changed = statement.execute(params_from_iter(values)).map_err(|error| failure(&error))?;
        Ok(changed as u64)
    }

    fn query(&mut self, sql: &str, values: &[Cell]) -> Result<Vec<Vec<Cell>>, LedgerError> {
        let mut statement = self.0.prepare_cached(sql).map_err(|error| failure(&error))?;
        let columns = statement.column_count();
        let mut rows = statement.query(params_from_iter(values)).map_err(|error| failure(&error))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(|error| failure(&error))? {
            let cells = (0..columns).map(|index| {
                Ok(match row.get_ref(index)? {
                    ValueRef::Integer(number) => Cell::Int(number),
                    ValueRef::Text(text) => Cell::Text(String::from_utf8_lossy(text).into_owned()),
                    _ => Cell::Null,
                })
            });
            found.push(cells.collect::<rusqlite::Result<_>>().map_err(|error| failure(&error))?);
        }
        Ok(found)
    }
}
