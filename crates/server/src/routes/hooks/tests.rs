//! Hooks: a right signature starts a sync once, and a wrong one learns nothing.

use axum::body::Body;
use http::{Request, StatusCode};
use kit::{SignatureAlgorithm, hmac_hex};
use serde_json::{Value, json};
use store::{Cause, DueRow, Role};

use crate::{
    routes::definitions::tests::shop,
    testing::{Answer, TestServer},
};

const SECRET: &str = "a secret of many letters";
/// 2026-01-01T00:00:00Z.
const NOW: i64 = 1_767_225_600;

/// A server whose mapping `people-to-crm` waits for such a hook.
async fn waiting(hook: Value) -> TestServer {
    let server = TestServer::start().await;
    let editor = server.person(Role::Editor).await;
    shop(&editor).await;
    let mut definition = editor.get("/api/v1/mappings/people-to-crm").await.json()["definition"].clone();
    definition["schedule"] = json!({ "hook": hook });
    let put =
        editor.json(http::Method::PUT, "/api/v1/mappings/people-to-crm", json!({ "definition": definition })).await;
    assert_eq!(put.status(), StatusCode::OK, "{}", String::from_utf8_lossy(&put.body));
    // As the scheduler notes it.
    let mut schedule = json!({ "hook": hook });
    schedule["hook"]["secret"] = "not needed".into();
    let due = DueRow {
        mapping: "people-to-crm".to_owned(),
        model: "people".to_owned(),
        schedule: schedule.to_string(),
        enabled: true,
        next_due_at: None,
        last_due_at: None,
        reason: Cause::Hook,
        waits: false,
        consumed: "{}".to_owned(),
        revision: 0,
    };
    server.state.store.set_due(&[(due, Vec::new())]).await.unwrap();
    server
}

async fn call(server: &TestServer, mapping: &str, header: &str, signature: &str, body: &str) -> Answer {
    let request = Request::post(format!("/api/v1/hooks/{mapping}")).header(header, signature);
    server.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

fn timed(seconds: i64, body: &str) -> String {
    let signature = hmac_hex(SignatureAlgorithm::Sha256, SECRET, format!("{seconds}.{body}").as_bytes());
    format!("t={seconds},v1={signature}")
}

async fn next_due(server: &TestServer) -> Option<i64> {
    let due = server.state.store.due("people-to-crm").await.unwrap().unwrap();
    due.next_due_at.map(|time| time.as_second())
}

#[tokio::test]
async fn a_right_signature_starts_a_sync_once() {
    let server = waiting(json!({ "secret": SECRET })).await;
    let header = "x-outflow-signature";
    let first = call(&server, "people-to-crm", header, &timed(NOW, "ready"), "ready").await;
    assert_eq!((first.status(), first.json()), (StatusCode::ACCEPTED, json!({ "started": true })));
    assert_eq!(next_due(&server).await, Some(NOW));
    let again = call(&server, "people-to-crm", header, &timed(NOW, "ready"), "ready").await;
    assert_eq!((again.status(), &again.json()["started"]), (StatusCode::OK, &json!(false)));
    let other = call(&server, "people-to-crm", header, &timed(NOW + 1, ""), "").await;
    assert_eq!(other.status(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_wrong_signature_learns_nothing() {
    let server = waiting(json!({ "secret": SECRET })).await;
    let mut answers = Vec::new();
    for (mapping, signature, body) in [
        ("people-to-crm", timed(NOW, "ready"), "other"),
        ("people-to-crm", timed(NOW - 301, "ready"), "ready"),
        ("people-to-crm", "t=1,v1=".to_owned(), "ready"),
        ("there-is-none", timed(NOW, "ready"), "ready"),
    ] {
        let answer = call(&server, mapping, "x-outflow-signature", &signature, body).await;
        let mut problem = answer.problem();
        problem.as_object_mut().unwrap().remove("request_id");
        answers.push((answer.status(), problem));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!((answers[0].0, &answers[0].1["code"]), (StatusCode::FORBIDDEN, &json!("wrong_signature")));
    assert_eq!(next_due(&server).await, None);
}

#[tokio::test]
async fn only_the_success_of_an_awaited_job_of_dbt_cloud_starts_a_sync() {
    let server = waiting(json!({ "kind": "dbt_cloud", "secret": SECRET, "jobs": [123] })).await;
    let event = |id: &str, kind: &str, job: &str, status: &str, time: &str| {
        let run = json!({ "jobId": job, "runId": "1", "runStatus": status });
        json!({ "eventId": id, "timestamp": time, "eventType": kind, "data": run }).to_string()
    };
    let today = "2025-12-31T23:59:00.123456789Z";
    for (body, status) in [
        (event("wev_1", "job.run.started", "123", "Running", today), StatusCode::OK),
        (event("wev_2", "job.run.completed", "123", "Errored", today), StatusCode::OK),
        (event("wev_3", "job.run.completed", "124", "Success", today), StatusCode::OK),
        (event("wev_4", "job.run.completed", "123", "Success", "2025-12-30T23:59:00Z"), StatusCode::OK),
        ("{}".to_owned(), StatusCode::UNPROCESSABLE_ENTITY),
        (event("wev_5", "job.run.completed", "123", "Success", today), StatusCode::ACCEPTED),
        // Sent again, because the answer came late.
        (event("wev_5", "job.run.completed", "123", "Success", today), StatusCode::OK),
    ] {
        let signature = hmac_hex(SignatureAlgorithm::Sha256, SECRET, body.as_bytes());
        let answer = call(&server, "people-to-crm", "authorization", &signature, &body).await;
        assert_eq!(answer.status(), status, "{body}: {}", String::from_utf8_lossy(&answer.body));
    }
    assert_eq!(next_due(&server).await, Some(NOW));
}
