//! Who looks at what has happened: one process at a time, from where the one before has stopped.

use std::time::Duration;

use jiff::Timestamp;
use records::SyncId;

use crate::{
    Store, StoreError, SyncRow,
    database::{Row, args},
    syncs::sync_row,
};

/// A mapping as it is defined now, and since when it may start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingPlace {
    pub name: String,
    pub model: String,
    pub destination: String,
    /// Empty if its model is not there.
    pub source: String,
    /// Whether it, its model and its destination are.
    pub enabled: bool,
    /// When it was last made or changed, which switching it on is too.
    pub updated_at: Timestamp,
}

/// How a mapping stands to its schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueStand {
    pub mapping: String,
    /// When it is due, if it has not been put into the queue for that.
    pub next_due_at: Option<Timestamp>,
    /// When the sync that waits in the queue was due.
    pub queued_since: Option<Timestamp>,
    /// When the sync that runs was due.
    pub running_since: Option<Timestamp>,
}

/// A sync with what tells what it was for.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchedSync {
    pub sync: SyncRow,
    /// The word of its task.
    pub task: String,
    /// It was cut off, and another goes on where it was.
    pub is_taken_over: bool,
}

/// A sync that has come to its end, whichever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedSync {
    pub id: SyncId,
    pub mapping: String,
    pub at: Timestamp,
}

/// A lease or a mark that lies further ahead was made by a clock that has been set back since.
const AHEAD_MAX: Duration = Duration::from_secs(3_600);

impl Store {
    /// Makes `watcher` the one who looks, for so long, unless another is. Gives up to when has been looked; at first,
    /// that is now: what was before anybody looked is no news.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn hold_alert_watch(&self, watcher: &str, lease: Duration) -> Result<Option<Timestamp>, StoreError> {
        let now = self.now();
        let sql = "INSERT INTO alert_watch (id, watcher, until, looked_up_to) VALUES (1, $1, $2, $3) \
             ON CONFLICT (id) DO UPDATE SET watcher = excluded.watcher, until = excluded.until, \
             looked_up_to = CASE WHEN alert_watch.looked_up_to > $4 THEN $3 ELSE alert_watch.looked_up_to END \
             WHERE alert_watch.watcher = excluded.watcher OR alert_watch.until <= $3 OR alert_watch.until > $4 \
             RETURNING looked_up_to";
        let args = args![watcher, now + lease, now, now + AHEAD_MAX];
        let row = self.write().await?.row("watch for alerts", sql, args).await?;
        row.map(|row| row.time("looked_up_to")).transpose()
    }

    /// Notes up to when has been looked.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn move_alert_watch(&self, watcher: &str, looked_up_to: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE alert_watch SET looked_up_to = $1 WHERE watcher = $2 AND looked_up_to < $1";
        self.write().await?.execute("note what was looked at", sql, args![looked_up_to, watcher]).await.map(drop)
    }

    /// Lets another look right away.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn leave_alert_watch(&self, watcher: &str) -> Result<(), StoreError> {
        let sql = "UPDATE alert_watch SET until = 0 WHERE watcher = $1";
        self.write().await?.execute("leave the watch for alerts", sql, args![watcher]).await.map(drop)
    }

    /// The syncs that ended after one that ended then, in the order of their ends, and of their ids where those are the
    /// same.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn ended_syncs(
        &self,
        at: Timestamp,
        after: Option<SyncId>,
        limit: u32,
    ) -> Result<Vec<EndedSync>, StoreError> {
        let sql = "SELECT id, mapping, finished_at FROM syncs WHERE finished_at IS NOT NULL \
             AND (finished_at, id) > ($1, $2) ORDER BY finished_at, id LIMIT $3";
        let args = args![at, after.map(|id| id.to_string()).unwrap_or_default(), limit];
        let rows = self.read().await?.rows("list syncs that ended", sql, args).await?;
        let ended = |row: &Row| {
            Ok(EndedSync {
                id: row.parsed("id", "a sync's id")?,
                mapping: row.text("mapping")?,
                at: row.time("finished_at")?,
            })
        };
        rows.iter().map(ended).collect()
    }

    /// All mappings, with what they use, by name.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn mapping_places(&self) -> Result<Vec<MappingPlace>, StoreError> {
        let sql = "SELECT mappings.name, mappings.ref_model, mappings.ref_destination, mappings.enabled, \
             mappings.updated_at, models.ref_source AS source, models.enabled AS model_enabled, \
             destinations.enabled AS destination_enabled FROM resources AS mappings \
             LEFT JOIN resources AS models ON models.kind = 'model' AND models.name = mappings.ref_model \
             LEFT JOIN resources AS destinations ON destinations.kind = 'destination' \
              AND destinations.name = mappings.ref_destination \
             WHERE mappings.kind = 'mapping' ORDER BY mappings.name";
        let rows = self.read().await?.rows("list mappings and what they use", sql, args![]).await?;
        let place = |row: &Row| {
            let is_on = |column| Ok::<_, StoreError>(row.optional_integer(column)? == Some(1));
            Ok(MappingPlace {
                name: row.text("name")?,
                model: row.optional_text("ref_model")?.unwrap_or_default(),
                destination: row.optional_text("ref_destination")?.unwrap_or_default(),
                source: row.optional_text("source")?.unwrap_or_default(),
                enabled: row.flag("enabled")? && is_on("model_enabled")? && is_on("destination_enabled")?,
                updated_at: row.time("updated_at")?,
            })
        };
        rows.iter().map(place).collect()
    }

    /// How all mappings stand to their schedules, by name.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn due_stands(&self) -> Result<Vec<DueStand>, StoreError> {
        let sql = "SELECT due.mapping, due.next_due_at, \
             (SELECT min(queued.due_at) FROM syncs AS queued \
              WHERE queued.mapping = due.mapping AND queued.state = 'queued') AS queued_since, \
             (SELECT min(running.due_at) FROM syncs AS running WHERE running.mapping = due.mapping \
              AND running.finished_at IS NULL AND running.state NOT IN ('queued', 'held')) AS running_since \
             FROM due WHERE due.enabled = 1 ORDER BY due.mapping";
        let rows = self.read().await?.rows("list how mappings stand to their schedules", sql, args![]).await?;
        let stand = |row: &Row| {
            Ok(DueStand {
                mapping: row.text("mapping")?,
                next_due_at: row.optional_time("next_due_at")?,
                queued_since: row.optional_time("queued_since")?,
                running_since: row.optional_time("running_since")?,
            })
        };
        rows.iter().map(stand).collect()
    }

    /// The syncs that guards hold.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn held_syncs(&self) -> Result<Vec<WatchedSync>, StoreError> {
        let sql = "SELECT * FROM syncs WHERE state = 'held' ORDER BY mapping, id";
        let rows = self.read().await?.rows("list held syncs", sql, args![]).await?;
        rows.iter().map(watched_sync).collect()
    }

    /// The newest syncs of a mapping that have ended, newest first: the last `count`, and all that began after
    /// `since`, but no more than `limit`.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn finished_syncs(
        &self,
        mapping: &str,
        count: u32,
        since: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<WatchedSync>, StoreError> {
        let list = "SELECT * FROM syncs WHERE mapping = $1 AND finished_at IS NOT NULL AND started_at >= $2 \
             ORDER BY started_at DESC, id DESC LIMIT $3";
        let mut connection = self.read().await?;
        let mut rows = Vec::new();
        if let Some(since) = since {
            rows = connection.rows("list finished syncs", list, args![mapping, since, limit]).await?;
        }
        if rows.len() < count as usize {
            rows = connection.rows("list finished syncs", list, args![mapping, Timestamp::MIN, count]).await?;
        }
        rows.iter().map(watched_sync).collect()
    }
}

fn watched_sync(row: &Row) -> Result<WatchedSync, StoreError> {
    Ok(WatchedSync {
        sync: sync_row(row)?,
        task: row.text("kind")?,
        is_taken_over: row.optional_text("successor")?.is_some(),
    })
}
