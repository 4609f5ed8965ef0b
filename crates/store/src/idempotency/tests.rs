//! Requests that come twice, on both databases.

use std::sync::Arc;

use super::*;
use crate::testing::{HandClock, on_both_databases, second};

on_both_databases!(
    a_request_that_comes_again_is_given_the_first_answer,
    a_request_that_was_cut_off_is_done_about_the_same_subject,
    one_of_many_at_once_is_done,
);

fn key<'a>(caller: &'a str, key: &'a str) -> RequestKey<'a> {
    RequestKey { caller, route: "start_sync", key }
}

async fn a_request_that_comes_again_is_given_the_first_answer(store: Store, clock: Arc<HandClock>) {
    let (anna, given_up) = (key("anna", "k"), second(900));
    let begun = |subject: &str| Asked::Do { subject: subject.to_owned() };
    assert_eq!(store.ask_once(&anna, "hash", "sync_1", given_up).await.unwrap(), begun("sync_1"));
    assert_eq!(store.ask_once(&anna, "hash", "sync_2", given_up).await.unwrap(), Asked::UnderWay);
    // Another's key is another key.
    assert_eq!(store.ask_once(&key("bert", "k"), "hash", "sync_3", given_up).await.unwrap(), begun("sync_3"));
    store.answered(&anna, 202, "{}").await.unwrap();
    let done = Asked::Done { status: 202, answer: "{}".to_owned() };
    assert_eq!(store.ask_once(&anna, "hash", "sync_4", given_up).await.unwrap(), done);
    assert_eq!(store.ask_once(&anna, "other", "sync_5", given_up).await.unwrap(), Asked::Other);
    store.give_up(&anna).await.unwrap();
    assert_eq!(store.ask_once(&anna, "hash", "sync_6", given_up).await.unwrap(), done);
    store.give_up(&key("bert", "k")).await.unwrap();
    assert_eq!(store.ask_once(&key("bert", "k"), "hash", "sync_7", given_up).await.unwrap(), begun("sync_7"));
    clock.set(2_000);
    assert_eq!(store.forget_requests_before(second(1_500)).await.unwrap(), 2);
    assert_eq!(store.ask_once(&anna, "other", "sync_8", given_up).await.unwrap(), begun("sync_8"));
}

async fn a_request_that_was_cut_off_is_done_about_the_same_subject(store: Store, clock: Arc<HandClock>) {
    let anna = key("anna", "k");
    store.ask_once(&anna, "hash", "sync_1", second(0)).await.unwrap();
    clock.set(2_000);
    let again = store.ask_once(&anna, "hash", "sync_2", second(1_900)).await.unwrap();
    assert_eq!(again, Asked::Do { subject: "sync_1".to_owned() });
    assert_eq!(store.ask_once(&anna, "hash", "sync_3", second(1_900)).await.unwrap(), Asked::UnderWay);
}

async fn one_of_many_at_once_is_done(store: Store, _: Arc<HandClock>) {
    let anna = key("anna", "k");
    let asked = (0..10).map(|number| {
        let (store, subject) = (store.clone(), format!("sync_{number}"));
        async move { store.ask_once(&anna, "hash", &subject, second(0)).await.unwrap() }
    });
    let asked = futures_util::future::join_all(asked).await;
    assert_eq!(asked.iter().filter(|asked| matches!(asked, Asked::Do { .. })).count(), 1, "{asked:?}");
    assert_eq!(asked.iter().filter(|asked| **asked == Asked::UnderWay).count(), 9);
}
