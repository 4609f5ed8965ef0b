//! Where each mapping's checkpoint lies, and which definition of the mapping it was made with.

use std::path::PathBuf;

use jiff::Timestamp;
use records::SyncId;
use serde::{Deserialize, Serialize};
use sqlx::{Row, sqlite::SqliteRow};

use crate::{
    Store, StoreError,
    database::{count, statement, time, to_integer, to_micros},
};

/// What the store knows of one checkpoint. The checkpoint itself is the folder's own matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointRow {
    pub mapping: String,
    pub folder: PathBuf,
    /// Records the destination holds, as far as we were told.
    pub records: u64,
    /// Size of the folder's files.
    pub bytes: u64,
    /// Hash of the definition, to see at a glance that the mapping was edited.
    pub definition_hash: String,
    /// The definition as text, to show what was edited.
    pub definition: String,
    pub updated_at: Timestamp,
    /// The sync that last wrote to it. A baseline is none.
    pub last_sync: Option<SyncId>,
}

impl Store {
    /// The checkpoint of a mapping.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn checkpoint(&self, mapping: &str) -> Result<Option<CheckpointRow>, StoreError> {
        let row = sqlx::query("SELECT * FROM checkpoints WHERE mapping = ?")
            .bind(mapping)
            .fetch_optional(&mut *self.connection().await)
            .await
            .map_err(statement("find a checkpoint"))?;
        row.as_ref().map(checkpoint_row).transpose()
    }

    /// All checkpoints, by mapping.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn checkpoints(&self) -> Result<Vec<CheckpointRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM checkpoints ORDER BY mapping")
            .fetch_all(&mut *self.connection().await)
            .await
            .map_err(statement("list checkpoints"))?;
        rows.iter().map(checkpoint_row).collect()
    }

    /// Writes down a mapping's checkpoint in place of what was known of it.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn set_checkpoint(&self, checkpoint: &CheckpointRow) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT OR REPLACE INTO checkpoints \
             (mapping, folder, records, bytes, definition_hash, definition, updated_at, last_sync) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&checkpoint.mapping)
        .bind(checkpoint.folder.to_string_lossy().into_owned())
        .bind(to_integer(checkpoint.records))
        .bind(to_integer(checkpoint.bytes))
        .bind(&checkpoint.definition_hash)
        .bind(&checkpoint.definition)
        .bind(to_micros(checkpoint.updated_at))
        .bind(checkpoint.last_sync.map(|sync| sync.to_string()))
        .execute(&mut *self.connection().await)
        .await
        .map_err(statement("write down a checkpoint"))?;
        Ok(())
    }

    /// Forgets a mapping's checkpoint. Gives whether there was one.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn remove_checkpoint(&self, mapping: &str) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM checkpoints WHERE mapping = ?")
            .bind(mapping)
            .execute(&mut *self.connection().await)
            .await
            .map_err(statement("forget a checkpoint"))?;
        Ok(done.rows_affected() > 0)
    }
}

fn checkpoint_row(row: &SqliteRow) -> Result<CheckpointRow, StoreError> {
    let read = || statement("read a checkpoint");
    let text = |column: &str| row.try_get::<String, _>(column).map_err(read());
    let last_sync: Option<String> = row.try_get("last_sync").map_err(read())?;
    let sync_id = |text: String| text.parse().map_err(|_| StoreError::Unreadable { what: "a sync id", value: text });
    Ok(CheckpointRow {
        mapping: text("mapping")?,
        folder: text("folder")?.into(),
        records: count(row, "records")?,
        bytes: count(row, "bytes")?,
        definition_hash: text("definition_hash")?,
        definition: text("definition")?,
        updated_at: time(row, "updated_at")?,
        last_sync: last_sync.map(sync_id).transpose()?,
    })
}

#[cfg(test)]
mod tests;
