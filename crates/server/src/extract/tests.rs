//! What is not there or not right is a problem that names the field.

use axum::{Router, body::Body, extract::DefaultBodyLimit, middleware, routing::post};
use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::{
    request_id,
    testing::{Answer, TestServer},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    count: u8,
}

#[derive(Debug, Deserialize)]
struct Filter {
    count: Option<u8>,
}

async fn server() -> TestServer {
    let take = |Path(number): Path<u8>, Query(filter): Query<Filter>, Json(form): Json<Form>| async move {
        let sum: u32 = form.steps.iter().map(|step| u32::from(step.count)).sum();
        Json(json!({ "sum": sum + u32::from(number) + u32::from(filter.count.unwrap_or(0)) }))
    };
    TestServer::start().await.serving(|state| {
        Router::new()
            .route("/{number}", post(take))
            .layer(DefaultBodyLimit::max(100))
            .layer(middleware::from_fn_with_state(state.clone(), request_id::layer))
            .with_state(state)
    })
}

async fn send(path: &str, media_type: &str, body: &str) -> Answer {
    let request = Request::post(path).header("content-type", media_type).body(Body::from(body.to_owned())).unwrap();
    server().await.send(request).await
}

#[tokio::test]
async fn what_is_right_is_taken() {
    let answer = send("/1?count=2&other=3", "application/json; charset=utf-8", r#"{"steps": [{"count": 4}]}"#).await;
    assert_eq!(answer.json(), json!({ "sum": 7 }));
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let json_type = "application/json";
    let fine = r#"{"steps": []}"#;
    for (path, media_type, body, code, field) in [
        ("/1", json_type, r#"{"steps": [{"count": 1}, {"count": 256}]}"#, "invalid", "steps[1].count"),
        ("/1", json_type, r#"{"steps": [{"count": 1, "colour": 2}]}"#, "invalid", "steps[0].colour"),
        ("/1", json_type, r#"{}"#, "invalid", ""),
        ("/1", json_type, r#"{"steps": []} more"#, "malformed_request", ""),
        ("/1", json_type, r#"{"steps": ["#, "malformed_request", ""),
        ("/1", "text/plain", fine, "wrong_media_type", ""),
        ("/1", json_type, &format!("{fine}{}", " ".repeat(100)), "body_too_large", ""),
        ("/one", json_type, fine, "not_found", ""),
        ("/1?count=many", json_type, fine, "invalid", "count"),
    ] {
        let problem = send(path, media_type, body).await.problem();
        assert_eq!(problem["code"], code, "{path} {body}: {problem}");
        let named = problem["errors"][0]["field"].as_str().unwrap_or_default();
        assert_eq!(named, field, "{path} {body}: {problem}");
        assert!(!problem["detail"].as_str().unwrap().contains("line 1") || code != "invalid", "{problem}");
    }
}
