//! What the rules find: each kind of trouble, its end, and where the facts do not tell.

use std::time::Duration;

use records::{Counts, Random};

use super::*;
use crate::{ColumnFacts, ColumnsFacts, DueFacts, RuleForm};

#[derive(Debug)]
struct Seven;

impl Random for Seven {
    fn next(&self) -> u64 {
        7
    }
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + minute * 60).unwrap()
}

fn sync(minute: i64, state: SyncState, counts: Counts) -> SyncFacts {
    let is_whole = matches!(state, SyncState::Done | SyncState::Partly | SyncState::Held);
    SyncFacts {
        id: SyncId::new(at(minute), &Seven),
        state,
        at: at(minute),
        counts,
        reason: None,
        is_whole,
        is_taken_over: false,
    }
}

fn because(mut sync: SyncFacts, code: &str, message: &str) -> SyncFacts {
    sync.reason = Some((code.to_owned(), message.to_owned()));
    sync
}

fn extracted(rows: u64) -> Counts {
    Counts { extracted: rows, ..Counts::default() }
}

fn delivered(delivered: u64, rejected: u64) -> Counts {
    Counts { delivered, rejected, ..Counts::default() }
}

fn when(json: Value) -> When {
    serde_json::from_value::<RuleForm>(json!({ "when": json })).unwrap().check().unwrap().when
}

/// The verdict on the one kind of a rule, in a word and its sentence. `syncs` are newest first.
fn judged(rule: Value, syncs: &[SyncFacts]) -> String {
    match &judge_syncs(&when(rule), syncs, at(0))[..] {
        [(_, verdict)] => said(verdict),
        verdicts => panic!("{verdicts:?}"),
    }
}

fn said(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Trouble(finding) => format!("trouble: {}", finding.message),
        Verdict::Fine(message) => format!("fine: {message}"),
        Verdict::Unknown => "unknown".to_owned(),
    }
}

#[test]
fn a_failure_is_trouble_until_a_sync_comes_to_its_end() {
    let failed = || because(sync(-1, SyncState::Failed, Counts::default()), "unreachable", "the tool did not answer");
    let rule = || json!({ "failed": {} });
    assert_eq!(judged(rule(), &[failed()]), "trouble: the sync failed: the tool did not answer");
    let interrupted = sync(-1, SyncState::Interrupted, Counts::default());
    assert!(judged(rule(), &[interrupted]).starts_with("trouble: the sync failed: its process ended"));
    // Another goes on where it was cut off.
    let taken_over = SyncFacts { is_taken_over: true, ..sync(-1, SyncState::Interrupted, Counts::default()) };
    assert_eq!(judged(rule(), &[taken_over]), "unknown");
    for state in [SyncState::Done, SyncState::Partly] {
        let syncs = [sync(-1, state, Counts::default()), failed()];
        assert_eq!(judged(rule(), &syncs), "fine: a sync came to its end again");
    }
    // What a person cancelled or a guard holds says nothing of it.
    for state in [SyncState::Cancelled, SyncState::Held] {
        let silent = sync(-1, state, Counts::default());
        assert_eq!(judged(rule(), std::slice::from_ref(&silent)), "unknown");
        let syncs = [silent, failed()];
        assert_eq!(judged(rule(), &syncs), "trouble: the sync failed: the tool did not answer");
    }
}

#[test]
fn failures_may_have_to_come_in_a_row() {
    let failed = || because(sync(-1, SyncState::Failed, Counts::default()), "x", "it broke");
    let done = || sync(-1, SyncState::Done, Counts::default());
    let cancelled = || sync(-1, SyncState::Cancelled, Counts::default());
    let rule = || json!({ "failed": { "in_a_row": 3 } });
    assert_eq!(judged(rule(), &[failed(), failed(), done(), failed()]), "unknown");
    let syncs = [failed(), cancelled(), failed(), failed(), done()];
    assert_eq!(judged(rule(), &syncs), "trouble: the last 3 syncs failed, the newest because it broke");
}

#[test]
fn what_was_not_delivered_is_told_by_kind() {
    let counts = Counts { delivered: 90, rejected: 4, retry: 3, in_doubt: 2, null_key: 1, ..Counts::default() };
    let partly = || sync(-1, SyncState::Partly, counts);
    assert_eq!(
        judged(json!({ "partly_delivered": {} }), &[partly()]),
        "trouble: 10 of 100 records were not delivered: 4 rejected, 3 to be tried again, 2 in doubt, 1 with an unusable key"
    );
    for (rule, is_trouble) in [
        (json!({ "records_min": 10, "percent_min": 10 }), true),
        (json!({ "records_min": 11 }), false),
        (json!({ "percent_min": 10.1 }), false),
    ] {
        let said = judged(json!({ "partly_delivered": rule }), &[partly()]);
        assert_eq!(said.starts_with("trouble"), is_trouble, "{said}");
    }
    let done = sync(-1, SyncState::Done, delivered(5, 0));
    assert_eq!(judged(json!({ "partly_delivered": {} }), &[done, partly()]), "fine: all 5 records were delivered");
    let failed = sync(-1, SyncState::Failed, delivered(0, 5));
    assert_eq!(judged(json!({ "partly_delivered": {} }), &[failed, partly()]), "unknown");
}

#[test]
fn a_held_sync_is_trouble_until_another_is_the_newest() {
    let held = because(sync(-1, SyncState::Held, Counts::default()), "deletions", "40 of 50 records would be deleted");
    let rule = || json!({ "held": {} });
    assert_eq!(
        judged(rule(), std::slice::from_ref(&held)),
        "trouble: a guard holds the sync, and nothing was sent: 40 of 50 records would be deleted"
    );
    let syncs = [sync(0, SyncState::Cancelled, Counts::default()), held];
    assert_eq!(judged(rule(), &syncs), "fine: no sync is held any more");
}

#[test]
fn the_rate_is_that_of_all_records_within_the_window() {
    let rule = || json!({ "delivery_rate": { "below_percent": 95, "window": "1h", "records_min": 50 } });
    let syncs = [
        sync(-10, SyncState::Partly, delivered(40, 10)),
        sync(-20, SyncState::Failed, delivered(0, 0)),
        sync(-30, SyncState::Done, delivered(50, 0)),
        // Outside of it.
        sync(-60, SyncState::Done, delivered(10_000, 0)),
    ];
    assert_eq!(
        judged(rule(), &syncs),
        "trouble: 90.0 % of 100 records were delivered in the last 1 hour; the limit is 95 %"
    );
    assert_eq!(
        judged(rule(), &syncs[2..]),
        "fine: 100.0 % of 50 records were delivered in the last 1 hour; the limit is 95 %"
    );
    assert_eq!(judged(rule(), &[sync(-10, SyncState::Partly, delivered(0, 49))]), "unknown");
}

#[test]
fn no_records_are_told_only_of_a_whole_extract() {
    let rule = || json!({ "zero_rows": {} });
    assert_eq!(judged(rule(), &[sync(-1, SyncState::Done, extracted(0))]), "trouble: the model gave no records");
    assert_eq!(judged(rule(), &[sync(-1, SyncState::Held, extracted(0))]), "trouble: the model gave no records");
    assert_eq!(judged(rule(), &[sync(-1, SyncState::Done, extracted(3))]), "fine: the model gave 3 records");
    assert_eq!(judged(rule(), &[sync(-1, SyncState::Failed, extracted(0))]), "unknown");
}

#[test]
fn a_number_of_records_is_unusual_against_those_before() {
    let history = |newest: u64, before: &[u64]| {
        let rows = std::iter::once(newest).chain(before.iter().copied());
        rows.map(|rows| sync(-1, SyncState::Done, extracted(rows))).collect::<Vec<_>>()
    };
    let rule = |rule: Value| json!({ "unusual_rows": rule });
    let steady = [1_000, 1_010, 990, 1_005, 995, 1_000, 1_002];
    assert_eq!(
        judged(rule(json!({})), &history(400, &steady)),
        "trouble: the model gave 400 records, far fewer than in the 7 extracts before; usual are 750 to 1250"
    );
    assert_eq!(
        judged(rule(json!({})), &history(1_200, &steady)),
        "fine: the model gave 1200 records; usual are 750 to 1250"
    );
    assert_eq!(
        judged(rule(json!({ "direction": "more" })), &history(400, &steady)),
        "fine: the model gave 400 records; usual are 750 to 1250"
    );
    assert!(judged(rule(json!({ "percent_min": 0 })), &history(1_200, &steady)).contains("far more than"));
    // Six extracts say nothing yet, and those that did not read the whole model do not count.
    assert_eq!(judged(rule(json!({})), &history(400, &steady[..6])), "unknown");
    let mut syncs = history(400, &steady);
    syncs[3].is_whole = false;
    assert_eq!(judged(rule(json!({})), &syncs), "unknown");
    // Nor does one wild number among them.
    let wild = [1_000_000, 1_000, 1_010, 990, 1_005, 995, 1_000];
    assert!(judged(rule(json!({})), &history(1_000, &wild)).starts_with("fine"));
}

#[test]
fn a_sync_is_late_once_the_tolerance_has_passed() {
    let late =
        |rule: Value, due: DueFacts| said(&judge_lateness(when(json!({ "late": rule })).late.unwrap(), &due, at(0)));
    let due = |waiting: Option<i64>, running: Option<i64>, ended: Option<i64>| DueFacts {
        waiting_since: waiting.map(at),
        running_since: running.map(at),
        ended_at: ended.map(at),
        enabled_since: at(-600),
    };
    let fine = "fine: it keeps to its schedule again";
    for (rule, facts, expected) in [
        (json!({}), due(Some(-15), None, None), fine),
        (json!({}), due(Some(30), None, None), fine),
        (
            json!({}),
            due(Some(-16), None, None),
            "trouble: a sync was due on 2023-11-14 21:57 UTC, 16 minutes ago, and has not started",
        ),
        (json!({}), due(None, Some(-100), None), fine),
        (
            json!({ "until": "ended", "tolerance": "1h" }),
            due(None, Some(-100), None),
            "trouble: a sync was due on 2023-11-14 20:33 UTC, 1 hour and 40 minutes ago, and has not ended",
        ),
        (json!({}), due(None, None, Some(-500)), fine),
        (
            json!({ "silence": "8h" }),
            due(None, None, Some(-500)),
            "trouble: no sync has ended for 8 hours and 20 minutes",
        ),
        (json!({ "silence": "9h" }), due(None, None, Some(-500)), fine),
        (
            json!({ "silence": "8h" }),
            due(None, None, None),
            "trouble: no sync has ever ended, 10 hours after it was enabled",
        ),
        // It was enabled again after its last sync.
        (json!({ "silence": "11h" }), due(None, None, Some(-5_000)), fine),
    ] {
        assert_eq!(late(rule.clone(), facts), expected, "{rule} {facts:?}");
    }
}

#[test]
fn columns_are_told_that_came_went_or_hold_something_else() {
    let columns = |list: &[(&str, &str)]| {
        let column = |(name, kind): &(&str, &str)| ColumnFacts { name: (*name).to_owned(), kind: (*kind).to_owned() };
        list.iter().map(column).collect::<Vec<_>>()
    };
    let before = || columns(&[("id", "int"), ("email", "text"), ("plan", "text")]);
    let judge = |rule: Value, now: &[(&str, &str)]| {
        let facts = ColumnsFacts { sync: None, before: before(), now: columns(now) };
        said(&judge_columns(when(json!({ "schema_changed": rule })).schema_changed.unwrap(), &facts))
    };
    let changed = [("plan", "text"), ("id", "text"), ("age", "int")];
    assert_eq!(
        judge(json!({}), &changed),
        "trouble: the model's columns changed; added: `age`; removed: `email`; retyped: `id` from int to text"
    );
    assert_eq!(
        judge(json!({ "changes": ["removed"] }), &changed),
        "trouble: the model's columns changed; removed: `email`"
    );
    assert_eq!(judge(json!({}), &[("plan", "text"), ("email", "text"), ("id", "int")]), "unknown");
    assert_eq!(judge(json!({ "changes": ["added"] }), &[("id", "int")]), "unknown");
}

#[test]
fn credentials_are_told_before_they_end_and_after() {
    let judge = |ends_at: i64| {
        let credential = CredentialFacts { what: "the certificate".to_owned(), ends_at: at(ends_at) };
        said(&judge_credential(CredentialsExpiring { within: Duration::from_secs(86_400) }, &credential, at(0)))
    };
    assert_eq!(judge(3_000), "fine: the certificate is good until 2023-11-17 00:13 UTC");
    assert_eq!(judge(1_440), "trouble: the certificate ends in 1 day (2023-11-15 22:13 UTC)");
    assert_eq!(judge(-1), "trouble: the certificate ended on 2023-11-14 22:12 UTC");
}

#[test]
fn a_long_reason_is_cut_at_a_character() {
    let long = because(sync(-1, SyncState::Failed, Counts::default()), "x", &"ä".repeat(1_000));
    let said = judged(json!({ "failed": {} }), &[long]);
    assert!(said.ends_with("ää…") && said.chars().count() < 450, "{said}");
}
