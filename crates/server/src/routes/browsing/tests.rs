//! What is seen of sources, and what is not shown to everybody.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use store::Role;

use crate::{routes::definitions::tests::shop, testing::TestServer};

#[tokio::test]
async fn tables_and_columns_are_listed() {
    let server = TestServer::start().await;
    let editor = server.person(Role::Editor).await;
    shop(&editor).await;
    let all = editor.get("/api/v1/sources/shop/schema").await.json();
    assert_eq!(all["tables"].as_array().unwrap().len(), 2);
    let public = editor.get("/api/v1/sources/shop/schema?schema=public").await.json();
    let expected = json!([{ "schema": "public", "name": "people", "quoted": "\"public\".\"people\"", "is_view": false, "rows": 3 }]);
    assert_eq!(public, json!({ "tables": expected }));
    let columns = editor.get("/api/v1/sources/shop/schema?schema=public&table=people").await.json();
    let expected = json!({ "name": "id", "kind": "int", "type_name": "int", "nullable": false, "key": true });
    assert_eq!(columns["columns"][0], expected);
    let gone = editor.get("/api/v1/sources/shop/schema?table=gone").await;
    assert_eq!(gone.problem()["detail"], "there is no table `\"gone\"`");
    editor.json(Method::PATCH, "/api/v1/sources/shop", json!({ "host": "down" })).await;
    let down = editor.get("/api/v1/sources/shop/schema").await.problem();
    assert_eq!(down["code"], "upstream_failed");
    assert!(!down.to_string().contains("hunter22"), "{down}");
}

#[tokio::test]
async fn a_preview_shows_personal_values_to_those_who_may_see_them() {
    let server = TestServer::start().await;
    let editor = server.person(Role::Editor).await;
    shop(&editor).await;
    editor.json(Method::PATCH, "/api/v1/models/people", json!({ "personal": "email" })).await;
    let answer = editor.post("/api/v1/models/people/preview?rows=2", json!({})).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let shown = answer.json();
    assert_eq!(shown["rows"], json!([[1, "a@example.com"], [2, null]]));
    let column = json!({ "name": "id", "kind": "int", "key": true, "personal": false, "masked": false });
    assert_eq!(shown["columns"][0], column);
    let operator = server.person(Role::Operator).await;
    let masked = operator.post("/api/v1/models/people/preview", json!({})).await.json();
    assert_eq!(masked["rows"], json!([[1, "[personal]"], [2, null], [3, "[personal]"]]));
    assert_eq!((&masked["columns"][1]["personal"], &masked["columns"][1]["masked"]), (&json!(true), &json!(true)));
    assert_eq!(operator.post("/api/v1/models/people/preview?rows=0", json!({})).await.problem()["code"], "invalid");
}

#[tokio::test]
async fn a_model_that_is_not_saved_is_previewed_and_its_mistakes_are_placed() {
    let server = TestServer::start().await;
    let editor = server.person(Role::Editor).await;
    shop(&editor).await;
    let draft = |query: &str| json!({ "definition": { "source": "shop", "key": "id", "query": query } });
    let shown = editor.post("/api/v1/drafts/model/preview?rows=1", draft("SELECT id FROM people")).await.json();
    assert_eq!(shown["rows"].as_array().unwrap().len(), 1);
    let wrong = editor.post("/api/v1/drafts/model/preview", draft("SELECT wrong")).await.problem();
    assert_eq!(
        wrong["errors"][0],
        json!({
            "field": "query", "message": "the query failed: there is no `wrong` (line 1, column 8)",
        })
    );
    let operator = server.person(Role::Operator).await;
    let refused = operator.post("/api/v1/drafts/model/preview", draft("SELECT 1")).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn keys_that_stand_twice_are_counted() {
    let server = TestServer::start().await;
    let editor = server.person(Role::Editor).await;
    shop(&editor).await;
    let without_time = |mut told: Value| {
        told.as_object_mut().unwrap().remove("milliseconds");
        told
    };
    let told = editor.post("/api/v1/models/people/check-key", json!({})).await.json();
    assert_eq!(without_time(told), json!({ "unique": true, "records": 3, "keys_twice": 0, "keys_missing": 0 }));
    let draft = json!({ "definition": { "source": "shop", "key": ["id", "email"], "query": "SELECT 'double';" } });
    let told = editor.post("/api/v1/drafts/model/check-key", draft).await.json();
    assert_eq!(without_time(told), json!({ "unique": false, "records": 3, "keys_twice": 1, "keys_missing": 0 }));
}
