//! Opening the control store: migration, foreign files, newer versions, two processes at once.

use std::{error::Error, sync::Arc, time::Duration};

use postgres_server::PostgresServer;
use sqlx::Connection as _;

use super::*;
use crate::{
    SyncState,
    testing::{HandClock, memory_store, new_sync, postgres_database, postgres_store},
};

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
    let begun = store.begin_sync(&new_sync(5, "people")).await.unwrap().unwrap();
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
    assert!(matches!(error, StoreError::NewerSchema { found: 9000, .. }), "{error:?}");
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
                store.begin_sync(&new_sync(number * 100 + sync, "people")).await.unwrap().unwrap();
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
        store.begin_sync(&new_sync(sync, "people")).await.unwrap().unwrap();
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert!(!alarm.is_finished());
}

#[tokio::test]
async fn a_transaction_that_was_dropped_is_undone_before_anything_else_is_written() {
    let (store, _) = memory_store().await;
    store.begin_sync(&new_sync(1, "people")).await.unwrap().unwrap();
    let mut transaction = store.begin("forget everything").await.unwrap();
    assert_eq!(transaction.execute("DELETE FROM syncs", args![]).await.unwrap(), 1);
    drop(transaction);
    store.begin_sync(&new_sync(2, "people")).await.unwrap().unwrap();
    assert_eq!(store.syncs(None, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_reader_sees_what_was_committed_and_waits_for_no_writer() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("control.db")).await.unwrap();
    store.begin_sync(&new_sync(1, "people")).await.unwrap().unwrap();
    let mut transaction = store.begin("begin a sync").await.unwrap();
    transaction.execute("DELETE FROM syncs", args![]).await.unwrap();
    let reads = (0..20).map(|_| store.syncs(None, 10));
    for rows in futures_util::future::join_all(reads).await {
        assert_eq!(rows.unwrap().len(), 1);
    }
    transaction.commit().await.unwrap();
    assert!(store.syncs(None, 10).await.unwrap().is_empty());
    let mut reader = store.read().await.unwrap();
    assert!(reader.execute("write", "DELETE FROM syncs", args![]).await.is_err());
}

#[tokio::test]
async fn postgresql_may_restart_under_the_store() {
    // Tests' servers forget what they said was committed; this one must not.
    let settings = vec![("synchronous_commit".to_owned(), "on".to_owned())];
    let server = PostgresServer::start(&postgres_server::Options { settings, ..Default::default() });
    let (store, _) = postgres_store(&server, "restarted").await;
    let begun = store.begin_sync(&new_sync(1, "people")).await.unwrap().unwrap();
    server.stop();
    let meanwhile = tokio::spawn({
        let store = store.clone();
        async move { store.set_state(begun.id, SyncState::Loading).await }
    });
    assert!(!meanwhile.is_finished());
    let server = tokio::task::spawn_blocking(move || {
        server.start_again();
        server
    })
    .await
    .unwrap();
    meanwhile.await.unwrap().unwrap();
    assert_eq!(store.last_sync("people").await.unwrap().unwrap().state, SyncState::Loading);
    drop(server);
}

#[tokio::test]
async fn every_earlier_schema_is_brought_to_this_one() {
    let newest = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let server = PostgresServer::start(&Default::default());
    let mut schemas = Vec::new();
    for earlier in 1..=newest {
        let path = folder.path().join(format!("{earlier}.db"));
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        MIGRATIONS.run_direct(Some(earlier), &mut connection, false).await.unwrap();
        let first = "INSERT INTO syncs (id, mapping, state, trigger, started_at, counts) \
                     VALUES ('sync_00000000000000000000000000000001', 'people', 'done', 'command', 1, '{}')";
        sqlx::query(first).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        assert_eq!(open(&path).await.unwrap().syncs(None, 5).await.unwrap().len(), 1, "from {earlier}");

        let url = postgres_database(&server, &format!("from_{earlier}"));
        let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
        dialect::of_postgres(&MIGRATIONS).run_direct(Some(earlier), &mut connection, false).await.unwrap();
        sqlx::query(first).execute(&mut connection).await.unwrap();
        let store = Store::open_postgres(&url, Arc::new(HandClock::default())).await.unwrap();
        assert_eq!(store.syncs(None, 5).await.unwrap().len(), 1, "from {earlier}");
        let columns = "SELECT table_name || '.' || column_name FROM information_schema.columns \
                       WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations' ORDER BY 1";
        schemas.push(sqlx::query_scalar::<_, String>(columns).fetch_all(&mut connection).await.unwrap());
    }
    assert!(schemas.iter().all(|schema| schema == &schemas[0]));

    // The same tables and columns in SQLite.
    let columns = "SELECT tables.name || '.' || columns.name FROM sqlite_schema AS tables, \
                   pragma_table_info(tables.name) AS columns WHERE tables.type = 'table' \
                   AND tables.name NOT LIKE 'sqlite_%' AND tables.name <> '_sqlx_migrations' ORDER BY 1";
    let mut connection = raw(&folder.path().join("1.db")).await;
    let in_sqlite: Vec<String> = sqlx::query_scalar(columns).fetch_all(&mut connection).await.unwrap();
    let mut in_postgresql = schemas.remove(0);
    in_postgresql.sort();
    assert_eq!(in_sqlite, in_postgresql);
}

#[tokio::test]
async fn an_address_without_a_server_is_named_without_its_password() {
    let url = "postgres://app:hunter22@127.0.0.1:1/outflow";
    let error = Store::open_postgres(url, Arc::new(HandClock::default())).await.unwrap_err();
    assert!(matches!(error, StoreError::Connect { .. }), "{error:?}");
    assert!(error.to_string().contains("127.0.0.1:1") && !format!("{error:?}").contains("hunter22"), "{error:?}");
}

#[tokio::test]
async fn a_nul_that_postgresql_cannot_hold_is_kept_as_its_symbol() {
    let server = PostgresServer::start(&Default::default());
    let (store, _) = postgres_store(&server, "nul").await;
    store.begin_sync(&new_sync(1, "a\0b")).await.unwrap().unwrap();
    assert_eq!(store.syncs(None, 1).await.unwrap()[0].mapping, "a\u{2400}b");
}
