//! What became of the records of a sync that were not delivered, and why.

use jiff::Timestamp;
use records::{Operation, OutcomeKind, SyncId};
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;

use crate::{
    Store, StoreError,
    database::{Arg, Row, args, variant},
};

/// How many failures one statement carries.
const FAILURES_PER_STATEMENT: usize = 500;
/// The columns of a failure.
const COLUMNS: usize = 9;

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
    /// No further sync tries it until its values change or a person asks for it.
    pub given_up: bool,
}

/// The failures of a sync that share outcome and code, and whether they were given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureGroup {
    pub outcome: OutcomeKind,
    pub code: String,
    pub given_up: bool,
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
        let mut transaction = self.begin("write down failed records").await?;
        for chunk in failures.chunks(FAILURES_PER_STATEMENT) {
            // One statement for many: a hundred thousand refused records are no rare day.
            let places: Vec<String> = (0..chunk.len())
                .map(|row| {
                    let columns: Vec<String> =
                        (1..=COLUMNS).map(|column| format!("${}", row * COLUMNS + column)).collect();
                    format!("({})", columns.join(", "))
                })
                .collect();
            let sql = format!(
                "INSERT INTO failures (sync, record_index, record_key, operation, outcome, code, message, at, given_up) \
                 VALUES {} ON CONFLICT (sync, record_index) DO UPDATE SET record_key = excluded.record_key, \
                 operation = excluded.operation, outcome = excluded.outcome, code = excluded.code, \
                 message = excluded.message, at = excluded.at, given_up = excluded.given_up",
                places.join(", ")
            );
            let args: Vec<Arg> = chunk.iter().flat_map(failure_args).collect();
            transaction.execute(AssertSqlSafe(sql), &args).await?;
        }
        transaction.commit().await
    }

    /// The failures of a sync in the order of its change set.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn failures(&self, sync: SyncId, limit: u32, offset: u64) -> Result<Vec<FailedRecord>, StoreError> {
        let sql = "SELECT * FROM failures WHERE sync = $1 ORDER BY record_index LIMIT $2 OFFSET $3";
        let rows = self.read().await?.rows("list failed records", sql, args![sync.to_string(), limit, offset]).await?;
        rows.iter().map(|row| failed_record(sync, row)).collect()
    }

    /// The failures of a sync from after this place in its change set on, all or those with this code.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn failures_after(
        &self,
        sync: SyncId,
        code: Option<&str>,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<FailedRecord>, StoreError> {
        let after = after.map_or(-1, |index| i64::try_from(index).unwrap_or(i64::MAX));
        let sql = "SELECT * FROM failures WHERE sync = $1 AND record_index > $2 AND ($3 IS NULL OR code = $3) \
             ORDER BY record_index LIMIT $4";
        let args = args![sync.to_string(), after, code, limit];
        let rows = self.read().await?.rows("list failed records", sql, args).await?;
        rows.iter().map(|row| failed_record(sync, row)).collect()
    }

    /// The failures of a sync counted by outcome and code, the most frequent first, each with a sample.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn failure_summary(&self, sync: SyncId) -> Result<Vec<FailureGroup>, StoreError> {
        let sql = "SELECT grouped.outcome, grouped.code, grouped.given_up, grouped.failures, first.message, \
             first.record_key FROM (SELECT outcome, code, given_up, min(record_index) AS first, count(*) AS failures \
                   FROM failures WHERE sync = $1 GROUP BY outcome, code, given_up) AS grouped \
             JOIN failures AS first ON first.sync = $1 AND first.record_index = grouped.first \
             ORDER BY grouped.failures DESC, grouped.outcome, grouped.code, grouped.given_up";
        let rows = self.read().await?.rows("count failed records", sql, args![sync.to_string()]).await?;
        let group = |row: &Row| {
            Ok(FailureGroup {
                outcome: variant(&OUTCOMES, "an outcome", &row.text("outcome")?)?,
                code: row.text("code")?,
                given_up: row.flag("given_up")?,
                message: row.text("message")?,
                key: row.text("record_key")?,
                count: row.count("failures")?,
            })
        };
        rows.iter().map(group).collect()
    }

    /// Forgets the failures of a sync: before it is loaded a second time, for instance. Gives how many.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn clear_failures(&self, sync: SyncId) -> Result<u64, StoreError> {
        let sql = "DELETE FROM failures WHERE sync = $1";
        self.write().await?.execute("forget failed records", sql, args![sync.to_string()]).await
    }
}

fn failure_args(failure: &FailedRecord) -> [Arg; COLUMNS] {
    [
        failure.sync.to_string().into(),
        failure.index.into(),
        failure.key.as_str().into(),
        failure.operation.name().into(),
        failure.outcome.name().into(),
        failure.code.as_str().into(),
        failure.message.as_str().into(),
        failure.at.into(),
        failure.given_up.into(),
    ]
}

fn failed_record(sync: SyncId, row: &Row) -> Result<FailedRecord, StoreError> {
    Ok(FailedRecord {
        sync,
        index: row.count("record_index")?,
        key: row.text("record_key")?,
        operation: variant(&OPERATIONS, "an operation", &row.text("operation")?)?,
        outcome: variant(&OUTCOMES, "an outcome", &row.text("outcome")?)?,
        code: row.text("code")?,
        message: row.text("message")?,
        at: row.time("at")?,
        given_up: row.flag("given_up")?,
    })
}

#[cfg(test)]
mod tests;
