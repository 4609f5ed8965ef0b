//! People: added, changed, deleted; there is always an owner, and every change stands in the audit log.

use std::sync::Arc;

use super::*;
use crate::{
    AuditFilter,
    testing::{HandClock, author, new_user, on_both_databases, second},
};

on_both_databases!(
    a_person_comes_back_as_added,
    an_address_belongs_to_one_person_however_it_is_written,
    people_are_paged_by_address,
    a_change_counts_the_version_and_is_audited,
    a_change_of_another_version_changes_nothing,
    the_last_owner_can_neither_go_nor_step_down,
    a_new_password_ends_what_the_old_one_opened,
    a_hash_is_replaced_only_if_it_is_the_one_that_was_checked,
    an_identity_is_tied_to_one_person_and_stays,
);

async fn actions(store: &Store) -> Vec<String> {
    let entries = store.audit(&AuditFilter::default(), None, 100).await.unwrap();
    entries.into_iter().rev().map(|entry| format!("{} {}", entry.action, entry.subject_name)).collect()
}

async fn a_person_comes_back_as_added(store: Store, clock: Arc<HandClock>) {
    clock.set(2_000);
    let identity = Identity { issuer: "https://id.example".to_owned(), subject: "7".to_owned() };
    let new = NewUser { identity: Some(identity.clone()), see_personal: Some(false), ..new_user(1, Role::Editor) };
    let made = store.create_user(&new, &author("system")).await.unwrap();
    assert_eq!(made.created_at, second(2_000));
    assert!(!made.has_password && !made.sees_personal() && made.version == 1);
    assert_eq!(store.user(made.id).await.unwrap(), made);
    assert_eq!(store.user_of_email(" USER1@example.com ").await.unwrap(), Some(made.clone()));
    assert_eq!(store.user_of_identity(&identity).await.unwrap(), Some(made));
    assert_eq!(store.user_of_email("user2@example.com").await.unwrap(), None);
    assert!(matches!(store.user(new_user(2, Role::Viewer).id).await, Err(PeopleError::Unknown(_))));
    for role in Role::ALL {
        let plain = User { role, see_personal: None, ..store.user(new.id).await.unwrap() };
        assert_eq!(plain.sees_personal(), matches!(role, Role::Editor | Role::Owner));
    }
}

async fn an_address_belongs_to_one_person_however_it_is_written(store: Store, _: Arc<HandClock>) {
    store.create_user(&new_user(1, Role::Owner), &author("system")).await.unwrap();
    let second = store.create_user(&new_user(2, Role::Viewer), &author("system")).await.unwrap();
    let same = NewUser { email: "User1@Example.com".to_owned(), ..new_user(3, Role::Viewer) };
    let error = store.create_user(&same, &author("system")).await.unwrap_err();
    assert!(matches!(&error, PeopleError::EmailTaken(email) if email == "user1@example.com"), "{error:?}");
    let change = UserChange { email: Some("USER1@example.com".to_owned()), ..UserChange::default() };
    let error = store.update_user(second.id, None, &change, &author("system")).await.unwrap_err();
    assert!(matches!(error, PeopleError::EmailTaken(_)), "{error:?}");
    assert_eq!(actions(&store).await.len(), 2);
}

async fn people_are_paged_by_address(store: Store, _: Arc<HandClock>) {
    for number in [3, 1, 2] {
        store.create_user(&new_user(number, Role::Viewer), &author("system")).await.unwrap();
    }
    let emails = async |after, limit| {
        store.users(after, limit).await.unwrap().into_iter().map(|user| user.email).collect::<Vec<_>>()
    };
    assert_eq!(emails(None, 2).await, ["user1@example.com", "user2@example.com"]);
    assert_eq!(emails(Some("user2@example.com"), 2).await, ["user3@example.com"]);
}

async fn a_change_counts_the_version_and_is_audited(store: Store, clock: Arc<HandClock>) {
    let made = store.create_user(&new_user(1, Role::Viewer), &author("system")).await.unwrap();
    clock.set(3_000);
    let change = UserChange {
        name: Some("New Name".to_owned()),
        role: Some(Role::Operator),
        see_personal: Some(Some(true)),
        email: None,
    };
    let changed = store.update_user(made.id, Some(1), &change, &author("user_9")).await.unwrap();
    assert_eq!((changed.version, changed.role, changed.see_personal), (2, Role::Operator, Some(true)));
    assert_eq!(store.user(made.id).await.unwrap(), changed);
    let entry = store.audit(&AuditFilter::default(), None, 1).await.unwrap().remove(0);
    assert_eq!((entry.actor.id.as_str(), entry.action.as_str()), ("user_9", "user.update"));
    assert_eq!(
        (&entry.details["before"]["role"], &entry.details["after"]["role"]),
        (&"viewer".into(), &"operator".into())
    );

    let unchanged = store.update_user(made.id, Some(2), &change, &author("user_9")).await.unwrap();
    assert_eq!(unchanged, changed);
    let change = UserChange { see_personal: Some(None), ..UserChange::default() };
    assert_eq!(store.update_user(made.id, None, &change, &author("user_9")).await.unwrap().see_personal, None);
}

async fn a_change_of_another_version_changes_nothing(store: Store, _: Arc<HandClock>) {
    let made = store.create_user(&new_user(1, Role::Viewer), &author("system")).await.unwrap();
    let change = UserChange { role: Some(Role::Owner), ..UserChange::default() };
    let error = store.update_user(made.id, Some(7), &change, &author("system")).await.unwrap_err();
    assert!(matches!(error, PeopleError::OtherVersion { current: 1 }), "{error:?}");
    let error = store.delete_user(made.id, Some(7), &author("system")).await.unwrap_err();
    assert!(matches!(error, PeopleError::OtherVersion { current: 1 }), "{error:?}");
    assert_eq!(store.user(made.id).await.unwrap(), made);
    assert_eq!(actions(&store).await, ["user.create user1@example.com"]);
}

async fn the_last_owner_can_neither_go_nor_step_down(store: Store, _: Arc<HandClock>) {
    let owner = store.create_user(&new_user(1, Role::Owner), &author("system")).await.unwrap();
    let other = store.create_user(&new_user(2, Role::Editor), &author("system")).await.unwrap();
    let step_down = UserChange { role: Some(Role::Editor), ..UserChange::default() };
    let error = store.update_user(owner.id, None, &step_down, &author("system")).await.unwrap_err();
    assert!(matches!(error, PeopleError::LastOwner(_)), "{error:?}");
    let error = store.delete_user(owner.id, None, &author("system")).await.unwrap_err();
    assert!(matches!(error, PeopleError::LastOwner(_)), "{error:?}");

    let up = UserChange { role: Some(Role::Owner), ..UserChange::default() };
    store.update_user(other.id, None, &up, &author("system")).await.unwrap();
    // Both at once: one must stay.
    let author = author("system");
    let both = futures_util::future::join(
        store.update_user(owner.id, None, &step_down, &author),
        store.delete_user(other.id, None, &author),
    );
    let (first, second) = both.await;
    assert_ne!(first.is_ok(), second.is_ok(), "{first:?} {second:?}");
    let left = store.users(None, 10).await.unwrap();
    assert_eq!(left.iter().filter(|user| user.role == Role::Owner).count(), 1);
}

async fn a_new_password_ends_what_the_old_one_opened(store: Store, _: Arc<HandClock>) {
    let author = author("system");
    let user = store.create_user(&new_user(1, Role::Viewer), &author).await.unwrap();
    assert_eq!(store.password_of("USER1@example.com").await.unwrap(), Some((user.clone(), None)));
    let sessions: Vec<_> = (1..=3).map(|number| crate::testing::new_session(number, user.id)).collect();
    for session in &sessions {
        store.begin_session(session, &author).await.unwrap();
    }
    store.create_link(user.id, crate::LinkPurpose::Reset, "link", second(9_000), &author).await.unwrap();
    store.set_password(user.id, "hash", Some(sessions[1].id), &author).await.unwrap();
    let (changed, hash) = store.password_of("user1@example.com").await.unwrap().unwrap();
    assert_eq!((hash.as_deref(), changed.has_password, changed.version), (Some("hash"), true, 2));
    let left = store.sessions_of(user.id, crate::testing::SESSION_LIMITS).await.unwrap();
    assert_eq!(left.iter().map(|session| session.id).collect::<Vec<_>>(), [sessions[1].id]);
    assert!(matches!(store.link("link").await, Err(PeopleError::LinkEnded)));
    assert!(!actions(&store).await.iter().any(|action| action.contains("hash")));
}

async fn a_hash_is_replaced_only_if_it_is_the_one_that_was_checked(store: Store, _: Arc<HandClock>) {
    let new = NewUser { password_hash: Some("first".to_owned()), ..new_user(1, Role::Viewer) };
    store.create_user(&new, &author("system")).await.unwrap();
    for (old, wanted, left) in [("other", "second", "first"), ("first", "second", "second")] {
        store.rehash_password(new.id, old, wanted).await.unwrap();
        let (user, hash) = store.password_of(&new.email).await.unwrap().unwrap();
        assert_eq!((hash.as_deref(), user.version), (Some(left), 1));
    }
}

async fn an_identity_is_tied_to_one_person_and_stays(store: Store, _: Arc<HandClock>) {
    let author = author("system");
    let user = store.create_user(&new_user(1, Role::Viewer), &author).await.unwrap();
    let identity = |subject: &str| Identity { issuer: "https://id.example".to_owned(), subject: subject.to_owned() };
    let tied = store.tie_identity(user.id, &identity("7"), &author).await.unwrap();
    assert_eq!(store.tie_identity(user.id, &identity("7"), &author).await.unwrap(), tied);
    assert_eq!(store.user_of_identity(&identity("7")).await.unwrap(), Some(tied));
    let error = store.tie_identity(user.id, &identity("8"), &author).await.unwrap_err();
    assert!(matches!(error, PeopleError::OtherIdentity(_)), "{error:?}");
    assert_eq!(store.user_of_identity(&identity("8")).await.unwrap(), None);
}
