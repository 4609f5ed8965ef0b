//! The engine: what all operations share, and the order of a whole sync.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use changes::{Bits, ChangeSet, Checkpoint, Steps};
use futures_util::future::join_all;
use records::{Clock, Counts, Random, SyncId};
use store::{HeldReason, MappingLock, NewSync, Store, SyncError, SyncState};
use tokio_util::sync::CancellationToken;

use crate::{
    Ending, Held, Mapping, Observer, Problem, Progress, Settings, SyncReport,
    compare::{Comparing, Extracted, Target},
    plan_file,
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

/// How a sync is to run.
#[derive(Debug, Clone, Default)]
pub struct SyncOptions {
    /// A person said yes: guards do not hold.
    pub confirmed: bool,
    /// Send what this saved plan holds instead of extracting.
    pub plan: Option<PathBuf>,
    /// Who or what started it: `command line`, `schedule`.
    pub trigger: String,
}

/// Where an engine's files are.
pub(crate) mod places {
    use super::{Path, PathBuf, SyncId};

    pub(crate) fn mapping(folder: &Path, mapping: &str) -> PathBuf {
        folder.join("mappings").join(store::file_name(mapping))
    }

    pub(crate) fn checkpoint(folder: &Path, name: &str) -> PathBuf {
        mapping(folder, name).join("checkpoint")
    }

    pub(crate) fn syncs(folder: &Path, name: &str) -> PathBuf {
        mapping(folder, name).join("syncs")
    }

    pub(crate) fn sync(folder: &Path, name: &str, sync: SyncId) -> PathBuf {
        syncs(folder, name).join(sync.to_string())
    }

    pub(crate) fn change_set(sync_folder: &Path) -> PathBuf {
        sync_folder.join("changes.arrow")
    }

    pub(crate) fn journal(sync_folder: &Path) -> PathBuf {
        sync_folder.join("journal")
    }

    pub(crate) fn jobs(sync_folder: &Path) -> PathBuf {
        sync_folder.join("jobs")
    }

    pub(crate) fn history(folder: &Path) -> PathBuf {
        folder.join("history")
    }

    pub(crate) fn locks(folder: &Path) -> PathBuf {
        folder.join("locks")
    }

    /// The scratch folder of a mapping's syncs. Whoever holds its lock may empty it.
    pub(crate) fn scratch(folder: &Path, name: &str) -> PathBuf {
        folder.join("scratch").join("syncs").join(store::file_name(name))
    }

    pub(crate) fn plan_scratch(folder: &Path, plan: SyncId) -> PathBuf {
        folder.join("scratch").join("plans").join(plan.to_string())
    }
}

/// Runs work that may block on a thread for it. In a simulation it stops the clock while it runs.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    begin_blocking(work).await
}

/// As [`blocking`], but the work begins at once, not when it is waited for.
pub(crate) fn begin_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = Result<T, Problem>> {
    let begun = tokio::task::spawn_blocking(work);
    async move {
        let error = match begun.await {
            Ok(result) => return Ok(result),
            Err(error) => error,
        };
        let message = match error.try_into_panic() {
            Ok(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panicked").to_owned()
            }
            Err(_) => "the program is ending".to_owned(),
        };
        Err(Problem::new("internal", message).with_hint("this is a fault of Outflow; please report it"))
    }
}

/// A sync that has begun: its row is in the store, its mapping is locked.
pub(crate) struct Begun {
    pub mapping: Arc<Mapping>,
    pub id: SyncId,
    pub folder: PathBuf,
    /// Given back when this is dropped.
    pub _lock: MappingLock,
}

/// Why a sync did not get to its end.
struct Stopped {
    problem: Problem,
    /// The load had begun and the commit is not through.
    stays_open: bool,
}

impl Stopped {
    fn open(problem: Problem) -> Self {
        Self { problem, stays_open: true }
    }
}

impl From<Problem> for Stopped {
    fn from(problem: Problem) -> Self {
        Self { problem, stays_open: false }
    }
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

    /// Runs these mappings: those of one model share an extract, models follow one another. One report each, in the
    /// order given.
    pub async fn sync(
        &self,
        mappings: &[Arc<Mapping>],
        options: &SyncOptions,
        observer: &dyn Observer,
        cancel: &CancellationToken,
    ) -> Vec<SyncReport> {
        let mut reports: Vec<Option<SyncReport>> = mappings.iter().map(|_| None).collect();
        if let Some(path) = &options.plan {
            self.sync_plan(mappings, path, options, observer, cancel, &mut reports).await;
        } else {
            for group in groups(mappings) {
                let results =
                    join_all(group.iter().map(|&index| self.start(&mappings[index], options, observer, cancel))).await;
                let mut begun = Vec::new();
                for (&index, result) in group.iter().zip(results) {
                    match result {
                        Ok(one) => begun.push((index, one)),
                        Err(problem) => reports[index] = Some(not_begun(&mappings[index].name, problem)),
                    }
                }
                self.run_group(begun, options, observer, cancel, &mut reports).await;
            }
        }
        for (report, mapping) in reports.iter().zip(mappings) {
            if let Some(report) = report {
                observer.progress(Progress::Finished { mapping: &mapping.name, report });
            }
        }
        let missing = |mapping: &Mapping| not_begun(&mapping.name, Problem::new("internal", "the sync has no report"));
        reports.into_iter().zip(mappings).map(|(report, mapping)| report.unwrap_or_else(|| missing(mapping))).collect()
    }

    async fn run_group(
        &self,
        begun: Vec<(usize, Begun)>,
        options: &SyncOptions,
        observer: &dyn Observer,
        cancel: &CancellationToken,
        reports: &mut [Option<SyncReport>],
    ) {
        let Some(model) = begun.first().map(|(_, one)| one.mapping.model.clone()) else { return };
        let targets: Vec<Target> = begun.iter().map(|(_, one)| self.target(&one.mapping, one.id)).collect();
        let extracted = self.compare(&model, &targets, observer, cancel).await;
        let loads = begun.into_iter().zip(extracted).map(|((index, one), extracted)| async move {
            (index, self.finish_sync(one, extracted, options.confirmed, observer, cancel).await)
        });
        for (index, report) in join_all(loads).await {
            reports[index] = Some(report);
        }
    }

    /// Sends what a saved plan holds, mapping by mapping, if each checkpoint is still the one it was made against.
    async fn sync_plan(
        &self,
        mappings: &[Arc<Mapping>],
        path: &Path,
        options: &SyncOptions,
        observer: &dyn Observer,
        cancel: &CancellationToken,
        reports: &mut [Option<SyncReport>],
    ) {
        for (index, mapping) in mappings.iter().enumerate() {
            let report = match self.start(mapping, options, observer, cancel).await {
                Err(problem) => not_begun(&mapping.name, problem),
                Ok(one) => {
                    let extracted = self.take_plan(path, &one).await;
                    self.finish_sync(one, extracted, options.confirmed, observer, cancel).await
                }
            };
            reports[index] = Some(report);
        }
    }

    async fn take_plan(&self, path: &Path, begun: &Begun) -> Result<Extracted, Problem> {
        let (path, name, folder) = (path.to_owned(), begun.mapping.name.clone(), begun.folder.clone());
        let checkpoint = self.checkpoint_folder(&name);
        let steps = self.steps.clone();
        let guards = begun.mapping.guards;
        blocking(move || plan_file::take(&path, &name, &folder, &checkpoint, steps, &guards)).await?
    }

    pub(crate) fn target(&self, mapping: &Arc<Mapping>, sync: SyncId) -> Target {
        let folder = places::sync(&self.settings.folder, &mapping.name, sync);
        Target {
            mapping: mapping.clone(),
            sync,
            change_set: places::change_set(&folder),
            scratch: places::scratch(&self.settings.folder, &mapping.name),
        }
    }

    /// Locks a mapping, brings an earlier sync that was cut off to its end, and begins a new one.
    pub(crate) async fn start(
        &self,
        mapping: &Arc<Mapping>,
        options: &SyncOptions,
        observer: &dyn Observer,
        cancel: &CancellationToken,
    ) -> Result<Begun, Problem> {
        let lock = self.lock(&mapping.name, &options.trigger).await?;
        self.recover(&mapping.name, Some(mapping), observer, cancel).await?;
        let id = SyncId::new(self.clock.now(), self.random.as_ref());
        let folder = places::sync(&self.settings.folder, &mapping.name, id);
        let made = folder.clone();
        blocking(move || std::fs::create_dir_all(made)).await??;
        let new = NewSync {
            id,
            mapping: mapping.name.clone(),
            trigger: options.trigger.clone(),
            change_set: Some(places::change_set(&folder)),
        };
        self.step("store: begin sync")?;
        self.store.begin_sync(&new).await.map_err(|error| Problem::of_store(&error))?;
        self.step("store: sync begun")?;
        observer.progress(Progress::Started { mapping: &mapping.name, sync: Some(id) });
        Ok(Begun { mapping: mapping.clone(), id, folder, _lock: lock })
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

    /// From the comparison to the end: guard, load, commit.
    pub(crate) async fn finish_sync(
        &self,
        begun: Begun,
        extracted: Result<Extracted, Problem>,
        confirmed: bool,
        observer: &dyn Observer,
        cancel: &CancellationToken,
    ) -> SyncReport {
        let mut report = SyncReport {
            mapping: begun.mapping.name.clone(),
            sync: Some(begun.id),
            ending: Ending::Failed,
            counts: Counts::default(),
            held: None,
            problem: None,
            failures: Vec::new(),
            unusable: Vec::new(),
            disk_bytes: 0,
        };
        let result = match extracted {
            Err(problem) => Err(Stopped::from(problem)),
            Ok(Extracted::Held(held)) => self.hold(&begun, &mut report, held, observer).await.map_err(Stopped::from),
            Ok(Extracted::Compared(comparing)) => {
                self.go_on(&begun, *comparing, confirmed, &mut report, observer, cancel).await
            }
        };
        let mut stays_open = false;
        if let Err(stopped) = result {
            stays_open = stopped.stays_open;
            report.ending = if stopped.problem.code == "cancelled" { Ending::Cancelled } else { Ending::Failed };
            report.problem = Some(stopped.problem);
        }
        // A sync whose journal may hold more than the checkpoint stays open: the next one recovers it.
        if !stays_open && let Err(problem) = self.close(&begun, &report).await {
            report.ending = Ending::Failed;
            report.problem.get_or_insert(problem);
        }
        report
    }

    async fn hold(
        &self,
        begun: &Begun,
        report: &mut SyncReport,
        held: Held,
        observer: &dyn Observer,
    ) -> Result<(), Problem> {
        let reason = HeldReason { code: held.code().to_owned(), message: held.to_string() };
        self.step("store: hold sync")?;
        self.store.set_counts(begun.id, &report.counts).await.map_err(|error| Problem::of_store(&error))?;
        self.store.hold(begun.id, &reason).await.map_err(|error| Problem::of_store(&error))?;
        observer.progress(Progress::Held { mapping: &begun.mapping.name, held: &held });
        report.ending = Ending::Held;
        report.held = Some(held);
        Ok(())
    }

    async fn go_on(
        &self,
        begun: &Begun,
        comparing: Comparing,
        confirmed: bool,
        report: &mut SyncReport,
        observer: &dyn Observer,
        cancel: &CancellationToken,
    ) -> Result<(), Stopped> {
        let Comparing { checkpoint, compared, held, .. } = comparing;
        report.counts = compared.counts;
        report.disk_bytes = compared.disk_bytes_peak;
        let unusable = compared.unusable.clone();
        report.unusable = blocking(move || crate::plan::read_unusable(&unusable, 10)).await?;
        self.store.set_usage(begun.id, compared.disk_bytes_peak, 0).await.map_err(|error| Problem::of_store(&error))?;
        if let Some(held) = held.filter(|held| !(confirmed && held.can_be_released())) {
            return Ok(self.hold(begun, report, held, observer).await?);
        }
        if cancel.is_cancelled() {
            return Err(Problem::new("cancelled", "cancelled before anything was sent").into());
        }
        self.step("store: loading")?;
        self.store.set_counts(begun.id, &report.counts).await.map_err(|error| Problem::of_store(&error))?;
        self.store.set_state(begun.id, SyncState::Loading).await.map_err(|error| Problem::of_store(&error))?;
        self.step("store: is loading")?;
        let loading = self.load(begun, &compared.change_set, report.counts, observer, cancel).await;
        let loaded = loading.map_err(Stopped::open)?;
        report.counts = loaded.counts;
        let committed = self
            .commit_load(begun, &report.counts, checkpoint, compared.change_set, (loaded.taken, loaded.doubtful))
            .await;
        committed.map_err(Stopped::open)?;
        report.failures = self.failure_counts(begun.id).await?;
        let counts = &report.counts;
        let undelivered = counts.rejected + counts.retry + counts.in_doubt + counts.unusable_key();
        report.ending = match loaded.stop {
            Some(problem) => return Err(problem.into()),
            None if loaded.cancelled => {
                return Err(Problem::new("cancelled", "cancelled; what was not delivered stays pending").into());
            }
            None if undelivered > 0 => Ending::Partly,
            None => Ending::Done,
        };
        Ok(())
    }

    async fn commit_load(
        &self,
        begun: &Begun,
        counts: &Counts,
        checkpoint: Checkpoint,
        change_set: ChangeSet,
        settled: (Bits, Bits),
    ) -> Result<(), Problem> {
        self.step("store: committing")?;
        self.store.set_counts(begun.id, counts).await.map_err(|error| Problem::of_store(&error))?;
        self.store.set_state(begun.id, SyncState::Committing).await.map_err(|error| Problem::of_store(&error))?;
        self.step("store: is committing")?;
        self.commit(&begun.mapping.name, begun.id, checkpoint, change_set, settled).await
    }

    /// Writes a sync's end into the store, and removes what it does not need any more.
    pub(crate) async fn close(&self, begun: &Begun, report: &SyncReport) -> Result<(), Problem> {
        let state = match report.ending {
            Ending::Done => SyncState::Done,
            Ending::Partly => SyncState::Partly,
            Ending::Cancelled => SyncState::Cancelled,
            Ending::Failed => SyncState::Failed,
            Ending::Held => return Ok(()),
        };
        let error = report.problem.as_ref().map(|problem| SyncError {
            code: problem.code.clone(),
            message: problem.message.clone(),
            hint: problem.hint.clone(),
        });
        self.step("store: finish sync")?;
        self.store
            .finish(begun.id, state, &report.counts, error.as_ref())
            .await
            .map_err(|error| Problem::of_store(&error))?;
        self.step("store: sync finished")?;
        self.tidy_up(&begun.mapping.name).await
    }
}

/// Mappings that share a model, by index, in the order of their first.
pub(crate) fn groups(mappings: &[Arc<Mapping>]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (index, mapping) in mappings.iter().enumerate() {
        let same = |group: &&mut Vec<usize>| mappings[group[0]].model.name == mapping.model.name;
        match groups.iter_mut().find(same) {
            Some(group) => group.push(index),
            None => groups.push(vec![index]),
        }
    }
    groups
}

pub(crate) fn not_begun(mapping: &str, problem: Problem) -> SyncReport {
    SyncReport {
        mapping: mapping.to_owned(),
        sync: None,
        ending: if problem.code == "cancelled" { Ending::Cancelled } else { Ending::Failed },
        counts: Counts::default(),
        held: None,
        problem: Some(problem),
        failures: Vec::new(),
        unusable: Vec::new(),
        disk_bytes: 0,
    }
}
