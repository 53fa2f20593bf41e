//! The port to a database: statements with numbered parameters, and rows of simple values.

use pop_service::LedgerError;

/// A value of a column or of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    /// No value.
    Null,
    /// A whole number.
    Int(i64),
    /// A text.
    Text(String),
}

impl Cell {
    /// The number; 0 for anything else.
    pub(crate) fn int(&self) -> i64 {
        match self {
            Self::Int(number) => *number,
            _ => 0,
        }
    }

    /// The number, if there is one.
    pub(crate) fn maybe_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The text; empty for anything else.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            _ => String::new(),
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// What the two databases write differently.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialect {
    /// Type of a column whose numbers increase with each new row.
    pub(crate) serial: &'static str,
    /// Locks the selected rows.
    pub(crate) locked: &'static str,
    /// Locks the selected rows, without those that another transaction has locked.
    pub(crate) unlocked_only: &'static str,
    /// Begins a transaction that will write.
    pub(crate) begin: &'static str,
    /// Makes other processes wait that migrate at the same time.
    pub(crate) migration_lock: Option<&'static str>,
}

/// A connection to a database.
///
/// Parameters are `$1`, `$2` and so on; each first appears after those before it.
pub(crate) trait Connection {
    /// The dialect.
    fn dialect(&self) -> Dialect;
    /// Performs statements without parameters.
    fn batch(&mut self, sql: &str) -> Result<(), LedgerError>;
    /// Performs a statement and returns the number of changed rows.
    fn execute(&mut self, sql: &str, values: &[Cell]) -> Result<u64, LedgerError>;
    /// Performs a query.
    fn query(&mut self, sql: &str, values: &[Cell]) -> Result<Vec<Vec<Cell>>, LedgerError>;
    /// Connects again, if the connection is lost.
    fn reconnect(&mut self) -> Result<(), LedgerError> {
        Ok(())
    }
}
