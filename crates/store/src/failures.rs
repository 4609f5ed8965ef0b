//! What became of the records of a sync that were not delivered, and why.

use jiff::Timestamp;
use records::{Operation, OutcomeKind, SyncId};
use serde::{Deserialize, Serialize};
use sqlx::{Connection, Row, sqlite::SqliteRow};

use crate::{
    Store, StoreError,
    database::{count, statement, time, to_integer, to_micros, variant},
};

/// How many failures one statement carries.
const FAILURES_PER_STATEMENT: usize = 1_000;

pub(crate) const OPERATIONS: [(Operation, &str); 3] =
    [(Operation::Added, "added"), (Operation::Updated, "updated"), (Operation::Deleted, "deleted")];

pub(crate) const OUTCOMES: [(OutcomeKind, &str); 4] = [
    (OutcomeKind::Delivered, "delivered"),
    (OutcomeKind::Rejected, "rejected"),
    (OutcomeKind::Retry, "retry"),
    (OutcomeKind::InDoubt, "in doubt"),
];

/// A record that one sync did not deliver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedRecord {
    pub sync: SyncId,
    /// Its place in the sync's change set.
    pub index: u64,
    /// Its key as text.
    pub key: String,
    pub operation: Operation,
    pub outcome: OutcomeKind,
    pub code: String,
    pub message: String,
    pub at: Timestamp,
}

/// The failures of a sync that share outcome and code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureGroup {
    pub outcome: OutcomeKind,
    pub code: String,
    /// The message of one of them, the first by index.
    pub message: String,
    /// The key of the same one.
    pub key: String,
    pub count: u64,
}

impl Store {
    /// Writes failures down, all or none. One that stands already under its sync and index is replaced.
    ///
    /// # Errors
    /// A sync is unknown, or a statement fails.
    pub async fn record_failures(&self, failures: &[FailedRecord]) -> Result<(), StoreError> {
        if failures.is_empty() {
            return Ok(());
        }
        let failed = || statement("write down failed records");
        let mut connection = self.connection().await;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed())?;
        for chunk in failures.chunks(FAILURES_PER_STATEMENT) {
            // One JSON text instead of a statement a record: a hundred thousand refused records are no rare day.
            sqlx::query(
                "INSERT OR REPLACE INTO failures \
                 (sync, record_index, record_key, operation, outcome, code, message, at) \
                 SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, \
                 value ->> 7 FROM json_each(?)",
            )
            .bind(failures_text(chunk))
            .execute(&mut *transaction)
            .await
            .map_err(failed())?;
        }
        transaction.commit().await.map_err(failed())
    }

    /// The failures of a sync in the order of its change set.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn failures(&self, sync: SyncId, limit: u32, offset: u64) -> Result<Vec<FailedRecord>, StoreError> {
        let rows = sqlx::query("SELECT * FROM failures WHERE sync = ? ORDER BY record_index LIMIT ? OFFSET ?")
            .bind(sync.to_string())
            .bind(limit)
            .bind(to_integer(offset))
            .fetch_all(&mut *self.connection().await)
            .await
            .map_err(statement("list failed records"))?;
        rows.iter().map(|row| failed_record(sync, row)).collect()
    }

    /// The failures of a sync counted by outcome and code, the most frequent first, each with a sample.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn failure_summary(&self, sync: SyncId) -> Result<Vec<FailureGroup>, StoreError> {
        // With min(), SQLite takes the bare columns from the row that has the minimum: a sample whose parts agree.
        let rows = sqlx::query(
            "SELECT outcome, code, message, record_key, min(record_index) AS first, count(*) AS failures \
             FROM failures WHERE sync = ? GROUP BY outcome, code ORDER BY failures DESC, outcome, code",
        )
        .bind(sync.to_string())
        .fetch_all(&mut *self.connection().await)
        .await
        .map_err(statement("count failed records"))?;
        let group = |row: &SqliteRow| {
            Ok(FailureGroup {
                outcome: variant(&OUTCOMES, "an outcome", &text(row, "outcome")?)?,
                code: text(row, "code")?,
                message: text(row, "message")?,
                key: text(row, "record_key")?,
                count: count(row, "failures")?,
            })
        };
        rows.iter().map(group).collect()
    }

    /// Forgets the failures of a sync: before it is loaded a second time, for instance. Gives how many.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn clear_failures(&self, sync: SyncId) -> Result<u64, StoreError> {
        let done = sqlx::query("DELETE FROM failures WHERE sync = ?")
            .bind(sync.to_string())
            .execute(&mut *self.connection().await)
            .await
            .map_err(statement("forget failed records"))?;
        Ok(done.rows_affected())
    }
}

fn failures_text(failures: &[FailedRecord]) -> String {
    let rows = failures.iter().map(|failure| {
        serde_json::json!([
            failure.sync.to_string(),
            to_integer(failure.index),
            failure.key,
            failure.operation.name(),
            failure.outcome.name(),
            failure.code,
            failure.message,
            to_micros(failure.at),
        ])
    });
    serde_json::Value::Array(rows.collect()).to_string()
}

fn text(row: &SqliteRow, column: &str) -> Result<String, StoreError> {
    row.try_get(column).map_err(statement("read a failed record"))
}

fn failed_record(sync: SyncId, row: &SqliteRow) -> Result<FailedRecord, StoreError> {
    Ok(FailedRecord {
        sync,
        index: count(row, "record_index")?,
        key: text(row, "record_key")?,
        operation: variant(&OPERATIONS, "an operation", &text(row, "operation")?)?,
        outcome: variant(&OUTCOMES, "an outcome", &text(row, "outcome")?)?,
        code: text(row, "code")?,
        message: text(row, "message")?,
        at: time(row, "at")?,
    })
}

#[cfg(test)]
mod tests;
