//! The statements that write what a sync did into a table of ours.

use kit::{Ledger, LedgerKind, LedgerRows};

/// Begins the transaction, makes schema and table if they are missing, and removes what is there of the sync.
pub(super) fn begin(ledger: &Ledger, sync: &str) -> String {
    let columns: Vec<String> =
        ledger.columns.iter().map(|(name, kind)| format!("\"{name}\" {}", type_of(*kind))).collect();
    let table = ledger.quoted();
    let key = ledger.columns.first().map_or("sync", |(name, _)| name);
    // A login that may write to the schema need not be allowed to make it.
    let schema = ledger.schema.as_ref().map_or(String::new(), |schema| {
        format!(
            "DO $outflow$ BEGIN IF to_regnamespace({name}) IS NULL THEN EXECUTE 'CREATE SCHEMA ' || {name}; END IF; \
             END $outflow$;",
            name = literal(&format!("\"{}\"", schema.replace('"', "\"\"")))
        )
    });
    format!(
        "SET standard_conforming_strings = on; SET client_min_messages = warning; BEGIN; {schema} \
         CREATE TABLE IF NOT EXISTS {table} ({}); DELETE FROM {table} WHERE \"{key}\" = {};",
        columns.join(", "),
        literal(sync)
    )
}

/// Inserts rows, all in one statement whatever their number. None if there are none.
pub(super) fn insert(ledger: &Ledger, rows: LedgerRows) -> Option<String> {
    if rows.is_empty() {
        return None;
    }
    let names: Vec<String> = ledger.columns.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let typed: Vec<String> =
        ledger.columns.iter().map(|(name, kind)| format!("\"{name}\" {}", type_of(*kind))).collect();
    let names = names.join(", ");
    // PostgreSQL's texts cannot hold the character NUL.
    let json = serde_json::to_string(&rows).unwrap_or_default().replace("\\u0000", "\u{2400}");
    Some(format!(
        "INSERT INTO {} ({names}) SELECT {names} FROM json_to_recordset({}) AS rows({})",
        ledger.quoted(),
        literal(&json),
        typed.join(", ")
    ))
}

fn type_of(kind: LedgerKind) -> &'static str {
    match kind {
        LedgerKind::Text => "text",
        LedgerKind::Integer => "bigint",
        LedgerKind::Timestamp => "timestamptz",
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
