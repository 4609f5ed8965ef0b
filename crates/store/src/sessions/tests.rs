//! Sessions last for a while, count as used, and end.

use std::sync::Arc;

use super::*;
use crate::{
    Role,
    testing::{HandClock, SESSION_LIMITS, author, new_session, new_user, on_both_databases, second},
};

on_both_databases!(
    a_session_is_found_by_its_hash_with_its_person,
    a_session_ends_when_it_rests_or_is_too_old,
    a_session_ends_for_its_own_person_only,
    too_many_sessions_end_the_oldest,
    sessions_go_with_their_person,
);

async fn user(store: &Store) -> User {
    store.create_user(&new_user(1, Role::Operator), &author("system")).await.unwrap()
}

async fn found(store: &Store, hash: &str) -> bool {
    store.session_of_hash(hash, SESSION_LIMITS).await.unwrap().is_some()
}

async fn a_session_is_found_by_its_hash_with_its_person(store: Store, clock: Arc<HandClock>) {
    clock.set(2_000);
    let user = user(&store).await;
    let new = new_session(1, user.id);
    let begun = store.begin_session(&new, &author("system")).await.unwrap();
    let signed_in = User { signed_in_at: Some(second(2_000)), ..user };
    let (session, person) = store.session_of_hash("hash 1", SESSION_LIMITS).await.unwrap().unwrap();
    assert_eq!((&session, &person), (&begun, &signed_in));
    assert_eq!(store.sessions_of(person.id, SESSION_LIMITS).await.unwrap(), [begun]);
    assert!(!found(&store, "hash 2").await);
}

async fn a_session_ends_when_it_rests_or_is_too_old(store: Store, clock: Arc<HandClock>) {
    clock.set(10_000);
    let user = user(&store).await;
    store.begin_session(&new_session(1, user.id), &author("system")).await.unwrap();
    let idle = i64::try_from(SESSION_LIMITS.idle.as_secs()).unwrap();
    let absolute = i64::try_from(SESSION_LIMITS.absolute.as_secs()).unwrap();
    // Used again and again, it lasts longer than it may rest.
    let mut now = 10_000;
    while now + idle - 1 < 10_000 + absolute {
        now += idle - 1;
        clock.set(now);
        assert!(found(&store, "hash 1").await, "{now}");
    }
    clock.set(10_000 + absolute);
    assert!(!found(&store, "hash 1").await);
    assert_eq!(store.sessions_of(user.id, SESSION_LIMITS).await.unwrap(), []);

    store.begin_session(&new_session(20, user.id), &author("system")).await.unwrap();
    clock.set(10_000 + absolute + idle);
    assert!(!found(&store, "hash 20").await);
    assert_eq!(store.forget_ended_sessions(SESSION_LIMITS).await.unwrap(), 2);
}

async fn a_session_ends_for_its_own_person_only(store: Store, _: Arc<HandClock>) {
    let mine = user(&store).await;
    let other = store.create_user(&new_user(2, Role::Owner), &author("system")).await.unwrap();
    let session = store.begin_session(&new_session(1, mine.id), &author("system")).await.unwrap();
    assert!(!store.end_session(other.id, session.id, &author("system")).await.unwrap());
    assert!(found(&store, "hash 1").await);
    assert!(store.end_session(mine.id, session.id, &author("system")).await.unwrap());
    assert!(!store.end_session(mine.id, session.id, &author("system")).await.unwrap());
    assert!(!found(&store, "hash 1").await);
    let entry = store.audit(&crate::AuditFilter::default(), None, 1).await.unwrap().remove(0);
    assert_eq!((entry.action.as_str(), entry.subject_name.as_str()), ("session.end", "user1@example.com"));
}

async fn too_many_sessions_end_the_oldest(store: Store, _: Arc<HandClock>) {
    let user = user(&store).await;
    for number in 1..=i64::try_from(SESSIONS_MAX).unwrap() + 2 {
        store.begin_session(&new_session(number, user.id), &author("system")).await.unwrap();
    }
    assert_eq!(store.sessions_of(user.id, SESSION_LIMITS).await.unwrap().len(), SESSIONS_MAX);
    assert!(!found(&store, "hash 1").await && !found(&store, "hash 2").await && found(&store, "hash 3").await);
}

async fn sessions_go_with_their_person(store: Store, _: Arc<HandClock>) {
    let user = user(&store).await;
    store.begin_session(&new_session(1, user.id), &author("system")).await.unwrap();
    store.delete_user(user.id, None, &author("system")).await.unwrap();
    assert!(!found(&store, "hash 1").await);
    let error = store.begin_session(&new_session(2, user.id), &author("system")).await.unwrap_err();
    assert!(matches!(error, PeopleError::Unknown(_)), "{error:?}");
}
