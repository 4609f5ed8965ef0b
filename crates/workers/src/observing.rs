//! What a worker has in hand: which syncs, how far each is, and how each is stopped. It is the engine's observer.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use records::SyncId;
use store::{ProgressNote, RunRow, SyncState};
use sync::{News, Observer, PhaseTime, Progress};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Happening, RunProgress, Service};

/// Listeners hear of a sync's progress no more often.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// Why a sync was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Somebody wanted it.
    Asked,
    /// It is no longer this worker's.
    Lost,
    /// This process ends.
    Ending,
}

/// All that a worker has in hand.
pub(crate) struct Hand {
    service: Arc<Service>,
    runs: Mutex<BTreeMap<SyncId, InHand>>,
}

struct InHand {
    mapping: String,
    extract: SyncId,
    cancel: CancellationToken,
    stopped: Option<Stop>,
    progress: RunProgress,
    is_new: bool,
    told_at: Option<Instant>,
}

impl Hand {
    pub(crate) fn new(service: Arc<Service>) -> Self {
        Self { service, runs: Mutex::default() }
    }

    fn runs(&self) -> MutexGuard<'_, BTreeMap<SyncId, InHand>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take(&self, taken: &[RunRow]) {
        let mut runs = self.runs();
        for run in taken {
            let in_hand = InHand {
                mapping: run.sync.mapping.clone(),
                extract: run.extract.unwrap_or(run.sync.id),
                cancel: CancellationToken::new(),
                stopped: None,
                progress: RunProgress::default(),
                is_new: false,
                told_at: None,
            };
            runs.insert(run.sync.id, in_hand);
        }
    }

    /// What ends this sync.
    pub(crate) fn cancel_of(&self, id: SyncId) -> CancellationToken {
        self.runs().get(&id).map_or_else(CancellationToken::new, |run| run.cancel.clone())
    }

    pub(crate) fn stopped(&self, id: SyncId) -> Option<Stop> {
        self.runs().get(&id).and_then(|run| run.stopped)
    }

    pub(crate) fn put_down(&self, id: SyncId) {
        self.runs().remove(&id);
    }

    pub(crate) fn ids(&self) -> BTreeSet<SyncId> {
        self.runs().keys().copied().collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.runs().is_empty()
    }

    /// Extracts that go on, and those of them whose source is not done with.
    pub(crate) fn extracts(&self) -> (usize, usize) {
        let runs = self.runs();
        let all: BTreeSet<SyncId> = runs.values().map(|run| run.extract).collect();
        // Those that share an extract are done with their source together.
        let is_done =
            |extract: &&SyncId| runs.values().any(|run| run.extract == **extract && run.progress.is_extracted());
        (all.len(), all.len() - all.iter().filter(is_done).count())
    }

    /// Stops a sync, for the first reason there is.
    pub(crate) fn stop(&self, id: SyncId, why: Stop) {
        if let Some(run) = self.runs().get_mut(&id) {
            run.stopped.get_or_insert(why);
            run.cancel.cancel();
        }
    }

    pub(crate) fn stop_all(&self, why: Stop) {
        for id in self.ids() {
            self.stop(id, why);
        }
    }

    /// How far each sync is that has gone on since this was asked before.
    pub(crate) fn news(&self) -> Vec<ProgressNote> {
        let mut runs = self.runs();
        let new = |(id, run): (&SyncId, &mut InHand)| std::mem::take(&mut run.is_new).then(|| note(*id, &run.progress));
        runs.iter_mut().filter_map(new).collect()
    }

    /// How far a sync got.
    pub(crate) fn last_note(&self, id: SyncId) -> Option<ProgressNote> {
        self.runs().get(&id).map(|run| note(id, &run.progress))
    }
}

fn note(sync: SyncId, progress: &RunProgress) -> ProgressNote {
    ProgressNote {
        sync,
        progress: serde_json::to_value(progress).unwrap_or_default(),
        phases: serde_json::to_value(&progress.phases).unwrap_or_default(),
        requests: progress.requests,
    }
}

impl Observer for Hand {
    fn progress(&self, told: Progress<'_>) {
        if let News::Recovered { sync, .. } = told.news {
            self.service.tell(told.mapping, Happening::Sync { sync, state: SyncState::Interrupted });
        }
        let Some(id) = told.sync else { return };
        let mut runs = self.runs();
        let Some(run) = runs.get_mut(&id) else { return };
        let progress = &mut run.progress;
        let mut has_new_state = false;
        match told.news {
            News::Started => has_new_state = true,
            News::Collecting { job, jobs } => progress.collecting = Some((job, jobs)),
            News::Recovered { .. } => progress.collecting = None,
            News::Phase(phase) => {
                if let Some(last) = progress.phases.last_mut() {
                    last.ended_at.get_or_insert(told.at);
                }
                progress.phases.push(PhaseTime { phase, began_at: told.at, ended_at: None });
                progress.phase = Some(phase);
                has_new_state = true;
            }
            News::Extracting { records } => progress.records = records,
            News::Compared { counts } => {
                progress.records = counts.extracted;
                progress.counts = Some(counts);
            }
            News::Loading { done, total, failed, requests } => {
                (progress.done, progress.total, progress.failed, progress.requests) = (done, total, failed, requests);
            }
            // What it ended as is told when it is written down.
            News::Held { .. } | News::Finished { .. } => {}
        }
        run.is_new = true;
        let (mapping, progress) = (run.mapping.clone(), run.progress.clone());
        let is_time = run.told_at.is_none_or(|at| at.elapsed() >= TELL_EVERY);
        if is_time || has_new_state {
            run.told_at = Some(Instant::now());
        }
        drop(runs);
        if has_new_state {
            self.service.tell(&mapping, Happening::Sync { sync: id, state: progress.state() });
            if progress.is_extracted() {
                // The source may bear another extract now, and so may this process.
                self.service.queued.notify_one();
            }
        }
        if (is_time || has_new_state) && self.service.has_listeners() {
            self.service.tell(&mapping, Happening::Progress { sync: id, progress });
        }
    }
}
