//! Signed webhooks: what goes out, that it can be checked, and what each answer stands for.

use std::time::Duration;

use alerts::{Attempt, End, Notice};
use kit::{
    Reach, SignatureAlgorithm, hmac_hex,
    testing::{Reply, Server},
};
use serde_json::{Value, json};

use crate::scene::{NOW, channel, one_notice, sender};

const SECRET: &str = "a secret of many letters";

fn form(url: &str) -> Value {
    json!({ "type": "webhook", "url": url, "secret": SECRET, "headers": { "Authorization": "Bearer topsecret" } })
}

async fn send(url: &str, notice: &Notice, reach: Reach) -> Attempt {
    sender(reach).send(&channel(form(url)), notice, &[]).await
}

#[tokio::test]
async fn a_request_carries_its_signature_its_id_and_the_events() {
    let server = Server::start(|_| Reply::status(204)).await.unwrap();
    let attempt = send(&format!("{}/hooks?x=1", server.url()), &one_notice(), Reach::Any).await;
    assert_eq!(attempt.end, End::Sent, "{attempt:?}");
    let request = &server.received()[0];
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/hooks?x=1"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("authorization"), Some("Bearer topsecret"));
    assert_eq!(request.header("outflow-dispatch"), Some("dispatch_018bcfe5687b7a0000000000000000aa"));
    let signed = format!("{NOW}.{}", request.text());
    let expected = hmac_hex(SignatureAlgorithm::Sha256, SECRET, signed.as_bytes());
    assert_eq!(request.header("outflow-signature"), Some(format!("t={NOW},v1={expected}").as_str()));
    let notice = one_notice();
    let event = &notice.events[0];
    assert_eq!(
        request.json(),
        json!({
            "id": "dispatch_018bcfe5687b7a0000000000000000aa",
            "type": "alerts",
            "created_at": "2023-11-14T22:13:20Z",
            "message": "people-to-crm: sync failed",
            "events": [{
                "id": event.id,
                "at": "2023-11-14T22:13:20Z",
                "change": "raised",
                "alert": event.alert.id,
                "rule": { "id": event.alert.rule, "name": "production" },
                "kind": "failed",
                "subject": { "kind": "mapping", "name": "people-to-crm" },
                "raised_at": "2023-11-14T22:13:20Z",
                "message": "the sync failed: <crm> & co. did not answer",
                "details": { "code": "unreachable" },
                "sync": null,
                "url": format!("https://outflow.example.com/alerts/{}", event.alert.id),
            }],
        })
    );
}

#[tokio::test]
async fn a_test_says_that_it_is_one() {
    let server = Server::start(|_| Reply::json(200, &json!({ "seen": true }))).await.unwrap();
    let test = Notice::test("dispatch_1".to_owned(), one_notice().created_at, None);
    let attempt = send(&server.url(), &test, Reach::Any).await;
    assert_eq!((attempt.end, attempt.answer.as_str()), (End::Sent, r#"status 200: {"seen":true}"#));
    let body = server.received()[0].json();
    assert_eq!((&body["type"], &body["events"]), (&json!("test"), &json!([])));
}

#[tokio::test]
async fn each_answer_decides_what_comes_next() {
    let busy = Reply::status(429).with_header("retry-after", "120");
    for (reply, end, said) in [
        (Reply::status(201), End::Sent, "status 201"),
        (Reply::json(500, &json!({ "message": "no room" })), End::Passing(None), "status 500: no room"),
        (busy, End::Passing(Some(Duration::from_secs(120))), "status 429"),
        (Reply::json(404, &json!({ "error": "unknown hook" })), End::Refused, "status 404: unknown hook"),
        (Reply::status(302).with_header("location", "http://127.0.0.1/"), End::Refused, "which is not followed"),
        (Reply::Drop, End::Passing(None), "no answer: the connection broke"),
        // Who repeats the credentials is not quoted with them.
        (Reply::typed(401, "text/plain", "Bearer topsecret is wrong"), End::Refused, "status 401: [secret] is wrong"),
    ] {
        let server = Server::start(move |_| reply.clone()).await.unwrap();
        let attempt = send(&server.url(), &one_notice(), Reach::Any).await;
        assert_eq!(attempt.end, end, "{attempt:?}");
        assert!(attempt.answer.contains(said), "{said}: {}", attempt.answer);
        assert_eq!(server.received().len(), 1);
    }
    let attempt = send("http://127.0.0.1:1/", &one_notice(), Reach::Any).await;
    assert_eq!(attempt.end, End::Passing(None));
    assert!(attempt.answer.starts_with("it cannot be reached: 127.0.0.1:1"), "{}", attempt.answer);
}

#[tokio::test]
async fn a_url_leads_neither_to_this_machine_nor_to_where_clouds_tell_credentials() {
    let server = Server::start(|_| Reply::status(204)).await.unwrap();
    let local = server.url().replace("127.0.0.1", "localhost");
    for url in [server.url().as_str(), &local, "http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/"] {
        let attempt = send(url, &one_notice(), Reach::Private).await;
        assert_ne!(attempt.end, End::Sent, "{url}: {attempt:?}");
        assert!(attempt.answer.contains("must not be called"), "{url}: {}", attempt.answer);
    }
    assert!(server.received().is_empty());
}
