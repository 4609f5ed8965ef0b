//! Plans that are kept to be looked through.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::testing::{HandClock, on_both_databases, second, worker};

on_both_databases!(a_plan_is_worked_out_listed_and_forgotten, a_plan_whose_worker_is_gone_expires,);

fn id(number: u32) -> PlanId {
    format!("plan_{number:032x}").parse().unwrap()
}

async fn a_plan_is_worked_out_listed_and_forgotten(store: Store, clock: Arc<HandClock>) {
    let by = Actor { id: "user_1".to_owned(), name: "Ada".to_owned() };
    for number in 1..=3 {
        store.begin_plan(id(number), "people", worker(1), Some(&by), second(2_000)).await.unwrap();
    }
    store.begin_plan(id(4), "orders", worker(1), None, second(2_000)).await.unwrap();
    let begun = store.plan(id(1)).await.unwrap().unwrap();
    assert_eq!((begun.state, begun.requested_by, begun.created_at), (PlanState::Running, Some(by), second(1_000)));
    clock.set(1_005);
    store.finish_plan(id(1), &json!({ "counts": { "added": 4 } }), Path::new("/data/p"), second(9_000)).await.unwrap();
    let error = SyncError { code: "source_lost".to_owned(), message: "gone".to_owned(), hint: None };
    store.fail_plan(id(2), &error, second(8_000)).await.unwrap();
    store.fail_plan(id(1), &error, second(8_000)).await.unwrap();
    let ready = store.plan(id(1)).await.unwrap().unwrap();
    assert_eq!((ready.state, ready.finished_at, ready.error), (PlanState::Ready, Some(second(1_005)), None));
    assert_eq!((ready.summary, ready.file), (Some(json!({ "counts": { "added": 4 } })), Some("/data/p".into())));
    assert_eq!(store.plan(id(2)).await.unwrap().unwrap().error, Some(error));
    let list = async |before, limit| {
        let plans = store.plans("people", before, limit).await.unwrap();
        plans.into_iter().map(|plan| plan.id).collect::<Vec<_>>()
    };
    assert_eq!(list(None, 2).await, [id(3), id(2)]);
    assert_eq!(list(Some(id(2)), 2).await, [id(1)]);
    assert!(store.forget_plan(id(1)).await.unwrap());
    assert!(!store.forget_plan(id(1)).await.unwrap());
    assert_eq!(store.plan(id(1)).await.unwrap(), None);
}

async fn a_plan_whose_worker_is_gone_expires(store: Store, _: Arc<HandClock>) {
    store.begin_plan(id(1), "people", worker(1), None, second(1_100)).await.unwrap();
    store.begin_plan(id(2), "people", worker(2), None, second(1_100)).await.unwrap();
    store.renew_plans(worker(1), second(1_200)).await.unwrap();
    let expired = async |at| {
        let plans = store.expired_plans(second(at), 10).await.unwrap();
        plans.into_iter().map(|plan| plan.id).collect::<Vec<_>>()
    };
    assert_eq!(expired(1_099).await, []);
    assert_eq!(expired(1_100).await, [id(2)]);
    assert_eq!(expired(1_200).await, [id(2), id(1)]);
}
