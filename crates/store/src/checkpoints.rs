//! Where each mapping's checkpoint lies, and which definition of the mapping it was made with.

use std::path::PathBuf;

use jiff::Timestamp;
use records::SyncId;
use serde::{Deserialize, Serialize};

use crate::{
    Store, StoreError,
    database::{Row, args},
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
        let sql = "SELECT * FROM checkpoints WHERE mapping = $1";
        let row = self.read().await?.row("find a checkpoint", sql, args![mapping]).await?;
        row.as_ref().map(checkpoint_row).transpose()
    }

    /// All checkpoints, by mapping.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn checkpoints(&self) -> Result<Vec<CheckpointRow>, StoreError> {
        let sql = "SELECT * FROM checkpoints ORDER BY mapping";
        let rows = self.read().await?.rows("list checkpoints", sql, args![]).await?;
        rows.iter().map(checkpoint_row).collect()
    }

    /// Writes down a mapping's checkpoint in place of what was known of it.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn set_checkpoint(&self, checkpoint: &CheckpointRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO checkpoints \
             (mapping, folder, records, bytes, definition_hash, definition, updated_at, last_sync) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (mapping) DO UPDATE SET folder = $2, records = $3, bytes = $4, definition_hash = $5, \
             definition = $6, updated_at = $7, last_sync = $8";
        let args = args![
            &checkpoint.mapping,
            checkpoint.folder.to_string_lossy().into_owned(),
            checkpoint.records,
            checkpoint.bytes,
            &checkpoint.definition_hash,
            &checkpoint.definition,
            checkpoint.updated_at,
            checkpoint.last_sync.map(|sync| sync.to_string()),
        ];
        self.write().await?.execute("write down a checkpoint", sql, args).await?;
        Ok(())
    }

    /// Forgets a mapping's checkpoint. Gives whether there was one.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn remove_checkpoint(&self, mapping: &str) -> Result<bool, StoreError> {
        let sql = "DELETE FROM checkpoints WHERE mapping = $1";
        Ok(self.write().await?.execute("forget a checkpoint", sql, args![mapping]).await? > 0)
    }
}

fn checkpoint_row(row: &Row) -> Result<CheckpointRow, StoreError> {
    let last_sync = row.optional_text("last_sync")?;
    let sync_id = |text: String| text.parse().map_err(|_| StoreError::Unreadable { what: "a sync id", value: text });
    Ok(CheckpointRow {
        mapping: row.text("mapping")?,
        folder: row.text("folder")?.into(),
        records: row.count("records")?,
        bytes: row.count("bytes")?,
        definition_hash: row.text("definition_hash")?,
        definition: row.text("definition")?,
        updated_at: row.time("updated_at")?,
        last_sync: last_sync.map(sync_id).transpose()?,
    })
}

#[cfg(test)]
mod tests;
