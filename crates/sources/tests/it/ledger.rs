//! What syncs did, written into a table of the warehouse: made when missing, replaced when told again.

use kit::{Ledger, LedgerKind, LedgerRows, Source, SourceError};
use postgres_server::{Options, PostgresServer};
use serde_json::json;
use tokio::sync::mpsc;

use crate::{query, rows, source_of};

const COLUMNS: &[(&str, LedgerKind)] = &[
    ("sync", LedgerKind::Text),
    ("key", LedgerKind::Text),
    ("attempts", LedgerKind::Integer),
    ("at", LedgerKind::Timestamp),
];

fn ledger(schema: Option<&str>) -> Ledger {
    Ledger { schema: schema.map(str::to_owned), name: "outcomes".to_owned(), columns: COLUMNS }
}

fn batch(sync: &str, keys: &[&str]) -> LedgerRows {
    let row = |key: &&str| json!({ "sync": sync, "key": key, "attempts": 2, "at": "2026-03-01T10:00:00Z" });
    keys.iter().map(|key| row(key).as_object().unwrap().clone()).collect()
}

async fn record(source: &dyn Source, ledger: &Ledger, sync: &str, batches: Vec<LedgerRows>) -> Result<(), SourceError> {
    let (sender, receiver) = mpsc::channel(1);
    let send = async move {
        for batch in batches {
            if sender.send(batch).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(source.record(ledger, sync, receiver), send).0
}

/// Tells of two syncs, of one of them twice, and sees that each stands there once.
async fn told_once(source: &dyn Source, ledger: &Ledger) {
    let strange = ["o'clock", "\"ä\\\"", "; DROP TABLE outcomes; --", "$outflow$"];
    record(source, ledger, "sync_1", vec![batch("sync_1", &["lost"])]).await.unwrap();
    record(source, ledger, "sync_2", vec![batch("sync_2", &["other"]), Vec::new()]).await.unwrap();
    let batches = vec![batch("sync_1", &strange[..2]), batch("sync_1", &strange[2..])];
    record(source, ledger, "sync_1", batches).await.unwrap();
    let text = format!("SELECT sync, key, attempts FROM {} ORDER BY sync, key", ledger.quoted());
    let (_, found) = rows(source, &query(&text)).await.unwrap();
    let found: Vec<String> = found.iter().map(|row| format!("{row:?}")).collect();
    assert_eq!(found.len(), 5, "{found:?}");
    assert!(!found.iter().any(|row| row.contains("lost")), "{found:?}");
    for key in ["o'clock", "DROP TABLE", "$outflow$"] {
        assert!(found.iter().any(|row| row.contains(key)), "{key}: {found:?}");
    }
    // Of a sync without outcomes nothing is left.
    record(source, ledger, "sync_2", Vec::new()).await.unwrap();
    let (_, found) = rows(source, &query(&text)).await.unwrap();
    assert_eq!(found.len(), 4);
}

#[tokio::test]
async fn postgresql_holds_each_outcome_once_in_a_schema_of_ours() {
    let server = PostgresServer::start(&Options::default());
    let source = source_of(&server);
    told_once(&*source, &ledger(Some("outflow log"))).await;
    told_once(&*source, &ledger(None)).await;
    let text = "SELECT extract(epoch FROM at)::bigint AS at FROM outcomes";
    let (_, found) = rows(&*source, &query(text)).await.unwrap();
    assert!(format!("{:?}", found[0]).contains("1772359200"), "{found:?}");
}

#[tokio::test]
async fn a_login_that_may_only_read_is_told_so_and_writes_nothing() {
    let server = PostgresServer::start(&Options::default());
    let made = server.psql().args(["-c", "CREATE ROLE reader LOGIN PASSWORD 'reads only'"]).output().unwrap();
    assert!(made.status.success());
    let settings = json!({
        "host": "127.0.0.1", "port": server.port(), "user": "reader", "password": "reads only", "database": "postgres",
    });
    let source = sources::connect("postgres", &settings).unwrap();
    let error = record(&*source, &ledger(Some("ours")), "sync_1", vec![batch("sync_1", &["a"])]).await.unwrap_err();
    assert!(error.to_string().contains("permission denied"), "{error}");
}

#[tokio::test]
async fn sqlite_holds_each_outcome_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    std::fs::File::create(&path).unwrap();
    let source = sources::connect("sqlite", &json!({ "path": path })).unwrap();
    told_once(&*source, &ledger(None)).await;
}
