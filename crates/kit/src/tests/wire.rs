//! The connection against a scripted server: what went out, what came back, what is kept of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::testing::{Reply, Server, TestClock};
use crate::{Answer, Auth, BODY_BYTES_MAX, DeliveryError, Request, Statuses, Traffic, Wire, WireSettings};

fn request(url: String) -> Request {
    Request::post(url).header("x-own", "1").body("{}")
}

fn open(settings: WireSettings) -> Wire {
    Wire::open(settings, TestClock::new()).unwrap()
}

fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
    let headers = headers.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
    Answer {
        status,
        headers: headers.collect(),
        body: Bytes::from(body.to_owned()),
        at: "2026-01-01T00:00:00Z".parse().unwrap(),
    }
}

#[tokio::test]
async fn an_exchange_is_kept_without_credentials_and_cut() {
    let server = Server::start(|request| {
        let echoed = format!("{} {}", request.header("authorization").unwrap_or_default(), "z".repeat(100_000));
        Reply::typed(200, "text/plain", echoed).with_header("set-cookie", "session=abc")
    })
    .await
    .unwrap();
    let wire = open(WireSettings { auth: Auth::Bearer { token: "very-secret".into() }, ..WireSettings::default() });
    let call = wire.for_call();
    let answer = call.send(request(server.url())).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(server.received()[0].header("authorization"), Some("Bearer very-secret"));
    let exchanges = call.exchanges();
    assert_eq!(exchanges.len(), 1);
    let exchange = &exchanges[0];
    assert!(exchange.request_headers.contains(&("authorization".into(), "Bearer [secret]".into())));
    assert!(exchange.answer_headers.contains(&("set-cookie".into(), "[secret]".into())));
    assert!(exchange.answer_body.starts_with("Bearer [secret] zzz"));
    assert!(exchange.answer_body.len() <= BODY_BYTES_MAX + 20);
    assert!(wire.exchanges().is_empty(), "what a call records belongs to it");
}

#[tokio::test]
async fn an_error_tells_whether_the_request_may_have_been_taken() {
    let wire = open(WireSettings {
        total_timeout: Duration::from_millis(200),
        connect_timeout: Duration::from_millis(200),
        ..WireSettings::default()
    });
    let closed = wire.send(request("http://127.0.0.1:1/".into())).await.unwrap_err();
    assert!(matches!(&closed, DeliveryError::Unreachable { message } if message.contains("127.0.0.1:1")), "{closed:?}");
    let nameless = wire.send(request("http://nothing.invalid/".into())).await.unwrap_err();
    assert!(matches!(nameless, DeliveryError::Unreachable { .. } | DeliveryError::NoAnswer { .. }), "{nameless:?}");
    for reply in [Reply::Drop, Reply::Silence, Reply::CutShort { status: 200, body: b"{".to_vec() }] {
        let server = Server::start(move |_| reply.clone()).await.unwrap();
        let call = wire.for_call();
        let error = call.send(request(server.url())).await.unwrap_err();
        assert!(matches!(error, DeliveryError::NoAnswer { .. }), "{error:?}");
        assert!(call.exchanges()[0].error.is_some());
        assert_eq!(server.received().len(), 1, "the connection itself never sends twice");
    }
    for (url, expected) in [("nonsense", "`nonsense` is not a URL"), ("ftp://x/", "`ftp://x/` does not begin with")] {
        let error = wire.send(request(url.into())).await.unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[derive(Debug, Default)]
struct Ended(std::sync::Mutex<Vec<Option<u16>>>);

impl Traffic for Ended {
    fn ended(&self, status: Option<u16>, _: Duration) {
        self.0.lock().unwrap().push(status);
    }
}

#[tokio::test]
async fn who_counts_is_told_of_each_request_that_went_out_and_of_no_other() {
    let server = Server::start(|request| if request.target == "/drop" { Reply::Drop } else { Reply::status(503) });
    let server = server.await.unwrap();
    let ended = Arc::new(Ended::default());
    let wire = open(WireSettings { traffic: Some(ended.clone()), ..WireSettings::default() });
    wire.send(request(server.url())).await.unwrap();
    wire.send(request(format!("{}/drop", server.url().trim_end_matches('/')))).await.unwrap_err();
    wire.for_preview().send(request(server.url())).await.unwrap_err();
    wire.send(request("nonsense".into())).await.unwrap_err();
    assert_eq!(*ended.0.lock().unwrap(), [Some(503), None]);
}

#[tokio::test]
async fn a_plain_server_behind_https_is_unreachable() {
    let server = Server::start(|_| Reply::status(200)).await.unwrap();
    // The handshake never ends, so the time-out of connecting does.
    let wire = open(WireSettings { connect_timeout: Duration::from_millis(300), ..WireSettings::default() });
    let error = wire.send(request(server.url().replace("http:", "https:"))).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_preview_and_a_detached_connection_send_nothing() {
    let server = Server::start(|_| Reply::status(200)).await.unwrap();
    let preview = open(WireSettings::default()).for_preview();
    assert_eq!(preview.send(request(server.url())).await.unwrap_err(), DeliveryError::Preview);
    assert_eq!(preview.exchanges()[0].request_body, "{}");
    let detached = Wire::detached(crate::Limits::default(), TestClock::new());
    assert!(matches!(detached.send(request(server.url())).await, Err(DeliveryError::Unreachable { .. })));
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn all_calls_share_the_rate_limit() {
    let server = Server::start(|_| Reply::status(200)).await.unwrap();
    let limits = crate::Limits { requests_per_second: Some(50.0), burst: 1, concurrency: 4 };
    let wire = open(WireSettings { limits, ..WireSettings::default() });
    let begun = tokio::time::Instant::now();
    let calls: Vec<_> = (0..6).map(|_| wire.for_call()).collect();
    let sent = calls.iter().map(|call| call.send(request(server.url())));
    futures_util::future::join_all(sent).await.into_iter().for_each(|answer| assert!(answer.is_ok()));
    assert!(begun.elapsed() >= Duration::from_millis(99), "{:?}", begun.elapsed());
}

#[test]
fn credentials_that_no_header_can_carry_are_told_before_anything_is_sent() {
    let auth = Auth::Bearer { token: "line\nbreak".into() };
    let error = Wire::open(WireSettings { auth, ..WireSettings::default() }, TestClock::new()).unwrap_err();
    assert!(error.to_string().starts_with("`auth`: the credentials hold a character"), "{error}");
    assert!(!error.to_string().contains("break\""));
}

#[test]
fn a_wish_to_wait_is_read_in_seconds_and_as_a_date() {
    let after = |value: &str| answer(429, &[("retry-after", value)], "").retry_after();
    assert_eq!(after("120"), Some(Duration::from_secs(120)));
    assert_eq!(after("1.5"), Some(Duration::from_millis(1500)));
    assert_eq!(after("Thu, 01 Jan 2026 00:01:30 GMT"), Some(Duration::from_secs(90)));
    assert_eq!(after("Wed, 31 Dec 2025 00:00:00 GMT"), Some(Duration::ZERO), "a date that is over");
    assert_eq!(after("soon"), None);
    assert_eq!(after("-5"), None);
}

#[test]
fn an_answer_is_told_by_what_it_says() {
    let check = |answer: Answer, expected: &str| assert_eq!(answer.message(), expected);
    check(answer(400, &[], r#"{"message":"email is wrong"}"#), "email is wrong");
    check(answer(400, &[], r#"{"error":{"code":7,"message":"email is wrong"}}"#), "email is wrong");
    check(answer(400, &[], r#"{"error":"invalid_grant","error_description":"expired"}"#), "invalid_grant: expired");
    check(answer(400, &[], r#"{"errors":[{"detail":"email is wrong"}]}"#), "email is wrong");
    check(answer(400, &[], r#"{"code":7}"#), r#"{"code":7}"#);
    check(answer(400, &[], "  plain\n text "), "plain text");
    check(answer(400, &[], ""), "status 400 with an empty body");
    check(answer(400, &[], "<!DOCTYPE html><html><title>Not\nFound</title>"), "an HTML page titled `Not Found`");
    check(answer(400, &[("content-type", "text/html")], "<p>x"), "an HTML page");
    check(answer(200, &[("content-type", "text/html")], "ok"), "ok");
    assert!(answer(400, &[], &"x".repeat(5000)).message().chars().count() <= 301);
}

#[test]
fn json_that_is_none_is_told_by_what_it_is() {
    let told = |body: &str| answer(200, &[], body).json().unwrap_err().to_string();
    assert!(told("").ends_with("status 200 with an empty body where JSON was expected"));
    assert!(told("{\"a\": [1, ").ends_with("status 200 with JSON that is cut short after 10 bytes"));
    assert!(told("<html><title>Login</title>").contains("an HTML page titled `Login`"));
    assert!(told("{a}").contains("not JSON (line 1, column 2)"));
}

#[test]
fn a_busy_server_that_says_when_is_a_rate_limit() {
    let statuses = Statuses::default();
    let failure = answer(503, &[("retry-after", "7")], "").failure(&statuses);
    assert_eq!(failure, Some(DeliveryError::RateLimited { after: Some(Duration::from_secs(7)) }));
    assert!(matches!(answer(503, &[], "").failure(&statuses), Some(DeliveryError::Failed { .. })));
    assert!(matches!(answer(504, &[], "").failure(&statuses), Some(DeliveryError::NoAnswer { .. })));
    assert_eq!(answer(204, &[], "").failure(&statuses), None);
}

#[test]
fn the_connection_shows_no_secret_in_debug_output() {
    let auth = Auth::Basic { username: "ada".into(), password: "very-secret".into() };
    let settings = WireSettings {
        auth,
        proxy: Some("http://u:proxy-secret@p:1".into()),
        secrets: vec!["third-one".into()],
        ..WireSettings::default()
    };
    let text = format!("{:?} {:?}", settings.clone(), Arc::new(open(settings)));
    for secret in ["very-secret", "proxy-secret", "third-one"] {
        assert!(!text.contains(secret), "{text}");
    }
}
