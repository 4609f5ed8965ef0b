//! Every answer of a whole server: security headers, wrong addresses and methods, health, the document.

use axum::body::Body;
use http::Request;

use crate::{Settings, testing::TestServer};

#[tokio::test]
async fn every_answer_has_the_headers_that_make_browsers_careful() {
    let server = TestServer::start().await;
    for path in ["/health/live", "/nowhere", "/api/v1/openapi.json"] {
        let answer = server.get(path).await;
        assert!(answer.header("content-security-policy").contains("default-src 'none'"), "{path}");
        assert!(!answer.header("content-security-policy").contains("unsafe"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
        assert_eq!(answer.header("strict-transport-security"), "", "{path}");
        assert_eq!(answer.header("cache-control"), if path.starts_with("/api") { "no-store" } else { "" });
    }
    let server = TestServer::with(Settings::new("https://outflow.test".parse().unwrap())).await;
    assert_eq!(server.get("/nowhere").await.header("strict-transport-security"), "max-age=31536000");
}

#[tokio::test]
async fn wrong_addresses_and_methods_are_problems() {
    let server = TestServer::start().await;
    let problem = server.get("/api/v1/nothing").await.problem();
    assert_eq!((&problem["code"], &problem["status"]), (&"not_found".into(), &404.into()));
    let answer = server.send(Request::post("/health/live").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.problem()["code"], "method_not_allowed");
    assert_eq!(answer.header("allow"), "GET,HEAD");
}

#[tokio::test]
async fn a_server_that_ends_lives_and_is_not_ready() {
    let server = TestServer::start().await;
    assert_eq!(server.get("/health/ready").await.json()["status"], "ok");
    server.state.shutdown.cancel();
    assert_eq!(server.get("/health/ready").await.problem()["code"], "shutting_down");
    assert_eq!(server.get("/health/live").await.status(), 200);
}

#[tokio::test]
async fn the_document_is_served() {
    let answer = TestServer::start().await.get("/api/v1/openapi.json").await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(answer.json()["paths"]["/api/v1/openapi.json"]["get"].is_object());
}
