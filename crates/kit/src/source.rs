//! What a warehouse connector does: describe a model's result, and stream it.

use async_trait::async_trait;
use records::Schema;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{Ledger, LedgerRows, Table, TableColumn, TableName};

/// A model's query as a source runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// One read-only `SELECT`; a trailing `;` and comments are fine.
    pub text: String,
    /// At most this many rows, for a preview.
    pub rows_max: Option<u64>,
}

/// Why a source could not do what it was asked. A closed set: each variant is a decision.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("the settings of this source are wrong: {message}")]
    Settings { message: String },
    #[error("cannot reach {address}: {message}")]
    Unreachable { address: String, message: String },
    #[error("{address} refused the credentials: {message}")]
    CredentialsRefused { address: String, message: String },
    #[error("no trusted connection to {address}: {message}")]
    Tls { address: String, message: String },
    /// The model is not one read-only `SELECT`. Found before it ran.
    #[error("the model is refused: {message}")]
    ModelRefused { message: String, place: Option<Place> },
    #[error("the query failed: {message}")]
    QueryFailed { message: String, place: Option<Place>, hint: Option<String> },
    #[error("the query took longer than {seconds} s")]
    TimedOut { seconds: u64 },
    #[error("column `{column}`: {message}")]
    Value { column: String, message: String },
    #[error("the connection was lost: {message}")]
    Lost { message: String },
    #[error("cancelled")]
    Cancelled,
}

/// A place in a model's query, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl SourceError {
    /// Whether the same may succeed if it is tried again without a change by a person.
    pub fn is_passing(&self) -> bool {
        matches!(self, SourceError::Unreachable { .. } | SourceError::Lost { .. } | SourceError::TimedOut { .. })
    }

    pub fn place(&self) -> Option<Place> {
        match self {
            SourceError::ModelRefused { place, .. } | SourceError::QueryFailed { place, .. } => *place,
            _ => None,
        }
    }
}

/// A connection to a warehouse or database that models run on.
///
/// An implementation keeps no state between calls but its settings and, if it wants, pooled connections.
/// Nothing it does writes to the warehouse, but for [`Source::record`], which is called only where somebody asked for it.
#[async_trait]
pub trait Source: Send + Sync + std::fmt::Debug {
    /// Connects and signs in. The answer says what was reached: `PostgreSQL 15.20 at db.example.com:5432`.
    async fn check(&self) -> Result<String, SourceError>;

    /// The columns of the query's result, without running it where the source can.
    async fn describe(&self, query: &Query) -> Result<Schema, SourceError>;

    /// The tables and views that models may read, by name; at most [`TABLES_MAX`](crate::TABLES_MAX).
    async fn tables(&self) -> Result<Vec<Table>, SourceError> {
        Err(SourceError::Settings { message: "this kind of source cannot list its tables".to_owned() })
    }

    /// The columns of a table or view, in its order. None if there is no such table, or the login may not see it.
    async fn columns(&self, _table: &TableName) -> Result<Option<Vec<TableColumn>>, SourceError> {
        Err(SourceError::Settings { message: "this kind of source cannot list its columns".to_owned() })
    }

    /// Runs the query in one consistent read and sends its rows, in batches whose columns are those of the schema
    /// that `describe` gives, to `batches`. Returns when all were sent. Nothing is buffered whole: when the channel
    /// is full the source waits.
    ///
    /// A dropped receiver or a cancelled token ends the query on the server too, with [`SourceError::Cancelled`].
    /// On any error the batches that were sent are worthless, and the caller drops what it made of them.
    async fn extract(
        &self,
        query: &Query,
        batches: mpsc::Sender<arrow_array::RecordBatch>,
        cancel: CancellationToken,
    ) -> Result<(), SourceError>;

    /// Writes what a sync did into a table of ours: makes the table if it is missing, replaces what it holds of `sync`
    /// by the rows that come, all in one transaction. The same again changes nothing. A channel that is closed ends it.
    ///
    /// # Errors
    /// The login may not write, or this kind of source cannot.
    async fn record(&self, ledger: &Ledger, sync: &str, rows: mpsc::Receiver<LedgerRows>) -> Result<(), SourceError> {
        let _ = (sync, rows);
        let message = format!("`outcomes_table`: this kind of source cannot write to `{}`", ledger.quoted());
        Err(SourceError::Settings { message })
    }
}
