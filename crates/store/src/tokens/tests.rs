//! Tokens are found by their hash until they expire or are taken back.

use std::sync::Arc;

use super::*;
use crate::testing::{HandClock, author, new_user, on_both_databases, second, token_id};

on_both_databases!(
    a_token_is_found_by_its_hash_and_notes_its_use,
    a_token_expires,
    tokens_are_listed_by_person_and_paged,
    a_token_that_was_taken_back_is_gone,
);

fn new_token(number: i64, user: UserId) -> NewToken {
    NewToken {
        id: token_id(number),
        token_hash: format!("hash {number}"),
        user,
        name: format!("token {number}"),
        ending: "wxyz".to_owned(),
        role: Role::Editor,
        see_personal: true,
        expires_at: None,
    }
}

async fn user(store: &Store, number: i64) -> User {
    store.create_user(&new_user(number, Role::Owner), &author("system")).await.unwrap()
}

async fn a_token_is_found_by_its_hash_and_notes_its_use(store: Store, clock: Arc<HandClock>) {
    clock.set(2_000);
    let user = user(&store, 1).await;
    let made = store.create_token(&new_token(1, user.id), &author("system")).await.unwrap();
    assert_eq!(store.token(made.id).await.unwrap(), Some(made.clone()));
    assert_eq!(store.token_of_hash("hash 2").await.unwrap(), None);
    for (now, used) in [(2_000, 2_000), (2_059, 2_000), (2_060, 2_060)] {
        clock.set(now);
        let (token, person) = store.token_of_hash("hash 1").await.unwrap().unwrap();
        assert_eq!(token, Token { used_at: Some(second(used)), ..made.clone() });
        assert_eq!(store.token(made.id).await.unwrap(), Some(token));
        assert_eq!(person, user);
    }
}

async fn a_token_expires(store: Store, clock: Arc<HandClock>) {
    let user = user(&store, 1).await;
    let new = NewToken { expires_at: Some(second(5_000)), ..new_token(1, user.id) };
    store.create_token(&new, &author("system")).await.unwrap();
    for (now, there) in [(4_999, true), (5_000, false)] {
        clock.set(now);
        assert_eq!(store.token_of_hash("hash 1").await.unwrap().is_some(), there);
    }
    assert_eq!(store.tokens(None, None, 10).await.unwrap().len(), 1);
}

async fn tokens_are_listed_by_person_and_paged(store: Store, _: Arc<HandClock>) {
    let (first, second) = (user(&store, 1).await, user(&store, 2).await);
    for (number, user) in [(1, first.id), (2, second.id), (3, first.id), (4, first.id)] {
        store.create_token(&new_token(number, user), &author("system")).await.unwrap();
    }
    let names = async |user, after, limit| {
        let tokens = store.tokens(user, after, limit).await.unwrap();
        tokens.into_iter().map(|token| token.name.replace("token ", "")).collect::<String>()
    };
    assert_eq!(names(None, None, 3).await, "432");
    assert_eq!(names(None, Some(token_id(2)), 3).await, "1");
    assert_eq!(names(Some(first.id), None, 2).await, "43");
    assert_eq!(names(Some(first.id), Some(token_id(3)), 2).await, "1");
}

async fn a_token_that_was_taken_back_is_gone(store: Store, _: Arc<HandClock>) {
    let user = user(&store, 1).await;
    let token = store.create_token(&new_token(1, user.id), &author("system")).await.unwrap();
    assert!(store.delete_token(&token, &author("system")).await.unwrap());
    assert!(!store.delete_token(&token, &author("system")).await.unwrap());
    assert_eq!(store.token_of_hash("hash 1").await.unwrap(), None);
    store.create_token(&new_token(2, user.id), &author("system")).await.unwrap();
    store.create_user(&new_user(2, Role::Owner), &author("system")).await.unwrap();
    store.delete_user(user.id, None, &author("system")).await.unwrap();
    assert_eq!(store.token_of_hash("hash 2").await.unwrap(), None);
}
