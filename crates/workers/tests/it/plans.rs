//! Plans that are worked out to be looked through.

use std::time::Duration;

use serde_json::json;
use store::PlanState;
use sync::PageOptions;
use workers::ServiceError;

use crate::support::{Stage, until};

#[tokio::test]
async fn a_plan_is_worked_out_paged_through_and_dropped() {
    let stage = Stage::new().await;
    stage.map("people", json!("manual")).await;
    (1..=5).for_each(|id| stage.table().set(id, "free"));
    let service = stage.service();
    let begun = service.begin_plan("people", 2, None).await.unwrap();
    assert_eq!(begun.state, PlanState::Running);
    let ready = async |id| {
        until(async || Some(service.plan(id).await.unwrap()).filter(|plan| plan.state != PlanState::Running)).await
    };
    let plan = ready(begun.id).await;
    assert_eq!(plan.state, PlanState::Ready);
    assert_eq!(plan.summary.unwrap()["counts"]["added"], 5);
    let page = service.plan_page(begun.id, &PageOptions { limit: 3, ..PageOptions::default() }).await.unwrap();
    assert_eq!((page.changes.len(), page.total), (3, 5));
    let rest = PageOptions { limit: 3, from: page.next.unwrap(), ..PageOptions::default() };
    assert_eq!(service.plan_page(begun.id, &rest).await.unwrap().changes.len(), 2);
    assert!(stage.tool().calls().is_empty());
    let file = plan.file.unwrap();
    assert!(file.exists());
    service.drop_plan(begun.id).await.unwrap();
    assert!(!file.exists());
    assert!(matches!(service.plan(begun.id).await, Err(ServiceError::UnknownPlan(_))));

    stage.table().gate.close();
    let stuck = service.begin_plan("people", 2, None).await.unwrap();
    stage.table().gate.reached().await;
    assert!(matches!(service.plan_page(stuck.id, &PageOptions::default()).await, Err(ServiceError::PlanNotReady(_))));
    service.drop_plan(stuck.id).await.unwrap();
    stage.table().gate.open();
    stage.table().lost.store(true, std::sync::atomic::Ordering::SeqCst);
    let failed = service.begin_plan("people", 2, None).await.unwrap();
    let failed = ready(failed.id).await;
    assert_eq!((failed.state, failed.error.unwrap().code.as_str()), (PlanState::Failed, "source_lost"));
    tokio::time::timeout(Duration::from_millis(1), std::future::pending::<()>()).await.unwrap_err();
}
