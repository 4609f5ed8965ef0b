//! Who has the password signs in; who has not learns nothing, and is slowed down.

use serde_json::json;
use store::{NewUser, Role};

use crate::testing::{Answer, Person, TestServer};

const PASSWORD: &str = "correct horse battery";

async fn server() -> TestServer {
    let server = TestServer::start().await;
    let hash = server.state.passwords.hash(PASSWORD).await.unwrap();
    let user = NewUser { password_hash: Some(hash), ..server.new_user("ada@example.com", Role::Viewer) };
    server.state.store.create_user(&user, &server.system()).await.unwrap();
    let without = server.new_user("bob@example.com", Role::Viewer);
    server.state.store.create_user(&without, &server.system()).await.unwrap();
    server
}

async fn sign_in(person: &Person<'_>, email: &str, password: &str) -> Answer {
    person.post("/api/v1/sign-in", json!({ "email": email, "password": password })).await
}

#[tokio::test]
async fn a_session_begins_with_the_password_and_ends_with_signing_out() {
    let server = server().await;
    let mut person = server.stranger();
    let answer = sign_in(&person, " ADA@example.com", PASSWORD).await;
    assert_eq!(answer.json()["email"], "ada@example.com");
    assert!(answer.header("set-cookie").contains("; HttpOnly; SameSite=Lax"));
    person.keep(&answer);
    let me = person.get("/api/v1/me").await.json();
    assert_eq!(me["rights"], json!(["view"]));
    let signed_in = person.clone();
    let answer = person.post("/api/v1/sign-out", json!({})).await;
    assert_eq!(answer.status(), 204);
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(signed_in.get("/api/v1/me").await.status(), 401);
    assert_eq!(signed_in.post("/api/v1/sign-out", json!({})).await.status(), 204);
}

#[tokio::test]
async fn a_wrong_password_an_unknown_person_and_one_without_a_password_are_told_the_same() {
    let server = server().await;
    let mut answers = Vec::new();
    for (email, password) in [
        ("ada@example.com", "wrong horse battery"),
        ("nobody@example.com", PASSWORD),
        ("bob@example.com", PASSWORD),
        ("bob@example.com", ""),
    ] {
        let answer = sign_in(&server.stranger(), email, password).await;
        assert_eq!(answer.header("set-cookie"), "");
        let mut problem = answer.problem();
        problem["request_id"] = json!("");
        answers.push(problem);
    }
    assert_eq!(answers[0]["code"], "wrong_credentials");
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
}

#[tokio::test]
async fn signing_in_again_gives_a_new_session_and_ends_the_one_before() {
    let server = server().await;
    let mut person = server.stranger();
    person.cookie = Some("outflow_session=chosen-by-somebody-else".to_owned());
    let answer = sign_in(&person, "ada@example.com", PASSWORD).await;
    person.keep(&answer);
    let first = person.clone();
    assert!(!first.cookie.as_deref().unwrap().contains("chosen"));
    let answer = sign_in(&person, "ada@example.com", PASSWORD).await;
    person.keep(&answer);
    assert_ne!(person.cookie, first.cookie);
    assert_eq!(first.get("/api/v1/me").await.status(), 401);
    assert_eq!(person.get("/api/v1/me/sessions").await.json()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn guessing_is_slowed_down() {
    let server = server().await;
    for _ in 0..10 {
        let answer = sign_in(&server.stranger(), "ada@example.com", "wrong").await;
        assert_eq!(answer.problem()["code"], "wrong_credentials");
    }
    let answer = sign_in(&server.stranger(), "ada@example.com", PASSWORD).await;
    assert_eq!((answer.status().as_u16(), answer.problem()["code"].clone()), (429, json!("too_many_attempts")));
    assert!((1..=900).contains(&answer.header("retry-after").parse::<u32>().unwrap()));
    assert_eq!(sign_in(&server.stranger(), "bob@example.com", "wrong").await.status(), 401);
}

#[tokio::test]
async fn the_ways_to_sign_in_are_told() {
    let server = server().await;
    let ways = server.stranger().get("/api/v1/sign-in").await.json();
    assert_eq!(ways, json!({ "setup_needed": false, "oidc": null }));
    assert_eq!(server.stranger().get("/api/v1/sign-in/oidc").await.problem()["code"], "not_found");
}
