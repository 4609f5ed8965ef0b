//! A SQLite file, opened for reading only.
//!
//! SQLite types values, not columns; which kind a column gets is a table in this folder's `README.md`.

mod columns;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arrow_array::RecordBatch;
use async_trait::async_trait;
use futures_util::TryStreamExt;
use kit::{
    Ledger, LedgerKind, LedgerRows, Query, Source, SourceError, TABLES_MAX, Table, TableColumn, TableKind, TableName,
};
use records::{Column, Schema};
use schemars::JsonSchema;
use serde::Deserialize;
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions, Connection, Executor, Row, SqlSafeStr, Statement,
    sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::columns::{Columns, Declared, Sorts, declared, sort};
use crate::select::{Dialect, one_select, place_at};

/// A column without a type of its own gets its kind from this many rows at most.
const LOOKED_AT_ROWS: usize = 1_000;
const BATCH_ROWS: usize = 8_192;
/// SQLite asks about a cancel each time it has done this many of its small steps.
const STEPS_BETWEEN_CHECKS: i32 = 10_000;
/// How long writing waits for others that write to the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Stands for the query where we ask something of our own.
const NOTHING: Query = Query { text: String::new(), rows_max: None };

/// Where the SQLite file is.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The path of the file. It is opened for reading only and never created.
    path: String,
}

/// A SQLite file.
#[derive(Debug)]
pub(crate) struct Sqlite {
    path: String,
}

/// A query's result before its rows: its names, and the kinds that are known without looking at values.
struct Shape {
    names: Vec<String>,
    declared: Vec<Declared>,
}

impl Sqlite {
    /// A source with these settings. Nothing is opened yet.
    ///
    /// # Errors
    /// An empty path.
    pub(crate) fn new(settings: Settings) -> Result<Self, SourceError> {
        if settings.path.is_empty() {
            return Err(SourceError::Settings { message: "`path` is empty; give the path of the file".to_owned() });
        }
        Ok(Self { path: settings.path })
    }

    async fn open(&self) -> Result<SqliteConnection, SourceError> {
        let unreachable = |message: String| SourceError::Unreachable { address: format!("`{}`", self.path), message };
        match tokio::fs::metadata(&self.path).await {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => {
                let message = format!("`path`: `{}` is not a file", self.path);
                return Err(SourceError::Settings { message });
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let message = format!("`path`: there is no file `{}`; give one that exists", self.path);
                return Err(SourceError::Settings { message });
            }
            Err(error) => return Err(unreachable(error.to_string())),
        }
        let options = SqliteConnectOptions::new().filename(&self.path).read_only(true).disable_statement_logging();
        let mut connection = options.connect().await.map_err(|error| unreachable(message_of(&error)))?;
        // The file's head is read by the first query only.
        let read = connection.execute("SELECT count(*) FROM sqlite_master").await;
        read.map_err(|error| unreachable(message_of(&error)))?;
        Ok(connection)
    }

    /// The names of the result, and what the tables say of its columns.
    async fn shape(connection: &mut SqliteConnection, query: &Query, select: &str) -> Result<Shape, SourceError> {
        let described = (&mut *connection).prepare(AssertSqlSafe(select.to_owned()).into_sql_str()).await;
        let described = described.map_err(|error| failed(&error, query))?;
        if described.columns().is_empty() {
            let message = "its result has no columns; select at least one".to_owned();
            return Err(SourceError::ModelRefused { message, place: None });
        }
        let mut shape = Shape { names: Vec::new(), declared: Vec::new() };
        for column in described.columns() {
            shape.names.push(column.name().to_owned());
            let origin = column.origin();
            let kind = match origin.table_column() {
                Some(origin) => {
                    let text = "SELECT type FROM pragma_table_xinfo(?1) WHERE name = ?2 COLLATE NOCASE";
                    let row = sqlx::query(text).bind(origin.table.to_string()).bind(origin.name.to_string());
                    let row = row.fetch_optional(&mut *connection).await.map_err(|error| failed(&error, query))?;
                    let word = row.and_then(|row| row.try_get::<String, _>(0).ok());
                    declared(&word.unwrap_or_default())
                }
                None => Declared::No,
            };
            shape.declared.push(kind);
        }
        Ok(shape)
    }

    async fn read(
        &self,
        connection: &mut SqliteConnection,
        query: &Query,
        mut sink: Sink<'_>,
    ) -> Result<Schema, SourceError> {
        let select = one_select(&query.text, Dialect::Sqlite)?;
        connection.execute("BEGIN").await.map_err(|error| failed(&error, query))?;
        let shape = Self::shape(connection, query, select).await?;
        let text = match query.rows_max {
            Some(rows) => format!("SELECT * FROM ({select}\n) LIMIT {rows}"),
            None => select.to_owned(),
        };
        let mut rows = sqlx::query(AssertSqlSafe(text)).fetch(&mut *connection);
        let mut next = async || rows.try_next().await.map_err(|error| failed(&error, query));

        let mut first: Vec<SqliteRow> = Vec::new();
        let mut sorts = vec![Sorts::default(); shape.names.len()];
        if shape.declared.contains(&Declared::No) {
            while first.len() < LOOKED_AT_ROWS
                && let Some(row) = next().await?
            {
                for (index, sorts) in sorts.iter_mut().enumerate() {
                    sorts.add(sort(&row, index));
                }
                first.push(row);
            }
        }
        let columns = shape.names.into_iter().zip(shape.declared).zip(&sorts).map(|((name, declared), sorts)| {
            let kind = match declared {
                Declared::As(kind) => kind,
                Declared::No => sorts.kind(),
            };
            Column::new(name, kind)
        });
        let schema = Schema::new(columns.collect())
            .map_err(|error| SourceError::ModelRefused { message: error.to_string(), place: None })?;
        let Some(batches) = sink.take() else { return Ok(schema) };

        let mut columns = Columns::new(&schema);
        for row in first {
            columns.push(&row)?;
        }
        while let Some(row) = next().await? {
            columns.push(&row)?;
            if columns.rows() >= BATCH_ROWS {
                batches.send(columns.batch()?).await.map_err(|_| SourceError::Cancelled)?;
            }
        }
        if columns.rows() > 0 {
            batches.send(columns.batch()?).await.map_err(|_| SourceError::Cancelled)?;
        }
        Ok(schema)
    }
}

/// Where batches go; nowhere when only the schema is asked for.
type Sink<'a> = Option<&'a mpsc::Sender<RecordBatch>>;

fn message_of(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        other => other.to_string(),
    }
}

/// A query's failure. SQLite names the word it stumbled over; if it stands only once, that is the place.
fn failed(error: &sqlx::Error, query: &Query) -> SourceError {
    const BUSY: &str = "5";
    const READ_ONLY: &str = "8";
    let message = message_of(error);
    let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default();
    match code.as_ref() {
        BUSY => SourceError::Lost { message: format!("{message}; another program is writing to the file") },
        READ_ONLY => {
            SourceError::ModelRefused { message: format!("it writes: {message}; a model only reads"), place: None }
        }
        _ => {
            let word = message.strip_prefix("near \"").and_then(|rest| rest.split_once('"')).map(|(word, _)| word);
            let found =
                word.filter(|word| query.text.matches(word).count() == 1).and_then(|word| query.text.find(word));
            SourceError::QueryFailed { message, place: found.map(|byte| place_at(&query.text, byte)), hint: None }
        }
    }
}

#[async_trait]
impl Source for Sqlite {
    async fn check(&self) -> Result<String, SourceError> {
        let mut connection = self.open().await?;
        let row = connection.fetch_one("SELECT sqlite_version()").await;
        let version = row.and_then(|row| row.try_get::<String, _>(0)).map_err(|error| SourceError::Unreachable {
            address: format!("`{}`", self.path),
            message: message_of(&error),
        })?;
        let _ = connection.close().await;
        Ok(format!("SQLite {version} at {}", self.path))
    }

    async fn describe(&self, query: &Query) -> Result<Schema, SourceError> {
        one_select(&query.text, Dialect::Sqlite)?;
        let mut connection = self.open().await?;
        self.read(&mut connection, query, None).await
    }

    async fn tables(&self) -> Result<Vec<Table>, SourceError> {
        let mut connection = self.open().await?;
        let text = "SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view') \
             AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name LIMIT ?1";
        let rows = sqlx::query(text).bind(i64::try_from(TABLES_MAX).unwrap_or(i64::MAX)).fetch_all(&mut connection);
        let rows = rows.await.map_err(|error| failed(&error, &NOTHING))?;
        let table = |row: &SqliteRow| {
            let kind = if row.try_get::<String, _>(1)? == "view" { TableKind::View } else { TableKind::Table };
            Ok(Table { name: TableName { schema: None, table: row.try_get(0)? }, kind, rows: None })
        };
        let tables = rows.iter().map(table).collect::<Result<_, sqlx::Error>>();
        let _ = connection.close().await;
        tables.map_err(|error| failed(&error, &NOTHING))
    }

    async fn columns(&self, table: &TableName) -> Result<Option<Vec<TableColumn>>, SourceError> {
        if table.schema.is_some() {
            return Ok(None);
        }
        let mut connection = self.open().await?;
        // Hidden columns of a virtual table are not selected by `*`; generated ones are.
        let text = "SELECT name, type, \"notnull\", pk FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid";
        let rows = sqlx::query(text).bind(&table.table).fetch_all(&mut connection).await;
        let rows = rows.map_err(|error| failed(&error, &NOTHING))?;
        if rows.is_empty() {
            return Ok(None);
        }
        let query = Query { text: format!("SELECT * FROM {}", table.quoted()), rows_max: None };
        let schema = self.read(&mut connection, &query, None).await?;
        let _ = connection.close().await;
        let column = |(row, column): (&SqliteRow, &Column)| {
            Ok(TableColumn {
                name: column.name.clone(),
                kind: column.kind,
                type_name: row.try_get(1)?,
                is_nullable: row.try_get::<i64, _>(2)? == 0,
                is_key: row.try_get::<i64, _>(3)? > 0,
            })
        };
        let columns = rows.iter().zip(schema.columns()).map(column).collect::<Result<_, sqlx::Error>>();
        columns.map(Some).map_err(|error| failed(&error, &NOTHING))
    }

    async fn extract(
        &self,
        query: &Query,
        batches: mpsc::Sender<RecordBatch>,
        cancel: CancellationToken,
    ) -> Result<(), SourceError> {
        one_select(&query.text, Dialect::Sqlite)?;
        let mut connection = self.open().await?;
        // A query may work long before its first row; the flag ends it then.
        let stop = Arc::new(AtomicBool::new(false));
        let _stops = StopsOnDrop(Arc::clone(&stop));
        let mut handle = connection.lock_handle().await.map_err(|error| failed(&error, query))?;
        handle.set_progress_handler(STEPS_BETWEEN_CHECKS, move || !stop.load(Ordering::Relaxed));
        drop(handle);
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(SourceError::Cancelled),
            () = batches.closed() => Err(SourceError::Cancelled),
            schema = self.read(&mut connection, query, Some(&batches)) => schema.map(|_| ()),
        }
    }

    async fn record(
        &self,
        ledger: &Ledger,
        sync: &str,
        mut rows: mpsc::Receiver<LedgerRows>,
    ) -> Result<(), SourceError> {
        let failed = |error: sqlx::Error| SourceError::QueryFailed {
            message: message_of(&error),
            place: None,
            hint: Some("`outcomes_table` needs a file that may be written to".to_owned()),
        };
        // Opened for reading first, which tells a file that is missing or none.
        self.open().await?.close().await.map_err(failed)?;
        let options = SqliteConnectOptions::new().filename(&self.path).busy_timeout(BUSY_TIMEOUT);
        let mut connection = options.disable_statement_logging().connect().await.map_err(failed)?;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let columns = ledger.columns.iter().map(|(name, kind)| match kind {
            LedgerKind::Text => format!("\"{name}\" TEXT"),
            LedgerKind::Integer => format!("\"{name}\" INTEGER"),
            LedgerKind::Timestamp => format!("\"{name}\" TIMESTAMP"),
        });
        let (table, columns) = (ledger.quoted(), columns.collect::<Vec<_>>().join(", "));
        let key = ledger.columns.first().map_or("sync", |(name, _)| name);
        let make = format!("CREATE TABLE IF NOT EXISTS {table} ({columns})");
        (&mut *transaction).execute(AssertSqlSafe(make)).await.map_err(failed)?;
        let clear = sqlx::query(AssertSqlSafe(format!("DELETE FROM {table} WHERE \"{key}\" = ?1"))).bind(sync);
        clear.execute(&mut *transaction).await.map_err(failed)?;
        let names: Vec<String> = ledger.columns.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let values: Vec<String> = ledger.columns.iter().map(|(name, _)| format!("value ->> '{name}'")).collect();
        let insert =
            format!("INSERT INTO {table} ({}) SELECT {} FROM json_each(?1)", names.join(", "), values.join(", "));
        while let Some(batch) = rows.recv().await {
            let text = serde_json::to_string(&batch).unwrap_or_default();
            let insert = sqlx::query(AssertSqlSafe(insert.clone())).bind(text);
            insert.execute(&mut *transaction).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        connection.close().await.map_err(failed)
    }
}

struct StopsOnDrop(Arc<AtomicBool>);

impl Drop for StopsOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
