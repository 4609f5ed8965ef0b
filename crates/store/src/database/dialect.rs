//! One schema for two databases: the migrations are written for SQLite and said again in PostgreSQL's words.

use sqlx::{
    AssertSqlSafe, SqlSafeStr as _,
    migrate::{Migration, Migrator},
};

/// The same migrations for PostgreSQL.
pub(super) fn of_postgres(migrations: &Migrator) -> Migrator {
    let translated = migrations.iter().map(|migration| {
        Migration::new(
            migration.version,
            migration.description.clone(),
            migration.migration_type,
            AssertSqlSafe(translate(migration.sql.as_str())).into_sql_str(),
            migration.no_tx,
        )
    });
    Migrator::with_migrations(translated.collect())
}

/// SQLite's integers have 64 bits, and its tables say that they mean their types.
fn translate(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len() + 64);
    for line in sql.lines() {
        let (code, comment) = line.split_once("--").unwrap_or((line, ""));
        let code = code
            .replace(") STRICT, WITHOUT ROWID", ")")
            .replace(") STRICT", ")")
            .replace("INTEGER", "BIGINT")
            .replace("BLOB", "BYTEA");
        out.push_str(&code);
        if !comment.is_empty() {
            out.push_str("--");
            out.push_str(comment);
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_sqlite_becomes_one_of_postgresql() {
        let sql = "CREATE TABLE parts (\n    at INTEGER NOT NULL, -- INTEGER stays in a comment\n    bytes BLOB\n) STRICT, WITHOUT ROWID;";
        assert_eq!(
            translate(sql),
            "CREATE TABLE parts (\n    at BIGINT NOT NULL, -- INTEGER stays in a comment\n    bytes BYTEA\n);\n"
        );
    }
}
