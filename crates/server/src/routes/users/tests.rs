//! Owners add, change and take out people, at the version they have seen.

use http::Method;
use serde_json::{Value, json};
use store::Role;

use crate::testing::{Person, TestServer};

async fn add(owner: &Person<'_>, email: &str, role: &str) -> String {
    let made = owner.post("/api/v1/users", json!({ "email": email, "name": "Somebody", "role": role })).await.json();
    format!("/api/v1/users/{}", made["user"]["id"].as_str().unwrap())
}

async fn change(owner: &Person<'_>, path: &str, version: &str, form: Value) -> crate::testing::Answer {
    let request =
        owner.request(&Method::PATCH, path).header("content-type", "application/json").header("if-match", version);
    owner.server.send(request.body(form.to_string().into()).unwrap()).await
}

#[tokio::test]
async fn people_are_listed_page_by_page() {
    let server = TestServer::start().await;
    let owner = server.person(Role::Owner).await;
    for number in 1..=4 {
        add(&owner, &format!("user{number}@example.com"), "viewer").await;
    }
    let mut emails = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = owner.get(&format!("/api/v1/users?limit=2&cursor={cursor}")).await.json();
        emails.extend(page["items"].as_array().unwrap().iter().map(|user| user["email"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    let expected =
        ["owner@example.com", "user1@example.com", "user2@example.com", "user3@example.com", "user4@example.com"];
    assert_eq!(emails, expected);
    assert_eq!(owner.get("/api/v1/users?limit=0").await.problem()["errors"][0]["field"], "limit");
    assert_eq!(owner.get("/api/v1/users?cursor=x").await.problem()["errors"][0]["field"], "cursor");
}

#[tokio::test]
async fn a_change_is_made_at_the_version_that_was_seen() {
    let server = TestServer::start().await;
    let owner = server.person(Role::Owner).await;
    let path = add(&owner, "bob@example.com", "operator").await;
    let seen = owner.get(&path).await;
    assert_eq!(seen.header("etag"), "\"v1\"");
    let changed = change(&owner, &path, "\"v1\"", json!({ "role": "editor", "see_personal": false })).await;
    assert_eq!((changed.header("etag"), &changed.json()["rights"]), ("\"v2\"", &json!(["view", "operate", "edit"])));
    let late = change(&owner, &path, "\"v1\"", json!({ "role": "viewer" })).await;
    assert_eq!((late.status().as_u16(), &late.problem()["code"]), (412, &json!("version_mismatch")));
    let as_role = change(&owner, &path, "\"v2\"", json!({ "see_personal": null })).await.json();
    assert_eq!((&as_role["see_personal"], as_role["rights"].as_array().unwrap().len()), (&json!(null), 4));
    let without = owner.request(&Method::DELETE, &path).body(axum::body::Body::empty()).unwrap();
    assert_eq!(server.send(without).await.problem()["code"], "version_required");
    assert_eq!(owner.delete(&path).await.status(), 204);
    assert_eq!(owner.get(&path).await.problem()["code"], "not_found");
}

#[tokio::test]
async fn what_does_not_go_is_told() {
    let server = TestServer::start().await;
    let owner = server.person(Role::Owner).await;
    let path = add(&owner, "bob@example.com", "operator").await;
    let me = format!("/api/v1/users/{}", owner.get("/api/v1/me").await.json()["user"]["id"].as_str().unwrap());
    for (answer, code) in [
        (change(&owner, &me, "*", json!({ "role": "editor" })).await, "last_owner"),
        (owner.delete(&me).await, "last_owner"),
        (change(&owner, &path, "*", json!({ "email": "OWNER@example.com" })).await, "conflict"),
        (change(&owner, &path, "*", json!({ "role": "king" })).await, "invalid"),
        (change(&owner, &path, "*", json!({ "colour": 1 })).await, "invalid"),
        (change(&owner, &path, "*", json!({ "email": "bob" })).await, "invalid"),
        (owner.get("/api/v1/users/bob").await, "not_found"),
        (owner.get("/api/v1/users/user_018fd11894007e4f9db6929b8d8367cf").await, "not_found"),
    ] {
        assert_eq!(answer.problem()["code"], code);
    }
}

#[tokio::test]
async fn an_owner_ends_somebodys_session() {
    let server = TestServer::start().await;
    let owner = server.person(Role::Owner).await;
    let viewer = server.person(Role::Viewer).await;
    let me = viewer.get("/api/v1/me").await.json();
    let path = format!("/api/v1/users/{}/sessions", me["user"]["id"].as_str().unwrap());
    let sessions = owner.get(&path).await.json();
    assert_eq!((&sessions["items"][0]["id"], &sessions["items"][0]["current"]), (&me["session"], &json!(false)));
    let session = format!("{path}/{}", me["session"].as_str().unwrap());
    assert_eq!(owner.delete(&session).await.status(), 204);
    assert_eq!(owner.delete(&session).await.problem()["code"], "not_found");
    assert_eq!(viewer.get("/api/v1/me").await.status(), 401);
}
