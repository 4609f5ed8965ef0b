//! What happens to alerts, written down together with what is to be sent of it: a message is never lost between the
//! two, and never written twice however many look.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use records::{AlertId, ChannelId, DispatchId, EventId, Random, RuleId, SyncId};
use serde_json::Value;
use sqlx::AssertSqlSafe;

use super::{AlertChange, Subject};
use crate::{
    Store, StoreError,
    database::{Transaction, args},
};

/// Steps that are written in one transaction.
const STEPS_MAX: usize = 200;
/// Events that one message holds at most.
const EVENTS_MAX: u64 = 1_000;

/// Trouble that was not known.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAlert {
    pub rule: RuleId,
    pub rule_name: String,
    pub kind: String,
    pub subject: Subject,
    pub message: String,
    pub details: Value,
    pub sync: Option<SyncId>,
}

/// What happens to one alert. `channels` are told of it; with none, nobody is.
#[derive(Debug, Clone, PartialEq)]
pub enum AlertStep {
    /// It begins. `happened_at` is that of a kind that is over as soon as it has happened: it is written down once for
    /// each such moment, and not open afterwards.
    Raise { alert: NewAlert, happened_at: Option<Timestamp>, is_told: bool, channels: Vec<ChannelId> },
    /// It goes on in other words.
    Reword { alert: AlertId, message: String, details: Value, sync: Option<SyncId> },
    /// It is told of: for the first time if the change is `raised`.
    Tell { alert: AlertId, change: AlertChange, message: String, channels: Vec<ChannelId> },
    /// It ends.
    End { alert: AlertId, change: AlertChange, message: String, channels: Vec<ChannelId> },
}

impl Store {
    /// Takes steps, as of now. A step that no longer fits, because somebody else has taken it, does nothing. Events for
    /// one channel that come within `gather` of each other are sent together. Gives how many steps did something.
    ///
    /// # Errors
    /// A statement fails; then steps may have been taken already, and can be taken again.
    pub async fn take_alert_steps(
        &self,
        steps: &[AlertStep],
        gather: Duration,
        random: &dyn Random,
    ) -> Result<usize, StoreError> {
        let mut taken = 0;
        for chunk in steps.chunks(STEPS_MAX) {
            let transaction = self.begin("write alerts down").await?;
            let now = self.now();
            let mut writing = Writing { transaction, now, gather, random, open: BTreeMap::new() };
            for step in chunk {
                taken += usize::from(writing.take(step).await?);
            }
            writing.transaction.commit().await?;
        }
        Ok(taken)
    }
}

struct Writing<'a> {
    transaction: Transaction<'a>,
    now: Timestamp,
    gather: Duration,
    random: &'a dyn Random,
    /// What is to be sent through each channel and has not been tried yet, with how many events it holds.
    open: BTreeMap<ChannelId, (DispatchId, u64)>,
}

impl Writing<'_> {
    /// Whether the step did something.
    async fn take(&mut self, step: &AlertStep) -> Result<bool, StoreError> {
        match step {
            AlertStep::Raise { alert, happened_at, is_told, channels } => {
                let Some(id) = self.raise(alert, *happened_at, *is_told).await? else { return Ok(false) };
                self.event(id, AlertChange::Raised, &alert.message, channels).await?;
                Ok(true)
            }
            AlertStep::Reword { alert, message, details, sync } => {
                let sql = "UPDATE alerts SET message = $1, details = $2, sync = $3 WHERE id = $4 AND ended_at IS NULL";
                let sync = sync.map(|sync| sync.to_string());
                let args = args![message, details.to_string(), sync, alert.to_string()];
                Ok(self.transaction.execute(sql, args).await? > 0)
            }
            AlertStep::Tell { alert, change, message, channels } => {
                let sql = "UPDATE alerts SET told_at = $1, message = $2 WHERE id = $3 AND ended_at IS NULL \
                     AND (told_at IS NULL OR told_at < $1)";
                if self.transaction.execute(sql, args![self.now, message, alert.to_string()]).await? == 0 {
                    return Ok(false);
                }
                self.event(*alert, *change, message, channels).await?;
                Ok(true)
            }
            AlertStep::End { alert, change, message, channels } => {
                let sql = "UPDATE alerts SET ended_at = $1, ending = $2 WHERE id = $3 AND ended_at IS NULL";
                if self.transaction.execute(sql, args![self.now, change.name(), alert.to_string()]).await? == 0 {
                    return Ok(false);
                }
                self.event(*alert, *change, message, channels).await?;
                Ok(true)
            }
        }
    }

    /// None if it is going on already, or was written down already.
    async fn raise(
        &mut self,
        alert: &NewAlert,
        happened_at: Option<Timestamp>,
        is_told: bool,
    ) -> Result<Option<AlertId>, StoreError> {
        let id = AlertId::new(self.now, self.random);
        let sql = "INSERT INTO alerts (id, rule, rule_name, kind, subject_kind, subject, raised_at, ended_at, ending, \
             message, details, sync, told_at) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13 \
             WHERE NOT EXISTS (SELECT 1 FROM alerts WHERE rule = $2 AND kind = $4 AND subject_kind = $5 \
              AND subject = $6 AND ended_at = $8 AND raised_at = $7) ON CONFLICT (rule, kind, subject_kind, subject) WHERE ended_at IS NULL DO NOTHING";
        let args = args![
            id.to_string(),
            alert.rule.to_string(),
            &alert.rule_name,
            &alert.kind,
            &alert.subject.kind,
            &alert.subject.name,
            happened_at.unwrap_or(self.now),
            happened_at,
            happened_at.map(|_| AlertChange::Recovered.name()),
            &alert.message,
            alert.details.to_string(),
            alert.sync.map(|sync| sync.to_string()),
            is_told.then_some(self.now),
        ];
        Ok((self.transaction.execute(sql, args).await? > 0).then_some(id))
    }

    async fn event(
        &mut self,
        alert: AlertId,
        change: AlertChange,
        message: &str,
        channels: &[ChannelId],
    ) -> Result<(), StoreError> {
        let id = EventId::new(self.now, self.random);
        let sql = "INSERT INTO alert_events (id, alert, at, change, message, details, sync) \
             SELECT $1, id, $3, $4, $5, details, sync FROM alerts WHERE id = $2";
        let args = args![id.to_string(), alert.to_string(), self.now, change.name(), message];
        self.transaction.execute(sql, args).await?;
        for channel in channels {
            let Some(dispatch) = self.dispatch(*channel).await? else { continue };
            let sql = "INSERT INTO alert_dispatch_events (dispatch, event) VALUES ($1, $2)";
            self.transaction.execute(sql, args![dispatch.to_string(), id.to_string()]).await?;
        }
        Ok(())
    }

    /// The message that the next event for a channel goes into. None if the channel is gone.
    async fn dispatch(&mut self, channel: ChannelId) -> Result<Option<DispatchId>, StoreError> {
        if !self.open.contains_key(&channel) {
            // Locked, so that nobody sends it before this event is in it.
            let sql = format!(
                "SELECT id, (SELECT count(*) FROM alert_dispatch_events WHERE dispatch = alert_dispatches.id) AS events \
                 FROM alert_dispatches WHERE channel = $1 AND state = 'pending' AND attempts = 0 \
                 ORDER BY id DESC LIMIT 1{}",
                self.transaction.for_update()
            );
            if let Some(row) = self.transaction.row(AssertSqlSafe(sql), args![channel.to_string()]).await? {
                self.open.insert(channel, (row.parsed("id", "the id of what is sent")?, row.count("events")?));
            }
        }
        if let Some((id, events)) = self.open.get_mut(&channel).filter(|(_, events)| *events < EVENTS_MAX) {
            *events += 1;
            return Ok(Some(*id));
        }
        let id = DispatchId::new(self.now, self.random);
        let sql = "INSERT INTO alert_dispatches (id, channel, created_at, state, attempts, next_attempt_at, \
             received_by) SELECT $1, id, $2, 'pending', 0, $3, '[]' FROM alert_channels WHERE id = $4";
        let args = args![id.to_string(), self.now, self.now + self.gather, channel.to_string()];
        if self.transaction.execute(sql, args).await? == 0 {
            return Ok(None);
        }
        self.open.insert(channel, (id, 1));
        Ok(Some(id))
    }
}
