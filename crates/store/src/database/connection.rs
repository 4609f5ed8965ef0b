//! Statements and transactions on either database.

use std::{sync::atomic::Ordering, time::Duration};

use sqlx::{
    PgConnection, Postgres, SqlSafeStr, Sqlite as SqliteDatabase, SqliteConnection,
    postgres::{PgArguments, PgPool},
    query::Query,
    sqlite::SqliteArguments,
};
use tokio::{
    sync::{MutexGuard, SemaphorePermit},
    time::Instant,
};

use super::{Arg, Readers, Row, Sqlite, StillClock, StoreError};

/// How long statements are tried again while PostgreSQL cannot be reached: a restart takes seconds.
const RETRY_MAX: Duration = Duration::from_secs(45);
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(2);

/// Answers of PostgreSQL that say nothing about the statement: it is starting or ending, has no connection left, or
/// chose this one to undo.
const PASSING_CODES: [&str; 7] = ["57P01", "57P02", "57P03", "53300", "40001", "40P01", "25006"];

/// For statements that stand alone.
pub(crate) struct Connection<'a> {
    inner: Inner<'a>,
    _still: Option<StillClock>,
}

enum Inner<'a> {
    Writer(MutexGuard<'a, SqliteConnection>),
    Reader(Reader<'a>),
    /// Each statement takes a connection of its own.
    Pool(&'a PgPool),
}

struct Reader<'a> {
    /// There until it is dropped.
    connection: Option<SqliteConnection>,
    readers: &'a Readers,
    _permit: SemaphorePermit<'a>,
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.readers.give_back(connection);
        }
    }
}

/// For statements that take effect together or not at all.
pub(crate) struct Transaction<'a> {
    inner: InnerTransaction<'a>,
    _still: Option<StillClock>,
}

enum InnerTransaction<'a> {
    Sqlite { guard: MutexGuard<'a, SqliteConnection>, sqlite: &'a Sqlite, doing: &'static str },
    Postgres { transaction: sqlx::Transaction<'static, Postgres>, doing: &'static str },
}

impl<'a> Connection<'a> {
    pub(super) async fn of_writer(sqlite: &'a Sqlite) -> Result<Self, StoreError> {
        let still = StillClock::new();
        let guard = writer(sqlite).await.map_err(|source| failure("begin", source))?;
        Ok(Self { inner: Inner::Writer(guard), _still: still })
    }

    pub(super) async fn of_reader(readers: &'a Readers) -> Result<Self, StoreError> {
        let still = StillClock::new();
        let failed = |source| StoreError::Statement { doing: "read", source };
        let permit = readers.free.acquire().await.map_err(|_| failed(sqlx::Error::PoolClosed))?;
        let connection = readers.take().await.map_err(failed)?;
        let reader = Reader { connection: Some(connection), readers, _permit: permit };
        Ok(Self { inner: Inner::Reader(reader), _still: still })
    }

    pub(super) fn of_pool(pool: &'a PgPool) -> Self {
        Self { inner: Inner::Pool(pool), _still: None }
    }

    /// Runs a statement and gives how many rows it touched.
    pub(crate) async fn execute(
        &mut self,
        doing: &'static str,
        sql: impl SqlSafeStr,
        args: &[Arg],
    ) -> Result<u64, StoreError> {
        let sql = sql.into_sql_str();
        let failed = |source| failure(doing, source);
        match self.sqlite() {
            Ok(connection) => {
                let done = of_sqlite(sqlx::query(sql), args).execute(connection).await.map_err(failed)?;
                Ok(done.rows_affected())
            }
            Err(pool) => {
                let mut patience = Patience::begin();
                loop {
                    let result = async {
                        let mut connection = pool.acquire().await?;
                        of_postgres(sqlx::query(sql.clone()), args).execute(&mut *connection).await
                    };
                    match result.await {
                        Ok(done) => return Ok(done.rows_affected()),
                        Err(error) => patience.wait(error).await.map_err(failed)?,
                    }
                }
            }
        }
    }

    /// Runs a statement and gives its rows.
    pub(crate) async fn rows(
        &mut self,
        doing: &'static str,
        sql: impl SqlSafeStr,
        args: &[Arg],
    ) -> Result<Vec<Row>, StoreError> {
        let sql = sql.into_sql_str();
        let failed = |source| failure(doing, source);
        match self.sqlite() {
            Ok(connection) => {
                let rows = of_sqlite(sqlx::query(sql), args).fetch_all(connection).await.map_err(failed)?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Err(pool) => {
                let mut patience = Patience::begin();
                loop {
                    let result = async {
                        let mut connection = pool.acquire().await?;
                        of_postgres(sqlx::query(sql.clone()), args).fetch_all(&mut *connection).await
                    };
                    match result.await {
                        Ok(rows) => return Ok(rows.into_iter().map(Row::Postgres).collect()),
                        Err(error) => patience.wait(error).await.map_err(failed)?,
                    }
                }
            }
        }
    }

    /// The first row, if there is one.
    pub(crate) async fn row(
        &mut self,
        doing: &'static str,
        sql: impl SqlSafeStr,
        args: &[Arg],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(doing, sql, args).await?.into_iter().next())
    }

    fn sqlite(&mut self) -> Result<&mut SqliteConnection, &'a PgPool> {
        match &mut self.inner {
            Inner::Writer(guard) => Ok(guard),
            #[expect(clippy::expect_used, reason = "it is taken only by drop")]
            Inner::Reader(reader) => Ok(reader.connection.as_mut().expect("a reader has its connection")),
            Inner::Pool(pool) => Err(pool),
        }
    }
}

impl<'a> Transaction<'a> {
    pub(super) async fn of_writer(sqlite: &'a Sqlite, doing: &'static str) -> Result<Self, StoreError> {
        let still = StillClock::new();
        let failed = |source| failure(doing, source);
        let mut guard = writer(sqlite).await.map_err(failed)?;
        sqlite.unfinished.store(true, Ordering::Relaxed);
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *guard).await.map_err(|source| {
            sqlite.unfinished.store(false, Ordering::Relaxed);
            failed(source)
        })?;
        Ok(Self { inner: InnerTransaction::Sqlite { guard, sqlite, doing }, _still: still })
    }

    pub(super) async fn of_pool(pool: &PgPool, doing: &'static str) -> Result<Self, StoreError> {
        let mut patience = Patience::begin();
        loop {
            match pool.begin().await {
                Ok(transaction) => {
                    return Ok(Self { inner: InnerTransaction::Postgres { transaction, doing }, _still: None });
                }
                Err(error) => patience.wait(error).await.map_err(|source| failure(doing, source))?,
            }
        }
    }

    /// Runs a statement and gives how many rows it touched.
    pub(crate) async fn execute(&mut self, sql: impl SqlSafeStr, args: &[Arg]) -> Result<u64, StoreError> {
        let sql = sql.into_sql_str();
        match &mut self.inner {
            InnerTransaction::Sqlite { guard, doing, .. } => {
                let done = of_sqlite(sqlx::query(sql), args).execute(&mut **guard).await;
                Ok(done.map_err(|source| failure(doing, source))?.rows_affected())
            }
            InnerTransaction::Postgres { transaction, doing } => {
                let done = of_postgres(sqlx::query(sql), args).execute(&mut **transaction).await;
                Ok(done.map_err(|source| failure(doing, source))?.rows_affected())
            }
        }
    }

    /// Runs a statement and gives its rows.
    pub(crate) async fn rows(&mut self, sql: impl SqlSafeStr, args: &[Arg]) -> Result<Vec<Row>, StoreError> {
        let sql = sql.into_sql_str();
        match &mut self.inner {
            InnerTransaction::Sqlite { guard, doing, .. } => {
                let rows = of_sqlite(sqlx::query(sql), args).fetch_all(&mut **guard).await;
                Ok(rows.map_err(|source| failure(doing, source))?.into_iter().map(Row::Sqlite).collect())
            }
            InnerTransaction::Postgres { transaction, doing } => {
                let rows = of_postgres(sqlx::query(sql), args).fetch_all(&mut **transaction).await;
                Ok(rows.map_err(|source| failure(doing, source))?.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// The first row, if there is one.
    pub(crate) async fn row(&mut self, sql: impl SqlSafeStr, args: &[Arg]) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, args).await?.into_iter().next())
    }

    /// What locks the rows a `SELECT` finds until the end of the transaction, leaving out those that others hold.
    /// SQLite has one writer at a time, so there is nothing to lock.
    pub(crate) fn skip_locked(&self) -> &'static str {
        match &self.inner {
            InnerTransaction::Sqlite { .. } => "",
            InnerTransaction::Postgres { .. } => " FOR UPDATE SKIP LOCKED",
        }
    }

    /// The same, waiting for those that others hold.
    pub(crate) fn for_update(&self) -> &'static str {
        match &self.inner {
            InnerTransaction::Sqlite { .. } => "",
            InnerTransaction::Postgres { .. } => " FOR UPDATE",
        }
    }

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self.inner {
            InnerTransaction::Sqlite { mut guard, sqlite, doing } => {
                let committed = sqlx::query("COMMIT").execute(&mut *guard).await;
                // A full disk leaves it open: then whoever is next undoes it.
                sqlite.unfinished.store(committed.is_err(), Ordering::Relaxed);
                committed.map(drop).map_err(|source| failure(doing, source))
            }
            InnerTransaction::Postgres { transaction, doing } => {
                transaction.commit().await.map_err(|source| failure(doing, source))
            }
        }
    }
}

/// The connection that writes, free of what a transaction that was dropped has left behind.
async fn writer(sqlite: &Sqlite) -> Result<MutexGuard<'_, SqliteConnection>, sqlx::Error> {
    let mut guard = sqlite.writer.lock().await;
    if sqlite.unfinished.load(Ordering::Relaxed) {
        match sqlx::query("ROLLBACK").execute(&mut *guard).await {
            // A full disk may have undone it already.
            Err(sqlx::Error::Database(error)) if error.message().contains("no transaction is active") => {}
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        sqlite.unfinished.store(false, Ordering::Relaxed);
    }
    Ok(guard)
}

/// Waits longer from attempt to attempt, and gives up in the end.
struct Patience {
    began: Instant,
    pause: Duration,
}

impl Patience {
    fn begin() -> Self {
        Self { began: Instant::now(), pause: RETRY_FIRST }
    }

    async fn wait(&mut self, error: sqlx::Error) -> Result<(), sqlx::Error> {
        if !is_passing(&error) || self.began.elapsed() > RETRY_MAX {
            return Err(error);
        }
        tracing::warn!(error = &error as &dyn std::error::Error, "the control store cannot be reached; trying again");
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(RETRY_PAUSE_MAX);
        Ok(())
    }
}

/// Runs a whole transaction again if it was undone because of others, or lost its connection. It must come to the same
/// when it runs twice: whether a lost one was committed is not known.
macro_rules! persistently {
    ($transaction:expr) => {{
        let mut attempts = 0;
        loop {
            match $transaction {
                Err(error) if error.is_passing() && attempts < 5 => attempts += 1,
                result => break result,
            }
        }
    }};
}
pub(crate) use persistently;

/// Whether the connection is at fault rather than the statement.
pub(super) fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| code.starts_with("08") || PASSING_CODES.contains(&&*code))
        }
        _ => false,
    }
}

fn failure(doing: &'static str, source: sqlx::Error) -> StoreError {
    if is_full(&source) { StoreError::Full { doing, source } } else { StoreError::Statement { doing, source } }
}

/// Whether there is no room for what is to be written: SQLITE_FULL, SQLITE_IOERR_WRITE (a file that may not grow), and
/// PostgreSQL's disk_full.
pub(super) fn is_full(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| matches!(&*code, "13" | "778" | "53100"))
}

fn of_sqlite<'q>(
    mut query: Query<'q, SqliteDatabase, SqliteArguments>,
    args: &[Arg],
) -> Query<'q, SqliteDatabase, SqliteArguments> {
    for arg in args {
        query = match arg.clone() {
            Arg::Integer(value) => query.bind(value),
            Arg::Text(value) => query.bind(value),
            Arg::Bytes(value) => query.bind(value),
        };
    }
    query
}

/// PostgreSQL's texts cannot hold the character NUL, which a record's key may: its symbol stands for it there.
fn of_postgres<'q>(mut query: Query<'q, Postgres, PgArguments>, args: &[Arg]) -> Query<'q, Postgres, PgArguments> {
    for arg in args {
        query = match arg.clone() {
            Arg::Integer(value) => query.bind(value),
            Arg::Text(value) => {
                query.bind(value.map(|text| if text.contains('\0') { text.replace('\0', "\u{2400}") } else { text }))
            }
            Arg::Bytes(value) => query.bind(value),
        };
    }
    query
}

/// Whether there is a table of that name.
pub(super) async fn regclass(connection: &mut PgConnection, name: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(name).fetch_one(connection).await
}
