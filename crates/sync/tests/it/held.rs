//! Syncs that a guard holds, and what a person does with them.

use std::sync::{Arc, atomic::Ordering};

use records::SyncId;
use store::SyncState;
use sync::{Ending, Mapping, PlanOptions, Unobserved};
use tokio_util::sync::CancellationToken;

use crate::support::{Stage, request, stage, sync};

/// Five people are there, four of them are gone: a guard holds their deletion.
async fn four_are_gone(stage: &Stage, engine: &sync::Engine) -> SyncId {
    assert_eq!(sync(engine, request(stage.mapping("people"))).await.ending, Ending::Done);
    for id in 1..=4 {
        stage.table.remove(id);
    }
    let report = sync(engine, request(stage.mapping("people"))).await;
    assert_eq!(report.ending, Ending::Held);
    report.sync.expect("a held sync has an id")
}

async fn release(engine: &sync::Engine, mapping: Mapping, id: SyncId) -> Result<sync::SyncReport, String> {
    let released = engine.release(&Arc::new(mapping), id, &Unobserved, &CancellationToken::new()).await;
    released.map_err(|problem| problem.code)
}

#[tokio::test(start_paused = true)]
async fn a_released_sync_sends_the_very_changes_that_were_held() {
    let stage = stage(5).await;
    let engine = stage.engine("one");
    let id = four_are_gone(&stage, &engine).await;
    // What the table shows by now is another matter.
    stage.table.set(1, "pro");
    stage.table.set(6, "pro");
    let extracts = stage.table.extracts.load(Ordering::SeqCst);
    let report = release(&engine, stage.mapping("people"), id).await.unwrap();
    assert_eq!((report.ending, report.sync), (Ending::Done, Some(id)));
    assert_eq!((report.counts.deleted, report.counts.delivered), (4, 4));
    assert_eq!(stage.table.extracts.load(Ordering::SeqCst), extracts, "the source was left alone");
    assert_eq!(stage.tool.keys(), ["5"]);
    let row = stage.store.sync(&id.to_string()).await.unwrap();
    assert_eq!((row.state, row.held.unwrap().code.as_str()), (SyncState::Done, "deletions"));
    assert_eq!(release(&engine, stage.mapping("people"), id).await.unwrap_err(), "not_held");
    assert_eq!(sync(&engine, request(stage.mapping("people"))).await.counts.added, 2);
    assert_eq!(stage.tool.keys(), ["1", "5", "6"]);
}

#[tokio::test(start_paused = true)]
async fn a_held_sync_waits_in_the_queue_for_who_releases_it() {
    let stage = stage(5).await;
    let engine = stage.engine("one");
    let id = four_are_gone(&stage, &engine).await;
    stage.store.set_state(id, SyncState::Queued).await.unwrap();
    assert_eq!(release(&engine, stage.mapping("people"), id).await.unwrap().ending, Ending::Done);
    assert_eq!(stage.tool.keys(), ["5"]);
}

#[tokio::test(start_paused = true)]
async fn a_held_sync_is_not_released_when_the_checkpoint_has_moved_on() {
    let stage = stage(5).await;
    let engine = stage.engine("one");
    let first = sync(&engine, request(stage.mapping("people"))).await.sync.unwrap();
    for id in 1..=4 {
        stage.table.remove(id);
    }
    let id = sync(&engine, request(stage.mapping("people"))).await.sync.unwrap();
    // A replay marks its records and then cannot read the table.
    stage.table.lost.store(true, Ordering::SeqCst);
    engine.replay(&request(stage.mapping("people")), first, false, &Unobserved).await.unwrap();
    assert_eq!(release(&engine, stage.mapping("people"), id).await.unwrap_err(), "out_of_date");
    assert_eq!(stage.state(id).await, SyncState::Held);
    assert_eq!(stage.tool.keys().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_held_sync_is_not_released_for_a_mapping_that_reads_other_columns_by_now() {
    let stage = stage(5).await;
    let engine = stage.engine("one");
    let narrow = || stage.mapping_of("people", &["id", "email"]);
    sync(&engine, request(narrow())).await;
    for id in 1..=4 {
        stage.table.remove(id);
    }
    let plan = tempfile::NamedTempFile::new().unwrap();
    let save = PlanOptions { save: Some(plan.path().to_owned()), ..PlanOptions::default() };
    engine.plan(&[Arc::new(narrow())], &save, &Unobserved, &CancellationToken::new()).await.pop().unwrap().unwrap();
    let id = sync(&engine, request(narrow())).await.sync.unwrap();
    assert_eq!(release(&engine, stage.mapping("people"), id).await.unwrap_err(), "mapping_edited");
    let mut planned = request(stage.mapping("people"));
    planned.options.plan = Some(plan.path().to_owned());
    assert_eq!(sync(&engine, planned).await.problem.unwrap().code, "mapping_edited");
    assert_eq!(stage.state(id).await, SyncState::Held, "the plan was not sent, so it is held still");
    assert_eq!(release(&engine, narrow(), id).await.unwrap().ending, Ending::Done);
    assert_eq!(stage.tool.keys(), ["5"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_held_before_anything_could_be_compared_cannot_be_released() {
    let stage = stage(5).await;
    let engine = stage.engine("one");
    sync(&engine, request(stage.mapping("people"))).await;
    let other_key = || {
        let mut mapping = stage.mapping("people");
        let mut model = sync::Model::clone(&mapping.model);
        model.key = vec!["email".to_owned()];
        mapping.model = Arc::new(model);
        mapping
    };
    let report = sync(&engine, request(other_key())).await;
    assert_eq!(report.ending, Ending::Held);
    assert_eq!(release(&engine, other_key(), report.sync.unwrap()).await.unwrap_err(), "cannot_be_released");
}

#[tokio::test(start_paused = true)]
async fn a_later_sync_takes_the_place_of_a_held_one_once_it_has_compared() {
    let stage = stage(5).await;
    let engine = stage.engine("one");
    let first = four_are_gone(&stage, &engine).await;
    stage.table.lost.store(true, Ordering::SeqCst);
    assert_eq!(sync(&engine, request(stage.mapping("people"))).await.ending, Ending::Failed);
    assert_eq!(stage.state(first).await, SyncState::Held, "the later one has seen nothing");
    stage.table.lost.store(false, Ordering::SeqCst);
    let second = sync(&engine, request(stage.mapping("people"))).await;
    assert_eq!(second.ending, Ending::Held);
    let row = stage.store.sync(&first.to_string()).await.unwrap();
    assert_eq!((row.state, row.error.unwrap().code.as_str()), (SyncState::Cancelled, "superseded"));
    assert_eq!(release(&engine, stage.mapping("people"), first).await.unwrap_err(), "not_held");
    let unfinished = stage.store.unfinished("people").await.unwrap();
    assert_eq!(unfinished.iter().map(|row| row.id).collect::<Vec<_>>(), [second.sync.unwrap()]);
    for id in 1..=4 {
        stage.table.set(id, "free");
    }
    assert_eq!(sync(&engine, request(stage.mapping("people"))).await.ending, Ending::Done);
    assert!(stage.store.unfinished("people").await.unwrap().is_empty(), "nothing is held any more");
    assert_eq!(stage.tool.keys().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn what_is_held_ends_with_a_baseline_and_with_a_reset() {
    for reset in [true, false] {
        let stage = stage(5).await;
        let engine = stage.engine("one");
        let id = four_are_gone(&stage, &engine).await;
        if reset {
            engine.reset("people", &["5".to_owned()], &Unobserved).await.unwrap();
        } else {
            engine.baseline(&request(stage.mapping("people")), &Unobserved).await;
        }
        assert_eq!(stage.state(id).await, SyncState::Cancelled, "reset: {reset}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_set_is_kept_as_long_as_its_sync_is_held() {
    let stage = stage(5).await;
    let engine = stage.engine("one");
    let id = four_are_gone(&stage, &engine).await;
    stage.table.lost.store(true, Ordering::SeqCst);
    for _ in 0..15 {
        sync(&engine, request(stage.mapping("people"))).await;
    }
    assert_eq!(release(&engine, stage.mapping("people"), id).await.unwrap().ending, Ending::Done);
    assert_eq!(stage.tool.keys(), ["5"]);
}

#[tokio::test(start_paused = true)]
async fn a_dismissed_sync_ends_and_the_next_finds_its_changes_again() {
    let stage = stage(5).await;
    let engine = stage.engine("one");
    let id = four_are_gone(&stage, &engine).await;
    engine.dismiss(id).await.unwrap();
    let row = stage.store.sync(&id.to_string()).await.unwrap();
    assert_eq!((row.state, row.error.unwrap().code.as_str()), (SyncState::Cancelled, "dismissed"));
    assert_eq!(engine.dismiss(id).await.unwrap_err().code, "not_held");
    assert_eq!(release(&engine, stage.mapping("people"), id).await.unwrap_err(), "not_held");
    assert_eq!(sync(&engine, request(stage.mapping("people"))).await.counts.deleted, 4);
}
