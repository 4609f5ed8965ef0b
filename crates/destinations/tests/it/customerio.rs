//! Customer.io: what cases cannot say, and whole syncs into its simulator.

use std::sync::Arc;

use kit::testing::conformance::{self, Subject};
use kit::testing::{Received, Reply};
use kit::{DeliveryError, Destination};
use mapping::SyncMode;
use serde_json::{Value, json};

use crate::round_trip::{Simulated, delivered_and_rejected};

fn settings() -> Value {
    json!({ "siteId": "site-1234", "apiKey": "api-key-5678" })
}

fn connect(url: &str) -> Arc<dyn Destination> {
    let mut settings = settings();
    settings["connection"] = json!({ "endpoint": url });
    destinations::connect("customerio", &settings, &Value::Null).unwrap()
}

fn carried(request: &Received) -> usize {
    request.json()["batch"].as_array().map_or(1, Vec::len)
}

#[tokio::test]
async fn customerio_conforms() {
    let subject = Subject {
        connect: Box::new(connect),
        action: "createUpdatePerson".to_owned(),
        mode: SyncMode::Upsert,
        fields: Box::new(|index| json!({ "id": format!("u{index}"), "custom_attributes": { "rank": index } }).into()),
        accept: Arc::new(|_| Reply::json(200, &json!({}))),
        count: Box::new(carried),
        secrets: vec!["site-1234".to_owned(), "api-key-5678".to_owned()],
        empty_is_fine: false,
    };
    assert_eq!(conformance::check(&subject).await, Vec::<String>::new());
}

fn person(index: u64) -> Value {
    json!({ "id": format!("u{index}"), "custom_attributes": { "rank": index }, "group_id": "acme" })
}

#[tokio::test]
async fn five_hundred_people_arrive_with_five_requests() {
    let tool = Simulated::start("customerio", settings(), settings(), Value::Null).await;
    let fates = tool.load("createUpdatePerson", true, (0..500).map(person)).await;
    assert_eq!(delivered_and_rejected(&fates).0.len(), 500);
    let held = tool.server.held();
    assert_eq!(held["people"].as_object().unwrap().len(), 500);
    assert_eq!(held["people"]["id u499"]["attributes"], json!({ "rank": 499 }));
    assert_eq!(held["objects"]["1 acme"]["people"].as_array().unwrap().len(), 500);
    assert_eq!(tool.server.counts().0, 5);

    // What is sent again changes nothing, and who is deleted is gone.
    tool.load("createUpdatePerson", false, (0..3).map(person)).await;
    assert_eq!(tool.server.held(), held);
    let people = (0..100).map(|index| json!({ "person_id": format!("u{index}") }));
    tool.load("deletePerson", true, people).await;
    assert_eq!(tool.server.held()["people"].as_object().unwrap().len(), 400);
}

#[tokio::test]
async fn exactly_the_refused_people_are_rejected() {
    let tool = Simulated::start("customerio", settings(), settings(), json!({ "refuse_percent": 5 })).await;
    let fates = tool.load("createUpdatePerson", true, (0..500).map(person)).await;
    let (delivered, rejected) = delivered_and_rejected(&fates);
    assert!((5..60).contains(&rejected.len()), "{}", rejected.len());
    let held = tool.server.held();
    let people = held["people"].as_object().unwrap();
    assert_eq!(people.len(), delivered.len());
    assert!(delivered.iter().all(|key| people.contains_key(&format!("id u{key}"))));
}

#[tokio::test]
async fn events_devices_objects_and_reports_are_kept() {
    let tool = Simulated::start("customerio", settings(), settings(), Value::Null).await;
    let event = |index: u64| json!({ "id": "u1", "name": "Renewed", "event_id": format!("m{}", index % 150) });
    tool.load("trackEvent", true, (0..200).map(event)).await;
    let device = json!({ "person_id": "u1", "device_id": "t1", "platform": "ios", "last_used": "2024-06-10" });
    tool.load("createUpdateDevice", true, [device]).await;
    let object = |id: &str, key: &str| json!({ "id": id, key: "u1", "custom_attributes": { "name": id } });
    tool.load("createUpdateObject", true, [object("acme", "user_id"), object("beta", "anonymous_id")]).await;
    tool.load("deleteRelationship", true, [json!({ "person_id": "u1", "object_id": "acme" })]).await;
    tool.load("reportDeliveryEvent", true, [json!({ "delivery_id": "d1", "metric": "opened" })]).await;
    tool.load("mergePeople", true, [json!({ "primary": "u2", "secondary": "u1" })]).await;
    tool.load("suppressPerson", true, [json!({ "person_id": "u3" })]).await;
    let held = tool.server.held();
    assert_eq!(held["people"]["id u2"]["events"].as_array().unwrap().len(), 150);
    assert_eq!(held["people"]["id u2"]["devices"]["t1"]["platform"], "ios");
    assert!(held["people"].get("id u1").is_none());
    assert_eq!(held["objects"]["1 acme"]["people"], json!([]));
    assert_eq!(held["objects"]["1 beta"]["people"], json!(["anonymous_id u1"]));
    assert_eq!(held["reports"][0]["metric"], "opened");
    assert_eq!(held["suppressed"], json!(["id u3"]));
}

#[tokio::test]
async fn credentials_are_checked_in_the_accounts_region() {
    let tool = Simulated::start("customerio", settings(), settings(), Value::Null).await;
    assert_eq!(tool.destination.check(&tool.wire).await.unwrap(), "https://track.customer.io takes the credentials");
    let mut wrong = settings();
    wrong["apiKey"] = json!("another-key");
    wrong["accountRegion"] = json!("EU 🇪🇺");
    let tool = Simulated::start("customerio", wrong, settings(), Value::Null).await;
    assert!(matches!(tool.destination.check(&tool.wire).await, Err(DeliveryError::CredentialsRefused { .. })));
    assert_eq!(tool.wire.exchanges().last().unwrap().method, "GET");
}
