//! Slack beyond its cases: what every destination must do, and whole syncs into the simulator.

use std::sync::Arc;

use kit::testing::Reply;
use kit::testing::conformance::{self, Subject};
use mapping::SyncMode;
use serde_json::{Value, json};

use crate::round_trip::{Simulated, delivered_and_rejected};

fn message(index: u64) -> Value {
    json!({ "url": "https://hooks.slack.com/services/T0/B0/wordOfWebhook1", "text": format!("Order {index} was paid"), "channel": "ops" })
}

#[tokio::test]
async fn it_does_what_every_destination_must() {
    let subject = Subject {
        connect: Box::new(|url| {
            let limits = json!({ "requests_per_second": 100_000, "burst": 1000, "concurrency": 4 });
            let settings = json!({ "connection": { "endpoint": url, "limits": limits } });
            destinations::connect("slack", &settings, &Value::Null).unwrap()
        }),
        action: "postToChannel".to_owned(),
        mode: SyncMode::Add,
        fields: Box::new(|index| message(index).into()),
        accept: Arc::new(|_| Reply::typed(200, "text/html", "ok")),
        count: Box::new(|_| 1),
        secrets: vec!["wordOfWebhook1".to_owned()],
        empty_is_fine: false,
    };
    // It has no credentials: a webhook that is refused is a matter of its record, for 401 as for 403.
    let failures = conformance::check(&subject).await;
    let of_credentials = |failure: &&String| failure.starts_with("wrong credentials stop the load: Ok(()), [Rejected");
    assert_eq!(failures.iter().filter(of_credentials).count(), 2, "{failures:#?}");
    assert_eq!(failures.len(), 2, "{failures:#?}");
}

#[tokio::test]
async fn messages_are_held_and_those_refused_are_rejected() {
    let faults = json!({ "refuse": [{ "field": "text", "matches": "Order [0-9]*7 ", "message": "invalid_blocks" }] });
    let simulated = Simulated::start("slack", json!({}), json!({}), faults).await;
    let fates = simulated.load("postToChannel", false, (0..100).map(message)).await;
    assert_eq!(delivered_and_rejected(&fates).1.len(), 10);
    assert_eq!(fates[17].outcome.message(), Some("invalid_blocks"));
    let held = simulated.server.held();
    let messages = held["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 90);
    assert_eq!(
        (&messages[0]["channel"], &messages[0]["webhook"]),
        (&json!("ops"), &json!("/services/T0/B0/wordOfWebhook1"))
    );
}
