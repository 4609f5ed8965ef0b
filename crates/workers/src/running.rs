//! Running what was taken from the queue: definitions are read and wired, the engine does the rest, and what became of
//! each is written down.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use records::Counts;
use store::{ResourceKind, ResourceRef, RunRow, SyncError, SyncState, Task};
use sync::{Mapping, Problem, Request, SyncOptions, SyncReport};

use crate::{
    Happening, Service, ServiceError,
    error::told,
    observing::{Hand, Stop},
    worker::LOCKED_PAUSE,
};

/// What became of one sync.
enum Became {
    /// The engine has written down its end, or that it is held.
    Ran(Box<SyncReport>),
    /// Its mapping is locked: it waits again.
    Locked,
    /// It could not be released and stays held.
    NotReleased(Problem),
    /// It could not begin.
    NotBegun(ServiceError),
}

/// Runs syncs of one model, which share an extract, or one task of another kind.
pub(crate) async fn run_together(service: Arc<Service>, hand: Arc<Hand>, runs: Vec<RunRow>) {
    let ready = prepare(&service, runs).await;
    let groups = ready.into_iter().map(|group| run_group(&service, &hand, group));
    join_all(groups).await;
    if let Err(error) = service.note_ends().await {
        tracing::warn!(error = told(&error), "what follows from the end of a sync is not known yet");
    }
    service.queued.notify_one();
}

type Ready = (RunRow, Result<Arc<Mapping>, ServiceError>);

/// Wires mappings: together, so that all see the same model; each alone if one of them is wrong.
async fn prepare(service: &Service, runs: Vec<RunRow>) -> Vec<Vec<Ready>> {
    let refs: Vec<ResourceRef> =
        runs.iter().map(|run| ResourceRef::new(ResourceKind::Mapping, &run.sync.mapping)).collect();
    match service.wired(&refs, &[]).await {
        Ok(wired) => {
            let wire = |run: RunRow| {
                let mapping = &run.sync.mapping;
                let wired = match wired.switched_off(mapping) {
                    Some(ResourceRef { kind, name }) if run.task != Task::Baseline => {
                        Err(ServiceError::SwitchedOff { kind, name })
                    }
                    _ => service.wire_mapping(&wired, mapping).map(Arc::new),
                };
                (run, wired)
            };
            vec![runs.into_iter().map(wire).collect()]
        }
        Err(error) if runs.len() == 1 => {
            vec![runs.into_iter().zip([Err(error)]).collect()]
        }
        Err(_) => {
            let mut groups = Vec::new();
            for run in runs {
                groups.append(&mut Box::pin(prepare(service, vec![run])).await);
            }
            groups
        }
    }
}

async fn run_group(service: &Arc<Service>, hand: &Arc<Hand>, group: Vec<Ready>) {
    let mut begun = Vec::new();
    for (run, mapping) in group {
        match mapping {
            Ok(mapping) => begun.push((run, mapping)),
            Err(error) => write_down(service, hand, run, Became::NotBegun(error)).await,
        }
    }
    if !matches!(begun.first(), Some((RunRow { task: Task::Sync, .. }, _))) {
        for (run, mapping) in begun {
            let became = run_alone(service, hand, &run, mapping).await;
            write_down(service, hand, run, became).await;
        }
        return;
    }
    let mut requests = Vec::with_capacity(begun.len());
    for (run, mapping) in &begun {
        consume(service, run).await;
        requests.push(request(hand, run, mapping.clone()));
    }
    let reports = service.engine().sync(&requests, hand.as_ref()).await;
    for ((run, _), report) in begun.into_iter().zip(reports) {
        write_down(service, hand, run, of_report(report)).await;
    }
}

/// Notes which ends this start has seen. If that fails, the mapping starts once more than it had to.
async fn consume(service: &Service, run: &RunRow) {
    if let Err(error) = service.consume(&run.sync.mapping).await {
        tracing::warn!(mapping = run.sync.mapping, error = told(&error), "what a sync has seen is not noted");
    }
}

fn request(hand: &Hand, run: &RunRow, mapping: Arc<Mapping>) -> Request {
    let options = SyncOptions { confirmed: run.confirmed, trigger: run.sync.trigger.clone(), ..SyncOptions::default() };
    Request { mapping, id: Some(run.sync.id), options, cancel: hand.cancel_of(run.sync.id) }
}

async fn run_alone(service: &Service, hand: &Hand, run: &RunRow, mapping: Arc<Mapping>) -> Became {
    let engine = service.engine();
    match &run.task {
        Task::Sync | Task::Replay { .. } => consume(service, run).await,
        Task::Baseline | Task::Release => {}
    }
    let request = request(hand, run, mapping);
    match &run.task {
        Task::Release => match engine.release(&request.mapping, run.sync.id, hand, &request.cancel).await {
            Ok(report) => Became::Ran(Box::new(report)),
            Err(problem) if problem.code == "locked" => Became::Locked,
            Err(problem) => Became::NotReleased(problem),
        },
        Task::Baseline => of_report(engine.baseline(&request, hand).await),
        Task::Replay { sync, failed_only } => match engine.replay(&request, *sync, *failed_only, hand).await {
            Ok(report) => of_report(report),
            Err(problem) if problem.code == "locked" => Became::Locked,
            Err(problem) => Became::NotBegun(problem.into()),
        },
        Task::Sync => match engine.sync(std::slice::from_ref(&request), hand).await.pop() {
            Some(report) => of_report(report),
            None => Became::Locked,
        },
    }
}

fn of_report(report: SyncReport) -> Became {
    match &report.problem {
        // Neither was written down by the engine: the one may begin later, the other is another's by now.
        Some(problem) if report.sync.is_none() && problem.code == "locked" => Became::Locked,
        Some(problem) if report.sync.is_none() && problem.code != "not_queued" => {
            Became::NotBegun(problem.clone().into())
        }
        _ => Became::Ran(Box::new(report)),
    }
}

/// Writes down what became of a sync, and gives it back.
async fn write_down(service: &Arc<Service>, hand: &Arc<Hand>, run: RunRow, became: Became) {
    let (id, stopped) = (run.sync.id, hand.stopped(run.sync.id));
    if stopped != Some(Stop::Lost)
        && let Err(error) = try_write_down(service, hand, &run, became).await
    {
        tracing::warn!(sync = %id, error = told(&error), "what became of a sync cannot be written down; its lease will end");
    }
    hand.put_down(id);
    match service.store().run(id).await {
        Ok(now) => {
            service.tell(&run.sync.mapping, Happening::Sync { sync: id, state: now.sync.state });
            if stopped == Some(Stop::Ending) && now.sync.state == SyncState::Cancelled {
                go_on_elsewhere(service, &run).await;
            }
        }
        Err(error) => tracing::warn!(sync = %id, error = told(&error), "the state of a sync cannot be read"),
    }
}

async fn try_write_down(service: &Service, hand: &Hand, run: &RunRow, became: Became) -> Result<(), store::StoreError> {
    let (store, worker, id) = (service.store(), service.worker(), run.sync.id);
    match became {
        Became::Ran(report) => {
            let mut note = hand.last_note(id);
            if let Some(note) = note.as_mut().filter(|_| !report.phases.is_empty()) {
                note.phases = serde_json::to_value(&report.phases).unwrap_or_default();
                note.requests = report.requests;
            }
            store.give_back(id, worker, Duration::ZERO, note.as_ref()).await
        }
        Became::Locked => store.give_back(id, worker, LOCKED_PAUSE, None).await,
        Became::NotReleased(Problem { code, message, hint }) => {
            store.hold_again(id, worker, &SyncError { code, message, hint }).await
        }
        Became::NotBegun(error) if run.task == Task::Release => {
            store.hold_again(id, worker, &error.to_sync_error()).await
        }
        Became::NotBegun(error) => {
            // One that was switched off or removed in the meantime did not fail: nobody wants it any more.
            let state = match &error {
                ServiceError::SwitchedOff { .. } | ServiceError::Resource(store::ResourceError::Missing { .. }) => {
                    SyncState::Cancelled
                }
                ServiceError::Engine(problem) if problem.code == "cancelled" => SyncState::Cancelled,
                _ => SyncState::Failed,
            };
            if store.run(id).await?.sync.finished_at.is_none() {
                store.finish(id, state, &Counts::default(), Some(&error.to_sync_error())).await?;
            }
            store.give_back(id, worker, Duration::ZERO, None).await
        }
    }
}

/// Queues a sync again that was ended because this process ends: another goes on with it, or this one when it is back.
async fn go_on_elsewhere(service: &Service, run: &RunRow) {
    let queued = async {
        let wired = service.wired(&[ResourceRef::new(ResourceKind::Mapping, &run.sync.mapping)], &[]).await?;
        service.enqueue(&service.successor(run, &wired)).await
    };
    if let Err(error) = queued.await {
        tracing::warn!(sync = %run.sync.id, error = told(&error), "a sync that was ended cannot be queued again");
    }
}
