//! A process that is told to end.

use serde_json::json;
use store::{Cause, SyncState};
use workers::Ask;

use crate::support::{Stage, quick};

#[tokio::test]
async fn what_ends_within_the_grace_ends_as_ever() {
    let stage = Stage::new().await;
    stage.map("people", json!("manual")).await;
    (1..=3).for_each(|id| stage.table().set(id, "free"));
    let process = stage.start(workers::WorkerSettings { grace: std::time::Duration::from_secs(60), ..quick() });
    stage.tool().gate.close();
    let id = process.service.start("people", Ask::default()).await.unwrap().run().sync.id;
    stage.tool().gate.reached().await;
    let service = process.service.clone();
    let end = tokio::spawn(process.end());
    // It takes nothing more.
    stage.map("other", json!("manual")).await;
    tokio::task::yield_now().await;
    let other = service.start("other", Ask::default()).await.unwrap().run().sync.id;
    stage.tool().gate.open();
    end.await.unwrap();
    assert_eq!(stage.store.run(id).await.unwrap().sync.state, SyncState::Done);
    assert_eq!(stage.store.run(other).await.unwrap().sync.state, SyncState::Queued);
}

#[tokio::test]
async fn what_does_not_end_in_time_goes_on_in_the_next_process() {
    let stage = Stage::new().await;
    stage.map("people", json!("manual")).await;
    (1..=40).for_each(|id| stage.table().set(id, "free"));
    stage.table().gate.close();
    let process = stage.start(quick());
    let id = process.service.start("people", Ask::default()).await.unwrap().run().sync.id;
    stage.table().gate.reached().await;
    process.end().await;
    assert_eq!(stage.store.run(id).await.unwrap().sync.state, SyncState::Cancelled);
    let runs = stage.runs("people").await;
    assert_eq!((runs.len(), runs[0].sync.state, runs[0].cause), (2, SyncState::Queued, Cause::Takeover));
    assert_eq!(runs[0].sync.trigger, format!("takeover of {id}"));
    stage.table().gate.open();
    let next = stage.start(quick());
    stage.reaches(runs[0].sync.id, &[SyncState::Done]).await;
    next.end().await;
    assert_eq!(stage.tool().keys().len(), 40);
}
