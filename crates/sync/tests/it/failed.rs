//! Failed records with what was sent for them, and mappings that are forgotten.

use records::Value;
use sync::{Ending, FailedOptions, Unobserved};

use crate::support::{request, stage, sync};

#[tokio::test(start_paused = true)]
async fn failed_records_are_paged_with_what_was_sent_for_them() {
    let stage = stage(9).await;
    let engine = stage.engine("one");
    for key in ["2", "4", "6", "8"] {
        stage.tool.refuse(key, true);
    }
    stage.tool.be_busy_for("1", true);
    let report = sync(&engine, request(stage.mapping("people"))).await;
    assert_eq!((report.counts.rejected, report.counts.retry), (4, 1));
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let options = FailedOptions { code: Some("refused".to_owned()), after, limit: 3 };
        let page = engine.failed_records(report.sync.unwrap(), &options).await.unwrap();
        assert!(page.records.len() <= 3 && page.unreadable.is_empty());
        found.extend(page.records);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut keys: Vec<&str> = found.iter().map(|one| one.record.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["2", "4", "6", "8"]);
    for one in &found {
        let payload = Value::parse(one.payload.as_ref().unwrap()).unwrap();
        assert_eq!(payload.get("id").map(Value::to_json), Some(one.record.key.clone()));
        assert_eq!(one.attempts, Some(1));
        assert!(one.request.is_none(), "this tool is not spoken to over HTTP");
    }
    let all = FailedOptions { limit: 100, ..FailedOptions::default() };
    let busy = engine.failed_records(report.sync.unwrap(), &all).await.unwrap().records;
    let busy = busy.iter().find(|one| one.record.code == "busy").unwrap();
    assert_eq!(busy.attempts, Some(2), "it was sent again");
    let unknown = records::SyncId::from_uuid(uuid::Uuid::from_u128(9));
    assert_eq!(engine.failed_records(unknown, &all).await.unwrap_err().code, "store");
}

#[tokio::test(start_paused = true)]
async fn a_mapping_that_is_forgotten_leaves_nothing_behind_and_begins_anew() {
    let stage = stage(5).await;
    let engine = stage.engine("one");
    stage.tool.refuse("2", true);
    for name in ["people", "others"] {
        let mut mapping = stage.mapping(name);
        mapping.give_up = Some(sync::GiveUp { after_syncs: Some(1), after_days: None });
        sync(&engine, request(mapping)).await;
    }
    engine.forget("people").await.unwrap();
    engine.forget("people").await.unwrap();
    assert!(stage.store.syncs(Some("people"), 10).await.unwrap().is_empty());
    assert!(stage.store.checkpoint("people").await.unwrap().is_none());
    assert!(engine.given_up("people", None, 10).await.unwrap().is_empty());
    assert!(engine.history().trace("people", "2", 10).unwrap().entries.is_empty());
    assert!(!engine.checkpoint_folder("people").exists());
    assert_eq!(engine.given_up("others", None, 10).await.unwrap().len(), 1, "another mapping's");
    assert!(!engine.history().trace("others", "2", 10).unwrap().entries.is_empty());
    let report = sync(&engine, request(stage.mapping("people"))).await;
    assert_eq!(report.counts.added, 5);
}

#[tokio::test(start_paused = true)]
async fn a_mapping_that_runs_is_not_forgotten() {
    let stage = stage(5).await;
    let engine = stage.engine("one");
    stage.tool.gate.close();
    let running = [request(stage.mapping("people"))];
    let (reports, ()) = tokio::join!(engine.sync(&running, &Unobserved), async {
        stage.tool.gate.reached().await;
        assert_eq!(engine.forget("people").await.unwrap_err().code, "locked");
        stage.tool.gate.open();
    });
    assert_eq!(reports[0].ending, Ending::Done);
}
