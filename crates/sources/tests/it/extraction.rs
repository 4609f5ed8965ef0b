//! What comes out of PostgreSQL: every type, large and empty results, one snapshot, cancel.

use std::time::Duration;

use arrow_array::{Array as _, RecordBatch, cast::AsArray as _, types::Int64Type};
use kit::{Query, SourceError};
use postgres_server::{Options, PostgresServer};
use records::Value;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{batches, query, rows, source_of};

const TYPES: &str = r#"
    CREATE EXTENSION IF NOT EXISTS citext;
    CREATE EXTENSION IF NOT EXISTS hstore;
    CREATE TYPE mood AS ENUM ('sad', 'so-so', 'happy');
    CREATE DOMAIN positive AS numeric(10, 2) CHECK (VALUE > 0);
    CREATE DOMAIN positives AS positive[];
    CREATE TYPE place AS (street text, number int, tags text[]);
    CREATE TYPE person AS (name text, home place, moods mood[], born date);
    ALTER TYPE place ADD ATTRIBUTE gone int;
    ALTER TYPE place DROP ATTRIBUTE gone;
    CREATE DOMAIN home AS place;
"#;

/// An expression, the kind it has, and the JSON of its value.
const VALUES: &[(&str, &str, &str)] = &[
    ("(-32768)::int2", "int", "-32768"),
    ("2147483647::int4", "int", "2147483647"),
    ("(-9223372036854775808)::int8", "int", "-9223372036854775808"),
    ("4294967295::oid", "int", "4294967295"),
    ("0.1::float4", "float", "0.1"),
    ("'-Infinity'::float4", "float", r#""-Infinity""#),
    ("0.1::float8", "float", "0.1"),
    ("1e300::float8", "float", "1e+300"),
    ("'NaN'::float8", "float", r#""NaN""#),
    ("12.30::numeric", "decimal", "12.30"),
    ("-0.000000000000000000000000000001::numeric", "decimal", "-0.000000000000000000000000000001"),
    ("(10::numeric ^ 40) + 1", "decimal", "10000000000000000000000000000000000000001.0000000000000000"),
    ("123456789012345678901234567890.123456789::numeric", "decimal", "123456789012345678901234567890.123456789"),
    ("0::numeric(10,3)", "decimal", "0.000"),
    ("'NaN'::numeric", "decimal", r#""NaN""#),
    ("'-Infinity'::numeric", "decimal", r#""-Infinity""#),
    ("true", "bool", "true"),
    ("false", "bool", "false"),
    ("'größe \\ \" '::text", "text", r#""größe \\ \" ""#),
    ("''::text", "text", r#""""#),
    ("'abc'::varchar(5)", "text", r#""abc""#),
    ("'abc'::char(5)", "text", r#""abc  ""#),
    ("'x'::\"char\"", "text", r#""x""#),
    ("'abc'::name", "text", r#""abc""#),
    ("'AbC'::citext", "text", r#""AbC""#),
    ("xmlparse(content '<a>b</a>')", "text", r#""<a>b</a>""#),
    ("'so-so'::mood", "text", r#""so-so""#),
    ("'unknown literal'", "text", r#""unknown literal""#),
    ("12.5::positive", "decimal", "12.50"),
    ("'{1.5,2}'::positives", "json", "[1.5,2]"),
    ("'A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "text", r#""a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11""#),
    ("'2024-02-29'::date", "date", r#""2024-02-29""#),
    ("'0044-03-15 BC'::date", "date", r#""-000043-03-15""#),
    ("'infinity'::date", "date", r#""infinity""#),
    ("'-infinity'::date", "date", r#""-infinity""#),
    ("'13:14:15.016'::time", "time", r#""13:14:15.016""#),
    ("'13:14:15+05:30'::timetz", "text", r#""13:14:15+05:30""#),
    ("'00:00:00.5-08'::timetz", "text", r#""00:00:00.500-08:00""#),
    ("'2024-02-29 13:14:15.016'::timestamp", "timestamp", r#""2024-02-29T13:14:15.016Z""#),
    ("'infinity'::timestamp", "timestamp", r#""infinity""#),
    ("'2024-02-29 13:14:15.000001+02'::timestamptz", "timestamp_tz", r#""2024-02-29T11:14:15.000001Z""#),
    ("'-infinity'::timestamptz", "timestamp_tz", r#""-infinity""#),
    ("'1 year 2 mons 3 days 04:05:06.5'::interval", "text", r#""P1Y2M3DT4H5M6.5S""#),
    ("'-1 day +2 hours'::interval", "text", r#""P-1DT2H""#),
    (r#"'{ "a" : [1, 2.50, "x y"],  "b": null }'::json"#, "json", r#"{"a":[1,2.5,"x y"],"b":null}"#),
    (r#"'{"b": 1e2, "a": true}'::jsonb"#, "json", r#"{"a":true,"b":100}"#),
    ("'{1,NULL,3}'::int4[]", "json", "[1,null,3]"),
    ("'{{1,2},{3,4}}'::int8[]", "json", "[[1,2],[3,4]]"),
    ("'[5:6]={1,2}'::int2[]", "json", "[1,2]"),
    ("'{}'::text[]", "json", "[]"),
    (r#"ARRAY['a "b"', NULL, 'ü,']"#, "json", r#"["a \"b\"",null,"ü,"]"#),
    ("'{happy,sad}'::mood[]", "json", r#"["happy","sad"]"#),
    ("ARRAY[1.10, 'NaN'::numeric]", "json", r#"[1.1,"NaN"]"#),
    ("ARRAY['2024-02-29'::timestamptz]", "json", r#"["2024-02-29T00:00:00.000Z"]"#),
    (r#"ARRAY['{"a": 1}'::jsonb]"#, "json", r#"[{"a":1}]"#),
    ("ARRAY['\\xdead'::bytea]", "json", r#"["3q0="]"#),
    ("ARRAY[true, false]", "json", "[true,false]"),
    ("ARRAY['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid]", "json", r#"["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]"#),
    ("ARRAY['[1,5)'::int4range]", "json", r#"["[1,5)"]"#),
    (
        "ROW('Ada', ROW('Main \"St\"', 5, '{a,b}')::place, '{happy}', '1815-12-10')::person",
        "json",
        r#"{"name":"Ada","home":{"street":"Main \"St\"","number":5,"tags":["a","b"]},"moods":["happy"],"born":"1815-12-10"}"#,
    ),
    ("ROW('a', NULL, NULL)::home", "json", r#"{"street":"a","number":null,"tags":null}"#),
    ("ARRAY[ROW('a', 1, '{}')::place]", "json", r#"[{"street":"a","number":1,"tags":[]}]"#),
    ("ROW(1, 'b')", "json", r#"{"f1":1,"f2":"b"}"#),
    ("'\\xdeadbeef'::bytea", "binary", r#""3q2+7w==""#),
    ("'192.168.1.5'::inet", "text", r#""192.168.1.5""#),
    ("'192.168.1.5/24'::inet", "text", r#""192.168.1.5/24""#),
    ("'10.0.0.0/8'::cidr", "text", r#""10.0.0.0/8""#),
    ("'10.1.2.3/32'::cidr", "text", r#""10.1.2.3/32""#),
    ("'2001:db8::1'::inet", "text", r#""2001:db8::1""#),
    ("'08:00:2b:01:02:03'::macaddr", "text", r#""08:00:2b:01:02:03""#),
    ("'08:00:2b:01:02:03:04:05'::macaddr8", "text", r#""08:00:2b:01:02:03:04:05""#),
    ("'[1,5)'::int4range", "text", r#""[1,5)""#),
    ("'[2024-01-01,2024-02-01)'::daterange", "text", r#""[2024-01-01,2024-02-01)""#),
    ("'[2024-01-01 00:00+02,)'::tstzrange", "text", r#""[\"2023-12-31 22:00:00+00\",)""#),
    ("'{[1,2),[5,7)}'::int4multirange", "text", r#""{[1,2),[5,7)}""#),
    ("(-1234.5)::numeric::money", "decimal", "-1234.50"),
    ("B'1010'", "text", r#""1010""#),
    ("B'101'::varbit", "text", r#""101""#),
    ("'(1,2.5)'::point", "text", r#""(1,2.5)""#),
    ("'a=>1'::hstore", "text", r#""\"a\"=>\"1\"""#),
    ("'pg_class'::regclass", "text", r#""pg_class""#),
    ("'a & b'::tsquery", "text", r#""'a' & 'b'""#),
    ("'1 2'::int2vector", "text", r#""1 2""#),
];

#[tokio::test]
async fn every_type_arrives_as_its_value_or_null() {
    let server = PostgresServer::start(&Options::default());
    server.sql(TYPES);
    let source = source_of(&server);
    let columns: Vec<String> =
        VALUES.iter().enumerate().map(|(index, (expression, ..))| format!("{expression} AS c{index}")).collect();
    // A row of values, one of nulls, one of values: nulls must not shift anything.
    let some = format!("SELECT {} FROM (VALUES (1)) AS one(n)", columns.join(", "));
    let names: Vec<String> =
        (0..VALUES.len()).map(|index| format!("CASE WHEN n <> 2 THEN c{index} END AS c{index}")).collect();
    let text = format!("WITH v AS ({some})\nSELECT {} FROM v, generate_series(1, 3) AS n ORDER BY n", names.join(", "));
    let (schema, found) = rows(&*source, &query(&text)).await.unwrap();
    assert_eq!(found.len(), 3);
    for (index, (expression, kind, json)) in VALUES.iter().enumerate() {
        assert_eq!(schema.columns()[index].kind.name(), *kind, "{expression}");
        assert_eq!(found[0][index].to_json(), *json, "{expression}");
        assert_eq!(found[1][index], Value::Null, "{expression}");
        assert_eq!(found[2][index].to_json(), *json, "{expression}");
    }

    // The same values where nothing has to be wrapped, with a comment at the end and a semicolon.
    for (expression, kind, json) in VALUES {
        let text = format!("SELECT {expression} AS \"c \"\" d\" -- {expression}\n; -- end");
        let (schema, found) = rows(&*source, &query(&text)).await.unwrap();
        assert_eq!((schema.columns()[0].name.as_str(), schema.columns()[0].kind.name()), ("c \" d", *kind));
        assert_eq!(found[0][0].to_json(), *json, "{expression}");
    }

    empty_results_and_limits(&*source).await;
    a_large_result_arrives_whole(&*source).await;
}

async fn empty_results_and_limits(source: &dyn kit::Source) {
    let (schema, found) = rows(source, &query("SELECT 1 AS a, '(1,2)'::point AS b WHERE false")).await.unwrap();
    assert_eq!((schema.columns().len(), found.len()), (2, 0));

    for text in [
        "SELECT n FROM generate_series(1, 9) AS n -- all",
        "TABLE pg_type;",
        "VALUES (1, 'a'), (2, 'b'), (3, 'c')",
        "WITH a AS (SELECT 1 AS x UNION ALL SELECT 2 UNION ALL SELECT 3) SELECT x, '1'::bit FROM a ORDER BY x",
    ] {
        let limited = Query { text: text.to_owned(), rows_max: Some(2) };
        let (_, found) = rows(source, &limited).await.unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(found.len(), 2, "{text}");
    }
    let nothing = Query { text: "SELECT 1".to_owned(), rows_max: Some(0) };
    assert_eq!(rows(source, &nothing).await.unwrap().1.len(), 0);
}

async fn a_large_result_arrives_whole(source: &dyn kit::Source) {
    let text = "SELECT n::int8 AS id, CASE WHEN n % 3 > 0 THEN repeat('x', (n % 50)::int) END AS t \
                FROM generate_series(1, 100000) AS n";
    let all = batches(source, &query(text)).await.unwrap();
    assert!(all.len() > 5, "{} batches", all.len());
    let mut expected = 0;
    for batch in &all {
        let ids = batch.column(0).as_primitive::<Int64Type>();
        let texts = batch.column(1).as_string::<i32>();
        for row in 0..batch.num_rows() {
            expected += 1;
            assert_eq!(ids.value(row), expected);
            assert_eq!(texts.is_null(row), expected % 3 == 0);
            if expected % 3 > 0 {
                assert_eq!(i64::try_from(texts.value(row).len()).unwrap(), expected % 50);
            }
        }
    }
    assert_eq!(expected, 100_000);

    // A row larger than any buffer.
    let (_, found) =
        rows(source, &query("SELECT repeat('ü', 3000000) AS t, 7 AS n FROM generate_series(1, 3)")).await.unwrap();
    for row in found {
        assert_eq!((row[0].as_str().map(str::len), &row[1]), (Some(6_000_000), &Value::Int(7)));
    }
}

#[tokio::test]
async fn an_extract_sees_one_moment_and_can_be_ended() {
    let server = PostgresServer::start(&Options::default());
    let source = source_of(&server);

    // One snapshot: rows written while the extract waits for us are not in it.
    server.sql("CREATE TABLE t AS SELECT n, repeat('x', 500) AS x FROM generate_series(1, 100000) AS n");
    let (sender, mut receiver) = mpsc::channel(1);
    let text = query("SELECT n FROM t UNION ALL SELECT -count(*) FROM t");
    let read = async {
        let first: RecordBatch = receiver.recv().await.unwrap();
        server.sql("DELETE FROM t WHERE n % 2 = 0; INSERT INTO t VALUES (-1, '')");
        let mut rows = first.num_rows();
        let mut last = 0;
        while let Some(batch) = receiver.recv().await {
            rows += batch.num_rows();
            last = batch.column(0).as_primitive::<Int64Type>().value(batch.num_rows() - 1);
        }
        (rows, last)
    };
    let (result, (found, last)) = tokio::join!(source.extract(&text, sender, CancellationToken::new()), read);
    result.unwrap();
    assert_eq!((found, last), (100_001, -100_000));

    // Cancel before a row, cancel in the middle, a dropped receiver: the server's query ends each time.
    let slow = query("SELECT pg_sleep(600)::text");
    let endless = query("SELECT generate_series(1, 1000000000) AS n, repeat('x', 100) AS x");
    for (text, case) in [(&slow, "slow"), (&endless, "endless"), (&endless, "dropped")] {
        let (sender, mut receiver) = mpsc::channel(1);
        let cancel = CancellationToken::new();
        let end = async {
            wait_for(&server, "1").await;
            match case {
                "slow" => cancel.cancel(),
                "endless" => {
                    receiver.recv().await.unwrap();
                    cancel.cancel();
                }
                _ => drop(receiver),
            }
        };
        let (result, ()) = tokio::join!(source.extract(text, sender, cancel.clone()), end);
        assert!(matches!(result, Err(SourceError::Cancelled)), "{case}: {result:?}");
        wait_for(&server, "0").await;
    }

    // A time limit of ours, and a connection that an administrator ends.
    let limited = json!({ "url": server.url(), "statement_timeout_seconds": 1 });
    let limited = sources::connect("postgres", &limited).unwrap();
    assert!(matches!(batches(&*limited, &slow).await, Err(SourceError::TimedOut { seconds: 1 })));
    let end = async {
        wait_for(&server, "1").await;
        server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'outflow'");
    };
    let (result, ()) = tokio::join!(batches(&*source, &slow), end);
    let error = result.unwrap_err();
    assert!(matches!(error, SourceError::Lost { .. }) && error.is_passing(), "{error:?}");
}

/// Waits until the server runs this many queries of ours.
pub(crate) async fn wait_for(server: &PostgresServer, count: &str) {
    let text = "SELECT count(*) FROM pg_stat_activity \
                WHERE application_name = 'outflow' AND state = 'active' AND query LIKE 'COPY%'";
    for _ in 0..500 {
        if server.sql(text) == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never {count} queries of ours on the server");
}
