//! Who looks at what has happened: one process at a time, from where the one before has stopped.

use std::time::Duration;

use jiff::Timestamp;
use records::SyncId;

use crate::{
    Store, StoreError, SyncRow,
    database::{Row, args},
    syncs::sync_row,
};

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

    /// The syncs that guards hold.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn held_syncs(&self) -> Result<Vec<SyncRow>, StoreError> {
        let sql = "SELECT * FROM syncs WHERE state = 'held' ORDER BY mapping, id";
        let rows = self.read().await?.rows("list held syncs", sql, args![]).await?;
        rows.iter().map(sync_row).collect()
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
    ) -> Result<Vec<SyncRow>, StoreError> {
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
        rows.iter().map(sync_row).collect()
    }
}
