//! Channels through the API: their secrets are shown to nobody, a test tells what the other side said.

use http::{Method, StatusCode};
use kit::Reach;
use serde_json::{Value, json};
use store::{AlertStep, NewAlert, Role, Subject};

use crate::{
    Settings,
    testing::{Answer, Person, TestServer},
};

fn channel(url: &str) -> Value {
    json!({
        "type": "webhook",
        "url": url,
        "secret": "a secret of many letters",
        "headers": { "authorization": "Bearer topsecret" }
    })
}

async fn make(editor: &Person<'_>, channel: Value) -> Answer {
    editor.post("/api/v1/channels", json!({ "name": "pager", "channel": channel })).await
}

/// A server whose webhooks may call anything.
async fn open_server() -> TestServer {
    let settings = Settings::new("http://outflow.test".parse().unwrap());
    TestServer::with(Settings { webhook_reach: Reach::Any, ..settings }).await
}

#[tokio::test]
async fn secrets_are_shown_to_nobody_and_kept_where_they_are_left() {
    let server = TestServer::start().await;
    let editor = server.person(Role::Editor).await;
    let made = make(&editor, channel("https://pager.example.com/outflow")).await;
    assert_eq!(made.status(), StatusCode::CREATED, "{}", String::from_utf8_lossy(&made.body));
    let shown = made.json()["channel"].clone();
    assert_eq!((&shown["secret"], &shown["headers"]["authorization"]), (&json!("${kept}"), &json!("${kept}")));
    let put =
        async |channel: Value| editor.json(Method::PUT, "/api/v1/channels/pager", json!({ "channel": channel })).await;
    let mut elsewhere = shown.clone();
    elsewhere["url"] = "https://pager.example.com/other".into();
    let replaced = put(elsewhere).await;
    assert_eq!((replaced.status(), replaced.header("etag")), (StatusCode::OK, "\"v2\""));
    let mut stolen = shown;
    stolen["url"] = "https://evil.example.com/".into();
    assert_eq!(put(stolen).await.problem()["errors"][0]["field"], "channel.headers.authorization");
    let mut short = channel("https://pager.example.com/outflow");
    short["secret"] = "short".into();
    assert_eq!(put(short).await.problem()["errors"][0]["field"], "channel.secret");

    let stored = server.state.store.channel("pager").await.unwrap().document.to_string();
    let seen = [
        stored,
        String::from_utf8(editor.get("/api/v1/channels").await.body).unwrap(),
        String::from_utf8(server.person(Role::Owner).await.get("/api/v1/audit").await.body).unwrap(),
    ];
    for text in seen {
        assert!(!text.contains("many letters") && !text.contains("topsecret"), "{text}");
    }
}

#[tokio::test]
async fn a_channel_that_a_rule_names_is_not_deleted() {
    let server = TestServer::start().await;
    let editor = server.person(Role::Editor).await;
    make(&editor, channel("https://pager.example.com/")).await;
    let rule = json!({ "when": { "failed": {} }, "channels": ["pager"] });
    editor.post("/api/v1/alert-rules", json!({ "name": "production", "rule": rule })).await;
    assert_eq!(editor.delete("/api/v1/channels/pager").await.problem()["code"], "in_use");
    editor.delete("/api/v1/alert-rules/production").await;
    assert_eq!(editor.delete("/api/v1/channels/pager").await.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_test_tells_what_the_other_side_said() {
    let pager = kit::testing::Server::start(|_| kit::testing::Reply::json(503, &json!({ "message": "no room" })))
        .await
        .unwrap();
    let server = open_server().await;
    let editor = server.person(Role::Editor).await;
    make(&editor, channel(&pager.url())).await;
    let operator = server.person(Role::Operator).await;
    let test = operator.post("/api/v1/channels/pager/test", json!({})).await.json();
    assert_eq!((&test["sent"], &test["answer"]), (&json!(false), &json!("status 503: no room")));
    assert_eq!(pager.received()[0].json()["type"], "test");

    // A server that may not call this machine says so.
    let careful = TestServer::start().await;
    let editor = careful.person(Role::Editor).await;
    make(&editor, channel(&pager.url())).await;
    let test = editor.post("/api/v1/channels/pager/test", json!({})).await.json();
    assert!(test["answer"].as_str().unwrap().contains("must not be called"), "{test}");
    assert_eq!(pager.received().len(), 1);
}

#[tokio::test]
async fn what_is_to_be_sent_is_listed_and_sent_again_when_asked() {
    let server = TestServer::start().await;
    let editor = server.person(Role::Editor).await;
    make(&editor, channel("https://pager.example.com/")).await;
    let rule =
        editor.post("/api/v1/alert-rules", json!({ "name": "production", "rule": { "when": { "failed": {} } } })).await;
    let alert = NewAlert {
        rule: rule.json()["id"].as_str().unwrap().parse().unwrap(),
        rule_name: "production".to_owned(),
        kind: "failed".to_owned(),
        subject: Subject { kind: "mapping".to_owned(), name: "people".to_owned() },
        message: "it broke".to_owned(),
        details: json!({}),
        sync: None,
    };
    let channels = vec![server.state.store.channel("pager").await.unwrap().id];
    let step = AlertStep::Raise { alert, happened_at: None, is_told: true, channels };
    let gather = std::time::Duration::from_secs(600);
    server.state.store.take_alert_steps(&[step], gather, &*server.state.random).await.unwrap();
    let listed = editor.get("/api/v1/channels/pager/dispatches?state=pending").await.json();
    let dispatch = &listed["items"][0];
    assert_eq!(
        (&dispatch["channel"], &dispatch["events"], &dispatch["attempts"]),
        (&json!("pager"), &json!(1), &json!(0))
    );
    assert_eq!(dispatch["next_attempt_at"], "2026-01-01T00:10:00Z");
    assert_eq!(editor.get("/api/v1/channels/pager/dispatches?state=failed").await.json()["items"], json!([]));
    let retried =
        editor.post(&format!("/api/v1/dispatches/{}/retry", dispatch["id"].as_str().unwrap()), json!({})).await;
    assert_eq!(retried.json()["next_attempt_at"], "2026-01-01T00:00:00Z");
    assert_eq!(editor.post("/api/v1/dispatches/none/retry", json!({})).await.problem()["code"], "not_found");
}
