//! Places of checkpoints.

use std::sync::Arc;

use super::*;
use crate::testing::{HandClock, on_both_databases, second, sync_id};

on_both_databases!(a_checkpoint_is_set_replaced_and_removed,);

async fn a_checkpoint_is_set_replaced_and_removed(store: Store, _: Arc<HandClock>) {
    assert_eq!(store.checkpoint("people").await.unwrap(), None);
    let first = CheckpointRow {
        mapping: "people".to_owned(),
        folder: "/data/mappings/people/checkpoint".into(),
        records: 10,
        bytes: 2_000,
        definition_hash: "abc".to_owned(),
        definition: "fields: {}".to_owned(),
        updated_at: second(5),
        last_sync: None,
    };
    store.set_checkpoint(&first).await.unwrap();
    assert_eq!(store.checkpoint("people").await.unwrap(), Some(first.clone()));
    let second = CheckpointRow { records: 11, last_sync: Some(sync_id(3)), ..first.clone() };
    store.set_checkpoint(&second).await.unwrap();
    let orders = CheckpointRow { mapping: "orders".to_owned(), ..first };
    store.set_checkpoint(&orders).await.unwrap();
    assert_eq!(store.checkpoints().await.unwrap(), [orders, second]);
    assert!(store.remove_checkpoint("people").await.unwrap());
    assert!(!store.remove_checkpoint("people").await.unwrap());
    assert_eq!(store.checkpoint("people").await.unwrap(), None);
}
