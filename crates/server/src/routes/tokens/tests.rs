//! Tokens are shown once, do no more than they may, end, and are taken back.

use serde_json::json;
use store::Role;

use crate::testing::{Person, TestServer};

fn program<'a>(server: &'a TestServer, made: &serde_json::Value) -> Person<'a> {
    Person { server, cookie: None, token: Some(made["secret"].as_str().unwrap().to_owned()) }
}

#[tokio::test]
async fn a_token_is_shown_once_and_acts_in_its_persons_name() {
    let server = TestServer::start().await;
    let editor = server.person(Role::Editor).await;
    let answer = editor.post("/api/v1/tokens", json!({ "name": "deploy", "role": "operator" })).await;
    assert_eq!(answer.status(), 201);
    let made = answer.json();
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("of_") && secret.ends_with(made["token"]["ending"].as_str().unwrap()));
    let program = program(&server, &made);
    let me = program.get("/api/v1/me").await.json();
    assert_eq!((&me["rights"], &me["user"]["email"]), (&json!(["view", "operate"]), &json!("editor@example.com")));
    assert_eq!(me["token"], made["token"]["id"]);
    let list = editor.get("/api/v1/tokens").await;
    assert_eq!(list.json()["items"][0]["used_at"], json!("2026-01-01T00:00:00Z"));
    assert!(!String::from_utf8(list.body).unwrap().contains(secret));
}

#[tokio::test]
async fn a_token_has_no_more_than_its_maker() {
    let server = TestServer::start().await;
    let operator = server.person(Role::Operator).await;
    for (form, field) in [
        (json!({ "name": "t", "role": "editor" }), "role"),
        (json!({ "name": "t", "role": "viewer", "see_personal": true }), "see_personal"),
        (json!({ "name": "t", "role": "viewer", "expires_at": "2025-12-31T00:00:00Z" }), "expires_at"),
        (json!({ "name": " ", "role": "viewer" }), "name"),
    ] {
        let problem = operator.post("/api/v1/tokens", form).await.problem();
        assert_eq!(problem["errors"][0]["field"], field);
    }
    // Sight of personal values comes with a role, but not with a token of that role by itself.
    let editor = server.person(Role::Editor).await;
    let made = editor.post("/api/v1/tokens", json!({ "name": "t", "role": "editor" })).await.json();
    assert_eq!(program(&server, &made).get("/api/v1/me").await.json()["rights"], json!(["view", "operate", "edit"]));
}

#[tokio::test]
async fn a_token_ends_and_is_taken_back() {
    let server = TestServer::start().await;
    let viewer = server.person(Role::Viewer).await;
    let form = json!({ "name": "t", "role": "viewer", "expires_at": "2026-01-01T01:00:00Z" });
    let short = viewer.post("/api/v1/tokens", form).await.json();
    let long = viewer.post("/api/v1/tokens", json!({ "name": "t", "role": "viewer" })).await.json();
    let (short, other) = (program(&server, &short), program(&server, &long));
    assert_eq!(short.get("/api/v1/me").await.status(), 200);
    server.clock.forward(3_600);
    assert_eq!(short.get("/api/v1/me").await.status(), 401);
    assert_eq!(other.get("/api/v1/me").await.status(), 200);
    let path = format!("/api/v1/tokens/{}", long["token"]["id"].as_str().unwrap());
    assert_eq!(viewer.delete(&path).await.status(), 204);
    assert_eq!(other.get("/api/v1/me").await.status(), 401);
    assert_eq!(viewer.delete(&path).await.problem()["code"], "not_found");
}

#[tokio::test]
async fn others_tokens_are_for_owners_eyes() {
    let server = TestServer::start().await;
    let (owner, editor, viewer) =
        (server.person(Role::Owner).await, server.person(Role::Editor).await, server.person(Role::Viewer).await);
    let made = viewer.post("/api/v1/tokens", json!({ "name": "t", "role": "viewer" })).await.json();
    let path = format!("/api/v1/tokens/{}", made["token"]["id"].as_str().unwrap());
    assert_eq!(editor.get(&path).await.problem()["code"], "not_found");
    assert_eq!(editor.delete(&path).await.problem()["code"], "not_found");
    assert_eq!(editor.get("/api/v1/tokens").await.json()["items"], json!([]));
    assert_eq!(editor.get("/api/v1/tokens?all=true").await.problem()["code"], "not_allowed");
    assert_eq!(owner.get("/api/v1/tokens?all=true").await.json()["items"][0]["id"], made["token"]["id"]);
    assert_eq!(owner.delete(&path).await.status(), 204);
    assert_eq!(program(&server, &made).get("/api/v1/me").await.status(), 401);
}
