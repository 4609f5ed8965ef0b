//! Syncs that start by themselves.

use std::{collections::BTreeSet, time::Duration};

use jiff::SignedDuration;
use serde_json::json;
use store::{Cause, ResourceKind, RunFilter, SyncState};
use workers::{Ask, Scheduler};

use crate::support::{Stage, last, mapping, quick, until};

#[tokio::test]
async fn an_interval_starts_at_once_when_it_is_switched_on_and_then_at_its_distance() {
    let stage = Stage::new().await;
    stage.map("people", json!({ "every": "1h" })).await;
    let process = stage.start(quick());
    let first = stage.ended("people", 1).await;
    assert_eq!((first[0].sync.state, first[0].cause), (SyncState::Done, Cause::Schedule));
    let due = stage.store.due("people").await.unwrap().unwrap();
    let hour = SignedDuration::from_hours(1);
    assert_eq!(due.next_due_at.unwrap().duration_since(due.last_due_at.unwrap()), hour);
    // The server was away for five hours: what was missed is made up for by one sync.
    stage.clock.set_ahead(5 * 3600 + 1_000);
    process.service.definitions_changed();
    let second = stage.ended("people", 2).await;
    assert_eq!(last(&second).due_at, due.next_due_at);
    let due = stage.store.due("people").await.unwrap().unwrap();
    assert!(due.next_due_at.unwrap().duration_since(first[0].due_at.unwrap()) == hour * 6, "it keeps its beat");
    stage.switch("people", json!({ "every": "1h" }), false).await;
    process.service.definitions_changed();
    until(async || stage.store.due("people").await.unwrap().filter(|due| due.next_due_at.is_none())).await;
    stage.switch("people", json!({ "every": "1h" }), true).await;
    process.service.definitions_changed();
    stage.ended("people", 3).await;
    process.end().await;
    assert_eq!(stage.runs("people").await.len(), 3);
}

#[tokio::test]
async fn what_is_switched_off_is_never_due() {
    let stage = Stage::new().await;
    stage.map("people", json!({ "every": "1s" })).await;
    stage
        .create(ResourceKind::Mapping, "off", {
            let mut off = mapping("people", "tool", json!({ "every": "1s" }));
            off["enabled"] = false.into();
            off
        })
        .await;
    let model = json!({ "source": "shop", "key": "id", "query": "select * from people", "enabled": false });
    stage.replace(ResourceKind::Model, "people", model).await;
    let mut scheduler = Scheduler::new(stage.service());
    assert_eq!(scheduler.step().await.unwrap(), None);
    stage.clock.set_ahead(60);
    assert_eq!(scheduler.step().await.unwrap(), None);
    assert!(stage.runs("people").await.is_empty() && stage.runs("off").await.is_empty());
}

#[tokio::test]
async fn a_schedule_may_come_from_the_environment() {
    let stage = Stage::new().await;
    stage.map("people", json!({ "every": "${env:EVERY}" })).await;
    stage.map("wrong", json!({ "every": "${env:SECRET_OF_THE_SERVER}" })).await;
    let mut scheduler = Scheduler::new(stage.service());
    scheduler.step().await.unwrap();
    assert_eq!(stage.states("people").await, [SyncState::Queued]);
    assert!(stage.states("wrong").await.is_empty(), "it may not be read");
}

#[tokio::test]
async fn a_mapping_never_overlaps_itself_and_is_run_once_more_afterwards() {
    let stage = Stage::new().await;
    stage.map("people", json!({ "every": "1m" })).await;
    stage.table().set(1, "free");
    stage.tool().gate.close();
    let process = stage.start(quick());
    stage.tool().gate.reached().await;
    for minute in 1..=5 {
        stage.clock.set_ahead(minute * 60);
        process.service.definitions_changed();
        until(async || stage.store.due("people").await.unwrap().filter(|due| due.waits)).await;
    }
    assert_eq!(stage.runs("people").await.len(), 1);
    stage.tool().gate.open();
    let ended = stage.ended("people", 2).await;
    assert!(ended[1].sync.started_at >= ended[0].sync.finished_at.unwrap());
    process.end().await;
    assert_eq!(stage.runs("people").await.len(), 2, "once, not five times");
}

#[tokio::test]
async fn a_clock_that_jumps_starts_nothing_twice_and_stops_nothing() {
    let stage = Stage::new().await;
    stage.map("quarters", json!({ "cron": "*/15 * * * *" })).await;
    stage.map("hours", json!({ "every": "1h" })).await;
    let mut scheduler = Scheduler::new(stage.service());
    let count = async |stage: &Stage| {
        // Nobody runs them: each that was queued makes room for the next.
        for name in ["quarters", "hours"] {
            for run in stage.runs(name).await {
                stage.store.cancel(run.sync.id).await.unwrap();
            }
        }
        (stage.runs("quarters").await.len(), stage.runs("hours").await.len())
    };
    scheduler.step().await.unwrap();
    assert_eq!(count(&stage).await, (0, 1));
    // 08:15:10.
    stage.clock.set_ahead(900);
    scheduler.step().await.unwrap();
    assert_eq!(count(&stage).await, (1, 1));
    // The clock is put right by 20 seconds: 08:14:50, and goes on to 08:15:10 again.
    for ahead in [880, 890, 900] {
        stage.clock.set_ahead(ahead);
        scheduler.step().await.unwrap();
    }
    assert_eq!(count(&stage).await, (1, 1), "08:15 is over");
    // It jumps ahead by a month: all is due, once.
    stage.clock.set_ahead(900 + 30 * 86_400);
    scheduler.step().await.unwrap();
    assert_eq!(count(&stage).await, (2, 2));
    // And back: what comes then is at the right time again.
    stage.clock.set_ahead(900);
    let next = scheduler.step().await.unwrap().unwrap();
    let now = "2026-03-02T08:15:10Z".parse::<jiff::Timestamp>().unwrap();
    assert!(next.duration_since(now) <= SignedDuration::from_mins(60), "{next}");
    assert_eq!(count(&stage).await, (2, 2));
    stage.clock.set_ahead(900 + 2 * 3600);
    scheduler.step().await.unwrap();
    assert_eq!(count(&stage).await, (3, 3));
}

#[tokio::test]
async fn one_that_waits_for_others_starts_when_all_have_succeeded_and_once() {
    let stage = Stage::new().await;
    for name in ["a", "b"] {
        stage.map(name, json!("manual")).await;
    }
    stage.map("after", json!({ "after": ["a", "b"] })).await;
    stage.map("whatever", json!({ "after": ["a"], "when": "all_finished" })).await;
    let process = stage.start(quick());
    until(async || stage.store.due("after").await.unwrap()).await;
    until(async || stage.store.due("whatever").await.unwrap()).await;
    let start = async |name: &str| {
        let run = process.service.start(name, Ask::default()).await.unwrap().run().sync.id;
        stage.reaches(run, &[SyncState::Done, SyncState::Failed]).await.sync.state
    };
    stage.table().lost.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(start("a").await, SyncState::Failed);
    stage.ended("whatever", 1).await;
    stage.table().lost.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(start("b").await, SyncState::Done);
    assert_eq!(start("a").await, SyncState::Done);
    let ended = stage.ended("after", 1).await;
    assert_eq!((ended[0].sync.state, ended[0].cause), (SyncState::Done, Cause::After));
    stage.ended("whatever", 2).await;
    assert_eq!(start("a").await, SyncState::Done);
    stage.ended("whatever", 3).await;
    assert_eq!(stage.runs("after").await.len(), 1, "`b` has not ended again");
    assert_eq!(start("b").await, SyncState::Done);
    stage.ended("after", 2).await;
    process.end().await;
}

#[tokio::test]
async fn a_hook_starts_what_waits_for_one_once_for_each_event() {
    let stage = Stage::new().await;
    stage.map("hooked", json!({ "hook": { "secret": "a-secret-of-some-length" } })).await;
    stage.map("manual", json!("manual")).await;
    let process = stage.start(quick());
    let service = &process.service;
    until(async || stage.store.due("hooked").await.unwrap()).await;
    assert!(service.hook_fired("hooked", Some("event 1")).await.unwrap());
    assert!(!service.hook_fired("hooked", Some("event 1")).await.unwrap());
    assert!(!service.hook_fired("manual", None).await.unwrap());
    assert!(!service.hook_fired("nobody", None).await.unwrap());
    let ended = stage.ended("hooked", 1).await;
    assert_eq!(ended[0].cause, Cause::Hook);
    assert!(service.hook_fired("hooked", None).await.unwrap());
    stage.ended("hooked", 2).await;
    process.end().await;
    assert_eq!(stage.runs("hooked").await.len(), 2);
}

#[tokio::test]
async fn several_schedulers_start_each_of_many_once_and_in_order() {
    let stage = Stage::new().await;
    for number in 0..300 {
        let minute = number % 3;
        stage.map(&format!("m{number:03}"), json!({ "cron": format!("{minute} 9 * * *") })).await;
    }
    let mut schedulers: Vec<Scheduler> = (0..3).map(|_| Scheduler::new(stage.service())).collect();
    for scheduler in &mut schedulers {
        scheduler.step().await.unwrap();
    }
    stage.clock.set_ahead(2 * 3600);
    let (first, rest) = schedulers.split_first_mut().unwrap();
    let (second, third) = rest.split_first_mut().unwrap();
    let steps = tokio::join!(first.step(), second.step(), third[0].step());
    assert!([steps.0, steps.1, steps.2].into_iter().all(|step| step.is_ok()));
    let runs = stage.store.runs(&RunFilter::default(), None, 1_000).await.unwrap();
    assert_eq!(runs.len(), 300);
    let names: BTreeSet<&str> = runs.iter().map(|run| run.sync.mapping.as_str()).collect();
    assert_eq!(names.len(), 300);
    let mut taken = Vec::new();
    loop {
        let next = stage.store.take_next(stage.service().worker(), Duration::from_secs(9), 7).await.unwrap();
        if next.is_empty() {
            break;
        }
        for run in next {
            taken.push(run.due_at.unwrap());
            stage.store.finish(run.sync.id, SyncState::Done, &Default::default(), None).await.unwrap();
        }
    }
    assert!(taken.is_sorted() && taken.len() == 300);
}
