//! Syncs in the store: their life, finding them, forgetting them.

use std::sync::Arc;

use super::*;
use crate::testing::{HandClock, new_sync, on_both_databases, second, sync_id};

on_both_databases!(
    a_sync_goes_from_its_beginning_to_its_end,
    a_final_state_sets_when_it_finished_and_going_on_clears_it,
    an_unknown_sync_is_an_error_everywhere,
    one_id_begins_one_sync,
    a_sync_that_waits_in_the_queue_is_moved_on_and_keeps_what_started_it,
    the_start_of_an_id_finds_its_sync_unless_several_begin_so,
    syncs_are_listed_newest_first_and_by_mapping,
    old_syncs_are_forgotten_but_not_a_mappings_newest_nor_one_that_waits,
);

async fn a_sync_goes_from_its_beginning_to_its_end(store: Store, clock: Arc<HandClock>) {
    let new = NewSync { change_set: Some("/data/changes.arrow".into()), ..new_sync(1, "people") };
    let begun = store.begin_sync(&new).await.unwrap().unwrap();
    assert_eq!(begun.state, SyncState::Extracting);
    assert_eq!(begun.started_at, second(1_000));
    assert_eq!(store.sync(&new.id.to_string()).await.unwrap(), begun);

    store.set_state(new.id, SyncState::Comparing).await.unwrap();
    let counts = Counts { extracted: 10, added: 3, ..Counts::default() };
    store.set_counts(new.id, &counts).await.unwrap();
    let reason = HeldReason { code: "many_deletions".to_owned(), message: "40 % would be deleted".to_owned() };
    store.hold(new.id, &reason).await.unwrap();
    let held = store.sync(&new.id.to_string()).await.unwrap();
    assert_eq!((held.state, held.held, held.counts), (SyncState::Held, Some(reason.clone()), counts));

    clock.set(1_060);
    let error = SyncError {
        code: "unreachable".to_owned(),
        message: "the destination did not answer".to_owned(),
        hint: Some("try again".to_owned()),
    };
    let counts = Counts { delivered: 2, ..counts };
    store.set_usage(new.id, 500, 70).await.unwrap();
    store.set_usage(new.id, 300, 90).await.unwrap();
    store.finish(new.id, SyncState::Partly, &counts, Some(&error)).await.unwrap();
    let expected = SyncRow {
        state: SyncState::Partly,
        finished_at: Some(second(1_060)),
        counts,
        held: Some(reason),
        error: Some(error),
        disk_bytes: 500,
        memory_bytes: 90,
        ..begun
    };
    assert_eq!(store.sync(&new.id.to_string()).await.unwrap(), expected);
}

async fn a_final_state_sets_when_it_finished_and_going_on_clears_it(store: Store, _: Arc<HandClock>) {
    let id = store.begin_sync(&new_sync(1, "people")).await.unwrap().unwrap().id;
    for (state, word) in STATES {
        store.set_state(id, state).await.unwrap();
        let row = store.last_sync("people").await.unwrap().unwrap();
        assert_eq!(row.state, state);
        assert_eq!(row.state.name(), word);
        assert_eq!(row.finished_at.is_some(), state.is_final(), "{word}");
        assert_eq!(store.unfinished("people").await.unwrap().len(), usize::from(!state.is_final()), "{word}");
        assert_eq!(serde_json::to_value(state).unwrap(), word);
    }
}

async fn an_unknown_sync_is_an_error_everywhere(store: Store, _: Arc<HandClock>) {
    let id = sync_id(1);
    let counts = Counts::default();
    let reason = HeldReason { code: String::new(), message: String::new() };
    let errors = [
        store.set_state(id, SyncState::Loading).await.unwrap_err(),
        store.set_counts(id, &counts).await.unwrap_err(),
        store.set_change_set(id, None).await.unwrap_err(),
        store.set_usage(id, 1, 1).await.unwrap_err(),
        store.hold(id, &reason).await.unwrap_err(),
        store.finish(id, SyncState::Done, &counts, None).await.unwrap_err(),
        store.sync("0192f").await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, StoreError::UnknownSync(_)), "{error:?}");
    }
}

async fn one_id_begins_one_sync(store: Store, clock: Arc<HandClock>) {
    let begun = store.begin_sync(&new_sync(1, "people")).await.unwrap().unwrap();
    clock.set(1_001);
    assert_eq!(store.begin_sync(&new_sync(1, "orders")).await.unwrap(), None);
    assert_eq!(store.begin_sync(&new_sync(1, "people")).await.unwrap(), None);
    assert!(store.last_sync("orders").await.unwrap().is_none());
    assert_eq!(store.last_sync("people").await.unwrap(), Some(begun));
}

async fn a_sync_that_waits_in_the_queue_is_moved_on_and_keeps_what_started_it(store: Store, clock: Arc<HandClock>) {
    let queued = NewSync { trigger: "schedule".to_owned(), ..new_sync(1, "people") };
    store.begin_sync(&queued).await.unwrap().unwrap();
    store.set_state(queued.id, SyncState::Queued).await.unwrap();
    clock.set(2_000);
    assert_eq!(store.begin_sync(&new_sync(1, "orders")).await.unwrap(), None, "it is of another mapping");
    let begun = store.begin_sync(&new_sync(1, "people")).await.unwrap().unwrap();
    assert_eq!((begun.state, begun.trigger.as_str()), (SyncState::Extracting, "schedule"));
    assert_eq!(begun.started_at, second(2_000));
    assert_eq!(store.begin_sync(&new_sync(1, "people")).await.unwrap(), Some(begun), "the same statement again");
    clock.set(2_001);
    assert_eq!(store.begin_sync(&new_sync(1, "people")).await.unwrap(), None, "it waits no more");
}

async fn the_start_of_an_id_finds_its_sync_unless_several_begin_so(store: Store, _: Arc<HandClock>) {
    let old = store.begin_sync(&new_sync(1, "people")).await.unwrap().unwrap();
    let new = store.begin_sync(&new_sync(2_000_000_000, "people")).await.unwrap().unwrap();
    let text = new.id.to_string();
    for start in [&text[..], &text[..10], &text["sync_".len()..14], &text.to_uppercase(), &format!(" {text}\n")] {
        assert_eq!(store.sync(start).await.unwrap(), new, "{start}");
    }
    assert_eq!(store.sync(&old.id.to_string()).await.unwrap(), old);
    let error = store.sync("sync_0").await.unwrap_err().to_string();
    assert!(error.contains(&text) && error.contains(&old.id.to_string()), "{error}");
    for wrong in ["%", "_", "sync_x", "sync_0'"] {
        assert!(matches!(store.sync(wrong).await, Err(StoreError::UnknownSync(_))), "{wrong}");
    }
}

async fn syncs_are_listed_newest_first_and_by_mapping(store: Store, clock: Arc<HandClock>) {
    for number in 1..=5 {
        clock.set(number);
        let mapping = if number % 2 == 0 { "people" } else { "orders" };
        store.begin_sync(&new_sync(number, mapping)).await.unwrap().unwrap();
    }
    let started = |rows: Vec<SyncRow>| rows.iter().map(|row| row.started_at.as_second()).collect::<Vec<_>>();
    assert_eq!(started(store.syncs(None, 3).await.unwrap()), [5, 4, 3]);
    assert_eq!(started(store.syncs(Some("people"), 10).await.unwrap()), [4, 2]);
    assert!(store.syncs(Some("none"), 10).await.unwrap().is_empty());
    assert_eq!(store.last_sync("orders").await.unwrap().unwrap().id, sync_id(5));
}

async fn old_syncs_are_forgotten_but_not_a_mappings_newest_nor_one_that_waits(store: Store, clock: Arc<HandClock>) {
    for (number, state) in [(1, SyncState::Done), (2, SyncState::Held), (3, SyncState::Failed), (4, SyncState::Done)] {
        clock.set(number);
        store.begin_sync(&new_sync(number, "people")).await.unwrap().unwrap();
        store.set_state(sync_id(number), state).await.unwrap();
    }
    clock.set(1);
    store.begin_sync(&new_sync(10, "orders")).await.unwrap().unwrap();
    store.set_state(sync_id(10), SyncState::Done).await.unwrap();
    assert_eq!(store.forget_syncs_before(second(100)).await.unwrap(), 2);
    let left: Vec<_> = store.syncs(None, 10).await.unwrap().iter().map(|row| row.id).collect();
    assert_eq!(left, [sync_id(4), sync_id(2), sync_id(10)]);
}
