//! Mixpanel beyond its cases: what every destination must do, and whole syncs into the simulator.

use std::sync::Arc;
use std::time::Duration;

use kit::simulator::{SimulatorServer, SimulatorSettings};
use kit::testing::conformance::{self, Subject};
use kit::testing::{Received, Reply, TestClock, load_all, load_plan, payload};
use kit::{Destination, Fate, Wire};
use mapping::SyncMode;
use serde_json::{Value, json};

fn settings(url: &str) -> Value {
    json!({ "connection": { "endpoint": url }, "projectToken": "token-1", "apiSecret": "secret-word-1" })
}

fn connect(url: &str) -> Arc<dyn Destination> {
    destinations::connect("mixpanel", &settings(url), &Value::Null).unwrap()
}

fn count(request: &Received) -> usize {
    request.json().as_array().map_or(1, Vec::len)
}

#[tokio::test]
async fn it_does_what_every_destination_must_with_events() {
    let subject = Subject {
        connect: Box::new(connect),
        action: "trackEvent".to_owned(),
        mode: SyncMode::Upsert,
        fields: Box::new(|index| json!({ "event": "Paid", "insert_id": format!("e{index}"), "time": 1000 }).into()),
        accept: Arc::new(|request| {
            Reply::json(200, &json!({ "code": 200, "num_records_imported": count(request), "status": "OK" }))
        }),
        count: Box::new(count),
        secrets: vec!["secret-word-1".to_owned()],
        empty_is_fine: false,
    };
    assert_eq!(conformance::check(&subject).await, Vec::<String>::new());
}

#[tokio::test]
async fn it_does_what_every_destination_must_with_profiles() {
    let subject = Subject {
        connect: Box::new(connect),
        action: "identifyUser".to_owned(),
        mode: SyncMode::Upsert,
        fields: Box::new(|index| json!({ "user_id": format!("u{index}"), "traits": { "plan": "pro" } }).into()),
        accept: Arc::new(|request| Reply::json(200, &json!({ "status": 1, "num_good_events": count(request) }))),
        count: Box::new(count),
        secrets: vec!["secret-word-1".to_owned()],
        empty_is_fine: false,
    };
    assert_eq!(conformance::check(&subject).await, Vec::<String>::new());
}

/// Sends that many records to a simulator, and gives their fates and what the simulator then holds.
async fn sync(action: &str, batching: bool, simulated: Value, records: Vec<Value>) -> (Vec<Fate>, Value, u64) {
    let simulated = SimulatorSettings::read(&simulated).unwrap();
    let make = || destinations::simulator("mixpanel", &settings("")).unwrap();
    let server = SimulatorServer::start(0, simulated, make).await.unwrap();
    let destination = connect(&server.url());
    let wire = Wire::open(destination.wire_settings(), TestClock::new()).unwrap();
    assert_eq!(destination.check(&wire).await.unwrap(), "Mixpanel knows the project and its secret");
    let mut plan = load_plan(destination, wire, action, SyncMode::Upsert);
    plan.batching = batching;
    plan.retry.delay_first = Duration::from_millis(2);
    plan.retry.delay_max = Duration::from_millis(5);
    let payloads = records.into_iter().enumerate().map(|(index, fields)| payload(index as u64, fields.into()));
    let (fates, result) = load_all(&plan, payloads.collect()).await;
    assert_eq!(result, Ok(()));
    (fates, server.held(), server.counts().0 - 1)
}

fn rejected(fates: &[Fate]) -> Vec<usize> {
    fates.iter().enumerate().filter(|(_, fate)| !fate.outcome.is_delivered()).map(|(index, _)| index).collect()
}

fn event(index: usize) -> Value {
    // As the default mapping makes it: the insert id is the id of the change.
    let message_id = payload(index as u64, Value::Null.into()).message_id;
    json!({ "event": "Paid", "distinct_id": format!("u{index}"), "insert_id": message_id, "time": "2024-06-10T08:30:00Z" })
}

#[tokio::test]
async fn a_sync_of_events_is_held_whole() {
    let (fates, held, requests) = sync("trackEvent", true, json!({}), (0..500).map(event).collect()).await;
    assert_eq!(rejected(&fates), Vec::<usize>::new());
    assert_eq!(held["events"].as_array().unwrap().len(), 500);
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn just_the_refused_events_are_rejected() {
    let (fates, held, _) =
        sync("trackEvent", true, json!({ "refuse_percent": 5, "seed": 3 }), (0..500).map(event).collect()).await;
    let rejected = rejected(&fates);
    assert!((10..=45).contains(&rejected.len()), "{}", rejected.len());
    let held: Vec<_> =
        held["events"].as_array().unwrap().iter().map(|event| &event["properties"]["distinct_id"]).collect();
    assert_eq!(held.len() + rejected.len(), 500);
    assert!(rejected.iter().all(|index| !held.contains(&&json!(format!("u{index}")))));
}

#[tokio::test]
async fn a_sync_through_faults_holds_each_event_once() {
    let faults = json!({ "faults": [{ "fault": "drop", "every": 3, "path": "/import", "taken": true }] });
    let (fates, held, _) = sync("trackEvent", false, faults, (0..40).map(event).collect()).await;
    assert_eq!(rejected(&fates), Vec::<usize>::new());
    assert_eq!(held["events"].as_array().unwrap().len(), 40);
}

#[tokio::test]
async fn profiles_are_the_same_one_by_one_and_as_a_list() {
    let user = |index: usize| {
        let anonymous = index.is_multiple_of(3).then(|| format!("a{index}"));
        json!({ "user_id": format!("u{index}"), "anonymous_id": anonymous, "traits": { "name": format!("Name {index}"), "n": index } })
    };
    let refusals = json!({ "refuse": [{ "field": "$set.n", "equals": 7 }] });
    let (many, held_of_many, requests) =
        sync("identifyUser", true, refusals.clone(), (0..50).map(user).collect()).await;
    let (single, held_of_single, _) = sync("identifyUser", false, refusals, (0..50).map(user).collect()).await;
    assert_eq!(rejected(&many), [7]);
    assert_eq!(rejected(&single), [7]);
    assert_eq!(held_of_many, held_of_single);
    assert_eq!(held_of_many["users"].as_object().unwrap().len(), 49);
    assert_eq!(held_of_many["ids"]["a3"], "u3");
    assert_eq!(requests, 2);
}

#[tokio::test]
async fn groups_aliases_and_increments_arrive_as_lists() {
    let group = |index: usize| json!({ "group_id": format!("g{index}"), "traits": { "size": index } });
    let (fates, held, requests) = sync("groupIdentifyUser", true, json!({}), (0..450).map(group).collect()).await;
    assert_eq!((rejected(&fates).len(), held["groups"].as_object().unwrap().len(), requests), (0, 450, 3));
    let alias = |index: usize| json!({ "alias": format!("n{index}"), "distinct_id": format!("o{index}") });
    let (fates, held, requests) = sync("alias", true, json!({}), (0..50).map(alias).collect()).await;
    assert_eq!((rejected(&fates).len(), held["ids"].as_object().unwrap().len(), requests), (0, 50, 1));
    let addition = |index: usize| json!({ "user_id": format!("u{}", index % 5), "increment": { "visits": 1 } });
    let (fates, held, requests) = sync("incrementProperties", true, json!({}), (0..50).map(addition).collect()).await;
    assert_eq!((rejected(&fates).len(), &held["users"]["u0"]["visits"], requests), (0, &json!(10.0), 1));
}

#[tokio::test]
async fn an_order_with_more_events_than_a_request_takes_goes_in_several() {
    let order = |index: usize| {
        let products: Vec<_> = (0..30).map(|product| json!({ "sku": format!("s{product}") })).collect();
        json!({ "event": "Ordered", "insert_id": format!("o-{index}"), "time": "2024-06-10T08:30:00Z", "products": products, "generatePurchaseEventPerProduct": true })
    };
    let (fates, held, requests) = sync("trackPurchase", true, json!({}), (0..100).map(order).collect()).await;
    assert_eq!(rejected(&fates), Vec::<usize>::new());
    assert_eq!(held["events"].as_array().unwrap().len(), 3100);
    assert_eq!(requests, 2);
}
