//! The engine: what all operations share, and the order of a whole sync.

use std::{path::PathBuf, sync::Arc};

use changes::Steps;
use futures_util::future::join_all;
use records::{Clock, Random, SyncId};
use store::{MappingLock, NewSync, Store, SyncState};
use tokio_util::sync::CancellationToken;

use crate::{
    Mapping, News, Observer, Problem, Progress, Request, Settings, SyncReport,
    blocking::blocking,
    compare::{Extracted, Target},
    held::Reads,
    places, plan_file,
    progress::PhaseLog,
    request::groups,
    running::state_and_error,
};

/// Runs syncs of mappings. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub(crate) store: Store,
    pub(crate) settings: Arc<Settings>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) steps: Arc<dyn Steps>,
}

/// A sync that has begun: its row is in the store, its mapping is locked.
pub(crate) struct Begun {
    pub mapping: Arc<Mapping>,
    pub id: SyncId,
    pub folder: PathBuf,
    pub confirmed: bool,
    pub cancel: CancellationToken,
    pub phases: Arc<PhaseLog>,
    /// Given back when this is dropped.
    pub _lock: MappingLock,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Engine {
    pub fn new(
        store: Store,
        settings: Settings,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        steps: Arc<dyn Steps>,
    ) -> Self {
        Self { store, settings: Arc::new(settings), clock, random, steps }
    }

    /// The record-level history this engine writes.
    pub fn history(&self) -> store::History {
        store::History::new(places::history(&self.settings.folder))
    }

    /// Where a mapping's checkpoint is.
    pub fn checkpoint_folder(&self, mapping: &str) -> PathBuf {
        places::checkpoint(&self.settings.folder, mapping)
    }

    /// Runs these syncs: those of one model share an extract, models follow one another. One report each, in the
    /// order given.
    ///
    /// A sync from the queue whose mapping is being run already (`locked`) stays in the queue; one that cannot begin
    /// for another reason has failed.
    pub async fn sync(&self, requests: &[Request], observer: &dyn Observer) -> Vec<SyncReport> {
        let mut reports: Vec<Option<SyncReport>> = requests.iter().map(|_| None).collect();
        let together = |one: usize, other: usize| requests[one].shares_extract(&requests[other]);
        for group in groups(requests.len(), together) {
            let started = join_all(group.iter().map(|&index| self.start(&requests[index], observer))).await;
            let mut begun = Vec::new();
            for (index, result) in group.into_iter().zip(started) {
                match result {
                    Ok(one) => begun.push((index, one)),
                    Err(problem) => reports[index] = Some(self.not_begun(&requests[index], problem, observer).await),
                }
            }
            for (index, report) in self.run_group(requests, begun, observer).await {
                reports[index] = Some(report);
            }
        }
        let missing = |request: &Request| {
            let mut report = SyncReport::new(&request.mapping.name, None);
            report.stop(Problem::new("internal", "the sync has no report"));
            report
        };
        reports.into_iter().zip(requests).map(|(report, request)| report.unwrap_or_else(|| missing(request))).collect()
    }

    /// Extracts for all of these that have begun, and brings each to its end.
    async fn run_group(
        &self,
        requests: &[Request],
        begun: Vec<(usize, Begun)>,
        observer: &dyn Observer,
    ) -> Vec<(usize, SyncReport)> {
        let Some((first, one)) = begun.first() else { return Vec::new() };
        let extracted = match &requests[*first].options.plan {
            Some(path) => vec![self.take_plan(path.clone(), one).await],
            None => {
                let targets: Vec<Target> = begun.iter().map(|(_, one)| self.target(one)).collect();
                self.compare(&one.mapping.model.clone(), &targets, observer).await
            }
        };
        let ends = begun
            .into_iter()
            .zip(extracted)
            .map(|((index, one), extracted)| async move { (index, self.finish_sync(one, extracted, observer).await) });
        join_all(ends).await
    }

    /// Takes what a saved plan holds for a sync, if the mapping's checkpoint is still the one it was made against.
    async fn take_plan(&self, path: PathBuf, begun: &Begun) -> Result<Extracted, Problem> {
        let (name, folder) = (begun.mapping.name.clone(), begun.folder.clone());
        let checkpoint = self.checkpoint_folder(&name);
        let steps = self.steps.clone();
        let (guards, reads) = (begun.mapping.guards, Reads::of(&begun.mapping));
        blocking(move || plan_file::take(&path, &name, &folder, &checkpoint, steps, (&guards, &reads))).await?
    }

    pub(crate) fn target(&self, begun: &Begun) -> Target {
        Target {
            mapping: begun.mapping.clone(),
            sync: begun.id,
            shown: Some(begun.id),
            change_set: places::change_set(&begun.folder),
            scratch: places::scratch(&self.settings.folder, &begun.mapping.name),
            cancel: begun.cancel.clone(),
            phases: begun.phases.clone(),
        }
    }

    /// Locks a mapping, brings an earlier sync that was cut off to its end, and begins a new one.
    pub(crate) async fn start(&self, request: &Request, observer: &dyn Observer) -> Result<Begun, Problem> {
        if request.cancel.is_cancelled() {
            return Err(Problem::new("cancelled", "cancelled before it began"));
        }
        let lock = self.lock(&request.mapping.name, &request.options.trigger).await?;
        let id = self.id_of(request);
        self.recover(&request.mapping.name, Some((&request.mapping, id)), observer, &request.cancel).await?;
        self.begin(lock, id, request, observer).await
    }

    /// The id of a request's sync.
    pub(crate) fn id_of(&self, request: &Request) -> SyncId {
        request.id.unwrap_or_else(|| SyncId::new(self.clock.now(), self.random.as_ref()))
    }

    /// Begins a sync of a mapping that is locked and whose earlier syncs are at an end.
    pub(crate) async fn begin(
        &self,
        lock: MappingLock,
        id: SyncId,
        request: &Request,
        observer: &dyn Observer,
    ) -> Result<Begun, Problem> {
        let mapping = &request.mapping;
        let folder = places::sync(&self.settings.folder, &mapping.name, id);
        let made = folder.clone();
        blocking(move || std::fs::create_dir_all(made)).await??;
        let new = NewSync {
            id,
            mapping: mapping.name.clone(),
            trigger: request.options.trigger.clone(),
            change_set: Some(places::change_set(&folder)),
        };
        self.step("store: begin sync")?;
        if self.store.begin_sync(&new).await.map_err(|error| Problem::of_store(&error))?.is_none() {
            let message = format!("`{id}` does not wait in the queue any more: it was cancelled, or it has begun");
            return Err(Problem::new("not_queued", message));
        }
        self.step("store: sync begun")?;
        self.tell(observer, &mapping.name, Some(id), News::Started);
        Ok(Begun {
            mapping: mapping.clone(),
            id,
            folder,
            confirmed: request.options.confirmed,
            cancel: request.cancel.clone(),
            phases: Arc::default(),
            _lock: lock,
        })
    }

    /// The report of a sync that could not begin. One that waits in the queue ends there, unless it may begin later.
    pub(crate) async fn not_begun(&self, request: &Request, problem: Problem, observer: &dyn Observer) -> SyncReport {
        let mut report = SyncReport::new(&request.mapping.name, None);
        report.stop(problem);
        if let Some((id, problem)) = request.id.zip(report.problem.as_ref())
            && !matches!(problem.code.as_str(), "locked" | "not_queued")
        {
            report.sync = Some(id);
            if let Err(error) = self.end_queued(id, &report).await {
                tracing::warn!(error = error.message, "a queued sync that cannot begin cannot be ended either");
                report.sync = None;
            }
        }
        self.tell(observer, &request.mapping.name, report.sync, News::Finished { report: &report });
        report
    }

    async fn end_queued(&self, id: SyncId, report: &SyncReport) -> Result<(), Problem> {
        let of_store = |error: store::StoreError| Problem::of_store(&error);
        let row = self.store.sync(&id.to_string()).await.map_err(of_store)?;
        if let (SyncState::Queued, Some((state, error))) = (row.state, state_and_error(report)) {
            self.step("store: finish queued sync")?;
            self.store.finish(id, state, &report.counts, error.as_ref()).await.map_err(of_store)?;
        }
        Ok(())
    }

    pub(crate) async fn lock(&self, mapping: &str, owner: &str) -> Result<MappingLock, Problem> {
        let (folder, mapping, owner) = (places::locks(&self.settings.folder), mapping.to_owned(), owner.to_owned());
        let now = self.clock.now();
        let lock = blocking(move || {
            std::fs::create_dir_all(&folder).map_err(Problem::from)?;
            MappingLock::acquire(&folder, &mapping, &owner, now).map_err(|error| Problem::of_lock(&error))
        });
        lock.await?
    }

    /// Before and after each write of the store, as the files have it: here a simulation may end the process.
    pub(crate) fn step(&self, step: &'static str) -> Result<(), Problem> {
        self.steps.reach(step).map_err(Problem::from)
    }

    pub(crate) fn tell(&self, observer: &dyn Observer, mapping: &str, sync: Option<SyncId>, news: News<'_>) {
        observer.progress(Progress { mapping, sync, at: self.clock.now(), news });
    }
}
