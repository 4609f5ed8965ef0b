//! What was done, by day and destination. Each sync is counted once, when its end is noted.

use jiff::{
    Timestamp,
    civil::{Date, Time},
    tz::TimeZone,
};
use records::SyncId;
use serde::{Deserialize, Serialize};

use crate::{
    DueRow, RunRow, Store, StoreError, SyncState,
    database::{Row, args, persistently},
    runs::run_row,
};

/// What was done on one day (of UTC) for one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRow {
    pub day: Date,
    pub destination: String,
    /// Syncs that came to their end, however.
    pub syncs: u64,
    pub done: u64,
    pub partly: u64,
    pub failed: u64,
    /// Records that the destination took.
    pub delivered: u64,
    /// Records that it did not take, or may not have.
    pub undelivered: u64,
    /// Requests made, the repeated ones too.
    pub requests: u64,
}

impl Store {
    /// Syncs whose end was noted by nobody yet, in the order of their ends.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn unnoted_ends(&self, limit: u32) -> Result<Vec<RunRow>, StoreError> {
        let sql = "SELECT * FROM syncs WHERE finished_at IS NOT NULL AND noted = 0 ORDER BY finished_at LIMIT $1";
        let rows = self.read().await?.rows("look for syncs that ended", sql, args![limit]).await?;
        rows.iter().map(run_row).collect()
    }

    /// Notes the end of a sync: counts it, and makes these mappings due that waited for it, each since that moment.
    /// False: one of them was changed since it was read, so that it has to be looked at again, and nothing is noted.
    ///
    /// # Errors
    /// A statement fails; then nothing has changed.
    pub async fn note_end(&self, sync: SyncId, due: &[(DueRow, Timestamp)]) -> Result<bool, StoreError> {
        persistently!(self.try_note_end(sync, due).await)
    }

    async fn try_note_end(&self, sync: SyncId, due: &[(DueRow, Timestamp)]) -> Result<bool, StoreError> {
        let mut transaction = self.begin("note the end of a sync").await?;
        let sql = "UPDATE syncs SET noted = 1 WHERE id = $1 AND noted = 0 AND finished_at IS NOT NULL RETURNING *";
        let Some(row) = transaction.row(sql, args![sync.to_string()]).await? else { return Ok(true) };
        let run = run_row(&row)?;
        let counts = &run.sync.counts;
        let one_if = |state: SyncState| u64::from(run.sync.state == state);
        let sql = "INSERT INTO usage (day, destination, syncs, done, partly, failed, delivered, undelivered, requests) \
             VALUES ($1, $2, 1, $3, $4, $5, $6, $7, $8) ON CONFLICT (day, destination) DO UPDATE SET \
             syncs = usage.syncs + 1, done = usage.done + $3, partly = usage.partly + $4, \
             failed = usage.failed + $5, delivered = usage.delivered + $6, undelivered = usage.undelivered + $7, \
             requests = usage.requests + $8";
        let args = args![
            day_of(run.sync.finished_at.unwrap_or(run.sync.started_at)),
            &run.destination,
            one_if(SyncState::Done),
            one_if(SyncState::Partly),
            one_if(SyncState::Failed) + one_if(SyncState::Interrupted),
            counts.delivered,
            counts.rejected + counts.retry + counts.in_doubt,
            run.requests,
        ];
        transaction.execute(sql, args).await?;
        for (row, since) in due {
            let sql = "UPDATE due SET reason = 'after', revision = revision + 1, \
                 next_due_at = CASE WHEN next_due_at <= $3 THEN next_due_at ELSE $3 END \
                 WHERE mapping = $1 AND revision = $2";
            if transaction.execute(sql, args![&row.mapping, row.revision, *since]).await? == 0 {
                return Ok(false);
            }
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// What was done from one day to another, both included, by day and destination.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn usage(&self, from: Date, to: Date) -> Result<Vec<UsageRow>, StoreError> {
        let sql = "SELECT * FROM usage WHERE day >= $1 AND day <= $2 ORDER BY day, destination";
        let args = args![number_of(from), number_of(to)];
        let rows = self.read().await?.rows("tell what was done", sql, args).await?;
        rows.iter().map(usage_row).collect()
    }
}

/// Days since 1970.
fn day_of(time: Timestamp) -> i64 {
    time.as_second().div_euclid(86_400)
}

fn number_of(date: Date) -> i64 {
    TimeZone::UTC.to_timestamp(date.to_datetime(Time::midnight())).map_or(0, day_of)
}

fn usage_row(row: &Row) -> Result<UsageRow, StoreError> {
    let day = row.integer("day")?;
    let midnight = Timestamp::from_second(day.saturating_mul(86_400));
    let unreadable = |_| StoreError::Unreadable { what: "a day", value: day.to_string() };
    Ok(UsageRow {
        day: TimeZone::UTC.to_datetime(midnight.map_err(unreadable)?).date(),
        destination: row.text("destination")?,
        syncs: row.count("syncs")?,
        done: row.count("done")?,
        partly: row.count("partly")?,
        failed: row.count("failed")?,
        delivered: row.count("delivered")?,
        undelivered: row.count("undelivered")?,
        requests: row.count("requests")?,
    })
}

#[cfg(test)]
mod tests;
