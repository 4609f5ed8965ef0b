//! The control store's SQLite file: opening, migrating, and the one connection all statements share.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    time::Duration,
};

use jiff::Timestamp;
use records::Clock;
use sqlx::{
    ConnectOptions, Connection, Row, SqliteConnection,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous},
};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::{Mutex, MutexGuard},
};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// How long a statement waits for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// What can go wrong with the control store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot open the control store `{}`; check that the folder exists and may be written to", path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: sqlx::Error,
    },
    #[error(
        "the control store `{}` was written by a newer version of Outflow (schema {found}, this one knows {known}); \
         use that version or a newer one",
        path.display()
    )]
    NewerSchema { path: PathBuf, found: i64, known: i64 },
    #[error(
        "cannot bring the control store `{}` to this version's schema; it is unchanged, and the older version can \
         still use it",
        path.display()
    )]
    Migrate {
        path: PathBuf,
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    #[error("the control store failed to {doing}")]
    Statement {
        doing: &'static str,
        #[source]
        source: sqlx::Error,
    },
    #[error("no sync has the id `{0}`; `outflow history` lists them")]
    UnknownSync(String),
    #[error("`{text}` is the start of several sync ids: {}; write more of it", .matches.join(", "))]
    AmbiguousSync { text: String, matches: Vec<String> },
    #[error("the control store holds `{value}` as {what}, which this version cannot read")]
    Unreadable { what: &'static str, value: String },
}

/// The control store. Statements of one process run one after the other; other processes may have it open too.
#[derive(Debug, Clone)]
pub struct Store {
    connection: Arc<Mutex<SqliteConnection>>,
    clock: Arc<dyn Clock>,
}

impl Store {
    /// Opens the store at `path`, creating it if there is none, and brings it to this version's schema.
    ///
    /// # Errors
    /// The file cannot be opened or is not a store, or a newer version of Outflow wrote it.
    pub async fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            // In WAL mode readers never wait for the writer; FULL keeps what was committed even if the power fails.
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        Self::connect(options, path, clock).await
    }

    /// An empty store that lives in memory and ends with its last clone.
    ///
    /// # Errors
    /// As for [`Store::open`].
    pub async fn open_in_memory(clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new().in_memory(true).foreign_keys(true);
        Self::connect(options, Path::new(":memory:"), clock).await
    }

    async fn connect(options: SqliteConnectOptions, path: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let _still = StillClock::new();
        let open = |source| StoreError::Open { path: path.to_owned(), source };
        let mut connection = options.disable_statement_logging().connect().await.map_err(open)?;
        migrate(&mut connection, path).await?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), clock })
    }

    pub(crate) async fn connection(&self) -> Held<'_> {
        let still = StillClock::new();
        Held { connection: self.connection.lock().await, _still: still }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// The connection, for one method of the store. A paused clock stands still as long as it is held.
pub(crate) struct Held<'a> {
    connection: MutexGuard<'a, SqliteConnection>,
    _still: Option<StillClock>,
}

impl std::ops::Deref for Held<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl std::ops::DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

/// SQLite works on a thread of its own, which a paused tokio clock does not know of: it would leap to the next timer
/// while a statement runs, and a simulation would not be repeatable. A blocking task that waits holds the clock.
struct StillClock {
    _release: mpsc::Sender<()>,
}

impl StillClock {
    /// Only the runtime of one thread can pause its clock; others need no such task.
    fn new() -> Option<Self> {
        let handle = Handle::try_current().ok()?;
        if handle.runtime_flavor() != RuntimeFlavor::CurrentThread {
            return None;
        }
        let (release, released) = mpsc::channel::<()>();
        drop(handle.spawn_blocking(move || released.recv().is_ok()));
        Some(Self { _release: release })
    }
}

/// Two processes may open a new store at once: the write lock is taken first, so the second finds the work done.
async fn migrate(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let failed = |source: sqlx::Error| StoreError::Migrate { path: path.to_owned(), source: source.into() };
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    let migrated = sqlx::query("SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations'")
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed)?;
    if migrated.is_some() {
        let found: Option<i64> = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations")
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed)?;
        if let Some(found) = found.filter(|found| *found > known) {
            return Err(StoreError::NewerSchema { path: path.to_owned(), found, known });
        }
    }
    // `run` does the same, but its future cannot be sent between threads.
    MIGRATIONS
        .run_direct(None, &mut *transaction, false)
        .await
        .map_err(|source| StoreError::Migrate { path: path.to_owned(), source })?;
    transaction.commit().await.map_err(failed)
}

/// Turns a failed statement into the store's error, naming what it was for.
pub(crate) fn statement(doing: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |source| StoreError::Statement { doing, source }
}

pub(crate) fn to_micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// Reads a column of times.
pub(crate) fn time(row: &SqliteRow, column: &'static str) -> Result<Timestamp, StoreError> {
    let micros: i64 = row.try_get(column).map_err(statement("read a time"))?;
    from_micros(micros)
}

pub(crate) fn from_micros(micros: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(micros)
        .map_err(|_| StoreError::Unreadable { what: "a time", value: micros.to_string() })
}

/// SQLite's integers are signed; a count beyond their range is kept as the largest.
pub(crate) fn to_integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Reads a column of counts.
pub(crate) fn count(row: &SqliteRow, column: &'static str) -> Result<u64, StoreError> {
    let number: i64 = row.try_get(column).map_err(statement("read a count"))?;
    u64::try_from(number).map_err(|_| StoreError::Unreadable { what: "a count", value: number.to_string() })
}

/// Reads a word that stands for a variant: `words` pairs each variant with its word.
pub(crate) fn variant<T: Copy>(words: &[(T, &str)], what: &'static str, word: &str) -> Result<T, StoreError> {
    words
        .iter()
        .find(|(_, known)| *known == word)
        .map(|(variant, _)| *variant)
        .ok_or_else(|| StoreError::Unreadable { what, value: word.to_owned() })
}

#[cfg(test)]
mod tests;
