//! Failures of a sync: written whole, paged, counted.

use std::sync::Arc;

use super::*;
use crate::{
    SyncState,
    testing::{HandClock, new_sync, on_both_databases, second, sync_id},
};

fn failure(index: u64, outcome: OutcomeKind, code: &str) -> FailedRecord {
    FailedRecord {
        sync: sync_id(1),
        index,
        key: format!("key {index} \"ä\""),
        operation: Operation::Updated,
        outcome,
        code: code.to_owned(),
        message: format!("`email` of record {index} is no address"),
        at: second(index.try_into().unwrap()),
        given_up: false,
    }
}

on_both_databases!(
    failures_come_back_as_written_in_pages,
    every_operation_and_outcome_comes_back,
    a_later_outcome_of_a_record_replaces_the_earlier,
    one_wrong_failure_leaves_none_of_its_company_behind,
    the_summary_counts_by_outcome_and_code_with_a_sample,
    what_was_given_up_is_marked_and_counted_for_itself,
    failures_are_paged_from_a_place_on_by_code,
    failures_go_when_cleared_and_with_their_sync,
);

async fn begin_one(store: &Store) {
    store.begin_sync(&new_sync(1, "people")).await.unwrap().unwrap();
}

async fn failures_come_back_as_written_in_pages(store: Store, _: Arc<HandClock>) {
    begin_one(&store).await;
    let all: Vec<_> = (0..2_500).map(|index| failure(index, OutcomeKind::Rejected, "email")).collect();
    store.record_failures(&all).await.unwrap();
    store.record_failures(&[]).await.unwrap();
    assert_eq!(store.failures(sync_id(1), 5_000, 0).await.unwrap(), all);
    assert_eq!(store.failures(sync_id(1), 10, 995).await.unwrap(), all[995..1_005]);
    assert_eq!(store.failures(sync_id(1), 10, 2_500).await.unwrap(), []);
    assert_eq!(store.failures(sync_id(2), 10, 0).await.unwrap(), []);
}

async fn every_operation_and_outcome_comes_back(store: Store, _: Arc<HandClock>) {
    begin_one(&store).await;
    let mut all = Vec::new();
    for (operation, word) in OPERATIONS {
        assert_eq!(operation.name(), word);
        for (outcome, word) in OUTCOMES {
            assert_eq!(outcome.name(), word);
            all.push(FailedRecord { operation, ..failure(all.len() as u64, outcome, "any") });
        }
    }
    store.record_failures(&all).await.unwrap();
    assert_eq!(store.failures(sync_id(1), 100, 0).await.unwrap(), all);
}

async fn a_later_outcome_of_a_record_replaces_the_earlier(store: Store, _: Arc<HandClock>) {
    begin_one(&store).await;
    store.record_failures(&[failure(7, OutcomeKind::InDoubt, "no_answer")]).await.unwrap();
    let later = failure(7, OutcomeKind::Rejected, "email");
    store.record_failures(std::slice::from_ref(&later)).await.unwrap();
    assert_eq!(store.failures(sync_id(1), 10, 0).await.unwrap(), [later]);
}

async fn one_wrong_failure_leaves_none_of_its_company_behind(store: Store, _: Arc<HandClock>) {
    begin_one(&store).await;
    let mut failures: Vec<_> = (0..1_500).map(|index| failure(index, OutcomeKind::Retry, "limit")).collect();
    failures.push(FailedRecord { sync: sync_id(99), ..failure(0, OutcomeKind::Retry, "limit") });
    store.record_failures(&failures).await.unwrap_err();
    assert_eq!(store.failures(sync_id(1), 10, 0).await.unwrap(), []);
    store.record_failures(&failures[..1]).await.unwrap();
}

async fn the_summary_counts_by_outcome_and_code_with_a_sample(store: Store, _: Arc<HandClock>) {
    begin_one(&store).await;
    let failures = [
        failure(9, OutcomeKind::Rejected, "email"),
        failure(3, OutcomeKind::Rejected, "email"),
        failure(4, OutcomeKind::Retry, "limit"),
        failure(5, OutcomeKind::Rejected, "limit"),
    ];
    store.record_failures(&failures).await.unwrap();
    let group = |failure: &FailedRecord, count| FailureGroup {
        outcome: failure.outcome,
        code: failure.code.clone(),
        given_up: false,
        message: failure.message.clone(),
        key: failure.key.clone(),
        count,
    };
    let expected = [group(&failures[1], 2), group(&failures[3], 1), group(&failures[2], 1)];
    assert_eq!(store.failure_summary(sync_id(1)).await.unwrap(), expected);
    assert_eq!(store.failure_summary(sync_id(2)).await.unwrap(), []);
}

async fn what_was_given_up_is_marked_and_counted_for_itself(store: Store, _: Arc<HandClock>) {
    begin_one(&store).await;
    let given_up = FailedRecord { given_up: true, ..failure(2, OutcomeKind::Rejected, "email") };
    let failures = [failure(1, OutcomeKind::Rejected, "email"), given_up, failure(3, OutcomeKind::Rejected, "email")];
    store.record_failures(&failures).await.unwrap();
    assert_eq!(store.failures(sync_id(1), 10, 0).await.unwrap(), failures);
    let groups = store.failure_summary(sync_id(1)).await.unwrap();
    let counted: Vec<(bool, u64)> = groups.iter().map(|group| (group.given_up, group.count)).collect();
    assert_eq!(counted, [(false, 2), (true, 1)]);
}

async fn failures_are_paged_from_a_place_on_by_code(store: Store, _: Arc<HandClock>) {
    begin_one(&store).await;
    let code = |index: u64| if index.is_multiple_of(3) { "limit" } else { "email" };
    let all: Vec<_> = (0..30).map(|index| failure(index, OutcomeKind::Rejected, code(index))).collect();
    store.record_failures(&all).await.unwrap();
    assert_eq!(store.failures_after(sync_id(1), None, None, 4).await.unwrap(), all[..4]);
    assert_eq!(store.failures_after(sync_id(1), None, Some(3), 4).await.unwrap(), all[4..8]);
    let limited = store.failures_after(sync_id(1), Some("limit"), Some(3), 2).await.unwrap();
    assert_eq!(limited, [all[6].clone(), all[9].clone()]);
    assert_eq!(store.failures_after(sync_id(1), None, Some(29), 4).await.unwrap(), []);
}

async fn failures_go_when_cleared_and_with_their_sync(store: Store, _: Arc<HandClock>) {
    begin_one(&store).await;
    store.record_failures(&[failure(1, OutcomeKind::Retry, "limit")]).await.unwrap();
    assert_eq!(store.clear_failures(sync_id(1)).await.unwrap(), 1);
    store.record_failures(&[failure(1, OutcomeKind::Retry, "limit")]).await.unwrap();
    store.set_state(sync_id(1), SyncState::Partly).await.unwrap();
    store.begin_sync(&new_sync(2, "people")).await.unwrap().unwrap();
    assert_eq!(store.forget_syncs_before(second(2_000)).await.unwrap(), 1);
    assert_eq!(store.failures(sync_id(1), 10, 0).await.unwrap(), []);
}
