//! A sync from its comparison to its end: guard, load, commit.

use changes::{Bits, ChangeSet, Checkpoint};
use records::Counts;
use store::{HeldReason, SyncError, SyncState};

use crate::{
    Ending, Engine, Held, News, Observer, Phase, Problem, SyncReport,
    blocking::blocking,
    compare::{Comparing, Extracted},
    engine::Begun,
    guard::Findings,
    held::{self, Reads},
};

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

impl Engine {
    /// From the comparison to the end: guard, load, commit.
    pub(crate) async fn finish_sync(
        &self,
        begun: Begun,
        extracted: Result<Extracted, Problem>,
        observer: &dyn Observer,
    ) -> SyncReport {
        let mut report = SyncReport::new(&begun.mapping.name, Some(begun.id));
        let result = match extracted {
            Err(problem) => Err(Stopped::from(problem)),
            Ok(extracted) => self.go_on(&begun, extracted, &mut report, observer).await,
        };
        let mut stays_open = false;
        if let Err(stopped) = result {
            stays_open = stopped.stays_open;
            report.stop(stopped.problem);
        }
        // A sync whose journal may hold more than the checkpoint stays open: the next one recovers it.
        if !stays_open {
            self.close(&begun, &mut report).await;
        }
        self.finished(&begun, &mut report, observer);
        report
    }

    /// Tells of a sync's end.
    pub(crate) fn finished(&self, begun: &Begun, report: &mut SyncReport, observer: &dyn Observer) {
        report.phases = begun.phases.end(self.clock.now());
        self.tell(observer, &begun.mapping.name, Some(begun.id), News::Finished { report });
    }

    pub(crate) fn enter(&self, begun: &Begun, phase: Phase, observer: &dyn Observer) {
        begun.phases.begin(phase, self.clock.now());
        self.tell(observer, &begun.mapping.name, Some(begun.id), News::Phase(phase));
    }

    async fn hold(
        &self,
        begun: &Begun,
        report: &mut SyncReport,
        (held, findings): (Held, Option<Findings>),
        observer: &dyn Observer,
    ) -> Result<(), Problem> {
        let reason = HeldReason { code: held.code().to_owned(), message: held.to_string() };
        if let Some(findings) = findings {
            let (folder, held, reads) = (begun.folder.clone(), held.clone(), Reads::of(&begun.mapping));
            blocking(move || held::note(&folder, &held, &findings, reads)).await??;
        }
        self.step("store: hold sync")?;
        self.store.set_counts(begun.id, &report.counts).await.map_err(|error| Problem::of_store(&error))?;
        self.store.hold(begun.id, &reason).await.map_err(|error| Problem::of_store(&error))?;
        self.tell(observer, &begun.mapping.name, Some(begun.id), News::Held { held: &held });
        report.ending = Ending::Held;
        report.held = Some(held);
        Ok(())
    }

    async fn go_on(
        &self,
        begun: &Begun,
        extracted: Extracted,
        report: &mut SyncReport,
        observer: &dyn Observer,
    ) -> Result<(), Stopped> {
        // This one knows what the model shows now, so an earlier one must not be sent any more.
        self.supersede(&begun.mapping.name, Some(begun.id)).await?;
        let Comparing { checkpoint, compared, held, findings } = match extracted {
            Extracted::Compared(comparing) => *comparing,
            Extracted::Held(held) => return Ok(self.hold(begun, report, (held, None), observer).await?),
        };
        report.counts = compared.counts;
        report.disk_bytes = compared.disk_bytes_peak;
        let unusable = compared.unusable.clone();
        report.unusable = blocking(move || crate::plan::read_unusable(&unusable, 10)).await?;
        self.store.set_usage(begun.id, compared.disk_bytes_peak, 0).await.map_err(|error| Problem::of_store(&error))?;
        if let Some(held) = held.filter(|held| !(begun.confirmed && held.can_be_released())) {
            return Ok(self.hold(begun, report, (held, Some(findings)), observer).await?);
        }
        if begun.cancel.is_cancelled() {
            return Err(Problem::new("cancelled", "cancelled before anything was sent").into());
        }
        self.step("store: loading")?;
        self.store.set_counts(begun.id, &report.counts).await.map_err(|error| Problem::of_store(&error))?;
        self.store.set_state(begun.id, SyncState::Loading).await.map_err(|error| Problem::of_store(&error))?;
        self.step("store: is loading")?;
        self.enter(begun, Phase::Loading, observer);
        let loading = self.load(begun, &compared.change_set, report.counts, observer).await;
        let loaded = loading.map_err(Stopped::open)?;
        report.counts = loaded.recorded.counts;
        report.requests = loaded.requests;
        self.enter(begun, Phase::Committing, observer);
        let committed = self
            .commit_load(
                begun,
                &report.counts,
                checkpoint,
                compared.change_set,
                (loaded.recorded.taken, loaded.recorded.doubtful),
            )
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

    /// Writes a sync's end into the store, and removes what it does not need any more. What goes wrong here is the
    /// report's problem, if it has none yet.
    pub(crate) async fn close(&self, begun: &Begun, report: &mut SyncReport) {
        if let Err(problem) = self.write_end(begun, report).await {
            report.ending = Ending::Failed;
            report.problem.get_or_insert(problem);
        }
    }

    async fn write_end(&self, begun: &Begun, report: &SyncReport) -> Result<(), Problem> {
        let Some((state, error)) = state_and_error(report) else { return Ok(()) };
        self.step("store: finish sync")?;
        self.store
            .finish(begun.id, state, &report.counts, error.as_ref())
            .await
            .map_err(|error| Problem::of_store(&error))?;
        self.step("store: sync finished")?;
        self.tidy_up(&begun.mapping.name).await
    }
}

/// How the store writes down the end of a sync; nothing for one that is held, which is none.
pub(crate) fn state_and_error(report: &SyncReport) -> Option<(SyncState, Option<SyncError>)> {
    let state = match report.ending {
        Ending::Done => SyncState::Done,
        Ending::Partly => SyncState::Partly,
        Ending::Cancelled => SyncState::Cancelled,
        Ending::Failed => SyncState::Failed,
        Ending::Held => return None,
    };
    let error = report.problem.as_ref().map(|problem| SyncError {
        code: problem.code.clone(),
        message: problem.message.clone(),
        hint: problem.hint.clone(),
    });
    Some((state, error))
}
