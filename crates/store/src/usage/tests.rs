//! What was done, by day and destination.

use std::sync::Arc;

use jiff::civil::date;
use records::Counts;

use super::*;
use crate::{
    Cause, NewRun, ProgressNote,
    testing::{HandClock, new_run, on_both_databases, second, sync_id, worker},
};

on_both_databases!(each_end_is_counted_once_by_day_and_destination, an_end_makes_due_what_waited_for_it,);

async fn end(store: &Store, number: i64, destination: &str, state: SyncState, counts: Counts) {
    let new = NewRun { destination: destination.to_owned(), ..new_run(number, &format!("m{number}")) };
    store.enqueue(&new).await.unwrap();
    store.take_next(worker(1), std::time::Duration::from_secs(3600), 1).await.unwrap();
    let empty = serde_json::json!([]);
    let note = ProgressNote { sync: new.id, progress: empty.clone(), phases: empty, requests: 7 };
    store.give_back(new.id, worker(1), std::time::Duration::ZERO, Some(&note)).await.unwrap();
    store.finish(new.id, state, &counts, None).await.unwrap();
}

async fn each_end_is_counted_once_by_day_and_destination(store: Store, clock: Arc<HandClock>) {
    let counts = Counts { delivered: 10, rejected: 2, retry: 1, in_doubt: 1, skipped: 50, ..Counts::default() };
    clock.set(86_399);
    end(&store, 1, "crm", SyncState::Done, counts).await;
    end(&store, 2, "crm", SyncState::Partly, counts).await;
    end(&store, 3, "mail", SyncState::Failed, Counts::default()).await;
    clock.set(86_400);
    end(&store, 4, "crm", SyncState::Interrupted, counts).await;
    end(&store, 5, "crm", SyncState::Cancelled, counts).await;
    store.enqueue(&new_run(6, "waits")).await.unwrap();
    let ends = store.unnoted_ends(10).await.unwrap();
    assert_eq!(ends.len(), 5);
    for run in ends.iter().chain(&ends) {
        assert!(store.note_end(run.sync.id, &[]).await.unwrap());
    }
    assert!(store.note_end(sync_id(6), &[]).await.unwrap(), "one that has not ended is not counted");
    assert!(store.unnoted_ends(10).await.unwrap().is_empty());
    let (first, second) = (date(1970, 1, 1), date(1970, 1, 2));
    let row = |day, destination: &str, [syncs, done, partly, failed]: [u64; 4]| UsageRow {
        day,
        destination: destination.to_owned(),
        syncs,
        done,
        partly,
        failed,
        delivered: if destination == "crm" { 20 } else { 0 },
        undelivered: if destination == "crm" { 8 } else { 0 },
        requests: 7 * syncs,
    };
    let (crm, mail) = (row(first, "crm", [2, 1, 1, 0]), row(first, "mail", [1, 0, 0, 1]));
    assert_eq!(store.usage(first, first).await.unwrap(), [crm, mail]);
    assert_eq!(store.usage(second, second).await.unwrap(), [row(second, "crm", [2, 0, 0, 1])]);
    assert_eq!(store.usage(first, second).await.unwrap().len(), 3);
}

async fn an_end_makes_due_what_waited_for_it(store: Store, _: Arc<HandClock>) {
    for mapping in ["a", "b"] {
        let row = DueRow {
            mapping: mapping.to_owned(),
            model: "people".to_owned(),
            schedule: "{}".to_owned(),
            enabled: true,
            next_due_at: None,
            last_due_at: None,
            reason: Cause::Schedule,
            waits: false,
            consumed: "{}".to_owned(),
            revision: 0,
        };
        assert_eq!(store.set_due(&[(row, vec!["m1".to_owned()])]).await.unwrap(), [true]);
    }
    end(&store, 1, "crm", SyncState::Done, Counts::default()).await;
    let waiting = store.waiting_for("m1").await.unwrap();
    let due = [(waiting[0].clone(), second(50)), (waiting[1].clone(), second(60))];
    store.make_due("b", second(70), Cause::Hook, None).await.unwrap();
    assert!(!store.note_end(sync_id(1), &due).await.unwrap(), "`b` was changed");
    assert_eq!(store.due("a").await.unwrap().unwrap().next_due_at, None, "and nothing was done");
    assert_eq!(store.unnoted_ends(10).await.unwrap().len(), 1);
    let due = [(waiting[0].clone(), second(50)), (store.due("b").await.unwrap().unwrap(), second(60))];
    assert!(store.note_end(sync_id(1), &due).await.unwrap());
    let row = store.due("a").await.unwrap().unwrap();
    assert_eq!((row.next_due_at, row.reason), (Some(second(50)), Cause::After));
    assert_eq!(store.due("b").await.unwrap().unwrap().next_due_at, Some(second(60)));
}
