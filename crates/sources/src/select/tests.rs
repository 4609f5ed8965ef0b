//! What counts as one read-only `SELECT`.

use super::*;

fn accepted(text: &str) -> &str {
    one_select(text, Dialect::Postgres).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str, dialect: Dialect) -> (String, Option<(usize, usize)>) {
    match one_select(text, dialect) {
        Err(SourceError::ModelRefused { message, place }) => (message, place.map(|place| (place.line, place.column))),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn selects_in_all_their_forms_are_accepted() {
    for text in [
        "SELECT 1",
        "select 1;",
        "select 1 ; -- the end;",
        "-- top\n/* a /* nested; */ comment */ select ';' as \"a;b\"",
        "with a as (select 1) select * from a",
        "with recursive a(n) as (values (1) union all select n + 1 from a where n < 3) table a",
        "with update as (select 1 as x), delete(y) as materialized (select 2) select * from update, delete",
        "values (1, 2), (3, 4)",
        "table orders",
        "(select 1) union (select 2)",
        "((with a as (select 1) select * from a))",
        "select $$ ; insert into $$, $a$ $$ ; $a$",
        "select E'it\\'s ; fine'",
        "select substring('abc' for 2), 'insert into x' as \"into\"",
        "select t.into, count(update) from t",
        "select 1 as into",
        "select data->>'a', x @> y, a ?| b, '{1}'::int[] from t where z ~* 'q'",
        "select 1 from t where \"größe\" > 1 -- ü",
        "select a[1:2], b::json#>>'{a}' from t tablesample system (10)",
    ] {
        accepted(text);
    }
}

#[test]
fn only_a_trailing_semicolon_is_cut() {
    assert_eq!(accepted("select 1"), "select 1");
    assert_eq!(accepted("select ';' ; -- x"), "select ';' ");
    assert_eq!(accepted("select 1;;"), "select 1");
}

#[test]
fn what_is_not_one_select_is_refused_with_its_place() {
    let cases = [
        ("insert into a values (1)", "`insert` stands where a SELECT must", Some((1, 1))),
        ("\n  UPDATE a SET b = 1", "`UPDATE` stands", Some((2, 3))),
        ("delete from a", "`delete` stands", Some((1, 1))),
        ("copy a to stdout", "`copy` stands", Some((1, 1))),
        ("set x = 1", "`set` stands", Some((1, 1))),
        ("create table a (b int)", "`create` stands", Some((1, 1))),
        ("explain select 1", "`explain` stands", Some((1, 1))),
        ("call f()", "`call` stands", Some((1, 1))),
        ("do $$ begin end $$", "`do` stands", Some((1, 1))),
        ("select 1;\nselect 2", "a second statement", Some((2, 1))),
        ("select 1; drop table a", "a second statement", Some((1, 11))),
        ("with a as (insert into b values (1) returning *) select * from a", "changes data", Some((1, 12))),
        ("with a as materialized (delete from b returning *) select * from a", "changes data", Some((1, 25))),
        ("with a as (update b set c = 1 returning *) select * from a", "changes data", Some((1, 12))),
        ("with a as (update only b as x set c = 1 returning *) select * from a", "changes data", Some((1, 12))),
        ("with a as (select 1) insert into b select * from a", "`insert` stands", Some((1, 22))),
        ("with a as (select 1) delete from b using a", "`delete` stands", Some((1, 22))),
        ("select * into b from a", "creates a table", Some((1, 10))),
        ("select * from a for update", "lock rows", Some((1, 17))),
        ("select * from a for no key update", "lock rows", Some((1, 17))),
        ("select * from a\nfor key share", "lock rows", Some((2, 1))),
        ("", "it is empty", None),
        (" ; -- nothing", "it is empty", None),
        ("select 'a", "this quote is never closed", Some((1, 8))),
        ("select $q$ a", "this quote is never closed", Some((1, 8))),
        ("select 1 /* a", "this comment is never closed", Some((1, 10))),
    ];
    for (text, message, place) in cases {
        let (found, found_place) = refused(text, Dialect::Postgres);
        assert!(found.contains(message), "{text}: {found}");
        assert_eq!(found_place, place, "{text}");
    }
}

#[test]
fn sqlite_has_its_own_quotes() {
    for text in ["select [a;b], `c;d` from x", "select 1 as into", "/* a /* b */ select 1"] {
        one_select(text, Dialect::Sqlite).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    assert!(refused("pragma journal_mode = wal", Dialect::Sqlite).0.contains("`pragma` stands"));
}

#[test]
fn places_count_characters_of_a_line() {
    assert_eq!(place_at("aü\nbü c", 8), Place { line: 2, column: 4 });
    assert_eq!(place_of_character("ü\nab", 4), Place { line: 2, column: 2 });
    assert_eq!(place_of_character("select\n", 99), Place { line: 1, column: 7 });
}
