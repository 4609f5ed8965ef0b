//! Ids of requests, panics, and problems with the id of their request.

use axum::{Router, middleware, routing::get};

use super::*;
use crate::testing::TestServer;

#[tokio::test]
async fn every_answer_has_an_id_of_its_own() {
    let server = TestServer::start().await;
    let first = server.get("/health/live").await;
    let second = server.get("/nowhere").await;
    assert!(first.header("x-request-id").starts_with("req_"));
    assert_eq!(second.problem()["code"], "not_found");
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
}

#[tokio::test]
async fn an_id_of_a_proxy_is_kept_if_it_is_plain() {
    let server = TestServer::start().await;
    for (given, kept) in [("abc-7.X_9", true), ("with space", false), ("", false), (&"a".repeat(65), false)] {
        let request = Request::get("/health/live").header(HEADER, given).body(Body::empty()).unwrap();
        let answer = server.send(request).await;
        assert_eq!(answer.header("x-request-id") == given, kept, "{given}");
    }
}

#[tokio::test]
async fn a_panic_is_a_problem_that_does_not_repeat_its_message() {
    let server = TestServer::start().await.serving(|state| {
        let route = get(|| async {
            assert!(std::hint::black_box(false), "the key is hunter2");
        });
        Router::new().route("/", route).layer(middleware::from_fn_with_state(state.clone(), layer)).with_state(state)
    });
    let answer = server.get("/").await;
    assert_eq!(answer.problem()["code"], "internal");
    assert!(!String::from_utf8_lossy(&answer.body).contains("hunter2"));
}
