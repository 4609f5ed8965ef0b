//! Simulators behind their server: HTTP as callers speak it, limits, refusals, faults, inspection.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::simulator::{Received, Refusals, Reply, Simulator, SimulatorServer, SimulatorSettings};
use crate::testing::TestClock;
use crate::{Answer, Auth, DeliveryError, Request, Wire, WireSettings};

/// A tool that takes records by their `id` at any path.
#[derive(Default)]
struct Book(std::collections::BTreeMap<String, Value>);

impl Simulator for Book {
    fn answer(&mut self, request: &Received, refusals: &Refusals) -> Reply {
        let mut results = Vec::new();
        for record in request.json().as_array().into_iter().flatten() {
            match refusals.reason_for(record) {
                Some(reason) => results.push(json!({ "error": reason })),
                None => {
                    self.0.insert(record["id"].to_string(), record.clone());
                    results.push(json!({ "id": record["id"] }));
                }
            }
        }
        Reply::json(200, &json!({ "results": results, "path": request.path(), "text": request.text() }))
    }

    fn held(&self) -> Value {
        json!(self.0)
    }
}

async fn start(settings: Value) -> SimulatorServer {
    let settings = SimulatorSettings::read(&settings).unwrap();
    SimulatorServer::start(0, settings, || Box::new(Book::default())).await.unwrap()
}

fn wire() -> Wire {
    let settings = WireSettings {
        connect_timeout: Duration::from_secs(5),
        total_timeout: Duration::from_millis(500),
        ..WireSettings::default()
    };
    Wire::open(settings, TestClock::new()).unwrap()
}

fn request(method: &str, url: String, body: &Value) -> Request {
    let method = http::Method::from_bytes(method.as_bytes()).unwrap();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    Request::new(method, url).body(body)
}

async fn post(server: &SimulatorServer, path: &str, body: Value) -> Result<Answer, DeliveryError> {
    wire().send(request("POST", format!("{}{path}", server.url()), &body)).await
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

/// What a server writes to a caller who sends those bytes and says that nothing more comes.
async fn spoken(server: &SimulatorServer, parts: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(server.url().trim_start_matches("http://")).await.unwrap();
    for part in parts {
        stream.write_all(part).await.unwrap();
        stream.flush().await.unwrap();
    }
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await.unwrap();
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test]
async fn chunked_bodies_and_several_requests_of_one_connection_are_read() {
    let server = start(Value::Null).await;
    let said = spoken(
        &server,
        &[
            b"POST /a?x=1 HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n6\r\n[{\"id\"\r\n",
            b"4\r\n: 1}\r\n1\r\n]\r\n0\r\n\r\n",
            b"GET /b HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
        ],
    )
    .await;
    assert_eq!(said.matches("HTTP/1.1 200 OK").count(), 2, "{said}");
    assert!(said.contains(r#""path":"/a""#) && said.contains(r#""path":"/b""#), "{said}");
    assert_eq!(server.held(), json!({ "1": { "id": 1 } }));
}

#[tokio::test]
async fn a_caller_that_asks_first_is_told_to_go_on() {
    let server = start(Value::Null).await;
    let mut stream = TcpStream::connect(server.url().trim_start_matches("http://")).await.unwrap();
    let head = b"POST / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 10\r\nconnection: close\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut told = [0; 25];
    stream.read_exact(&mut told).await.unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(br#"[{"id":2}]"#).await.unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 200 OK"), "{said}");
    assert_eq!(server.held(), json!({ "2": { "id": 2 } }));
}

#[tokio::test]
async fn packed_bodies_are_unpacked_and_what_only_says_so_is_refused() {
    let server = start(Value::Null).await;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut packed, br#"[{"id":"z"}]"#).unwrap();
    let mut sent = request("POST", server.url(), &Value::Null);
    sent.headers.push(("content-encoding".into(), "gzip".into()));
    sent.body = packed.finish().unwrap().into();
    assert_eq!(wire().send(sent.clone()).await.unwrap().status, 200);
    assert_eq!(server.held(), json!({ "\"z\"": { "id": "z" } }));
    sent.body = "plain".into();
    assert_eq!(wire().send(sent).await.unwrap().status, 400);
}

#[tokio::test(start_paused = true)]
async fn too_many_requests_are_told_when_to_come_again() {
    let server = start(json!({ "requests_per_second": 2, "burst": 3 })).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let answer = server_answer(&server).await;
        statuses.push(answer.0);
    }
    assert_eq!(statuses, [200, 200, 200, 429]);
    assert_eq!(server_answer(&server).await.1.as_deref(), Some("1"));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(server_answer(&server).await.0, 200);
    server.change(&json!({ "retry_after": false, "requests_per_second": 0.5, "burst": 1 })).unwrap();
    assert_eq!(server_answer(&server).await.0, 200);
    assert_eq!(server_answer(&server).await, (429, None));
}

/// Status and `Retry-After` of a request, spoken so that a paused clock does not run on while it is waited for.
async fn server_answer(server: &SimulatorServer) -> (u16, Option<String>) {
    use std::io::{Read as _, Write as _};
    let address = server.url().trim_start_matches("http://").to_owned();
    let said = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]").unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        said
    });
    let said = said.await.unwrap();
    let after = said.lines().find_map(|line| line.strip_prefix("retry-after: ")).map(str::to_owned);
    (said[9..12].parse().unwrap(), after)
}

#[tokio::test]
async fn records_are_refused_by_rule_and_the_same_share_of_them_each_time() {
    let rules = json!([
        { "field": "email", "equals": "bad@example.com", "message": "email is taken" },
        { "field": "age", "equals": "7" },
        { "field": "properties.plan", "matches": "^fr", "message": "no free plans" },
        { "field": "deep", "equals": true },
    ]);
    let server = start(json!({ "refuse": rules, "refuse_message": "not this one" })).await;
    let records = json!([
        { "id": 1, "email": "bad@example.com" },
        { "id": 2, "age": 7 },
        { "id": 3, "properties": { "plan": "free" } },
        { "id": 4, "properties": { "lists": [{ "deep": true }] } },
        { "id": 5, "email": "good@example.com", "age": 8, "deep": null },
    ]);
    let answer = json_of(&post(&server, "/", records).await.unwrap());
    let said: Vec<_> = answer["results"].as_array().unwrap().iter().map(|result| result["error"].as_str()).collect();
    assert_eq!(said, [Some("email is taken"), Some("not this one"), Some("no free plans"), Some("not this one"), None]);
    assert_eq!(server.held().as_object().unwrap().len(), 1);

    let refusals = |settings: Value| {
        let settings = SimulatorSettings::read(&settings).unwrap();
        let refusals = settings.refusals();
        let refused = |id: &u64| {
            let one = refusals.reason_for(&json!({ "id": id, "name": "n" }));
            assert_eq!(
                one,
                refusals.reason_for(&json!({ "name": "n", "id": id })),
                "the order of keys is no difference"
            );
            one.is_some()
        };
        (0..2000).filter(refused).collect::<Vec<_>>()
    };
    let first = refusals(json!({ "refuse_percent": 5 }));
    assert!((70..130).contains(&first.len()), "{}", first.len());
    assert_eq!(first, refusals(json!({ "refuse_percent": 5 })));
    assert_ne!(first, refusals(json!({ "refuse_percent": 5, "seed": 2 })));
    let shared = refusals(json!({ "refuse": [{ "field": "name", "equals": "n", "share": 50 }] }));
    assert!((900..1100).contains(&shared.len()), "{}", shared.len());
    assert!(Refusals::none().is_empty() && Refusals::none().reason_for(&json!({ "id": 1 })).is_none());
}

#[tokio::test]
async fn faults_come_as_told_and_may_have_taken_the_request() {
    let faults = json!([
        { "fault": 503, "path": "/busy", "retry_after": 9 },
        { "fault": 500, "path": "/nth", "every": 3 },
        { "fault": "drop", "path": "/gone" },
        { "fault": "drop", "path": "/taken", "taken": true },
        { "fault": "silence", "path": "/quiet" },
        { "fault": "cut_short", "path": "/short", "taken": true },
        { "fault": "html", "path": "/page" },
        { "fault": 502, "path": "/down", "first": 2 },
    ]);
    let server = start(json!({ "faults": faults })).await;
    let send = async |path: &str, id: u64| post(&server, path, json!([{ "id": id }])).await;

    let busy = send("/busy", 1).await.unwrap();
    assert_eq!((busy.status, busy.header("retry-after")), (503, Some("9")));
    let mut statuses = Vec::new();
    for id in 2..8 {
        statuses.push(send("/nth", id).await.unwrap().status);
    }
    assert_eq!(statuses, [200, 200, 500, 200, 200, 500]);
    let no_answer = |result: Result<Answer, DeliveryError>| matches!(result, Err(DeliveryError::NoAnswer { .. }));
    assert!(no_answer(send("/gone", 20).await));
    assert!(no_answer(send("/taken", 21).await));
    assert!(no_answer(send("/quiet", 22).await));
    assert!(no_answer(send("/short", 23).await));
    assert!(send("/page", 24).await.unwrap().is_html());
    let mut statuses = Vec::new();
    for id in 30..33 {
        statuses.push(send("/down", id).await.unwrap().status);
    }
    assert_eq!(statuses, [502, 502, 200]);
    let held: Vec<_> = server.held().as_object().unwrap().keys().cloned().collect();
    assert_eq!(held, ["2", "21", "23", "3", "32", "5", "6"], "what was taken, and nothing else");
    let answers = server.report().answers;
    assert_eq!((answers["dropped"], answers["silence"], answers["cut short"], answers["502"]), (2, 1, 1, 2));
}

#[tokio::test]
async fn a_share_of_faults_is_the_same_for_one_seed() {
    let statuses = async |seed: u64| {
        let server = start(json!({ "faults": [{ "fault": 500, "percent": 30 }], "seed": seed })).await;
        let mut statuses = Vec::new();
        for _ in 0..40 {
            statuses.push(post(&server, "/", json!([])).await.unwrap().status);
        }
        statuses
    };
    let first = statuses(1).await;
    assert_eq!(first, statuses(1).await);
    assert_ne!(first, statuses(2).await);
    let failed = first.iter().filter(|status| **status == 500).count();
    assert!((4..22).contains(&failed), "{failed}");
}

#[tokio::test]
async fn latency_and_its_jitter_are_waited_for() {
    let server = start(json!({ "latency": { "millis": 60, "jitter_millis": 5 } })).await;
    let begun = Instant::now();
    let sent = (0..5).map(|id| post(&server, "/", json!([{ "id": id }])));
    futures_util::future::join_all(sent).await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(60), "{took:?}");
    assert!(took < Duration::from_millis(290), "requests wait beside each other: {took:?}");
    let settings = SimulatorSettings::read(&json!({ "latency": { "millis": 10, "jitter_millis": 5 } })).unwrap();
    let times: Vec<_> = (0..50).map(|number| settings.latency_of(number).as_millis()).collect();
    assert!(times.iter().all(|millis| (10..=15).contains(millis)), "{times:?}");
    assert!(times.contains(&10) && times.contains(&15), "{times:?}");
}

#[tokio::test]
async fn wrong_credentials_are_refused_and_never_shown() {
    let cases = [
        (json!({ "bearer": "s3cret-token" }), Auth::Bearer { token: "s3cret-token".into() }),
        (
            json!({ "basic": { "username": "us", "password": "s3cret-token" } }),
            Auth::Basic { username: "us".into(), password: "s3cret-token".into() },
        ),
        (
            json!({ "query": { "name": "key", "value": "s3cret-token" } }),
            Auth::ApiKeyQuery { parameter: "key".into(), key: "s3cret-token".into() },
        ),
        (
            json!({ "header": { "name": "X-Key", "value": "s3cret-token" } }),
            Auth::ApiKeyHeader {
                header: http::HeaderName::from_static("x-key"),
                prefix: String::new(),
                key: "s3cret-token".into(),
            },
        ),
    ];
    for (credentials, auth) in cases {
        let server = start(json!({ "credentials": credentials })).await;
        assert_eq!(post(&server, "/", json!([{ "id": 1 }])).await.unwrap().status, 401);
        let wire = Wire::open(WireSettings { auth, ..WireSettings::default() }, TestClock::new()).unwrap();
        assert_eq!(wire.send(request("POST", server.url(), &json!([{ "id": 2 }]))).await.unwrap().status, 200);
        let report = server.report();
        assert_eq!(report.held, json!({ "2": { "id": 2 } }));
        assert!(!json!(report).to_string().contains("s3cret"), "{report:?}");
        server.change(&json!({ "seed": 3 })).unwrap();
        assert_eq!(post(&server, "/", json!([])).await.unwrap().status, 401, "a change of others keeps them");
    }
}

#[tokio::test]
async fn one_can_look_into_it_change_it_and_begin_anew() {
    let server = start(json!({ "requests_per_second": 1000 })).await;
    let script = "<script>alert('1 & 2')</script>";
    post(&server, "/a?q=1", json!([{ "id": script }])).await.unwrap();
    post(&server, "/a?q=2", json!([])).await.unwrap();
    let get =
        async |path: &str| wire().send(request("GET", format!("{}{path}", server.url()), &Value::Null)).await.unwrap();
    let report = json_of(&get("/_simulator").await);
    assert_eq!(report["requests"], 2);
    assert_eq!(report["endpoints"], json!({ "POST /a": { "200": 2 } }));
    assert_eq!(report["settings"]["requests_per_second"], 1000.0);
    assert_eq!(report["held"].as_object().unwrap().len(), 1);
    let page = get("/_simulator/").await;
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    assert!(text.contains("POST /a") && text.contains("&lt;script&gt;") && !text.contains("<script"), "{text}");

    let changed = post(&server, "/_simulator/settings", json!({ "faults": [{ "fault": 500 }] })).await.unwrap();
    assert_eq!(json_of(&changed)["faults"][0]["fault"], 500);
    assert_eq!(post(&server, "/a", json!([])).await.unwrap().status, 500);
    let wrong = post(&server, "/_simulator/settings", json!({ "fault": 500 })).await.unwrap();
    assert_eq!(wrong.status, 400);
    assert!(wrong.message().contains("unknown field `fault`"), "{}", wrong.message());
    let back = post(&server, "/_simulator/settings", json!({ "faults": null })).await.unwrap();
    assert_eq!(json_of(&back)["faults"], Value::Null);
    assert_eq!(post(&server, "/a", json!([])).await.unwrap().status, 200);

    assert_eq!(post(&server, "/_simulator/reset", Value::Null).await.unwrap().status, 204);
    assert_eq!(server.report().requests, 0);
    assert_eq!(server.held(), json!({}));
    assert_eq!(get("/_simulator/elsewhere").await.status, 404);
    assert_eq!(get("/_simulator/reset").await.status, 405);
}

#[tokio::test]
async fn pages_of_other_sites_cannot_look_into_it() {
    let server = start(Value::Null).await;
    let status = async |target: &str, headers: &str| {
        let request = format!("GET {target} HTTP/1.1\r\n{headers}connection: close\r\n\r\n");
        let said = spoken(&server, &[request.as_bytes()]).await;
        said.split(' ').nth(1).unwrap().to_owned()
    };
    for headers in [
        "host: 127.0.0.1\r\n",
        "host: 127.0.0.1:8080\r\n",
        "host: LOCALHOST:8080\r\n",
        "host: [::1]\r\n",
        "host: [::1]:8080\r\n",
        "host: localhost:8080\r\norigin: http://localhost:8080\r\n",
    ] {
        assert_eq!(status("/_simulator", headers).await, "200", "{headers}");
    }
    for headers in [
        "",
        "host: evil.example\r\n",
        "host: evil.example:8080\r\n",
        "host: localhost.evil.example\r\n",
        "host: 127.0.0.1:8080\r\norigin: http://evil.example\r\n",
        "host: 127.0.0.1:8080\r\norigin: http://127.0.0.1:9090\r\n",
        "host: 127.0.0.1:8080\r\norigin: null\r\n",
    ] {
        for target in ["/_simulator", "/_simulator/", "/_simulator/reset", "/_simulator/elsewhere"] {
            assert_eq!(status(target, headers).await, "403", "{target} {headers}");
        }
    }
    // The tool itself is asked by whatever name leads to it.
    assert_eq!(status("/_simulators", "host: evil.example\r\n").await, "200");
}

#[test]
fn wrong_settings_are_told() {
    let told = |settings: Value| SimulatorSettings::read(&settings).unwrap_err().to_string();
    assert!(told(json!({ "requests": 1 })).contains("unknown field `requests`"));
    assert!(told(json!({ "requests_per_second": 0 })).contains("must be more than 0"));
    assert!(told(json!({ "burst": 0 })).contains("at least 1"));
    assert!(told(json!({ "refuse_percent": 101 })).contains("between 0 and 100"));
    assert!(told(json!({ "refuse": [{ "field": "a", "matches": "(" }] })).contains("`(` is not a regular expression"));
    assert!(told(json!({ "faults": [{ "fault": 500, "every": 0 }] })).contains("`faults[0].every`"));
    assert!(SimulatorSettings::read(&json!({ "faults": [{ "fault": "boom" }] })).is_err());
    assert!(SimulatorSettings::read(&json!({ "faults": [{ "fault": 99 }] })).is_err());
}

#[test]
fn requests_are_read_by_their_parts() {
    let received = Received {
        number: 0,
        method: "POST".into(),
        target: "/v3/a%20b+c/d?x=1%2B1&y=a+b&x=2".into(),
        headers: vec![("authorization".into(), "basic dXM6cDp3".into())],
        body: b"grant_type=refresh_token&token=a%26b".to_vec(),
        packed: None,
        at: Duration::ZERO,
    };
    assert_eq!(received.path(), "/v3/a%20b+c/d");
    assert_eq!(received.segments(), ["v3", "a b+c", "d"]);
    assert_eq!(received.parameter("x").as_deref(), Some("1+1"));
    assert_eq!(received.parameter("y").as_deref(), Some("a b"));
    assert_eq!(received.form_value("token").as_deref(), Some("a&b"));
    assert_eq!(received.basic(), Some(("us".into(), "p:w".into())));
    assert_eq!(received.bearer(), None);
}
