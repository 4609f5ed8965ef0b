//! Channels: documents in the form of the API, whose secrets are sealed.

use jiff::Timestamp;
use records::ChannelId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{AlertError, is_name, rules};
use crate::{
    Actor, Author, Store, StoreError, audit,
    database::{Row, Transaction, args},
};

const NOUN: &str = "channel";

/// A channel, as it stands now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelRow {
    pub id: ChannelId,
    /// What people and rules call it; it never changes.
    pub name: String,
    pub document: Value,
    /// Grows by one with every change, from 1.
    pub version: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub updated_by: Actor,
}

impl Store {
    /// The channel with that name or id.
    ///
    /// # Errors
    /// There is none, or the statement fails.
    pub async fn channel(&self, name_or_id: &str) -> Result<ChannelRow, AlertError> {
        let sql = "SELECT * FROM alert_channels WHERE name = $1 OR id = $1";
        let row = self.read().await?.row("find a channel", sql, args![name_or_id]).await?;
        Ok(channel_row(&row.ok_or_else(|| missing(name_or_id))?)?)
    }

    /// The channels in the order of their names, from the one after `after` on.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn channels(&self, after: Option<&str>, limit: u32) -> Result<Vec<ChannelRow>, StoreError> {
        let sql = "SELECT * FROM alert_channels WHERE name > $1 ORDER BY name LIMIT $2";
        let rows = self.read().await?.rows("list channels", sql, args![after.unwrap_or_default(), limit]).await?;
        rows.iter().map(channel_row).collect()
    }

    /// Adds a channel.
    ///
    /// # Errors
    /// The name is taken or cannot be one, or a statement fails.
    pub async fn create_channel(
        &self,
        name: &str,
        document: &Value,
        author: &Author,
    ) -> Result<ChannelRow, AlertError> {
        if !is_name(name, "channel_") {
            return Err(AlertError::Name { noun: NOUN, name: name.to_owned() });
        }
        let now = self.now();
        let channel = ChannelRow {
            id: ChannelId::new(now, author.random()),
            name: name.to_owned(),
            document: document.clone(),
            version: 1,
            created_at: now,
            updated_at: now,
            updated_by: author.actor.clone(),
        };
        let mut transaction = self.begin("add a channel").await?;
        let sql = "INSERT INTO alert_channels (id, name, document, version, created_at, updated_at, updated_by, \
             updated_by_name) VALUES ($1, $2, $3, 1, $4, $4, $5, $6) ON CONFLICT (name) DO NOTHING";
        let args = args![channel.id.to_string(), name, document.to_string(), now, &author.actor.id, &author.actor.name];
        if transaction.execute(sql, args).await? == 0 {
            return Err(AlertError::Taken { noun: NOUN, name: name.to_owned() });
        }
        let entry = author.entry(now, "channel.create", "channel", name, json!({ "version": 1 }));
        audit::write(&mut transaction, &entry).await?;
        transaction.commit().await?;
        Ok(channel)
    }

    /// Replaces a channel's document if it is at that version. The same document again changes nothing.
    ///
    /// # Errors
    /// There is none, it is at another version, or a statement fails.
    pub async fn replace_channel(
        &self,
        name_or_id: &str,
        version: Option<u64>,
        document: &Value,
        author: &Author,
    ) -> Result<ChannelRow, AlertError> {
        let mut transaction = self.begin("change a channel").await?;
        let found = find(&mut transaction, name_or_id, version).await?;
        if found.document == *document {
            return Ok(found);
        }
        let channel = ChannelRow {
            document: document.clone(),
            version: found.version + 1,
            updated_at: self.now(),
            updated_by: author.actor.clone(),
            ..found
        };
        let sql = "UPDATE alert_channels SET document = $1, version = $2, updated_at = $3, updated_by = $4, \
             updated_by_name = $5 WHERE id = $6";
        let args = args![
            document.to_string(),
            channel.version,
            channel.updated_at,
            &author.actor.id,
            &author.actor.name,
            channel.id.to_string(),
        ];
        transaction.execute(sql, args).await?;
        let details = json!({ "version": channel.version });
        let entry = author.entry(channel.updated_at, "channel.update", "channel", &channel.name, details);
        audit::write(&mut transaction, &entry).await?;
        transaction.commit().await?;
        Ok(channel)
    }

    /// Removes a channel that no rule names, with what was to be sent through it.
    ///
    /// # Errors
    /// There is none, it is at another version, a rule names it, or a statement fails.
    pub async fn remove_channel(
        &self,
        name_or_id: &str,
        version: Option<u64>,
        author: &Author,
    ) -> Result<ChannelRow, AlertError> {
        let mut transaction = self.begin("remove a channel").await?;
        let found = find(&mut transaction, name_or_id, version).await?;
        let rows = transaction.rows("SELECT name, document FROM alert_rules ORDER BY name", args![]).await?;
        let mut by = Vec::new();
        for row in &rows {
            let document: Value = row.json("document", "an alert rule")?;
            if rules::channels(&document).any(|channel| channel == found.name) {
                by.push(row.text("name")?);
            }
        }
        if !by.is_empty() {
            return Err(AlertError::Used { name: found.name, by });
        }
        transaction.execute("DELETE FROM alert_channels WHERE id = $1", args![found.id.to_string()]).await?;
        let details = json!({ "version": found.version });
        let entry = author.entry(self.now(), "channel.delete", "channel", &found.name, details);
        audit::write(&mut transaction, &entry).await?;
        transaction.commit().await?;
        Ok(found)
    }
}

fn missing(name: &str) -> AlertError {
    AlertError::Missing { noun: NOUN, name: name.to_owned() }
}

/// The channel, locked until the end of the transaction: a rule that is about to name it waits, or is waited for.
async fn find(
    transaction: &mut Transaction<'_>,
    name_or_id: &str,
    version: Option<u64>,
) -> Result<ChannelRow, AlertError> {
    let sql = format!("SELECT * FROM alert_channels WHERE name = $1 OR id = $1{}", transaction.for_update());
    let row = transaction.row(sqlx::AssertSqlSafe(sql), args![name_or_id]).await?;
    let found = channel_row(&row.ok_or_else(|| missing(name_or_id))?)?;
    match version {
        Some(expected) if expected != found.version => {
            Err(AlertError::Outdated { noun: NOUN, name: found.name, expected, found: found.version })
        }
        _ => Ok(found),
    }
}

fn channel_row(row: &Row) -> Result<ChannelRow, StoreError> {
    Ok(ChannelRow {
        id: row.parsed("id", "a channel's id")?,
        name: row.text("name")?,
        document: row.json("document", "a channel")?,
        version: row.count("version")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        updated_by: Actor { id: row.text("updated_by")?, name: row.text("updated_by_name")? },
    })
}
