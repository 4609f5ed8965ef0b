//! What becomes of syncs whose worker has fallen silent: another goes on in their place.

use records::SyncId;
use sqlx::AssertSqlSafe;

use super::{Enqueued, NewRun};
use crate::{
    RunRow, Store, StoreError,
    database::{args, persistently},
    runs::run_row,
};

impl Store {
    /// Syncs that have begun, whose worker is done with them or has fallen silent, and in whose place no other goes on
    /// yet; the oldest first.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn left_behind(&self, limit: u32) -> Result<Vec<RunRow>, StoreError> {
        let sql = format!("SELECT * FROM syncs WHERE {} ORDER BY id LIMIT $1", left_behind(&self.lease_now()));
        let rows = self.read().await?.rows("look for syncs left behind", AssertSqlSafe(sql), args![limit]).await?;
        rows.iter().map(run_row).collect()
    }

    /// Puts a sync into the queue in place of one that was left behind. None: somebody else has, or it has ended.
    /// If one of the mapping waits already, that one goes on.
    ///
    /// # Errors
    /// A statement fails.
    pub async fn take_over(&self, left: SyncId, new: &NewRun) -> Result<Option<Enqueued>, StoreError> {
        persistently!(self.try_take_over(left, new).await)
    }

    async fn try_take_over(&self, left: SyncId, new: &NewRun) -> Result<Option<Enqueued>, StoreError> {
        let mut transaction = self.begin("take a sync over").await?;
        let sql = format!(
            "SELECT takeovers FROM syncs WHERE id = $1 AND {}{}",
            left_behind(&self.lease_now()),
            transaction.for_update()
        );
        let Some(row) = transaction.row(AssertSqlSafe(sql), args![left.to_string()]).await? else { return Ok(None) };
        let takeovers = row.count("takeovers")? + 1;
        let mark = "UPDATE syncs SET successor = $2 WHERE id = $1";
        // Its successor is named first: then it is in nobody's way.
        transaction.execute(mark, args![left.to_string(), new.id.to_string()]).await?;
        self.note_source(&mut transaction, &new.source, new.extracts_max).await?;
        let mut enqueued = self.insert_run(&mut transaction, new).await?;
        match &mut enqueued {
            Enqueued::New(run) => {
                let sql = "UPDATE syncs SET takeovers = $2 WHERE id = $1";
                transaction.execute(sql, args![run.sync.id.to_string(), takeovers]).await?;
                run.takeovers = takeovers;
            }
            Enqueued::Same(run) | Enqueued::Busy(run) => {
                transaction.execute(mark, args![left.to_string(), run.sync.id.to_string()]).await?;
            }
        }
        transaction.commit().await?;
        Ok(Some(enqueued))
    }

    /// Says that whoever had syncs or mappings has them no more: the process that opens an SQLite store is the only one.
    ///
    /// # Errors
    /// A statement fails.
    pub async fn void_leases(&self) -> Result<(), StoreError> {
        let mut transaction = self.begin("void the leases of a process that ended").await?;
        let queued = "UPDATE syncs SET worker = NULL, taken_until = NULL, extract = NULL \
             WHERE finished_at IS NULL AND worker IS NOT NULL AND state = 'queued'";
        transaction.execute(queued, args![]).await?;
        let begun = "UPDATE syncs SET taken_until = 0 \
             WHERE finished_at IS NULL AND worker IS NOT NULL AND state <> 'queued'";
        transaction.execute(begun, args![]).await?;
        transaction.execute("UPDATE claims SET worker = NULL, until = 0 WHERE worker IS NOT NULL", args![]).await?;
        transaction.commit().await
    }
}

fn left_behind(now: &str) -> String {
    format!(
        "finished_at IS NULL AND worker IS NOT NULL AND successor IS NULL AND taken_until <= {now} \
         AND state IN ('extracting', 'comparing', 'loading', 'committing')"
    )
}
