//! All rows of a store, read as of one moment and written into a new one: the way of backups, the same for both
//! databases, so that a backup of one can be restored into the other.

use std::{path::Path, str::FromStr as _, sync::Arc};

use futures_util::TryStreamExt as _;
use records::Clock;
use serde::{Deserialize, Serialize};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Postgres, Row as _, SqliteConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};

use super::{Database, MIGRATIONS, Row, Sqlite, Store, StoreError, connection, dialect, without_password};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ColumnKind {
    Integer,
    Text,
    Bytes,
}

/// Reads the store as it was when this was made, whatever is written meanwhile.
pub(crate) enum Snapshot {
    Sqlite(SqliteConnection),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

const DOING: &str = "copy the control store";

fn failed(source: sqlx::Error) -> StoreError {
    StoreError::Statement { doing: DOING, source }
}

/// The version of the schema that this program makes.
pub(crate) fn schema_version() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// The tables of a version of the schema in the order in which they were made, so that what a table refers to comes
/// before it.
pub(crate) fn tables(version: i64) -> Vec<String> {
    let mut tables: Vec<String> = Vec::new();
    for migration in MIGRATIONS.iter().filter(|migration| migration.version <= version) {
        let code = migration.sql.as_str().lines().map(|line| line.split("--").next().unwrap_or_default());
        let text = code.collect::<Vec<_>>().join(" ");
        for statement in text.split(';') {
            let words: Vec<&str> = statement.split_whitespace().collect();
            match words[..] {
                ["CREATE", "TABLE", name, ..] => tables.push(name.trim_end_matches('(').to_owned()),
                ["DROP", "TABLE", name] => tables.retain(|table| table != name),
                ["ALTER", "TABLE", name, "RENAME", "TO", new] => {
                    tables.iter_mut().filter(|table| *table == name).for_each(|table| *table = new.to_owned());
                }
                _ => {}
            }
        }
    }
    tables
}

impl Store {
    /// Begins to read all of it as of now. None for a store in memory, which nobody else can read.
    pub(crate) async fn snapshot(&self) -> Result<Option<Snapshot>, StoreError> {
        match &*self.database {
            Database::Sqlite(sqlite) => {
                let Some(readers) = &sqlite.readers else { return Ok(None) };
                let mut connection = readers.options.clone().connect().await.map_err(failed)?;
                sqlx::query("BEGIN").execute(&mut connection).await.map_err(failed)?;
                // The first read fixes the moment.
                sqlx::query("SELECT count(*) FROM sqlite_schema").fetch_one(&mut connection).await.map_err(failed)?;
                Ok(Some(Snapshot::Sqlite(connection)))
            }
            Database::Postgres(pool) => {
                let mut transaction = pool.begin().await.map_err(failed)?;
                let sql = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";
                sqlx::query(sql).execute(&mut *transaction).await.map_err(failed)?;
                sqlx::query("SELECT 1").fetch_one(&mut *transaction).await.map_err(failed)?;
                Ok(Some(Snapshot::Postgres(transaction)))
            }
        }
    }

    /// Makes an empty store of a version of the schema in a file that is not there yet.
    pub(crate) async fn make_sqlite(path: &Path, version: i64, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let open = |source| StoreError::Open { place: path.display().to_string(), source };
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(true).foreign_keys(true);
        // One file, with nothing beside it that would have to be moved along.
        let options = options.journal_mode(SqliteJournalMode::Delete).disable_statement_logging();
        let mut connection = options.connect().await.map_err(open)?;
        let migrated = MIGRATIONS.run_direct(Some(version), &mut connection, false).await;
        migrated.map_err(|source| StoreError::Migrate { place: path.display().to_string(), source })?;
        let sqlite = Sqlite { writer: connection.into(), unfinished: false.into(), readers: None };
        Ok(Self::of(Database::Sqlite(Box::new(sqlite)), clock))
    }

    /// The same in a PostgreSQL database that has no store in it yet. None if there is one.
    pub(crate) async fn make_postgres(
        url: &str,
        version: i64,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Self>, StoreError> {
        let place = without_password(url);
        let options = PgConnectOptions::from_str(url)
            .map_err(|source| StoreError::Address { place: place.clone(), source })?
            .application_name("outflow")
            .disable_statement_logging();
        let connect = |source| StoreError::Connect { place: place.clone(), source };
        let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await.map_err(connect)?;
        let mut connection = pool.acquire().await.map_err(connect)?;
        for table in std::iter::once("_sqlx_migrations".to_owned()).chain(tables(schema_version())) {
            if connection::regclass(&mut connection, &table).await.map_err(connect)? {
                return Ok(None);
            }
        }
        let migrations = dialect::of_postgres(&MIGRATIONS);
        let migrated = migrations.run_direct(Some(version), &mut *connection, false).await;
        migrated.map_err(|source| StoreError::Migrate { place: place.clone(), source })?;
        drop(connection);
        Ok(Some(Self::of(Database::Postgres(pool), clock)))
    }

    /// Ends all connections, so that the files are as they stay.
    pub(crate) async fn close(self) -> Result<(), StoreError> {
        match Arc::into_inner(self.database) {
            Some(Database::Sqlite(sqlite)) => sqlite.writer.into_inner().close().await.map_err(failed),
            Some(Database::Postgres(pool)) => {
                pool.close().await;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Snapshot {
    /// The columns of a table, by name.
    pub(crate) async fn columns(&mut self, table: &str) -> Result<Vec<(String, ColumnKind)>, StoreError> {
        let rows: Vec<(String, String)> = match self {
            Snapshot::Sqlite(connection) => {
                let sql = "SELECT name, type FROM pragma_table_info($1) ORDER BY name";
                let rows = sqlx::query(sql).bind(table).fetch_all(connection).await.map_err(failed)?;
                let read = |row: sqlx::sqlite::SqliteRow| Ok((row.try_get("name")?, row.try_get("type")?));
                rows.into_iter().map(read).collect::<Result<_, _>>().map_err(failed)?
            }
            Snapshot::Postgres(transaction) => {
                let sql = "SELECT column_name::text AS name, data_type::text AS type FROM information_schema.columns \
                     WHERE table_schema = current_schema() AND table_name = $1 ORDER BY 1";
                let rows = sqlx::query(sql).bind(table).fetch_all(&mut **transaction).await.map_err(failed)?;
                let read = |row: sqlx::postgres::PgRow| Ok((row.try_get("name")?, row.try_get("type")?));
                rows.into_iter().map(read).collect::<Result<_, _>>().map_err(failed)?
            }
        };
        let kind = |(name, kind): (String, String)| match kind.to_ascii_lowercase().as_str() {
            "integer" | "bigint" => Ok((name, ColumnKind::Integer)),
            "text" => Ok((name, ColumnKind::Text)),
            "blob" | "bytea" => Ok((name, ColumnKind::Bytes)),
            _ => Err(StoreError::Unreadable { what: "a column's type", value: kind }),
        };
        let mut columns: Vec<_> = rows.into_iter().map(kind).collect::<Result<_, _>>()?;
        columns.sort();
        Ok(columns)
    }

    /// Gives each row of a table to `take`. Only a few are in memory at a time.
    pub(crate) async fn each_row<E: From<StoreError>>(
        &mut self,
        table: &str,
        mut take: impl FnMut(&Row) -> Result<(), E>,
    ) -> Result<(), E> {
        let sql = AssertSqlSafe(format!("SELECT * FROM {table}"));
        match self {
            Snapshot::Sqlite(connection) => {
                let mut rows = sqlx::query(sql).fetch(connection);
                while let Some(row) = rows.try_next().await.map_err(failed)? {
                    take(&Row::Sqlite(row))?;
                }
            }
            Snapshot::Postgres(transaction) => {
                let mut rows = sqlx::query(sql).fetch(&mut **transaction);
                while let Some(row) = rows.try_next().await.map_err(failed)? {
                    take(&Row::Postgres(row))?;
                }
            }
        }
        Ok(())
    }
}
