//! Syncs that somebody asks for.

use serde_json::json;
use store::{Cancelled, Cause, Enqueued, ResourceKind, SyncState};
use workers::{Ask, Happening, ServiceError};

use crate::support::{Stage, mapping, quick};

fn new(enqueued: &Enqueued) -> records::SyncId {
    match enqueued {
        Enqueued::New(run) => run.sync.id,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_sync_that_is_asked_for_is_run_told_and_counted() {
    let stage = Stage::new().await;
    stage.map("people", json!("manual")).await;
    (1..=5).for_each(|id| stage.table().set(id, "free"));
    let process = stage.start(quick());
    let mut events = process.service.events();
    let ask = Ask { key: Some("once".to_owned()), ..Ask::default() };
    let id = new(&process.service.start("people", ask.clone()).await.unwrap());
    let run = stage.reaches(id, &[SyncState::Done]).await;
    assert_eq!((run.sync.counts.delivered, run.cause, run.sync.trigger.as_str()), (5, Cause::Request, "request"));
    assert_eq!((run.model.as_str(), run.source.as_str(), run.destination.as_str()), ("people", "shop", "tool"));
    assert_eq!(run.worker, Some(process.service.worker()));
    assert_eq!(stage.tool().keys(), ["1", "2", "3", "4", "5"]);
    let again = process.service.start("people", ask).await.unwrap();
    assert!(matches!(again, Enqueued::Same(run) if run.sync.id == id));
    let mut states = Vec::new();
    loop {
        let event = events.recv().await.unwrap();
        if let Happening::Sync { sync, state } = event.what
            && sync == id
        {
            states.push(state);
            if state == SyncState::Done {
                break;
            }
        }
    }
    assert_eq!(states.first(), Some(&SyncState::Queued));
    assert!(states.contains(&SyncState::Extracting) && states.contains(&SyncState::Loading), "{states:?}");
    process.end().await;
    let run = stage.store.run(id).await.unwrap();
    assert!(run.phases.is_some() && run.progress.is_some());
    assert!(stage.store.unnoted_ends(10).await.unwrap().is_empty());
    let day = jiff::tz::TimeZone::UTC.to_datetime(run.sync.finished_at.unwrap()).date();
    let usage = stage.store.usage(day, day).await.unwrap();
    assert_eq!((usage.len(), usage[0].syncs, usage[0].done, usage[0].delivered), (1, 1, 1, 5));
}

#[tokio::test]
async fn mappings_of_one_model_share_an_extract() {
    let stage = Stage::new().await;
    for name in ["a", "b", "c"] {
        stage.create(ResourceKind::Destination, name, json!({ "type": "scene", "name": name })).await;
        stage.create(ResourceKind::Mapping, name, mapping("people", name, json!("manual"))).await;
    }
    stage.table().set(1, "free");
    let service = stage.service();
    for name in ["a", "b", "c"] {
        service.start(name, Ask::default()).await.unwrap();
    }
    let process = stage.start(quick());
    for name in ["a", "b", "c"] {
        let ended = stage.ended(name, 1).await;
        assert_eq!(ended[0].sync.state, SyncState::Done);
        assert_eq!(stage.connectors.tool(name).keys(), ["1"]);
    }
    assert_eq!(stage.table().extracts.load(std::sync::atomic::Ordering::SeqCst), 1);
    process.end().await;
}

#[tokio::test]
async fn what_is_switched_off_or_wrong_is_not_started() {
    let stage = Stage::new().await;
    stage.map("people", json!("manual")).await;
    stage.table().set(1, "free");
    let service = stage.service();
    let waits = new(&service.start("people", Ask::default()).await.unwrap());
    stage
        .replace(ResourceKind::Destination, "tool", json!({ "type": "scene", "name": "tool", "enabled": false }))
        .await;
    let refused = service.start("people", Ask::default()).await;
    assert!(
        matches!(&refused, Err(ServiceError::SwitchedOff { kind: ResourceKind::Destination, name }) if name == "tool"),
        "{refused:?}"
    );
    let process = stage.start(quick());
    let run = stage.reaches(waits, &[SyncState::Cancelled]).await;
    assert_eq!(run.sync.error.unwrap().code, "switched_off");
    stage.replace(ResourceKind::Destination, "tool", json!({ "type": "scene", "name": "tool" })).await;
    let wrong = json!({ "model": "people", "destination": "tool", "mode": "mirror", "fields": { "no_field": 1 } });
    stage.replace(ResourceKind::Mapping, "people", wrong).await;
    assert!(matches!(service.mapping("people").await, Err(ServiceError::Definitions(_))));
    let id = new(&process.service.start("people", Ask::default()).await.unwrap());
    let run = stage.reaches(id, &[SyncState::Failed]).await;
    let error = run.sync.error.unwrap();
    assert_eq!(error.code, "definition_wrong");
    assert!(error.message.contains("no_field"), "{}", error.message);
    assert!(matches!(service.start("nobody", Ask::default()).await, Err(ServiceError::Resource(_))));
    assert_eq!(stage.tool().calls(), Vec::<Vec<String>>::new());
    process.end().await;
}

#[tokio::test]
async fn a_held_sync_is_released_dismissed_or_confirmed() {
    let stage = Stage::new().await;
    stage.map("people", json!("manual")).await;
    (1..=6).for_each(|id| stage.table().set(id, "free"));
    let process = stage.start(quick());
    let service = &process.service;
    let first = new(&service.start("people", Ask::default()).await.unwrap());
    stage.reaches(first, &[SyncState::Done]).await;
    (1..=4).for_each(|id| stage.table().remove(id));
    assert!(matches!(service.release(first, None).await, Err(ServiceError::NotHeld(_))));
    let held = new(&service.start("people", Ask::default()).await.unwrap());
    let run = stage.reaches(held, &[SyncState::Held]).await;
    assert_eq!(run.sync.held.unwrap().code, "deletions");
    assert_eq!(stage.tool().keys().len(), 6);
    assert_eq!(service.cancel(held).await.unwrap().0, Cancelled::Over, "it is not running");
    assert_eq!(new(&service.release(held, None).await.unwrap()), held);
    let run = stage.reaches(held, &[SyncState::Done]).await;
    assert_eq!(run.sync.counts.delivered, 4);
    assert_eq!(stage.tool().keys(), ["5", "6"]);
    (5..=6).for_each(|id| stage.table().remove(id));
    stage.table().set(9, "pro");
    let held = new(&service.start("people", Ask::default()).await.unwrap());
    stage.reaches(held, &[SyncState::Held]).await;
    service.dismiss(held).await.unwrap();
    stage.reaches(held, &[SyncState::Cancelled]).await;
    let confirmed = Ask { confirmed: true, ..Ask::default() };
    let id = new(&service.start("people", confirmed).await.unwrap());
    stage.reaches(id, &[SyncState::Done]).await;
    assert_eq!(stage.tool().keys(), ["9"]);
    process.end().await;
}

#[tokio::test]
async fn a_baseline_sends_nothing_a_replay_sends_again_a_reset_forgets() {
    let stage = Stage::new().await;
    stage.map("people", json!("manual")).await;
    stage.switch("people", json!("manual"), false).await;
    (1..=3).for_each(|id| stage.table().set(id, "free"));
    let process = stage.start(quick());
    let service = &process.service;
    let baseline = new(&service.baseline("people", Ask::default()).await.unwrap());
    stage.reaches(baseline, &[SyncState::Done]).await;
    assert_eq!(stage.tool().keys(), [""; 0], "though it is switched off");
    stage.switch("people", json!("manual"), true).await;
    stage.table().set(1, "pro");
    let sync = new(&service.start("people", Ask::default()).await.unwrap());
    stage.reaches(sync, &[SyncState::Done]).await;
    assert_eq!(stage.tool().calls(), [["1"]]);
    let replay = new(&service.replay("people", sync, false, Ask::default()).await.unwrap());
    let run = stage.reaches(replay, &[SyncState::Done]).await;
    assert_eq!(run.sync.trigger, format!("replay of {sync}"));
    assert_eq!(stage.tool().calls(), [["1"], ["1"]]);
    assert_eq!(service.reset("people", &["2".to_owned()]).await.unwrap(), 1);
    let sync = new(&service.retry("people", Ask::default()).await.unwrap());
    stage.reaches(sync, &[SyncState::Done]).await;
    assert_eq!(stage.tool().calls().last().unwrap(), &["2"]);
    process.end().await;
}

#[tokio::test]
async fn a_running_sync_is_cancelled_and_what_it_had_not_sent_stays_pending() {
    let stage = Stage::new().await;
    stage.map("people", json!("manual")).await;
    (1..=6).for_each(|id| stage.table().set(id, "free"));
    let process = stage.start(quick());
    stage.tool().gate.close();
    let id = new(&process.service.start("people", Ask::default()).await.unwrap());
    stage.tool().gate.reached().await;
    assert!(matches!(process.service.start("people", Ask::default()).await.unwrap(), Enqueued::Busy(_)));
    assert_eq!(process.service.cancel(id).await.unwrap().0, Cancelled::Asked);
    crate::support::until(async || stage.store.run(id).await.unwrap().cancel_requested.then_some(())).await;
    // What is under way is waited for.
    tokio::time::timeout(std::time::Duration::from_secs(1), std::future::pending::<()>()).await.unwrap_err();
    stage.tool().gate.open();
    let run = stage.reaches(id, &[SyncState::Cancelled]).await;
    assert!(run.sync.counts.delivered < 6, "{:?}", run.sync.counts);
    let next = new(&process.service.start("people", Ask::default()).await.unwrap());
    stage.reaches(next, &[SyncState::Done]).await;
    assert_eq!(stage.tool().keys().len(), 6);
    process.end().await;
}

/// Routes are run on any thread.
#[tokio::test]
async fn the_calls_of_a_service_may_move_between_threads() {
    fn may_move<T: Send>(call: T) -> T {
        call
    }
    let stage = Stage::new().await;
    let service = stage.service();
    let nobody = ResourceKind::Mapping;
    assert!(may_move(service.start("nobody", Ask::default())).await.is_err());
    assert!(may_move(service.reset("nobody", &[])).await.is_err());
    assert!(may_move(service.begin_plan("nobody", 1, None)).await.is_err());
    assert!(may_move(service.wired(&[store::ResourceRef::new(nobody, "nobody")], &[])).await.is_err());
    assert!(!may_move(service.hook_fired("nobody", None)).await.unwrap());
    let unknown = records::SyncId::from_uuid(uuid::Uuid::nil());
    assert!(may_move(service.release(unknown, None)).await.is_err());
    assert!(may_move(service.dismiss(unknown)).await.is_err());
    assert!(may_move(service.cancel(unknown)).await.is_err());
}
