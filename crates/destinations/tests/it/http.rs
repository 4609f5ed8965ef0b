//! The HTTP destination against a scripted server.

use std::sync::Arc;

use kit::testing::conformance::{self, Subject};
use kit::testing::{Received, Reply, Server, TestClock, batch, load_all, load_plan, payload};
use kit::{DeliveryError, Destination, LoadPlan, LoadStop, RetrySettings, Wire};
use mapping::SyncMode;
use records::OutcomeKind;
use serde_json::{Value, json};

fn connect(settings: &Value, options: &Value) -> Arc<dyn Destination> {
    destinations::connect("http", settings, options).unwrap()
}

fn problems(settings: &Value, options: &Value) -> String {
    destinations::connect("http", settings, options).unwrap_err().to_string()
}

fn fields(index: u64) -> records::Value {
    json!({ "url": "/contacts", "body": { "id": format!("c{index}"), "name": "Ada" } }).into()
}

const SECRET: &str = "tok/3n+with \"odd\" characters";

fn subject(auth: Value, options: Value, accept: fn(&Received) -> Reply, empty_is_fine: bool) -> Subject {
    Subject {
        connect: Box::new(move |url| {
            connect(&json!({ "base_url": url, "auth": auth, "headers": { "X-App-Token": SECRET } }), &options)
        }),
        action: "request".to_owned(),
        mode: SyncMode::Mirror,
        fields: Box::new(fields),
        accept: Arc::new(accept),
        count: Box::new(|request| request.json().as_array().map_or(1, Vec::len)),
        secrets: vec![SECRET.to_owned(), "hunter2-hunter2".to_owned(), "aHVudGVyMi1odW50ZXIy".to_owned()],
        empty_is_fine,
    }
}

#[tokio::test]
async fn single_requests_conform() {
    let auth = json!({ "type": "basic", "username": "ada", "password": "hunter2-hunter2" });
    let subject = subject(auth, Value::Null, |_| Reply::json(200, &json!({ "ok": true })), true);
    assert_eq!(conformance::check(&subject).await, Vec::<String>::new());
}

fn results(request: &Received) -> Reply {
    let results: Vec<_> =
        request.json().as_array().unwrap().iter().map(|body| json!({ "id": body["id"], "status": 200 })).collect();
    Reply::json(200, &json!({ "results": results }))
}

#[tokio::test]
async fn batches_with_results_conform() {
    let options = json!({
        "batch": { "records_max": 3 },
        "results": { "path": "results", "match_by": "id", "id_path": "id", "id_field": "id", "status_path": "status" },
    });
    let auth = json!({ "type": "api_key", "in": "query", "name": "key", "key": "hunter2-hunter2" });
    let subject = subject(auth, options, results, false);
    assert_eq!(conformance::check(&subject).await, Vec::<String>::new());
}

#[tokio::test]
async fn batches_that_list_failures_conform() {
    let options = json!({
        "batch": { "records_max": 5 },
        "failed": { "path": "errors", "id_path": "id", "id_field": "id", "message_path": "why" },
    });
    let auth = json!({ "type": "bearer", "token": "hunter2-hunter2" });
    let subject = subject(auth, options, |_| Reply::json(200, &json!({ "errors": [] })), false);
    assert_eq!(conformance::check(&subject).await, Vec::<String>::new());
}

async fn deliver(
    server: &Server,
    settings: Value,
    options: Value,
    count: u64,
) -> (Vec<kit::Fate>, Result<(), LoadStop>) {
    let mut settings = settings;
    settings["base_url"] = server.url().into();
    let destination = connect(&settings, &options);
    let wire = Wire::open(destination.wire_settings(), TestClock::new()).unwrap();
    let plan = LoadPlan {
        retry: RetrySettings { attempts_max: 1, ..RetrySettings::default() },
        ..load_plan(destination, wire, "request", SyncMode::Mirror)
    };
    load_all(&plan, (0..count).map(|index| payload(index, fields(index))).collect()).await
}

#[tokio::test]
async fn a_token_is_fetched_once_and_again_when_it_is_withdrawn() {
    let server = Server::start(|request| {
        if request.target == "/token" {
            assert!(request.text().contains("grant_type=client_credentials"));
            return Reply::json(
                200,
                &json!({ "access_token": format!("fetched-{}", request.number), "expires_in": 3600 }),
            );
        }
        // The first token ends early.
        match request.header("authorization") {
            Some("Bearer fetched-0") if request.number > 3 => Reply::status(401),
            Some(token) if token.starts_with("Bearer fetched-") => Reply::status(204),
            _ => Reply::status(401),
        }
    })
    .await
    .unwrap();
    let auth = json!({ "type": "oauth2", "token_url": format!("{}/token", server.url()), "client_id": "us", "client_secret": "hunter2-hunter2" });
    let (fates, result) =
        deliver(&server, json!({ "auth": auth, "connection": { "limits": { "concurrency": 1 } } }), Value::Null, 6)
            .await;
    assert_eq!(result, Ok(()));
    assert!(fates.iter().all(|fate| fate.outcome.is_delivered()));
    let received = server.received();
    assert_eq!(received.iter().filter(|request| request.target == "/token").count(), 2);
    let recorded: String = fates.iter().map(|fate| serde_json::to_string(&fate.exchange).unwrap()).collect();
    assert!(!recorded.contains("fetched-") && !recorded.contains("hunter2"), "{recorded}");
}

#[tokio::test]
async fn a_refused_client_stops_the_load() {
    let server = Server::start(|_| {
        Reply::json(401, &json!({ "error": "invalid_client", "error_description": "unknown client" }))
    });
    let server = server.await.unwrap();
    let auth = json!({ "type": "oauth2", "token_url": format!("{}/token", server.url()), "client_id": "us", "client_secret": "hunter2-hunter2" });
    let (fates, result) = deliver(&server, json!({ "auth": auth }), Value::Null, 3).await;
    let Err(LoadStop::CredentialsRefused { message }) = result else { panic!("{result:?}") };
    assert!(message.contains("invalid_client: unknown client"), "{message}");
    assert!(fates.iter().all(|fate| !fate.outcome.is_delivered()));
}

#[tokio::test]
async fn bodies_are_signed() {
    let server = Server::start(|_| Reply::status(200)).await.unwrap();
    let signature = json!({
        "secret": "hunter2-hunter2", "header": "X-Signature", "prefix": "t={timestamp},v1=",
        "content": "{timestamp}.{body}", "timestamp_header": "X-Timestamp",
    });
    let _ = deliver(&server, json!({ "signature": signature }), Value::Null, 1).await;
    let request = &server.received()[0];
    assert_eq!(request.text(), r#"{"id":"c0","name":"Ada"}"#);
    assert_eq!(request.header("x-timestamp"), Some("1767225600"));
    // printf '1767225600.{"id":"c0","name":"Ada"}' | openssl dgst -sha256 -hmac hunter2-hunter2
    assert_eq!(
        request.header("x-signature"),
        Some("t=1767225600,v1=43b45c923bb7c3c25f0cc424f2f0c9d55476af10a86b6323db4426607022b8a2")
    );
}

#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    let server =
        Server::start(|_| Reply::status(301).with_header("location", "https://new.example.com/")).await.unwrap();
    let (fates, _) = deliver(&server, json!({}), Value::Null, 1).await;
    assert_eq!(fates[0].outcome.kind(), OutcomeKind::InDoubt);
    assert!(fates[0].outcome.message().unwrap().contains("https://new.example.com/"));
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read_to_its_end() {
    let server = Server::start(|_| Reply::typed(200, "text/plain", vec![b'x'; 9 * 1024 * 1024])).await.unwrap();
    let (fates, _) = deliver(&server, json!({}), Value::Null, 1).await;
    assert_eq!(fates[0].outcome.kind(), OutcomeKind::InDoubt);
    assert!(fates[0].outcome.message().unwrap().contains("larger than 8388608 bytes"));
}

#[tokio::test]
async fn requests_go_through_the_proxy_and_around_it() {
    let proxy = Server::start(|_| Reply::status(200)).await.unwrap();
    let server = Server::start(|_| Reply::status(200)).await.unwrap();
    let _ = deliver(&server, json!({ "connection": { "proxy": proxy.url() } }), Value::Null, 1).await;
    assert_eq!((proxy.received().len(), server.received().len()), (1, 0));
    let _ =
        deliver(&server, json!({ "connection": { "proxy": proxy.url(), "no_proxy": "127.0.0.1" } }), Value::Null, 1)
            .await;
    assert_eq!((proxy.received().len(), server.received().len()), (1, 1));
}

#[tokio::test]
async fn records_that_agree_in_all_but_the_body_share_a_request() {
    let server = Server::start(|_| Reply::status(200)).await.unwrap();
    let destination = connect(&json!({ "base_url": server.url() }), &json!({ "batch": { "records_max": 10 } }));
    let wire = Wire::open(destination.wire_settings(), TestClock::new()).unwrap();
    let plan = load_plan(destination, wire, "request", SyncMode::Mirror);
    let payloads = (0..6).map(|index| {
        let method = if index % 2 == 0 { "POST" } else { "DELETE" };
        payload(index, json!({ "method": method, "url": "x", "body": { "n": index } }).into())
    });
    let (fates, _) = load_all(&plan, payloads.collect()).await;
    assert_eq!(fates.len(), 6);
    let mut requests: Vec<_> =
        server.received().iter().map(|request| format!("{} {}", request.method, request.text())).collect();
    requests.sort();
    assert_eq!(requests, [r#"DELETE [{"n":1},{"n":3},{"n":5}]"#, r#"POST [{"n":0},{"n":2},{"n":4}]"#]);
}

#[tokio::test]
async fn a_url_that_leads_elsewhere_is_refused_before_the_credentials_go_there() {
    let server = Server::start(|_| Reply::status(200)).await.unwrap();
    let destination = connect(&json!({ "base_url": "https://api.example.com" }), &Value::Null);
    let wire = Wire::open(destination.wire_settings(), TestClock::new()).unwrap();
    let records = vec![payload(0, json!({ "url": server.url(), "body": {} }).into())];
    let batch = batch("request", SyncMode::Upsert, records);
    let outcomes = destination.deliver(&batch, &wire).await.unwrap();
    assert!(outcomes[0].message().unwrap().contains("leads elsewhere than the base URL"));
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn the_check_sees_wrong_credentials_and_changes_nothing() {
    let server = Server::start(|request| {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/me"));
        if request.header("authorization") == Some("Bearer right-token") {
            Reply::status(200)
        } else {
            Reply::status(401)
        }
    })
    .await
    .unwrap();
    let check = async |token: &str| {
        let auth = json!({ "type": "bearer", "token": token });
        let destination = connect(&json!({ "base_url": server.url(), "check_url": "/me", "auth": auth }), &Value::Null);
        let wire = Wire::open(destination.wire_settings(), TestClock::new()).unwrap();
        destination.check(&wire).await
    };
    assert!(check("right-token").await.unwrap().ends_with("/me answered with status 200"));
    assert!(matches!(check("wrong-token").await, Err(DeliveryError::CredentialsRefused { .. })));
}

#[test]
fn wrong_settings_name_the_field_and_what_is_right() {
    let none = Value::Null;
    let check = |settings: Value, options: Value, expected: &str| {
        assert_eq!(problems(&settings, &options), expected);
    };
    check(
        json!({ "base_url": "example.com" }),
        none.clone(),
        "`base_url`: must be a URL that begins with `https://` or `http://`",
    );
    check(json!({ "auth": { "type": "bearer" } }), none.clone(), "`auth.token`: is required with `auth.type: bearer`");
    check(
        json!({ "auth": { "type": "magic" } }),
        none.clone(),
        "`auth.type`: must be one of `none`, `basic`, `bearer`, `api_key`, `oauth2`, not `magic`",
    );
    check(
        json!({ "connection": { "limits": { "burst": 0 } } }),
        none.clone(),
        "`connection.limits.burst`: must be between 1 and 10000",
    );
    check(json!({ "headers": { "a b": "c" } }), none.clone(), "`headers.a b`: `a b` is not a header's name");
    check(
        json!({}),
        json!({ "batch": { "records_max": "ten" } }),
        "`options.batch.records_max`: must be a whole number, not text",
    );
    check(
        json!({}),
        json!({ "statuses": { "4x": "rejected" } }),
        "`options`: `4x` is not a status such as `409` or a class such as `4xx`",
    );
    check(
        json!({}),
        json!({ "results": { "path": "r" } }),
        "`options.results`: needs `status_path` or `error_path`, or nothing tells what was taken",
    );
    assert!(
        problems(&json!({ "base_ulr": "x" }), &none).starts_with("`base_ulr`: no such setting; known here: `base_url`")
    );
}

#[test]
fn a_wrong_certificate_or_proxy_is_told() {
    let open = |settings: Value| {
        let destination = connect(&settings, &Value::Null);
        Wire::open(destination.wire_settings(), TestClock::new()).unwrap_err().to_string()
    };
    assert_eq!(
        open(json!({ "connection": { "ca_certificate": "not PEM" } })),
        "`connection.ca_certificate`: must be PEM text that begins with `-----BEGIN CERTIFICATE-----`"
    );
    assert_eq!(
        open(json!({ "connection": { "proxy": "nonsense" } })),
        "`connection.proxy`: must be a URL such as `http://proxy.example.com:3128`"
    );
}
