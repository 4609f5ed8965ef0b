//! Claims, and what is written under them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures_util::future::join_all;

use super::*;
use crate::testing::{
    HandClock, memory_store, on_both_databases, postgres_database, postgres_store, second, sync_id, worker,
};

const LONG: Duration = Duration::from_secs(3600);

on_both_databases!(
    a_mapping_is_held_by_one_until_it_is_given_back,
    a_journal_is_read_as_it_was_appended_and_only_its_holder_appends,
    only_the_holder_says_where_the_checkpoint_is,
    a_worker_renews_what_it_holds_and_nothing_else,
);

async fn a_mapping_is_held_by_one_until_it_is_given_back(store: Store, _: Arc<HandClock>) {
    let first = store.claim("people", worker(1), LONG).await.unwrap().unwrap();
    assert_eq!(store.claim("people", worker(2), LONG).await.unwrap(), None);
    assert_eq!(store.claim("people", worker(1), LONG).await.unwrap(), None, "another task of the same process");
    let other = store.claim("orders", worker(2), LONG).await.unwrap();
    assert!(other.is_some(), "another mapping is free");
    assert_eq!(store.holder("people").await.unwrap(), Some(first.clone()));
    store.release_claim(&first).await.unwrap();
    assert_eq!(store.holder("people").await.unwrap(), None);
    let second = store.claim("people", worker(2), LONG).await.unwrap().unwrap();
    assert!(second.token > first.token);
    store.release_claim(&first).await.unwrap();
    assert_eq!(store.holder("people").await.unwrap(), Some(second), "what is another's is not given back");
}

async fn a_journal_is_read_as_it_was_appended_and_only_its_holder_appends(store: Store, _: Arc<HandClock>) {
    let sync = sync_id(5);
    let old = store.claim("people", worker(1), Duration::ZERO).await.unwrap().unwrap();
    assert!(store.append_journal(&old, sync, 0, b"first").await.unwrap(), "a lease that ended is nobody else's yet");
    assert!(store.append_journal(&old, sync, 1, &[0, 255]).await.unwrap());
    assert!(store.append_journal(&old, sync, 1, &[0, 255]).await.unwrap(), "the same again");
    let new = store.claim("people", worker(2), LONG).await.unwrap().unwrap();
    assert!(!store.append_journal(&old, sync, 2, b"late").await.unwrap());
    assert!(!store.append_journal(&old, sync, 1, b"late").await.unwrap());
    assert_eq!(store.journal(sync).await.unwrap(), [b"first".to_vec(), vec![0, 255]]);
    assert!(store.append_journal(&new, sync, 2, b"third").await.unwrap());
    assert!(!store.append_journal(&new, sync, 1, b"changed").await.unwrap(), "a part of another claim stays");
    assert!(store.append_journal(&new, sync, 4, b"fifth").await.unwrap());
    let read = store.journal(sync).await.unwrap();
    assert_eq!(read, [b"first".to_vec(), vec![0, 255], b"third".to_vec()], "what follows a gap was never told");
    store.release_claim(&new).await.unwrap();
    assert!(!store.append_journal(&new, sync, 3, b"fourth").await.unwrap());
    store.forget_journal(sync).await.unwrap();
    assert!(store.journal(sync).await.unwrap().is_empty());
}

async fn only_the_holder_says_where_the_checkpoint_is(store: Store, _: Arc<HandClock>) {
    assert_eq!(store.checkpoint_pointer("people").await.unwrap(), None);
    let old = store.claim("people", worker(1), Duration::ZERO).await.unwrap().unwrap();
    assert!(store.set_checkpoint_pointer(&old, "a/1").await.unwrap());
    let new = store.claim("people", worker(2), LONG).await.unwrap().unwrap();
    assert!(!store.set_checkpoint_pointer(&old, "a/2").await.unwrap());
    assert_eq!(store.checkpoint_pointer("people").await.unwrap().as_deref(), Some("a/1"));
    assert!(store.set_checkpoint_pointer(&new, "a/3").await.unwrap());
    assert!(store.set_checkpoint_pointer(&new, "a/3").await.unwrap(), "the same again");
    assert_eq!(store.checkpoint_pointer("people").await.unwrap().as_deref(), Some("a/3"));
}

async fn a_worker_renews_what_it_holds_and_nothing_else(store: Store, _: Arc<HandClock>) {
    for mapping in ["people", "orders", "lost"] {
        store.claim(mapping, worker(1), Duration::ZERO).await.unwrap().unwrap();
    }
    store.claim("lost", worker(2), LONG).await.unwrap().unwrap();
    let mut held = store.renew_claims(worker(1), LONG).await.unwrap();
    held.sort();
    assert_eq!(held, ["orders", "people"]);
    assert_eq!(store.claim("people", worker(2), LONG).await.unwrap(), None);
    assert!(store.renew_claims(worker(3), LONG).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_lease_ends_when_its_time_is_over() {
    let (store, clock) = memory_store().await;
    store.claim("people", worker(1), Duration::from_secs(30)).await.unwrap().unwrap();
    clock.set(1_029);
    assert_eq!(store.claim("people", worker(2), LONG).await.unwrap(), None);
    clock.set(1_030);
    assert!(store.claim("people", worker(2), LONG).await.unwrap().is_some());
    assert_eq!(store.now(), second(1_030));
}

/// Many tasks with connections of their own fight for few mappings.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_processes_one_holds_a_mapping() {
    let server = postgres_server::PostgresServer::start(&Default::default());
    let url = postgres_database(&server, "contention");
    let (clock, mappings) = (Arc::new(HandClock::default()), ["a", "b", "c"]);
    let taken: Arc<[AtomicBool; 3]> = Arc::default();
    let tasks = (0..8).map(|number| {
        let (url, clock, taken) = (url.clone(), Arc::clone(&clock), Arc::clone(&taken));
        tokio::spawn(async move {
            let store = Store::open_postgres(&url, clock).await.unwrap();
            let mut held = 0;
            for round in 0..60 {
                let index = (number + round) % mappings.len();
                let Some(claim) = store.claim(mappings[index], worker(number as u128), LONG).await.unwrap() else {
                    continue;
                };
                assert!(!taken[index].swap(true, Ordering::SeqCst), "two hold `{}`", claim.mapping);
                assert!(store.append_journal(&claim, sync_id(held), claim.token, b"part").await.unwrap());
                taken[index].store(false, Ordering::SeqCst);
                store.release_claim(&claim).await.unwrap();
                held += 1;
            }
            held
        })
    });
    let held: i64 = join_all(tasks).await.into_iter().map(Result::unwrap).sum();
    assert!(held > 60, "of 480 attempts {held} succeeded");
}

/// Claims that are taken over again and again under their holder: of each token one part is written at most, and the
/// newest holder's word about the checkpoint stands.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_taken_over_cannot_be_written_to() {
    let server = postgres_server::PostgresServer::start(&Default::default());
    let (store, _) = postgres_store(&server, "takeover").await;
    let tasks = (0..6_u64).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..40 {
                // The lease has ended when it begins, so the next may take it at any moment.
                let claim = store.claim("people", worker(u128::from(number)), Duration::ZERO).await.unwrap();
                let Some(claim) = claim else { continue };
                let sync = sync_id(7);
                let seq = store.journal(sync).await.unwrap().len() as u64;
                store.append_journal(&claim, sync, seq, &claim.token.to_le_bytes()).await.unwrap();
                store.set_checkpoint_pointer(&claim, &claim.token.to_string()).await.unwrap();
            }
        })
    });
    join_all(tasks).await.into_iter().for_each(|task| task.unwrap());
    let tokens: Vec<u64> = (store.journal(sync_id(7)).await.unwrap().iter())
        .map(|part| u64::from_le_bytes(part[..].try_into().unwrap()))
        .collect();
    assert!(tokens.windows(2).all(|pair| pair[0] < pair[1]), "{tokens:?} do not grow");
    let last = store.claim("people", worker(9), LONG).await.unwrap().unwrap();
    assert!(store.set_checkpoint_pointer(&last, "last").await.unwrap());
    assert_eq!(store.checkpoint_pointer("people").await.unwrap().as_deref(), Some("last"));
}
