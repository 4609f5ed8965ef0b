//! Records that fail in sync after sync, of mappings that give up at some time: since when, and how often.

use jiff::Timestamp;
use records::SyncId;
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;

use crate::{
    Store, StoreError,
    database::{Arg, Row, args},
};

/// How many records one statement carries.
const RECORDS_PER_STATEMENT: usize = 500;
const COLUMNS: usize = 7;

/// A record that fails, or was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailingRecord {
    /// Its key as text.
    pub key: String,
    /// Of the values that fail; 0 for a record that is to be deleted.
    pub fingerprint: u64,
    pub first_failed_at: Timestamp,
    /// Syncs in which it failed with these values.
    pub syncs: u32,
    /// The last of them.
    pub last_sync: SyncId,
    /// It is not tried any more since then.
    pub given_up_at: Option<Timestamp>,
}

impl Store {
    /// What is known of these records of a mapping, in the order of their keys.
    ///
    /// # Errors
    /// A statement fails.
    pub async fn failing(&self, mapping: &str, keys: &[&str]) -> Result<Vec<FailingRecord>, StoreError> {
        let mut found = Vec::new();
        for chunk in keys.chunks(RECORDS_PER_STATEMENT) {
            let sql =
                format!("SELECT * FROM failing WHERE mapping = $1 AND record_key IN ({})", places(2, chunk.len()));
            let args: Vec<Arg> =
                std::iter::once(Arg::from(mapping)).chain(chunk.iter().map(|key| Arg::from(*key))).collect();
            let rows = self.read().await?.rows("find failing records", AssertSqlSafe(sql), &args).await?;
            found.extend(rows.iter().map(failing_record).collect::<Result<Vec<_>, _>>()?);
        }
        found.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(found)
    }

    /// Writes down failing records of a mapping in place of what was known of them.
    ///
    /// # Errors
    /// A statement fails.
    pub async fn set_failing(&self, mapping: &str, records: &[FailingRecord]) -> Result<(), StoreError> {
        for chunk in records.chunks(RECORDS_PER_STATEMENT) {
            let row = |row: usize| format!("({})", places(row * COLUMNS + 1, COLUMNS));
            let sql = format!(
                "INSERT INTO failing (mapping, record_key, fingerprint, first_failed_at, syncs, last_sync, given_up_at) \
                 VALUES {} ON CONFLICT (mapping, record_key) DO UPDATE SET fingerprint = excluded.fingerprint, \
                 first_failed_at = excluded.first_failed_at, syncs = excluded.syncs, last_sync = excluded.last_sync, \
                 given_up_at = excluded.given_up_at",
                (0..chunk.len()).map(row).collect::<Vec<_>>().join(", ")
            );
            let args: Vec<Arg> = chunk.iter().flat_map(|record| failing_args(mapping, record)).collect();
            self.write().await?.execute("write down failing records", AssertSqlSafe(sql), &args).await?;
        }
        Ok(())
    }

    /// Forgets these records of a mapping: they do not fail any more.
    ///
    /// # Errors
    /// A statement fails.
    pub async fn remove_failing(&self, mapping: &str, keys: &[&str]) -> Result<(), StoreError> {
        for chunk in keys.chunks(RECORDS_PER_STATEMENT) {
            let sql = format!("DELETE FROM failing WHERE mapping = $1 AND record_key IN ({})", places(2, chunk.len()));
            let args: Vec<Arg> =
                std::iter::once(Arg::from(mapping)).chain(chunk.iter().map(|key| Arg::from(*key))).collect();
            self.write().await?.execute("forget failing records", AssertSqlSafe(sql), &args).await?;
        }
        Ok(())
    }

    /// Forgets the records of a mapping that did not fail in this sync, which has tried all that were pending. Those
    /// that were given up stay.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn settle_failing(&self, mapping: &str, sync: SyncId) -> Result<(), StoreError> {
        let sql = "DELETE FROM failing WHERE mapping = $1 AND last_sync <> $2 AND given_up_at IS NULL";
        self.write().await?.execute("forget failing records", sql, args![mapping, sync.to_string()]).await?;
        Ok(())
    }

    /// The records of a mapping that were given up, in the order of their keys, from after this one on.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn given_up(
        &self,
        mapping: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<FailingRecord>, StoreError> {
        let sql = "SELECT * FROM failing WHERE mapping = $1 AND given_up_at IS NOT NULL AND \
             ($2 IS NULL OR record_key > $2) \
             ORDER BY record_key LIMIT $3";
        let args = args![mapping, after, limit];
        let rows = self.read().await?.rows("list records that were given up", sql, args).await?;
        rows.iter().map(failing_record).collect()
    }

    /// Forgets all failing records of a mapping.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn forget_failing(&self, mapping: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM failing WHERE mapping = $1";
        self.write().await?.execute("forget failing records", sql, args![mapping]).await?;
        Ok(())
    }
}

/// `$first, …`, as many as that.
fn places(first: usize, count: usize) -> String {
    (first..first + count).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
}

fn failing_args(mapping: &str, record: &FailingRecord) -> [Arg; COLUMNS] {
    [
        mapping.into(),
        record.key.as_str().into(),
        // The same bits: the databases' integers are signed.
        record.fingerprint.cast_signed().into(),
        record.first_failed_at.into(),
        record.syncs.into(),
        record.last_sync.to_string().into(),
        record.given_up_at.into(),
    ]
}

fn failing_record(row: &Row) -> Result<FailingRecord, StoreError> {
    Ok(FailingRecord {
        key: row.text("record_key")?,
        fingerprint: row.integer("fingerprint")?.cast_unsigned(),
        first_failed_at: row.time("first_failed_at")?,
        syncs: u32::try_from(row.count("syncs")?).unwrap_or(u32::MAX),
        last_sync: row.parsed("last_sync", "a sync id")?,
        given_up_at: row.optional_time("given_up_at")?,
    })
}

#[cfg(test)]
mod tests;
