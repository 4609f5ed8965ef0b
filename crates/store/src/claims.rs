//! Claims: which process may run a mapping when several might, and what only its holder may write: parts of journals,
//! and where the checkpoint is.

use std::time::Duration;

use records::{SyncId, WorkerId};
use sqlx::AssertSqlSafe;

use crate::{
    Store, StoreError,
    database::{args, to_micros},
};

/// The right to run a mapping, until it is given back or its lease ends and somebody else takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub mapping: String,
    pub worker: WorkerId,
    /// Grows with each claim of the mapping. What an older one writes is refused.
    pub token: u64,
}

impl Store {
    /// Takes a mapping for a worker, if nobody holds it or its holder's lease has ended. Whoever holds it is refused
    /// too: two tasks of one process must not run one mapping either.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn claim(&self, mapping: &str, worker: WorkerId, lease: Duration) -> Result<Option<Claim>, StoreError> {
        // A statement that is run again after a lost connection knows its own claim by this number.
        let attempt = self.next_attempt();
        let now = self.lease_now();
        let sql = format!(
            "INSERT INTO claims (mapping, worker, attempt, token, until) VALUES ($1, $2, $3, 1, {now} + $4) \
             ON CONFLICT (mapping) DO UPDATE SET worker = excluded.worker, attempt = excluded.attempt, \
             token = CASE WHEN claims.worker = excluded.worker AND claims.attempt = excluded.attempt \
             THEN claims.token ELSE claims.token + 1 END, until = excluded.until \
             WHERE claims.until <= {now} OR (claims.worker = excluded.worker AND claims.attempt = excluded.attempt) \
             RETURNING token"
        );
        let args = args![mapping, worker.to_string(), attempt, micros(lease)];
        let row = self.write().await?.row("claim a mapping", AssertSqlSafe(sql), args).await?;
        let claim = |token| Claim { mapping: mapping.to_owned(), worker, token };
        row.map(|row| row.count("token").map(claim)).transpose()
    }

    /// Puts off the end of all of a worker's leases, and gives the mappings it holds still.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn renew_claims(&self, worker: WorkerId, lease: Duration) -> Result<Vec<String>, StoreError> {
        let now = self.lease_now();
        let sql = format!("UPDATE claims SET until = {now} + $1 WHERE worker = $2 RETURNING mapping");
        let args = args![micros(lease), worker.to_string()];
        let rows = self.write().await?.rows("renew claims", AssertSqlSafe(sql), args).await?;
        rows.iter().map(|row| row.text("mapping")).collect()
    }

    /// Gives a mapping back. Nothing happens if somebody else has taken it since.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn release_claim(&self, claim: &Claim) -> Result<(), StoreError> {
        let sql = "UPDATE claims SET worker = NULL, until = 0 WHERE mapping = $1 AND worker = $2 AND token = $3";
        let args = args![&claim.mapping, claim.worker.to_string(), claim.token];
        self.write().await?.execute("give a mapping back", sql, args).await?;
        Ok(())
    }

    /// Who holds a mapping now.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn holder(&self, mapping: &str) -> Result<Option<Claim>, StoreError> {
        let now = self.lease_now();
        let sql =
            format!("SELECT worker, token FROM claims WHERE mapping = $1 AND until > {now} AND worker IS NOT NULL");
        let row = self.read().await?.row("find a claim", AssertSqlSafe(sql), args![mapping]).await?;
        let claim = |row: crate::database::Row| {
            let worker = row.parsed("worker", "a worker's id")?;
            Ok(Claim { mapping: mapping.to_owned(), worker, token: row.count("token")? })
        };
        row.map(claim).transpose()
    }

    /// Appends to a sync's journal: part `seq`, counted from 0. False, and nothing is written, if somebody else has
    /// taken the mapping. The same part again comes to the same.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn append_journal(
        &self,
        claim: &Claim,
        sync: SyncId,
        seq: u64,
        bytes: &[u8],
    ) -> Result<bool, StoreError> {
        let sql = format!(
            "INSERT INTO journal_parts (sync, seq, token, bytes) SELECT $4, $5, token, $6 FROM {} \
             WHERE TRUE ON CONFLICT (sync, seq) DO UPDATE SET bytes = excluded.bytes \
             WHERE journal_parts.token = excluded.token",
            self.held()
        );
        let args = args![&claim.mapping, claim.worker.to_string(), claim.token, sync.to_string(), seq, bytes,];
        Ok(self.write().await?.execute("append to a journal", AssertSqlSafe(sql), args).await? > 0)
    }

    /// The parts of a sync's journal, in order, up to the first that is missing.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn journal(&self, sync: SyncId) -> Result<Vec<Vec<u8>>, StoreError> {
        let sql = "SELECT seq, bytes FROM journal_parts WHERE sync = $1 ORDER BY seq";
        let rows = self.read().await?.rows("read a journal", sql, args![sync.to_string()]).await?;
        let mut parts = Vec::with_capacity(rows.len());
        for row in rows {
            if row.count("seq")? != parts.len() as u64 {
                break;
            }
            parts.push(row.bytes("bytes")?);
        }
        Ok(parts)
    }

    /// Forgets a sync's journal.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn forget_journal(&self, sync: SyncId) -> Result<(), StoreError> {
        let sql = "DELETE FROM journal_parts WHERE sync = $1";
        self.write().await?.execute("forget a journal", sql, args![sync.to_string()]).await?;
        Ok(())
    }

    /// Says where the newest checkpoint of the claimed mapping is. False, and nothing changes, if somebody else has
    /// taken the mapping.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn set_checkpoint_pointer(&self, claim: &Claim, key: &str) -> Result<bool, StoreError> {
        let sql = format!(
            "INSERT INTO checkpoint_pointers (mapping, object_key, token, updated_at) SELECT $1, $4, token, $5 FROM {} \
             WHERE TRUE ON CONFLICT (mapping) DO UPDATE SET object_key = excluded.object_key, \
             token = excluded.token, updated_at = excluded.updated_at",
            self.held()
        );
        let args = args![&claim.mapping, claim.worker.to_string(), claim.token, key, self.now()];
        Ok(self.write().await?.execute("say where a checkpoint is", AssertSqlSafe(sql), args).await? > 0)
    }

    /// Where the newest checkpoint of a mapping is, if several machines share it.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn checkpoint_pointer(&self, mapping: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT object_key FROM checkpoint_pointers WHERE mapping = $1";
        let row = self.read().await?.row("find a checkpoint", sql, args![mapping]).await?;
        row.map(|row| row.text("object_key")).transpose()
    }

    /// The claim of `$1` by `$2` under the token `$3`, held fast until the end of the statement: whoever would take the
    /// mapping waits for what is being written, and then sees it.
    fn held(&self) -> String {
        let lock = if self.is_shared() { " FOR SHARE" } else { "" };
        format!("(SELECT token FROM claims WHERE mapping = $1 AND worker = $2 AND token = $3{lock}) AS held")
    }

    /// The moment that leases are measured with, as SQL. Machines whose clocks differ ask the database for its own; in
    /// SQLite there is one process only.
    pub(crate) fn lease_now(&self) -> String {
        if self.is_shared() {
            "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)".to_owned()
        } else {
            to_micros(self.now()).to_string()
        }
    }
}

/// A lease's length as the database counts it.
pub(crate) fn micros(lease: Duration) -> i64 {
    // Half of what there is, so that no sum with a time overflows.
    i64::try_from(lease.as_micros()).unwrap_or(i64::MAX).min(i64::MAX / 2)
}

#[cfg(test)]
mod tests;
