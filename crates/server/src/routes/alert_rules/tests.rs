//! Alert rules through the API: kept with versions, changed by whoever saw them last, told what is wrong in them.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use store::Role;

use crate::testing::{Answer, Person, TestServer};

async fn put(editor: &Person<'_>, if_match: &str, body: Value) -> Answer {
    let request = editor.request(&Method::PUT, "/api/v1/alert-rules/production");
    let request = request.header("content-type", "application/json").header("if-match", if_match);
    editor.server.send(request.body(body.to_string().into()).unwrap()).await
}

#[tokio::test]
async fn a_rule_is_made_changed_muted_listed_and_deleted() {
    let server = TestServer::start().await;
    let editor = server.person(Role::Editor).await;
    let rule = json!({ "when": { "failed": { "in_a_row": 2 } }, "repeat_every": "4h" });
    let made = editor.post("/api/v1/alert-rules", json!({ "name": "production", "rule": rule })).await;
    assert_eq!(made.status(), StatusCode::CREATED, "{}", String::from_utf8_lossy(&made.body));
    assert_eq!((made.header("etag"), made.header("location")), ("\"v1\"", "/api/v1/alert-rules/production"));
    let view = made.json();
    assert_eq!((&view["rule"], &view["enabled"], &view["muted_until"]), (&rule, &json!(true), &json!(null)));
    assert_eq!(editor.get("/api/v1/alert-rules/production").await.json(), view);
    let id = view["id"].as_str().unwrap();
    assert_eq!(editor.get(&format!("/api/v1/alert-rules/{id}")).await.json(), view);

    let changed = json!({ "rule": { "when": { "held": {} }, "enabled": false } });
    assert_eq!(put(&editor, "\"v7\"", changed.clone()).await.problem()["code"], "version_mismatch");
    let replaced = put(&editor, "\"v1\"", changed.clone()).await;
    assert_eq!((replaced.header("etag"), &replaced.json()["enabled"]), ("\"v2\"", &json!(false)));

    let muted = editor.post("/api/v1/alert-rules/production/mute", json!({ "until": "2026-02-01T08:00:00Z" })).await;
    assert_eq!(muted.json()["muted_until"], "2026-02-01T08:00:00Z");
    let listed = editor.get("/api/v1/alert-rules?limit=1").await.json();
    assert_eq!((&listed["items"][0]["name"], &listed["next_cursor"]), (&json!("production"), &json!(null)));
    assert_eq!(editor.delete("/api/v1/alert-rules/production").await.status(), StatusCode::NO_CONTENT);
    assert_eq!(editor.get("/api/v1/alert-rules/production").await.problem()["code"], "not_found");
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_field() {
    let server = TestServer::start().await;
    let editor = server.person(Role::Editor).await;
    let told = async |name: &str, rule: Value| {
        let answer = editor.post("/api/v1/alert-rules", json!({ "name": name, "rule": rule })).await;
        let problem = answer.problem();
        let fields: Vec<_> =
            problem["errors"].as_array().into_iter().flatten().map(|error| error["field"].clone()).collect();
        (problem["code"].as_str().unwrap().to_owned(), fields)
    };
    let wrong = json!({ "when": { "failed": { "in_a_row": 0 } }, "repeat_every": "1s" });
    assert_eq!(
        told("a", wrong).await,
        ("invalid".to_owned(), vec![json!("rule.when.failed.in_a_row"), json!("rule.repeat_every")])
    );
    assert_eq!(told("a", json!({ "when": { "broken": {} } })).await.0, "invalid");
    let rule = json!({ "when": { "failed": {} } });
    assert_eq!(told("a b", rule.clone()).await, ("invalid".to_owned(), vec![json!("name")]));
    let dangling = json!({ "when": { "failed": {} }, "channels": ["nobody"] });
    assert_eq!(told("a", dangling).await, ("invalid".to_owned(), vec![json!("rule.channels")]));
    editor.post("/api/v1/alert-rules", json!({ "name": "a", "rule": rule })).await;
    assert_eq!(told("a", json!({ "when": { "held": {} } })).await.0, "conflict");
}
