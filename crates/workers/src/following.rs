//! What other processes do, told as it happens: where several share a store, it is read from there.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use records::SyncId;
use store::{RunFilter, RunRow, StoreError, SyncState};
use tokio_util::sync::CancellationToken;

use crate::{Happening, RunProgress, Service, error::told};

const EVERY: Duration = Duration::from_secs(1);
/// Open syncs that are followed at once.
const FOLLOWED_MAX: u32 = 500;
const OPEN: [SyncState; 6] = [
    SyncState::Queued,
    SyncState::Extracting,
    SyncState::Comparing,
    SyncState::Loading,
    SyncState::Committing,
    SyncState::Held,
];

impl Service {
    /// Tells listeners what other processes do, until it is stopped. Nothing is read while nobody listens.
    pub async fn follow_others(self: Arc<Self>, stop: CancellationToken) {
        let mut known = BTreeMap::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            if !self.store().is_shared() || !self.has_listeners() {
                known.clear();
                continue;
            }
            if let Err(error) = self.look_at_others(&mut known).await {
                tracing::warn!(error = told(&error), "what other processes do cannot be read; trying again");
            }
        }
    }

    async fn look_at_others(&self, known: &mut BTreeMap<SyncId, RunRow>) -> Result<(), StoreError> {
        let filter = RunFilter { states: OPEN.to_vec(), ..RunFilter::default() };
        let is_other = |run: &RunRow| run.worker.is_some_and(|worker| worker != self.worker());
        let open = self.store().runs(&filter, None, FOLLOWED_MAX).await?;
        let now: BTreeMap<SyncId, RunRow> = open.into_iter().filter(is_other).map(|run| (run.sync.id, run)).collect();
        for (id, before) in known.iter() {
            if !now.contains_key(id) {
                let run = self.store().run(*id).await?;
                self.tell(&before.sync.mapping, Happening::Sync { sync: *id, state: run.sync.state });
            }
        }
        for (id, run) in &now {
            let before = known.get(id);
            if before.map(|before| before.sync.state) != Some(run.sync.state) {
                self.tell(&run.sync.mapping, Happening::Sync { sync: *id, state: run.sync.state });
            }
            if before.map(|before| &before.progress) != Some(&run.progress)
                && let Some(progress) = run.progress.clone()
                && let Ok(progress) = serde_json::from_value::<RunProgress>(progress)
            {
                self.tell(&run.sync.mapping, Happening::Progress { sync: *id, progress });
            }
        }
        *known = now;
        Ok(())
    }
}
