//! Iterable: what cases cannot say, and whole syncs into its simulator.

use std::sync::Arc;

use kit::testing::conformance::{self, Subject};
use kit::testing::{Received, Reply};
use kit::{DeliveryError, Destination};
use mapping::SyncMode;
use serde_json::{Value, json};

use crate::round_trip::{Simulated, delivered_and_rejected};

fn settings() -> Value {
    json!({ "apiKey": "server-key-1" })
}

fn connect(url: &str) -> Arc<dyn Destination> {
    let mut settings = settings();
    settings["connection"] = json!({ "endpoint": url });
    destinations::connect("iterable", &settings, &Value::Null).unwrap()
}

fn carried(request: &Received) -> usize {
    request.json()["users"].as_array().map_or(1, Vec::len)
}

#[tokio::test]
async fn iterable_conforms() {
    let subject = Subject {
        connect: Box::new(connect),
        action: "updateUser".to_owned(),
        mode: SyncMode::Upsert,
        fields: Box::new(|index| json!({ "userId": format!("u{index}"), "dataFields": { "rank": index } }).into()),
        accept: Arc::new(|request| {
            Reply::json(200, &json!({ "successCount": carried(request), "failCount": 0, "failedUpdates": {} }))
        }),
        count: Box::new(carried),
        secrets: vec!["server-key-1".to_owned()],
        empty_is_fine: false,
    };
    assert_eq!(conformance::check(&subject).await, Vec::<String>::new());
}

fn user(index: u64) -> Value {
    match index % 2 {
        0 => json!({ "email": format!("U{index}@example.com"), "dataFields": { "rank": index } }),
        _ => json!({ "userId": format!("u{index}"), "dataFields": { "rank": index } }),
    }
}

fn key(index: &str) -> String {
    let index: u64 = index.parse().unwrap();
    if index.is_multiple_of(2) { format!("email u{index}@example.com") } else { format!("id u{index}") }
}

#[tokio::test]
async fn two_thousand_users_arrive_with_two_requests() {
    let tool = Simulated::start("iterable", settings(), settings(), Value::Null).await;
    let fates = tool.load("updateUser", true, (0..2000).map(user)).await;
    assert_eq!(delivered_and_rejected(&fates).0.len(), 2000);
    let held = tool.server.held();
    assert_eq!(held["users"].as_object().unwrap().len(), 2000);
    assert_eq!(held["users"]["id u7"], json!({ "userId": "u7", "rank": 7 }));
    assert_eq!(tool.server.counts().0, 2);
    tool.load("updateUser", false, (0..3).map(user)).await;
    assert_eq!(tool.server.held(), held);
}

#[tokio::test]
async fn exactly_the_refused_users_are_rejected() {
    let tool = Simulated::start("iterable", settings(), settings(), json!({ "refuse_percent": 5 })).await;
    let fates = tool.load("updateUser", true, (0..500).map(user)).await;
    let (delivered, rejected) = delivered_and_rejected(&fates);
    assert!((5..60).contains(&rejected.len()), "{}", rejected.len());
    let held = tool.server.held();
    let users = held["users"].as_object().unwrap();
    assert_eq!(users.len(), delivered.len());
    assert!(delivered.iter().all(|index| users.contains_key(&key(index))));
}

#[tokio::test]
async fn users_that_are_not_there_are_refused_when_only_updates_are_wanted() {
    let tool = Simulated::start("iterable", settings(), settings(), Value::Null).await;
    tool.load("updateUser", true, (0..10).map(user)).await;
    let only = (5..15).map(|index| {
        let mut user = user(index);
        user["updateOnly"] = json!(true);
        user
    });
    let (delivered, rejected) = delivered_and_rejected(&tool.load("updateUser", true, only).await);
    assert_eq!((delivered.len(), rejected.len()), (5, 5));
    assert_eq!(tool.server.held()["users"].as_object().unwrap().len(), 10);
}

#[tokio::test]
async fn events_carts_and_purchases_are_kept() {
    let project = json!({ "apiKey": "server-key-1", "disallowedEventNames": ["Secret"] });
    let tool = Simulated::start("iterable", settings(), project, Value::Null).await;
    let event = |index: u64| {
        let name = if index % 10 == 3 { "Secret" } else { "Renewed" };
        json!({ "userId": "u1", "eventName": name, "id": format!("m{index}"), "createdAt": "2024-06-10T08:30:00Z" })
    };
    let (delivered, rejected) = delivered_and_rejected(&tool.load("trackEvent", true, (0..50).map(event)).await);
    assert_eq!((delivered.len(), rejected.len()), (45, 5));
    let items = json!([{ "id": "p1", "name": "Lamp", "price": 9.5, "quantity": 2, "categories": "Light" }]);
    let cart = json!({ "user": { "userId": "u1" }, "items": items });
    tool.load("updateCart", true, [cart.clone(), cart]).await;
    assert_eq!(tool.server.held()["users"]["id u1"]["shoppingCartItems"][0]["categories"], json!(["Light"]));
    let purchase = json!({ "id": "o1", "user": { "userId": "u1", "phoneNumber": "+1" }, "items": items, "total": 19 });
    tool.load("trackPurchase", true, [purchase.clone(), purchase]).await;
    let held = tool.server.held();
    assert_eq!(held["events"].as_object().unwrap().len(), 45);
    assert_eq!(held["purchases"].as_object().unwrap().len(), 1);
    assert_eq!(held["users"]["id u1"], json!({ "phoneNumber": "+1", "userId": "u1" }));
}

#[tokio::test]
async fn the_key_is_checked() {
    let tool = Simulated::start("iterable", settings(), settings(), Value::Null).await;
    assert_eq!(tool.destination.check(&tool.wire).await.unwrap(), "https://api.iterable.com takes the key");
    let wrong = json!({ "apiKey": "another-key", "dataCenterLocation": "europe" });
    let tool = Simulated::start("iterable", wrong, settings(), Value::Null).await;
    assert!(matches!(tool.destination.check(&tool.wire).await, Err(DeliveryError::CredentialsRefused { .. })));
}
