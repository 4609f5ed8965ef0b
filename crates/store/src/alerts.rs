//! Alerts: rules that watch mappings, the trouble they found, what was written down and told of it, and the channels
//! it is told through.

mod channels;
mod columns;
mod dispatches;
mod events;
mod rules;
mod steps;
#[cfg(test)]
mod tests;
mod watch;

use jiff::Timestamp;
use records::{AlertId, RuleId, SyncId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::AssertSqlSafe;

pub use self::{
    channels::ChannelRow,
    columns::{ColumnChangeRow, ModelColumn},
    dispatches::{DispatchEnd, DispatchFilter, DispatchRow, DispatchState},
    events::{AlertChange, AlertEventFilter, AlertEventRow},
    rules::AlertRuleRow,
    steps::{AlertStep, NewAlert},
    watch::{DueStand, EndedSync, MappingPlace, WatchedSync},
};
use crate::{
    Author, Store, StoreError, audit,
    database::{Arg, Row, args},
};

/// What trouble is with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Subject {
    /// `mapping`, `model`, `destination` or `source`.
    pub kind: String,
    pub name: String,
}

/// Trouble of one kind with one subject, as one rule sees it, from its beginning to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertRow {
    pub id: AlertId,
    pub rule: RuleId,
    /// As the rule was called when it began.
    pub rule_name: String,
    pub kind: String,
    pub subject: Subject,
    pub raised_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub ending: Option<AlertChange>,
    /// The newest words for it.
    pub message: String,
    pub details: Value,
    /// The sync that showed it in these words first.
    pub sync: Option<SyncId>,
    /// When people were told of it last. None while it is muted.
    pub told_at: Option<Timestamp>,
    pub acknowledged_at: Option<Timestamp>,
    /// The name of who has taken note.
    pub acknowledged_by: Option<String>,
    pub muted_until: Option<Timestamp>,
}

/// Which alerts are wanted. What is None lets all pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertFilter {
    /// Whether they are going on.
    pub is_open: Option<bool>,
    pub rule: Option<RuleId>,
    pub kind: Option<String>,
    pub subject_kind: Option<String>,
    pub subject: Option<String>,
}

/// Why a rule, channel or alert was not found or not changed.
#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    #[error("there is no {noun} `{name}`")]
    Missing { noun: &'static str, name: String },
    #[error("there is a {noun} `{name}` already; change that one, or choose another name")]
    Taken { noun: &'static str, name: String },
    #[error(
        "`{name}` cannot be the name of a {noun}; use up to 100 of `A-Z`, `a-z`, `0-9`, `_` and `-`, begin with a \
         letter or digit, and write nothing that looks like an id"
    )]
    Name { noun: &'static str, name: String },
    #[error(
        "the {noun} `{name}` was changed meanwhile: it is at version {found}, not {expected}; read it again and repeat \
         the change"
    )]
    Outdated { noun: &'static str, name: String, expected: u64, found: u64 },
    #[error("the channel `{name}` is used by the alert rules {}; take it out there first", told(.by))]
    Used { name: String, by: Vec<String> },
    #[error("the alert rule `{name}` names the channel `{channel}`, which does not exist")]
    Dangling { name: String, channel: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn told(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Whether a rule or channel may be called so. `prefix` is that of its ids.
fn is_name(name: &str, prefix: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    name.len() <= 100
        && name.bytes().all(is_letter)
        && name.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
        && !name.starts_with(prefix)
}

/// Conditions of a `WHERE`, each with a `?` for its value.
pub(super) struct Conditions<'a> {
    text: Vec<String>,
    args: &'a mut Vec<Arg>,
}

impl<'a> Conditions<'a> {
    /// None so far; `args` holds what stands before them in the statement.
    pub(super) fn new(args: &'a mut Vec<Arg>) -> Self {
        Self { text: vec!["TRUE".to_owned()], args }
    }

    pub(super) fn add(&mut self, condition: &str, arg: Option<impl Into<Arg>>) {
        if let Some(arg) = arg {
            self.args.push(arg.into());
            self.text.push(condition.replace('?', &format!("${}", self.args.len())));
        }
    }

    pub(super) fn add_fixed(&mut self, condition: &str) {
        self.text.push(condition.to_owned());
    }

    pub(super) fn text(&self) -> String {
        self.text.join(" AND ")
    }
}

impl AlertFilter {
    /// `prefix` is that of the table's columns.
    fn add_to(&self, conditions: &mut Conditions<'_>) {
        match self.is_open {
            Some(true) => conditions.add_fixed("alerts.ended_at IS NULL"),
            Some(false) => conditions.add_fixed("alerts.ended_at IS NOT NULL"),
            None => {}
        }
        conditions.add("alerts.rule = ?", self.rule.map(|id| id.to_string()));
        conditions.add("alerts.kind = ?", self.kind.as_ref());
        conditions.add("alerts.subject_kind = ?", self.subject_kind.as_ref());
        conditions.add("alerts.subject = ?", self.subject.as_ref());
    }
}

impl Store {
    /// The alerts that a filter lets pass, newest first, from the one after `before` on.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn alerts(
        &self,
        filter: &AlertFilter,
        before: Option<AlertId>,
        limit: u32,
    ) -> Result<Vec<AlertRow>, StoreError> {
        let mut args: Vec<Arg> = vec![limit.into()];
        let mut conditions = Conditions::new(&mut args);
        conditions.add("alerts.id < ?", before.map(|id| id.to_string()));
        filter.add_to(&mut conditions);
        let sql = format!("SELECT * FROM alerts WHERE {} ORDER BY id DESC LIMIT $1", conditions.text());
        let rows = self.read().await?.rows("list alerts", AssertSqlSafe(sql), &args).await?;
        rows.iter().map(alert_row).collect()
    }

    /// All alerts that are going on.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn open_alerts(&self) -> Result<Vec<AlertRow>, StoreError> {
        let sql = "SELECT * FROM alerts WHERE ended_at IS NULL";
        let rows = self.read().await?.rows("list open alerts", sql, args![]).await?;
        rows.iter().map(alert_row).collect()
    }

    /// One alert.
    ///
    /// # Errors
    /// There is none, or the statement fails.
    pub async fn alert(&self, id: AlertId) -> Result<AlertRow, AlertError> {
        let sql = "SELECT * FROM alerts WHERE id = $1";
        let row = self.read().await?.row("find an alert", sql, args![id.to_string()]).await?;
        let missing = || AlertError::Missing { noun: "alert", name: id.to_string() };
        Ok(alert_row(&row.ok_or_else(missing)?)?)
    }

    /// Writes down that somebody has taken note of an alert, so that it is not told again while it lasts. Whoever was
    /// first stays.
    ///
    /// # Errors
    /// There is no such alert, or a statement fails.
    pub async fn acknowledge_alert(&self, id: AlertId, author: &Author) -> Result<AlertRow, AlertError> {
        let sql = "UPDATE alerts SET acknowledged_at = $1, acknowledged_by = $2 \
             WHERE id = $3 AND acknowledged_at IS NULL";
        let args = args![self.now(), &author.actor.name, id.to_string()];
        self.change_alert(id, "acknowledge", sql, args, Value::Null, author).await
    }

    /// Keeps an alert from being told until then; with None it is told again.
    ///
    /// # Errors
    /// There is no such alert, or a statement fails.
    pub async fn mute_alert(
        &self,
        id: AlertId,
        until: Option<Timestamp>,
        author: &Author,
    ) -> Result<AlertRow, AlertError> {
        let sql = "UPDATE alerts SET muted_until = $1 WHERE id = $2";
        let details = serde_json::json!({ "until": until });
        self.change_alert(id, "mute", sql, args![until, id.to_string()], details, author).await
    }

    async fn change_alert(
        &self,
        id: AlertId,
        verb: &str,
        sql: &'static str,
        args: &[Arg],
        mut details: Value,
        author: &Author,
    ) -> Result<AlertRow, AlertError> {
        let mut transaction = self.begin("change an alert").await?;
        let changed = transaction.execute(sql, args).await?;
        let row = transaction.row("SELECT * FROM alerts WHERE id = $1", args![id.to_string()]).await?;
        let missing = || AlertError::Missing { noun: "alert", name: id.to_string() };
        let alert = alert_row(&row.ok_or_else(missing)?)?;
        if changed > 0 {
            let subject = format!("{} `{}`", alert.subject.kind, alert.subject.name);
            if !details.is_object() {
                details = serde_json::json!({});
            }
            details["kind"] = alert.kind.as_str().into();
            details["subject"] = subject.into();
            let entry = author.entry(self.now(), &format!("alert.{verb}"), "alert", &alert.id.to_string(), details);
            audit::write(&mut transaction, &entry).await?;
            transaction.commit().await?;
        }
        Ok(alert)
    }

    /// Forgets the alerts that ended before a time, and what was sent before it. Gives how many alerts.
    ///
    /// # Errors
    /// A statement fails.
    pub async fn forget_alerts_before(&self, time: Timestamp) -> Result<u64, StoreError> {
        let mut connection = self.write().await?;
        let sql = "DELETE FROM alert_dispatches WHERE ended_at < $1";
        connection.execute("forget what was sent of alerts", sql, args![time]).await?;
        let sql = "DELETE FROM model_column_changes WHERE at < $1";
        connection.execute("forget old changes of columns", sql, args![time]).await?;
        connection.execute("forget old alerts", "DELETE FROM alerts WHERE ended_at < $1", args![time]).await
    }
}

fn alert_row(row: &Row) -> Result<AlertRow, StoreError> {
    let ending = row.optional_text("ending")?;
    Ok(AlertRow {
        id: row.parsed("id", "an alert's id")?,
        rule: row.parsed("rule", "an alert rule's id")?,
        rule_name: row.text("rule_name")?,
        kind: row.text("kind")?,
        subject: Subject { kind: row.text("subject_kind")?, name: row.text("subject")? },
        raised_at: row.time("raised_at")?,
        ended_at: row.optional_time("ended_at")?,
        ending: ending.map(|word| AlertChange::of_name(&word)).transpose()?,
        message: row.text("message")?,
        details: row.json("details", "an alert's details")?,
        sync: optional_sync(row, "sync")?,
        told_at: row.optional_time("told_at")?,
        acknowledged_at: row.optional_time("acknowledged_at")?,
        acknowledged_by: row.optional_text("acknowledged_by")?,
        muted_until: row.optional_time("muted_until")?,
    })
}

fn optional_sync(row: &Row, column: &str) -> Result<Option<SyncId>, StoreError> {
    let parsed =
        |text: String| text.parse().map_err(|_| StoreError::Unreadable { what: "a sync's id", value: text.clone() });
    row.optional_text(column)?.map(parsed).transpose()
}
