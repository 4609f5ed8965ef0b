//! From syncs in a store to alerts: what a watcher writes down, once, whoever looks.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use records::{Counts, SyncId};
use serde_json::{Value, json};
use store::{Actor, AlertEventFilter, Author, HeldReason, ModelColumn, NewSync, SyncError, SyncState};

use super::*;

#[derive(Debug)]
struct HandClock(AtomicI64);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        second(self.0.load(Ordering::SeqCst))
    }
}

#[derive(Debug, Default)]
struct Counting(AtomicU64);

impl Random for Counting {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst).swap_bytes()
    }
}

fn second(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

/// A store with a mapping `people` of the model `customers`, and whoever looks at it.
struct Scene {
    store: Store,
    clock: Arc<HandClock>,
    random: Arc<Counting>,
    watcher: Watcher,
    mappings: WatchedMappings,
}

impl Scene {
    async fn new(rule: Value) -> Self {
        let clock = Arc::new(HandClock(AtomicI64::new(100_000)));
        let random = Arc::new(Counting::default());
        let store = Store::open_in_memory(Arc::<HandClock>::clone(&clock)).await.unwrap();
        let watcher = watcher(&store, &clock, &random, "one");
        let mapping = WatchedMapping {
            model: "customers".to_owned(),
            destination: "crm".to_owned(),
            source: "shop".to_owned(),
            is_enabled: true,
        };
        let mappings = BTreeMap::from([("people".to_owned(), mapping)]);
        let mut scene = Self { store, clock, random, watcher, mappings };
        scene.store.create_channel("ops", &json!({ "type": "slack" }), &scene.author()).await.unwrap();
        scene.set_rule(rule).await;
        scene.look().await;
        scene
    }

    fn author(&self) -> Author {
        let actor = Actor { id: "user_1".to_owned(), name: "Anna".to_owned() };
        Author::new(actor, None, Arc::<Counting>::clone(&self.random))
    }

    async fn set_rule(&self, mut rule: Value) {
        rule["channels"] = json!(["ops"]);
        let author = self.author();
        if self.store.create_alert_rule("production", &rule, &author).await.is_err() {
            self.store.replace_alert_rule("production", None, &rule, &author).await.unwrap();
        }
    }

    fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds, Ordering::SeqCst);
    }

    async fn look(&mut self) {
        assert!(self.watcher.look(&self.mappings).await.unwrap());
    }

    async fn look_around(&mut self, due: Option<DueFacts>, credentials: Option<&[WatchedCredential]>) {
        let due = due.map(|due| BTreeMap::from([("people".to_owned(), due)]));
        self.watcher.look_around(&self.mappings, due.as_ref(), credentials).await.unwrap();
    }

    /// A sync that ends now.
    async fn sync(&self, state: SyncState, counts: Counts) -> SyncId {
        let id = self.begin().await;
        let error = SyncError { code: "broken".to_owned(), message: "it broke".to_owned(), hint: None };
        let error = Some(&error).filter(|_| state == SyncState::Failed);
        self.store.finish(id, state, &counts, error).await.unwrap();
        id
    }

    async fn begin(&self) -> SyncId {
        let id = SyncId::new(self.clock.now(), &*self.random);
        let new = NewSync { id, mapping: "people".to_owned(), trigger: "schedule".to_owned(), change_set: None };
        self.store.begin_sync(&new).await.unwrap();
        id
    }

    /// What was written down, oldest first, and whether it was told.
    async fn story(&self) -> Vec<String> {
        let events = self.store.alert_events(&AlertEventFilter::default(), "", None, 100).await.unwrap();
        let mut told = Vec::new();
        for dispatch in self.store.dispatches(&Default::default(), None, 100).await.unwrap() {
            told.extend(self.store.events_of_dispatch(dispatch.id).await.unwrap().into_iter().map(|event| event.id));
        }
        let word = |id| if told.contains(&id) { "told" } else { "silent" };
        let said = |event: &store::AlertEventRow| {
            let subject = &event.alert.subject;
            let change = event.change.name();
            format!("{change} {} {} {} ({})", subject.kind, subject.name, event.alert.kind, word(event.id))
        };
        events.iter().rev().map(said).collect()
    }
}

fn watcher(store: &Store, clock: &Arc<HandClock>, random: &Arc<Counting>, name: &str) -> Watcher {
    Watcher::new(store.clone(), Arc::<HandClock>::clone(clock), Arc::<Counting>::clone(random), name)
}

fn extracted(rows: u64) -> Counts {
    Counts { extracted: rows, ..Counts::default() }
}

#[tokio::test]
async fn a_failed_sync_is_told_once_and_its_end_too() {
    let mut scene = Scene::new(json!({ "when": { "failed": {} } })).await;
    for _ in 0..3 {
        scene.pass(5);
        scene.sync(SyncState::Failed, Counts::default()).await;
        scene.look().await;
        scene.look().await;
    }
    assert_eq!(scene.story().await, ["raised mapping people failed (told)"]);
    scene.pass(5);
    scene.sync(SyncState::Done, Counts::default()).await;
    scene.look().await;
    assert_eq!(scene.story().await, ["raised mapping people failed (told)", "recovered mapping people failed (told)"]);
    let alert = scene.store.alerts(&Default::default(), None, 1).await.unwrap().remove(0);
    assert_eq!((alert.message.as_str(), &alert.details), ("the sync failed: it broke", &json!({ "code": "broken" })));
}

#[tokio::test]
async fn who_takes_over_misses_nothing_and_repeats_nothing() {
    let mut scene = Scene::new(json!({ "when": { "failed": {}, "zero_rows": {} } })).await;
    let mut other = watcher(&scene.store, &scene.clock, &scene.random, "two");
    scene.pass(5);
    scene.sync(SyncState::Failed, Counts::default()).await;
    scene.look().await;
    assert!(!other.look(&scene.mappings).await.unwrap(), "the first looks");
    // The first ends without a word, and a sync after it too.
    scene.pass(40);
    scene.sync(SyncState::Done, extracted(0)).await;
    assert!(other.look(&scene.mappings).await.unwrap());
    assert!(!scene.watcher.look(&scene.mappings).await.unwrap());
    let story = [
        "raised mapping people failed (told)",
        "recovered mapping people failed (told)",
        "raised mapping people zero_rows (told)",
    ];
    assert_eq!(scene.story().await, story);
    other.leave().await.unwrap();
    scene.look().await;
    assert_eq!(scene.story().await, story);
}

#[tokio::test]
async fn an_end_that_is_written_late_is_seen() {
    let mut scene = Scene::new(json!({ "when": { "failed": {} } })).await;
    let id = scene.begin().await;
    // It ended at this moment, but the store could not be reached.
    scene.pass(60);
    scene.look().await;
    scene.clock.0.fetch_sub(50, Ordering::SeqCst);
    scene.store.finish(id, SyncState::Failed, &Counts::default(), None).await.unwrap();
    scene.pass(52);
    scene.look().await;
    assert_eq!(scene.story().await, ["raised mapping people failed (told)"]);
}

#[tokio::test]
async fn a_held_sync_is_told_until_it_is_released() {
    let mut scene = Scene::new(json!({ "when": { "held": {} } })).await;
    let id = scene.begin().await;
    let reason = HeldReason { code: "deletions".to_owned(), message: "many would be deleted".to_owned() };
    scene.store.hold(id, &reason).await.unwrap();
    for _ in 0..50 {
        scene.pass(5);
        scene.look().await;
    }
    assert_eq!(scene.story().await, ["raised mapping people held (told)"]);
    scene.store.set_state(id, SyncState::Loading).await.unwrap();
    scene.look().await;
    scene.pass(5);
    scene.store.finish(id, SyncState::Done, &Counts::default(), None).await.unwrap();
    scene.look().await;
    assert_eq!(scene.story().await, ["raised mapping people held (told)", "recovered mapping people held (told)"]);
}

#[tokio::test]
async fn a_mapping_is_late_until_it_starts() {
    let mut scene = Scene::new(json!({ "when": { "late": { "tolerance": "10m" } } })).await;
    assert_eq!(scene.watcher.wants().await.unwrap(), Wants { due: true, credentials: false });
    let due = |waiting_since| DueFacts { waiting_since, running_since: None, ended_at: None, enabled_since: second(0) };
    let since = scene.clock.now();
    for _ in 0..15 {
        scene.pass(60);
        scene.look_around(Some(due(Some(since))), None).await;
    }
    scene.look_around(Some(due(None)), None).await;
    assert_eq!(scene.story().await, ["raised mapping people late (told)", "recovered mapping people late (told)"]);
    let events = scene.store.alert_events(&AlertEventFilter::default(), "", None, 10).await.unwrap();
    assert_eq!(events[1].at, since + Duration::from_secs(660));
}

#[tokio::test]
async fn silence_is_told_by_the_last_end_of_a_sync() {
    let rule = json!({ "when": { "late": { "silence": "1h" } } });
    let mut scene = Scene::new(rule).await;
    let due = DueFacts { waiting_since: None, running_since: None, ended_at: None, enabled_since: second(0) };
    scene.sync(SyncState::Done, Counts::default()).await;
    scene.pass(3_600);
    scene.look_around(Some(due), None).await;
    assert!(scene.story().await.is_empty());
    scene.pass(1);
    scene.look_around(Some(due), None).await;
    scene.sync(SyncState::Done, Counts::default()).await;
    scene.look().await;
    scene.look_around(Some(due), None).await;
    assert_eq!(scene.story().await, ["raised mapping people late (told)", "recovered mapping people late (told)"]);
    // A mapping without a schedule is never late.
    scene.pass(3_601);
    scene.look_around(Some(due), None).await;
    scene.watcher.look_around(&scene.mappings, Some(&BTreeMap::new()), None).await.unwrap();
    assert_eq!(scene.story().await[2..], ["raised mapping people late (told)", "recovered mapping people late (told)"]);
}

#[tokio::test]
async fn a_rate_recovers_as_bad_syncs_leave_the_window() {
    let rule = json!({ "when": { "delivery_rate": { "below_percent": 90, "window": "1h", "records_min": 10 } } });
    let mut scene = Scene::new(rule).await;
    scene.sync(SyncState::Partly, Counts { delivered: 80, rejected: 20, ..Counts::default() }).await;
    scene.look().await;
    scene.pass(3_000);
    scene.sync(SyncState::Done, Counts { delivered: 50, ..Counts::default() }).await;
    scene.look().await;
    scene.look_around(None, None).await;
    assert_eq!(scene.story().await, ["raised mapping people delivery_rate (told)"]);
    scene.pass(601);
    scene.look_around(None, None).await;
    assert_eq!(scene.story().await[1..], ["recovered mapping people delivery_rate (told)"]);
}

#[tokio::test]
async fn changed_columns_are_told_once_each_time() {
    let mut scene = Scene::new(json!({ "when": { "schema_changed": {} } })).await;
    let columns = |names: &[&str]| {
        let column = |name: &&str| ModelColumn { name: (*name).to_owned(), kind: "text".to_owned() };
        names.iter().map(column).collect::<Vec<_>>()
    };
    for (names, model) in [
        (&["id"][..], "customers"),
        (&["id", "email"], "customers"),
        (&["id", "email"], "customers"),
        (&["id"], "customers"),
        (&["id"], "others"),
        (&["key"], "others"),
    ] {
        scene.pass(5);
        scene.store.note_columns(model, &columns(names), None).await.unwrap();
        scene.look().await;
        scene.look().await;
    }
    // The model `others` has no mapping that is watched.
    let told = "raised model customers schema_changed (told)";
    assert_eq!(scene.story().await, [told, told]);
    assert!(scene.store.open_alerts().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_first_of_a_connections_credentials_to_end_is_told() {
    let rule = json!({ "when": { "credentials_expiring": { "within": "1d" } }, "watch": { "mappings": ["people"] } });
    let mut scene = Scene::new(rule).await;
    let now = scene.clock.now();
    let credential = |kind: &str, name: &str, hours: u64| WatchedCredential {
        subject: Subject { kind: kind.to_owned(), name: name.to_owned() },
        facts: CredentialFacts {
            what: format!("the access for {hours} hours"),
            ends_at: now + Duration::from_secs(hours * 3_600),
        },
    };
    let credentials = [
        credential("destination", "crm", 50),
        credential("destination", "crm", 20),
        credential("source", "shop", 25),
        // No mapping that is watched uses it.
        credential("destination", "mail", 1),
    ];
    scene.look_around(None, Some(&credentials)).await;
    assert_eq!(scene.story().await, ["raised destination crm credentials_expiring (told)"]);
    // What was not found out changes nothing.
    scene.look_around(None, None).await;
    assert_eq!(scene.story().await.len(), 1);
    scene.look_around(None, Some(&credentials[..1])).await;
    assert_eq!(scene.story().await[1..], ["recovered destination crm credentials_expiring (told)"]);
}

#[tokio::test]
async fn what_lasts_is_told_again_and_what_nobody_watches_for_is_dropped() {
    let rule = json!({ "when": { "failed": {} }, "repeat_every": "1h" });
    let mut scene = Scene::new(rule).await;
    scene.sync(SyncState::Failed, Counts::default()).await;
    scene.look().await;
    for _ in 0..61 {
        scene.pass(60);
        scene.look_around(None, None).await;
    }
    assert_eq!(scene.story().await, ["raised mapping people failed (told)", "repeated mapping people failed (told)"]);
    scene.mappings.get_mut("people").unwrap().is_enabled = false;
    scene.look_around(None, None).await;
    assert_eq!(scene.story().await[2..], ["dropped mapping people failed (silent)"]);
    assert!(scene.store.open_alerts().await.unwrap().is_empty());

    scene.mappings.get_mut("people").unwrap().is_enabled = true;
    scene.sync(SyncState::Failed, Counts::default()).await;
    scene.look().await;
    scene.set_rule(json!({ "when": { "held": {} } })).await;
    scene.look_around(None, None).await;
    assert_eq!(
        scene.story().await[3..],
        ["raised mapping people failed (told)", "dropped mapping people failed (silent)"]
    );
}

#[tokio::test]
async fn a_muted_rule_tells_afterwards_what_lasts() {
    let mut scene = Scene::new(json!({ "when": { "failed": {} } })).await;
    let until = scene.clock.now() + Duration::from_secs(600);
    scene.store.mute_alert_rule("production", Some(until), &scene.author()).await.unwrap();
    scene.sync(SyncState::Failed, Counts::default()).await;
    scene.look().await;
    scene.look_around(None, None).await;
    assert_eq!(scene.story().await, ["raised mapping people failed (silent)"]);
    scene.pass(600);
    scene.look_around(None, None).await;
    scene.look_around(None, None).await;
    assert_eq!(scene.story().await, ["raised mapping people failed (silent)", "raised mapping people failed (told)"]);
}

#[tokio::test]
async fn many_syncs_that_ended_at_once_are_all_looked_at() {
    let mut scene = Scene::new(json!({ "when": { "failed": {} } })).await;
    let mapping = scene.mappings["people"].clone();
    let count = SYNCS_MAX as usize + 50;
    for number in 0..count {
        let name = format!("mapping-{number}");
        let id = SyncId::new(scene.clock.now(), &*scene.random);
        let new = NewSync { id, mapping: name.clone(), trigger: "schedule".to_owned(), change_set: None };
        scene.store.begin_sync(&new).await.unwrap();
        scene.store.finish(id, SyncState::Failed, &Counts::default(), None).await.unwrap();
        scene.mappings.insert(name, mapping.clone());
    }
    scene.look().await;
    assert_eq!(scene.store.open_alerts().await.unwrap().len(), count);
    let dispatches = scene.store.dispatches(&Default::default(), None, 10).await.unwrap();
    let mut events: Vec<_> = dispatches.iter().map(|dispatch| dispatch.events).collect();
    events.sort_unstable();
    assert_eq!(events, [50, 1_000], "they are told in as few messages as can be");
}
