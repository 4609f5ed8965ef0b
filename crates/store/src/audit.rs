//! The audit log: who changed what, when, in which request. Entries stand in the transaction of the change itself.

use std::sync::Arc;

use jiff::Timestamp;
use records::{EventId, Random};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::AssertSqlSafe;

use crate::{
    Store, StoreError,
    database::{Arg, Row, Transaction, args},
};

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// `user_…`, `token_…`, or `system` for what happens by itself.
    pub id: String,
    pub name: String,
}

impl Actor {
    /// What happens without being asked.
    pub fn system() -> Self {
        Self { id: "system".to_owned(), name: "Outflow".to_owned() }
    }
}

/// Who changes something, and in which request: what every write of a definition, person or setting is told.
#[derive(Debug, Clone)]
pub struct Author {
    pub actor: Actor,
    /// None outside of requests.
    pub request_id: Option<String>,
    random: Arc<dyn Random>,
}

impl Author {
    pub fn new(actor: Actor, request_id: Option<String>, random: Arc<dyn Random>) -> Self {
        Self { actor, request_id, random }
    }

    pub(crate) fn random(&self) -> &dyn Random {
        &*self.random
    }

    /// An entry of what this author does now. `action` is `NOUN.VERB`; `details` hold no secret and no value of a
    /// record.
    pub fn entry(
        &self,
        now: Timestamp,
        action: &str,
        subject_kind: &str,
        subject_name: &str,
        details: Value,
    ) -> AuditEntry {
        AuditEntry {
            id: EventId::new(now, &*self.random),
            at: now,
            actor: self.actor.clone(),
            action: action.to_owned(),
            subject_kind: subject_kind.to_owned(),
            subject_name: subject_name.to_owned(),
            details,
            request_id: self.request_id.clone(),
        }
    }
}

/// One change, as the audit log tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    pub id: EventId,
    pub at: Timestamp,
    pub actor: Actor,
    /// `mapping.update`, `user.create`, …
    pub action: String,
    pub subject_kind: String,
    pub subject_name: String,
    pub details: Value,
    pub request_id: Option<String>,
}

/// Which entries are wanted; what is None lets all pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    pub actor_id: Option<String>,
    pub action: Option<String>,
    pub subject_kind: Option<String>,
    pub subject_name: Option<String>,
    /// Not earlier than this.
    pub from: Option<Timestamp>,
    /// Earlier than this.
    pub to: Option<Timestamp>,
}

/// Adds an entry in the transaction of the change that it tells of.
pub(crate) async fn write(transaction: &mut Transaction<'_>, entry: &AuditEntry) -> Result<(), StoreError> {
    let sql = "INSERT INTO audit (id, at, actor_id, actor_name, action, subject_kind, subject_name, details, \
               request_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let args = args![
        entry.id.to_string(),
        entry.at,
        &entry.actor.id,
        &entry.actor.name,
        &entry.action,
        &entry.subject_kind,
        &entry.subject_name,
        entry.details.to_string(),
        entry.request_id.as_ref(),
    ];
    transaction.execute(sql, args).await.map(drop)
}

impl Store {
    /// Adds an entry of something that changed no definition: a sync that was cancelled, for instance.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn write_audit(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let mut transaction = self.begin("write the audit log").await?;
        write(&mut transaction, entry).await?;
        transaction.commit().await
    }

    /// The entries a filter lets pass, newest first, from the one after `before` on.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        before: Option<EventId>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let mut conditions = vec!["TRUE".to_owned()];
        let mut args: Vec<Arg> = vec![limit.into()];
        let mut add = |condition: &str, arg: Option<Arg>| {
            if let Some(arg) = arg {
                args.push(arg);
                conditions.push(format!("{condition} ${}", args.len()));
            }
        };
        add("id <", before.map(|id| id.to_string().into()));
        add("actor_id =", filter.actor_id.as_ref().map(Arg::from));
        add("action =", filter.action.as_ref().map(Arg::from));
        add("subject_kind =", filter.subject_kind.as_ref().map(Arg::from));
        add("subject_name =", filter.subject_name.as_ref().map(Arg::from));
        add("at >=", filter.from.map(Arg::from));
        add("at <", filter.to.map(Arg::from));
        let sql = format!("SELECT * FROM audit WHERE {} ORDER BY id DESC LIMIT $1", conditions.join(" AND "));
        let rows = self.read().await?.rows("list the audit log", AssertSqlSafe(sql), &args).await?;
        rows.iter().map(audit_entry).collect()
    }

    /// Forgets the entries before a time. Gives how many.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn forget_audit_before(&self, time: Timestamp) -> Result<u64, StoreError> {
        self.write().await?.execute("forget old audit entries", "DELETE FROM audit WHERE at < $1", args![time]).await
    }
}

fn audit_entry(row: &Row) -> Result<AuditEntry, StoreError> {
    Ok(AuditEntry {
        id: row.parsed("id", "an audit entry's id")?,
        at: row.time("at")?,
        actor: Actor { id: row.text("actor_id")?, name: row.text("actor_name")? },
        action: row.text("action")?,
        subject_kind: row.text("subject_kind")?,
        subject_name: row.text("subject_name")?,
        details: row.json("details", "an audit entry's details")?,
        request_id: row.optional_text("request_id")?,
    })
}

#[cfg(test)]
mod tests;
