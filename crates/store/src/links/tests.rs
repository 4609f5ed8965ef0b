//! Links work once, for a while, and for what they were made for.

use std::sync::Arc;

use super::*;
use crate::{
    Role, Store,
    testing::{HandClock, SESSION_LIMITS, author, new_session, new_user, on_both_databases, second},
};

on_both_databases!(
    the_first_owner_is_set_up_once,
    a_link_to_set_up_ends,
    of_two_who_set_up_at_once_one_is_first,
    an_invitation_sets_a_password_once_and_ends_sessions,
    a_new_link_of_a_person_replaces_the_one_before,
    a_link_to_set_up_sets_no_password_of_anybody,
);

async fn the_first_owner_is_set_up_once(store: Store, _: Arc<HandClock>) {
    assert!(store.needs_setup().await.unwrap());
    for hash in ["first", "second"] {
        assert!(store.create_setup_link(hash, second(9_000)).await.unwrap());
    }
    assert_eq!(store.link("first").await.unwrap(), (LinkPurpose::Setup, None));
    let error = store.set_up("third", &new_user(1, Role::Owner), &author("system")).await.unwrap_err();
    assert!(matches!(error, PeopleError::LinkEnded), "{error:?}");
    let owner = store.set_up("second", &new_user(1, Role::Owner), &author("system")).await.unwrap();
    assert_eq!(store.users(None, 10).await.unwrap(), [owner]);
    for hash in ["first", "second"] {
        let error = store.set_up(hash, &new_user(2, Role::Owner), &author("system")).await.unwrap_err();
        assert!(matches!(error, PeopleError::LinkEnded), "{error:?}");
    }
    assert!(!store.needs_setup().await.unwrap());
    assert!(!store.create_setup_link("fourth", second(9_000)).await.unwrap());
    assert!(store.set_up("fourth", &new_user(2, Role::Owner), &author("system")).await.is_err());
}

async fn a_link_to_set_up_ends(store: Store, clock: Arc<HandClock>) {
    store.create_setup_link("first", second(5_000)).await.unwrap();
    clock.set(5_000);
    assert!(matches!(store.link("first").await, Err(PeopleError::LinkEnded)));
    assert!(store.set_up("first", &new_user(1, Role::Owner), &author("system")).await.is_err());
    assert_eq!(store.users(None, 10).await.unwrap(), []);
}

async fn of_two_who_set_up_at_once_one_is_first(store: Store, _: Arc<HandClock>) {
    store.create_setup_link("first", second(9_000)).await.unwrap();
    store.create_setup_link("second", second(9_000)).await.unwrap();
    let (one, two) = (new_user(1, Role::Owner), new_user(2, Role::Owner));
    let author = author("system");
    let both = futures_util::future::join(store.set_up("first", &one, &author), store.set_up("second", &two, &author));
    let (first, second) = both.await;
    assert_ne!(first.is_ok(), second.is_ok(), "{first:?} {second:?}");
    assert_eq!(store.users(None, 10).await.unwrap().len(), 1);
}

async fn an_invitation_sets_a_password_once_and_ends_sessions(store: Store, clock: Arc<HandClock>) {
    let user = store.create_user(&new_user(1, Role::Viewer), &author("system")).await.unwrap();
    store.begin_session(&new_session(1, user.id), &author("system")).await.unwrap();
    store.create_link(user.id, LinkPurpose::Invitation, "link", second(5_000), &author("system")).await.unwrap();
    let (purpose, person) = store.link("link").await.unwrap();
    assert_eq!((purpose, person.unwrap().id), (LinkPurpose::Invitation, user.id));
    clock.set(4_999);
    let set = store.use_link("link", "hash", |user| author(&user.id.to_string())).await.unwrap();
    assert!(set.has_password && set.version == 2);
    assert_eq!(store.password_of(&user.email).await.unwrap().unwrap().1.as_deref(), Some("hash"));
    assert_eq!(store.sessions_of(user.id, SESSION_LIMITS).await.unwrap(), []);
    let error = store.use_link("link", "other", |_| author("system")).await.unwrap_err();
    assert!(matches!(error, PeopleError::LinkEnded), "{error:?}");
    let entry = store.audit(&crate::AuditFilter::default(), None, 1).await.unwrap().remove(0);
    assert_eq!((entry.action.as_str(), entry.actor.id), ("user.set_password", user.id.to_string()));

    store.create_link(user.id, LinkPurpose::Reset, "late", second(6_000), &author("system")).await.unwrap();
    clock.set(6_000);
    let error = store.use_link("late", "other", |_| author("system")).await.unwrap_err();
    assert!(matches!(error, PeopleError::LinkEnded), "{error:?}");
    assert_eq!(store.password_of(&user.email).await.unwrap().unwrap().1.as_deref(), Some("hash"));
}

async fn a_new_link_of_a_person_replaces_the_one_before(store: Store, _: Arc<HandClock>) {
    let user = store.create_user(&new_user(1, Role::Viewer), &author("system")).await.unwrap();
    for hash in ["first", "second"] {
        store.create_link(user.id, LinkPurpose::Reset, hash, second(9_000), &author("system")).await.unwrap();
    }
    assert!(matches!(store.link("first").await, Err(PeopleError::LinkEnded)));
    assert_eq!(store.link("second").await.unwrap().0, LinkPurpose::Reset);
}

async fn a_link_to_set_up_sets_no_password_of_anybody(store: Store, _: Arc<HandClock>) {
    store.create_setup_link("setup", second(9_000)).await.unwrap();
    let error = store.use_link("setup", "hash", |_| author("system")).await.unwrap_err();
    assert!(matches!(error, PeopleError::LinkEnded), "{error:?}");
    let user = store.create_user(&new_user(1, Role::Owner), &author("system")).await.unwrap();
    store.create_link(user.id, LinkPurpose::Reset, "reset", second(9_000), &author("system")).await.unwrap();
    assert!(store.set_up("reset", &new_user(2, Role::Owner), &author("system")).await.is_err());
    assert_eq!(store.users(None, 10).await.unwrap().len(), 1);
}
