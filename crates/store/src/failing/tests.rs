//! Records that keep failing: written, found, settled, listed.

use std::sync::Arc;

use super::*;
use crate::testing::{HandClock, on_both_databases, second, sync_id};

on_both_databases!(
    failing_records_come_back_as_written_and_replace_what_was_known,
    a_sync_that_tried_all_leaves_only_what_failed_in_it_and_what_was_given_up,
    what_was_given_up_is_listed_in_pages,
);

fn failing(key: &str, sync: i64) -> FailingRecord {
    FailingRecord {
        key: key.to_owned(),
        fingerprint: u64::MAX - 1,
        first_failed_at: second(5),
        syncs: 2,
        last_sync: sync_id(sync),
        given_up_at: None,
    }
}

async fn failing_records_come_back_as_written_and_replace_what_was_known(store: Store, _: Arc<HandClock>) {
    let mut all: Vec<FailingRecord> = (0..1_200).map(|number| failing(&format!("key {number:04} \"ä\""), 1)).collect();
    store.set_failing("people", &all).await.unwrap();
    let keys: Vec<String> = all.iter().map(|record| record.key.clone()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).chain(["unknown"]).collect();
    assert_eq!(store.failing("people", &keys).await.unwrap(), all);
    assert_eq!(store.failing("orders", &keys).await.unwrap(), []);
    assert_eq!(store.failing("people", &[]).await.unwrap(), []);
    all[7] = FailingRecord { syncs: 3, given_up_at: Some(second(9)), fingerprint: 0, ..all[7].clone() };
    store.set_failing("people", &all[7..8]).await.unwrap();
    assert_eq!(store.failing("people", &keys[6..9]).await.unwrap(), all[6..9]);
    store.remove_failing("people", &keys[..1_000]).await.unwrap();
    assert_eq!(store.failing("people", &keys).await.unwrap(), all[1_000..]);
    store.forget_failing("people").await.unwrap();
    assert_eq!(store.failing("people", &keys).await.unwrap(), []);
}

async fn a_sync_that_tried_all_leaves_only_what_failed_in_it_and_what_was_given_up(store: Store, _: Arc<HandClock>) {
    let given_up = FailingRecord { given_up_at: Some(second(9)), ..failing("b", 1) };
    let rows = [failing("a", 1), given_up.clone(), failing("c", 2)];
    store.set_failing("people", &rows).await.unwrap();
    store.set_failing("orders", &rows[..1]).await.unwrap();
    store.settle_failing("people", sync_id(2)).await.unwrap();
    assert_eq!(store.failing("people", &["a", "b", "c"]).await.unwrap(), [given_up, failing("c", 2)]);
    assert_eq!(store.failing("orders", &["a"]).await.unwrap().len(), 1, "another mapping's");
}

async fn what_was_given_up_is_listed_in_pages(store: Store, _: Arc<HandClock>) {
    let given_up = |key: &str| FailingRecord { given_up_at: Some(second(9)), ..failing(key, 1) };
    let rows = [given_up("a"), given_up("b"), failing("c", 1), given_up("d")];
    store.set_failing("people", &rows).await.unwrap();
    assert_eq!(store.given_up("people", None, 2).await.unwrap(), rows[..2]);
    assert_eq!(store.given_up("people", Some("b"), 2).await.unwrap(), rows[3..]);
    assert_eq!(store.given_up("people", Some("d"), 2).await.unwrap(), []);
}
