//! When mappings are due.

use std::sync::Arc;

use futures_util::future::join_all;
use records::Counts;

use super::*;
use crate::{
    NewSync,
    testing::{HandClock, new_run, on_both_databases, postgres_store, second, sync_id, worker},
};

const LONG: std::time::Duration = std::time::Duration::from_secs(3600);

on_both_databases!(
    what_is_due_starts_in_order_and_once,
    what_was_changed_meanwhile_is_not_overwritten,
    one_that_is_due_while_it_runs_starts_once_more,
    one_that_is_due_while_it_waits_is_that_one,
    mappings_of_one_model_are_not_parted,
    a_hook_makes_due_what_is_switched_on,
    those_who_wait_for_a_mapping_are_found,
);

fn due(mapping: &str, at: Option<i64>) -> DueRow {
    DueRow {
        mapping: mapping.to_owned(),
        model: "model".to_owned(),
        schedule: "{}".to_owned(),
        enabled: true,
        next_due_at: at.map(second),
        last_due_at: None,
        reason: Cause::Schedule,
        waits: false,
        consumed: "{}".to_owned(),
        revision: 0,
    }
}

async fn set(store: &Store, row: &DueRow, awaited: &[String]) -> bool {
    store.set_due(&[(row.clone(), awaited.to_vec())]).await.unwrap()[0]
}

fn start(due: &DueRow, number: i64, next: Option<i64>) -> DueStart {
    let run = NewRun { model: due.model.clone(), ..new_run(number, &due.mapping) };
    DueStart { due: due.clone(), run, next_due_at: next.map(second) }
}

async fn what_is_due_starts_in_order_and_once(store: Store, _: Arc<HandClock>) {
    assert_eq!(store.next_due_at().await.unwrap(), None);
    for (mapping, at) in [("c", Some(30)), ("a", Some(20)), ("b", Some(10)), ("later", Some(200)), ("never", None)] {
        assert!(set(&store, &due(mapping, at), &[]).await);
    }
    let off = DueRow { enabled: false, ..due("off", None) };
    assert!(set(&store, &off, &[]).await);
    assert_eq!(store.next_due_at().await.unwrap(), Some(second(10)));
    let rows = store.due_by(second(100), 10).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.mapping.as_str()).collect::<Vec<_>>(), ["b", "a", "c"]);
    let starts: Vec<DueStart> = rows.iter().zip(1..).map(|(row, number)| start(row, number, Some(150))).collect();
    let outcomes = store.start_due(&starts).await.unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, DueOutcome::Queued(Enqueued::New(_)))));
    let outcomes = store.start_due(&starts).await.unwrap();
    assert_eq!(outcomes, vec![DueOutcome::Changed; 3], "the same again starts nothing");
    let row = store.due("b").await.unwrap().unwrap();
    assert_eq!((row.next_due_at, row.last_due_at), (Some(second(150)), Some(second(10))));
    assert_eq!(store.next_due_at().await.unwrap(), Some(second(150)));
    assert_eq!(store.open_counts().await.unwrap(), [(SyncState::Queued, 3)]);
    assert_eq!(store.all_due(Some("b"), 2).await.unwrap().len(), 2);
    store.forget_due("b").await.unwrap();
    assert_eq!(store.due("b").await.unwrap(), None);
}

async fn what_was_changed_meanwhile_is_not_overwritten(store: Store, _: Arc<HandClock>) {
    assert!(set(&store, &due("people", Some(10)), &[]).await);
    assert!(!set(&store, &due("people", Some(11)), &[]).await, "there is one already");
    let read = store.due("people").await.unwrap().unwrap();
    let outcomes = store.start_due(&[start(&read, 1, Some(100))]).await.unwrap();
    assert!(matches!(outcomes[..], [DueOutcome::Queued(Enqueued::New(_))]));
    let stale = DueRow { next_due_at: Some(second(10)), ..read.clone() };
    assert!(!set(&store, &stale, &[]).await, "it would start a second time");
    let read = store.due("people").await.unwrap().unwrap();
    let switched_off = DueRow { enabled: false, next_due_at: None, ..read.clone() };
    assert!(set(&store, &switched_off, &[]).await);
    assert_eq!(store.start_due(&[start(&read, 2, None)]).await.unwrap(), [DueOutcome::Changed]);
    assert!(!store.make_due("people", second(5), Cause::Hook, None).await.unwrap());
}

async fn one_that_is_due_while_it_runs_starts_once_more(store: Store, _: Arc<HandClock>) {
    set(&store, &due("people", Some(10)), &[]).await;
    let row = store.due("people").await.unwrap().unwrap();
    store.start_due(&[start(&row, 1, Some(20))]).await.unwrap();
    let taken = store.take_next(worker(1), LONG, 1).await.unwrap();
    let new =
        NewSync { id: sync_id(1), mapping: "people".to_owned(), trigger: "schedule".to_owned(), change_set: None };
    store.begin_sync(&new).await.unwrap().unwrap();
    for _ in 0..2 {
        let rows = store.due_by(second(100), 10).await.unwrap();
        for row in &rows {
            let outcomes = store.start_due(&[start(row, 2, Some(120))]).await.unwrap();
            assert!(matches!(&outcomes[..], [DueOutcome::Runs(Enqueued::Busy(run))] if run.sync.id == sync_id(1)));
        }
        assert_eq!(store.end_waits().await.unwrap(), 0, "it runs still");
    }
    let row = store.due("people").await.unwrap().unwrap();
    assert!(row.waits);
    assert_eq!((row.next_due_at, row.last_due_at), (Some(second(20)), Some(second(10))), "it is due since then");
    assert_eq!(store.next_due_at().await.unwrap(), None, "and nobody looks until it has ended");
    store.finish(taken[0].sync.id, SyncState::Done, &Counts::default(), None).await.unwrap();
    assert_eq!(store.end_waits().await.unwrap(), 1);
    let rows = store.due_by(second(100), 10).await.unwrap();
    let outcomes = store.start_due(&[start(&rows[0], 3, Some(120))]).await.unwrap();
    assert!(matches!(outcomes[..], [DueOutcome::Queued(Enqueued::New(_))]));
    assert_eq!(store.due("people").await.unwrap().unwrap().last_due_at, Some(second(20)));
}

async fn one_that_is_due_while_it_waits_is_that_one(store: Store, _: Arc<HandClock>) {
    store.enqueue(&new_run(1, "people")).await.unwrap();
    store.enqueue(&NewRun { task: Task::Baseline, ..new_run(2, "orders") }).await.unwrap();
    for (mapping, number) in [("people", 3), ("orders", 4)] {
        set(&store, &due(mapping, Some(10)), &[]).await;
        let row = store.due(mapping).await.unwrap().unwrap();
        let outcomes = store.start_due(&[start(&row, number, Some(20))]).await.unwrap();
        let row = store.due(mapping).await.unwrap().unwrap();
        if mapping == "people" {
            assert!(matches!(outcomes[..], [DueOutcome::Queued(Enqueued::Busy(_))]));
            assert_eq!((row.next_due_at, row.waits), (Some(second(20)), false));
        } else {
            assert!(matches!(outcomes[..], [DueOutcome::Runs(_)]), "a baseline sends nothing");
            assert_eq!((row.next_due_at, row.waits), (Some(second(10)), true));
        }
    }
}

async fn mappings_of_one_model_are_not_parted(store: Store, _: Arc<HandClock>) {
    for (mapping, model, at) in
        [("a", "z", 10), ("b", "y", 10), ("c", "z", 10), ("d", "y", 10), ("e", "z", 10), ("f", "z", 11)]
    {
        set(&store, &DueRow { model: model.to_owned(), ..due(mapping, Some(at)) }, &[]).await;
    }
    let names = |rows: Vec<DueRow>| rows.into_iter().map(|row| row.mapping).collect::<Vec<_>>().join("");
    assert_eq!(names(store.due_by(second(100), 10).await.unwrap()), "bdacef");
    assert_eq!(names(store.due_by(second(100), 4).await.unwrap()), "bd");
    assert_eq!(names(store.due_by(second(100), 5).await.unwrap()), "bd", "whether there are more is not known");
    assert_eq!(names(store.due_by(second(100), 1).await.unwrap()), "b", "one group that is too large is parted");
}

async fn a_hook_makes_due_what_is_switched_on(store: Store, _: Arc<HandClock>) {
    assert!(!store.make_due("people", second(5), Cause::Hook, None).await.unwrap(), "there is no such mapping");
    set(&store, &due("people", None), &[]).await;
    assert!(store.make_due("people", second(5), Cause::Hook, None).await.unwrap());
    assert!(store.make_due("people", second(7), Cause::Hook, None).await.unwrap());
    let row = store.due("people").await.unwrap().unwrap();
    assert_eq!((row.next_due_at, row.reason), (Some(second(5)), Cause::Hook));
    let outcomes = store.start_due(&[start(&row, 1, None)]).await.unwrap();
    assert!(matches!(outcomes[..], [DueOutcome::Queued(Enqueued::New(_))]));
    assert_eq!(store.due("people").await.unwrap().unwrap().next_due_at, None);
    assert!(store.make_due("people", second(8), Cause::Hook, Some("event 1")).await.unwrap());
    assert!(!store.make_due("people", second(9), Cause::Hook, Some("event 1")).await.unwrap(), "it came before");
    assert!(!store.make_due("nobody", second(9), Cause::Hook, Some("event 2")).await.unwrap());
    assert!(store.make_due("people", second(9), Cause::Hook, Some("event 2")).await.unwrap(), "it made nothing due");
}

async fn those_who_wait_for_a_mapping_are_found(store: Store, _: Arc<HandClock>) {
    let awaited = ["people".to_owned(), "orders".to_owned()];
    set(&store, &due("b", None), &awaited).await;
    set(&store, &due("a", None), &awaited[..1]).await;
    set(&store, &DueRow { enabled: false, ..due("off", None) }, &awaited).await;
    let names = |rows: Vec<DueRow>| rows.into_iter().map(|row| row.mapping).collect::<Vec<_>>();
    assert_eq!(names(store.waiting_for("people").await.unwrap()), ["a", "b"]);
    assert_eq!(names(store.waiting_for("orders").await.unwrap()), ["b"]);
    let row = store.due("b").await.unwrap().unwrap();
    assert!(set(&store, &row, &awaited[..1]).await);
    assert!(store.waiting_for("orders").await.unwrap().is_empty());
    store.make_due("a", second(5), Cause::After, None).await.unwrap();
    let row = store.due("a").await.unwrap().unwrap();
    assert!(store.consume(&row, r#"{"people":"sync_1"}"#).await.unwrap());
    assert!(!store.consume(&row, "{}").await.unwrap(), "it was changed meanwhile");
    let row = store.due("a").await.unwrap().unwrap();
    assert_eq!((row.next_due_at, row.consumed.as_str()), (None, r#"{"people":"sync_1"}"#));
    store.forget_due("a").await.unwrap();
    assert_eq!(names(store.waiting_for("people").await.unwrap()), ["b"]);
}

/// Several processes start what is due at the same moments.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_schedulers_each_starts_what_no_other_has() {
    let server = postgres_server::PostgresServer::start(&Default::default());
    let (store, _) = postgres_store(&server, "many_schedulers").await;
    for number in 0..60 {
        let row = DueRow { model: format!("model{}", number % 7), ..due(&format!("m{number:02}"), Some(number / 10)) };
        set(&store, &row, &[]).await;
    }
    let schedulers = (0..5_i64).map(|scheduler| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut started = 0;
            for round in 0.. {
                let rows = store.due_by(second(1_000), 16).await.unwrap();
                if rows.is_empty() {
                    break;
                }
                let number = |place: i64| 1_000_000 + scheduler * 100_000 + round * 100 + place;
                let starts: Vec<_> = rows.iter().zip(0..).map(|(row, place)| start(row, number(place), None)).collect();
                let outcomes = store.start_due(&starts).await.unwrap();
                let new = |outcome: &&DueOutcome| matches!(outcome, DueOutcome::Queued(Enqueued::New(_)));
                started += outcomes.iter().filter(new).count();
            }
            started
        })
    });
    let started: usize = join_all(schedulers).await.into_iter().map(Result::unwrap).sum();
    assert_eq!(started, 60);
    assert_eq!(store.open_counts().await.unwrap(), [(SyncState::Queued, 60)]);
}
