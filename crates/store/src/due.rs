//! When mappings are due: for each the next moment, the last one, and what it waits for. What the moments are is worked
//! out elsewhere; here it is seen to that none is lost and none starts two syncs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use crate::{
    Cause, Enqueued, NewRun, Store, StoreError, SyncState, Task,
    database::{Row, Transaction, args, persistently, variant},
    queue::busy,
    runs::CAUSES,
};

/// When one mapping is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueRow {
    pub mapping: String,
    pub model: String,
    /// The schedule as JSON.
    pub schedule: String,
    /// Whether mapping, model and destination are all switched on.
    pub enabled: bool,
    /// None: no moment makes it due.
    pub next_due_at: Option<Timestamp>,
    /// The moment the last start was due at.
    pub last_due_at: Option<Timestamp>,
    pub reason: Cause,
    /// It was due while a sync of it ran; it starts once more when that has ended.
    pub waits: bool,
    /// JSON: the syncs of others that its last start has seen.
    pub consumed: String,
    /// Grows with each change.
    pub revision: u64,
}

/// A mapping that is due, with what to do about it.
#[derive(Debug, Clone, PartialEq)]
pub struct DueStart {
    /// As it was read.
    pub due: DueRow,
    pub run: NewRun,
    /// When it is due after this.
    pub next_due_at: Option<Timestamp>,
}

/// What became of a mapping that was due.
#[derive(Debug, Clone, PartialEq)]
pub enum DueOutcome {
    /// It waits in the queue: since now, or since before.
    Queued(Enqueued),
    /// A sync of it runs. It starts once more when that has ended.
    Runs(Enqueued),
    /// Somebody else has seen to it, or it is due at another time now.
    Changed,
}

impl Store {
    /// When a mapping is due.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn due(&self, mapping: &str) -> Result<Option<DueRow>, StoreError> {
        let sql = "SELECT * FROM due WHERE mapping = $1";
        let row = self.read().await?.row("find when a mapping is due", sql, args![mapping]).await?;
        row.as_ref().map(due_row).transpose()
    }

    /// All that is known of when mappings are due, by mapping, from the one after `after` on.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn all_due(&self, after: Option<&str>, limit: u32) -> Result<Vec<DueRow>, StoreError> {
        let sql = "SELECT * FROM due WHERE mapping > $1 ORDER BY mapping LIMIT $2";
        let args = args![after.unwrap_or_default(), limit];
        let rows = self.read().await?.rows("list when mappings are due", sql, args).await?;
        rows.iter().map(due_row).collect()
    }

    /// The mappings that are due by now, in the order in which they are; those of one model that are due at the same
    /// moment are not parted by the limit.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn due_by(&self, now: Timestamp, limit: u32) -> Result<Vec<DueRow>, StoreError> {
        let sql = "SELECT * FROM due WHERE next_due_at <= $1 AND next_due_at IS NOT NULL AND waits = 0 \
             ORDER BY next_due_at, model, mapping LIMIT $2";
        let rows = self.read().await?.rows("list due mappings", sql, args![now, limit]).await?;
        let mut due = rows.iter().map(due_row).collect::<Result<Vec<_>, _>>()?;
        if due.len() >= limit as usize
            && let Some(last) = due.last()
        {
            let group = |row: &DueRow| (row.next_due_at, row.model.clone());
            let parted = group(last);
            let whole = due.iter().take_while(|row| group(row) != parted).count();
            due.truncate(if whole == 0 { due.len() } else { whole });
        }
        Ok(due)
    }

    /// The next moment at which any mapping is due.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn next_due_at(&self) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT next_due_at FROM due WHERE next_due_at IS NOT NULL AND waits = 0 \
             ORDER BY next_due_at LIMIT 1";
        let row = self.read().await?.row("find when something is due", sql, args![]).await?;
        row.map(|row| row.time("next_due_at")).transpose()
    }

    /// Writes down when mappings are due, each with those for whose ends it waits. For each whether it was done: one that
    /// was changed since its row was read stays as it is. A row of revision 0 is a new one.
    ///
    /// # Errors
    /// A statement fails; then nothing has changed.
    pub async fn set_due(&self, rows: &[(DueRow, Vec<String>)]) -> Result<Vec<bool>, StoreError> {
        persistently!(self.try_set_due(rows).await)
    }

    async fn try_set_due(&self, rows: &[(DueRow, Vec<String>)]) -> Result<Vec<bool>, StoreError> {
        let mut transaction = self.begin("write down when mappings are due").await?;
        let mut done = Vec::with_capacity(rows.len());
        for (row, awaited) in rows {
            done.push(self.set_one(&mut transaction, row, awaited).await?);
        }
        transaction.commit().await?;
        Ok(done)
    }

    async fn set_one(
        &self,
        transaction: &mut Transaction<'_>,
        row: &DueRow,
        awaited: &[String],
    ) -> Result<bool, StoreError> {
        let sql = "INSERT INTO due (mapping, model, schedule, enabled, next_due_at, last_due_at, reason, waits, consumed, \
             revision, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10 + 1, $11) \
             ON CONFLICT (mapping) DO UPDATE SET model = excluded.model, schedule = excluded.schedule, \
             enabled = excluded.enabled, next_due_at = excluded.next_due_at, last_due_at = excluded.last_due_at, \
             reason = excluded.reason, waits = excluded.waits, consumed = excluded.consumed, \
             revision = excluded.revision, updated_at = excluded.updated_at WHERE due.revision = $10";
        let args = args![
            &row.mapping,
            &row.model,
            &row.schedule,
            row.enabled,
            row.next_due_at,
            row.last_due_at,
            row.reason.name(),
            row.waits,
            &row.consumed,
            row.revision,
            self.now(),
        ];
        if transaction.execute(sql, args).await? == 0 {
            return Ok(false);
        }
        if row.revision > 0 {
            transaction.execute("DELETE FROM due_after WHERE mapping = $1", args![&row.mapping]).await?;
        }
        for awaited in awaited {
            let sql = "INSERT INTO due_after (awaited, mapping) VALUES ($1, $2) ON CONFLICT DO NOTHING";
            transaction.execute(sql, args![awaited, &row.mapping]).await?;
        }
        Ok(true)
    }

    /// Forgets when a mapping is due, because there is no such mapping any more.
    ///
    /// # Errors
    /// A statement fails.
    pub async fn forget_due(&self, mapping: &str) -> Result<(), StoreError> {
        let mut transaction = self.begin("forget when a mapping is due").await?;
        transaction.execute("DELETE FROM due WHERE mapping = $1", args![mapping]).await?;
        transaction.execute("DELETE FROM due_after WHERE mapping = $1", args![mapping]).await?;
        transaction.commit().await
    }

    /// Starts what is due: each goes into the queue and on to its next moment, or neither. One outcome each.
    ///
    /// # Errors
    /// A statement fails; then nothing has changed.
    pub async fn start_due(&self, starts: &[DueStart]) -> Result<Vec<DueOutcome>, StoreError> {
        persistently!(self.try_start_due(starts).await)
    }

    async fn try_start_due(&self, starts: &[DueStart]) -> Result<Vec<DueOutcome>, StoreError> {
        let mut transaction = self.begin("start what is due").await?;
        let sources: BTreeMap<&str, u32> =
            starts.iter().map(|start| (start.run.source.as_str(), start.run.extracts_max)).collect();
        for (source, extracts_max) in sources {
            self.note_source(&mut transaction, source, extracts_max).await?;
        }
        let mut outcomes = Vec::with_capacity(starts.len());
        for start in starts {
            outcomes.push(self.start_one(&mut transaction, start).await?);
        }
        transaction.commit().await?;
        Ok(outcomes)
    }

    async fn start_one(&self, transaction: &mut Transaction<'_>, start: &DueStart) -> Result<DueOutcome, StoreError> {
        // Of several that want to start the same, one changes the row; the others find it changed.
        let sql = "UPDATE due SET last_due_at = next_due_at, next_due_at = $3, revision = revision + 1, updated_at = $4 \
             WHERE mapping = $1 AND revision = $2 AND enabled = 1 AND waits = 0 AND next_due_at IS NOT NULL";
        let args = args![&start.due.mapping, start.due.revision, start.next_due_at, self.now()];
        if transaction.execute(sql, args).await? == 0 {
            return Ok(DueOutcome::Changed);
        }
        let enqueued = self.insert_run(transaction, &start.run).await?;
        if let Enqueued::Busy(run) = &enqueued {
            let comes_still = run.sync.state == SyncState::Queued && run.task == Task::Sync;
            if !comes_still {
                let sql = "UPDATE due SET last_due_at = $2, next_due_at = $3, waits = 1 WHERE mapping = $1";
                let args = args![&start.due.mapping, start.due.last_due_at, start.due.next_due_at];
                transaction.execute(sql, args).await?;
                return Ok(DueOutcome::Runs(enqueued));
            }
        }
        Ok(DueOutcome::Queued(enqueued))
    }

    /// Makes a mapping due at a moment for a reason other than its time, if it is switched on. One that is due earlier
    /// stays so. Gives whether it is due now because of this: what was called the same before makes nothing due.
    ///
    /// # Errors
    /// A statement fails.
    pub async fn make_due(
        &self,
        mapping: &str,
        at: Timestamp,
        reason: Cause,
        key: Option<&str>,
    ) -> Result<bool, StoreError> {
        persistently!(self.try_make_due(mapping, at, reason, key).await)
    }

    async fn try_make_due(
        &self,
        mapping: &str,
        at: Timestamp,
        reason: Cause,
        key: Option<&str>,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin("make a mapping due").await?;
        if let Some(key) = key {
            let sql = "INSERT INTO start_keys (start_key, sync, at) VALUES ($1, '', $2) ON CONFLICT DO NOTHING";
            if transaction.execute(sql, args![key, self.now()]).await? == 0 {
                return Ok(false);
            }
        }
        let sql = "UPDATE due SET reason = CASE WHEN next_due_at <= $2 THEN reason ELSE $3 END, \
             next_due_at = CASE WHEN next_due_at <= $2 THEN next_due_at ELSE $2 END, revision = revision + 1 \
             WHERE mapping = $1 AND enabled = 1";
        let is_due = transaction.execute(sql, args![mapping, at, reason.name()]).await? > 0;
        if is_due {
            transaction.commit().await?;
        }
        Ok(is_due)
    }

    /// Notes that a mapping that waits for others starts now, having seen these syncs of theirs: what they had made due
    /// is no longer. False: it was changed since `row` was read, perhaps by one that ended, and nothing is written.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn consume(&self, row: &DueRow, consumed: &str) -> Result<bool, StoreError> {
        let sql = "UPDATE due SET consumed = $3, next_due_at = NULL, waits = 0, revision = revision + 1 \
             WHERE mapping = $1 AND revision = $2";
        let args = args![&row.mapping, row.revision, consumed];
        Ok(self.write().await?.execute("note what a sync has seen", sql, args).await? > 0)
    }

    /// Lets those start that were due while a sync of theirs ran which has ended. Gives how many.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn end_waits(&self) -> Result<u64, StoreError> {
        let sql = format!(
            "UPDATE due SET waits = 0, revision = revision + 1 WHERE waits = 1 AND NOT EXISTS \
             (SELECT 1 FROM syncs WHERE syncs.mapping = due.mapping AND {})",
            busy(&self.lease_now())
        );
        self.write().await?.execute("let waiting mappings start", AssertSqlSafe(sql), args![]).await
    }

    /// When the mappings are due that wait for the end of this one.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn waiting_for(&self, awaited: &str) -> Result<Vec<DueRow>, StoreError> {
        let sql = "SELECT due.* FROM due_after JOIN due ON due.mapping = due_after.mapping \
             WHERE awaited = $1 AND enabled = 1 ORDER BY due.mapping";
        let rows = self.read().await?.rows("find who waits for a mapping", sql, args![awaited]).await?;
        rows.iter().map(due_row).collect()
    }
}

fn due_row(row: &Row) -> Result<DueRow, StoreError> {
    Ok(DueRow {
        mapping: row.text("mapping")?,
        model: row.text("model")?,
        schedule: row.text("schedule")?,
        enabled: row.flag("enabled")?,
        next_due_at: row.optional_time("next_due_at")?,
        last_due_at: row.optional_time("last_due_at")?,
        reason: variant(&CAUSES, "why a mapping is due", &row.text("reason")?)?,
        waits: row.flag("waits")?,
        consumed: row.text("consumed")?,
        revision: row.count("revision")?,
    })
}

#[cfg(test)]
mod tests;
