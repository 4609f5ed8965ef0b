//! SQLite files: kinds of columns, values that do not fit, refusals, cancel.

use std::{path::Path, sync::Arc};

use kit::{Query, Source, SourceError};
use records::Value;
use serde_json::json;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, sqlite::SqliteConnectOptions};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{batches, query, rows};

/// A file made by these statements, and a source on it.
pub(crate) async fn file(statements: &str) -> (tempfile::TempDir, Arc<dyn Source>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    write(&path, statements).await;
    let source = sources::connect("sqlite", &json!({ "path": path })).unwrap();
    (folder, source)
}

async fn write(path: &Path, statements: &str) {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    connection.execute(sqlx::AssertSqlSafe(statements.to_owned())).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn kinds_come_from_declared_types_and_otherwise_from_values() {
    let (_folder, source) = file(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR(20), amount DECIMAL(10,2), ratio DOUBLE, ok BOOLEAN, \
         born DATE, seen DATETIME, at TIMESTAMPTZ, clock TIME, doc JSON, raw BLOB, free, odd STRING); \
         INSERT INTO t VALUES \
         (1, 'größe', 12.5, 1, 1, '2024-02-29', '2024-02-29 13:14:15.5', '2024-02-29T13:14:15+02:00', '13:14:15', \
          '{\"a\": [1, 2]}', x'DEAD', 7, 'x'), \
         (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), \
         (9007199254740993, '', 100, 0.1, 0, '1969-12-31', '1969-12-31', '1970-01-01 00:00:00', '00:00:00.25', \
          '[]', x'', 0.5, 8); \
         CREATE VIEW v AS SELECT id AS number, amount FROM t",
    )
    .await;
    assert!(source.check().await.unwrap().starts_with("SQLite 3."));
    let (schema, found) =
        rows(&*source, &query("SELECT *, count(*) OVER () AS n FROM t ORDER BY rowid; -- all")).await.unwrap();
    let kinds: Vec<&str> = schema.columns().iter().map(|column| column.kind.name()).collect();
    let expected = [
        "int",
        "text",
        "decimal",
        "float",
        "bool",
        "date",
        "timestamp",
        "timestamp_tz",
        "time",
        "json",
        "binary",
        "float",
        "text",
        "int",
    ];
    assert_eq!(kinds, expected);
    let shown: Vec<String> = found[0].iter().map(Value::to_json).collect();
    let expected = [
        "1",
        "\"größe\"",
        "12.5",
        "1",
        "true",
        "\"2024-02-29\"",
        "\"2024-02-29T13:14:15.500Z\"",
        "\"2024-02-29T11:14:15.000Z\"",
        "\"13:14:15\"",
        "{\"a\":[1,2]}",
        "\"3q0=\"",
        "7",
        "\"x\"",
        "3",
    ];
    assert_eq!(shown, expected);
    assert!(found[1][1..13].iter().all(Value::is_null));
    let shown: Vec<String> = found[2].iter().map(Value::to_json).collect();
    let expected = [
        "9007199254740993",
        "\"\"",
        "100",
        "0.1",
        "false",
        "\"1969-12-31\"",
        "\"1969-12-31T00:00:00.000Z\"",
        "\"1970-01-01T00:00:00.000Z\"",
        "\"00:00:00.250\"",
        "[]",
        "\"\"",
        "0.5",
        "\"8\"",
        "3",
    ];
    assert_eq!(shown, expected);

    for (text, kinds) in [
        ("SELECT number, amount FROM v WHERE false", &["int", "decimal"][..]),
        (
            "SELECT sum(amount) AS s, 'a' AS t, x'00' AS b, NULL AS n, 1.5 AS f, 1 + 1 AS i FROM t",
            &["float", "text", "binary", "text", "float", "int"],
        ),
        ("WITH a AS (SELECT id FROM t) SELECT id FROM a", &["int"]),
        ("VALUES (1, 'a')", &["int", "text"]),
        ("SELECT 1 AS x UNION ALL SELECT 'a'", &["text"]),
        ("SELECT ratio FROM (SELECT * FROM t) LIMIT 1", &["float"]),
    ] {
        let (schema, _) = rows(&*source, &query(text)).await.unwrap_or_else(|error| panic!("{text}: {error}"));
        let found: Vec<&str> = schema.columns().iter().map(|column| column.kind.name()).collect();
        assert_eq!(found, kinds, "{text}");
        let limited = Query { text: format!("{text} -- c"), rows_max: Some(1) };
        assert!(rows(&*source, &limited).await.unwrap().1.len() <= 1);
    }
}

#[tokio::test]
async fn a_value_that_does_not_fit_is_not_lost_but_named() {
    let (_folder, source) = file(
        "CREATE TABLE t (n INTEGER, ok BOOLEAN, day DATE, doc JSON, raw TEXT); \
         INSERT INTO t VALUES ('many', 2, 'yesterday', '{', x'FF')",
    )
    .await;
    for (column, part) in [
        ("n", "its kind is int, and a value is text that does not fit"),
        ("ok", "a boolean is 0 or 1"),
        ("day", "a date as `2024-02-29` is expected"),
        ("doc", "JSON text is expected"),
        ("raw", "its kind is text, and a value is a blob"),
    ] {
        match batches(&*source, &query(&format!("SELECT {column} FROM t"))).await {
            Err(SourceError::Value { column: named, message }) => {
                assert_eq!(named, column);
                assert!(message.contains(part) && message.contains("in the model"), "{message}");
            }
            other => panic!("{other:?}"),
        }
    }
    let (_, found) = rows(&*source, &query("SELECT CAST(n AS TEXT) AS n, hex(raw) AS raw FROM t")).await.unwrap();
    assert_eq!((found[0][0].as_str(), found[0][1].as_str()), (Some("many"), Some("FF")));
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_with_its_reason() {
    let (folder, source) = file("CREATE TABLE t (a INTEGER)").await;
    for (text, part) in [
        ("DELETE FROM t", "`DELETE` stands where a SELECT must"),
        ("PRAGMA user_version = 3", "`PRAGMA` stands"),
        ("SELECT 1; SELECT 2", "a second statement"),
        ("WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", "`INSERT` stands"),
        ("SELECT 1 AS a, 2 AS a", "stands twice"),
    ] {
        match source.describe(&query(text)).await {
            Err(SourceError::ModelRefused { message, .. }) => assert!(message.contains(part), "{text}: {message}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    match source.describe(&query("SELECT a\nFORM t")).await {
        Err(SourceError::QueryFailed { message, place, .. }) => {
            assert!(message.contains("syntax error"), "{message}");
            assert!(place.is_some_and(|place| place.line == 2), "{place:?}");
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        source.describe(&query("SELECT b FROM t")).await,
        Err(SourceError::QueryFailed { message, .. }) if message.contains("no such column: b")
    ));

    let missing = sources::connect("sqlite", &json!({ "path": folder.path().join("none.db") })).unwrap();
    let error = missing.check().await.unwrap_err().to_string();
    assert!(error.contains("there is no file"), "{error}");
    assert!(!folder.path().join("none.db").exists());
    let text = folder.path().join("text.db");
    std::fs::write(&text, "this is no database, however long it is ".repeat(40)).unwrap();
    let other = sources::connect("sqlite", &json!({ "path": text })).unwrap();
    let error = other.check().await.unwrap_err().to_string();
    assert!(error.contains("file is not a database"), "{error}");
}

#[tokio::test]
async fn a_large_result_streams_and_a_cancel_ends_it() {
    let (_folder, source) = file("CREATE TABLE t (a INTEGER)").await;
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000) SELECT i FROM n";
    let all = batches(&*source, &query(many)).await.unwrap();
    assert_eq!(all.iter().map(arrow_array::RecordBatch::num_rows).sum::<usize>(), 30_000);
    assert!(all.len() > 2);

    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)";
    // The first gives rows for ever, the second works for ever before its first row.
    for text in [format!("{endless} SELECT i FROM n"), format!("{endless} SELECT count(*) FROM n")] {
        let cancel = CancellationToken::new();
        let (sender, _receiver) = mpsc::channel(1);
        let text = query(&text);
        let end = async {
            tokio::task::yield_now().await;
            cancel.cancel();
        };
        let (result, ()) = tokio::join!(source.extract(&text, sender, cancel.clone()), end);
        assert!(matches!(result, Err(SourceError::Cancelled)), "{result:?}");
    }
    let (sender, receiver) = mpsc::channel(1);
    drop(receiver);
    let result = source.extract(&query(many), sender, CancellationToken::new()).await;
    assert!(matches!(result, Err(SourceError::Cancelled)), "{result:?}");
}
