//! PostgreSQL: a connection with an event loop of its own, on the thread of the store that uses it.

use crate::sql::{Cell, Connection, Dialect};
use pop_service::LedgerError;
use std::collections::HashMap;
use std::error::Error;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked};
use tokio_postgres::{Client, Config, NoTls, Statement};

/// Ends a statement of a dead client soon, so that its locks are free.
const SESSION: &str = "set client_connection_check_interval = 500; set lock_timeout = '10s'; \
                       set idle_in_transaction_session_timeout = '30s'";

/// A connection to a server.
pub(crate) struct PostgresConnection {
    config: Config,
    runtime: Runtime,
    client: Client,
    prepared: HashMap<String, Statement>,
}

impl PostgresConnection {
    /// Connects to the server of a URL.
    pub(crate) fn open(url: &str) -> Result<Self, LedgerError> {
        let config: Config = url.parse().map_err(|error| failure(&error))?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|error| LedgerError { message: error.to_string(), is_temporary: false })?;
        let client = connect(&runtime, &config)?;
        Ok(Self { config, runtime, client, prepared: HashMap::new() })
    }

    fn prepared(&mut self, sql: &str) -> Result<Statement, LedgerError> {
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.runtime.block_on(self.client.prepare(sql)).map_err(|error| failure(&error))?;
        self.prepared.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

fn connect(runtime: &Runtime, config: &Config) -> Result<Client, LedgerError> {
    runtime.block_on(async {
        let (client, connection) = config.connect(NoTls).await.map_err(|error| failure(&error))?;
        // it ends with the client, or when the server is gone: the next statement says so
        tokio::spawn(connection);
        client.batch_execute(SESSION).await.map_err(|error| failure(&error))?;
        Ok(client)
    })
}

/// Whether the same transaction may succeed later.
fn is_temporary(error: &tokio_postgres::Error) -> bool {
    let Some(code) = error.code() else {
        // the connection could not be made, or was lost
        return error.is_closed() || error.source().is_some_and(<dyn Error>::is::<std::io::Error>);
    };
    let shutdown = [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW];
    let in_the_way =
        [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED, SqlState::LOCK_NOT_AVAILABLE];
    shutdown.contains(code) || in_the_way.contains(code) || code.code().starts_with("08")
}

fn failure(error: &tokio_postgres::Error) -> LedgerError {
    let causes = std::iter::successors(error.source(), |cause: &&dyn Error| (*cause).source());
    let message = causes.fold(error.to_string(), |words, cause| format!("{words}: {cause}"));
    LedgerError { message, is_temporary: is_temporary(error) }
}

impl ToSql for Cell {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(number) => number.to_sql(kind, out),
            Self::Text(text) => text.to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        [Type::INT8, Type::TEXT].contains(kind)
    }

    to_sql_checked!();
}

impl Connection for PostgresConnection {
    fn dialect(&self) -> Dialect {
        Dialect {
            serial: "bigserial primary key",
            locked: " for update",
            unlocked_only: " for update skip locked",
            begin: "begin",
            migration_lock: Some("select pg_advisory_xact_lock(7023371)"),
        }
    }

    fn batch(&mut self, sql: &str) -> Result<(), LedgerError> {
        self.runtime.block_on(self.client.batch_execute(sql)).map_err(|error| failure(&error))
    }

    fn execute(&mut self, sql: &str, values: &[Cell]) -> Result<u64, LedgerError> {
        let statement = self.prepared(sql)?;
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|cell| cell as _).collect();
        self.runtime.block_on(self.client.execute(&statement, &values)).map_err(|error| failure(&error))
    }

    fn query(&mut self, sql: &str, values: &[Cell]) -> Result<Vec<Vec<Cell>>, LedgerError> {
        let statement = self.prepared(sql)?;
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|cell| cell as _).collect();
        let rows =
            self.runtime.block_on(self.client.query(&statement, &values)).map_err(|error| failure(&error))?;
        let cell = |row: &tokio_postgres::Row, index: usize| -> Result<Cell, LedgerError> {
            let read = if *row.columns()[index].type_() == Type::INT8 {
                row.try_get::<_, Option<i64>>(index).map(Cell::from)
            } else {
                row.try_get::<_, Option<String>>(index).map(Cell::from)
            };
            read.map_err(|error| failure(&error))
        };
        rows.iter().map(|row| (0..row.len()).map(|index| cell(row, index)).collect()).collect()
    }

    fn reconnect(&mut self) -> Result<(), LedgerError> {
        if self.client.is_closed() {
            self.client = connect(&self.runtime, &self.config)?;
            self.prepared.clear();
        }
        Ok(())
    }
}
