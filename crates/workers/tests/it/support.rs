//! What these tests share: a stage with definitions, and processes on it.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use changes::{NoSteps, Steps};
use jiff::{SignedDuration, Timestamp};
use project::{Allowed, Forms};
use records::{Clock, Random, SyncId};
use serde_json::{Value, json};
use simulation::{Dice, SceneConnectors, Table, Tool};
use store::{Actor, Author, Change, Edit, Keyring, ResourceKind, RunFilter, RunRow, Store, SyncState, Through};
use sync::Engine;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use workers::{Parts, Places, PlanSettings, Scheduler, Service, Worker, WorkerSettings};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Goes on as time does, and can be set.
#[derive(Debug)]
pub(crate) struct StageClock {
    began: Instant,
    start: Timestamp,
    ahead_seconds: AtomicI64,
}

impl StageClock {
    pub(crate) fn set_ahead(&self, seconds: i64) {
        self.ahead_seconds.store(seconds, Ordering::SeqCst);
    }
}

impl Clock for StageClock {
    fn now(&self) -> Timestamp {
        let ahead = SignedDuration::from_secs(self.ahead_seconds.load(Ordering::SeqCst));
        self.start + ahead + self.began.elapsed()
    }
}

/// Definitions in a store, and what they connect.
pub(crate) struct Stage {
    pub(crate) connectors: Arc<SceneConnectors>,
    pub(crate) store: Store,
    pub(crate) clock: Arc<StageClock>,
    dice: Arc<Dice>,
    folder: tempfile::TempDir,
}

/// A process on the stage: it ends when it is dropped, as if it were killed.
pub(crate) struct Process {
    pub(crate) service: Arc<Service>,
    pub(crate) stop: CancellationToken,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.tasks.iter().for_each(|task| task.abort());
    }
}

impl Process {
    /// Tells it to end, and waits until it has.
    pub(crate) async fn end(mut self) {
        self.stop.cancel();
        for task in std::mem::take(&mut self.tasks) {
            task.await.unwrap();
        }
    }
}

pub(crate) fn clock() -> Arc<StageClock> {
    let start = "2026-03-02T08:00:10Z".parse().unwrap();
    Arc::new(StageClock { began: Instant::now(), start, ahead_seconds: AtomicI64::new(0) })
}

/// Short leases, so that a test sees them end.
pub(crate) fn quick() -> WorkerSettings {
    WorkerSettings {
        lease: Duration::from_millis(2_500),
        heartbeat: Duration::from_millis(400),
        grace: Duration::from_millis(300),
        sweep: Duration::from_millis(300),
        ..WorkerSettings::default()
    }
}

impl Stage {
    /// A stage whose store is in memory.
    pub(crate) async fn new() -> Self {
        let clock = clock();
        let store = Store::open_in_memory(Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap();
        Self::with_store(store, clock).await
    }

    /// With the source `shop`, the model `people` on it and the destination `tool`.
    pub(crate) async fn with_store(store: Store, clock: Arc<StageClock>) -> Self {
        let stage = Self {
            connectors: Arc::default(),
            store,
            clock,
            dice: Arc::new(Dice::new(7)),
            folder: tempfile::tempdir().unwrap(),
        };
        stage.create(ResourceKind::Source, "shop", json!({ "type": "table", "name": "people" })).await;
        stage.create_model("people", "shop").await;
        stage.create(ResourceKind::Destination, "tool", json!({ "type": "scene", "name": "tool" })).await;
        stage
    }

    pub(crate) fn table(&self) -> Arc<Table> {
        self.connectors.table("people")
    }

    pub(crate) fn tool(&self) -> Arc<Tool> {
        self.connectors.tool("tool")
    }

    async fn edit(&self, kind: ResourceKind, name: &str, change: Change) {
        let author = Author::new(Actor::system(), None, Arc::clone(&self.dice) as Arc<dyn Random>);
        self.store.edit_resources(&[Edit::new(kind, name, change)], Through::Api, &author).await.unwrap();
    }

    pub(crate) async fn create(&self, kind: ResourceKind, name: &str, document: Value) {
        self.edit(kind, name, Change::Create(document)).await;
    }

    pub(crate) async fn replace(&self, kind: ResourceKind, name: &str, document: Value) {
        self.edit(kind, name, Change::Replace(document)).await;
    }

    pub(crate) async fn create_model(&self, name: &str, source: &str) {
        let document = json!({ "source": source, "key": "id", "query": "select * from people" });
        self.create(ResourceKind::Model, name, document).await;
    }

    /// A mapping of the model `people` to `tool`.
    pub(crate) async fn map(&self, name: &str, schedule: Value) {
        self.create(ResourceKind::Mapping, name, mapping("people", "tool", schedule)).await;
    }

    pub(crate) async fn switch(&self, name: &str, schedule: Value, enabled: bool) {
        let mut document = mapping("people", "tool", schedule);
        document["enabled"] = enabled.into();
        self.replace(ResourceKind::Mapping, name, document).await;
    }

    fn service_with(&self, store: Store, steps: Arc<dyn Steps>, folder: PathBuf) -> Arc<Service> {
        let settings = project::Settings {
            name: "stage".to_owned(),
            folder: folder.clone(),
            data: folder.clone(),
            memory_bytes: 64 << 20,
            disk_bytes: 1 << 30,
            history_days: None,
            history_bytes: None,
        };
        let engine = sync::Settings {
            folder,
            memory_bytes: 64 << 20,
            disk_bytes: 1 << 30,
            history_days: None,
            history_bytes: None,
        };
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let random: Arc<dyn Random> = Arc::clone(&self.dice) as Arc<dyn Random>;
        let engine = Engine::new(store.clone(), engine, Arc::clone(&clock), Arc::clone(&random), steps);
        Arc::new(Service::new(Parts {
            store,
            keyring: Keyring::of_text(KEY, Arc::clone(&random)).unwrap(),
            forms: Arc::new(Forms::new(Arc::clone(&self.connectors) as Arc<dyn project::Connectors>)),
            engine,
            clock,
            random,
            variables: Arc::new(|name| (name == "EVERY").then(|| "1h".to_owned())),
            places: Places { settings, allowed: Allowed::new(&["EVERY".to_owned()], &[], self.folder.path()).unwrap() },
            plans: PlanSettings::default(),
        }))
    }

    /// A service whose files are in the stage's folder, and which does nothing by itself.
    pub(crate) fn service(&self) -> Arc<Service> {
        self.service_with(self.store.clone(), Arc::new(NoSteps), self.folder.path().to_owned())
    }

    /// A process that schedules and runs.
    pub(crate) fn start(&self, settings: WorkerSettings) -> Process {
        self.start_with(self.store.clone(), settings)
    }

    /// The same, with a way of its own to the store.
    pub(crate) fn start_with(&self, store: Store, settings: WorkerSettings) -> Process {
        let service = self.service_with(store, Arc::new(NoSteps), self.folder.path().to_owned());
        let stop = CancellationToken::new();
        let tasks = vec![
            tokio::spawn(Scheduler::new(Arc::clone(&service)).run(stop.clone())),
            tokio::spawn(Worker::new(Arc::clone(&service), settings).run(stop.clone())),
        ];
        Process { service, stop, tasks }
    }

    pub(crate) async fn runs(&self, mapping: &str) -> Vec<RunRow> {
        let filter = RunFilter { mapping: Some(mapping.to_owned()), ..RunFilter::default() };
        self.store.runs(&filter, None, 1_000).await.unwrap()
    }

    /// The states of a mapping's syncs, oldest first.
    pub(crate) async fn states(&self, mapping: &str) -> Vec<SyncState> {
        self.runs(mapping).await.iter().rev().map(|run| run.sync.state).collect()
    }

    /// Waits until a sync is in one of these states.
    pub(crate) async fn reaches(&self, id: SyncId, states: &[SyncState]) -> RunRow {
        until(async || {
            let run = self.store.run(id).await.unwrap();
            states.contains(&run.sync.state).then_some(run)
        })
        .await
    }

    /// Waits until a mapping has so many syncs that have ended, and gives them, oldest first.
    pub(crate) async fn ended(&self, mapping: &str, count: usize) -> Vec<RunRow> {
        until(async || {
            let mut runs = self.runs(mapping).await;
            runs.retain(|run| run.sync.finished_at.is_some());
            runs.reverse();
            (runs.len() >= count).then_some(runs)
        })
        .await
    }
}

pub(crate) fn mapping(model: &str, destination: &str, schedule: Value) -> Value {
    json!({
        "model": model,
        "destination": destination,
        "mode": "mirror",
        "schedule": schedule,
        "guards": { "deletions_records_min": 2 },
        "fields": {
            "id": { "@path": "$.properties.id" },
            "email": { "@path": "$.properties.email" },
            "plan": { "@path": "$.properties.plan" },
        },
    })
}

/// Waits for what must come.
pub(crate) async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "it does not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn last(run: &[RunRow]) -> &RunRow {
    run.last().unwrap()
}
