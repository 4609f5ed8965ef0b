//! Syncs: one row a run of a mapping, from its first step to its end.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use records::{Counts, SyncId};
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Row, sqlite::SqliteRow};

use crate::{
    Store, StoreError,
    database::{count, from_micros, statement, time, to_integer, to_micros, variant},
};

/// How far a sync is, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncState {
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

const STATES: [(SyncState, &str); 10] = [
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
            SyncState::Extracting
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
    /// Writes down a new sync in the state `extracting`, begun now.
    ///
    /// # Errors
    /// The statement fails; an id that exists already is one reason.
    pub async fn begin_sync(&self, new: &NewSync) -> Result<SyncRow, StoreError> {
        let started_at = from_micros(to_micros(self.now()))?;
        let counts = Counts::default();
        sqlx::query(
            "INSERT INTO syncs (id, mapping, state, trigger, started_at, counts, change_set) \
             VALUES (?, ?, 'extracting', ?, ?, ?, ?)",
        )
        .bind(new.id.to_string())
        .bind(&new.mapping)
        .bind(&new.trigger)
        .bind(to_micros(started_at))
        .bind(counts_text(&counts))
        .bind(path_text(new.change_set.as_deref()))
        .execute(&mut *self.connection().await)
        .await
        .map_err(statement("begin a sync"))?;
        Ok(SyncRow {
            id: new.id,
            mapping: new.mapping.clone(),
            state: SyncState::Extracting,
            trigger: new.trigger.clone(),
            started_at,
            finished_at: None,
            counts,
            held: None,
            error: None,
            change_set: new.change_set.clone(),
            disk_bytes: 0,
            memory_bytes: 0,
        })
    }

    /// Moves a sync to a state. A final state sets when it finished; any other clears it (a sync taken up again).
    ///
    /// # Errors
    /// There is no such sync, or the statement fails.
    pub async fn set_state(&self, id: SyncId, state: SyncState) -> Result<(), StoreError> {
        let finished_at = state.is_final().then(|| to_micros(self.now()));
        let done = sqlx::query("UPDATE syncs SET state = ?, finished_at = ? WHERE id = ?")
            .bind(state.name())
            .bind(finished_at)
            .bind(id.to_string())
            .execute(&mut *self.connection().await)
            .await
            .map_err(statement("set a sync's state"))?;
        one_sync(id, done.rows_affected())
    }

    /// Replaces a sync's counts.
    ///
    /// # Errors
    /// There is no such sync, or the statement fails.
    pub async fn set_counts(&self, id: SyncId, counts: &Counts) -> Result<(), StoreError> {
        let done = sqlx::query("UPDATE syncs SET counts = ? WHERE id = ?")
            .bind(counts_text(counts))
            .bind(id.to_string())
            .execute(&mut *self.connection().await)
            .await
            .map_err(statement("set a sync's counts"))?;
        one_sync(id, done.rows_affected())
    }

    /// Says where a sync's change set lies, or that it is gone.
    ///
    /// # Errors
    /// There is no such sync, or the statement fails.
    pub async fn set_change_set(&self, id: SyncId, change_set: Option<&Path>) -> Result<(), StoreError> {
        let done = sqlx::query("UPDATE syncs SET change_set = ? WHERE id = ?")
            .bind(path_text(change_set))
            .bind(id.to_string())
            .execute(&mut *self.connection().await)
            .await
            .map_err(statement("set a sync's change set"))?;
        one_sync(id, done.rows_affected())
    }

    /// Notes the disk space and memory a sync took. A smaller figure than before changes nothing.
    ///
    /// # Errors
    /// There is no such sync, or the statement fails.
    pub async fn set_usage(&self, id: SyncId, disk_bytes: u64, memory_bytes: u64) -> Result<(), StoreError> {
        let done = sqlx::query(
            "UPDATE syncs SET disk_bytes = max(disk_bytes, ?), memory_bytes = max(memory_bytes, ?) WHERE id = ?",
        )
        .bind(to_integer(disk_bytes))
        .bind(to_integer(memory_bytes))
        .bind(id.to_string())
        .execute(&mut *self.connection().await)
        .await
        .map_err(statement("note a sync's usage"))?;
        one_sync(id, done.rows_affected())
    }

    /// Moves a sync to `held`, with why.
    ///
    /// # Errors
    /// There is no such sync, or the statement fails.
    pub async fn hold(&self, id: SyncId, reason: &HeldReason) -> Result<(), StoreError> {
        let done = sqlx::query(
            "UPDATE syncs SET state = 'held', finished_at = NULL, held_code = ?, held_message = ? WHERE id = ?",
        )
        .bind(&reason.code)
        .bind(&reason.message)
        .bind(id.to_string())
        .execute(&mut *self.connection().await)
        .await
        .map_err(statement("hold a sync"))?;
        one_sync(id, done.rows_affected())
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
        let done = sqlx::query(
            "UPDATE syncs SET state = ?, finished_at = ?, counts = ?, error_code = ?, error_message = ?, \
             error_hint = ? WHERE id = ?",
        )
        .bind(state.name())
        .bind(to_micros(self.now()))
        .bind(counts_text(counts))
        .bind(error.map(|error| &error.code))
        .bind(error.map(|error| &error.message))
        .bind(error.and_then(|error| error.hint.as_ref()))
        .bind(id.to_string())
        .execute(&mut *self.connection().await)
        .await
        .map_err(statement("finish a sync"))?;
        one_sync(id, done.rows_affected())
    }

    /// The sync of an id, or of the start of one: `sync_0192f`, or `0192f` alone.
    ///
    /// # Errors
    /// No sync has that id, or more than one begins so.
    pub async fn sync(&self, id: &str) -> Result<SyncRow, StoreError> {
        let text = id.trim().to_ascii_lowercase();
        let prefix = if text.starts_with("sync_") { text } else { format!("sync_{text}") };
        let rows = sqlx::query("SELECT * FROM syncs WHERE substr(id, 1, length(?1)) = ?1 ORDER BY id DESC LIMIT 4")
            .bind(&prefix)
            .fetch_all(&mut *self.connection().await)
            .await
            .map_err(statement("find a sync"))?;
        match &rows[..] {
            [] => Err(StoreError::UnknownSync(id.to_owned())),
            [row] => sync_row(row),
            several => {
                let matches = several.iter().map(|row| row.try_get("id")).collect::<Result<_, _>>();
                let matches = matches.map_err(statement("find a sync"))?;
                Err(StoreError::AmbiguousSync { text: id.to_owned(), matches })
            }
        }
    }

    /// The newest syncs, newest first, of one mapping or of all.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn syncs(&self, mapping: Option<&str>, limit: u32) -> Result<Vec<SyncRow>, StoreError> {
        self.select_syncs("(?1 IS NULL OR mapping = ?1)", mapping, limit).await
    }

    /// The newest sync of a mapping, in whatever state.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn last_sync(&self, mapping: &str) -> Result<Option<SyncRow>, StoreError> {
        Ok(self.syncs(Some(mapping), 1).await?.pop())
    }

    /// The syncs of a mapping that are at no end, newest first: running now, held, or left behind by a process
    /// that ended. Who holds the mapping's lock knows that the first kind is none.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn unfinished(&self, mapping: &str) -> Result<Vec<SyncRow>, StoreError> {
        self.select_syncs("mapping = ?1 AND finished_at IS NULL", Some(mapping), u32::MAX).await
    }

    /// Forgets the finished syncs that began before a time, with their failures, but never a mapping's newest.
    /// Gives how many.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn forget_syncs_before(&self, time: Timestamp) -> Result<u64, StoreError> {
        let done = sqlx::query(
            "DELETE FROM syncs WHERE started_at < ?1 AND finished_at IS NOT NULL AND EXISTS \
             (SELECT 1 FROM syncs AS newer WHERE newer.mapping = syncs.mapping \
              AND (newer.started_at, newer.id) > (syncs.started_at, syncs.id))",
        )
        .bind(to_micros(time))
        .execute(&mut *self.connection().await)
        .await
        .map_err(statement("forget old syncs"))?;
        Ok(done.rows_affected())
    }

    async fn select_syncs(
        &self,
        condition: &'static str,
        mapping: Option<&str>,
        limit: u32,
    ) -> Result<Vec<SyncRow>, StoreError> {
        let sql = format!("SELECT * FROM syncs WHERE {condition} ORDER BY started_at DESC, id DESC LIMIT ?2");
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(mapping)
            .bind(limit)
            .fetch_all(&mut *self.connection().await)
            .await
            .map_err(statement("list syncs"))?;
        rows.iter().map(sync_row).collect()
    }
}

fn one_sync(id: SyncId, rows: u64) -> Result<(), StoreError> {
    if rows == 0 { Err(StoreError::UnknownSync(id.to_string())) } else { Ok(()) }
}

fn counts_text(counts: &Counts) -> String {
    serde_json::to_string(counts).unwrap_or_else(|_| "{}".to_owned())
}

fn path_text(path: Option<&Path>) -> Option<String> {
    path.map(|path| path.to_string_lossy().into_owned())
}

fn sync_row(row: &SqliteRow) -> Result<SyncRow, StoreError> {
    let read = || statement("read a sync");
    let text = |column: &str| row.try_get::<String, _>(column).map_err(read());
    let optional = |column: &str| row.try_get::<Option<String>, _>(column).map_err(read());
    let id = text("id")?;
    let counts = text("counts")?;
    let held = match (optional("held_code")?, optional("held_message")?) {
        (Some(code), Some(message)) => Some(HeldReason { code, message }),
        _ => None,
    };
    let error = match (optional("error_code")?, optional("error_message")?) {
        (Some(code), Some(message)) => Some(SyncError { code, message, hint: optional("error_hint")? }),
        _ => None,
    };
    let finished_at: Option<i64> = row.try_get("finished_at").map_err(read())?;
    Ok(SyncRow {
        id: id.parse().map_err(|_| StoreError::Unreadable { what: "a sync id", value: id })?,
        mapping: text("mapping")?,
        state: variant(&STATES, "a sync's state", &text("state")?)?,
        trigger: text("trigger")?,
        started_at: time(row, "started_at")?,
        finished_at: finished_at.map(from_micros).transpose()?,
        counts: serde_json::from_str(&counts)
            .map_err(|_| StoreError::Unreadable { what: "a sync's counts", value: counts })?,
        held,
        error,
        change_set: optional("change_set")?.map(PathBuf::from),
        disk_bytes: count(row, "disk_bytes")?,
        memory_bytes: count(row, "memory_bytes")?,
    })
}

#[cfg(test)]
mod tests;
