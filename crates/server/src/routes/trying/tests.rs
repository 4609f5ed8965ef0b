//! Connections tried before and after they are saved.

use serde_json::json;
use store::Role;

use crate::{routes::definitions::tests::shop, testing::TestServer};

#[tokio::test]
async fn what_is_saved_is_tried_by_an_operator() {
    let server = TestServer::start().await;
    shop(&server.person(Role::Editor).await).await;
    let operator = server.person(Role::Operator).await;
    let tried = operator.post("/api/v1/sources/shop/test", json!({})).await.json();
    assert_eq!((&tried["ok"], &tried["message"]), (&json!(true), &json!("a shop")));
    let tried = operator.post("/api/v1/destinations/crm/test", json!({})).await.json();
    assert_eq!((&tried["ok"], &tried["message"]), (&json!(true), &json!("a CRM")));
    let viewer = server.person(Role::Viewer).await;
    assert_eq!(viewer.post("/api/v1/sources/shop/test", json!({})).await.problem()["code"], "not_allowed");
}

#[tokio::test]
async fn what_is_not_saved_is_tried_with_the_secrets_that_are_kept_and_tells_none() {
    let server = TestServer::start().await;
    let editor = server.person(Role::Editor).await;
    shop(&editor).await;
    let draft = json!({ "of": "shop", "definition": { "type": "shop", "host": "down", "password": "${kept}" } });
    let tried = editor.post("/api/v1/drafts/source/test", draft).await.json();
    assert_eq!(tried["ok"], false);
    let message = tried["message"].as_str().unwrap();
    assert!(message.contains("cannot reach down") && !message.contains("hunter22"), "{message}");
    let definition = json!({ "type": "crm", "url": "https://crm.example.com", "api_key": "bad-key-1" });
    let tried = editor.post("/api/v1/drafts/destination/test", json!({ "definition": definition })).await.json();
    let message = tried["message"].as_str().unwrap();
    assert!(message.contains("refused the credentials") && !message.contains("bad-key-1"), "{message}");
    let nothing = json!({ "definition": { "type": "shop", "host": "h", "password": "${kept}" } });
    assert_eq!(editor.post("/api/v1/drafts/source/test", nothing).await.problem()["errors"][0]["field"], "password");
    assert_eq!(editor.get("/api/v1/sources").await.json()["items"].as_array().unwrap().len(), 1);
    let operator = server.person(Role::Operator).await;
    let refused = operator.post("/api/v1/drafts/source/test", json!({ "definition": {} })).await;
    assert_eq!(refused.problem()["code"], "not_allowed");
}
