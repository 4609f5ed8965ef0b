//! The queue: who waits, who is taken, who goes on in whose place.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use records::Counts;

use super::*;
use crate::{
    NewSync, SyncState,
    testing::{HandClock, new_run, on_both_databases, postgres_database, postgres_store, second, sync_id, worker},
};

const LONG: Duration = Duration::from_secs(3600);

on_both_databases!(
    of_one_mapping_one_waits_or_runs,
    the_same_request_starts_one_sync,
    the_oldest_is_taken_first_and_sources_take_turns,
    a_source_bears_so_many_extracts_and_no_more,
    syncs_of_one_model_come_together,
    what_is_not_a_sync_comes_alone,
    what_is_queued_ends_at_once_and_what_runs_is_told,
    a_held_sync_is_queued_itself_to_be_released,
    a_worker_keeps_what_it_renews,
    one_that_could_not_begin_waits_again,
    another_goes_on_where_a_worker_fell_silent,
    one_that_waits_goes_on_for_one_that_was_left_behind,
    leases_of_a_process_that_ended_are_void,
    old_requests_are_forgotten,
);

/// Begins a sync as an engine does.
async fn begin(store: &Store, run: &RunRow) {
    let new = NewSync {
        id: run.sync.id,
        mapping: run.sync.mapping.clone(),
        trigger: run.sync.trigger.clone(),
        change_set: None,
    };
    assert!(store.begin_sync(&new).await.unwrap().is_some());
}

async fn finish(store: &Store, run: &RunRow, state: SyncState) {
    store.finish(run.sync.id, state, &Counts::default(), None).await.unwrap();
}

async fn queue(store: &Store, new: &NewRun) -> RunRow {
    match store.enqueue(new).await.unwrap() {
        Enqueued::New(run) => run,
        other => panic!("{other:?}"),
    }
}

fn mappings(runs: &[RunRow]) -> Vec<&str> {
    runs.iter().map(|run| run.sync.mapping.as_str()).collect()
}

async fn of_one_mapping_one_waits_or_runs(store: Store, clock: Arc<HandClock>) {
    let new = NewRun { confirmed: true, mapping_version: Some(3), ..new_run(1, "people") };
    let run = queue(&store, &new).await;
    assert_eq!((run.sync.state, run.sync.started_at), (SyncState::Queued, second(1_000)));
    assert!(run.is_waiting() && run.confirmed && run.task == Task::Sync && run.mapping_version == Some(3));
    assert_eq!(run.requested_by, new.requested_by);
    assert_eq!((run.queued_at, run.due_at), (Some(second(1_000)), Some(second(1))));
    assert_eq!(store.enqueue(&new).await.unwrap(), Enqueued::New(run.clone()), "the same statement again");
    assert_eq!(store.enqueue(&new_run(2, "people")).await.unwrap(), Enqueued::Busy(run.clone()));
    queue(&store, &new_run(3, "orders")).await;
    let taken = store.take_next(worker(1), LONG, 1).await.unwrap();
    assert_eq!(mappings(&taken), ["people"]);
    clock.set(1_001);
    begin(&store, &run).await;
    let Enqueued::Busy(busy) = store.enqueue(&new_run(2, "people")).await.unwrap() else { panic!("it runs") };
    assert_eq!((busy.sync.id, busy.sync.state), (run.sync.id, SyncState::Extracting));
    assert_eq!((busy.sync.started_at, busy.queued_at), (second(1_001), Some(second(1_000))));
    assert!(!busy.is_waiting());
    finish(&store, &run, SyncState::Done).await;
    assert!(matches!(store.enqueue(&new_run(2, "people")).await.unwrap(), Enqueued::New(_)));
}

async fn the_same_request_starts_one_sync(store: Store, _: Arc<HandClock>) {
    let first = NewRun { key: Some("k".to_owned()), ..new_run(1, "people") };
    let run = queue(&store, &first).await;
    let again = NewRun { key: Some("k".to_owned()), ..new_run(2, "people") };
    assert_eq!(store.enqueue(&again).await.unwrap(), Enqueued::Same(run.clone()));
    store.cancel(run.sync.id).await.unwrap();
    let ended = store.run(run.sync.id).await.unwrap();
    assert_eq!(store.enqueue(&again).await.unwrap(), Enqueued::Same(ended), "however it ended");
    let other = NewRun { key: Some("other".to_owned()), ..new_run(2, "people") };
    queue(&store, &other).await;
    let refused = NewRun { key: Some("refused".to_owned()), ..new_run(3, "people") };
    assert!(matches!(store.enqueue(&refused).await.unwrap(), Enqueued::Busy(_)));
    store.cancel(other.id).await.unwrap();
    assert!(matches!(store.enqueue(&refused).await.unwrap(), Enqueued::New(_)), "it had started nothing");
}

async fn the_oldest_is_taken_first_and_sources_take_turns(store: Store, _: Arc<HandClock>) {
    for (number, source) in [(9, "big"), (3, "big"), (7, "big"), (5, "big"), (8, "small"), (6, "small")] {
        let model = format!("model_{number}");
        let new = NewRun { model, source: source.to_owned(), ..new_run(number, &format!("m{number}")) };
        queue(&store, &new).await;
    }
    let mut order = Vec::new();
    loop {
        let taken = store.take_next(worker(1), LONG, 10).await.unwrap();
        let [run] = &taken[..] else { break };
        order.push(run.sync.mapping.clone());
        begin(&store, run).await;
        store.set_state(run.sync.id, SyncState::Loading).await.unwrap();
    }
    assert_eq!(order, ["m3", "m6", "m5", "m8", "m7", "m9"]);
}

async fn a_source_bears_so_many_extracts_and_no_more(store: Store, _: Arc<HandClock>) {
    for number in 1..=4 {
        let new = NewRun { extracts_max: 2, model: format!("m{number}"), ..new_run(number, &format!("m{number}")) };
        queue(&store, &new).await;
    }
    let first = store.take_next(worker(1), LONG, 10).await.unwrap();
    let second = store.take_next(worker(2), LONG, 10).await.unwrap();
    assert_eq!((mappings(&first), mappings(&second)), (vec!["m1"], vec!["m2"]));
    assert!(store.take_next(worker(3), LONG, 10).await.unwrap().is_empty(), "taken counts before it has begun");
    begin(&store, &first[0]).await;
    assert!(store.take_next(worker(3), LONG, 10).await.unwrap().is_empty());
    store.set_state(first[0].sync.id, SyncState::Loading).await.unwrap();
    let third = store.take_next(worker(3), LONG, 10).await.unwrap();
    assert_eq!(mappings(&third), ["m3"], "the source was free as soon as the extract was through");
    assert!(store.take_next(worker(3), LONG, 10).await.unwrap().is_empty());
    begin(&store, &second[0]).await;
    finish(&store, &second[0], SyncState::Failed).await;
    // Another limit holds from the next one that is queued on.
    queue(&store, &NewRun { extracts_max: 1, model: "m5".to_owned(), ..new_run(5, "m5") }).await;
    assert!(store.take_next(worker(3), LONG, 10).await.unwrap().is_empty());
}

async fn syncs_of_one_model_come_together(store: Store, _: Arc<HandClock>) {
    for (number, mapping, model) in
        [(1, "a", "users"), (2, "b", "orders"), (3, "c", "users"), (4, "d", "users"), (5, "e", "users")]
    {
        let new = NewRun { model: model.to_owned(), extracts_max: 1, ..new_run(number, mapping) };
        queue(&store, &new).await;
    }
    let taken = store.take_next(worker(1), LONG, 3).await.unwrap();
    assert_eq!(mappings(&taken), ["a", "c", "d"]);
    assert!(taken.iter().all(|run| run.extract == Some(taken[0].sync.id) && run.worker == Some(worker(1))));
    assert!(store.take_next(worker(1), LONG, 3).await.unwrap().is_empty(), "they are one extract, still at it");
    for run in &taken {
        begin(&store, run).await;
        finish(&store, run, SyncState::Done).await;
    }
    assert_eq!(mappings(&store.take_next(worker(1), LONG, 3).await.unwrap()), ["b"]);
}

async fn what_is_not_a_sync_comes_alone(store: Store, _: Arc<HandClock>) {
    let replay = Task::Replay { sync: sync_id(77), failed_only: true };
    for (number, mapping, task) in
        [(1, "a", replay.clone()), (2, "b", Task::Sync), (3, "c", Task::Baseline), (4, "d", Task::Sync)]
    {
        queue(&store, &NewRun { task, model: "users".to_owned(), ..new_run(number, mapping) }).await;
    }
    let first = store.take_next(worker(1), LONG, 10).await.unwrap();
    assert_eq!((mappings(&first), &first[0].task), (vec!["a"], &replay));
    assert_eq!(mappings(&store.take_next(worker(1), LONG, 10).await.unwrap()), ["b", "d"]);
    let third = store.take_next(worker(1), LONG, 10).await.unwrap();
    assert_eq!((mappings(&third), &third[0].task), (vec!["c"], &Task::Baseline));
}

async fn what_is_queued_ends_at_once_and_what_runs_is_told(store: Store, clock: Arc<HandClock>) {
    let waits = queue(&store, &new_run(1, "waits")).await;
    assert_eq!(store.cancel(waits.sync.id).await.unwrap(), Cancelled::Ended);
    assert_eq!(store.cancel(waits.sync.id).await.unwrap(), Cancelled::Over);
    let ended = store.run(waits.sync.id).await.unwrap().sync;
    assert_eq!((ended.state, ended.finished_at), (SyncState::Cancelled, Some(second(1_000))));
    assert_eq!(ended.error.unwrap().code, "cancelled");

    let runs = queue(&store, &new_run(2, "runs")).await;
    store.take_next(worker(1), LONG, 1).await.unwrap();
    begin(&store, &runs).await;
    clock.set(1_005);
    assert_eq!(store.cancel(runs.sync.id).await.unwrap(), Cancelled::Asked);
    assert!(store.run(runs.sync.id).await.unwrap().cancel_requested);
    let renewed = store.renew_runs(worker(1), LONG).await.unwrap();
    assert_eq!(renewed, [Renewed { id: runs.sync.id, cancel_requested: true }]);
    finish(&store, &runs, SyncState::Cancelled).await;

    let held = queue(&store, &new_run(3, "held")).await;
    store.take_next(worker(1), LONG, 1).await.unwrap();
    begin(&store, &held).await;
    let reason = crate::HeldReason { code: "deletions".to_owned(), message: "too many".to_owned() };
    store.hold(held.sync.id, &reason).await.unwrap();
    assert_eq!(store.cancel(held.sync.id).await.unwrap(), Cancelled::Over, "it is dismissed instead");
    assert!(matches!(store.cancel(sync_id(99)).await, Err(StoreError::UnknownSync(_))));
}

async fn a_held_sync_is_queued_itself_to_be_released(store: Store, _: Arc<HandClock>) {
    let run = queue(&store, &new_run(1, "people")).await;
    let by = Actor { id: "user_2".to_owned(), name: "Grace".to_owned() };
    assert_eq!(store.enqueue_held(run.sync.id, 4, Some(&by)).await.unwrap(), None, "nothing holds it");
    store.take_next(worker(1), LONG, 1).await.unwrap();
    begin(&store, &run).await;
    let reason = crate::HeldReason { code: "deletions".to_owned(), message: "too many".to_owned() };
    store.hold(run.sync.id, &reason).await.unwrap();
    store.give_back(run.sync.id, worker(1), LONG, None).await.unwrap();
    let next = queue(&store, &new_run(2, "people")).await;
    assert_eq!(store.enqueue_held(run.sync.id, 4, Some(&by)).await.unwrap(), Some(Enqueued::Busy(next.clone())));
    store.cancel(next.sync.id).await.unwrap();
    let Some(Enqueued::New(released)) = store.enqueue_held(run.sync.id, 4, Some(&by)).await.unwrap() else {
        panic!("it is held")
    };
    assert_eq!((released.sync.state, &released.task), (SyncState::Queued, &Task::Release));
    assert_eq!((released.requested_by.clone(), released.sync.held.clone()), (Some(by.clone()), Some(reason)));
    let again = store.enqueue_held(run.sync.id, 4, Some(&by)).await.unwrap();
    assert_eq!(again, Some(Enqueued::Same(released.clone())));
    assert_eq!(store.cancel(run.sync.id).await.unwrap(), Cancelled::Ended);
    assert_eq!(store.run(run.sync.id).await.unwrap().sync.state, SyncState::Held, "nobody wants it released any more");
    store.enqueue_held(run.sync.id, 4, None).await.unwrap().unwrap();
    assert_eq!(store.take_next(worker(1), LONG, 9).await.unwrap()[0].sync.id, run.sync.id);
    let why = SyncError { code: "out_of_date".to_owned(), message: "it is".to_owned(), hint: None };
    store.hold_again(run.sync.id, worker(2), &why).await.unwrap();
    assert_eq!(store.run(run.sync.id).await.unwrap().sync.state, SyncState::Queued, "it is not that worker's");
    store.hold_again(run.sync.id, worker(1), &why).await.unwrap();
    let held = store.run(run.sync.id).await.unwrap();
    assert_eq!((held.sync.state, held.sync.error, held.worker), (SyncState::Held, Some(why), None));
}

async fn a_worker_keeps_what_it_renews(store: Store, _: Arc<HandClock>) {
    for number in 1..=3 {
        queue(&store, &NewRun { model: format!("m{number}"), ..new_run(number, &format!("m{number}")) }).await;
    }
    let mut taken = store.take_next(worker(1), Duration::ZERO, 1).await.unwrap();
    taken.extend(store.take_next(worker(2), LONG, 1).await.unwrap());
    assert_eq!(mappings(&taken), ["m1", "m1"], "whose lease was over lost it before it began");
    assert!(store.renew_runs(worker(1), LONG).await.unwrap().is_empty());
    let renewed = store.renew_runs(worker(2), LONG).await.unwrap();
    assert_eq!(renewed, [Renewed { id: taken[1].sync.id, cancel_requested: false }]);
    let (progress, phases) = (serde_json::json!({ "done": 5 }), serde_json::json!([]));
    let note = |requests| ProgressNote {
        sync: taken[1].sync.id,
        progress: progress.clone(),
        phases: phases.clone(),
        requests,
    };
    store.note_progress(worker(1), &[note(9)]).await.unwrap();
    assert_eq!(store.run(taken[1].sync.id).await.unwrap().progress, None, "it is not that worker's");
    store.note_progress(worker(2), &[note(9)]).await.unwrap();
    let noted = store.run(taken[1].sync.id).await.unwrap();
    assert_eq!((noted.progress, noted.phases, noted.requests), (Some(progress.clone()), Some(phases.clone()), 9));
    begin(&store, &taken[1]).await;
    finish(&store, &taken[1], SyncState::Done).await;
    store.give_back(taken[1].sync.id, worker(2), LONG, Some(&note(11))).await.unwrap();
    assert_eq!(store.run(taken[1].sync.id).await.unwrap().requests, 11);
    assert!(store.renew_runs(worker(2), LONG).await.unwrap().is_empty());
}

async fn one_that_could_not_begin_waits_again(store: Store, _: Arc<HandClock>) {
    let run = queue(&store, &new_run(1, "people")).await;
    store.take_next(worker(1), LONG, 1).await.unwrap();
    store.give_back(run.sync.id, worker(2), Duration::ZERO, None).await.unwrap();
    assert!(store.take_next(worker(2), LONG, 1).await.unwrap().is_empty(), "it was not that worker's to give back");
    store.give_back(run.sync.id, worker(1), LONG, None).await.unwrap();
    assert!(store.run(run.sync.id).await.unwrap().is_waiting());
    assert!(store.take_next(worker(2), LONG, 1).await.unwrap().is_empty(), "its pause is not over");
    let other = queue(&store, &new_run(2, "orders")).await;
    assert_eq!(store.take_next(worker(1), LONG, 1).await.unwrap()[0].sync.id, other.sync.id);
    store.give_back(other.sync.id, worker(1), Duration::ZERO, None).await.unwrap();
    assert_eq!(store.take_next(worker(2), LONG, 1).await.unwrap()[0].sync.id, other.sync.id);
}

async fn another_goes_on_where_a_worker_fell_silent(store: Store, _: Arc<HandClock>) {
    let first = queue(&store, &new_run(1, "people")).await;
    store.take_next(worker(1), Duration::ZERO, 1).await.unwrap();
    begin(&store, &first).await;
    let left = store.left_behind(10).await.unwrap();
    assert_eq!(left.iter().map(|run| run.sync.id).collect::<Vec<_>>(), [first.sync.id]);
    store.renew_runs(worker(1), LONG).await.unwrap();
    assert!(store.left_behind(10).await.unwrap().is_empty(), "it was slow, not silent");
    assert_eq!(store.take_over(first.sync.id, &new_run(2, "people")).await.unwrap(), None);
    store.renew_runs(worker(1), Duration::ZERO).await.unwrap();
    let Some(Enqueued::New(second)) = store.take_over(first.sync.id, &new_run(2, "people")).await.unwrap() else {
        panic!("it was left behind")
    };
    assert_eq!(second.takeovers, 1);
    assert_eq!(store.run(first.sync.id).await.unwrap().successor, Some(second.sync.id));
    assert_eq!(store.take_over(first.sync.id, &new_run(3, "people")).await.unwrap(), None, "once");
    assert!(store.left_behind(10).await.unwrap().is_empty());
    assert!(store.renew_runs(worker(1), LONG).await.unwrap().is_empty(), "it comes back too late");
    store.take_next(worker(2), Duration::ZERO, 1).await.unwrap();
    begin(&store, &second).await;
    let Some(Enqueued::New(third)) = store.take_over(second.sync.id, &new_run(3, "people")).await.unwrap() else {
        panic!("it was left behind too")
    };
    assert_eq!(third.takeovers, 2);
}

async fn one_that_waits_goes_on_for_one_that_was_left_behind(store: Store, _: Arc<HandClock>) {
    let first = queue(&store, &new_run(1, "people")).await;
    store.take_next(worker(1), Duration::ZERO, 1).await.unwrap();
    begin(&store, &first).await;
    let waits = queue(&store, &new_run(2, "people")).await;
    let taken_over = store.take_over(first.sync.id, &new_run(3, "people")).await.unwrap();
    assert_eq!(taken_over, Some(Enqueued::Busy(waits.clone())));
    assert_eq!(store.run(first.sync.id).await.unwrap().successor, Some(waits.sync.id));
}

async fn leases_of_a_process_that_ended_are_void(store: Store, _: Arc<HandClock>) {
    for number in 1..=2 {
        queue(&store, &NewRun { model: format!("m{number}"), ..new_run(number, &format!("m{number}")) }).await;
    }
    let begun = store.take_next(worker(1), LONG, 1).await.unwrap();
    begin(&store, &begun[0]).await;
    let taken = store.take_next(worker(1), LONG, 1).await.unwrap();
    let claim = store.claim("m1", worker(1), LONG).await.unwrap().unwrap();
    store.void_leases().await.unwrap();
    assert!(store.run(taken[0].sync.id).await.unwrap().is_waiting());
    assert_eq!(store.left_behind(10).await.unwrap()[0].sync.id, begun[0].sync.id);
    assert_eq!(store.holder(&claim.mapping).await.unwrap(), None);
    assert_eq!(store.take_next(worker(2), LONG, 1).await.unwrap()[0].sync.id, taken[0].sync.id);
}

async fn old_requests_are_forgotten(store: Store, clock: Arc<HandClock>) {
    let first = NewRun { key: Some("k".to_owned()), ..new_run(1, "people") };
    let run = queue(&store, &first).await;
    store.cancel(run.sync.id).await.unwrap();
    clock.set(2_000);
    assert_eq!(store.forget_start_keys_before(second(1_000)).await.unwrap(), 0);
    assert_eq!(store.forget_start_keys_before(second(1_500)).await.unwrap(), 1);
    let again = NewRun { key: Some("k".to_owned()), ..new_run(2, "people") };
    assert!(matches!(store.enqueue(&again).await.unwrap(), Enqueued::New(_)));
}

/// Several processes queue, take, begin, fall silent, give back and end, all at once: nothing is lost, nothing is run by
/// two, no source bears more than it may.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_processes_each_takes_what_no_other_has() {
    let server = postgres_server::PostgresServer::start(&Default::default());
    let url = postgres_database(&server, "many_takers");
    let (mut number, clock) = (0, Arc::new(HandClock::default()));
    let mut expected = BTreeSet::new();
    let first = Store::open_postgres(&url, Arc::<HandClock>::clone(&clock)).await.unwrap();
    for source in ["a", "b", "c"] {
        for model in 0..5 {
            for mapping in 0..4 {
                number += 1;
                let mapping = format!("{source}{model}{mapping}");
                let model = format!("{source}{model}");
                let new = NewRun { source: source.to_owned(), model, extracts_max: 2, ..new_run(number, &mapping) };
                first.enqueue(&new).await.unwrap();
                expected.insert(mapping);
            }
        }
    }
    let running: Arc<std::sync::Mutex<BTreeMap<String, BTreeSet<SyncId>>>> = Arc::default();
    let tasks = (0..6_u128).map(|taker| {
        let (url, clock, running) = (url.clone(), Arc::clone(&clock), Arc::clone(&running));
        tokio::spawn(async move {
            let store = Store::open_postgres(&url, clock).await.unwrap();
            let mut done = Vec::new();
            let mut idle = 0;
            let mut round = 0;
            while idle < 20 {
                round += 1;
                let taken = store.take_next(worker(taker), LONG, 3).await.unwrap();
                let Some(one) = taken.first() else {
                    idle += 1;
                    tokio::task::yield_now().await;
                    continue;
                };
                idle = 0;
                {
                    let mut running = running.lock().unwrap();
                    let extracts = running.entry(one.source.clone()).or_default();
                    assert!(extracts.insert(one.extract.unwrap()), "an extract is run twice");
                    assert!(extracts.len() <= 2, "too many extracts of `{}`", one.source);
                }
                if round % 5 == 0 {
                    // It cannot begin, and goes back.
                    running.lock().unwrap().get_mut(&one.source).unwrap().remove(&one.extract.unwrap());
                    for run in &taken {
                        store.give_back(run.sync.id, worker(taker), Duration::ZERO, None).await.unwrap();
                    }
                    continue;
                }
                for run in &taken {
                    begin(&store, run).await;
                }
                running.lock().unwrap().get_mut(&one.source).unwrap().remove(&one.extract.unwrap());
                for run in &taken {
                    finish(&store, run, SyncState::Done).await;
                    done.push(run.sync.mapping.clone());
                }
            }
            done
        })
    });
    let done: Vec<String> = join_all(tasks).await.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(done.len(), expected.len(), "none twice");
    assert_eq!(done.into_iter().collect::<BTreeSet<_>>(), expected, "none lost");
}

/// Many wish for a sync of the same mappings at the same moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_wishes_at_once_one_is_queued() {
    let server = postgres_server::PostgresServer::start(&Default::default());
    let (store, _) = postgres_store(&server, "many_wishes").await;
    let wishes = (0..40_i64).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let key = (number % 2 == 0).then(|| format!("key {}", number % 8));
            let new = NewRun { key, ..new_run(number, &format!("m{}", number % 4)) };
            store.enqueue(&new).await.unwrap()
        })
    });
    let outcomes: Vec<Enqueued> = join_all(wishes).await.into_iter().map(Result::unwrap).collect();
    let new = outcomes.iter().filter(|outcome| matches!(outcome, Enqueued::New(_))).count();
    assert_eq!(new, 4);
    let all: BTreeSet<SyncId> = outcomes.iter().map(|outcome| outcome.run().sync.id).collect();
    assert_eq!(all.len(), 4, "everyone is told of the one that waits");
}
