//! Places of checkpoints.

use super::*;
use crate::testing::{memory_store, second, sync_id};

#[tokio::test]
async fn a_checkpoint_is_set_replaced_and_removed() {
    let (store, _) = memory_store().await;
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
