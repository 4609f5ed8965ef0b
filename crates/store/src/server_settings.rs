//! Settings of the server as a whole, each a key with a JSON value: `public_url`, `retention`, `smtp`, `oidc`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Actor, Author, Store, StoreError, audit,
    database::{Row, args},
};

/// One setting, as it stands now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SettingRow {
    pub key: String,
    /// Secrets in it are sealed, about `setting/KEY`.
    pub value: Value,
    /// Grows by one with every change, from 1.
    pub version: u64,
    pub updated_at: Timestamp,
    pub updated_by: Actor,
}

/// Why a setting was not changed.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    #[error(
        "the setting `{key}` was changed meanwhile: it is at version {found}, not {expected}; read it again and repeat \
         the change"
    )]
    Outdated { key: String, expected: u64, found: u64 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// One setting, if it was ever set.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn server_setting(&self, key: &str) -> Result<Option<SettingRow>, StoreError> {
        let sql = "SELECT * FROM server_settings WHERE key = $1";
        let row = self.read().await?.row("find a setting", sql, args![key]).await?;
        row.as_ref().map(setting_row).transpose()
    }

    /// All settings, by key.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn server_settings(&self) -> Result<Vec<SettingRow>, StoreError> {
        let sql = "SELECT * FROM server_settings ORDER BY key";
        let rows = self.read().await?.rows("list settings", sql, args![]).await?;
        rows.iter().map(setting_row).collect()
    }

    /// Sets or, with None, clears a setting, if it is at that version (0: it is not set); None: whatever it is at.
    /// Gives its version, 0 if it is not set now.
    ///
    /// # Errors
    /// It is at another version, or a statement fails.
    pub async fn set_server_setting(
        &self,
        key: &str,
        value: Option<&Value>,
        expected: Option<u64>,
        author: &Author,
    ) -> Result<u64, SettingError> {
        let mut transaction = self.begin("change a setting").await?;
        let sql = format!("SELECT * FROM server_settings WHERE key = $1{}", transaction.for_update());
        let found = transaction.row(sqlx::AssertSqlSafe(sql), args![key]).await?;
        let found = found.as_ref().map(setting_row).transpose()?;
        let version = found.as_ref().map_or(0, |found| found.version);
        if let Some(expected) = expected.filter(|expected| *expected != version) {
            return Err(SettingError::Outdated { key: key.to_owned(), expected, found: version });
        }
        if found.as_ref().map(|found| &found.value) == value {
            return Ok(version);
        }
        let now = self.now();
        let actor = &author.actor;
        match value {
            Some(value) => {
                // Two who set it for the first time at once: the later one counts.
                let sql = "INSERT INTO server_settings (key, value, version, updated_at, updated_by, updated_by_name) \
                     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (key) DO UPDATE SET value = $2, version = $3, \
                     updated_at = $4, updated_by = $5, updated_by_name = $6";
                let args = args![key, value.to_string(), version + 1, now, &actor.id, &actor.name];
                transaction.execute(sql, args).await?;
            }
            None => {
                transaction.execute("DELETE FROM server_settings WHERE key = $1", args![key]).await?;
            }
        }
        let (action, set) = if value.is_some() { ("setting.update", version + 1) } else { ("setting.delete", 0) };
        let entry = author.entry(now, action, "setting", key, json!({ "version": set }));
        audit::write(&mut transaction, &entry).await?;
        transaction.commit().await?;
        Ok(set)
    }
}

fn setting_row(row: &Row) -> Result<SettingRow, StoreError> {
    Ok(SettingRow {
        key: row.text("key")?,
        value: row.json("value", "a setting")?,
        version: row.count("version")?,
        updated_at: row.time("updated_at")?,
        updated_by: Actor { id: row.text("updated_by")?, name: row.text("updated_by_name")? },
    })
}

#[cfg(test)]
mod tests;
