//! Syncs that stand in the store before they begin.

use store::SyncState;
use sync::{Ending, Phase, Unobserved};

use crate::support::{Told, request, stage};

#[tokio::test(start_paused = true)]
async fn a_queued_sync_keeps_its_id_and_an_observer_hears_it_with_every_word() {
    let stage = stage(5).await;
    let engine = stage.engine("one");
    let id = stage.queue(1, "people").await;
    let told = Told::default();
    let queued = sync::Request { id: Some(id), ..request(stage.mapping("people")) };
    let report = engine.sync(&[queued], &told).await.pop().unwrap();
    assert_eq!((report.ending, report.sync), (Ending::Done, Some(id)));
    assert_eq!(told.ids("people"), [Some(id)]);
    assert_eq!(
        told.of("people"),
        [
            "started",
            "extracting",
            "records read",
            "comparing",
            "compared",
            "loading",
            "records sent",
            "committing",
            "finished"
        ]
    );
    let phases: Vec<Phase> = report.phases.iter().map(|time| time.phase).collect();
    assert_eq!(phases, [Phase::Extracting, Phase::Comparing, Phase::Loading, Phase::Committing]);
    for pair in report.phases.windows(2) {
        assert_eq!(pair[0].ended_at, Some(pair[1].began_at), "one phase ends where the next begins");
    }
    assert_eq!(report.requests, 3, "five records, two a request");
    let row = stage.store.sync(&id.to_string()).await.unwrap();
    assert_eq!((row.state, row.trigger.as_str()), (SyncState::Done, "schedule"));
}

#[tokio::test(start_paused = true)]
async fn a_queued_sync_waits_on_while_its_mapping_is_run() {
    let stage = stage(5).await;
    let engine = stage.engine("one");
    let id = stage.queue(1, "people").await;
    stage.tool.gate.close();
    let running = [request(stage.mapping("people"))];
    let (first, ()) = tokio::join!(engine.sync(&running, &Unobserved), async {
        stage.tool.gate.reached().await;
        let queued = sync::Request { id: Some(id), ..request(stage.mapping("people")) };
        let report = engine.sync(&[queued], &Unobserved).await.pop().unwrap();
        assert_eq!((report.problem.unwrap().code.as_str(), report.sync), ("locked", None));
        assert_eq!(stage.state(id).await, SyncState::Queued);
        stage.tool.gate.open();
    });
    assert_eq!(first[0].ending, Ending::Done);
    let queued = sync::Request { id: Some(id), ..request(stage.mapping("people")) };
    assert_eq!(engine.sync(&[queued], &Unobserved).await[0].ending, Ending::Done);
}

#[tokio::test(start_paused = true)]
async fn a_queued_sync_that_was_cancelled_or_ended_never_begins() {
    let stage = stage(5).await;
    let engine = stage.engine("one");
    let id = stage.queue(1, "people").await;
    let queued = sync::Request { id: Some(id), ..request(stage.mapping("people")) };
    queued.cancel.cancel();
    let report = engine.sync(&[queued], &Unobserved).await.pop().unwrap();
    assert_eq!((report.ending, report.sync), (Ending::Cancelled, Some(id)));
    assert_eq!(stage.state(id).await, SyncState::Cancelled);
    let again = sync::Request { id: Some(id), ..request(stage.mapping("people")) };
    let report = engine.sync(&[again], &Unobserved).await.pop().unwrap();
    assert_eq!((report.problem.unwrap().code.as_str(), report.sync), ("not_queued", None));
    assert_eq!(stage.state(id).await, SyncState::Cancelled);
    assert!(stage.tool.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn baseline_and_replay_take_the_id_of_the_queue_too() {
    let stage = stage(3).await;
    let engine = stage.engine("one");
    let queued = |id| sync::Request { id: Some(id), ..request(stage.mapping("people")) };
    let adopts = stage.queue(1, "people").await;
    let report = engine.baseline(&queued(adopts), &Unobserved).await;
    assert_eq!((report.ending, report.sync, stage.tool.calls().len()), (Ending::Done, Some(adopts), 0));
    stage.table.set(2, "pro");
    let sends = stage.queue(2, "people").await;
    let report = engine.sync(&[queued(sends)], &Unobserved).await.pop().unwrap();
    assert_eq!((report.sync, report.counts.updated), (Some(sends), 1));
    let again = stage.queue(3, "people").await;
    let report = engine.replay(&queued(again), sends, false, &Unobserved).await.unwrap();
    assert_eq!((report.sync, report.counts.delivered), (Some(again), 1));
    for id in [adopts, sends, again] {
        assert_eq!(stage.state(id).await, SyncState::Done);
    }
}

#[tokio::test(start_paused = true)]
async fn a_queued_replay_of_a_sync_that_is_not_known_has_failed() {
    let stage = stage(3).await;
    let engine = stage.engine("one");
    let (id, unknown) = (stage.queue(1, "people").await, records::SyncId::from_uuid(uuid::Uuid::from_u128(9)));
    let queued = sync::Request { id: Some(id), ..request(stage.mapping("people")) };
    engine.replay(&queued, unknown, false, &Unobserved).await.unwrap_err();
    assert_eq!(stage.state(id).await, SyncState::Failed);
}
