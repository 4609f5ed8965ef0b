//! What `cargo xtask new-destination` begins with: it compiles, conforms, and fails until somebody wrote its words.

use std::sync::Arc;

use kit::simulator::{SimulatorServer, SimulatorSettings};
use kit::testing::conformance::{self, Subject};
use kit::testing::{Received, Reply, TestClock, cases, load_all, load_plan, payload};
use kit::{Destination, Facts, SettingsError, Wire};
use mapping::SyncMode;
use serde_json::{Value, json};

use crate::round_trip::delivered_and_rejected;

#[path = "../../../xtask/template/mod.rs"]
mod example;

const FACTS: &str = include_str!("../../../xtask/template/destination.yaml");
const CASE: &str = include_str!("../../../xtask/template/cases/all_accepted.yaml");

fn connect(settings: &Value) -> Result<Arc<dyn Destination>, SettingsError> {
    let facts = Facts::parse(FACTS).unwrap();
    facts.check_settings(settings)?;
    example::connect(facts, settings, &Value::Null)
}

fn at(url: &str) -> Arc<dyn Destination> {
    connect(&json!({ "api_key": "secret-key-1", "connection": { "endpoint": url } })).unwrap()
}

fn contact(index: u64) -> Value {
    json!({ "id": index.to_string(), "email": format!("a{index}@example.com") })
}

fn carried(request: &Received) -> usize {
    request.json()["records"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn the_template_conforms() {
    let subject = Subject {
        connect: Box::new(at),
        action: "upsertContact".to_owned(),
        mode: SyncMode::Upsert,
        fields: Box::new(|index| contact(index).into()),
        accept: Arc::new(|request| Reply::json(200, &json!({ "accepted": carried(request) }))),
        count: Box::new(carried),
        secrets: vec!["secret-key-1".to_owned()],
        empty_is_fine: false,
    };
    assert_eq!(conformance::check(&subject).await, Vec::<String>::new());
}

#[tokio::test]
async fn its_simulator_holds_what_was_delivered() {
    let settings = SimulatorSettings::read(&json!({ "refuse_percent": 5 })).unwrap();
    let make = || example::simulator(&json!({ "api_key": "secret-key-1" }));
    let server = SimulatorServer::start(0, settings, make).await.unwrap();
    let destination = at(&server.url());
    let limits = kit::Limits::default();
    let wire_settings = kit::WireSettings { limits, ..destination.wire_settings() };
    let wire = Wire::open(wire_settings, TestClock::new()).unwrap();
    assert!(destination.check(&wire).await.is_ok());
    let plan = load_plan(destination, wire, "upsertContact", SyncMode::Upsert);
    let (fates, result) = load_all(&plan, (0..500).map(|index| payload(index, contact(index).into())).collect()).await;
    assert_eq!(result, Ok(()));
    let (delivered, rejected) = delivered_and_rejected(&fates);
    assert!((5..60).contains(&rejected.len()), "{}", rejected.len());
    assert_eq!(server.held()["records"].as_array().unwrap().len(), delivered.len());
}

#[tokio::test]
async fn the_first_case_and_the_facts_say_what_is_left_to_write() {
    let failures = cases::run(CASE, |settings, _| connect(settings)).await.unwrap();
    assert_eq!(failures, ["request 0: `POST /upsertContact`, not `WRITE ME`"]);
    let failures = cases::facts_failures(&Facts::parse(FACTS).unwrap(), "example");
    assert_eq!(failures.len(), 2, "{failures:?}");
}
