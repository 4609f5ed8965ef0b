//! The catalogue tells what forms are made of.

use serde_json::json;
use store::Role;

use crate::testing::TestServer;

#[tokio::test]
async fn it_tells_what_each_kind_asks_for() {
    let server = TestServer::start().await;
    let viewer = server.person(Role::Viewer).await;
    let sources = viewer.get("/api/v1/catalog/sources").await.json();
    assert_eq!((&sources["items"][0]["type"], &sources["items"][0]["secrets"]), (&json!("shop"), &json!(["password"])));
    assert_eq!(sources["items"][0]["settings"]["required"], json!(["host"]));
    let destinations = viewer.get("/api/v1/catalog/destinations").await.json();
    let expected = json!([{
        "type": "crm", "name": "CRM", "description": "A tool that takes people.", "docs": null, "connects": false,
        "actions": [{ "slug": "upsert", "name": "Upsert", "deprecated": false }],
    }]);
    assert_eq!(destinations["items"][0], expected[0]);
    let crm = viewer.get("/api/v1/catalog/destinations/crm").await.json();
    assert_eq!(crm["actions"][0]["fields"][0]["key"], "email");
    assert_eq!(viewer.get("/api/v1/catalog/destinations/fax").await.problem()["code"], "not_found");
    let form = viewer.get("/api/v1/catalog/forms/mapping").await.json();
    assert!(form["$defs"]["mapping"]["properties"]["fields"].is_object());
    assert_eq!(viewer.get("/api/v1/catalog/forms/fax").await.problem()["code"], "not_found");
}
