//! The worker: it takes from the queue what this process can run, says that it is at it, and hears who is to stop.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use records::SyncId;
use store::StoreError;
use tokio::{
    sync::Mutex,
    task::{Id, JoinError, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Service,
    error::told,
    observing::{Hand, Stop},
    retention::{self, RetentionSettings},
    running::run_together,
};

/// Where another process may have put something into the queue, and where none can.
const LOOK_AGAIN_SHARED: Duration = Duration::from_secs(1);
const LOOK_AGAIN_ALONE: Duration = Duration::from_secs(5);
/// How often progress is written down.
const NOTE_EVERY: Duration = Duration::from_secs(1);
/// A sync that cannot begin because its mapping is locked is taken again after this.
pub(crate) const LOCKED_PAUSE: Duration = Duration::from_secs(3);
/// Nobody else can take what the only process has.
const LEASE_ALONE: Duration = Duration::from_secs(100 * 365 * 86_400);

/// How much a worker does at once, and how it says that it is at it.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// Extracts whose records are being read or sent.
    pub groups_max: usize,
    /// Extracts that are being read: each may use its share of the memory for comparing.
    pub extracts_max: usize,
    /// Mappings that share one extract.
    pub share_max: u32,
    /// How long others wait for a sign of life before they take over.
    pub lease: Duration,
    /// How often it gives one.
    pub heartbeat: Duration,
    /// How often it looks for what others left behind.
    pub sweep: Duration,
    /// How long it lets syncs go on after it was told to end.
    pub grace: Duration,
    pub retention: RetentionSettings,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            groups_max: 32,
            extracts_max: 4,
            share_max: 50,
            lease: Duration::from_secs(60),
            heartbeat: Duration::from_secs(10),
            sweep: Duration::from_secs(10),
            grace: Duration::from_secs(25),
            retention: RetentionSettings::default(),
        }
    }
}

/// Runs what waits in the queue.
pub struct Worker {
    service: Arc<Service>,
    settings: WorkerSettings,
    hand: Arc<Hand>,
    /// Held while syncs are taken or renewed: what the store says this worker has is then what it has in hand.
    taking: Mutex<()>,
}

/// What a worker does beside running syncs.
#[derive(Debug, Clone, Copy)]
enum Chore {
    Beat,
    NoteProgress,
    Sweep,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Worker {
    /// There is one worker for each service: in the store, both have one name.
    pub fn new(service: Arc<Service>, settings: WorkerSettings) -> Self {
        let hand = Arc::new(Hand::new(Arc::clone(&service)));
        Self { service, settings, hand, taking: Mutex::default() }
    }

    /// Goes on until it is stopped. Then it takes nothing more, lets what it has in hand go on for a while, ends what is
    /// left so that another goes on with it, and is done.
    pub async fn run(self, stop: CancellationToken) {
        if !self.service.store().is_shared() {
            self.begin_alone(&stop).await;
        }
        let done = CancellationToken::new();
        let all_done = done.clone();
        tokio::join!(
            async {
                self.work(&stop).await;
                all_done.cancel();
            },
            self.keep_at(Chore::Beat, self.settings.heartbeat, &done),
            self.keep_at(Chore::NoteProgress, NOTE_EVERY, &done),
            self.keep_at(Chore::Sweep, self.settings.sweep, &stop),
            retention::run(&self.service, &self.settings.retention, &stop),
        );
    }

    /// Whatever the store says is being run, the process that ran it has ended.
    async fn begin_alone(&self, stop: &CancellationToken) {
        while let Err(error) = self.service.store().void_leases().await {
            tracing::warn!(error = told(&error), "the worker cannot begin; it tries again");
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOCKED_PAUSE) => {}
            }
        }
    }

    /// Does one thing again and again until it is stopped.
    async fn keep_at(&self, chore: Chore, period: Duration, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(period) => {}
            }
            let done = match chore {
                Chore::Beat => self.beat().await,
                Chore::NoteProgress => self.note_progress().await,
                Chore::Sweep => self.sweep().await,
            };
            if let Err(error) = done {
                tracing::warn!(error = told(&error), "the worker could not do a part of its work; it tries again");
            }
        }
    }

    async fn work(&self, stop: &CancellationToken) {
        let mut groups = JoinSet::new();
        let mut of_group = BTreeMap::new();
        let look_again = if self.service.store().is_shared() { LOOK_AGAIN_SHARED } else { LOOK_AGAIN_ALONE };
        while !stop.is_cancelled() {
            while self.has_room() && !stop.is_cancelled() {
                match self.take(&mut groups, &mut of_group).await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        tracing::warn!(error = told(&error), "nothing can be taken from the queue; trying again");
                        break;
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.service.queued.notified() => {
                    // Perhaps somebody wants one of these to end.
                    if let Err(error) = self.beat().await {
                        tracing::warn!(error = told(&error), "the worker cannot renew its leases");
                    }
                }
                Some(ended) = groups.join_next_with_id() => self.after(ended, &mut of_group).await,
                () = tokio::time::sleep(look_again) => {}
            }
        }
        self.drain(groups, of_group).await;
    }

    async fn drain(&self, mut groups: JoinSet<()>, mut of_group: BTreeMap<Id, Vec<SyncId>>) {
        let grace = tokio::time::sleep(self.settings.grace);
        tokio::pin!(grace);
        let mut is_over = false;
        while !groups.is_empty() {
            tokio::select! {
                Some(ended) = groups.join_next_with_id() => self.after(ended, &mut of_group).await,
                () = &mut grace, if !is_over => {
                    is_over = true;
                    self.hand.stop_all(Stop::Ending);
                }
            }
        }
    }

    fn has_room(&self) -> bool {
        let (groups, extracting) = self.hand.extracts();
        groups < self.settings.groups_max && extracting < self.settings.extracts_max
    }

    fn lease(&self) -> Duration {
        if self.service.store().is_shared() { self.settings.lease } else { LEASE_ALONE }
    }

    /// Takes what is next and begins with it. False: there is nothing.
    async fn take(
        &self,
        groups: &mut JoinSet<()>,
        of_group: &mut BTreeMap<Id, Vec<SyncId>>,
    ) -> Result<bool, StoreError> {
        let taken = {
            let _taking = self.taking.lock().await;
            let taken =
                self.service.store().take_next(self.service.worker(), self.lease(), self.settings.share_max).await?;
            self.hand.take(&taken);
            taken
        };
        if taken.is_empty() {
            return Ok(false);
        }
        let ids = taken.iter().map(|run| run.sync.id).collect();
        let group = groups.spawn(run_together(Arc::clone(&self.service), Arc::clone(&self.hand), taken));
        of_group.insert(group.id(), ids);
        Ok(true)
    }

    /// A group has ended. If it did so in disorder, its syncs are given back as they are, and others go on with them.
    async fn after(&self, ended: Result<(Id, ()), JoinError>, of_group: &mut BTreeMap<Id, Vec<SyncId>>) {
        let (id, error) = match ended {
            Ok((id, ())) => (id, None),
            Err(error) => (error.id(), Some(error)),
        };
        let ids = of_group.remove(&id).unwrap_or_default();
        let Some(error) = error else { return };
        tracing::error!(error = told(&error), "a sync ended in disorder; this is a fault of Outflow, please report it");
        for id in ids {
            let given_back = self.service.store().give_back(id, self.service.worker(), LOCKED_PAUSE, None).await;
            if let Err(error) = given_back {
                tracing::warn!(sync = %id, error = told(&error), "a sync cannot be given back; its lease will end");
            }
            self.hand.put_down(id);
        }
    }

    /// Says that this worker is at what it has, and hears what it has no more and what is to end.
    async fn beat(&self) -> Result<(), StoreError> {
        let _taking = self.taking.lock().await;
        if self.hand.is_empty() && !self.service.store().is_shared() {
            return Ok(());
        }
        let begun = Instant::now();
        let store = self.service.store();
        let renewing = store.renew_runs(self.service.worker(), self.lease());
        // In time before others may take over, nothing more is sent.
        let bound = self.settings.lease.saturating_sub(self.settings.heartbeat * 2).max(self.settings.heartbeat);
        let renewed = match tokio::time::timeout(bound, renewing).await {
            Ok(renewed) => renewed,
            Err(_) => {
                tracing::error!(
                    seconds = begun.elapsed().as_secs(),
                    "the control store does not answer; the syncs of this worker are stopped, for others may take over"
                );
                self.hand.stop_all(Stop::Lost);
                return Ok(());
            }
        }?;
        let mut lost = self.hand.ids();
        for one in renewed {
            if !lost.remove(&one.id) {
                // It was taken by a statement whose answer was lost.
                store.give_back(one.id, self.service.worker(), Duration::ZERO, None).await?;
            } else if one.cancel_requested {
                self.hand.stop(one.id, Stop::Asked);
            }
        }
        // What has just ended is among these: to stop it does nothing.
        for id in lost {
            self.hand.stop(id, Stop::Lost);
        }
        Ok(())
    }

    async fn note_progress(&self) -> Result<(), StoreError> {
        let news = self.hand.news();
        if news.is_empty() {
            return Ok(());
        }
        self.service.store().note_progress(self.service.worker(), &news).await
    }

    async fn sweep(&self) -> Result<(), StoreError> {
        self.service.note_ends().await?;
        self.service.take_over_all().await?;
        self.service.sweep_plans().await
    }
}
