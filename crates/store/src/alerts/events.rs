//! Events: what was written down of alerts, as people see it in a list, each with his own marks of what was read.

use jiff::Timestamp;
use records::{DispatchId, EventId, SyncId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::AssertSqlSafe;

use super::{AlertFilter, AlertRow, Conditions, alert_row, optional_sync};
use crate::{
    Store, StoreError,
    database::{Arg, Row, args, variant},
};

/// What became of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertChange {
    Raised,
    /// It goes on, and was told once more.
    Repeated,
    Recovered,
    /// Nobody watches for it any more.
    Dropped,
}

const CHANGES: [(AlertChange, &str); 4] = [
    (AlertChange::Raised, "raised"),
    (AlertChange::Repeated, "repeated"),
    (AlertChange::Recovered, "recovered"),
    (AlertChange::Dropped, "dropped"),
];

impl AlertChange {
    /// The word in the store and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Repeated => "repeated",
            Self::Recovered => "recovered",
            Self::Dropped => "dropped",
        }
    }

    pub(super) fn of_name(name: &str) -> Result<Self, StoreError> {
        variant(&CHANGES, "what became of an alert", name)
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertEventRow {
    pub id: EventId,
    pub at: Timestamp,
    pub change: AlertChange,
    /// The words, the figures and the sync at that time.
    pub message: String,
    pub details: Value,
    pub sync: Option<SyncId>,
    /// The alert as it is now.
    pub alert: AlertRow,
    /// Whether the person who asked has read it.
    pub is_read: bool,
}

/// Which events are wanted. What is None lets all pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertEventFilter {
    pub alert: AlertFilter,
    pub change: Option<AlertChange>,
    /// Not earlier than this.
    pub from: Option<Timestamp>,
    /// Earlier than this.
    pub to: Option<Timestamp>,
    /// Only those that the person has not read.
    pub is_unread: bool,
}

/// An alert's columns have names of their own beside the event's.
const COLUMNS: &str = "alerts.*, alert_events.id AS event_id, alert_events.at AS event_at, \
    alert_events.change AS event_change, alert_events.message AS event_message, \
    alert_events.details AS event_details, alert_events.sync AS event_sync";

/// The first argument is the person.
const IS_READ: &str = "(EXISTS (SELECT 1 FROM alert_reads WHERE person = $1 AND event = alert_events.id) OR \
    EXISTS (SELECT 1 FROM alert_read_marks WHERE person = $1 AND alert_read_marks.event >= alert_events.id))";

impl Store {
    /// The events that a filter lets pass, newest first, from the one after `before` on, as `person` has read them.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn alert_events(
        &self,
        filter: &AlertEventFilter,
        person: &str,
        before: Option<EventId>,
        limit: u32,
    ) -> Result<Vec<AlertEventRow>, StoreError> {
        let mut args: Vec<Arg> = vec![person.into(), limit.into()];
        let mut conditions = Conditions::new(&mut args);
        conditions.add("alert_events.id < ?", before.map(|id| id.to_string()));
        filter.alert.add_to(&mut conditions);
        conditions.add("alert_events.change = ?", filter.change.map(AlertChange::name));
        conditions.add("alert_events.at >= ?", filter.from);
        conditions.add("alert_events.at < ?", filter.to);
        if filter.is_unread {
            conditions.add_fixed(&format!("NOT {IS_READ}"));
        }
        let sql = format!(
            "SELECT {COLUMNS}, CASE WHEN {IS_READ} THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END AS is_read FROM alert_events \
             JOIN alerts ON alerts.id = alert_events.alert WHERE {} ORDER BY alert_events.id DESC LIMIT $2",
            conditions.text()
        );
        let rows = self.read().await?.rows("list alert events", AssertSqlSafe(sql), &args).await?;
        rows.iter().map(event_row).collect()
    }

    /// How many events a person has not read, counted up to `most`.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn unread_alert_events(&self, person: &str, most: u32) -> Result<u64, StoreError> {
        let sql = format!(
            "SELECT count(*) AS events FROM (SELECT 1 FROM alert_events WHERE NOT {IS_READ} LIMIT $2) AS unread"
        );
        let row = self.read().await?.row("count alert events", AssertSqlSafe(sql), args![person, most]).await?;
        row.map_or(Ok(0), |row| row.count("events"))
    }

    /// Marks one event as read by a person.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn read_alert_event(&self, person: &str, event: EventId) -> Result<(), StoreError> {
        let sql = "INSERT INTO alert_reads (person, event) SELECT $1, id FROM alert_events WHERE id = $2 \
             ON CONFLICT (person, event) DO NOTHING";
        self.write().await?.execute("mark an alert as read", sql, args![person, event.to_string()]).await.map(drop)
    }

    /// Marks an event and all before it as read by a person.
    ///
    /// # Errors
    /// A statement fails.
    pub async fn read_alert_events_up_to(&self, person: &str, event: EventId) -> Result<(), StoreError> {
        let mut connection = self.write().await?;
        let args = args![person, event.to_string()];
        let sql = "INSERT INTO alert_read_marks (person, event) VALUES ($1, $2) ON CONFLICT (person) DO UPDATE \
             SET event = excluded.event WHERE alert_read_marks.event < excluded.event";
        connection.execute("mark alerts as read", sql, args).await?;
        let sql = "DELETE FROM alert_reads WHERE person = $1 AND event <= $2";
        connection.execute("forget single marks", sql, args).await.map(drop)
    }

    /// The events that are sent together, oldest first.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn events_of_dispatch(&self, dispatch: DispatchId) -> Result<Vec<AlertEventRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS}, CAST(0 AS BIGINT) AS is_read FROM alert_dispatch_events \
             JOIN alert_events ON alert_events.id = alert_dispatch_events.event \
             JOIN alerts ON alerts.id = alert_events.alert \
             WHERE alert_dispatch_events.dispatch = $1 ORDER BY alert_events.id"
        );
        let args = args![dispatch.to_string()];
        let rows = self.read().await?.rows("list events to send", AssertSqlSafe(sql), args).await?;
        rows.iter().map(event_row).collect()
    }
}

fn event_row(row: &Row) -> Result<AlertEventRow, StoreError> {
    Ok(AlertEventRow {
        id: row.parsed("event_id", "an alert event's id")?,
        at: row.time("event_at")?,
        change: AlertChange::of_name(&row.text("event_change")?)?,
        message: row.text("event_message")?,
        details: row.json("event_details", "an alert's details")?,
        sync: optional_sync(row, "event_sync")?,
        alert: alert_row(row)?,
        is_read: row.flag("is_read")?,
    })
}
