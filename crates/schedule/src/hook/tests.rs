//! What dbt Cloud tells, and what of it starts a sync.

use super::*;

fn hook(jobs: &[u64]) -> Hook {
    let header = Hook::DBT_CLOUD_HEADER.to_owned();
    Hook { kind: HookKind::DbtCloud, secret: "s3cret-text".to_owned(), header, jobs: jobs.to_vec() }
}

fn event(event_type: &str, job: &str, status: &str) -> DbtCloudEvent {
    let body = format!(
        r#"{{"accountId": 1, "webhookId": "wsu_1", "eventId": "wev_1", "timestamp": "2023-01-31T19:28:15.742843678Z",
        "eventType": "{event_type}", "webhookName": "test", "data": {{"jobId": {job}, "jobName": "Daily",
        "runId": "12345", "environmentId": "1", "runStatus": "{status}", "runStatusCode": 10}}}}"#
    );
    serde_json::from_str(&body).unwrap()
}

#[test]
fn only_the_success_of_a_chosen_job_starts_a_sync() {
    for (jobs, event_type, job, status, is_awaited) in [
        (&[123][..], "job.run.completed", "\"123\"", "Success", true),
        (&[123], "job.run.completed", "123", "Success", true),
        (&[], "job.run.completed", "\"9\"", "Success", true),
        (&[123, 124], "job.run.completed", "\"124\"", "Success", true),
        (&[123], "job.run.completed", "\"124\"", "Success", false),
        (&[123], "job.run.started", "\"123\"", "Running", false),
        (&[123], "job.run.errored", "\"123\"", "Errored", false),
        (&[123], "job.run.completed", "\"123\"", "Errored", false),
        (&[123], "job.run.completed", "\"123\"", "Cancelled", false),
        (&[123], "job.run.completed", "null", "Success", false),
    ] {
        let event = event(event_type, job, status);
        assert_eq!(hook(jobs).is_awaited(&event), is_awaited, "{jobs:?} {event:?}");
    }
}

#[test]
fn an_event_tells_its_id_and_its_run() {
    let event = event("job.run.completed", "\"123\"", "Success");
    assert_eq!((event.event_id.as_str(), event.data.run_id), ("wev_1", Some(12345)));
    assert_eq!(event.timestamp.map(|time| time.as_second()), Some(1_675_193_295));
}

#[test]
fn the_secret_is_not_in_what_is_printed_for_developers() {
    let printed = format!("{:?}", hook(&[1]));
    assert!(!printed.contains("s3cret-text"), "{printed}");
    let form = crate::HookForm { kind: None, secret: "s3cret-text".to_owned(), header: None, jobs: None };
    let printed = format!("{form:?}");
    assert!(!printed.contains("s3cret-text"), "{printed}");
}
