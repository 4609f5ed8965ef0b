//! Intercom beyond its cases: what every destination must do, and whole syncs into the simulator.

use std::sync::Arc;
use std::time::Duration;

use kit::simulator::{SimulatorServer, SimulatorSettings};
use kit::testing::conformance::{self, Subject};
use kit::testing::{Reply, Server, TestClock, batch, load_all, load_plan, payload};
use kit::{DeliveryError, Destination, Fate, Wire};
use mapping::SyncMode;
use serde_json::{Value, json};

fn connect(url: &str) -> Arc<dyn Destination> {
    let connection = json!({ "endpoint": url, "limits": { "requests_per_second": 100_000, "burst": 1000 } });
    let settings = json!({ "connection": connection, "oauth": { "access_token": "token-word-1" } });
    destinations::connect("intercom", &settings, &Value::Null).unwrap()
}

fn subject(action: &str, fields: fn(u64) -> Value, answer: fn() -> Reply, empty_is_fine: bool) -> Subject {
    Subject {
        connect: Box::new(connect),
        action: action.to_owned(),
        mode: SyncMode::Upsert,
        fields: Box::new(move |index| fields(index).into()),
        accept: Arc::new(move |_| answer()),
        count: Box::new(|_| 1),
        secrets: vec!["token-word-1".to_owned()],
        empty_is_fine,
    }
}

#[tokio::test]
async fn it_does_what_every_destination_must() {
    let event = |index| json!({ "event_name": "paid", "created_at": 1_718_008_200 + index, "user_id": "u1" });
    let events = subject("trackEvent", event, || Reply::status(202), true);
    assert_eq!(conformance::check(&events).await, Vec::<String>::new());
    // Without ids there is no search, so each record is one request.
    let lead = |index: u64| json!({ "role": "lead", "name": format!("Lead {index}") });
    let leads = subject("identifyContact", lead, || Reply::json(200, &json!({ "type": "contact", "id": "c1" })), false);
    assert_eq!(conformance::check(&leads).await, Vec::<String>::new());
}

#[tokio::test]
async fn the_end_of_the_window_is_when_to_come_again() {
    // Ten seconds after the clock of tests begins.
    let limited = || Reply::status(429).with_header("x-ratelimit-reset", "1767225610");
    let server = Server::start(move |_| limited()).await.unwrap();
    let destination = connect(&server.url());
    let wire = Wire::open(destination.wire_settings(), TestClock::new()).unwrap();
    let records = vec![payload(0, json!({ "event_name": "paid", "created_at": 1, "user_id": "u1" }).into())];
    let error = destination.deliver(&batch("trackEvent", SyncMode::Upsert, records), &wire).await.unwrap_err();
    assert_eq!(error, DeliveryError::RateLimited { after: Some(Duration::from_secs(10)) });
}

async fn simulator(settings: Value) -> SimulatorServer {
    let make = || destinations::simulator("intercom", &json!({ "oauth": { "access_token": "token-word-1" } })).unwrap();
    SimulatorServer::start(0, SimulatorSettings::read(&settings).unwrap(), make).await.unwrap()
}

async fn sync(server: &SimulatorServer, action: &str, records: Vec<Value>) -> Vec<Fate> {
    let destination = connect(&server.url());
    let wire = Wire::open(destination.wire_settings(), TestClock::new()).unwrap();
    let plan = load_plan(destination, wire, action, SyncMode::Upsert);
    let payloads = records.into_iter().enumerate().map(|(index, fields)| payload(index as u64, fields.into()));
    let (fates, result) = load_all(&plan, payloads.collect()).await;
    assert_eq!(result, Ok(()));
    fates
}

fn rejected(fates: &[Fate]) -> Vec<usize> {
    fates.iter().enumerate().filter(|(_, fate)| !fate.outcome.is_delivered()).map(|(index, _)| index).collect()
}

fn contact(index: usize) -> Value {
    json!({ "role": "user", "external_id": format!("u{index}"), "email": format!("u{index}@example.com"), "name": format!("Name {index}") })
}

#[tokio::test]
async fn contacts_are_created_then_updated() {
    let server = simulator(json!({})).await;
    let wire = Wire::open(connect(&server.url()).wire_settings(), TestClock::new()).unwrap();
    let said = connect(&server.url()).check(&wire).await.unwrap();
    assert_eq!(said, "signed in as `admin@example.com` to the workspace `Simulated workspace`");
    assert_eq!(rejected(&sync(&server, "identifyContact", (0..500).map(contact).collect()).await), Vec::<usize>::new());
    let renamed = |index| json!({ "role": "user", "external_id": format!("u{index}"), "name": "New" });
    assert_eq!(rejected(&sync(&server, "identifyContact", (0..500).map(renamed).collect()).await), Vec::<usize>::new());
    let held = server.held();
    let contacts = held["contacts"].as_array().unwrap();
    assert_eq!(contacts.len(), 500);
    assert!(contacts.iter().all(|contact| contact["name"] == "New" && contact["email"].is_string()));
}

#[tokio::test]
async fn just_the_refused_contacts_are_rejected() {
    let server = simulator(json!({ "refuse_percent": 5, "seed": 3 })).await;
    let rejected = rejected(&sync(&server, "identifyContact", (0..500).map(contact).collect()).await);
    assert!((10..=45).contains(&rejected.len()), "{}", rejected.len());
    let held = server.held();
    let held: Vec<_> = held["contacts"].as_array().unwrap().iter().map(|contact| &contact["external_id"]).collect();
    assert_eq!(held.len() + rejected.len(), 500);
    assert!(rejected.iter().all(|index| !held.contains(&&json!(format!("u{index}")))));
}

#[tokio::test]
async fn companies_hold_their_contacts_and_events_find_theirs() {
    let server = simulator(json!({})).await;
    sync(&server, "identifyContact", (0..3).map(contact).collect()).await;
    let company = |index: usize| json!({ "company_id": format!("g{}", index % 2), "external_id": format!("u{index}"), "name": "Acme" });
    let fates = sync(&server, "groupIdentifyContact", (0..4).map(company).collect()).await;
    // The fourth contact is not there.
    assert_eq!(rejected(&fates), [3]);
    let event = |index: usize| json!({ "event_name": "paid", "created_at": 1_718_008_200, "email": format!("u{index}@example.com") });
    let fates = sync(&server, "trackEvent", (0..4).map(event).collect()).await;
    assert_eq!(rejected(&fates), [3]);
    let held = server.held();
    assert_eq!(held["companies"].as_array().unwrap().len(), 2);
    assert_eq!(held["companies"][0]["contacts"].as_array().unwrap().len(), 2);
    assert_eq!(held["events"].as_array().unwrap().len(), 3);
}
