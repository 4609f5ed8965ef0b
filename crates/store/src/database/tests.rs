//! Opening the control store: migration, foreign files, newer versions, two processes at once.

use std::{error::Error, sync::Arc, time::Duration};

use sqlx::Connection as _;

use super::*;
use crate::testing::{HandClock, memory_store, new_sync};

async fn open(path: &Path) -> Result<Store, StoreError> {
    Store::open(path, Arc::new(HandClock::default())).await
}

async fn raw(path: &Path) -> SqliteConnection {
    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path)).await.unwrap()
}

#[tokio::test]
async fn opening_again_keeps_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.db");
    let store = open(&path).await.unwrap();
    let begun = store.begin_sync(&new_sync(5, "people")).await.unwrap();
    drop(store);
    for _ in 0..2 {
        let store = open(&path).await.unwrap();
        assert_eq!(store.last_sync("people").await.unwrap().unwrap(), begun);
    }
}

#[tokio::test]
async fn migrating_twice_leaves_one_schema() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.db");
    let schema = async || {
        drop(open(&path).await.unwrap());
        let mut connection = raw(&path).await;
        sqlx::query_as::<_, (String, Option<String>)>("SELECT name, sql FROM sqlite_schema ORDER BY name")
            .fetch_all(&mut connection)
            .await
            .unwrap()
    };
    let first = schema().await;
    assert!(first.iter().any(|(name, _)| name == "syncs"));
    assert_eq!(schema().await, first);
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_refused_and_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.db");
    drop(open(&path).await.unwrap());
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9000, 'later', TRUE, x'00', 0)",
    )
    .execute(&mut raw(&path).await)
    .await
    .unwrap();
    let error = open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { found: 9000, known: 1, .. }), "{error:?}");
    let message = error.to_string();
    assert!(message.contains("newer version of Outflow") && message.contains("use that version"), "{message}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_in_the_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.db");
    std::fs::write(&path, "mapping: people\n".repeat(100)).unwrap();
    let error = open(&path).await.unwrap_err();
    assert!(error.to_string().contains("control.db"), "{error}");
    assert!(error.source().unwrap().to_string().contains("not a database"), "{:?}", error.source());
}

#[tokio::test]
async fn a_missing_folder_is_named_in_the_error() {
    let error = open(Path::new("/nonexistent/folder/control.db")).await.unwrap_err();
    assert!(error.to_string().contains("/nonexistent/folder/control.db"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_may_open_a_new_store_at_once_and_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.db");
    let opened = (0..8).map(|number| {
        let path = path.clone();
        tokio::spawn(async move {
            let store = open(&path).await.unwrap();
            for sync in 0..10 {
                store.begin_sync(&new_sync(number * 100 + sync, "people")).await.unwrap();
            }
        })
    });
    for task in opened.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(open(&path).await.unwrap().syncs(Some("people"), 1_000).await.unwrap().len(), 80);
}

#[tokio::test(start_paused = true)]
async fn a_paused_clock_stands_still_while_a_statement_runs() {
    let begun = tokio::time::Instant::now();
    let alarm = tokio::spawn(tokio::time::sleep(Duration::from_secs(3600)));
    let (store, _) = memory_store().await;
    for sync in 0..50 {
        store.begin_sync(&new_sync(sync, "people")).await.unwrap();
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert!(!alarm.is_finished());
}
