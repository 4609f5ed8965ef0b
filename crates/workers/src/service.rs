//! What the server can do with definitions and syncs, called by routes, by the scheduler and by workers.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use project::{Allowed, Forms};
use records::{Clock, Random, SyncId, WorkerId};
use store::{
    Actor, Cancelled, Cause, Enqueued, Keyring, NewRun, ResourceKind, ResourceRef, RunRow, Store, SyncState, Task,
};
use sync::{Engine, Problem, Unobserved};
use tokio::{
    sync::{Notify, broadcast},
    time::Instant,
};

use crate::{
    Event, Happening, PlanSettings, ServiceError, Wired, definitions::KeptConnection, events::EVENTS_MAX, moments,
    planning::Planning,
};

const LOCK_PATIENCE: Duration = Duration::from_secs(2);
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Reads an environment variable.
pub(crate) type ReadVariable = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What a service is made of.
pub struct Parts {
    pub store: Store,
    pub keyring: Keyring,
    pub forms: Arc<Forms>,
    pub engine: Engine,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    /// Reads an environment variable, for definitions that refer to one.
    pub variables: ReadVariable,
    pub places: Places,
    pub plans: PlanSettings,
}

/// Where definitions are meant from, and what they may read.
#[derive(Debug, Clone)]
pub struct Places {
    /// `folder` and `data` are the data folder.
    pub settings: project::Settings,
    pub allowed: Allowed,
}

/// Who wants something, and how.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    pub by: Option<Actor>,
    /// A person said yes: guards do not hold.
    pub confirmed: bool,
    /// What the caller calls its request: the same again starts nothing.
    pub key: Option<String>,
}

/// What the server can do with definitions and syncs.
pub struct Service {
    parts: Parts,
    worker: WorkerId,
    events: broadcast::Sender<Event>,
    /// Something may be due, or definitions were changed.
    pub(crate) due: Notify,
    /// Something may be taken from the queue.
    pub(crate) queued: Notify,
    connections: Mutex<BTreeMap<String, KeptConnection>>,
    planning: Planning,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("worker", &self.worker)
            .field("places", &self.parts.places)
            .finish_non_exhaustive()
    }
}

impl Service {
    pub fn new(parts: Parts) -> Self {
        let worker = WorkerId::new(parts.clock.now(), parts.random.as_ref());
        let planning = Planning::new(parts.plans.at_once_max);
        Self {
            parts,
            worker,
            events: broadcast::Sender::new(EVENTS_MAX),
            due: Notify::new(),
            queued: Notify::new(),
            connections: Mutex::default(),
            planning,
        }
    }

    pub fn store(&self) -> &Store {
        &self.parts.store
    }

    pub fn engine(&self) -> &Engine {
        &self.parts.engine
    }

    pub fn forms(&self) -> &Arc<Forms> {
        &self.parts.forms
    }

    pub fn keyring(&self) -> &Keyring {
        &self.parts.keyring
    }

    /// This process, as claims and syncs name it.
    pub fn worker(&self) -> WorkerId {
        self.worker
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.parts.clock)
    }

    pub(crate) fn random(&self) -> Arc<dyn Random> {
        Arc::clone(&self.parts.random)
    }

    pub(crate) fn variables(&self) -> ReadVariable {
        Arc::clone(&self.parts.variables)
    }

    pub(crate) fn places(&self) -> &Places {
        &self.parts.places
    }

    pub(crate) fn plan_settings(&self) -> &PlanSettings {
        &self.parts.plans
    }

    pub(crate) fn connections(&self) -> &Mutex<BTreeMap<String, KeptConnection>> {
        &self.connections
    }

    pub(crate) fn planning(&self) -> &Planning {
        &self.planning
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    pub(crate) fn new_sync_id(&self) -> SyncId {
        SyncId::new(self.now(), self.parts.random.as_ref())
    }

    /// What happens from now on, as it happens.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    pub(crate) fn has_listeners(&self) -> bool {
        self.events.receiver_count() > 0
    }

    pub(crate) fn tell(&self, mapping: &str, what: Happening) {
        // Without listeners there is nobody to tell.
        let _ = self.events.send(Event { at: self.now(), mapping: mapping.to_owned(), what });
    }

    /// Definitions were changed: whatever follows from them is worked out again, soon.
    pub fn definitions_changed(&self) {
        self.due.notify_one();
    }

    /// Starts a sync of a mapping.
    ///
    /// # Errors
    /// The mapping, or what it needs, is missing, wrong or switched off.
    pub async fn start(&self, mapping: &str, ask: Ask) -> Result<Enqueued, ServiceError> {
        self.ask_for(mapping, Task::Sync, "request", ask).await
    }

    /// Sends what could not be delivered again, now: a sync like any other, which finds it.
    ///
    /// # Errors
    /// As for [`Service::start`].
    pub async fn retry(&self, mapping: &str, ask: Ask) -> Result<Enqueued, ServiceError> {
        self.ask_for(mapping, Task::Sync, "retry", ask).await
    }

    /// Sends again what an earlier sync sent, or only what it could not deliver.
    ///
    /// # Errors
    /// As for [`Service::start`]; or the sync is not known or is another mapping's.
    pub async fn replay(
        &self,
        mapping: &str,
        sync: SyncId,
        failed_only: bool,
        ask: Ask,
    ) -> Result<Enqueued, ServiceError> {
        let row = self.store().run(sync).await?;
        if row.sync.mapping != mapping {
            return Err(ServiceError::OtherMapping { sync, of: row.sync.mapping, mapping: mapping.to_owned() });
        }
        self.ask_for(mapping, Task::Replay { sync, failed_only }, &format!("replay of {sync}"), ask).await
    }

    /// Adopts the model's result as what the destination holds, and sends nothing. It may be switched off.
    ///
    /// # Errors
    /// As for [`Service::start`].
    pub async fn baseline(&self, mapping: &str, ask: Ask) -> Result<Enqueued, ServiceError> {
        self.ask_for(mapping, Task::Baseline, "baseline", ask).await
    }

    async fn ask_for(&self, mapping: &str, task: Task, trigger: &str, ask: Ask) -> Result<Enqueued, ServiceError> {
        let wired = self.wired(&[ResourceRef::new(ResourceKind::Mapping, mapping)], &[]).await?;
        if task != Task::Baseline
            && let Some(ResourceRef { kind, name }) = wired.switched_off(mapping)
        {
            return Err(ServiceError::SwitchedOff { kind, name });
        }
        self.enqueue(&self.new_run(&wired, mapping, task, Cause::Request, trigger, ask)).await
    }

    pub(crate) fn new_run(
        &self,
        wired: &Wired,
        mapping: &str,
        task: Task,
        cause: Cause,
        trigger: &str,
        ask: Ask,
    ) -> NewRun {
        let row = wired.row(ResourceKind::Mapping, mapping);
        let model = row.and_then(|row| row.model.clone()).unwrap_or_default();
        let source = wired.row(ResourceKind::Model, &model).and_then(|row| row.source.clone()).unwrap_or_default();
        NewRun {
            id: self.new_sync_id(),
            mapping: mapping.to_owned(),
            mapping_version: row.map(|row| row.version),
            extracts_max: wired.extracts_max(&source),
            model,
            source,
            destination: row.and_then(|row| row.destination.clone()).unwrap_or_default(),
            task,
            confirmed: ask.confirmed,
            cause,
            trigger: trigger.to_owned(),
            requested_by: ask.by,
            due_at: self.now(),
            key: ask.key,
        }
    }

    /// Puts a sync into the queue, and lets whoever waits for one know.
    pub(crate) async fn enqueue(&self, new: &NewRun) -> Result<Enqueued, ServiceError> {
        let enqueued = self.store().enqueue(new).await?;
        self.told_of_queue(&enqueued);
        Ok(enqueued)
    }

    pub(crate) fn told_of_queue(&self, enqueued: &Enqueued) {
        if let Enqueued::New(run) = enqueued {
            self.tell(&run.sync.mapping, Happening::Sync { sync: run.sync.id, state: SyncState::Queued });
            self.queued.notify_one();
        }
    }

    /// Sends what a guard held: the sync itself goes on.
    ///
    /// # Errors
    /// It is not held; or its mapping, or what that needs, is missing, wrong or switched off.
    pub async fn release(&self, sync: SyncId, by: Option<&Actor>) -> Result<Enqueued, ServiceError> {
        let run = self.store().run(sync).await?;
        let mapping = &run.sync.mapping;
        let wired = self.wired(&[ResourceRef::new(ResourceKind::Mapping, mapping)], &[]).await?;
        if let Some(ResourceRef { kind, name }) = wired.switched_off(mapping) {
            return Err(ServiceError::SwitchedOff { kind, name });
        }
        let extracts_max = wired.extracts_max(&run.source);
        let enqueued = self.store().enqueue_held(sync, extracts_max, by).await?.ok_or(ServiceError::NotHeld(sync))?;
        self.told_of_queue(&enqueued);
        Ok(enqueued)
    }

    /// Ends a held sync without sending anything.
    ///
    /// # Errors
    /// It is not held, or its mapping runs.
    pub async fn dismiss(&self, sync: SyncId) -> Result<(), ServiceError> {
        let patience = Patience::begin();
        loop {
            match self.engine().dismiss(sync).await {
                Err(problem) if patience.waits(&problem).await => {}
                dismissed => break dismissed?,
            }
        }
        let run = self.store().run(sync).await?;
        self.tell(&run.sync.mapping, Happening::Sync { sync, state: run.sync.state });
        self.due.notify_one();
        Ok(())
    }

    /// Ends a sync: at once if it waits; one that runs ends when its worker hears of it.
    ///
    /// # Errors
    /// There is no such sync.
    pub async fn cancel(&self, sync: SyncId) -> Result<(Cancelled, RunRow), ServiceError> {
        let cancelled = self.store().cancel(sync).await?;
        let run = self.store().run(sync).await?;
        if cancelled == Cancelled::Ended {
            self.tell(&run.sync.mapping, Happening::Sync { sync, state: run.sync.state });
            self.due.notify_one();
        }
        self.queued.notify_one();
        Ok((cancelled, run))
    }

    /// Forgets records, so that the next sync finds them added: those with these keys or, of an empty list, all. Gives
    /// how many.
    ///
    /// # Errors
    /// There is no such mapping, it runs, or a key is not in its checkpoint.
    pub async fn reset(&self, mapping: &str, keys: &[String]) -> Result<u64, ServiceError> {
        self.store().resource(ResourceKind::Mapping, mapping).await?;
        let patience = Patience::begin();
        loop {
            match self.engine().reset(mapping, keys, &Unobserved).await {
                Err(problem) if patience.waits(&problem).await => {}
                forgotten => break Ok(forgotten?),
            }
        }
    }

    /// A request from outside starts a mapping whose schedule waits for one. False: the schedule does not, or something
    /// is switched off, or the same request came before. Whether it may come is for the caller to see.
    ///
    /// # Errors
    /// The statement fails.
    pub async fn hook_fired(&self, mapping: &str, event: Option<&str>) -> Result<bool, ServiceError> {
        let Some(row) = self.store().due(mapping).await? else { return Ok(false) };
        if moments::reason(&moments::read(&row.schedule)) != Cause::Hook {
            return Ok(false);
        }
        let key = event.map(|event| format!("hook {mapping} {event}"));
        let is_due = self.store().make_due(mapping, self.now(), Cause::Hook, key.as_deref()).await?;
        if is_due {
            self.due.notify_one();
        }
        Ok(is_due)
    }
}

/// Waits a little for a mapping's lock: a sync that has ended holds it until it has tidied up.
struct Patience(Instant);

impl Patience {
    fn begin() -> Self {
        Self(Instant::now())
    }

    /// Waits for a moment if that may help, and gives whether it may.
    async fn waits(&self, problem: &Problem) -> bool {
        let may_help = problem.code == "locked" && self.0.elapsed() < LOCK_PATIENCE;
        if may_help {
            tokio::time::sleep(LOCK_PAUSE).await;
        }
        may_help
    }
}
