//! Records that keep failing, and mappings that give them up.

use store::FailedRecord;
use sync::{Ending, GiveUp, Mapping, SyncReport, Unobserved};

use crate::support::{Stage, request, stage, sync};

fn patient(stage: &Stage, syncs: u32) -> Mapping {
    Mapping { give_up: Some(GiveUp { after_syncs: Some(syncs), after_days: None }), ..stage.mapping("people") }
}

async fn failures(stage: &Stage, report: &SyncReport) -> Vec<FailedRecord> {
    stage.store.failures(report.sync.expect("an id"), 100, 0).await.expect("failures")
}

async fn given_up(engine: &sync::Engine) -> Vec<String> {
    let records = engine.given_up("people", None, 100).await.expect("a list");
    records.into_iter().map(|record| record.key).collect()
}

#[tokio::test(start_paused = true)]
async fn without_a_policy_a_failed_record_returns_with_every_sync() {
    let stage = stage(3).await;
    let engine = stage.engine("one");
    stage.tool.refuse("2", true);
    for _ in 0..10 {
        let report = sync(&engine, request(stage.mapping("people"))).await;
        assert_eq!((report.ending, report.counts.rejected), (Ending::Partly, 1));
    }
    assert!(stage.store.failing("people", &["2"]).await.unwrap().is_empty(), "nothing is counted");
}

#[tokio::test(start_paused = true)]
async fn a_record_is_given_up_after_as_many_syncs_as_the_policy_says_and_tried_when_its_values_change() {
    let stage = stage(3).await;
    let engine = stage.engine("one");
    stage.tool.refuse("2", true);
    for _ in 0..2 {
        let report = sync(&engine, request(patient(&stage, 3))).await;
        assert_eq!((report.counts.rejected, report.failures[0].given_up), (1, false));
    }
    let report = sync(&engine, request(patient(&stage, 3))).await;
    assert_eq!((report.ending, report.counts.rejected), (Ending::Partly, 1));
    let [failure] = &failures(&stage, &report).await[..] else { panic!("one failed") };
    assert!(failure.given_up && report.failures[0].given_up);
    assert_eq!(failure.code, "refused");
    let (start, end) = ("given up after 3 syncs since ", ": the tool does not take it");
    assert!(failure.message.starts_with(start) && failure.message.ends_with(end), "{}", failure.message);
    assert_eq!(given_up(&engine).await, ["2"]);

    let report = sync(&engine, request(patient(&stage, 3))).await;
    assert_eq!((report.ending, report.counts.changed()), (Ending::Done, 0), "it is not tried any more");
    stage.table.set(2, "pro");
    let report = sync(&engine, request(patient(&stage, 3))).await;
    assert_eq!((report.counts.updated, report.counts.rejected), (1, 1));
    assert!(!report.failures[0].given_up && given_up(&engine).await.is_empty(), "other values begin anew");
    stage.tool.refuse("2", false);
    assert_eq!(sync(&engine, request(patient(&stage, 3))).await.counts.delivered, 1);
    assert!(stage.store.failing("people", &["2"]).await.unwrap().is_empty());
    assert!(stage.tool.records()["2"].contains("pro"));
}

#[tokio::test(start_paused = true)]
async fn what_was_to_come_again_is_given_up_too_and_counted_as_rejected() {
    let stage = stage(3).await;
    let engine = stage.engine("one");
    stage.tool.be_busy_for("2", true);
    assert_eq!(sync(&engine, request(patient(&stage, 2))).await.counts.retry, 1);
    let report = sync(&engine, request(patient(&stage, 2))).await;
    assert_eq!((report.counts.retry, report.counts.rejected), (0, 1));
    assert_eq!(failures(&stage, &report).await[0].code, "busy");
}

#[tokio::test(start_paused = true)]
async fn a_record_is_given_up_some_days_after_it_first_failed() {
    let stage = stage(3).await;
    let engine = stage.engine("one");
    let policy =
        || Mapping { give_up: Some(GiveUp { after_syncs: None, after_days: Some(2) }), ..stage.mapping("people") };
    stage.tool.refuse("2", true);
    for _ in 0..3 {
        assert!(!sync(&engine, request(policy())).await.failures[0].given_up);
        tokio::time::advance(std::time::Duration::from_secs(15 * 3600)).await;
    }
    tokio::time::advance(std::time::Duration::from_secs(4 * 3600)).await;
    assert!(sync(&engine, request(policy())).await.failures[0].given_up);
}

#[tokio::test(start_paused = true)]
async fn a_sync_that_was_stopped_counts_for_no_record() {
    let stage = stage(6).await;
    let engine = stage.engine("one");
    stage.tool.refuse("2", true);
    for _ in 0..5 {
        let stopped = request(patient(&stage, 2));
        let cancel = stopped.cancel.clone();
        stage.tool.gate.close();
        let requests = [stopped];
        tokio::join!(engine.sync(&requests, &Unobserved), async {
            stage.tool.gate.reached().await;
            cancel.cancel();
            stage.tool.gate.open();
        });
    }
    let mut syncs = 0;
    while given_up(&engine).await.is_empty() {
        sync(&engine, request(patient(&stage, 2))).await;
        syncs += 1;
    }
    assert_eq!(syncs, 2);
}

#[tokio::test(start_paused = true)]
async fn a_replay_of_the_failed_tries_again_what_its_sync_gave_up() {
    let stage = stage(3).await;
    let engine = stage.engine("one");
    stage.tool.refuse("2", true);
    let report = sync(&engine, request(patient(&stage, 1))).await;
    assert!(report.failures[0].given_up);
    stage.tool.refuse("2", false);
    let again = engine.replay(&request(patient(&stage, 1)), report.sync.unwrap(), true, &Unobserved).await.unwrap();
    assert_eq!((again.ending, again.counts.changed(), again.counts.delivered), (Ending::Done, 1, 1));
    assert_eq!(stage.tool.keys(), ["1", "2", "3"]);
    assert!(given_up(&engine).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_person_has_some_of_what_was_given_up_tried_again_or_all() {
    let stage = stage(5).await;
    let engine = stage.engine("one");
    sync(&engine, request(stage.mapping("people"))).await;
    stage.table.set(2, "pro");
    stage.table.set(9, "pro");
    stage.table.remove(4);
    for key in ["2", "4", "9"] {
        stage.tool.refuse(key, true);
    }
    sync(&engine, request(patient(&stage, 1))).await;
    assert_eq!(given_up(&engine).await, ["2", "4", "9"]);
    assert_eq!(sync(&engine, request(patient(&stage, 1))).await.counts.changed(), 0);
    for key in ["2", "4", "9"] {
        stage.tool.refuse(key, false);
    }
    let retry = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    let report = engine.retry_given_up(&request(patient(&stage, 1)), &retry(&["2"]), &Unobserved).await.unwrap();
    assert_eq!((report.counts.updated, report.counts.delivered), (1, 1));
    assert_eq!(given_up(&engine).await, ["4", "9"]);
    let report = engine.retry_given_up(&request(patient(&stage, 1)), &[], &Unobserved).await.unwrap();
    assert_eq!((report.counts.deleted, report.counts.delivered), (1, 2), "the deletion too");
    assert_eq!(stage.tool.keys(), ["1", "2", "3", "5", "9"]);
    assert!(given_up(&engine).await.is_empty());
}
