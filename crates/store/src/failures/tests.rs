//! Failures of a sync: written whole, paged, counted.

use super::*;
use crate::{
    SyncState,
    testing::{memory_store, new_sync, second, sync_id},
};

fn failure(index: u64, outcome: OutcomeKind, code: &str) -> FailedRecord {
    FailedRecord {
        sync: sync_id(1),
        index,
        key: format!("key {index} \"ä\u{0}\""),
        operation: Operation::Updated,
        outcome,
        code: code.to_owned(),
        message: format!("`email` of record {index} is no address"),
        at: second(index.try_into().unwrap()),
    }
}

async fn store_with_sync() -> Store {
    let (store, _) = memory_store().await;
    store.begin_sync(&new_sync(1, "people")).await.unwrap();
    store
}

#[tokio::test]
async fn failures_come_back_as_written_in_pages() {
    let store = store_with_sync().await;
    let all: Vec<_> = (0..2_500).map(|index| failure(index, OutcomeKind::Rejected, "email")).collect();
    store.record_failures(&all).await.unwrap();
    store.record_failures(&[]).await.unwrap();
    assert_eq!(store.failures(sync_id(1), 5_000, 0).await.unwrap(), all);
    assert_eq!(store.failures(sync_id(1), 10, 995).await.unwrap(), all[995..1_005]);
    assert_eq!(store.failures(sync_id(1), 10, 2_500).await.unwrap(), []);
    assert_eq!(store.failures(sync_id(2), 10, 0).await.unwrap(), []);
}

#[tokio::test]
async fn every_operation_and_outcome_comes_back() {
    let store = store_with_sync().await;
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

#[tokio::test]
async fn a_later_outcome_of_a_record_replaces_the_earlier() {
    let store = store_with_sync().await;
    store.record_failures(&[failure(7, OutcomeKind::InDoubt, "no_answer")]).await.unwrap();
    let later = failure(7, OutcomeKind::Rejected, "email");
    store.record_failures(std::slice::from_ref(&later)).await.unwrap();
    assert_eq!(store.failures(sync_id(1), 10, 0).await.unwrap(), [later]);
}

#[tokio::test]
async fn one_wrong_failure_leaves_none_of_its_company_behind() {
    let store = store_with_sync().await;
    let mut failures: Vec<_> = (0..1_500).map(|index| failure(index, OutcomeKind::Retry, "limit")).collect();
    failures.push(FailedRecord { sync: sync_id(99), ..failure(0, OutcomeKind::Retry, "limit") });
    store.record_failures(&failures).await.unwrap_err();
    assert_eq!(store.failures(sync_id(1), 10, 0).await.unwrap(), []);
    store.record_failures(&failures[..1]).await.unwrap();
}

#[tokio::test]
async fn the_summary_counts_by_outcome_and_code_with_a_sample() {
    let store = store_with_sync().await;
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
        message: failure.message.clone(),
        key: failure.key.clone(),
        count,
    };
    let expected = [group(&failures[1], 2), group(&failures[3], 1), group(&failures[2], 1)];
    assert_eq!(store.failure_summary(sync_id(1)).await.unwrap(), expected);
    assert_eq!(store.failure_summary(sync_id(2)).await.unwrap(), []);
}

#[tokio::test]
async fn failures_go_when_cleared_and_with_their_sync() {
    let store = store_with_sync().await;
    store.record_failures(&[failure(1, OutcomeKind::Retry, "limit")]).await.unwrap();
    assert_eq!(store.clear_failures(sync_id(1)).await.unwrap(), 1);
    store.record_failures(&[failure(1, OutcomeKind::Retry, "limit")]).await.unwrap();
    store.set_state(sync_id(1), SyncState::Partly).await.unwrap();
    store.begin_sync(&new_sync(2, "people")).await.unwrap();
    assert_eq!(store.forget_syncs_before(second(2_000)).await.unwrap(), 1);
    assert_eq!(store.failures(sync_id(1), 10, 0).await.unwrap(), []);
}
