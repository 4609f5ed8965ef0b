//! Access granted in a browser, and what else comes back.

use http::{Method, StatusCode};
use kit::simulator::{Received, Refusals, Reply, Simulator, SimulatorServer, SimulatorSettings};
use serde_json::{Value, json};
use store::{ResourceKind, Role};

use crate::{routes::definitions::tests::shop, testing::TestServer};

/// Gives tokens for the code it gave.
#[derive(Default)]
struct Tool;

impl Simulator for Tool {
    fn answer(&mut self, request: &Received, _: &Refusals) -> Reply {
        let form: std::collections::BTreeMap<_, _> = request.form().into_iter().collect();
        if form.get("code").map(String::as_str) == Some("the-code") {
            Reply::json(200, &json!({ "access_token": "access-1", "refresh_token": "refresh-1", "expires_in": 3600 }))
        } else {
            Reply::json(400, &json!({ "error": "invalid_grant" }))
        }
    }

    fn held(&self) -> Value {
        Value::Null
    }
}

#[tokio::test]
async fn access_is_granted_by_who_asked_for_it_and_kept_sealed() {
    let tool = SimulatorServer::start(0, SimulatorSettings::default(), || -> Box<dyn Simulator> { Box::new(Tool) });
    let tool = tool.await.unwrap();
    let server = TestServer::start().await;
    let editor = server.person(Role::Editor).await;
    shop(&editor).await;
    let settings = editor.post("/api/v1/destinations/crm/connect", json!({})).await.problem();
    assert_eq!(settings["detail"], "`crm` is signed in to by its settings; there is nothing to connect");
    let portal = json!({ "name": "portal", "definition": { "type": "portal", "url": tool.url() } });
    assert_eq!(editor.post("/api/v1/destinations", portal).await.status(), StatusCode::CREATED);

    let begun = editor.post("/api/v1/destinations/portal/connect", json!({})).await.json();
    assert_eq!(begun["comes_back_to"], "http://outflow.test/api/v1/connect/callback");
    let page = begun["url"].as_str().unwrap();
    assert!(page.starts_with(&format!("{}/authorize?response_type=code&client_id=app", tool.url())), "{page}");
    let state = page.split("state=").nth(1).unwrap().split('&').next().unwrap();
    let back = |state: &str, code: &str| format!("/api/v1/connect/callback?state={state}&code={code}");

    // Neither a guess nor another person's browser ends it.
    assert_eq!(editor.get(&back("guessed", "the-code")).await.problem()["code"], "not_found");
    let owner = server.person(Role::Owner).await;
    assert_eq!(owner.get(&back(state, "the-code")).await.problem()["code"], "not_found");
    let came = editor.get(&back(state, "the-code")).await;
    assert_eq!(
        (came.status(), came.header("location")),
        (StatusCode::SEE_OTHER, "/destinations/portal?connected=true")
    );
    let tokens = server.state.store.granted_tokens("portal", server.state.workers.keyring());
    assert!(tokens.load().await.unwrap().unwrap().contains("refresh-1"));
    assert_eq!(editor.get(&back(state, "the-code")).await.problem()["code"], "not_found");

    // A no, and a code that is none.
    let again = editor.post("/api/v1/destinations/portal/connect", json!({})).await.json();
    let state = again["url"].as_str().unwrap().split("state=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let refused = editor.get(&format!("/api/v1/connect/callback?state={state}&error=access_denied")).await.problem();
    assert_eq!(refused["detail"], "access was not granted: access_denied");
    let again = editor.post("/api/v1/destinations/portal/connect", json!({})).await.json();
    let state = again["url"].as_str().unwrap().split("state=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let stolen = editor.get(&back(&state, "other")).await.problem();
    assert_eq!(stolen["code"], "upstream_failed");
    assert!(!stolen.to_string().contains("very-s3cret"), "{stolen}");

    assert_eq!(editor.delete("/api/v1/destinations/portal/connect").await.status(), StatusCode::NO_CONTENT);
    assert_eq!(tokens.load().await.unwrap(), None);
    server.state.store.resource(ResourceKind::Destination, "portal").await.unwrap();
}

#[tokio::test]
async fn choices_come_from_the_tool() {
    let server = TestServer::start().await;
    let editor = server.person(Role::Editor).await;
    shop(&editor).await;
    let choices = editor.post("/api/v1/destinations/crm/choices", json!({ "action": "upsert", "field": "list" })).await;
    assert_eq!(choices.json()["items"], json!([{ "value": "list", "label": "A list", "description": "" }]));
    let wrong = editor.json(Method::POST, "/api/v1/destinations/crm/choices", json!({ "action": "fax", "field": "l" }));
    assert_eq!(wrong.await.problem()["errors"][0]["field"], "action");
}
