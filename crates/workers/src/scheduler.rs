//! The scheduler: it queues what is due, in the order in which it is. Several processes may have one each: what one has
//! queued, the others find queued.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use store::{DueOutcome, DueRow, DueStart, NewRun, ResourceKind, ResourceRef, StoreError, Task};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    Service, ServiceError,
    catalogue::{Catalogue, Changed},
    ends::{finished, of},
    error::told,
    moments::{self, Wanted},
};

/// Mappings that are queued in one transaction.
const BATCH: u32 = 200;
/// How long it looks away at most where another process may have changed something, and where none can.
const LOOK_AGAIN_SHARED: Duration = Duration::from_secs(1);
const LOOK_AGAIN_ALONE: Duration = Duration::from_secs(5);
/// How long it waits after an error.
const PAUSE: Duration = Duration::from_secs(2);
/// A clock that goes back by more than this was set.
const SET_BACK_MIN: SignedDuration = SignedDuration::from_millis(500);
/// How often what is known is compared with all definitions, in case somebody died while changing one.
const RECKON_AGAIN: Duration = Duration::from_secs(600);

/// Queues what is due.
#[derive(Debug)]
pub struct Scheduler {
    service: Arc<Service>,
    catalogue: Catalogue,
    /// What the clocks showed when it looked before.
    seen: Option<(Timestamp, Instant)>,
    /// When all was worked out.
    reckoned: Option<Instant>,
    /// What had changed was not worked out to the end.
    is_behind: bool,
}

impl Scheduler {
    pub fn new(service: Arc<Service>) -> Self {
        Self { service, catalogue: Catalogue::default(), seen: None, reckoned: None, is_behind: false }
    }

    /// Goes on until it is stopped. An error is told to the log, and all is tried again.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let pause = match self.step().await {
                Ok(next) => self.pause_until(next),
                Err(error) => {
                    tracing::warn!(error = told(&error), "the scheduler could not do its work; it tries again");
                    PAUSE
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.service.due.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn pause_until(&self, next: Option<Timestamp>) -> Duration {
        let most = if self.service.store().is_shared() { LOOK_AGAIN_SHARED } else { LOOK_AGAIN_ALONE };
        let until = next.map(|next| next.duration_since(self.service.now()));
        until.map_or(most, |until| Duration::try_from(until).unwrap_or_default().min(most))
    }

    /// Takes over what has changed, and queues all that is due by now. Gives when something is due next.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub async fn step(&mut self) -> Result<Option<Timestamp>, ServiceError> {
        let was_set_back = self.was_set_back();
        // What is cut short is done anew, all of it.
        let was_behind = std::mem::replace(&mut self.is_behind, true);
        let changed = self.catalogue.follow(self.service.store()).await?;
        let is_stale = self.reckoned.is_none_or(|reckoned| reckoned.elapsed() > RECKON_AGAIN);
        let all = was_set_back || is_stale || was_behind || changed.mappings.len() > BATCH as usize;
        self.reckon(changed, all).await?;
        self.is_behind = false;
        if all {
            self.reckoned = Some(Instant::now());
        }
        loop {
            let due = self.service.store().due_by(self.service.now(), BATCH).await?;
            if due.is_empty() || !self.start(due).await? {
                break;
            }
        }
        Ok(self.service.store().next_due_at().await?)
    }

    /// Whether the time of day went back since it was looked at before.
    fn was_set_back(&mut self) -> bool {
        let (now, instant) = (self.service.now(), Instant::now());
        let before = self.seen.replace((now, instant));
        before.is_some_and(|(shown, at)| {
            let passed = SignedDuration::try_from(instant.duration_since(at)).unwrap_or(SignedDuration::MAX);
            now.duration_since(shown) + SET_BACK_MIN < passed
        })
    }

    /// All that is known of when mappings are due.
    async fn all_due(&self) -> Result<BTreeMap<String, DueRow>, StoreError> {
        let mut all = BTreeMap::new();
        let mut after: Option<String> = None;
        loop {
            let rows = self.service.store().all_due(after.as_deref(), 1_000).await?;
            let Some(last) = rows.last() else { return Ok(all) };
            after = Some(last.mapping.clone());
            all.extend(rows.into_iter().map(|row| (row.mapping.clone(), row)));
        }
    }

    /// Works out anew when mappings are due: those that have changed, or all.
    async fn reckon(&mut self, changed: Changed, all: bool) -> Result<(), ServiceError> {
        for mapping in changed.removed {
            self.service.store().forget_due(&mapping).await?;
        }
        if !all {
            for mapping in changed.mappings {
                self.reckon_one(&mapping).await?;
            }
            return Ok(());
        }
        let known = self.all_due().await?;
        let mappings: Vec<String> = self.catalogue.mappings().map(str::to_owned).collect();
        for gone in known.keys().filter(|name| mappings.binary_search(name).is_err()) {
            self.service.store().forget_due(gone).await?;
        }
        for batch in mappings.chunks(BATCH as usize) {
            let mut rows = Vec::new();
            for mapping in batch {
                rows.extend(self.updated(mapping, known.get(mapping)).await?);
            }
            if rows.is_empty() {
                continue;
            }
            let done = self.service.store().set_due(&rows).await?;
            for ((row, _), _) in rows.iter().zip(done).filter(|(_, done)| !done) {
                self.reckon_one(&row.mapping).await?;
            }
        }
        Ok(())
    }

    async fn reckon_one(&mut self, mapping: &str) -> Result<(), ServiceError> {
        loop {
            let known = self.service.store().due(mapping).await?;
            let Some(updated) = self.updated(mapping, known.as_ref()).await? else { return Ok(()) };
            if self.service.store().set_due(&[updated]).await?.contains(&true) {
                return Ok(());
            }
        }
    }

    /// What is to be written down of when a mapping is due, and for whose ends it waits. None: what is known holds.
    async fn updated(
        &mut self,
        mapping: &str,
        known: Option<&DueRow>,
    ) -> Result<Option<(DueRow, Vec<String>)>, ServiceError> {
        let Some(wanted) = self.wanted(mapping).await? else { return Ok(None) };
        let awaited = moments::read(&wanted.schedule).awaited().to_vec();
        let ends = finished(self.service.store(), &awaited).await?;
        let updated = moments::updated(known, mapping, &wanted, self.service.now(), |name| of(&ends, name));
        Ok(updated.map(|row| (row, awaited)))
    }

    /// What its definitions say about when a mapping starts. None: there is no such mapping.
    async fn wanted(&mut self, mapping: &str) -> Result<Option<Wanted>, ServiceError> {
        match self.catalogue.wanted(mapping) {
            None => return Ok(None),
            Some(Ok(wanted)) => return Ok(Some(wanted)),
            Some(Err(())) => {}
        }
        let schedule = self.resolved(mapping).await?;
        self.catalogue.resolve(mapping, schedule);
        Ok(self.catalogue.wanted(mapping).and_then(Result::ok))
    }

    /// The schedule of a mapping whose document refers to what is outside of it. A wrong one is never due.
    async fn resolved(&self, mapping: &str) -> Result<String, ServiceError> {
        match self.service.wired(&[ResourceRef::new(ResourceKind::Mapping, mapping)], &[]).await {
            Ok(wired) => {
                let form = wired.project.mapping(mapping).map(|mapping| moments::written(&mapping.form.schedule));
                Ok(form.unwrap_or_default())
            }
            Err(ServiceError::Store(error)) => Err(error.into()),
            Err(error) => {
                tracing::warn!(mapping, error = told(&error), "a schedule cannot be understood, so it starts nothing");
                Ok(moments::written(&schedule::ScheduleForm::Manual))
            }
        }
    }

    /// Queues mappings that are due. False: none of it could be done, though none of it failed.
    async fn start(&self, due: Vec<DueRow>) -> Result<bool, ServiceError> {
        let mut starts = Vec::with_capacity(due.len());
        for row in due {
            match self.start_of(&row) {
                Some(start) => starts.push(start),
                // Its definition was removed while this went on.
                None => self.service.store().forget_due(&row.mapping).await?,
            }
        }
        let outcomes = self.service.store().start_due(&starts).await?;
        let mut has_changed = false;
        for outcome in &outcomes {
            match outcome {
                DueOutcome::Queued(enqueued) => {
                    self.service.told_of_queue(enqueued);
                    has_changed = true;
                }
                DueOutcome::Runs(_) => has_changed = true,
                DueOutcome::Changed => {}
            }
        }
        Ok(has_changed || starts.is_empty())
    }

    fn start_of(&self, row: &DueRow) -> Option<DueStart> {
        let place = self.catalogue.place(&row.mapping)?;
        let now = self.service.now();
        let due_at = row.next_due_at?;
        let next_due_at = moments::next_due(&moments::read(&row.schedule), now, Some(due_at));
        let run = NewRun {
            id: self.service.new_sync_id(),
            mapping: row.mapping.clone(),
            mapping_version: Some(place.mapping_version),
            model: place.model,
            source: place.source,
            destination: place.destination,
            extracts_max: place.extracts_max,
            task: Task::Sync,
            confirmed: false,
            cause: row.reason,
            trigger: row.reason.name().to_owned(),
            requested_by: None,
            due_at,
            key: None,
        };
        Some(DueStart { due: row.clone(), run, next_due_at })
    }
}
