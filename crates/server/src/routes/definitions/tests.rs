//! Definitions through the API: kept with versions, never with their secrets, and changed by whoever saw them last.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use store::{Change, Edit, ResourceKind, Role, Through};

use crate::testing::{Answer, Person, TestServer};

fn source() -> Value {
    json!({ "name": "shop", "definition": { "type": "shop", "host": "db", "password": "hunter22" } })
}

fn crm() -> Value {
    json!({ "name": "crm", "definition": { "type": "crm", "url": "https://crm.example.com", "api_key": "good-key" } })
}

fn model() -> Value {
    json!({ "name": "people", "definition": { "source": "shop", "key": "id", "query": "SELECT id, email FROM people" } })
}

fn mapping() -> Value {
    let fields = json!({ "email": { "@path": "$.properties.email" } });
    let definition = json!({ "model": "people", "destination": "crm", "mode": "upsert", "fields": fields });
    json!({ "name": "people-to-crm", "definition": definition })
}

/// A source, a model, a destination and a mapping.
pub(crate) async fn shop(editor: &Person<'_>) {
    let all = [("sources", source()), ("models", model()), ("destinations", crm()), ("mappings", mapping())];
    for (kind, body) in all {
        let made = editor.post(&format!("/api/v1/{kind}"), body).await;
        assert_eq!(made.status(), StatusCode::CREATED, "{kind}: {}", String::from_utf8_lossy(&made.body));
    }
}

async fn put(editor: &Person<'_>, path: &str, if_match: &str, body: Value) -> Answer {
    let request = editor.request(&Method::PUT, path).header("content-type", "application/json");
    editor.server.send(request.header("if-match", if_match).body(body.to_string().into()).unwrap()).await
}

#[tokio::test]
async fn a_definition_is_made_changed_listed_and_deleted() {
    let server = TestServer::start().await;
    let editor = server.person(Role::Editor).await;
    let made = editor.post("/api/v1/sources", source()).await;
    assert_eq!(made.status(), StatusCode::CREATED);
    assert_eq!((made.header("location"), made.header("etag")), ("/api/v1/sources/shop", "\"v1\""));
    let view = made.json();
    assert_eq!(view["definition"], json!({ "type": "shop", "host": "db", "password": "${kept}" }));
    assert_eq!((&view["name"], &view["enabled"], &view["managed_by"]), (&json!("shop"), &json!(true), &json!(null)));
    assert!(view["id"].as_str().unwrap().starts_with("src_"), "{view}");
    assert!(view["updated_by"]["id"].as_str().unwrap().starts_with("user_"), "{view}");
    for by in ["shop", view["id"].as_str().unwrap()] {
        assert_eq!(editor.get(&format!("/api/v1/sources/{by}")).await.json(), view);
    }
    let taken = editor.post("/api/v1/sources", source()).await;
    assert_eq!(taken.problem()["code"], "conflict");

    let next = json!({ "definition": { "type": "shop", "host": "db2", "password": "${kept}" } });
    assert_eq!(
        put(&editor, "/api/v1/sources/shop", "\"v2\"", next.clone()).await.problem()["code"],
        "version_mismatch"
    );
    let replaced = put(&editor, "/api/v1/sources/shop", "\"v1\"", next).await;
    assert_eq!((replaced.status(), replaced.header("etag")), (StatusCode::OK, "\"v2\""));
    let patch = json!({ "description": "The shop", "host": "db3" });
    let patched = editor.json(Method::PATCH, "/api/v1/sources/shop", patch).await;
    assert_eq!(patched.json()["definition"]["host"], "db3");
    let cleared = editor.json(Method::PATCH, "/api/v1/sources/shop", json!({ "description": null })).await;
    assert_eq!(cleared.json()["definition"], json!({ "type": "shop", "host": "db3", "password": "${kept}" }));

    let listed = editor.get("/api/v1/sources?search=SHO&limit=1").await.json();
    assert_eq!((listed["items"].as_array().unwrap().len(), &listed["next_cursor"]), (1, &Value::Null));
    assert_eq!(editor.delete("/api/v1/sources/shop").await.status(), StatusCode::NO_CONTENT);
    let gone = editor.get("/api/v1/sources/shop").await;
    assert_eq!(gone.problem()["detail"], "there is no source `shop`");
}

#[tokio::test]
async fn a_secret_is_kept_sealed_and_shown_to_nobody() {
    let server = TestServer::start().await;
    let editor = server.person(Role::Editor).await;
    shop(&editor).await;
    let stored = server.state.store.resource(ResourceKind::Source, "shop").await.unwrap();
    let text = stored.document["password"].as_str().unwrap();
    assert!(text.starts_with("${sealed:") && !text.contains("hunter22"), "{text}");
    // Opened again where it is needed.
    assert_eq!(editor.post("/api/v1/destinations/crm/test", json!({})).await.json()["ok"], true);
    for path in ["sources", "sources/shop", "sources/shop/versions", "destinations/crm", "mappings"] {
        let shown = editor.get(&format!("/api/v1/{path}")).await;
        let shown = String::from_utf8(shown.body).unwrap();
        assert!(!shown.contains("hunter22") && !shown.contains("good-key") && !shown.contains("sealed"), "{shown}");
    }
    let stolen = json!({ "name": "mine", "definition": { "type": "shop", "host": "h", "password": text } });
    let refused = editor.post("/api/v1/sources", stolen).await.problem();
    assert_eq!((&refused["code"], &refused["errors"][0]["field"]), (&json!("invalid"), &json!("password")));
}

#[tokio::test]
async fn what_is_wrong_is_told_field_by_field() {
    let server = TestServer::start().await;
    let editor = server.person(Role::Editor).await;
    shop(&editor).await;
    let told = async |kind: &str, name: &str, definition: Value| {
        let body = json!({ "name": name, "definition": definition });
        let problem = editor.post(&format!("/api/v1/{kind}?dry_run=true"), body).await.problem();
        assert_eq!(problem["code"], "invalid", "{problem}");
        let errors = problem["errors"].as_array().unwrap();
        errors
            .iter()
            .map(|error| format!("{}: {}", error["field"].as_str().unwrap(), error["message"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    let nobodys = told("models", "m", json!({ "source": "shp", "key": "id", "query": "SELECT 1" })).await;
    assert_eq!(nobodys, ["source: there is no source `shp`; did you mean `shop`?"]);
    let typed = told("sources", "s", json!({ "type": "shop", "host": 7 })).await;
    assert!(typed[0].starts_with("host: "), "{typed:?}");
    let mut wrong = mapping()["definition"].clone();
    wrong["fields"] = json!({ "emial": "x" });
    let fields = told("mappings", "m", wrong).await;
    assert!(fields.iter().any(|told| told.starts_with("fields.email: it is missing")), "{fields:?}");
    assert!(fields.iter().any(|told| told.contains("has no field `emial`; did you mean `email`?")), "{fields:?}");
    let name = told("sources", "a b", source()["definition"].clone()).await;
    assert!(name[0].contains("`a b` is not a name"), "{name:?}");
    let right =
        editor.post("/api/v1/sources?dry_run=true", json!({ "name": "other", "definition": source()["definition"] }));
    let right = right.await;
    assert_eq!((right.status(), &right.json()["definition"]["password"]), (StatusCode::OK, &json!("${kept}")));
    assert_eq!(editor.get("/api/v1/sources/other").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_used_or_owned_by_a_file_stays() {
    let server = TestServer::start().await;
    let editor = server.person(Role::Editor).await;
    shop(&editor).await;
    let used = editor.delete("/api/v1/models/people").await.problem();
    assert_eq!((&used["code"], &used["errors"][0]["message"]), (&json!("in_use"), &json!("people-to-crm")));
    let impact = editor.delete("/api/v1/models/people?dry_run=true").await.json();
    let expected = json!({
        "deletable": false, "used_by": [{ "kind": "mapping", "name": "people-to-crm" }], "running": [], "records": 0,
    });
    assert_eq!(impact, expected);
    let owned = Edit::new(ResourceKind::Source, "owned", Change::Create(json!({ "type": "shop", "host": "db" })));
    let owned = [owned.of_file("sources/owned.yaml")];
    server.state.store.edit_resources(&owned, Through::Files, &server.system()).await.unwrap();
    let refused = editor.json(Method::PATCH, "/api/v1/sources/owned", json!({ "host": "x" })).await.problem();
    assert_eq!(refused["code"], "managed_by_file");
    assert!(refused["detail"].as_str().unwrap().contains("`sources/owned.yaml`"), "{refused}");
}

#[tokio::test]
async fn an_earlier_version_is_seen_and_taken_up_again() {
    let server = TestServer::start().await;
    let editor = server.person(Role::Editor).await;
    shop(&editor).await;
    editor.json(Method::PATCH, "/api/v1/sources/shop", json!({ "host": "db2", "password": "other-one" })).await;
    let versions = editor.get("/api/v1/sources/shop/versions").await.json();
    let told: Vec<String> = versions["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| format!("{} {}", item["version"], item["change"]))
        .collect();
    assert_eq!(told, ["2 \"edit\"", "1 \"create\""]);
    let restored = editor.post("/api/v1/sources/shop/versions/1/restore", json!({})).await;
    assert_eq!((restored.header("etag"), &restored.json()["definition"]["host"]), ("\"v3\"", &json!("db")));
    let stored = server.state.store.resource(ResourceKind::Source, "shop").await.unwrap();
    let sealed = stored.document["password"].as_str().unwrap();
    let sealed = sealed.strip_prefix("${sealed:").unwrap().strip_suffix('}').unwrap();
    assert_eq!(server.state.workers.keyring().open("source/shop", sealed).unwrap(), "hunter22");
    assert_eq!(editor.get("/api/v1/sources/shop/versions/9").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn viewers_see_and_change_nothing() {
    let server = TestServer::start().await;
    shop(&server.person(Role::Editor).await).await;
    for role in [Role::Viewer, Role::Operator] {
        let person = server.person(role).await;
        assert_eq!(person.get("/api/v1/mappings/people-to-crm").await.status(), StatusCode::OK);
        assert_eq!(person.delete("/api/v1/mappings/people-to-crm").await.problem()["code"], "not_allowed");
    }
}
