//! Invitations and links to set a new password.

use serde_json::{Value, json};
use store::Role;

use crate::testing::{Person, TestServer};

fn token(link: &Value) -> &str {
    link["url"].as_str().unwrap().split_once("?token=").unwrap().1
}

async fn invite(owner: &Person<'_>) -> Value {
    let form = json!({ "email": "bob@example.com", "name": "Bob", "role": "operator" });
    let answer = owner.post("/api/v1/users", form).await;
    assert_eq!((answer.status().as_u16(), answer.header("etag")), (201, "\"v1\""));
    answer.json()
}

#[tokio::test]
async fn somebody_who_was_invited_sets_a_password_once_and_is_in() {
    let server = TestServer::start().await;
    let owner = server.person(Role::Owner).await;
    let invited = invite(&owner).await;
    assert_eq!(invited["user"]["has_password"], false);
    assert!(invited["link"]["url"].as_str().unwrap().starts_with("http://outflow.test/invitation?token="));
    let token = token(&invited["link"]);
    let mut bob = server.stranger();
    let look = bob.post("/api/v1/links/look", json!({ "token": token })).await.json();
    assert_eq!(look, json!({ "purpose": "invitation", "email": "bob@example.com" }));
    let weak = bob.post("/api/v1/links/use", json!({ "token": token, "password": "bob@example.com" })).await;
    assert_eq!(weak.problem()["errors"][0]["field"], "password");
    let answer = bob.post("/api/v1/links/use", json!({ "token": token, "password": "correct horse battery" })).await;
    bob.keep(&answer);
    assert_eq!(bob.get("/api/v1/me").await.json()["rights"], json!(["view", "operate"]));
    let again = bob.post("/api/v1/links/use", json!({ "token": token, "password": "another horse battery" })).await;
    assert_eq!((again.status().as_u16(), again.problem()["code"].clone()), (410, json!("link_ended")));
    let entries = owner.get("/api/v1/audit").await.json().to_string();
    assert!(!entries.contains(token) && !entries.contains("horse"));
}

#[tokio::test]
async fn a_forgotten_password_is_set_anew_and_other_sessions_end() {
    let server = TestServer::start().await;
    let owner = server.person(Role::Owner).await;
    let invited = invite(&owner).await;
    let mut bob = server.stranger();
    let password = "correct horse battery";
    let answer = bob.post("/api/v1/links/use", json!({ "token": token(&invited["link"]), "password": password })).await;
    bob.keep(&answer);
    let path = format!("/api/v1/users/{}/link", invited["user"]["id"].as_str().unwrap());
    let reset = owner.post(&path, json!({})).await.json();
    assert_eq!(reset["purpose"], "reset");
    let mut anew = server.stranger();
    let answer =
        anew.post("/api/v1/links/use", json!({ "token": token(&reset), "password": "new horse battery" })).await;
    anew.keep(&answer);
    assert_eq!(bob.get("/api/v1/me").await.status(), 401);
    assert_eq!(anew.get("/api/v1/me").await.status(), 200);
    let old =
        server.stranger().post("/api/v1/sign-in", json!({ "email": "bob@example.com", "password": password })).await;
    assert_eq!(old.status(), 401);
}
