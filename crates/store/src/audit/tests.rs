//! The audit log: entries come and go with their transaction, and are found by who, what and when.

use serde_json::json;

use super::*;
use crate::testing::{HandClock, author, on_both_databases, second};

on_both_databases!(
    an_entry_comes_back_as_it_was_written,
    an_entry_is_undone_with_its_transaction,
    entries_are_filtered_and_paged_newest_first,
    old_entries_are_forgotten,
);

async fn add(store: &Store, entry: &AuditEntry) {
    let mut transaction = store.begin("write the audit log").await.unwrap();
    write(&mut transaction, entry).await.unwrap();
    transaction.commit().await.unwrap();
}

async fn an_entry_comes_back_as_it_was_written(store: Store, _: Arc<HandClock>) {
    let mut author = author("user_1");
    author.request_id = Some("request-7".to_owned());
    let entry = author.entry(second(5), "mapping.update", "mapping", "people", json!({ "fields": ["email", "ä"] }));
    add(&store, &entry).await;
    assert_eq!(store.audit(&AuditFilter::default(), None, 10).await.unwrap(), [entry]);
}

async fn an_entry_is_undone_with_its_transaction(store: Store, _: Arc<HandClock>) {
    let entry = author("user_1").entry(second(5), "mapping.update", "mapping", "people", json!({}));
    let mut transaction = store.begin("write the audit log").await.unwrap();
    write(&mut transaction, &entry).await.unwrap();
    drop(transaction);
    assert_eq!(store.audit(&AuditFilter::default(), None, 10).await.unwrap(), []);
}

async fn entries_are_filtered_and_paged_newest_first(store: Store, _: Arc<HandClock>) {
    let mut entries = Vec::new();
    for (at, actor, action, name) in [
        (1, "user_1", "mapping.create", "people"),
        (2, "user_2", "mapping.update", "people"),
        (3, "user_1", "mapping.update", "orders"),
        (4, "token_1", "mapping.delete", "people"),
    ] {
        let entry = author(actor).entry(second(at), action, "mapping", name, json!({}));
        add(&store, &entry).await;
        entries.insert(0, entry);
    }
    let times = async |filter: AuditFilter, before, limit| {
        let found = store.audit(&filter, before, limit).await.unwrap();
        found.iter().map(|entry| entry.at.as_second()).collect::<Vec<_>>()
    };
    let any = AuditFilter::default;
    assert_eq!(store.audit(&any(), None, 10).await.unwrap(), entries);
    assert_eq!(times(any(), None, 3).await, [4, 3, 2]);
    assert_eq!(times(any(), Some(entries[2].id), 3).await, [1]);
    assert_eq!(times(AuditFilter { actor_id: Some("user_1".to_owned()), ..any() }, None, 9).await, [3, 1]);
    assert_eq!(times(AuditFilter { action: Some("mapping.update".to_owned()), ..any() }, None, 9).await, [3, 2]);
    let people = AuditFilter {
        subject_kind: Some("mapping".to_owned()),
        subject_name: Some("people".to_owned()),
        from: Some(second(2)),
        to: Some(second(4)),
        ..any()
    };
    assert_eq!(times(people, None, 9).await, [2]);
    assert_eq!(times(AuditFilter { subject_kind: Some("model".to_owned()), ..any() }, None, 9).await, [0_i64; 0]);
}

async fn old_entries_are_forgotten(store: Store, _: Arc<HandClock>) {
    for at in 1..=3 {
        add(&store, &author("user_1").entry(second(at), "user.update", "user", "a@b.example", json!({}))).await;
    }
    assert_eq!(store.forget_audit_before(second(3)).await.unwrap(), 2);
    assert_eq!(store.audit(&AuditFilter::default(), None, 10).await.unwrap().len(), 1);
}
