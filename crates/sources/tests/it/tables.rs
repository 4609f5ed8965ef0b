//! What sources tell of their tables, for people who write a model.

use kit::{Source, TableName};
use postgres_server::{Options, PostgresServer};
use serde_json::json;

use crate::{source_of, sqlite::file};

fn name(schema: Option<&str>, table: &str) -> TableName {
    TableName { schema: schema.map(str::to_owned), table: table.to_owned() }
}

async fn tables(source: &dyn Source) -> Vec<String> {
    let tables = source.tables().await.unwrap();
    tables.iter().map(|table| format!("{} {:?}", table.name.quoted(), table.kind)).collect()
}

async fn columns(source: &dyn Source, table: TableName) -> Option<Vec<String>> {
    let columns = source.columns(&table).await.unwrap()?;
    let told = columns.iter().map(|column| {
        let marks = match (column.is_key, column.is_nullable) {
            (true, _) => " key",
            (false, true) => " null",
            (false, false) => "",
        };
        format!("{} {} ({}){marks}", column.name, column.kind.name(), column.type_name)
    });
    Some(told.collect())
}

#[tokio::test]
async fn postgresql_lists_what_the_login_may_read() {
    let server = PostgresServer::start(&Options::default());
    let made = "CREATE SCHEMA shop; CREATE SCHEMA closed; CREATE TABLE closed.safe (id int); \
        CREATE TYPE mood AS ENUM ('good'); \
        CREATE TABLE shop.\"Or'der \"\"s\" (b text, id int, part int, feeling mood NOT NULL, \
            price numeric(10, 2), PRIMARY KEY (part, id)); \
        CREATE VIEW shop.cheap AS SELECT id, price FROM shop.\"Or'der \"\"s\"; \
        CREATE TABLE shop.days (day date) PARTITION BY RANGE (day); \
        CREATE TABLE shop.day1 PARTITION OF shop.days FOR VALUES FROM ('2026-01-01') TO ('2026-01-02'); \
        CREATE TABLE shop.empty (); CREATE TABLE shop.secret (id int); \
        CREATE ROLE reader LOGIN PASSWORD 'reads only'; GRANT USAGE ON SCHEMA shop TO reader; \
        GRANT SELECT ON shop.\"Or'der \"\"s\", shop.cheap, shop.days TO reader; \
        INSERT INTO shop.\"Or'der \"\"s\" SELECT 'x', n, 1, 'good', 1 FROM generate_series(1, 30) n; \
        ANALYZE shop.\"Or'der \"\"s\"";
    let made = server.psql().args(["-c", made]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let settings = json!({
        "host": "127.0.0.1", "port": server.port(), "user": "reader", "password": "reads only", "database": "postgres",
    });
    let source = sources::connect("postgres", &settings).unwrap();
    let expected = ["\"shop\".\"Or'der \"\"s\" Table", "\"shop\".\"cheap\" View", "\"shop\".\"days\" Table"];
    assert_eq!(tables(&*source).await, expected);
    assert_eq!(source.tables().await.unwrap()[0].rows, Some(30));
    let found = columns(&*source, name(Some("shop"), "Or'der \"s")).await.unwrap();
    let expected = [
        "b text (text) null",
        "id int (integer) key",
        "part int (integer) key",
        "feeling text (mood)",
        "price decimal (numeric(10,2)) null",
    ];
    assert_eq!(found, expected);
    assert_eq!(columns(&*source, name(Some("shop"), "gone")).await, None);
    assert_eq!(columns(&*source, name(Some("public"), "'); DROP TABLE shop.days; --")).await, None);
    // An owner sees all; a table of another schema is not found without it.
    let owner = source_of(&server);
    assert_eq!(tables(&*owner).await.len(), 6);
    assert_eq!(columns(&*owner, name(Some("closed"), "safe")).await.unwrap(), ["id int (integer) null"]);
    assert_eq!(columns(&*owner, name(None, "safe")).await, None);
}

#[tokio::test]
async fn a_sqlite_file_lists_its_tables_and_views() {
    let (_folder, source) = file(
        "CREATE TABLE \"o'r\" (id INTEGER PRIMARY KEY, name TEXT NOT NULL, twice AS (id * 2), free); \
         CREATE VIEW names AS SELECT name FROM \"o'r\"; INSERT INTO \"o'r\" VALUES (1, 'a', 0.5)",
    )
    .await;
    assert_eq!(tables(&*source).await, ["\"names\" View", "\"o'r\" Table"]);
    let found = columns(&*source, name(None, "o'r")).await.unwrap();
    let expected = ["id int (INTEGER) key", "name text (TEXT)", "twice int () null", "free float () null"];
    assert_eq!(found, expected);
    assert_eq!(columns(&*source, name(None, "gone")).await, None);
    assert_eq!(columns(&*source, name(Some("main"), "names")).await, None);
}
