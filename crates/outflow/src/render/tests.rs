//! Results as text: plans, reports and failures that the program's own tests do not bring about.

use jiff::Timestamp;
use records::{Counts, Operation, OutcomeKind, SyncId, Value};
use sync::{Ending, FailureCount, FieldChange, Held, Plan, RefusedRecord, SampleChange, SyncReport, UnusableRecord};

use super::*;
use crate::failure::Failure;

const PLAIN: Paint = Paint { on: false };

fn empty_report(ending: Ending) -> SyncReport {
    SyncReport {
        mapping: "customers".to_owned(),
        sync: Some(SyncId::from_uuid(uuid())),
        ending,
        counts: Counts::default(),
        held: None,
        problem: None,
        failures: Vec::new(),
        unusable: Vec::new(),
        disk_bytes: 0,
        phases: Vec::new(),
        requests: 0,
    }
}

fn uuid() -> uuid::Uuid {
    uuid::Uuid::from_u128(7)
}

#[test]
fn numbers_and_times_are_easy_to_read() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    assert_eq!(number(7), "7");
    assert_eq!(number(1_234_567), "1,234,567");
    assert_eq!(counted(1, "record"), "1 record");
    let from = at("2026-01-01T00:00:00Z");
    assert_eq!(duration(from, at("2026-01-01T00:00:02.345Z")), "2.3 s");
    assert_eq!(duration(from, at("2026-01-01T02:05:00Z")), "2 h 5 min");
    assert_eq!(ago(from, at("2026-01-01T00:00:02Z")), "just now");
    assert_eq!(ago(from, at("2026-01-01T01:59:00Z")), "119 min ago");
    assert_eq!(ago(from, at("2026-01-05T01:59:00Z")), "4 days ago");
    assert_eq!(cut("one\ntwo three", 8), "one two…");
}

#[test]
fn colours_are_put_only_where_they_are_wanted() {
    assert_eq!(PLAIN.red("no"), "no");
    assert_eq!(Paint { on: true }.red("no"), "\u{1b}[31mno\u{1b}[0m");
}

#[test]
fn a_report_tells_what_failed_and_why() {
    let report_of = SyncReport {
        counts: Counts {
            extracted: 5_000,
            unchanged: 4_000,
            added: 900,
            updated: 90,
            deleted: 10,
            delivered: 700,
            rejected: 250,
            in_doubt: 50,
            duplicate_key: 2,
            ..Counts::default()
        },
        failures: vec![FailureCount {
            outcome: OutcomeKind::Rejected,
            code: "invalid_email".to_owned(),
            given_up: false,
            message: "`ada` is no e-mail address".to_owned(),
            records: 250,
            key: "17".to_owned(),
        }],
        unusable: vec![UnusableRecord {
            reason: "duplicate_key".to_owned(),
            key: "9".to_owned(),
            values: Value::parse(r#"{"id":9}"#).unwrap(),
        }],
        ..empty_report(Ending::Partly)
    };
    insta::assert_snapshot!(report(&report_of, PLAIN));
}

#[test]
fn a_held_sync_says_how_to_go_on() {
    let held = Held::Deletions { deleted: 300, checkpoint: 1000, percent: 30.0, limit_percent: 20.0 };
    let held = SyncReport { held: Some(held), ..empty_report(Ending::Held) };
    let key = Held::KeyChanged { checkpoint: vec!["id".to_owned()], now: vec!["email".to_owned()] };
    let key = SyncReport { held: Some(key), ..empty_report(Ending::Held) };
    insta::assert_snapshot!(format!("{}{}", report(&held, PLAIN), report(&key, PLAIN)));
}

#[test]
fn a_plan_shows_what_cannot_be_sent_too() {
    let plan_of = Plan {
        mapping: "customers".to_owned(),
        counts: Counts { extracted: 3, added: 2, rejected: 1, null_key: 1, ..Counts::default() },
        held: Some(Held::EmptyResult { checkpoint: 3 }),
        samples: vec![SampleChange {
            operation: Operation::Updated,
            key: "1".to_owned(),
            fields: vec![FieldChange { column: "plan".to_owned(), before: "free".into(), after: Value::Null }],
            payload: Err("`email` is required".to_owned()),
        }],
        requests: Vec::new(),
        requests_problem: None,
        unusable: vec![UnusableRecord { reason: "null_key".to_owned(), key: String::new(), values: Value::Null }],
        refused: (0..7)
            .map(|key| RefusedRecord {
                key: key.to_string(),
                operation: Operation::Added,
                code: "invalid".to_owned(),
                message: "`email` is required".to_owned(),
            })
            .collect(),
        checkpoint: 3,
        disk_bytes: 0,
    };
    insta::assert_snapshot!(plan(&PlanView { plan: &plan_of, to: "crm · request · mirror".to_owned() }, PLAIN));
}

#[test]
fn a_failure_names_its_causes_once() {
    #[derive(Debug, thiserror::Error)]
    #[error("cannot open `a`")]
    struct Outer(#[source] std::io::Error);
    let cause = Outer(std::io::Error::other("the disk is gone"));
    let failure_of = Failure::new("the state cannot be read").because(cause).hint("plug it in");
    assert_eq!(
        failure(&failure_of, PLAIN),
        "error: the state cannot be read\n  because cannot open `a`\n  because the disk is gone\nhint: plug it in\n"
    );
}
