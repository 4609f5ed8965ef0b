//! What was cut off is taken up again: a sync whose worker has fallen silent goes on as another sync, unless nobody wants
//! it any more.

use store::{Cause, Enqueued, NewRun, ResourceKind, ResourceRef, RunRow, StoreError, Task};
use sync::Unobserved;

use crate::{Ask, Service, ServiceError, Wired, error::told};

/// Syncs that are taken over in one go.
const TAKEN_OVER_MAX: u32 = 50;
/// A mapping whose syncs are cut off again and again is left to its schedule, or to people: perhaps it is what ends the
/// processes.
const IN_A_ROW_MAX: u64 = 3;

impl Service {
    /// Takes over all syncs that were left behind.
    pub(crate) async fn take_over_all(&self) -> Result<(), StoreError> {
        for run in self.store().left_behind(TAKEN_OVER_MAX).await? {
            if let Err(error) = self.take_over(&run).await {
                tracing::warn!(sync = %run.sync.id, error = told(&error), "a sync that was cut off cannot be taken over yet");
            }
        }
        Ok(())
    }

    async fn take_over(&self, run: &RunRow) -> Result<(), ServiceError> {
        let mapping = &run.sync.mapping;
        let is_wanted = !run.cancel_requested && run.takeovers < IN_A_ROW_MAX;
        let wired = match self.wired(&[ResourceRef::new(ResourceKind::Mapping, mapping)], &[]).await {
            Ok(wired) if is_wanted && wired.switched_off(mapping).is_none() => wired,
            Err(ServiceError::Store(error)) => return Err(error.into()),
            // It is brought to its end, and nothing follows.
            Ok(_) | Err(_) => return Ok(self.engine().settle(mapping, &Unobserved).await?),
        };
        let taken_over = self.store().take_over(run.sync.id, &self.successor(run, &wired)).await?;
        if let Some(enqueued @ Enqueued::New(_)) = taken_over {
            tracing::info!(sync = %run.sync.id, mapping, "a sync was cut off; another goes on in its place");
            self.told_of_queue(&enqueued);
        }
        Ok(())
    }

    /// The sync that goes on where this one was cut off.
    pub(crate) fn successor(&self, run: &RunRow, wired: &Wired) -> NewRun {
        let (task, confirmed) = match &run.task {
            // The yes was for the changes that were held; what is left of them is for a guard to look at again.
            Task::Release => (Task::Sync, false),
            task => (task.clone(), run.confirmed),
        };
        let trigger = format!("takeover of {}", run.sync.id);
        let ask = Ask { by: run.requested_by.clone(), confirmed, key: None };
        let new = self.new_run(wired, &run.sync.mapping, task, Cause::Takeover, &trigger, ask);
        NewRun { due_at: run.due_at.unwrap_or(run.sync.started_at), ..new }
    }
}
