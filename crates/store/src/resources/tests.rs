//! Definitions: their edits, versions, references, owners and lists, on both databases.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::{
    AuditFilter, Author,
    testing::{HandClock, author, on_both_databases},
};

on_both_databases!(
    every_edit_makes_a_version_and_says_who_made_it,
    an_edit_of_another_version_is_refused,
    what_is_used_cannot_be_removed,
    what_is_not_there_cannot_be_named,
    several_edits_happen_together_or_not_at_all,
    what_files_own_is_changed_through_files_alone,
    an_earlier_version_is_taken_up_again,
    lists_are_filtered_and_go_on_behind_their_last,
    a_name_is_an_identity,
    changes_are_found_by_revision,
    two_who_edit_at_once_leave_no_dangling_name,
);

const HEX: &str = "0123456789abcdef0123456789abcdef";

fn model(source: &str) -> Value {
    json!({ "source": source, "key": "id", "query": "SELECT 1 AS id" })
}

fn mapping(model: &str, destination: &str) -> Value {
    json!({ "model": model, "destination": destination, "action": "send", "fields": {} })
}

fn create(kind: ResourceKind, name: &str, document: Value) -> Edit {
    Edit::new(kind, name, Change::Create(document))
}

fn replace(kind: ResourceKind, name: &str, document: Value) -> Edit {
    Edit::new(kind, name, Change::Replace(document))
}

fn remove(kind: ResourceKind, name: &str) -> Edit {
    Edit::new(kind, name, Change::Remove)
}

use ResourceKind::{Destination, Mapping, Model, Source};

async fn edit(store: &Store, edit: Edit) -> Result<Edited, ResourceError> {
    edit_by(store, edit, &author("user_1")).await
}

async fn edit_by(store: &Store, edit: Edit, author: &Author) -> Result<Edited, ResourceError> {
    Ok(store.edit_resources(&[edit], Through::Api, author).await?.remove(0))
}

/// A source, a model, a destination and a mapping.
async fn shop(store: &Store, author: &Author) {
    let edits = [
        create(Mapping, "people-to-crm", mapping("people", "crm")),
        create(Source, "shop", json!({ "type": "postgres", "host": "db", "description": "The Shop's own" })),
        create(Model, "people", model("shop")),
        create(Destination, "crm", json!({ "type": "http", "enabled": true })),
    ];
    store.edit_resources(&edits, Through::Api, author).await.unwrap();
}

async fn every_edit_makes_a_version_and_says_who_made_it(store: Store, clock: Arc<HandClock>) {
    let (anna, bert) = (author("user_anna"), author("user_bert"));
    shop(&store, &anna).await;
    clock.set(2_000);
    let changed = json!({ "type": "http", "enabled": false, "base_url": "https://crm" });
    let edited = edit_by(&store, replace(Destination, "crm", changed.clone()).at_version(1), &bert).await.unwrap();
    assert_eq!((edited.outcome, edited.resource.version), (Outcome::Changed, 2));
    let now = store.resource(Destination, "crm").await.unwrap();
    assert_eq!(now, edited.resource);
    assert!(!now.enabled && now.updated_by == bert.actor && now.updated_at > now.created_at);
    assert_eq!(store.resource(Destination, &now.id.to_string()).await.unwrap(), now);

    let versions = store.resource_versions(Destination, "crm", None, 10).await.unwrap();
    let told: Vec<_> =
        versions.iter().map(|version| (version.version, version.change, version.actor.id.as_str())).collect();
    assert_eq!(told, [(2, VersionChange::Edit, "user_bert"), (1, VersionChange::Create, "user_anna")]);
    assert_eq!(versions[0].document, changed);
    assert_eq!(store.resource_versions(Destination, "crm", Some(2), 10).await.unwrap(), versions[1..]);

    let same = edit(&store, replace(Destination, "crm", changed)).await.unwrap();
    assert_eq!((same.outcome, same.resource), (Outcome::Unchanged, now));
    edit_by(&store, remove(Mapping, "people-to-crm").at_version(1), &bert).await.unwrap();
    edit_by(&store, remove(Destination, "crm"), &bert).await.unwrap();
    let missing = store.resource(Destination, "crm").await.unwrap_err();
    assert_eq!(missing.to_string(), "there is no destination `crm`");

    let filter = AuditFilter { subject_kind: Some("destination".to_owned()), ..AuditFilter::default() };
    let audit = store.audit(&filter, None, 10).await.unwrap();
    let mut told: Vec<_> = audit
        .iter()
        .map(|entry| format!("{} {} {} {}", entry.actor.id, entry.action, entry.subject_name, entry.details))
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            r#"user_anna destination.create crm {"version":1}"#,
            r#"user_bert destination.delete crm {"version":2}"#,
            r#"user_bert destination.update crm {"version":2,"changed":["enabled","base_url"]}"#,
        ]
    );
}

async fn an_edit_of_another_version_is_refused(store: Store, _: Arc<HandClock>) {
    shop(&store, &author("user_1")).await;
    for change in [Change::Replace(json!({ "type": "http" })), Change::Remove] {
        let error = edit(&store, Edit::new(Source, "shop", change).at_version(7)).await.unwrap_err();
        assert!(matches!(error, ResourceError::Outdated { expected: 7, found: 1, .. }), "{error}");
    }
    assert_eq!(store.resource(Source, "shop").await.unwrap().version, 1);
}

async fn what_is_used_cannot_be_removed(store: Store, _: Arc<HandClock>) {
    shop(&store, &author("user_1")).await;
    let refused = async |kind, name: &str| edit(&store, remove(kind, name)).await.unwrap_err().to_string();
    let told = "the source `shop` is used by the model `people`; change or remove those first";
    assert_eq!(refused(Source, "shop").await, told);
    let told = "the model `people` is used by the mapping `people-to-crm`; change or remove those first";
    assert_eq!(refused(Model, "people").await, told);

    let mut waiting = mapping("people", "crm");
    waiting["schedule"] = json!({ "after": ["people-to-crm"] });
    for number in 0..7 {
        edit(&store, create(Mapping, &format!("waits-{number}"), waiting.clone())).await.unwrap();
    }
    let told = refused(Mapping, "people-to-crm").await;
    assert!(told.contains("used by the mapping `waits-0`, the mapping `waits-1`"), "{told}");
    assert!(told.contains("the mapping `waits-4` and 2 more; change"), "{told}");
    assert_eq!(store.resource_users(Mapping, "people-to-crm").await.unwrap().len(), 7);
    assert_eq!(store.resource_waits().await.unwrap()[0], ("waits-0".to_owned(), "people-to-crm".to_owned()));
    assert_eq!(store.resource_users(Destination, "crm").await.unwrap().len(), 8);

    waiting["schedule"] = json!("manual");
    for number in 0..7 {
        edit(&store, replace(Mapping, &format!("waits-{number}"), waiting.clone())).await.unwrap();
    }
    assert_eq!(edit(&store, remove(Mapping, "people-to-crm")).await.unwrap().outcome, Outcome::Removed);
}

async fn what_is_not_there_cannot_be_named(store: Store, _: Arc<HandClock>) {
    let error = edit(&store, create(Model, "people", model("shop"))).await.unwrap_err();
    assert_eq!(error.to_string(), "the model `people` names the source `shop`, which does not exist");
    shop(&store, &author("user_1")).await;
    let mut waiting = mapping("people", "crm");
    waiting["schedule"] = json!({ "after": "nobody" });
    let error = edit(&store, replace(Mapping, "people-to-crm", waiting)).await.unwrap_err();
    assert!(error.to_string().contains("names the mapping `nobody`"), "{error}");
    assert!(store.resource(Model, "nobody").await.is_err());
}

async fn several_edits_happen_together_or_not_at_all(store: Store, _: Arc<HandClock>) {
    let author = author("user_1");
    shop(&store, &author).await;
    let before = store.resource_heads().await.unwrap();
    let edits = [
        create(Source, "other", json!({ "type": "postgres" })),
        replace(Model, "people", model("other")),
        remove(Source, "shop"),
        create(Destination, "crm", json!({ "type": "http" })),
    ];
    let error = store.edit_resources(&edits, Through::Api, &author).await.unwrap_err();
    assert!(matches!(error, ResourceError::Taken { kind: Destination, .. }), "{error}");
    assert_eq!(store.resource_heads().await.unwrap(), before);
    let done = store.edit_resources(&edits[..3], Through::Api, &author).await.unwrap();
    let outcomes: Vec<_> = done.iter().map(|edited| edited.outcome).collect();
    assert_eq!(outcomes, [Outcome::Created, Outcome::Changed, Outcome::Removed]);
    // Removed and made again: those that name it name the new one.
    let again = [remove(Source, "other"), create(Source, "other", json!({ "type": "sqlite" }))];
    store.edit_resources(&again, Through::Api, &author).await.unwrap();
    assert_eq!(store.resource(Source, "other").await.unwrap().version, 1);
}

async fn what_files_own_is_changed_through_files_alone(store: Store, _: Arc<HandClock>) {
    let author = author("token_1");
    let document = json!({ "type": "postgres" });
    let owned = create(Source, "shop", document.clone()).of_file("sources/shop.yaml");
    // Whoever does not come through files cannot give a definition to one.
    let free = edit(&store, Edit { name: "free".to_owned(), ..owned.clone() }).await.unwrap();
    assert_eq!(free.resource.managed_by, None);
    let applied = store.edit_resources(&[owned], Through::Files, &author).await.unwrap();
    assert_eq!(applied[0].resource.managed_by.as_deref(), Some("sources/shop.yaml"));
    for change in [Change::Replace(json!({ "type": "sqlite" })), Change::Remove] {
        let error = edit(&store, Edit::new(Source, "shop", change)).await.unwrap_err();
        let told = "the source `shop` belongs to the file `sources/shop.yaml`; change it there and apply it";
        assert_eq!(error.to_string(), told);
    }
    let managed = ResourceFilter { managed: Some(true), ..ResourceFilter::default() };
    assert_eq!(store.resource_count(&managed).await.unwrap(), 1);
    // A file lets go of it.
    let released = replace(Source, "shop", document);
    let released = store.edit_resources(&[released], Through::Files, &author).await.unwrap();
    assert_eq!((released[0].outcome, released[0].resource.version), (Outcome::Changed, 2));
    edit(&store, remove(Source, "shop")).await.unwrap();
}

async fn an_earlier_version_is_taken_up_again(store: Store, _: Arc<HandClock>) {
    let first = json!({ "type": "postgres", "host": "a" });
    edit(&store, create(Source, "shop", first.clone())).await.unwrap();
    edit(&store, replace(Source, "shop", json!({ "type": "postgres", "host": "b" }))).await.unwrap();
    let old = store.resource_version(Source, "shop", 1).await.unwrap();
    let restore = Change::Restore { document: old.document, of_version: 1 };
    let restored = edit(&store, Edit::new(Source, "shop", restore).at_version(2)).await.unwrap();
    assert_eq!((restored.resource.version, &restored.resource.document), (3, &first));
    let newest = store.resource_version(Source, "shop", 3).await.unwrap();
    assert_eq!((newest.change, newest.document), (VersionChange::Restore, first));
    let error = store.resource_version(Source, "shop", 9).await.unwrap_err();
    assert_eq!(error.to_string(), "version 9 of the source `shop` is not kept");
}

async fn lists_are_filtered_and_go_on_behind_their_last(store: Store, _: Arc<HandClock>) {
    let author = author("user_1");
    shop(&store, &author).await;
    let mut edits = vec![
        create(Source, "lake", json!({ "type": "postgres" })),
        create(Model, "visits", model("lake")),
        create(Destination, "mail", json!({ "type": "http" })),
    ];
    for number in 0..30 {
        let mut document = mapping(if number % 2 == 0 { "people" } else { "visits" }, "mail");
        document["enabled"] = Value::from(number % 3 != 0);
        document["description"] = format!("Number {number} of 100%").into();
        edits.push(create(Mapping, &format!("m{number:02}"), document));
    }
    store.edit_resources(&edits, Through::Api, &author).await.unwrap();

    let filter = ResourceFilter { source: Some("lake".to_owned()), ..ResourceFilter::of_kind(Mapping) };
    assert_eq!(store.resource_count(&filter).await.unwrap(), 15);
    let filter = ResourceFilter { enabled: Some(false), destination: Some("mail".to_owned()), ..filter };
    let names: Vec<_> =
        store.resources(&filter, None, 100).await.unwrap().into_iter().map(|mapping| mapping.name).collect();
    assert_eq!(names, ["m03", "m09", "m15", "m21", "m27"]);

    let search = async |text: &str| {
        let filter = ResourceFilter { search: Some(text.to_owned()), ..ResourceFilter::default() };
        store.resource_count(&filter).await.unwrap()
    };
    assert_eq!(search("shop's OWN").await, 1);
    assert_eq!(search("NUMBER 1").await, 11);
    assert_eq!(search("100%").await, 30);
    assert_eq!(search("10_%").await, 0);
    assert_eq!(search("crm").await, 2);

    let filter = ResourceFilter::of_kind(Mapping);
    let mut found = Vec::new();
    loop {
        let after = found.last().map(|row: &ResourceRow| ResourceRef::new(row.kind, &row.name));
        let page = store.resources(&filter, after.as_ref(), 7).await.unwrap();
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    assert_eq!(found.len(), 31);
    assert_eq!(found, store.resources(&filter, None, 100).await.unwrap());
    let everything = store.resources(&ResourceFilter::default(), None, 100).await.unwrap();
    assert_eq!(everything.len(), 37);
}

async fn a_name_is_an_identity(store: Store, _: Arc<HandClock>) {
    let like_an_id = format!("src_{HEX}");
    let long = "x".repeat(101);
    for name in ["", "-a", "_a", "a b", "a/b", "Bär", "a.b", &like_an_id, &long] {
        let error = edit(&store, create(Source, name, json!({}))).await.unwrap_err();
        assert!(matches!(error, ResourceError::Name { .. }), "{name}: {error}");
    }
    let other_kind = format!("dest_{HEX}");
    for name in ["a", "0_-", "Shop", "shop", &other_kind, &long[1..]] {
        edit(&store, create(Source, name, json!({ "name": name }))).await.unwrap();
    }
    let error = edit(&store, create(Source, "shop", json!({}))).await.unwrap_err();
    assert!(error.to_string().starts_with("there is a source `shop` already"), "{error}");
    assert_eq!(store.resource(Source, "Shop").await.unwrap().document["name"], "Shop");
    // Another kind's id finds nothing.
    let id = store.resource(Source, "shop").await.unwrap().id.to_string();
    assert!(store.resource(Model, &id).await.is_err());
}

async fn changes_are_found_by_revision(store: Store, _: Arc<HandClock>) {
    assert_eq!(store.resource_revision().await.unwrap(), 0);
    shop(&store, &author("user_1")).await;
    let first = store.resource_revision().await.unwrap();
    assert_eq!(store.resources_since(0).await.unwrap().len(), 4);
    assert!(store.resources_since(first).await.unwrap().is_empty());
    let mut document = model("shop");
    document["query"] = "SELECT 2 AS id".into();
    edit(&store, replace(Model, "people", document.clone())).await.unwrap();
    let changed = store.resources_since(first).await.unwrap();
    assert_eq!(changed.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["people"]);
    let second = store.resource_revision().await.unwrap();
    edit(&store, replace(Model, "people", document)).await.unwrap();
    assert_eq!(store.resource_revision().await.unwrap(), second);
    edit(&store, remove(Mapping, "people-to-crm")).await.unwrap();
    assert!(store.resource_revision().await.unwrap() > second);
    assert_eq!(store.resource_heads().await.unwrap().len(), 3);
}

async fn two_who_edit_at_once_leave_no_dangling_name(store: Store, _: Arc<HandClock>) {
    let (anna, bert) = (author("user_anna"), author("user_bert"));
    for round in 0..10 {
        let source = format!("s{round}");
        edit(&store, create(Source, &source, json!({ "type": "sqlite" }))).await.unwrap();
        let named = edit_by(&store, create(Model, &format!("m{round}"), model(&source)), &anna);
        let removed = edit_by(&store, remove(Source, &source), &bert);
        let (named, removed) = tokio::join!(named, removed);
        assert_ne!(named.is_ok(), removed.is_ok(), "{named:?} {removed:?}");
        assert_eq!(store.resource(Source, &source).await.is_ok(), named.is_ok());
    }
}

#[tokio::test]
async fn ten_thousand_mappings_are_listed_by_pages_in_no_time() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(HandClock::default());
    let store = Store::open(&folder.path().join("control.db"), clock).await.unwrap();
    let author = author("user_1");
    shop(&store, &author).await;
    let edits: Vec<Edit> =
        (0..10_000).map(|number| create(Mapping, &format!("m{number:05}"), mapping("people", "crm"))).collect();
    store.edit_resources(&edits, Through::Api, &author).await.unwrap();
    let plans = [
        ResourceFilter::of_kind(Mapping),
        ResourceFilter { destination: Some("crm".to_owned()), ..ResourceFilter::of_kind(Mapping) },
        ResourceFilter { source: Some("shop".to_owned()), ..ResourceFilter::of_kind(Mapping) },
        ResourceFilter { search: Some("M0999".to_owned()), ..ResourceFilter::of_kind(Mapping) },
    ];
    let after = ResourceRef::new(Mapping, "m08000");
    let begun = tokio::time::Instant::now();
    for filter in &plans {
        assert_eq!(store.resources(filter, Some(&after), 50).await.unwrap().len().min(10), 10);
    }
    // Far above what it takes, and far below reading every document for each page.
    assert!(begun.elapsed() < std::time::Duration::from_millis(400), "{:?}", begun.elapsed());
}
