//! Plans: what syncs would do, worked out to be looked through, and kept for a while.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use records::{PlanId, WorkerId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Actor, Store, StoreError, SyncError,
    database::{Row, args, variant},
};

/// How far a plan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanState {
    /// It is being worked out.
    Running,
    Ready,
    Failed,
}

const STATES: [(PlanState, &str); 3] =
    [(PlanState::Running, "running"), (PlanState::Ready, "ready"), (PlanState::Failed, "failed")];

/// One plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanRow {
    pub id: PlanId,
    pub mapping: String,
    pub state: PlanState,
    /// Who works it out, or did: its file is there.
    pub worker: Option<WorkerId>,
    /// Counts, samples and requests, as the engine tells them.
    pub summary: Option<Value>,
    /// Where all of its changes are.
    pub file: Option<PathBuf>,
    pub error: Option<SyncError>,
    pub requested_by: Option<Actor>,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// When it is forgotten, or, while it is worked out, given up unless its worker says that it is at it.
    pub expires_at: Timestamp,
}

impl Store {
    /// Writes down a plan that is being worked out.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn begin_plan(
        &self,
        id: PlanId,
        mapping: &str,
        worker: WorkerId,
        requested_by: Option<&Actor>,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO plans (id, mapping, state, worker, requested_by, created_at, expires_at) \
             VALUES ($1, $2, 'running', $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING";
        let actor = requested_by.and_then(|actor| serde_json::to_string(actor).ok());
        let args = args![id.to_string(), mapping, worker.to_string(), actor, self.now(), expires_at];
        self.write().await?.execute("begin a plan", sql, args).await?;
        Ok(())
    }

    /// Writes down what a plan says.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn finish_plan(
        &self,
        id: PlanId,
        summary: &Value,
        file: &Path,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE plans SET state = 'ready', summary = $2, file = $3, finished_at = $4, expires_at = $5 \
             WHERE id = $1 AND state = 'running'";
        let file = file.to_string_lossy().into_owned();
        let args = args![id.to_string(), summary.to_string(), file, self.now(), expires_at];
        self.write().await?.execute("finish a plan", sql, args).await?;
        Ok(())
    }

    /// Writes down why a plan could not be worked out.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn fail_plan(&self, id: PlanId, error: &SyncError, expires_at: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE plans SET state = 'failed', error = $2, finished_at = $3, expires_at = $4 \
             WHERE id = $1 AND state = 'running'";
        let text = serde_json::to_string(error).unwrap_or_else(|_| "{}".to_owned());
        self.write().await?.execute("fail a plan", sql, args![id.to_string(), text, self.now(), expires_at]).await?;
        Ok(())
    }

    /// Says that a worker is still at its plans.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn renew_plans(&self, worker: WorkerId, expires_at: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE plans SET expires_at = $2 WHERE worker = $1 AND state = 'running'";
        self.write().await?.execute("renew plans", sql, args![worker.to_string(), expires_at]).await?;
        Ok(())
    }

    /// A plan.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn plan(&self, id: PlanId) -> Result<Option<PlanRow>, StoreError> {
        let sql = "SELECT * FROM plans WHERE id = $1";
        let row = self.read().await?.row("find a plan", sql, args![id.to_string()]).await?;
        row.as_ref().map(plan_row).transpose()
    }

    /// The plans of a mapping, newest first, from the one after `before` on.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn plans(&self, mapping: &str, before: Option<PlanId>, limit: u32) -> Result<Vec<PlanRow>, StoreError> {
        let sql = "SELECT * FROM plans WHERE mapping = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
        let before = before.map_or_else(|| "plan_g".to_owned(), |id| id.to_string());
        let rows = self.read().await?.rows("list plans", sql, args![mapping, before, limit]).await?;
        rows.iter().map(plan_row).collect()
    }

    /// Plans whose time is over, to be forgotten with their files.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn expired_plans(&self, now: Timestamp, limit: u32) -> Result<Vec<PlanRow>, StoreError> {
        let sql = "SELECT * FROM plans WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2";
        let rows = self.read().await?.rows("look for plans to forget", sql, args![now, limit]).await?;
        rows.iter().map(plan_row).collect()
    }

    /// Forgets a plan.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn forget_plan(&self, id: PlanId) -> Result<bool, StoreError> {
        let sql = "DELETE FROM plans WHERE id = $1";
        Ok(self.write().await?.execute("forget a plan", sql, args![id.to_string()]).await? > 0)
    }
}

fn plan_row(row: &Row) -> Result<PlanRow, StoreError> {
    Ok(PlanRow {
        id: row.parsed("id", "a plan's id")?,
        mapping: row.text("mapping")?,
        state: variant(&STATES, "a plan's state", &row.text("state")?)?,
        worker: row.optional_parsed("worker", "a worker's id")?,
        summary: row.optional_json("summary", "a plan")?,
        file: row.optional_text("file")?.map(PathBuf::from),
        error: row.optional_json("error", "a plan's error")?,
        requested_by: row.optional_json("requested_by", "who wanted a plan")?,
        created_at: row.time("created_at")?,
        finished_at: row.optional_time("finished_at")?,
        expires_at: row.time("expires_at")?,
    })
}

#[cfg(test)]
mod tests;
