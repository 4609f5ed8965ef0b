//! Loops: what cases cannot say, and whole syncs into its simulator.

use std::sync::Arc;

use kit::testing::conformance::{self, Subject};
use kit::testing::{Reply, TestClock};
use kit::{DeliveryError, Destination, Wire};
use mapping::SyncMode;
use serde_json::{Value, json};

use crate::round_trip::{Simulated, delivered_and_rejected};

fn settings() -> Value {
    json!({ "apiKey": "secret-key-1" })
}

fn connect(url: &str) -> Arc<dyn Destination> {
    let mut settings = settings();
    settings["connection"] = json!({ "endpoint": url, "limits": { "requests_per_second": 100_000 } });
    destinations::connect("loops", &settings, &Value::Null).unwrap()
}

fn contact(index: u64) -> Value {
    let list = if index.is_multiple_of(2) { json!(true) } else { json!("false") };
    json!({
        "userId": format!("u{index}"),
        "email": format!("u{index}@example.com"),
        "customAttributes": { "rank": index },
        "mailingLists": { "list1": list },
    })
}

fn event(index: u64) -> Value {
    json!({
        "userId": format!("u{index}"),
        "email": format!("u{index}@example.com"),
        "eventName": "Renewed",
        "eventProperties": { "rank": index },
    })
}

#[tokio::test]
async fn loops_conforms() {
    for (action, fields) in [("createOrUpdateContact", contact as fn(u64) -> Value), ("sendEvent", event)] {
        let subject = Subject {
            connect: Box::new(connect),
            action: action.to_owned(),
            mode: SyncMode::Upsert,
            fields: Box::new(move |index| fields(index).into()),
            accept: Arc::new(|_| Reply::json(200, &json!({ "success": true, "id": "clo1" }))),
            count: Box::new(|_| 1),
            secrets: vec!["secret-key-1".to_owned()],
            empty_is_fine: false,
        };
        assert_eq!(conformance::check(&subject).await, Vec::<String>::new(), "{action}");
    }
}

#[tokio::test]
async fn contacts_arrive_once_and_are_on_their_lists() {
    let tool = Simulated::start("loops", settings(), settings(), Value::Null).await;
    let fates = tool.load("createOrUpdateContact", true, (0..500).map(contact)).await;
    assert_eq!(delivered_and_rejected(&fates).0.len(), 500);
    let held = tool.server.held();
    let contacts = held["contacts"].as_array().unwrap();
    assert_eq!(contacts.len(), 500);
    for contact in contacts {
        let on_list = contact["rank"].as_u64().unwrap().is_multiple_of(2);
        assert_eq!(contact["mailingLists"], if on_list { json!({ "list1": true }) } else { json!({}) });
    }
    tool.load("createOrUpdateContact", true, (0..500).map(contact)).await;
    assert_eq!(tool.server.held()["contacts"].as_array().unwrap().len(), 500);
}

#[tokio::test]
async fn exactly_the_refused_contacts_are_rejected() {
    let tool = Simulated::start("loops", settings(), settings(), json!({ "refuse_percent": 5 })).await;
    let fates = tool.load("createOrUpdateContact", true, (0..500).map(contact)).await;
    let (delivered, rejected) = delivered_and_rejected(&fates);
    assert!((5..60).contains(&rejected.len()), "{}", rejected.len());
    let held = tool.server.held();
    let mut users: Vec<_> = held["contacts"].as_array().unwrap().iter().map(|one| one["userId"].clone()).collect();
    let mut due: Vec<_> = delivered.iter().map(|index| json!(format!("u{index}"))).collect();
    users.sort_by_key(Value::to_string);
    due.sort_by_key(Value::to_string);
    assert_eq!(users, due);
}

#[tokio::test]
async fn events_make_contacts_that_have_an_address() {
    let tool = Simulated::start("loops", settings(), settings(), Value::Null).await;
    let fates = tool.load("sendEvent", true, (0..20).map(event)).await;
    assert_eq!(delivered_and_rejected(&fates).0.len(), 20);
    let fates = tool.load("sendEvent", false, [json!({ "userId": "nobody", "eventName": "Renewed" })]).await;
    assert_eq!(delivered_and_rejected(&fates).1.len(), 1);
    let held = tool.server.held();
    assert_eq!([&held["events"], &held["contacts"]].map(|list| list.as_array().unwrap().len()), [20, 20]);
}

#[tokio::test]
async fn check_tells_the_team_or_that_the_key_is_wrong() {
    let tool = Simulated::start("loops", settings(), settings(), Value::Null).await;
    assert_eq!(tool.destination.check(&tool.wire).await.unwrap(), "the API key is that of the team `Simulated team`");
    let own = json!({ "apiKey": "another-key" });
    let tool = Simulated::start("loops", own, settings(), Value::Null).await;
    let wire = Wire::open(tool.destination.wire_settings(), TestClock::new()).unwrap();
    let error = tool.destination.check(&wire).await.unwrap_err();
    assert!(matches!(error, DeliveryError::CredentialsRefused { .. }), "{error}");
}
