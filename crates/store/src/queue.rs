//! The queue: syncs wait in it until a worker takes them, the oldest first and each source in its turn. Whoever takes one
//! has it for a while, and says again and again that it is at it; what is not said any more, others take over.

mod takeover;
mod taking;

pub use taking::Renewed;

use jiff::Timestamp;
use records::{SyncId, WorkerId};
use serde_json::Value;
use sqlx::AssertSqlSafe;

use crate::{
    Actor, Cause, RunRow, Store, StoreError, SyncError, SyncState, Task,
    database::{Transaction, args, persistently},
    runs::{RunOptions, run_row},
};

/// A sync that is to be put into the queue.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRun {
    pub id: SyncId,
    pub mapping: String,
    pub mapping_version: Option<u64>,
    pub model: String,
    pub source: String,
    pub destination: String,
    /// How many extracts the source bears at once.
    pub extracts_max: u32,
    pub task: Task,
    /// A person said yes: guards do not hold.
    pub confirmed: bool,
    pub cause: Cause,
    /// The same in words: `schedule`, `takeover of sync_…`.
    pub trigger: String,
    pub requested_by: Option<Actor>,
    /// When it should have started; the oldest is first in the queue.
    pub due_at: Timestamp,
    /// What the caller calls its request: the same again starts nothing.
    pub key: Option<String>,
}

/// How far a sync is, as its worker tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct ProgressNote {
    pub sync: SyncId,
    pub progress: Value,
    /// When it was at what.
    pub phases: Value,
    /// Requests made to the destination so far.
    pub requests: u64,
}

/// What became of a wish for a sync.
#[derive(Debug, Clone, PartialEq)]
pub enum Enqueued {
    New(RunRow),
    /// The same request came before.
    Same(RunRow),
    /// One of the mapping waits or runs already, and nothing was queued.
    Busy(RunRow),
}

impl Enqueued {
    pub fn run(&self) -> &RunRow {
        match self {
            Enqueued::New(run) | Enqueued::Same(run) | Enqueued::Busy(run) => run,
        }
    }
}

/// What became of a wish to end a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It waited in the queue, and does no more.
    Ended,
    /// It runs, and its worker will hear of it.
    Asked,
    /// It had ended before, or is held: who does not want it sent dismisses it.
    Over,
}

impl RunRow {
    /// Whether it waits in the queue, with nobody at it.
    pub fn is_waiting(&self) -> bool {
        self.sync.state == SyncState::Queued && self.worker.is_none()
    }
}

impl Store {
    /// Puts a sync into the queue, unless one of its mapping waits or runs already.
    ///
    /// # Errors
    /// A statement fails.
    pub async fn enqueue(&self, new: &NewRun) -> Result<Enqueued, StoreError> {
        persistently!(self.try_enqueue(new).await)
    }

    async fn try_enqueue(&self, new: &NewRun) -> Result<Enqueued, StoreError> {
        let mut transaction = self.begin("queue a sync").await?;
        if let Some(key) = &new.key {
            let sql = "SELECT syncs.* FROM start_keys JOIN syncs ON syncs.id = start_keys.sync WHERE start_key = $1";
            if let Some(row) = transaction.row(sql, args![key]).await? {
                let run = run_row(&row)?;
                return Ok(if run.sync.id == new.id { Enqueued::New(run) } else { Enqueued::Same(run) });
            }
        }
        self.note_source(&mut transaction, &new.source, new.extracts_max).await?;
        let enqueued = self.insert_run(&mut transaction, new).await?;
        if let (Enqueued::New(run), Some(key)) = (&enqueued, &new.key) {
            let sql = "INSERT INTO start_keys (start_key, sync, at) VALUES ($1, $2, $3) \
                 ON CONFLICT (start_key) DO UPDATE SET sync = excluded.sync, at = excluded.at \
                 WHERE NOT EXISTS (SELECT 1 FROM syncs WHERE syncs.id = start_keys.sync)";
            let args = args![key, run.sync.id.to_string(), self.now()];
            if transaction.execute(sql, args).await? == 0 {
                // The same request came twice at once, and the other was a moment faster.
                drop(transaction);
                return Box::pin(self.try_enqueue(new)).await;
            }
        }
        transaction.commit().await?;
        Ok(enqueued)
    }

    /// Inserts a queued sync in a transaction of the caller's, which has noted its source.
    pub(crate) async fn insert_run(
        &self,
        transaction: &mut Transaction<'_>,
        new: &NewRun,
    ) -> Result<Enqueued, StoreError> {
        let now = self.now();
        let busy = format!("mapping = $2 AND {}", busy(&self.lease_now()));
        let insert = format!(
            "INSERT INTO syncs (id, mapping, state, trigger, started_at, counts, kind, options, cause, requested_by, \
             requested_by_name, model, source, destination, mapping_version, queued_at, due_at) \
             SELECT $1, $2, 'queued', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $4, $15 \
             WHERE NOT EXISTS (SELECT 1 FROM syncs WHERE {busy}) ON CONFLICT DO NOTHING"
        );
        let id = new.id.to_string();
        let args = args![
            &id,
            &new.mapping,
            &new.trigger,
            now,
            "{}",
            new.task.name(),
            RunOptions::text(&new.task, new.confirmed),
            new.cause.name(),
            new.requested_by.as_ref().map(|actor| &actor.id),
            new.requested_by.as_ref().map(|actor| &actor.name),
            &new.model,
            &new.source,
            &new.destination,
            new.mapping_version,
            new.due_at,
        ];
        let found = format!("SELECT * FROM syncs WHERE id = $1 OR ({busy}) ORDER BY id = $1 DESC, id LIMIT 1");
        for _ in 0..ROUNDS_MAX {
            let inserted = transaction.execute(AssertSqlSafe(insert.clone()), args).await?;
            let rows = transaction.row(AssertSqlSafe(found.clone()), args![&id, &new.mapping]).await?;
            match rows.as_ref().map(run_row).transpose()? {
                Some(run) if inserted > 0 || run.sync.id == new.id => return Ok(Enqueued::New(run)),
                Some(run) => return Ok(Enqueued::Busy(run)),
                // What was in the way has ended in the meantime.
                None => {}
            }
        }
        Err(StoreError::Contended { doing: "queue a sync" })
    }

    /// Notes what a source bears. Rows are touched only when something changes: whoever takes from a source locks its.
    pub(crate) async fn note_source(
        &self,
        transaction: &mut Transaction<'_>,
        source: &str,
        extracts_max: u32,
    ) -> Result<(), StoreError> {
        let known = "SELECT 1 AS one FROM queue_sources WHERE source = $1 AND extracts_max = $2";
        if transaction.row(known, args![source, extracts_max]).await?.is_none() {
            let sql = "INSERT INTO queue_sources (source, extracts_max, turn) VALUES ($1, $2, 0) \
                 ON CONFLICT (source) DO UPDATE SET extracts_max = excluded.extracts_max";
            transaction.execute(sql, args![source, extracts_max]).await?;
        }
        Ok(())
    }

    /// Puts a sync that a guard holds into the queue, to send what it found. None: it is not held. Busy: another of its
    /// mapping waits or runs.
    ///
    /// # Errors
    /// A statement fails.
    pub async fn enqueue_held(
        &self,
        id: SyncId,
        extracts_max: u32,
        by: Option<&Actor>,
    ) -> Result<Option<Enqueued>, StoreError> {
        persistently!(self.try_enqueue_held(id, extracts_max, by).await)
    }

    async fn try_enqueue_held(
        &self,
        id: SyncId,
        extracts_max: u32,
        by: Option<&Actor>,
    ) -> Result<Option<Enqueued>, StoreError> {
        let mut transaction = self.begin("queue a held sync").await?;
        let find = "SELECT * FROM syncs WHERE id = $1";
        let Some(row) = transaction.row(find, args![id.to_string()]).await? else { return Ok(None) };
        let held = run_row(&row)?;
        if held.sync.state == SyncState::Queued && held.task == Task::Release {
            return Ok(Some(Enqueued::Same(held)));
        }
        if held.sync.state != SyncState::Held {
            return Ok(None);
        }
        self.note_source(&mut transaction, &held.source, extracts_max).await?;
        let busy = format!("mapping = $2 AND id <> $1 AND {}", busy(&self.lease_now()));
        let sql = format!(
            "UPDATE syncs SET state = 'queued', kind = 'release', due_at = $3, ready_at = 0, worker = NULL, \
             taken_until = NULL, extract = NULL, error_code = NULL, error_message = NULL, error_hint = NULL, \
             requested_by = COALESCE($4, requested_by), requested_by_name = COALESCE($5, requested_by_name) \
             WHERE id = $1 AND state = 'held' AND NOT EXISTS (SELECT 1 FROM syncs WHERE {busy}) RETURNING *"
        );
        let id = id.to_string();
        let args = args![&id, &held.sync.mapping, self.now(), by.map(|actor| &actor.id), by.map(|actor| &actor.name),];
        match transaction.row(AssertSqlSafe(sql), args).await {
            Ok(Some(row)) => {
                let run = run_row(&row)?;
                transaction.commit().await?;
                Ok(Some(Enqueued::New(run)))
            }
            Ok(None) => {
                let sql = format!("SELECT * FROM syncs WHERE {busy} ORDER BY id LIMIT 1");
                let row = transaction.row(AssertSqlSafe(sql), args![&id, &held.sync.mapping]).await?;
                row.as_ref().map(run_row).transpose().map(|run| run.map(Enqueued::Busy))
            }
            // Another was queued at the same moment.
            Err(error) if error.is_taken() => Err(StoreError::Contended { doing: "queue a held sync" }),
            Err(error) => Err(error),
        }
    }

    /// Lets a sync that was to be released be held again, with why it could not be. Nothing happens if it is no longer
    /// this worker's.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn hold_again(&self, id: SyncId, worker: WorkerId, why: &SyncError) -> Result<(), StoreError> {
        let sql = "UPDATE syncs SET state = 'held', worker = NULL, taken_until = NULL, extract = NULL, \
             error_code = $3, error_message = $4, error_hint = $5 \
             WHERE id = $1 AND worker = $2 AND state = 'queued' AND kind = 'release'";
        let args = args![id.to_string(), worker.to_string(), &why.code, &why.message, why.hint.as_ref()];
        self.write().await?.execute("hold a sync again", sql, args).await?;
        Ok(())
    }

    /// Ends a sync: at once if it waits in the queue; else its worker is told. One that waits to be released is held
    /// again.
    ///
    /// # Errors
    /// There is no such sync, or the statement fails.
    pub async fn cancel(&self, id: SyncId) -> Result<Cancelled, StoreError> {
        let mut connection = self.write().await?;
        let held = "UPDATE syncs SET state = 'held', worker = NULL, taken_until = NULL, extract = NULL \
             WHERE id = $1 AND state = 'queued' AND kind = 'release'";
        let ended = "UPDATE syncs SET state = 'cancelled', finished_at = $2, cancel_requested = 1, \
             error_code = 'cancelled', error_message = 'cancelled before it began' \
             WHERE id = $1 AND state = 'queued'";
        if connection.execute("cancel a release", held, args![id.to_string()]).await? > 0
            || connection.execute("cancel a sync", ended, args![id.to_string(), self.now()]).await? > 0
        {
            return Ok(Cancelled::Ended);
        }
        let asked = "UPDATE syncs SET cancel_requested = 1 \
             WHERE id = $1 AND finished_at IS NULL AND state <> 'held'";
        if connection.execute("cancel a sync", asked, args![id.to_string()]).await? > 0 {
            return Ok(Cancelled::Asked);
        }
        drop(connection);
        self.run(id).await.map(|_| Cancelled::Over)
    }

    /// Notes how far syncs are. Nothing happens to those that are no longer this worker's.
    ///
    /// # Errors
    /// A statement fails.
    pub async fn note_progress(&self, worker: WorkerId, notes: &[ProgressNote]) -> Result<(), StoreError> {
        persistently!(self.try_note_progress(worker, notes).await)
    }

    async fn try_note_progress(&self, worker: WorkerId, notes: &[ProgressNote]) -> Result<(), StoreError> {
        let mut transaction = self.begin("note how far syncs are").await?;
        for note in notes {
            let sql = "UPDATE syncs SET progress = $3, phases = $4, requests = $5 \
                 WHERE id = $1 AND worker = $2 AND finished_at IS NULL";
            let (progress, phases) = (note.progress.to_string(), note.phases.to_string());
            transaction
                .execute(sql, args![note.sync.to_string(), worker.to_string(), progress, phases, note.requests])
                .await?;
        }
        transaction.commit().await
    }

    /// Forgets what callers called their requests before a time. Gives how many.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn forget_start_keys_before(&self, time: Timestamp) -> Result<u64, StoreError> {
        let sql = "DELETE FROM start_keys WHERE at < $1";
        self.write().await?.execute("forget old requests", sql, args![time]).await
    }
}

/// What keeps a mapping's next sync out of the queue: one that waits, or that somebody is at.
pub(crate) fn busy(now: &str) -> String {
    format!(
        "finished_at IS NULL AND (state = 'queued' OR (state <> 'held' AND successor IS NULL AND taken_until > {now}))"
    )
}

/// How often a statement is repeated that others were faster than.
const ROUNDS_MAX: u32 = 5;

#[cfg(test)]
mod tests;
