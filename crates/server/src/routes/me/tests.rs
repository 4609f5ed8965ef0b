//! What people do about themselves.

use http::Method;
use serde_json::json;
use store::{NewUser, Role};

use crate::testing::{Person, TestServer};

const PASSWORD: &str = "correct horse battery";

async fn signed_in(server: &TestServer) -> Person<'_> {
    let mut person = server.stranger();
    let form = json!({ "email": "ada@example.com", "password": PASSWORD });
    let answer = person.post("/api/v1/sign-in", form).await;
    person.keep(&answer);
    person
}

async fn server() -> TestServer {
    let server = TestServer::start().await;
    let hash = server.state.passwords.hash(PASSWORD).await.unwrap();
    let user = NewUser { password_hash: Some(hash), ..server.new_user("ada@example.com", Role::Viewer) };
    server.state.store.create_user(&user, &server.system()).await.unwrap();
    server
}

#[tokio::test]
async fn a_new_password_needs_the_old_one_and_ends_other_sessions() {
    let server = server().await;
    let (one, two) = (signed_in(&server).await, signed_in(&server).await);
    let set = async |form| one.json(Method::PUT, "/api/v1/me/password", form).await;
    let wrong = set(json!({ "current": "guess", "new": "another horse battery" })).await.problem();
    assert_eq!(wrong["errors"][0]["field"], "current");
    let weak = set(json!({ "current": PASSWORD, "new": "short" })).await.problem();
    assert_eq!(weak["errors"][0]["field"], "new");
    assert_eq!(two.get("/api/v1/me").await.status(), 200);
    assert_eq!(set(json!({ "current": PASSWORD, "new": "another horse battery" })).await.status(), 204);
    assert_eq!(
        (one.get("/api/v1/me").await.status().as_u16(), two.get("/api/v1/me").await.status().as_u16()),
        (200, 401)
    );
    // The old one is wrong now, and guessing is slowed down here too.
    for _ in 0..10 {
        assert_eq!(set(json!({ "current": PASSWORD, "new": "third horse battery" })).await.status(), 422);
    }
    assert_eq!(set(json!({ "current": PASSWORD, "new": "third horse battery" })).await.status(), 429);
}

#[tokio::test]
async fn sessions_are_seen_and_ended_one_by_one() {
    let server = server().await;
    let (one, two) = (signed_in(&server).await, signed_in(&server).await);
    let sessions = one.get("/api/v1/me/sessions").await.json();
    let of = |current: bool| {
        let mut all = sessions["items"].as_array().unwrap().iter();
        all.find(|session| session["current"] == current).unwrap()["id"].as_str().unwrap().to_owned()
    };
    assert_eq!(sessions["items"].as_array().unwrap().len(), 2);
    let other = format!("/api/v1/me/sessions/{}", of(false));
    let stranger = server.person(Role::Owner).await;
    assert_eq!(stranger.delete(&other).await.problem()["code"], "not_found");
    assert_eq!(one.delete(&other).await.status(), 204);
    assert_eq!(two.get("/api/v1/me").await.status(), 401);
    assert_eq!(one.get("/api/v1/me").await.status(), 200);
}

#[tokio::test]
async fn a_token_changes_nothing_about_its_person() {
    let server = server().await;
    let person = signed_in(&server).await;
    let made = person.post("/api/v1/tokens", json!({ "name": "t", "role": "viewer" })).await.json();
    let program = Person { server: &server, cookie: None, token: Some(made["secret"].as_str().unwrap().to_owned()) };
    let session = person.get("/api/v1/me").await.json()["session"].as_str().unwrap().to_owned();
    let form = json!({ "current": PASSWORD, "new": "another horse battery" });
    for refused in [
        program.json(Method::PUT, "/api/v1/me/password", form).await,
        program.json(Method::PATCH, "/api/v1/me", json!({ "name": "Eve" })).await,
        program.delete(&format!("/api/v1/me/sessions/{session}")).await,
        program.post("/api/v1/tokens", json!({ "name": "t", "role": "viewer" })).await,
    ] {
        assert_eq!(refused.problem()["code"], "not_allowed");
    }
    assert_eq!(program.get("/api/v1/me").await.json()["session"], json!(null));
    let renamed = person.json(Method::PATCH, "/api/v1/me", json!({ "name": " Ada L. " })).await.json();
    assert_eq!(renamed["name"], "Ada L.");
}
