//! Owners read who changed what, and find it.

use serde_json::json;
use store::Role;

use crate::testing::TestServer;

#[tokio::test]
async fn every_change_of_people_and_tokens_is_found_by_who_and_what() {
    let server = TestServer::start().await;
    let owner = server.person(Role::Owner).await;
    let made =
        owner.post("/api/v1/users", json!({ "email": "bob@example.com", "name": "Bob", "role": "viewer" })).await;
    let request_id = made.header("x-request-id").to_owned();
    let bob = made.json()["user"]["id"].as_str().unwrap().to_owned();
    owner.post("/api/v1/tokens", json!({ "name": "deploy", "role": "viewer" })).await;
    server.clock.forward(60);
    owner.delete(&format!("/api/v1/users/{bob}")).await;
    let list = async |query: &str| {
        let page = owner.get(&format!("/api/v1/audit?{query}")).await.json();
        let items = page["items"].as_array().unwrap().clone();
        items
            .iter()
            .map(|entry| format!("{} {}", entry["action"].as_str().unwrap(), entry["subject"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(list("subject=bob@example.com&from=2026-01-01T00:01:00Z").await, ["user.delete bob@example.com"]);
    assert_eq!(list("action=token.create").await, ["token.create deploy"]);
    assert_eq!(list("subject_kind=user&subject=bob@example.com&to=2026-01-01T00:01:00Z").await.len(), 2);
    assert_eq!(list("actor=system&action=user.create").await, ["user.create owner@example.com"]);
    assert_eq!(list("limit=1").await, ["user.delete bob@example.com"]);

    let entry = owner.get("/api/v1/audit?action=user.create&subject=bob@example.com").await.json()["items"][0].clone();
    assert_eq!((&entry["actor"]["name"], &entry["request_id"]), (&json!("owner@example.com"), &json!(request_id)));
    assert_eq!(entry["details"]["role"], "viewer");
    assert_eq!(owner.get("/api/v1/audit?from=yesterday").await.problem()["errors"][0]["field"], "from");
}
