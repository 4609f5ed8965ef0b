//! What the scheduler knows of all definitions.

use std::sync::Arc;

use records::{Clock, Random};
use serde_json::json;
use store::{Actor, Author, Change, Edit, Through};

use super::*;

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }
}

#[derive(Debug, Default)]
struct Counting(std::sync::atomic::AtomicU64);

impl Random for Counting {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst)
    }
}

async fn edit(store: &Store, author: &Author, kind: ResourceKind, name: &str, change: Change) {
    store.edit_resources(&[Edit::new(kind, name, change)], Through::Api, author).await.unwrap();
}

#[tokio::test]
async fn it_follows_the_store_and_tells_which_mappings_are_concerned() {
    let store = Store::open_in_memory(Arc::new(Still)).await.unwrap();
    let author = Author::new(Actor::system(), None, Arc::new(Counting::default()));
    let mut catalogue = Catalogue::default();
    assert_eq!(catalogue.follow(&store).await.unwrap(), Changed::default());
    edit(&store, &author, ResourceKind::Source, "shop", Change::Create(json!({ "type": "fake", "extracts_max": 2 })))
        .await;
    edit(&store, &author, ResourceKind::Model, "people", Change::Create(json!({ "source": "shop" }))).await;
    edit(&store, &author, ResourceKind::Destination, "tool", Change::Create(json!({ "type": "fake" }))).await;
    for name in ["a", "b"] {
        let document = json!({ "model": "people", "destination": "tool", "schedule": { "every": "1h" } });
        edit(&store, &author, ResourceKind::Mapping, name, Change::Create(document)).await;
    }
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<String>>();
    let changed = catalogue.follow(&store).await.unwrap();
    assert_eq!((changed.mappings, changed.removed), (names(&["a", "b"]), names(&[])));
    let wanted = catalogue.wanted("a").unwrap().unwrap();
    assert!(wanted.enabled);
    assert_eq!(moments::read(&wanted.schedule).next_after(Still.now(), None), Some(Still.now()));
    let place = catalogue.place("a").unwrap();
    assert_eq!((place.source.as_str(), place.extracts_max, place.mapping_version), ("shop", 2, 1));

    let off = Change::Replace(json!({ "type": "fake", "enabled": false }));
    edit(&store, &author, ResourceKind::Destination, "tool", off).await;
    let changed = catalogue.follow(&store).await.unwrap();
    assert_eq!(changed.mappings, names(&["a", "b"]));
    assert!(!catalogue.wanted("a").unwrap().unwrap().enabled);
    edit(&store, &author, ResourceKind::Mapping, "a", Change::Remove).await;
    let changed = catalogue.follow(&store).await.unwrap();
    assert_eq!((changed.mappings, changed.removed), (names(&[]), names(&["a"])));
    assert!(catalogue.wanted("a").is_none() && catalogue.place("a").is_none());
    let outside = json!({ "model": "people", "destination": "tool", "schedule": { "every": "${env:EVERY}" } });
    edit(&store, &author, ResourceKind::Mapping, "b", Change::Replace(outside)).await;
    catalogue.follow(&store).await.unwrap();
    assert_eq!(catalogue.wanted("b"), Some(Err(())));
    catalogue.resolve("b", "\"manual\"".to_owned());
    assert!(catalogue.wanted("b").unwrap().is_ok());
}
