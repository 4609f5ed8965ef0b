//! Alerts and their events through the API: filtered, acknowledged, muted, and read by each person.

use http::StatusCode;
use serde_json::json;
use store::{AlertStep, NewAlert, Role, Subject};

use crate::testing::{Person, TestServer};

/// A server with an alert for each of these mappings.
async fn with_alerts(mappings: &[&str]) -> TestServer {
    let server = TestServer::start().await;
    let rule = json!({ "when": { "failed": {} } });
    let rule = server.state.store.create_alert_rule("production", &rule, &server.system()).await.unwrap();
    for mapping in mappings {
        let alert = NewAlert {
            rule: rule.id,
            rule_name: rule.name.clone(),
            kind: "failed".to_owned(),
            subject: Subject { kind: "mapping".to_owned(), name: (*mapping).to_owned() },
            message: format!("{mapping} broke"),
            details: json!({ "code": "x" }),
            sync: None,
        };
        let step = AlertStep::Raise { alert, happened_at: None, is_told: true, channels: Vec::new() };
        let gather = std::time::Duration::ZERO;
        server.state.store.take_alert_steps(&[step], gather, &*server.state.random).await.unwrap();
        server.clock.forward(60);
    }
    server
}

async fn subjects(person: &Person<'_>, path: &str) -> Vec<String> {
    let items = person.get(path).await.json()["items"].clone();
    let of = |item: &serde_json::Value| {
        let alert = item.get("alert").unwrap_or(item);
        alert["subject"]["name"].as_str().unwrap().to_owned()
    };
    items.as_array().unwrap().iter().map(of).collect()
}

#[tokio::test]
async fn alerts_are_listed_acknowledged_and_muted() {
    let server = with_alerts(&["people", "orders"]).await;
    let operator = server.person(Role::Operator).await;
    assert_eq!(subjects(&operator, "/api/v1/alerts?open=true").await, ["orders", "people"]);
    assert_eq!(subjects(&operator, "/api/v1/alerts?subject=people&kind=failed").await, ["people"]);
    assert!(subjects(&operator, "/api/v1/alerts?open=false").await.is_empty());
    let page = operator.get("/api/v1/alerts?limit=1").await.json();
    let next = format!("/api/v1/alerts?limit=1&cursor={}", page["next_cursor"].as_str().unwrap());
    assert_eq!(subjects(&operator, &next).await, ["people"]);

    let id = page["items"][0]["id"].as_str().unwrap();
    let taken = operator.post(&format!("/api/v1/alerts/{id}/acknowledge"), json!({})).await.json();
    assert_eq!(
        (&taken["acknowledged_at"], &taken["message"]),
        (&json!("2026-01-01T00:02:00Z"), &json!("orders broke"))
    );
    let muted = operator.post(&format!("/api/v1/alerts/{id}/mute"), json!({ "until": "2026-01-02T00:00:00Z" })).await;
    assert_eq!(muted.json()["muted_until"], "2026-01-02T00:00:00Z");
    assert_eq!(operator.get(&format!("/api/v1/alerts/{id}")).await.json(), muted.json());
    for path in ["/api/v1/alerts/none", "/api/v1/alerts/alert_00000000000000000000000000000000"] {
        assert_eq!(operator.get(path).await.problem()["code"], "not_found", "{path}");
    }
    assert_eq!(operator.get("/api/v1/alerts?open=perhaps").await.problem()["code"], "invalid");
}

#[tokio::test]
async fn each_person_has_marks_of_what_was_read() {
    let server = with_alerts(&["people", "orders", "carts"]).await;
    let (anna, ben) = (server.person(Role::Viewer).await, server.person(Role::Owner).await);
    let unread = async |person: &Person<'_>| person.get("/api/v1/alert-events/unread").await.json()["unread"].clone();
    assert_eq!(subjects(&anna, "/api/v1/alert-events").await, ["carts", "orders", "people"]);
    let events = anna.get("/api/v1/alert-events?change=raised").await.json();
    let id = |index: usize| events["items"][index]["id"].clone();
    let read = anna.post("/api/v1/alert-events/read", json!({ "up_to": id(1) })).await;
    assert_eq!(read.status(), StatusCode::NO_CONTENT);
    assert_eq!(subjects(&anna, "/api/v1/alert-events?unread=true").await, ["carts"]);
    assert_eq!((unread(&anna).await, unread(&ben).await), (json!(1), json!(3)));
    anna.post("/api/v1/alert-events/read", json!({ "events": [id(0)] })).await;
    assert_eq!(unread(&anna).await, 0);
    let between = "/api/v1/alert-events?from=2026-01-01T00:01:00Z&to=2026-01-01T00:02:00Z";
    assert_eq!(subjects(&anna, between).await, ["orders"]);
}
