//! Ten thousand mappings that are due in the same minute, in both databases: how long until all are queued, and until all
//! were taken; none lost, none twice, each source's in order. `cargo bench -p workers`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement tells, and what fails here is to be seen")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use changes::NoSteps;
use jiff::Timestamp;
use project::{Allowed, Forms};
use records::{Clock, Counts, Random};
use serde_json::json;
use simulation::{Dice, SceneConnectors};
use store::{Actor, Author, Change, Edit, Keyring, ResourceKind, Store, SyncState, Through};
use tokio::time::Instant;
use workers::{Parts, Places, PlanSettings, Scheduler, Service};

const MAPPINGS: usize = 10_000;
const SOURCES: usize = 20;
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Shows what it is set to.
#[derive(Debug)]
struct HandClock(AtomicI64);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

fn service(store: &Store, clock: &Arc<HandClock>, folder: &std::path::Path) -> Arc<Service> {
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    let random: Arc<dyn Random> = Arc::new(Dice::new(1));
    let limits = (64 << 20, 1 << 30);
    let engine = sync::Settings {
        folder: folder.to_owned(),
        memory_bytes: limits.0,
        disk_bytes: limits.1,
        history_days: None,
        history_bytes: None,
    };
    let settings = project::Settings {
        name: "bench".to_owned(),
        folder: folder.to_owned(),
        data: folder.to_owned(),
        memory_bytes: limits.0,
        disk_bytes: limits.1,
        history_days: None,
        history_bytes: None,
    };
    Arc::new(Service::new(Parts {
        store: store.clone(),
        keyring: Keyring::of_text(KEY, Arc::clone(&random)).unwrap(),
        forms: Arc::new(Forms::new(Arc::new(SceneConnectors::default()))),
        engine: sync::Engine::new(store.clone(), engine, Arc::clone(&clock), Arc::clone(&random), Arc::new(NoSteps)),
        clock,
        random,
        variables: Arc::new(|_| None),
        places: Places { settings, allowed: Allowed::default() },
        plans: PlanSettings::default(),
    }))
}

async fn define(store: &Store) {
    let author = Author::new(Actor::system(), None, Arc::new(Dice::new(2)));
    let mut edits =
        vec![Edit::new(ResourceKind::Destination, "tool", Change::Create(json!({ "type": "scene", "name": "tool" })))];
    for source in 0..SOURCES {
        let (source, model) = (format!("source{source}"), format!("model{source}"));
        edits.push(Edit::new(ResourceKind::Source, &source, Change::Create(json!({ "type": "table", "name": "t" }))));
        let document = json!({ "source": source, "key": "id", "query": "select * from t" });
        edits.push(Edit::new(ResourceKind::Model, model, Change::Create(document)));
    }
    for number in 0..MAPPINGS {
        let document = json!({
            "model": format!("model{}", number % SOURCES),
            "destination": "tool",
            "mode": "mirror",
            "schedule": { "cron": "0 9 * * *" },
            "fields": { "id": { "@path": "$.properties.id" } },
        });
        edits.push(Edit::new(ResourceKind::Mapping, format!("mapping{number:05}"), Change::Create(document)));
    }
    store.edit_resources(&edits, Through::Api, &author).await.unwrap();
}

async fn measure(name: &str, store: Store, clock: Arc<HandClock>) {
    let folder = tempfile::tempdir().unwrap();
    define(&store).await;
    let services: Vec<_> = (0..2).map(|_| service(&store, &clock, folder.path())).collect();
    let mut schedulers: Vec<_> = services.iter().map(|service| Scheduler::new(Arc::clone(service))).collect();
    let begun = Instant::now();
    for scheduler in &mut schedulers {
        scheduler.step().await.unwrap();
    }
    println!("{name}: {MAPPINGS} schedules worked out in {:.1?}", begun.elapsed());
    // Both look at half past eight, and then at one minute past nine.
    clock.0.store(9 * 3600 + 60, Ordering::SeqCst);
    let begun = Instant::now();
    let (first, second) = schedulers.split_at_mut(1);
    let steps = tokio::join!(first[0].step(), second[0].step());
    assert!(steps.0.is_ok() && steps.1.is_ok());
    println!("{name}: all queued by two schedulers in {:.1?}", begun.elapsed());
    assert_eq!(store.open_counts().await.unwrap(), [(SyncState::Queued, MAPPINGS as u64)]);
    let mut taken: BTreeMap<String, Vec<Timestamp>> = BTreeMap::new();
    let mut names = BTreeSet::new();
    let begun = Instant::now();
    loop {
        let runs = store.take_next(services[0].worker(), Duration::from_secs(60), 50).await.unwrap();
        if runs.is_empty() {
            break;
        }
        for run in runs {
            assert!(names.insert(run.sync.mapping), "taken twice");
            taken.entry(run.source).or_default().push(run.due_at.unwrap());
            store.finish(run.sync.id, SyncState::Done, &Counts::default(), None).await.unwrap();
        }
    }
    println!("{name}: all taken and ended in {:.1?}", begun.elapsed());
    assert_eq!(names.len(), MAPPINGS, "none was lost");
    assert!(taken.values().all(|moments| moments.is_sorted()));
}

fn clock() -> Arc<HandClock> {
    Arc::new(HandClock(AtomicI64::new(8 * 3600 + 1_800)))
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let shown = clock();
    let store = Store::open(&folder.path().join("control.db"), Arc::clone(&shown) as Arc<dyn Clock>).await.unwrap();
    measure("SQLite", store, shown).await;
    let server = postgres_server::PostgresServer::start(&Default::default());
    let shown = clock();
    let store = Store::open_postgres(&server.url(), Arc::clone(&shown) as Arc<dyn Clock>).await.unwrap();
    measure("PostgreSQL", store, shown).await;
}
