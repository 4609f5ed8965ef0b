//! What the server's catalog says of tables, as far as the login may read them.

use kit::{TABLES_MAX, Table, TableKind, TableName};

/// Whatever has rows and is no part of another.
pub(super) fn list() -> String {
    format!(
        "SELECT n.nspname, c.relname, c.relkind, c.reltuples::pg_catalog.int8 FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition \
         AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' \
         AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') \
         AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT') ORDER BY 1, 2 LIMIT {TABLES_MAX}"
    )
}

/// One row of [`list`].
pub(super) fn table(row: &[Option<String>]) -> Option<Table> {
    let [Some(schema), Some(table), Some(kind), rows] = row else { return None };
    Some(Table {
        name: TableName { schema: Some(schema.clone()), table: table.clone() },
        kind: if matches!(kind.as_str(), "v" | "m") { TableKind::View } else { TableKind::Table },
        // Before it was looked at first, there are -1 rows.
        rows: rows.as_deref().filter(|_| kind != "v").and_then(|rows| rows.parse().ok()),
    })
}

/// The columns of a table: their names, types, whether they may be null, whether they are of the primary key.
pub(super) fn columns(name: &TableName) -> String {
    let quoted = name.quoted().replace('\'', "''");
    format!(
        "SET standard_conforming_strings = on; \
         SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, \
         COALESCE(a.attnum = ANY (i.indkey), FALSE) FROM pg_catalog.pg_attribute a \
         LEFT JOIN pg_catalog.pg_index i ON i.indrelid = a.attrelid AND i.indisprimary \
         WHERE a.attrelid = pg_catalog.to_regclass('{quoted}') AND a.attnum > 0 AND NOT a.attisdropped \
         ORDER BY a.attnum"
    )
}
