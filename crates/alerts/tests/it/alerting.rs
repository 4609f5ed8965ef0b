//! The whole of it: definitions and syncs in a store, a server that is told, and the end.

use std::{sync::Arc, time::Duration};

use alerts::{Alerting, Dispatcher, Sender};
use kit::{
    Reach,
    testing::{Reply, Server},
};
use records::{Clock as _, Counts, SyncId};
use serde_json::{Value, json};
use store::{AlertFilter, Cause, Change, DueRow, Edit, Keyring, NewSync, ResourceKind, Store, SyncState, Through};
use tokio_util::sync::CancellationToken;

use crate::scene::{Counting, HandClock, NOW, author};

struct Scene {
    store: Store,
    clock: Arc<HandClock>,
    random: Arc<Counting>,
    dispatcher: Dispatcher,
    server: Server,
}

impl Scene {
    async fn new(when: Value) -> Self {
        let server = Server::start(|_| Reply::status(204)).await.unwrap();
        let clock = HandClock::new(NOW);
        let random = Arc::new(Counting::default());
        let store = Store::open_in_memory(Arc::<HandClock>::clone(&clock)).await.unwrap();
        let keyring = Keyring::of_text(&format!("{}A=", "B".repeat(42)), Arc::new(Counting::default())).unwrap();
        let document = json!({ "type": "webhook", "url": server.url(), "secret": "a secret of many letters" });
        let document = alerts::seal_channel("ops", &document, None, &keyring).unwrap();
        store.create_channel("ops", &document, &author()).await.unwrap();
        store.create_alert_rule("production", &json!({ "when": when, "channels": ["ops"] }), &author()).await.unwrap();
        let define = |kind, name: &str, document: Value| Edit::new(kind, name, Change::Create(document));
        let edits = [
            define(ResourceKind::Source, "shop", json!({ "type": "postgres" })),
            define(ResourceKind::Model, "customers", json!({ "source": "shop", "key": "id", "query": "select 1" })),
            define(ResourceKind::Destination, "crm", json!({ "type": "http" })),
            define(ResourceKind::Mapping, "people", json!({ "model": "customers", "destination": "crm" })),
        ];
        store.edit_resources(&edits, Through::Api, &author()).await.unwrap();
        let dispatcher = Dispatcher {
            store: store.clone(),
            sender: Sender { clock: Arc::<HandClock>::clone(&clock), reach: Reach::Any },
            random: Arc::<Counting>::clone(&random),
            keyring,
            public_url: None,
        };
        Self { store, clock, random, dispatcher, server }
    }

    async fn sync(&self, state: SyncState) {
        let id = SyncId::new(self.clock.now(), &*self.random);
        let new = NewSync { id, mapping: "people".to_owned(), trigger: "schedule".to_owned(), change_set: None };
        self.store.begin_sync(&new).await.unwrap();
        self.store.finish(id, state, &Counts::default(), None).await.unwrap();
    }

    /// Waits until there are so many open alerts.
    async fn open(&self, count: usize) {
        let filter = AlertFilter { is_open: Some(true), ..AlertFilter::default() };
        let come = async {
            while self.store.alerts(&filter, None, 10).await.unwrap().len() != count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), come).await.expect("the alert");
    }

    /// Waits until so many messages have come, and gives their lines.
    async fn told(&self, count: usize) -> Vec<String> {
        let come = async {
            while self.server.received().len() < count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), come).await.expect("the messages");
        let line = |request: &kit::testing::Received| request.json()["message"].as_str().unwrap().to_owned();
        self.server.received().iter().map(line).collect()
    }
}

#[tokio::test]
async fn a_failed_sync_is_told_and_so_is_its_recovery() {
    let scene = Scene::new(json!({ "failed": {} })).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(Alerting::new(scene.dispatcher.clone(), "one").run(stop.clone()));
    scene.sync(SyncState::Failed).await;
    scene.open(1).await;
    scene.clock.pass(10);
    assert_eq!(scene.told(1).await, ["people: sync failed"]);
    scene.sync(SyncState::Done).await;
    scene.open(0).await;
    scene.clock.pass(10);
    assert_eq!(scene.told(2).await[1..], ["over: people: sync failed"]);
    stop.cancel();
    running.await.unwrap();
    // Whoever comes next watches at once.
    assert!(scene.store.hold_alert_watch("two", Duration::from_secs(30)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_mapping_that_does_not_start_and_access_that_ends_are_told() {
    let scene = Scene::new(json!({ "late": {}, "credentials_expiring": { "within": "7d" } })).await;
    let due = DueRow {
        mapping: "people".to_owned(),
        model: "customers".to_owned(),
        schedule: "{}".to_owned(),
        enabled: true,
        next_due_at: Some(scene.clock.now() - Duration::from_secs(3_600)),
        last_due_at: None,
        reason: Cause::Schedule,
        waits: false,
        consumed: "{}".to_owned(),
        revision: 0,
    };
    assert_eq!(scene.store.set_due(&[(due, Vec::new())]).await.unwrap(), [true]);
    let ends_at = scene.clock.now() + Duration::from_secs(86_400);
    let tokens = json!({ "access_token": "a", "renew_at": ends_at, "origin": "o" });
    let granted = scene.store.granted_tokens("crm", &scene.dispatcher.keyring);
    granted.save(&tokens.to_string()).await.unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(Alerting::new(scene.dispatcher.clone(), "one").run(stop.clone()));
    scene.open(2).await;
    scene.clock.pass(10);
    assert_eq!(scene.told(1).await, ["2 alerts: 2 new"]);
    let body = scene.server.received()[0].json();
    let mut kinds: Vec<_> = body["events"].as_array().unwrap().iter().map(|event| event["kind"].clone()).collect();
    kinds.sort_by_key(Value::to_string);
    assert_eq!(kinds, ["credentials_expiring", "late"]);
    stop.cancel();
    running.await.unwrap();
}
