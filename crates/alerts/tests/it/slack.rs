//! Slack: blocks within its limits, nothing in them that means something to it, and `ok` alone is success.

use alerts::{Attempt, End, Notice};
use kit::{
    Reach,
    testing::{Reply, Server},
};
use serde_json::json;
use store::AlertChange;

use crate::scene::{channel, event, notice, one_notice, sender};

async fn send(server: &Server, notice: &Notice) -> Attempt {
    let url = format!("{}/services/T0/B0/verysecret", server.url());
    sender(Reach::Any).send(&channel(json!({ "type": "slack", "url": url })), notice, &[]).await
}

async fn ok_server() -> Server {
    Server::start(|_| Reply::typed(200, "text/html", "ok")).await.unwrap()
}

#[tokio::test]
async fn a_message_shows_what_happened_and_mentions_nobody() {
    let server = ok_server().await;
    let attempt = send(&server, &one_notice()).await;
    assert_eq!((attempt.end, attempt.answer.as_str()), (End::Sent, "status 200: ok"));
    let request = &server.received()[0];
    assert_eq!(request.path(), "/services/T0/B0/verysecret");
    let id = one_notice().events[0].alert.id;
    let link = format!("<https://outflow.example.com/alerts/{id}|people-to-crm: sync failed>");
    let text = format!(":red_circle: *{link}*\nthe sync failed: &lt;crm&gt; &amp; co. did not answer");
    assert_eq!(
        request.json(),
        json!({
            "text": "Outflow: people-to-crm: sync failed",
            "blocks": [
                { "type": "header", "text": { "type": "plain_text", "text": "Outflow: people-to-crm: sync failed", "emoji": false } },
                { "type": "section", "text": { "type": "mrkdwn", "text": text } },
                { "type": "context", "elements": [{ "type": "mrkdwn", "text": "since 2023-11-14 22:13 UTC, by the rule production" }] },
            ],
        })
    );
    let shouting = event("people", AlertChange::Recovered, "<!channel> <@U123> &amp; done");
    send(&server, &notice(vec![shouting])).await;
    let text = server.received()[1].text();
    assert!(text.contains("&lt;!channel&gt; &lt;@U123&gt; &amp;amp; done") && !text.contains("<!"), "{text}");
    assert!(text.contains(":large_green_circle:") && text.contains("over: people: sync failed"), "{text}");
}

#[tokio::test]
async fn many_and_long_events_keep_within_slacks_limits() {
    let server = ok_server().await;
    let long = "& ".repeat(5_000);
    let events: Vec<_> = (0..100).map(|_| event("people", AlertChange::Raised, &long)).collect();
    assert_eq!(send(&server, &notice(events)).await.end, End::Sent);
    let body = server.received()[0].json();
    let blocks = body["blocks"].as_array().unwrap();
    assert!(blocks.len() <= 50, "{}", blocks.len());
    assert_eq!(blocks.last().unwrap()["text"]["text"], "… and 85 more, which Outflow lists.");
    for block in blocks.iter().filter(|block| block["type"] == "section") {
        let text = block["text"]["text"].as_str().unwrap();
        assert!(text.chars().count() <= 3_000, "{}", text.len());
        assert!(text.replace("&amp;", "").find('&').is_none(), "no sign is cut in two");
    }
}

#[tokio::test]
async fn a_test_says_that_it_is_one() {
    let server = ok_server().await;
    let test = Notice::test("dispatch_1".to_owned(), one_notice().created_at, None);
    assert_eq!(send(&server, &test).await.end, End::Sent);
    assert!(server.received()[0].text().contains("This channel works."));
}

#[tokio::test]
async fn only_ok_is_success_and_the_url_is_told_to_nobody() {
    for (reply, end, said) in [
        (Reply::typed(200, "text/html", "<html><title>Sign in</title>"), End::Refused, "Sign in"),
        (Reply::json(200, &json!({ "success": true })), End::Sent, "status 200"),
        (Reply::typed(404, "text/plain", "no_service"), End::Refused, "status 404: no_service"),
        (Reply::typed(400, "text/plain", "invalid_blocks T0/B0/verysecret"), End::Refused, "invalid_blocks"),
        (Reply::status(503), End::Passing(None), "status 503"),
    ] {
        let server = Server::start(move |_| reply.clone()).await.unwrap();
        let attempt = send(&server, &one_notice()).await;
        assert_eq!(attempt.end, end, "{attempt:?}");
        assert!(attempt.answer.contains(said), "{said}: {}", attempt.answer);
        assert!(!attempt.answer.contains("services/T0/B0/verysecret"), "{}", attempt.answer);
    }
}
