//! Changes a person pages through.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use records::{Operation, Value};
use sync::{ChangePage, Ending, Engine, Mapping, PageOptions, PlanOptions, ShownChange, TriedPayload, Unobserved};
use tokio_util::sync::CancellationToken;

use crate::support::{request, stage, sync};

async fn save(engine: &Engine, mappings: &[Arc<Mapping>], path: &Path) {
    let save = PlanOptions { save: Some(path.to_owned()), ..PlanOptions::default() };
    for plan in engine.plan(mappings, &save, &Unobserved, &CancellationToken::new()).await {
        plan.expect("a plan");
    }
}

/// All pages of a plan, one after another.
async fn all(engine: &Engine, plan: &Path, mapping: &Arc<Mapping>, options: PageOptions) -> Vec<ShownChange> {
    let (mut changes, mut from) = (Vec::new(), Some(0));
    while let Some(next) = from {
        let options = PageOptions { from: next, ..options.clone() };
        let page: ChangePage = engine.plan_page(plan.to_owned(), mapping, &options).await.expect("a page");
        assert!(page.changes.len() <= options.limit && page.next.is_none_or(|after| after > next));
        changes.extend(page.changes);
        from = page.next;
    }
    changes
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_paged_through_by_operation_and_key() {
    let stage = stage(12).await;
    let engine = stage.engine("one");
    let people = Arc::new(stage.mapping("people"));
    sync(&engine, request(stage.mapping("people"))).await;
    for id in [3, 4, 11] {
        stage.table.set(id, "pro");
    }
    stage.table.remove(12);
    stage.table.set(20, "free");
    stage.table.set(21, "free");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan");
    let narrow = Arc::new(stage.mapping_of("addresses", &["email"]));
    save(&engine, &[narrow.clone(), people.clone()], &file).await;

    let whole = all(&engine, &file, &people, PageOptions { limit: 2, ..PageOptions::default() }).await;
    let keys: BTreeSet<&str> = whole.iter().map(|change| change.key.as_str()).collect();
    assert_eq!((whole.len(), keys), (6, BTreeSet::from(["11", "12", "20", "21", "3", "4"])));
    let updated = PageOptions { operation: Some(Operation::Updated), limit: 1, ..PageOptions::default() };
    let updated = all(&engine, &file, &people, updated).await;
    assert_eq!(updated.len(), 3);
    for change in &updated {
        let [field] = &change.fields[..] else { panic!("one field differs: {change:?}") };
        assert_eq!((field.before.as_str(), field.after.as_str()), (Some("free"), Some("pro")));
        let TriedPayload::Mapped { fields } = &change.payload else { panic!("{change:?}") };
        assert_eq!(fields.get("plan"), Some(&Value::from("pro")));
    }
    let twenties = PageOptions { key: Some("2".to_owned()), limit: 9, ..PageOptions::default() };
    let mut twenties: Vec<(Operation, String)> =
        all(&engine, &file, &people, twenties).await.into_iter().map(|change| (change.operation, change.key)).collect();
    twenties.sort();
    let expected = [(Operation::Added, "20"), (Operation::Added, "21"), (Operation::Deleted, "12")];
    assert_eq!(twenties, expected.map(|(operation, key)| (operation, key.to_owned())));

    let refused = all(&engine, &file, &narrow, PageOptions { limit: 5, ..PageOptions::default() }).await;
    assert_eq!(refused.len(), 13, "the other mapping has delivered nothing yet");
    for change in &refused {
        let TriedPayload::Refused { code, problems } = &change.payload else { panic!("{change:?}") };
        assert_eq!((code.as_str(), problems[0].field.as_str()), ("invalid", "id"));
    }
    let other = engine.plan_page(file, &Arc::new(stage.mapping("other")), &PageOptions::default()).await.unwrap_err();
    assert_eq!(other.code, "plan_file");
    assert_eq!(stage.tool.calls().iter().flatten().count(), 12, "only the sync has sent something");
}

#[tokio::test(start_paused = true)]
async fn a_search_that_finds_little_in_much_goes_on_from_page_to_page() {
    let stage = stage(150_000).await;
    let engine = stage.engine("one");
    let people = Arc::new(stage.mapping("people"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan");
    save(&engine, std::slice::from_ref(&people), &file).await;
    let options = PageOptions { key: Some("149999".to_owned()), limit: 5, ..PageOptions::default() };
    let page = engine.plan_page(file.clone(), &people, &options).await.unwrap();
    assert_eq!((page.next, page.total), (Some(100_000), 150_000));
    assert_eq!(all(&engine, &file, &people, options).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_changes_of_a_held_sync_can_be_looked_at() {
    let stage = stage(5).await;
    let engine = stage.engine("one");
    let people = Arc::new(stage.mapping("people"));
    sync(&engine, request(stage.mapping("people"))).await;
    for id in 1..=4 {
        stage.table.remove(id);
    }
    let report = sync(&engine, request(stage.mapping("people"))).await;
    assert_eq!(report.ending, Ending::Held);
    let options = PageOptions { limit: 10, ..PageOptions::default() };
    let page = engine.change_page(report.sync.unwrap(), &people, &options).await.unwrap();
    assert!(page.changes.iter().all(|change| change.operation == Operation::Deleted));
    assert_eq!((page.changes.len(), page.next), (4, None));
    let unknown = records::SyncId::from_uuid(uuid::Uuid::from_u128(9));
    assert_eq!(engine.change_page(unknown, &people, &options).await.unwrap_err().code, "change_set_gone");
}
