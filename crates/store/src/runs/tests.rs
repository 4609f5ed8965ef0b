//! Lists of syncs.

use std::sync::Arc;

use records::Counts;

use super::*;
use crate::{
    Enqueued, NewRun,
    testing::{HandClock, new_run, new_sync, on_both_databases, second, sync_id},
};

on_both_databases!(
    lists_are_filtered_and_go_on_where_they_stopped,
    a_sync_run_past_the_queue_is_listed_too,
    open_syncs_are_counted,
    the_last_end_of_a_mapping_is_found,
    what_ended_long_ago_is_forgotten_but_not_a_mappings_newest,
);

async fn queued(store: &Store, new: NewRun) -> SyncId {
    match store.enqueue(&new).await.unwrap() {
        Enqueued::New(run) => run.sync.id,
        other => panic!("{other:?}"),
    }
}

async fn seconds(store: &Store, filter: &RunFilter, before: Option<SyncId>, limit: u32) -> Vec<i64> {
    let runs = store.runs(filter, before, limit).await.unwrap();
    runs.iter().map(|run| run.due_at.unwrap().as_second()).collect()
}

async fn lists_are_filtered_and_go_on_where_they_stopped(store: Store, _: Arc<HandClock>) {
    for number in 1..=12 {
        let new = NewRun {
            model: format!("model{}", number % 2),
            source: format!("source{}", number % 3),
            destination: format!("dest{}", number % 4),
            cause: if number % 5 == 0 { Cause::Hook } else { Cause::Schedule },
            ..new_run(number, &format!("m{}", number % 6))
        };
        let id = queued(&store, new).await;
        let state = match number % 4 {
            0 => SyncState::Failed,
            1 => SyncState::Partly,
            _ => SyncState::Done,
        };
        store.finish(id, state, &Counts::default(), None).await.unwrap();
    }
    queued(&store, new_run(13, "m1")).await;
    let all = RunFilter::default();
    assert_eq!(seconds(&store, &all, None, 5).await, [13, 12, 11, 10, 9]);
    assert_eq!(seconds(&store, &all, Some(sync_id(9)), 5).await, [8, 7, 6, 5, 4]);
    assert_eq!(seconds(&store, &all, Some(sync_id(1)), 5).await, [0; 0]);
    let of = |change: &dyn Fn(&mut RunFilter)| {
        let mut filter = RunFilter::default();
        change(&mut filter);
        filter
    };
    let some = |text: &str| Some(text.to_owned());
    for (filter, expected) in [
        (of(&|filter| filter.mapping = some("m1")), vec![13, 7, 1]),
        (of(&|filter| filter.model = some("model0")), vec![12, 10, 8, 6, 4, 2]),
        (of(&|filter| filter.source = some("source1")), vec![10, 7, 4, 1]),
        (of(&|filter| filter.destination = some("dest3")), vec![11, 7, 3]),
        (of(&|filter| filter.cause = Some(Cause::Hook)), vec![10, 5]),
        (of(&|filter| filter.states = vec![SyncState::Failed]), vec![12, 8, 4]),
        (of(&|filter| filter.states = vec![SyncState::Failed, SyncState::Queued]), vec![13, 12, 8, 4]),
        (of(&|filter| (filter.from, filter.to) = (Some(second(3)), Some(second(6)))), vec![5, 4, 3]),
        (
            of(&|filter| {
                filter.states = vec![SyncState::Done];
                filter.model = some("model0");
                filter.to = Some(second(11));
            }),
            vec![10, 6, 2],
        ),
        (of(&|filter| filter.mapping = some("none")), vec![]),
    ] {
        assert_eq!(seconds(&store, &filter, None, 20).await, expected, "{filter:?}");
        let mut paged = Vec::new();
        let mut before = None;
        loop {
            let page = store.runs(&filter, before, 2).await.unwrap();
            let Some(last) = page.last() else { break };
            before = Some(last.sync.id);
            paged.extend(page.iter().map(|run| run.due_at.unwrap().as_second()));
        }
        assert_eq!(paged, expected, "{filter:?} page by page");
    }
}

async fn a_sync_run_past_the_queue_is_listed_too(store: Store, _: Arc<HandClock>) {
    store.begin_sync(&new_sync(5, "people")).await.unwrap().unwrap();
    let runs = store.runs(&RunFilter::default(), None, 10).await.unwrap();
    assert_eq!((runs[0].sync.id, runs[0].cause, &runs[0].task), (sync_id(5), Cause::Command, &Task::Sync));
    assert_eq!((runs[0].queued_at, &runs[0].source, runs[0].worker), (None, &String::new(), None));
}

async fn open_syncs_are_counted(store: Store, _: Arc<HandClock>) {
    assert_eq!(store.open_counts().await.unwrap(), []);
    queued(&store, new_run(1, "a")).await;
    queued(&store, new_run(2, "b")).await;
    let ended = queued(&store, new_run(3, "c")).await;
    store.cancel(ended).await.unwrap();
    store.begin_sync(&new_sync(4, "d")).await.unwrap().unwrap();
    assert_eq!(store.open_counts().await.unwrap(), [(SyncState::Extracting, 1), (SyncState::Queued, 2)]);
}

async fn the_last_end_of_a_mapping_is_found(store: Store, clock: Arc<HandClock>) {
    assert_eq!(store.last_finished("people").await.unwrap(), None);
    for (number, task) in [(1, Task::Sync), (2, Task::Baseline), (3, Task::Sync)] {
        clock.set(number);
        let id = queued(&store, NewRun { task, ..new_run(number, "people") }).await;
        if number < 3 {
            store.finish(id, SyncState::Done, &Counts::default(), None).await.unwrap();
        }
    }
    assert_eq!(store.last_finished("people").await.unwrap().unwrap().id, sync_id(1));
}

async fn what_ended_long_ago_is_forgotten_but_not_a_mappings_newest(store: Store, clock: Arc<HandClock>) {
    for number in 1..=6 {
        clock.set(number);
        let id = queued(&store, new_run(number, if number == 1 { "once" } else { "often" })).await;
        if number < 6 {
            store.finish(id, SyncState::Done, &Counts::default(), None).await.unwrap();
        }
        if number != 3 {
            assert!(store.note_end(id, &[]).await.unwrap());
        }
    }
    assert_eq!(store.forget_ended_before(second(5), 1).await.unwrap(), 1);
    assert_eq!(store.forget_ended_before(second(5), 100).await.unwrap(), 1);
    assert_eq!(seconds(&store, &RunFilter::default(), None, 10).await, [6, 5, 3, 1], "3 was noted by nobody yet");
}
