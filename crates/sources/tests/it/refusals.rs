//! What PostgreSQL refuses, and how it is told: errors with their place, rights, writing, values that cannot be read.

use kit::{Place, Query, SourceError};
use postgres_server::{Options, PASSWORD, PostgresServer};
use serde_json::json;

use crate::{batches, query, rows, source_of};

#[tokio::test]
async fn a_query_that_cannot_run_is_told_with_its_place_and_what_to_do() {
    let server = PostgresServer::start(&Options::default());
    server.sql(
        "CREATE TABLE secret (a int); CREATE SCHEMA hidden; CREATE TABLE hidden.t (a int); \
         CREATE USER reader PASSWORD 'r'; \
         CREATE FUNCTION writes() RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO secret VALUES (1); RETURN 1; END $$",
    );
    let source = source_of(&server);
    places_are_those_of_the_model(&*source).await;
    what_is_not_one_select_is_refused(&*source).await;

    // A function that writes passes the look at the text; the transaction stops it.
    match batches(&*source, &query("SELECT writes()")).await {
        Err(SourceError::ModelRefused { message, .. }) => {
            assert!(message.contains("it writes: cannot execute INSERT in a read-only transaction"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        batches(&*source, &query("SELECT set_config('transaction_read_only', 'off', true), writes()")).await,
        Err(SourceError::QueryFailed { .. } | SourceError::ModelRefused { .. })
    ));
    assert_eq!(server.sql("SELECT count(*) FROM secret"), "0");

    let url = server.url();
    let reader = json!({ "url": url, "user": "reader", "password": "r" });
    let reader = sources::connect("postgres", &reader).unwrap();
    for (text, expected) in [
        ("SELECT a FROM secret", "GRANT SELECT ON secret TO reader"),
        ("SELECT a FROM hidden.t", "GRANT USAGE ON SCHEMA hidden TO reader"),
    ] {
        match batches(&*reader, &query(text)).await {
            Err(SourceError::QueryFailed { message, hint, .. }) => {
                assert!(message.contains("permission denied"), "{message}");
                assert_eq!(hint.as_deref(), Some(expected));
            }
            other => panic!("{other:?}"),
        }
    }
    server.sql("GRANT SELECT ON secret TO reader");
    assert_eq!(rows(&*reader, &query("SELECT a FROM secret")).await.unwrap().1.len(), 0);
    assert!(url.contains(&PASSWORD.replace(' ', "%20")) && !format!("{reader:?}").contains("horse"));
}

async fn places_are_those_of_the_model(source: &dyn kit::Source) {
    for (text, rows_max, line, column, part) in [
        ("SELECT nope FROM pg_class", None, 1, 8, "column \"nope\" does not exist"),
        ("SELECT 1 AS a,\n  -- ü\n  'ü', nope\nFROM pg_class -- x", None, 3, 8, "column \"nope\""),
        ("SELECT 1 FORM pg_class;", None, 1, 15, "syntax error"),
        ("SELECT *\nFROM missing", Some(3), 2, 6, "relation \"missing\" does not exist"),
        ("SELECT 1 +\n", None, 1, 11, "syntax error at end of input"),
        ("SELECT '(1,2)'::point AS p,\n '[1,2'::int4range", None, 2, 2, "malformed range literal"),
    ] {
        let model = Query { text: text.to_owned(), rows_max };
        for result in [source.describe(&model).await.map(|_| ()), batches(source, &model).await.map(|_| ())] {
            match result {
                Err(SourceError::QueryFailed { message, place, .. }) => {
                    assert_eq!(place, Some(Place { line, column }), "{text}: {message}");
                    assert!(message.contains(part), "{text}: {message}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
    }
    // An error of a row has no place, and what came before it is worthless.
    match batches(source, &query("SELECT 10 / (n - 50000) FROM generate_series(1, 100000) AS n")).await {
        Err(SourceError::QueryFailed { message, .. }) => assert!(message.contains("division by zero"), "{message}"),
        other => panic!("{other:?}"),
    }
}

async fn what_is_not_one_select_is_refused(source: &dyn kit::Source) {
    for (text, part) in [
        ("INSERT INTO secret VALUES (1)", "`INSERT` stands where a SELECT must"),
        ("SELECT 1; SELECT 2", "a second statement"),
        ("WITH a AS (DELETE FROM secret RETURNING *) SELECT * FROM a", "changes data"),
        ("SELECT a INTO b FROM secret", "creates a table"),
        ("SELECT a FROM secret FOR UPDATE", "lock rows"),
        ("SELECT 1 AS a, 2 AS a", "column `a` stands twice in the result"),
        ("SELECT $1::int", "it has a parameter"),
        ("SELECT FROM secret", "no columns"),
        ("  ", "it is empty"),
    ] {
        for result in [source.describe(&query(text)).await.map(|_| ()), batches(source, &query(text)).await.map(|_| ())]
        {
            match result {
                Err(SourceError::ModelRefused { message, .. }) => assert!(message.contains(part), "{text}: {message}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn text_that_is_not_utf8_names_its_column_and_the_way_out() {
    let server = PostgresServer::start(&Options { encoding: Some("SQL_ASCII".to_owned()), ..Options::default() });
    server.sql("CREATE TABLE t AS SELECT n, CASE WHEN n = 20000 THEN E'gr\\xf6\\xdfer' ELSE 'plain' END AS name FROM generate_series(1, 20001) AS n");
    let source = source_of(&server);
    match batches(&*source, &query("SELECT n, name FROM t ORDER BY n")).await {
        Err(SourceError::Value { column, message }) => {
            assert_eq!(column, "name");
            assert!(message.starts_with("row 20000 of the result holds bytes that are not UTF-8"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    for text in ["SELECT ARRAY[name] AS names FROM t", "SELECT t AS names FROM t"] {
        match batches(&*source, &query(text)).await {
            Err(SourceError::Value { column, .. }) => assert_eq!(column, "names"),
            other => panic!("{other:?}"),
        }
    }
    // What the message says to write works.
    let converted = "SELECT convert_from(convert(name::bytea, 'LATIN1', 'UTF8'), 'UTF8') AS name FROM t WHERE n >= 20000 ORDER BY n";
    let (_, found) = rows(&*source, &query(converted)).await.unwrap();
    assert_eq!((found[0][0].as_str(), found[1][0].as_str()), (Some("größer"), Some("plain")));
}
