//! Syncs: one row a run of a mapping, from its first step to its end.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use records::{Counts, SyncId};
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;

use crate::{
    Store, StoreError,
    database::{Arg, Row, args, variant},
};

/// How far a sync is, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncState {
    /// It waits for a worker.
    Queued,
    Extracting,
    Comparing,
    /// A guard stopped it before anything was sent; it waits for a person.
    Held,
    Loading,
    Committing,
    /// Every change was delivered or left out by the mapping.
    Done,
    /// Some records were not delivered; the next sync finds them again.
    Partly,
    Failed,
    Cancelled,
    /// Its process ended without a word; what it had sent is in the checkpoint, the rest is pending.
    Interrupted,
}

pub(crate) const STATES: [(SyncState, &str); 11] = [
    (SyncState::Queued, "queued"),
    (SyncState::Extracting, "extracting"),
    (SyncState::Comparing, "comparing"),
    (SyncState::Held, "held"),
    (SyncState::Loading, "loading"),
    (SyncState::Committing, "committing"),
    (SyncState::Done, "done"),
    (SyncState::Partly, "partly"),
    (SyncState::Failed, "failed"),
    (SyncState::Cancelled, "cancelled"),
    (SyncState::Interrupted, "interrupted"),
];

impl SyncState {
    /// The word in the store, in pages and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            SyncState::Queued => "queued",
            SyncState::Extracting => "extracting",
            SyncState::Comparing => "comparing",
            SyncState::Held => "held",
            SyncState::Loading => "loading",
            SyncState::Committing => "committing",
            SyncState::Done => "done",
            SyncState::Partly => "partly",
            SyncState::Failed => "failed",
            SyncState::Cancelled => "cancelled",
            SyncState::Interrupted => "interrupted",
        }
    }

    /// Nothing more happens to a sync in such a state. A held one is not at its end.
    pub fn is_final(self) -> bool {
        match self {
            SyncState::Queued
            | SyncState::Extracting
            | SyncState::Comparing
            | SyncState::Held
            | SyncState::Loading
            | SyncState::Committing => false,
            SyncState::Done | SyncState::Partly | SyncState::Failed | SyncState::Cancelled | SyncState::Interrupted => {
                true
            }
        }
    }
}

/// Why a guard held a sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldReason {
    pub code: String,
    pub message: String,
}

/// Why a sync did not do what it was to do, in words for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncError {
    pub code: String,
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A sync about to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSync {
    pub id: SyncId,
    pub mapping: String,
    /// What started it: `command`, `schedule`, `replay of sync_…`.
    pub trigger: String,
    /// The file of its change set, if it is known already.
    pub change_set: Option<PathBuf>,
}

/// One sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncRow {
    pub id: SyncId,
    pub mapping: String,
    pub state: SyncState,
    pub trigger: String,
    pub started_at: Timestamp,
    /// When it reached a final state.
    pub finished_at: Option<Timestamp>,
    pub counts: Counts,
    /// Why a guard held it. It stays after the sync was released.
    pub held: Option<HeldReason>,
    pub error: Option<SyncError>,
    pub change_set: Option<PathBuf>,
    /// The most disk space its files took.
    pub disk_bytes: u64,
    /// The most memory the process took while it ran.
    pub memory_bytes: u64,
}

impl Store {
    /// Moves a sync to the state `extracting`, begun now: one that waits in the queue, or a new one. One from the
    /// queue keeps what started it. Nothing, and nothing changes, if the id is that of a sync that does not wait. The
    /// same statement again, after a lost connection, gives the same.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn begin_sync(&self, new: &NewSync) -> Result<Option<SyncRow>, StoreError> {
        let sql = "INSERT INTO syncs (id, mapping, state, trigger, started_at, counts, change_set) \
             VALUES ($1, $2, 'extracting', $3, $4, $5, $6) \
             ON CONFLICT (id) DO UPDATE SET state = excluded.state, started_at = excluded.started_at, \
             change_set = excluded.change_set \
             WHERE syncs.mapping = excluded.mapping AND (syncs.state = 'queued' OR \
              (syncs.state = 'extracting' AND syncs.started_at = excluded.started_at)) RETURNING *";
        let args = args![
            new.id.to_string(),
            &new.mapping,
            &new.trigger,
            self.now(),
            counts_text(&Counts::default()),
            path_text(new.change_set.as_deref()),
        ];
        self.write().await?.row("begin a sync", sql, args).await?.as_ref().map(sync_row).transpose()
    }

    /// Moves a sync to a state. A final state sets when it finished; any other clears it (a sync taken up again).
    ///
    /// # Errors
    /// There is no such sync, or the statement fails.
    pub async fn set_state(&self, id: SyncId, state: SyncState) -> Result<(), StoreError> {
        let finished_at = state.is_final().then(|| self.now());
        let sql = "UPDATE syncs SET state = $1, finished_at = $2 WHERE id = $3";
        self.touch(id, "set a sync's state", sql, args![state.name(), finished_at, id.to_string()]).await
    }

    /// Replaces a sync's counts.
    ///
    /// # Errors
    /// There is no such sync, or the statement fails.
    pub async fn set_counts(&self, id: SyncId, counts: &Counts) -> Result<(), StoreError> {
        let sql = "UPDATE syncs SET counts = $1 WHERE id = $2";
        self.touch(id, "set a sync's counts", sql, args![counts_text(counts), id.to_string()]).await
    }

    /// Says where a sync's change set lies, or that it is gone.
    ///
    /// # Errors
    /// There is no such sync, or the statement fails.
    pub async fn set_change_set(&self, id: SyncId, change_set: Option<&Path>) -> Result<(), StoreError> {
        let sql = "UPDATE syncs SET change_set = $1 WHERE id = $2";
        self.touch(id, "set a sync's change set", sql, args![path_text(change_set), id.to_string()]).await
    }

    /// Notes the disk space and memory a sync took. A smaller figure than before changes nothing.
    ///
    /// # Errors
    /// There is no such sync, or the statement fails.
    pub async fn set_usage(&self, id: SyncId, disk_bytes: u64, memory_bytes: u64) -> Result<(), StoreError> {
        let sql = "UPDATE syncs SET disk_bytes = CASE WHEN disk_bytes < $1 THEN $1 ELSE disk_bytes END, \
             memory_bytes = CASE WHEN memory_bytes < $2 THEN $2 ELSE memory_bytes END WHERE id = $3";
        self.touch(id, "note a sync's usage", sql, args![disk_bytes, memory_bytes, id.to_string()]).await
    }

    /// Moves a sync to `held`, with why.
    ///
    /// # Errors
    /// There is no such sync, or the statement fails.
    pub async fn hold(&self, id: SyncId, reason: &HeldReason) -> Result<(), StoreError> {
        let sql =
            "UPDATE syncs SET state = 'held', finished_at = NULL, held_code = $1, held_message = $2 WHERE id = $3";
        self.touch(id, "hold a sync", sql, args![&reason.code, &reason.message, id.to_string()]).await
    }

    /// Ends a sync now: its state, its counts and why it failed, in one statement. `state` is a final one.
    ///
    /// # Errors
    /// There is no such sync, or the statement fails.
    pub async fn finish(
        &self,
        id: SyncId,
        state: SyncState,
        counts: &Counts,
        error: Option<&SyncError>,
    ) -> Result<(), StoreError> {
        debug_assert!(state.is_final(), "a sync cannot end as `{}`", state.name());
        let sql = "UPDATE syncs SET state = $1, finished_at = $2, counts = $3, error_code = $4, error_message = $5, \
             error_hint = $6 WHERE id = $7";
        let args = args![
            state.name(),
            self.now(),
            counts_text(counts),
            error.map(|error| &error.code),
            error.map(|error| &error.message),
            error.and_then(|error| error.hint.as_ref()),
            id.to_string(),
        ];
        self.touch(id, "finish a sync", sql, args).await
    }

    /// The sync of an id, or of the start of one: `sync_0192f`, or `0192f` alone.
    ///
    /// # Errors
    /// No sync has that id, or more than one begins so.
    pub async fn sync(&self, id: &str) -> Result<SyncRow, StoreError> {
        let text = id.trim().to_ascii_lowercase();
        let prefix = if text.starts_with("sync_") { text } else { format!("sync_{text}") };
        // Ids go on in hexadecimal digits, which all come before `g`.
        let sql = "SELECT * FROM syncs WHERE id >= $1 AND id < $2 ORDER BY id DESC LIMIT 4";
        let rows = self.read().await?.rows("find a sync", sql, args![&prefix, format!("{prefix}g")]).await?;
        match &rows[..] {
            [] => Err(StoreError::UnknownSync(id.to_owned())),
            [row] => sync_row(row),
            several => {
                let matches = several.iter().map(|row| row.text("id")).collect::<Result<_, _>>()?;
                Err(StoreError::AmbiguousSync { text: id.to_owned(), matches })
            }
        }
    }

    /// The newest syncs, newest first, of one mapping or of all.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn syncs(&self, mapping: Option<&str>, limit: u32) -> Result<Vec<SyncRow>, StoreError> {
        match mapping {
            Some(mapping) => self.select_syncs("mapping = $2", args![limit, mapping]).await,
            None => self.select_syncs("TRUE", args![limit]).await,
        }
    }

    /// The newest sync of a mapping, in whatever state.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn last_sync(&self, mapping: &str) -> Result<Option<SyncRow>, StoreError> {
        Ok(self.syncs(Some(mapping), 1).await?.pop())
    }

    /// The syncs of a mapping that are at no end, newest first: queued, running now, held, or left behind by a process
    /// that ended. Who holds the mapping's lock knows that none is running.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn unfinished(&self, mapping: &str) -> Result<Vec<SyncRow>, StoreError> {
        self.select_syncs("mapping = $2 AND finished_at IS NULL", args![u32::MAX, mapping]).await
    }

    /// Forgets the finished syncs that began before a time, with their failures, but never a mapping's newest.
    /// Gives how many.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn forget_syncs_before(&self, time: Timestamp) -> Result<u64, StoreError> {
        let sql = "DELETE FROM syncs WHERE started_at < $1 AND finished_at IS NOT NULL AND EXISTS \
             (SELECT 1 FROM syncs AS newer WHERE newer.mapping = syncs.mapping \
              AND (newer.started_at, newer.id) > (syncs.started_at, syncs.id))";
        self.write().await?.execute("forget old syncs", sql, args![time]).await
    }

    /// The first argument is the limit.
    /// Forgets all syncs of a mapping, with their failures and journals.
    ///
    /// # Errors
    /// A statement fails.
    pub async fn forget_syncs_of(&self, mapping: &str) -> Result<(), StoreError> {
        let mut connection = self.write().await?;
        let journals = "DELETE FROM journal_parts WHERE sync IN (SELECT id FROM syncs WHERE mapping = $1)";
        connection.execute("forget journals", journals, args![mapping]).await?;
        connection.execute("forget syncs", "DELETE FROM syncs WHERE mapping = $1", args![mapping]).await?;
        Ok(())
    }

    async fn select_syncs(&self, condition: &'static str, args: &[Arg]) -> Result<Vec<SyncRow>, StoreError> {
        let sql = format!("SELECT * FROM syncs WHERE {condition} ORDER BY started_at DESC, id DESC LIMIT $1");
        let rows = self.read().await?.rows("list syncs", AssertSqlSafe(sql), args).await?;
        rows.iter().map(sync_row).collect()
    }

    /// Runs a statement about one sync, which must be there.
    async fn touch(&self, id: SyncId, doing: &'static str, sql: &'static str, args: &[Arg]) -> Result<(), StoreError> {
        match self.write().await?.execute(doing, sql, args).await? {
            0 => Err(StoreError::UnknownSync(id.to_string())),
            _ => Ok(()),
        }
    }
}

fn counts_text(counts: &Counts) -> String {
    serde_json::to_string(counts).unwrap_or_else(|_| "{}".to_owned())
}

fn path_text(path: Option<&Path>) -> Option<String> {
    path.map(|path| path.to_string_lossy().into_owned())
}

pub(crate) fn sync_row(row: &Row) -> Result<SyncRow, StoreError> {
    let held = match (row.optional_text("held_code")?, row.optional_text("held_message")?) {
        (Some(code), Some(message)) => Some(HeldReason { code, message }),
        _ => None,
    };
    let error = match (row.optional_text("error_code")?, row.optional_text("error_message")?) {
        (Some(code), Some(message)) => Some(SyncError { code, message, hint: row.optional_text("error_hint")? }),
        _ => None,
    };
    Ok(SyncRow {
        id: row.parsed("id", "a sync id")?,
        mapping: row.text("mapping")?,
        state: variant(&STATES, "a sync's state", &row.text("state")?)?,
        trigger: row.text("trigger")?,
        started_at: row.time("started_at")?,
        finished_at: row.optional_time("finished_at")?,
        counts: row.json("counts", "a sync's counts")?,
        held,
        error,
        change_set: row.optional_text("change_set")?.map(PathBuf::from),
        disk_bytes: row.count("disk_bytes")?,
        memory_bytes: row.count("memory_bytes")?,
    })
}

#[cfg(test)]
mod tests;
