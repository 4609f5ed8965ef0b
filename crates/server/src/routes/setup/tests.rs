//! The first owner is whoever has the link, once.

use http::Method;
use serde_json::json;

use crate::{setup_link, testing::TestServer};

fn form(token: &str) -> serde_json::Value {
    json!({ "token": token, "email": "Ada@Example.com", "name": "Ada", "password": "correct horse battery" })
}

fn token(link: &str) -> &str {
    link.strip_prefix("http://outflow.test/setup?token=").unwrap()
}

#[tokio::test]
async fn the_link_makes_one_owner_who_is_signed_in() {
    let server = TestServer::start().await;
    let mut person = server.stranger();
    assert_eq!(person.get("/api/v1/setup").await.json(), json!({ "needed": true }));
    let link = setup_link(&server.state).await.unwrap().unwrap();
    let answer = person.post("/api/v1/setup", form(token(&link))).await;
    assert_eq!(answer.status(), 201);
    assert_eq!((&answer.json()["email"], &answer.json()["role"]), (&json!("ada@example.com"), &json!("owner")));
    person.keep(&answer);
    assert_eq!(person.get("/api/v1/users").await.json()["items"][0]["name"], "Ada");
    assert_eq!(person.get("/api/v1/setup").await.json(), json!({ "needed": false }));

    // Neither that link nor a new one does it again.
    assert_eq!(server.stranger().post("/api/v1/setup", form(token(&link))).await.problem()["code"], "link_ended");
    assert_eq!(setup_link(&server.state).await.unwrap(), None);
    let entries = person.get("/api/v1/audit?action=user.create").await.json();
    assert_eq!(entries["items"][0]["actor"]["name"], "ada@example.com");
    assert!(!entries.to_string().contains("correct horse"));
}

#[tokio::test]
async fn without_the_link_or_with_a_bad_password_nobody_is_made() {
    let server = TestServer::start().await;
    let link = setup_link(&server.state).await.unwrap().unwrap();
    let person = server.stranger();
    assert_eq!(person.post("/api/v1/setup", form("guess")).await.problem()["code"], "link_ended");
    let mut weak = form(token(&link));
    weak["password"] = json!("short");
    let problem = person.json(Method::POST, "/api/v1/setup", weak).await.problem();
    assert_eq!(problem["errors"][0]["field"], "password");
    server.clock.forward(24 * 3_600);
    assert_eq!(person.post("/api/v1/setup", form(token(&link))).await.problem()["code"], "link_ended");
    assert_eq!(person.get("/api/v1/setup").await.json(), json!({ "needed": true }));
}
