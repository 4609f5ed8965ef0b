//! Taking syncs from the queue, saying that they are still being run, and giving them back.

use std::time::Duration;

use records::{SyncId, WorkerId};
use sqlx::AssertSqlSafe;

use super::ProgressNote;
use crate::{
    RunRow, Store, StoreError, Task,
    claims::micros,
    database::{Row, args, persistently},
    runs::run_row,
};

/// A sync that a worker has, as it hears when it says so again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewed {
    pub id: SyncId,
    /// Somebody wants it to end.
    pub cancel_requested: bool,
}

/// Extracts that a source bears count from when a sync is taken until it is loading.
const EXTRACTING: &str =
    "finished_at IS NULL AND extract IS NOT NULL AND state IN ('queued', 'extracting', 'comparing')";

impl Store {
    /// Takes what is next from the queue for a worker: one sync, or all of one model that wait and will share its
    /// extract, `share_max` at most. The sources have their turns one after the other, each no more extracts at once
    /// than it bears, whoever runs them; of one source the oldest comes first. Empty: nothing can be taken now.
    ///
    /// # Errors
    /// A statement fails.
    pub async fn take_next(
        &self,
        worker: WorkerId,
        lease: Duration,
        share_max: u32,
    ) -> Result<Vec<RunRow>, StoreError> {
        let now = self.lease_now();
        let sql = format!(
            "SELECT source FROM queue_sources AS sources WHERE extracts_max > \
             (SELECT count(DISTINCT extract) FROM syncs WHERE syncs.source = sources.source AND {EXTRACTING} \
              AND taken_until > {now}) \
             AND EXISTS (SELECT 1 FROM syncs WHERE syncs.source = sources.source AND {}) ORDER BY turn, source",
            ready(&now)
        );
        let sources = self.read().await?.rows("look into the queue", AssertSqlSafe(sql), args![]).await?;
        for source in sources {
            let source = source.text("source")?;
            let taken = persistently!(self.take_from(&source, worker, lease, share_max).await)?;
            if !taken.is_empty() {
                return Ok(taken);
            }
        }
        Ok(Vec::new())
    }

    async fn take_from(
        &self,
        source: &str,
        worker: WorkerId,
        lease: Duration,
        share_max: u32,
    ) -> Result<Vec<RunRow>, StoreError> {
        let now = self.lease_now();
        let mut transaction = self.begin("take a sync from the queue").await?;
        // Whoever holds the source's row is alone in taking from it, so its extracts are counted right.
        let lock = format!("SELECT extracts_max FROM queue_sources WHERE source = $1{}", transaction.for_update());
        let Some(locked) = transaction.row(AssertSqlSafe(lock), args![source]).await? else { return Ok(Vec::new()) };
        let count = format!(
            "SELECT count(DISTINCT extract) AS extracts FROM syncs WHERE source = $1 AND {EXTRACTING} \
             AND taken_until > {now}"
        );
        let running = transaction.row(AssertSqlSafe(count), args![source]).await?;
        if running.map_or(Ok(0), |row| row.count("extracts"))? >= locked.count("extracts_max")? {
            return Ok(Vec::new());
        }
        let first = format!("SELECT * FROM syncs WHERE source = $1 AND {} ORDER BY due_at, id LIMIT 1", ready(&now));
        let first = transaction.row(AssertSqlSafe(first), args![source]).await?;
        let Some(first) = first.as_ref().map(run_row).transpose()? else { return Ok(Vec::new()) };
        let id = first.sync.id.to_string();
        let (together, of, limit) = match first.task {
            Task::Sync => ("source = $4 AND model = $5 AND kind = 'sync'", &first.model, share_max.max(1)),
            _ => ("source = $4 AND id = $5", &id, 1),
        };
        let take = format!(
            "UPDATE syncs SET worker = $1, taken_until = {now} + $2, extract = $3 WHERE id IN \
             (SELECT id FROM syncs WHERE {together} AND {} ORDER BY due_at, id LIMIT $6) AND state = 'queued' \
             RETURNING *",
            ready(&now)
        );
        let args = args![worker.to_string(), micros(lease), &id, source, of, limit];
        let taken = transaction.rows(AssertSqlSafe(take), args).await?;
        let mut taken = taken.iter().map(run_row).collect::<Result<Vec<_>, _>>()?;
        taken.sort_by_key(|run| (run.due_at, run.sync.id));
        let turn = "UPDATE queue_sources SET turn = (SELECT max(turn) + 1 FROM queue_sources) WHERE source = $1";
        transaction.execute(turn, args![source]).await?;
        transaction.commit().await?;
        Ok(taken)
    }

    /// Says that a worker is still at all it has, and gives what it has still.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn renew_runs(&self, worker: WorkerId, lease: Duration) -> Result<Vec<Renewed>, StoreError> {
        let sql = format!(
            "UPDATE syncs SET taken_until = {} + $2 WHERE worker = $1 AND finished_at IS NULL AND taken_until > 0 \
             AND successor IS NULL RETURNING id, cancel_requested",
            self.lease_now()
        );
        let args = args![worker.to_string(), micros(lease)];
        let rows = self.write().await?.rows("renew a worker's syncs", AssertSqlSafe(sql), args).await?;
        let renewed = |row: &Row| {
            Ok(Renewed { id: row.parsed("id", "a sync's id")?, cancel_requested: row.flag("cancel_requested")? })
        };
        rows.iter().map(renewed).collect()
    }

    /// Gives a sync back that a worker is done with, with how far it got. One that could not
    /// begin waits again, for `pause` at least. Nothing happens if it is no longer this worker's.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn give_back(
        &self,
        id: SyncId,
        worker: WorkerId,
        pause: Duration,
        note: Option<&ProgressNote>,
    ) -> Result<(), StoreError> {
        let sql = format!(
            "UPDATE syncs SET phases = COALESCE($4, phases), requests = COALESCE($5, requests), \
             progress = COALESCE($6, progress), \
             ready_at = CASE WHEN state = 'queued' THEN {} + $3 ELSE ready_at END, \
             extract = CASE WHEN state = 'queued' THEN NULL ELSE extract END, \
             taken_until = CASE WHEN state = 'queued' THEN NULL ELSE 0 END, \
             worker = CASE WHEN state = 'queued' THEN NULL ELSE worker END \
             WHERE id = $1 AND worker = $2 AND successor IS NULL",
            self.lease_now()
        );
        let args = args![
            id.to_string(),
            worker.to_string(),
            micros(pause),
            note.map(|note| note.phases.to_string()),
            note.map(|note| note.requests),
            note.map(|note| note.progress.to_string()),
        ];
        self.write().await?.execute("give a sync back", AssertSqlSafe(sql), args).await?;
        Ok(())
    }
}

/// What waits and may be taken: nobody has it, or whoever had it has fallen silent before it began.
fn ready(now: &str) -> String {
    format!("state = 'queued' AND ready_at <= {now} AND (taken_until IS NULL OR taken_until <= {now})")
}
