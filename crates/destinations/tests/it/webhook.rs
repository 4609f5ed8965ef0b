//! Webhooks against a receiver that checks signatures.

use std::sync::Arc;

use kit::testing::Reply;
use kit::testing::conformance::{self, Subject};
use serde_json::{Value as Json, json};

use crate::round_trip::{Simulated, delivered_and_rejected};

fn fields(number: usize) -> Json {
    let data = json!({ "messageId": number.to_string(), "10": number, "2": "b", "name": "Zoë", "price": 0.1 });
    json!({ "url": format!("https://hooks.example.com/{}", number % 3), "method": "POST", "data": data })
}

async fn held_after(batching: bool, faults: Json) -> (Vec<String>, Vec<String>, Vec<String>) {
    let secret = json!({ "sharedSecret": "secret-word" });
    let simulated = Simulated::start("webhook", secret.clone(), secret, faults).await;
    let fates = simulated.load("send", batching, (0..500).map(fields)).await;
    let (delivered, rejected) = delivered_and_rejected(&fates);
    let held = simulated.server.held();
    let items = held.as_object().unwrap().values().flat_map(|items| items.as_array().unwrap());
    let mut held: Vec<String> = items.map(|item| item["messageId"].as_str().unwrap().to_owned()).collect();
    held.sort_by_key(|id| id.parse::<u64>().unwrap());
    (held, delivered, rejected)
}

#[tokio::test]
async fn a_receiver_holds_what_was_delivered_and_its_signatures_are_right() {
    for batching in [true, false] {
        let (held, delivered, rejected) = held_after(batching, json!({})).await;
        assert_eq!((held.len(), rejected.len()), (500, 0));
        assert_eq!(held, delivered);
    }
}

#[tokio::test]
async fn exactly_what_a_receiver_refuses_is_rejected() {
    let (held, delivered, rejected) = held_after(true, json!({ "refuse_percent": 5 })).await;
    assert!((5..60).contains(&rejected.len()), "{} were rejected", rejected.len());
    assert_eq!(held, delivered);
    assert_eq!(delivered.len() + rejected.len(), 500);
}

#[tokio::test]
async fn webhooks_conform() {
    let subject = Subject {
        connect: Box::new(|url| {
            let settings = json!({ "sharedSecret": "secret-word", "connection": { "endpoint": url } });
            destinations::connect("webhook", &settings, &Json::Null).unwrap()
        }),
        action: "send".to_owned(),
        mode: mapping::SyncMode::Mirror,
        fields: Box::new(|_| fields(0).into()),
        accept: Arc::new(|_| Reply::json(200, &json!({}))),
        count: Box::new(|request| request.json().as_array().map_or(0, Vec::len)),
        secrets: vec!["secret-word".to_owned()],
        empty_is_fine: true,
    };
    assert_eq!(conformance::check(&subject).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_wrong_secret_delivers_nothing() {
    let simulated = Simulated::start(
        "webhook",
        json!({ "sharedSecret": "other" }),
        json!({ "sharedSecret": "secret-word" }),
        json!({ "credentials": null }),
    );
    let simulated = simulated.await;
    let batch = kit::testing::batch(
        "send",
        mapping::SyncMode::Add,
        vec![kit::testing::payload(0, records::Value::from(fields(0)))],
    );
    let result = simulated.destination.deliver(&batch, &simulated.wire).await;
    assert!(matches!(result, Err(kit::DeliveryError::CredentialsRefused { .. })), "{result:?}");
    assert_eq!(simulated.server.held(), json!({}));
}

#[tokio::test]
async fn there_is_nothing_to_check_without_a_delivery() {
    let simulated = Simulated::start("webhook", json!({}), json!({}), json!({})).await;
    assert!(simulated.destination.check(&simulated.wire).await.unwrap().starts_with("nothing to check"));
    assert_eq!(simulated.server.counts().0, 0);
}
