//! Sealing anew, with the newest key, whatever the store holds that an older one sealed.

use serde_json::Value;
use sqlx::AssertSqlSafe;

use super::Keyring;
use crate::{Store, StoreError, database::args};

/// How many rows one transaction seals anew.
const ROWS_PER_TRANSACTION: u32 = 200;

const SEALED: &str = "${sealed:";

/// A column of JSON texts in which sealed ones may stand.
struct Place {
    table: &'static str,
    column: &'static str,
    /// What tells its rows apart: a column of its index, and a text beside it.
    key: &'static str,
    part: &'static str,
    /// What its texts are about.
    about: &'static str,
}

/// All of them.
const PLACES: [Place; 5] = [
    Place { table: "resources", column: "document", key: "id", part: "''", about: "kind || '/' || name" },
    Place {
        table: "resource_versions",
        column: "document",
        key: "resource",
        part: "CAST(version AS TEXT)",
        about: "(SELECT kind || '/' || name FROM resources WHERE id = resource)",
    },
    Place { table: "server_settings", column: "value", key: "key", part: "''", about: "'setting/' || key" },
    Place { table: "alert_channels", column: "document", key: "id", part: "''", about: "'channel/' || name" },
    Place {
        table: "granted_tokens",
        column: "tokens",
        key: "destination",
        part: "''",
        about: "'granted/' || destination",
    },
];

/// What came of sealing anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Rows whose secrets the newest key seals now.
    pub rows: u64,
    /// What an older key sealed and cannot be opened, by what it is about. While there is any, no key may be dropped.
    pub unopened: Vec<String>,
}

impl Store {
    /// Seals with the newest key what an older one of the ring sealed. When it is broken off, the rest is found again.
    ///
    /// # Errors
    /// A statement fails.
    pub async fn reseal(&self, keyring: &Keyring) -> Result<Resealed, StoreError> {
        let mut resealed = Resealed::default();
        for old in keyring.ids().iter().skip(1) {
            for place in &PLACES {
                self.reseal_place(keyring, place, old, &mut resealed).await?;
            }
        }
        Ok(resealed)
    }

    async fn reseal_place(
        &self,
        keyring: &Keyring,
        place: &Place,
        old: &str,
        resealed: &mut Resealed,
    ) -> Result<(), StoreError> {
        let Place { table, column, key, part, about } = place;
        let find = format!(
            "SELECT {key} AS row_key, {part} AS row_part, {column} AS document, {about} AS about FROM {table} \
             WHERE {column} LIKE $1 AND ({key}, {part}) > ($2, $3) ORDER BY 1, 2 LIMIT $4"
        );
        let change = format!("UPDATE {table} SET {column} = $1 WHERE {key} = $2 AND {part} = $3 AND {column} = $4");
        let pattern = format!("%{SEALED}{old}.%");
        let mut last = (String::new(), String::new());
        loop {
            let mut transaction = self.begin("seal secrets with the newest key").await?;
            let args = args![&pattern, &last.0, &last.1, ROWS_PER_TRANSACTION];
            let rows = transaction.rows(AssertSqlSafe(find.as_str()), args).await?;
            let Some(end) = rows.last() else { return Ok(()) };
            last = (end.text("row_key")?, end.text("row_part")?);
            for row in &rows {
                let about = row.text("about")?;
                let mut document: Value = row.json("document", "a document with secrets")?;
                if !reseal_value(&mut document, keyring, old, &about) {
                    resealed.unopened.push(about);
                    continue;
                }
                // Whoever changed it meanwhile sealed it with the newest key.
                let (key, part, text) = (row.text("row_key")?, row.text("row_part")?, row.text("document")?);
                let args = args![document.to_string(), key, part, text];
                resealed.rows += transaction.execute(AssertSqlSafe(change.as_str()), args).await?;
            }
            transaction.commit().await?;
        }
    }
}

/// Gives whether all that the old key sealed could be opened. Any other text that looks sealed stays as it is.
fn reseal_value(value: &mut Value, keyring: &Keyring, old: &str, about: &str) -> bool {
    match value {
        Value::String(text) => {
            let sealed = text.strip_prefix(SEALED).and_then(|rest| rest.strip_suffix('}'));
            let Some(sealed) = sealed.filter(|sealed| sealed.split('.').next() == Some(old)) else { return true };
            let Ok(plain) = keyring.open(about, sealed) else { return false };
            *text = format!("{SEALED}{}}}", keyring.seal(about, &plain));
            true
        }
        // All of them, whatever came of those before.
        Value::Array(items) => items.iter_mut().fold(true, |all, item| reseal_value(item, keyring, old, about) & all),
        Value::Object(entries) => {
            entries.iter_mut().fold(true, |all, (_, value)| reseal_value(value, keyring, old, about) & all)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}
