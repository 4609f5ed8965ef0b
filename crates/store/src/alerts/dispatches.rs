//! What is sent of alerts: taken by one process at a time, tried again, kept with what the other side said.

use std::time::Duration;

use jiff::Timestamp;
use records::{ChannelId, DispatchId};
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;

use super::{AlertError, Conditions};
use crate::{
    Author, Store, StoreError, audit,
    database::{Arg, Row, args, variant},
};

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DispatchState {
    /// It waits for its first or next attempt.
    Pending,
    Sent,
    /// It was given up.
    Failed,
}

const STATES: [(DispatchState, &str); 3] =
    [(DispatchState::Pending, "pending"), (DispatchState::Sent, "sent"), (DispatchState::Failed, "failed")];

impl DispatchState {
    /// The word in the store and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }
}

/// Events that are sent through one channel together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DispatchRow {
    pub id: DispatchId,
    pub channel: ChannelId,
    pub channel_name: String,
    pub created_at: Timestamp,
    pub state: DispatchState,
    pub attempts: u64,
    pub next_attempt_at: Timestamp,
    /// Recipients who have it already.
    pub received_by: Vec<String>,
    /// What the other side said last, or why it was not reached.
    pub answer: Option<String>,
    pub ended_at: Option<Timestamp>,
    pub events: u64,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DispatchEnd {
    Sent,
    /// It is tried again then.
    Again(Timestamp),
    /// It is given up.
    Failed,
}

/// What of it is wanted. What is None lets all pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DispatchFilter {
    pub channel: Option<ChannelId>,
    pub state: Option<DispatchState>,
}

const SELECT: &str = "SELECT alert_dispatches.*, alert_channels.name AS channel_name, \
    (SELECT count(*) FROM alert_dispatch_events WHERE dispatch = alert_dispatches.id) AS events \
    FROM alert_dispatches JOIN alert_channels ON alert_channels.id = alert_dispatches.channel";

impl Store {
    /// Takes what is to be sent now, longest due first, and begins an attempt. Who does not say within `lease` how the
    /// attempt ended has lost it: it is made again.
    ///
    /// # Errors
    /// A statement fails.
    pub async fn take_dispatches(&self, lease: Duration, limit: u32) -> Result<Vec<DispatchRow>, StoreError> {
        let now = self.now();
        let due = "SELECT id FROM alert_dispatches WHERE state = 'pending' AND next_attempt_at <= $1 \
             ORDER BY next_attempt_at, id LIMIT $2";
        // Nothing is due most of the time, which a reader finds out.
        if self.read().await?.row("find what is to be sent", due, args![now, 1_u32]).await?.is_none() {
            return Ok(Vec::new());
        }
        let mut transaction = self.begin("take what is to be sent").await?;
        let sql = format!("{due}{}", transaction.skip_locked());
        let ids = transaction.rows(AssertSqlSafe(sql), args![now, limit]).await?;
        let mut taken = Vec::with_capacity(ids.len());
        for row in &ids {
            let id = row.text("id")?;
            let sql = "UPDATE alert_dispatches SET attempts = attempts + 1, next_attempt_at = $1 WHERE id = $2";
            transaction.execute(sql, args![now + lease, &id]).await?;
            let sql = format!("{SELECT} WHERE alert_dispatches.id = $1");
            if let Some(row) = transaction.row(AssertSqlSafe(sql), args![&id]).await? {
                taken.push(dispatch_row(&row)?);
            }
        }
        transaction.commit().await?;
        Ok(taken)
    }

    /// Writes down how an attempt ended.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn end_dispatch_attempt(
        &self,
        dispatch: &DispatchRow,
        end: DispatchEnd,
        received_by: &[String],
        answer: &str,
    ) -> Result<(), StoreError> {
        let (state, next) = match end {
            DispatchEnd::Sent => (DispatchState::Sent, dispatch.next_attempt_at),
            DispatchEnd::Again(at) => (DispatchState::Pending, at),
            DispatchEnd::Failed => (DispatchState::Failed, dispatch.next_attempt_at),
        };
        let ended_at = (state != DispatchState::Pending).then(|| self.now());
        // An attempt that was lost to another process says nothing any more, unless it got through.
        let sql = "UPDATE alert_dispatches SET state = $1, next_attempt_at = $2, received_by = $3, answer = $4, \
             ended_at = $5 WHERE id = $6 AND state = 'pending' AND (attempts = $7 OR $1 = 'sent')";
        let args = args![
            state.name(),
            next,
            serde_json::to_string(received_by).unwrap_or_else(|_| "[]".to_owned()),
            answer,
            ended_at,
            dispatch.id.to_string(),
            dispatch.attempts,
        ];
        self.write().await?.execute("note what was sent", sql, args).await.map(drop)
    }

    /// What was and is to be sent, newest first, from the one after `before` on.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn dispatches(
        &self,
        filter: &DispatchFilter,
        before: Option<DispatchId>,
        limit: u32,
    ) -> Result<Vec<DispatchRow>, StoreError> {
        let mut args: Vec<Arg> = vec![limit.into()];
        let mut conditions = Conditions::new(&mut args);
        conditions.add("alert_dispatches.id < ?", before.map(|id| id.to_string()));
        conditions.add("alert_dispatches.channel = ?", filter.channel.map(|id| id.to_string()));
        conditions.add("alert_dispatches.state = ?", filter.state.map(DispatchState::name));
        let sql = format!("{SELECT} WHERE {} ORDER BY alert_dispatches.id DESC LIMIT $1", conditions.text());
        let rows = self.read().await?.rows("list what was sent", AssertSqlSafe(sql), &args).await?;
        rows.iter().map(dispatch_row).collect()
    }

    /// Has what was given up, or waits for its next attempt, sent now.
    ///
    /// # Errors
    /// There is none, or a statement fails.
    pub async fn retry_dispatch(&self, id: DispatchId, author: &Author) -> Result<DispatchRow, AlertError> {
        let now = self.now();
        let mut transaction = self.begin("send once more").await?;
        let sql = "UPDATE alert_dispatches SET state = 'pending', attempts = 0, next_attempt_at = $1, ended_at = NULL \
             WHERE id = $2 AND state <> 'sent'";
        let changed = transaction.execute(sql, args![now, id.to_string()]).await?;
        let sql = format!("{SELECT} WHERE alert_dispatches.id = $1");
        let row = transaction.row(AssertSqlSafe(sql), args![id.to_string()]).await?;
        let missing = || AlertError::Missing { noun: "dispatch", name: id.to_string() };
        let dispatch = dispatch_row(&row.ok_or_else(missing)?)?;
        if changed > 0 {
            let details = serde_json::json!({ "dispatch": id });
            let entry = author.entry(now, "channel.retry", "channel", &dispatch.channel_name, details);
            audit::write(&mut transaction, &entry).await?;
            transaction.commit().await?;
        }
        Ok(dispatch)
    }
}

fn dispatch_row(row: &Row) -> Result<DispatchRow, StoreError> {
    Ok(DispatchRow {
        id: row.parsed("id", "the id of what is sent")?,
        channel: row.parsed("channel", "a channel's id")?,
        channel_name: row.text("channel_name")?,
        created_at: row.time("created_at")?,
        state: variant(&STATES, "how far it is", &row.text("state")?)?,
        attempts: row.count("attempts")?,
        next_attempt_at: row.time("next_attempt_at")?,
        received_by: row.json("received_by", "recipients")?,
        answer: row.optional_text("answer")?,
        ended_at: row.optional_time("ended_at")?,
        events: row.count("events")?,
    })
}
