//! The columns of models: those of the newest extract, and each time they were others than in the one before.

use jiff::Timestamp;
use records::SyncId;
use serde::{Deserialize, Serialize};

use super::optional_sync;
use crate::{
    Store, StoreError,
    database::{Row, args},
};

/// A column, and the name of what it holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ModelColumn {
    pub name: String,
    pub kind: String,
}

/// The columns of a model were others than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnChangeRow {
    pub model: String,
    pub at: Timestamp,
    /// The sync whose extract showed it.
    pub sync: Option<SyncId>,
    pub before: Vec<ModelColumn>,
    pub now: Vec<ModelColumn>,
}

impl Store {
    /// Notes the columns that an extract of a model has. Their order means nothing. Gives whether they are others than
    /// those noted before.
    ///
    /// # Errors
    /// A statement fails.
    pub async fn note_columns(
        &self,
        model: &str,
        columns: &[ModelColumn],
        sync: Option<SyncId>,
    ) -> Result<bool, StoreError> {
        let mut columns = columns.to_vec();
        columns.sort();
        let text = serde_json::to_string(&columns).unwrap_or_else(|_| "[]".to_owned());
        let select = "SELECT columns FROM model_columns WHERE model = $1";
        let known = self.read().await?.row("read a model's columns", select, args![model]).await?;
        if known.map(|row| row.text("columns")).transpose()?.as_deref() == Some(&text) {
            return Ok(false);
        }
        let now = self.now();
        let mut transaction = self.begin("note a model's columns").await?;
        let sql = "INSERT INTO model_columns (model, columns, at) VALUES ($1, $2, $3) ON CONFLICT (model) DO NOTHING";
        if transaction.execute(sql, args![model, &text, now]).await? > 0 {
            transaction.commit().await?;
            return Ok(false);
        }
        let sql = format!("{select}{}", transaction.for_update());
        let before = transaction.row(sqlx::AssertSqlSafe(sql), args![model]).await?;
        let Some(before) = before.map(|row| row.text("columns")).transpose()?.filter(|before| *before != text) else {
            return Ok(false);
        };
        let sql = "UPDATE model_columns SET columns = $1, at = $2 WHERE model = $3";
        transaction.execute(sql, args![&text, now, model]).await?;
        let sql = "INSERT INTO model_column_changes (model, at, sync, columns_before, columns_now) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (model, at) DO UPDATE SET columns_now = excluded.columns_now";
        let args = args![model, now, sync.map(|sync| sync.to_string()), before, text];
        transaction.execute(sql, args).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// The changes of columns from a time on, oldest first.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn column_changes_since(&self, time: Timestamp) -> Result<Vec<ColumnChangeRow>, StoreError> {
        let sql = "SELECT * FROM model_column_changes WHERE at >= $1 ORDER BY at, model";
        let rows = self.read().await?.rows("list changes of columns", sql, args![time]).await?;
        rows.iter().map(change_row).collect()
    }
}

fn change_row(row: &Row) -> Result<ColumnChangeRow, StoreError> {
    Ok(ColumnChangeRow {
        model: row.text("model")?,
        at: row.time("at")?,
        sync: optional_sync(row, "sync")?,
        before: row.json("columns_before", "a model's columns")?,
        now: row.json("columns_now", "a model's columns")?,
    })
}
