//! Processes that are cut off, and those that take over.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use records::Clock;
use serde_json::json;
use simulation::Dice;
use store::{Cause, ResourceKind, Store, SyncState};
use workers::{Ask, WorkerSettings};

use crate::support::{Process, Stage, clock, mapping, quick, until};

#[tokio::test]
async fn the_next_process_goes_on_where_the_last_was_cut_off() {
    let stage = Stage::new().await;
    stage.map("people", json!("manual")).await;
    (1..=10).for_each(|id| stage.table().set(id, "free"));
    stage.tool().gate.close();
    let process = stage.start(quick());
    let id = process.service.start("people", Ask::default()).await.unwrap().run().sync.id;
    stage.tool().gate.reached().await;
    drop(process);
    stage.tool().gate.open();
    let next = stage.start(quick());
    let ended = stage.ended("people", 2).await;
    assert_eq!((ended[0].sync.id, ended[0].sync.state), (id, SyncState::Interrupted));
    assert_eq!((ended[1].sync.state, ended[1].cause, ended[1].takeovers), (SyncState::Done, Cause::Takeover, 1));
    assert_eq!(ended[0].successor, Some(ended[1].sync.id));
    assert_eq!(stage.tool().keys().len(), 10);
    next.end().await;
}

#[tokio::test]
async fn what_was_switched_off_meanwhile_is_brought_to_its_end_and_no_more() {
    let stage = Stage::new().await;
    stage.map("people", json!("manual")).await;
    (1..=10).for_each(|id| stage.table().set(id, "free"));
    stage.tool().gate.close();
    let process = stage.start(quick());
    let id = process.service.start("people", Ask::default()).await.unwrap().run().sync.id;
    stage.tool().gate.reached().await;
    drop(process);
    stage.tool().gate.open();
    stage.switch("people", json!("manual"), false).await;
    let next = stage.start(quick());
    stage.reaches(id, &[SyncState::Interrupted]).await;
    next.end().await;
    assert_eq!(stage.runs("people").await.len(), 1);
}

/// Several processes on one PostgreSQL, and a plan of the dice that kills one and starts another again and again. At the
/// end the tools hold what the tables show, and no two syncs of a mapping ran at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_that_are_killed_at_random_lose_nothing_and_run_nothing_twice() {
    let server = postgres_server::PostgresServer::start(&Default::default());
    let clock = clock();
    let open = async || Store::open_postgres(&server.url(), Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap();
    let stage = Stage::with_store(open().await, Arc::clone(&clock)).await;
    let seed = 20_260_302;
    let dice = Dice::new(seed);
    const MAPPINGS: u64 = 6;
    for number in 0..MAPPINGS {
        let name = format!("m{number}");
        stage.create(ResourceKind::Destination, &name, json!({ "type": "scene", "name": name })).await;
        let schedule = if number % 2 == 0 { json!({ "every": "1s" }) } else { json!("manual") };
        stage.create(ResourceKind::Mapping, &name, mapping("people", &name, schedule)).await;
    }
    let settings = || WorkerSettings { groups_max: 4, share_max: 3, ..quick() };
    let mut processes: Vec<Process> = Vec::new();
    for _ in 0..3 {
        processes.push(stage.start_with(open().await, settings()));
    }
    for round in 0..14 {
        for _ in 0..dice.range(1, 20) {
            stage.table().set(i64::try_from(dice.below(60)).unwrap(), &format!("plan {round} {}", dice.below(3)));
        }
        let asked = format!("m{}", dice.below(MAPPINGS));
        let place = usize::try_from(dice.below(3)).unwrap();
        processes[place].service.start(&asked, Ask { confirmed: true, ..Ask::default() }).await.unwrap();
        tokio::time::sleep(Duration::from_millis(dice.range(50, 600))).await;
        if dice.chance(70) {
            drop(processes.remove(usize::try_from(dice.below(3)).unwrap()));
            processes.push(stage.start_with(open().await, settings()));
        }
    }
    // What was left behind is taken over, and then all is level.
    for number in 0..MAPPINGS {
        let name = format!("m{number}");
        until(async || {
            let confirmed = Ask { confirmed: true, ..Ask::default() };
            let asked = processes[0].service.start(&name, confirmed).await.unwrap();
            matches!(asked, store::Enqueued::New(_)).then_some(())
        })
        .await;
        until(async || {
            let open = stage.runs(&name).await.iter().filter(|run| run.sync.finished_at.is_none()).count();
            let tool = stage.connectors.tool(&name);
            (open == 0 || number % 2 == 0).then_some(()).filter(|()| tool.records() == stage.table().payloads())
        })
        .await;
    }
    for process in processes {
        process.end().await;
    }
    let mut spans: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for number in 0..MAPPINGS {
        let name = format!("m{number}");
        for run in stage.runs(&name).await {
            let sync = run.sync;
            assert!(sync.state != SyncState::Failed, "seed {seed}: {:?}", sync.error);
            // One that was cut off ends when the next one finds it.
            if sync.state == SyncState::Done {
                spans.entry(name.clone()).or_default().push((sync.started_at, sync.finished_at.unwrap()));
            }
        }
    }
    for (name, mut spans) in spans {
        spans.sort();
        assert!(
            spans.windows(2).all(|pair| pair[0].1 <= pair[1].0),
            "seed {seed}: `{name}` overlaps itself: {spans:?}"
        );
    }
}
