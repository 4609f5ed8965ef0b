//! Syncs as the queue knows them: what was asked for, by whom, who runs them and how far they are; and the lists of
//! them, which stay fast however many there are.

use jiff::Timestamp;
use records::{SyncId, WorkerId};
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;

use crate::{
    Actor, Store, StoreError, SyncRow, SyncState,
    database::{Arg, Row, args, variant},
    syncs::sync_row,
};

/// What a sync is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Task {
    /// Find what changed, and send it.
    Sync,
    /// Send again what an earlier sync sent, or only what it could not deliver.
    Replay { sync: SyncId, failed_only: bool },
    /// Adopt the model's result as what the destination holds, and send nothing.
    Baseline,
    /// Send the very changes that a guard held: the sync itself waits in the queue again.
    Release,
}

impl Task {
    /// Its word in lists.
    pub fn name(&self) -> &'static str {
        match self {
            Task::Sync => "sync",
            Task::Replay { .. } => "replay",
            Task::Baseline => "baseline",
            Task::Release => "release",
        }
    }
}

/// What started a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Somebody ran it from a command line, past the queue.
    Command,
    /// A person or a program asked for it.
    Request,
    /// The time had come.
    Schedule,
    /// Other mappings had ended.
    After,
    /// A signed request came from outside.
    Hook,
    /// It goes on where another was cut off.
    Takeover,
}

pub(crate) const CAUSES: [(Cause, &str); 6] = [
    (Cause::Command, "command"),
    (Cause::Request, "request"),
    (Cause::Schedule, "schedule"),
    (Cause::After, "after"),
    (Cause::Hook, "hook"),
    (Cause::Takeover, "takeover"),
];

impl Cause {
    /// The word in the store, in pages and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Command => "command",
            Cause::Request => "request",
            Cause::Schedule => "schedule",
            Cause::After => "after",
            Cause::Hook => "hook",
            Cause::Takeover => "takeover",
        }
    }
}

/// A sync, with what the queue knows of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRow {
    #[serde(flatten)]
    pub sync: SyncRow,
    pub task: Task,
    /// A person said yes: guards do not hold.
    pub confirmed: bool,
    pub cause: Cause,
    pub requested_by: Option<Actor>,
    /// Empty for what was run past the queue.
    pub model: String,
    pub source: String,
    pub destination: String,
    /// The version of the mapping it was queued with.
    pub mapping_version: Option<u64>,
    pub queued_at: Option<Timestamp>,
    /// When it should have started.
    pub due_at: Option<Timestamp>,
    /// Who runs it, or ran it.
    pub worker: Option<WorkerId>,
    /// The same for those that share an extract.
    pub extract: Option<SyncId>,
    pub cancel_requested: bool,
    /// How far it is, as its worker tells it.
    pub progress: Option<serde_json::Value>,
    /// When it was at what.
    pub phases: Option<serde_json::Value>,
    /// Requests made to the destination so far, the repeated ones too.
    pub requests: u64,
    /// The sync that goes on where this one was cut off.
    pub successor: Option<SyncId>,
    /// How many in a row were cut off before this one.
    pub takeovers: u64,
}

/// Which syncs are wanted; what is not said lets all pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    pub mapping: Option<String>,
    pub model: Option<String>,
    pub source: Option<String>,
    pub destination: Option<String>,
    /// Any of these; none stands for all.
    pub states: Vec<SyncState>,
    pub cause: Option<Cause>,
    /// Queued, or begun past the queue, not earlier than this.
    pub from: Option<Timestamp>,
    /// Earlier than this.
    pub to: Option<Timestamp>,
}

impl Store {
    /// A sync with what the queue knows of it.
    ///
    /// # Errors
    /// There is no such sync, or the statement fails.
    pub async fn run(&self, id: SyncId) -> Result<RunRow, StoreError> {
        let sql = "SELECT * FROM syncs WHERE id = $1";
        let row = self.read().await?.row("find a sync", sql, args![id.to_string()]).await?;
        row.as_ref().map(run_row).transpose()?.ok_or_else(|| StoreError::UnknownSync(id.to_string()))
    }

    /// The syncs a filter lets pass, newest first, from the one after `before` on.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn runs(
        &self,
        filter: &RunFilter,
        before: Option<SyncId>,
        limit: u32,
    ) -> Result<Vec<RunRow>, StoreError> {
        let mut args: Vec<Arg> = vec![limit.into()];
        let mut conditions = String::new();
        let mut also = |condition: &str, value: Option<String>| {
            if let Some(value) = value {
                args.push(value.into());
                conditions.push_str(&format!(" AND {condition} ${}", args.len()));
            }
        };
        also("mapping =", filter.mapping.clone());
        also("model =", filter.model.clone());
        also("source =", filter.source.clone());
        also("destination =", filter.destination.clone());
        also("cause =", filter.cause.map(|cause| cause.name().to_owned()));
        also("id >=", filter.from.map(first_id));
        also("id <", filter.to.map(first_id));
        also("id <", before.map(|id| id.to_string()));
        // One state after the other: each part then reads no more than it gives, in the order of an index.
        let wanted = |state: &&(SyncState, &str)| filter.states.is_empty() || filter.states.contains(&state.0);
        let part = |(_, word): &(SyncState, &str)| {
            let of_state = format!("FROM syncs WHERE state = '{word}'{conditions} ORDER BY id DESC LIMIT $1");
            format!("SELECT id FROM (SELECT id {of_state}) AS of_{word}")
        };
        let parts: Vec<String> = crate::syncs::STATES.iter().filter(wanted).map(part).collect();
        let ids = parts.join(" UNION ALL ");
        let sql = format!(
            "SELECT * FROM syncs WHERE id IN (SELECT id FROM ({ids}) AS found ORDER BY id DESC LIMIT $1) ORDER BY id DESC"
        );
        let rows = self.read().await?.rows("list syncs", AssertSqlSafe(sql), &args).await?;
        rows.iter().map(run_row).collect()
    }

    /// How many syncs are at no end, by state.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn open_counts(&self) -> Result<Vec<(SyncState, u64)>, StoreError> {
        let sql = "SELECT state, count(*) AS syncs FROM syncs WHERE finished_at IS NULL GROUP BY state ORDER BY state";
        let rows = self.read().await?.rows("count open syncs", sql, args![]).await?;
        let count = |row: &Row| {
            let state = variant(&crate::syncs::STATES, "a sync's state", &row.text("state")?)?;
            Ok((state, row.count("syncs")?))
        };
        rows.iter().map(count).collect()
    }

    /// The sync of a mapping that came to its end last, of those that were to sync. One in whose place another goes on
    /// has come to none.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn last_finished(&self, mapping: &str) -> Result<Option<SyncRow>, StoreError> {
        let sql = "SELECT * FROM syncs WHERE mapping = $1 AND finished_at IS NOT NULL AND kind <> 'baseline' \
             AND successor IS NULL ORDER BY started_at DESC, id DESC LIMIT 1";
        let row = self.read().await?.row("find a mapping's last sync", sql, args![mapping]).await?;
        row.as_ref().map(sync_row).transpose()
    }

    /// Forgets syncs that were queued or begun before a time and have ended, with their failures, the oldest first and
    /// `limit` at most, but never a mapping's newest. Gives how many.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn forget_ended_before(&self, time: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let sql = "DELETE FROM syncs WHERE id IN (SELECT id FROM syncs AS old WHERE id < $1 \
             AND finished_at IS NOT NULL AND noted = 1 AND EXISTS (SELECT 1 FROM syncs AS newer \
              WHERE newer.mapping = old.mapping AND newer.started_at > old.started_at) ORDER BY id LIMIT $2)";
        self.write().await?.execute("forget old syncs", sql, args![first_id(time), limit]).await
    }
}

/// What every id made at that moment or later is not smaller than.
fn first_id(time: Timestamp) -> String {
    format!("sync_{:012x}", u64::try_from(time.as_millisecond()).unwrap_or(0))
}

/// What the column `options` holds.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct RunOptions {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sync: Option<SyncId>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    failed_only: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    confirmed: bool,
}

impl RunOptions {
    pub(crate) fn text(task: &Task, confirmed: bool) -> String {
        let (sync, failed_only) = match task {
            Task::Sync | Task::Baseline | Task::Release => (None, false),
            Task::Replay { sync, failed_only } => (Some(*sync), *failed_only),
        };
        serde_json::to_string(&Self { sync, failed_only, confirmed }).unwrap_or_else(|_| "{}".to_owned())
    }
}

pub(crate) fn run_row(row: &Row) -> Result<RunRow, StoreError> {
    let options: RunOptions = row.json("options", "a sync's options")?;
    let kind = row.text("kind")?;
    let task = match (kind.as_str(), options.sync) {
        ("sync", _) => Task::Sync,
        ("baseline", _) => Task::Baseline,
        ("replay", Some(sync)) => Task::Replay { sync, failed_only: options.failed_only },
        ("release", _) => Task::Release,
        _ => return Err(StoreError::Unreadable { what: "a sync's kind", value: kind }),
    };
    let requested_by = match (row.optional_text("requested_by")?, row.optional_text("requested_by_name")?) {
        (Some(id), Some(name)) => Some(Actor { id, name }),
        _ => None,
    };
    Ok(RunRow {
        sync: sync_row(row)?,
        task,
        confirmed: options.confirmed,
        cause: variant(&CAUSES, "what started a sync", &row.text("cause")?)?,
        requested_by,
        model: row.text("model")?,
        source: row.text("source")?,
        destination: row.text("destination")?,
        mapping_version: row.optional_count("mapping_version")?,
        queued_at: row.optional_time("queued_at")?,
        due_at: row.optional_time("due_at")?,
        worker: row.optional_parsed("worker", "a worker's id")?,
        extract: row.optional_parsed("extract", "a sync's id")?,
        cancel_requested: row.flag("cancel_requested")?,
        progress: row.optional_json("progress", "a sync's progress")?,
        phases: row.optional_json("phases", "a sync's phases")?,
        requests: row.count("requests")?,
        successor: row.optional_parsed("successor", "a sync's id")?,
        takeovers: row.count("takeovers")?,
    })
}

#[cfg(test)]
mod tests;
