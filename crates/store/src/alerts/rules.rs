//! Alert rules: documents in the form of the API, with a version that grows with every change.

use jiff::Timestamp;
use records::RuleId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{AlertChange, AlertError, is_name};
use crate::{
    Actor, Author, Store, StoreError, audit,
    database::{Row, Transaction, args},
};

const NOUN: &str = "alert rule";

/// A rule, as it stands now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertRuleRow {
    pub id: RuleId,
    /// What people call it; it never changes.
    pub name: String,
    pub enabled: bool,
    pub document: Value,
    /// Nothing is told by it until then.
    pub muted_until: Option<Timestamp>,
    /// Grows by one with every change, from 1.
    pub version: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub updated_by: Actor,
}

impl Store {
    /// The rule with that name or id.
    ///
    /// # Errors
    /// There is none, or the statement fails.
    pub async fn alert_rule(&self, name_or_id: &str) -> Result<AlertRuleRow, AlertError> {
        let sql = "SELECT * FROM alert_rules WHERE name = $1 OR id = $1";
        let row = self.read().await?.row("find an alert rule", sql, args![name_or_id]).await?;
        Ok(rule_row(&row.ok_or_else(|| missing(name_or_id))?)?)
    }

    /// The rules in the order of their names, from the one after `after` on.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn alert_rules(&self, after: Option<&str>, limit: u32) -> Result<Vec<AlertRuleRow>, StoreError> {
        let sql = "SELECT * FROM alert_rules WHERE name > $1 ORDER BY name LIMIT $2";
        let args = args![after.unwrap_or_default(), limit];
        let rows = self.read().await?.rows("list alert rules", sql, args).await?;
        rows.iter().map(rule_row).collect()
    }

    /// Adds a rule. The channels it names must be there.
    ///
    /// # Errors
    /// The name is taken or cannot be one, a channel does not exist, or a statement fails.
    pub async fn create_alert_rule(
        &self,
        name: &str,
        document: &Value,
        author: &Author,
    ) -> Result<AlertRuleRow, AlertError> {
        if !is_name(name, "rule_") {
            return Err(AlertError::Name { noun: NOUN, name: name.to_owned() });
        }
        let now = self.now();
        let rule = AlertRuleRow {
            id: RuleId::new(now, author.random()),
            name: name.to_owned(),
            enabled: is_enabled(document),
            document: document.clone(),
            muted_until: None,
            version: 1,
            created_at: now,
            updated_at: now,
            updated_by: author.actor.clone(),
        };
        let mut transaction = self.begin("add an alert rule").await?;
        check_channels(&mut transaction, name, document).await?;
        let sql = "INSERT INTO alert_rules (id, name, enabled, document, version, created_at, updated_at, updated_by, \
             updated_by_name) VALUES ($1, $2, $3, $4, 1, $5, $5, $6, $7) ON CONFLICT (name) DO NOTHING";
        let args = args![
            rule.id.to_string(),
            name,
            rule.enabled,
            document.to_string(),
            now,
            &author.actor.id,
            &author.actor.name,
        ];
        if transaction.execute(sql, args).await? == 0 {
            return Err(AlertError::Taken { noun: NOUN, name: name.to_owned() });
        }
        let entry = author.entry(now, "alert_rule.create", "alert_rule", name, json!({ "version": 1 }));
        audit::write(&mut transaction, &entry).await?;
        transaction.commit().await?;
        Ok(rule)
    }

    /// Replaces a rule's document if it is at that version. The same document again changes nothing.
    ///
    /// # Errors
    /// There is none, it is at another version, a channel does not exist, or a statement fails.
    pub async fn replace_alert_rule(
        &self,
        name_or_id: &str,
        version: Option<u64>,
        document: &Value,
        author: &Author,
    ) -> Result<AlertRuleRow, AlertError> {
        let mut transaction = self.begin("change an alert rule").await?;
        let found = find(&mut transaction, name_or_id, version).await?;
        if found.document == *document {
            return Ok(found);
        }
        check_channels(&mut transaction, &found.name, document).await?;
        let rule = AlertRuleRow { document: document.clone(), enabled: is_enabled(document), ..found };
        self.write_rule(transaction, rule, "update", json!({}), author).await
    }

    /// Keeps a rule from telling anything until then; with None it tells again.
    ///
    /// # Errors
    /// There is none, or a statement fails.
    pub async fn mute_alert_rule(
        &self,
        name_or_id: &str,
        until: Option<Timestamp>,
        author: &Author,
    ) -> Result<AlertRuleRow, AlertError> {
        let mut transaction = self.begin("mute an alert rule").await?;
        let found = find(&mut transaction, name_or_id, None).await?;
        let details = json!({ "until": until });
        self.write_rule(transaction, AlertRuleRow { muted_until: until, ..found }, "mute", details, author).await
    }

    /// Removes a rule. Its alerts that are going on end with it, and nobody is told.
    ///
    /// # Errors
    /// There is none, it is at another version, or a statement fails.
    pub async fn remove_alert_rule(
        &self,
        name_or_id: &str,
        version: Option<u64>,
        author: &Author,
    ) -> Result<AlertRuleRow, AlertError> {
        let now = self.now();
        let mut transaction = self.begin("remove an alert rule").await?;
        let found = find(&mut transaction, name_or_id, version).await?;
        transaction.execute("DELETE FROM alert_rules WHERE id = $1", args![found.id.to_string()]).await?;
        let sql = "UPDATE alerts SET ended_at = $1, ending = $2 WHERE rule = $3 AND ended_at IS NULL";
        transaction.execute(sql, args![now, AlertChange::Dropped.name(), found.id.to_string()]).await?;
        let details = json!({ "version": found.version });
        let entry = author.entry(now, "alert_rule.delete", "alert_rule", &found.name, details);
        audit::write(&mut transaction, &entry).await?;
        transaction.commit().await?;
        Ok(found)
    }

    async fn write_rule(
        &self,
        mut transaction: Transaction<'_>,
        rule: AlertRuleRow,
        verb: &str,
        mut details: Value,
        author: &Author,
    ) -> Result<AlertRuleRow, AlertError> {
        let rule = AlertRuleRow {
            version: rule.version + 1,
            updated_at: self.now(),
            updated_by: author.actor.clone(),
            ..rule
        };
        let sql = "UPDATE alert_rules SET document = $1, enabled = $2, muted_until = $3, version = $4, \
             updated_at = $5, updated_by = $6, updated_by_name = $7 WHERE id = $8";
        let args = args![
            rule.document.to_string(),
            rule.enabled,
            rule.muted_until,
            rule.version,
            rule.updated_at,
            &rule.updated_by.id,
            &rule.updated_by.name,
            rule.id.to_string(),
        ];
        transaction.execute(sql, args).await?;
        details["version"] = rule.version.into();
        let action = format!("alert_rule.{verb}");
        let entry = author.entry(rule.updated_at, &action, "alert_rule", &rule.name, details);
        audit::write(&mut transaction, &entry).await?;
        transaction.commit().await?;
        Ok(rule)
    }
}

fn missing(name: &str) -> AlertError {
    AlertError::Missing { noun: NOUN, name: name.to_owned() }
}

/// The rule, locked until the end of the transaction.
async fn find(
    transaction: &mut Transaction<'_>,
    name_or_id: &str,
    version: Option<u64>,
) -> Result<AlertRuleRow, AlertError> {
    let sql = format!("SELECT * FROM alert_rules WHERE name = $1 OR id = $1{}", transaction.for_update());
    let row = transaction.row(sqlx::AssertSqlSafe(sql), args![name_or_id]).await?;
    let found = rule_row(&row.ok_or_else(|| missing(name_or_id))?)?;
    match version {
        Some(expected) if expected != found.version => {
            Err(AlertError::Outdated { noun: NOUN, name: found.name, expected, found: found.version })
        }
        _ => Ok(found),
    }
}

/// The channels stay as long as the transaction lasts.
async fn check_channels(transaction: &mut Transaction<'_>, name: &str, document: &Value) -> Result<(), AlertError> {
    for channel in channels(document) {
        let sql = format!("SELECT id FROM alert_channels WHERE name = $1{}", transaction.for_update());
        if transaction.row(sqlx::AssertSqlSafe(sql), args![channel]).await?.is_none() {
            return Err(AlertError::Dangling { name: name.to_owned(), channel: channel.to_owned() });
        }
    }
    Ok(())
}

/// The channels that a rule's document names.
pub(super) fn channels(document: &Value) -> impl Iterator<Item = &str> {
    document.get("channels").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn is_enabled(document: &Value) -> bool {
    document.get("enabled") != Some(&Value::Bool(false))
}

fn rule_row(row: &Row) -> Result<AlertRuleRow, StoreError> {
    Ok(AlertRuleRow {
        id: row.parsed("id", "an alert rule's id")?,
        name: row.text("name")?,
        enabled: row.flag("enabled")?,
        document: row.json("document", "an alert rule")?,
        muted_until: row.optional_time("muted_until")?,
        version: row.count("version")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        updated_by: Actor { id: row.text("updated_by")?, name: row.text("updated_by_name")? },
    })
}
