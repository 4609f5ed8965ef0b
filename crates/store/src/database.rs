//! The control store's database: opening and migrating it, SQLite or PostgreSQL, and the connections statements share.

mod connection;
mod copying;
mod dialect;
mod row;

use std::{
    path::Path,
    str::FromStr as _,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
        mpsc,
    },
    time::Duration,
};

use jiff::Timestamp;
use records::Clock;
use sqlx::{
    ConnectOptions, Connection as _, Row as _, SqliteConnection,
    migrate::{Migrate, MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPool, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::{Mutex, Semaphore},
};

pub(crate) use self::{
    connection::{Connection, Transaction, persistently},
    copying::{ColumnKind, Snapshot, schema_version, tables},
    row::{Arg, Row, args, from_micros, to_micros, variant},
};

/// Written for SQLite; [`dialect`] makes PostgreSQL's of the same text.
static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// How long a statement waits for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// Statements that may read an SQLite store at the same time, beside the one that writes.
const READERS_MAX: usize = 4;
/// Connections to PostgreSQL that one process holds at most.
const POOL_MAX: u32 = 16;
/// How long a statement waits for a free connection to PostgreSQL.
const POOL_TIMEOUT: Duration = Duration::from_secs(30);

/// What can go wrong with the control store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot open the control store `{place}`; check that the folder exists and may be written to")]
    Open {
        place: String,
        #[source]
        source: sqlx::Error,
    },
    #[error("`{place}` is not the address of a PostgreSQL database; write `postgres://USER:PASSWORD@HOST/DATABASE`")]
    Address {
        place: String,
        #[source]
        source: sqlx::Error,
    },
    #[error("cannot connect to the control store `{place}`; check that the server runs and the login is right")]
    Connect {
        place: String,
        #[source]
        source: sqlx::Error,
    },
    #[error(
        "the control store `{place}` was written by a newer version of Outflow (schema {found}, this one knows \
         {known}); use that version or a newer one"
    )]
    NewerSchema { place: String, found: i64, known: i64 },
    #[error(
        "cannot bring the control store `{place}` to this version's schema; it is unchanged, and the older version can \
         still use it"
    )]
    Migrate {
        place: String,
        #[source]
        source: MigrateError,
    },
    #[error("the control store failed to {doing}")]
    Statement {
        doing: &'static str,
        #[source]
        source: sqlx::Error,
    },
    #[error("the control store cannot {doing}: its disk is full, or its file too large for it; free some of it")]
    Full {
        doing: &'static str,
        #[source]
        source: sqlx::Error,
    },
    #[error("no sync has the id `{0}`; `outflow history` lists them")]
    UnknownSync(String),
    #[error("`{text}` is the start of several sync ids: {}; write more of it", .matches.join(", "))]
    AmbiguousSync { text: String, matches: Vec<String> },
    #[error("the control store could not {doing}: others were faster each time; try again")]
    Contended { doing: &'static str },
    #[error("the control store holds `{value}` as {what}, which this version cannot read")]
    Unreadable { what: &'static str, value: String },
}

impl StoreError {
    /// Whether the same may succeed later without a change by a person.
    pub fn is_passing(&self) -> bool {
        match self {
            StoreError::Statement { source, .. } | StoreError::Connect { source, .. } => connection::is_passing(source),
            StoreError::Contended { .. } => true,
            _ => false,
        }
    }

    /// Whether a unique constraint refused the statement: somebody was first.
    pub(crate) fn is_taken(&self) -> bool {
        matches!(self, StoreError::Statement { source: sqlx::Error::Database(error), .. } if error.is_unique_violation())
    }
}

/// The control store. Cheap to clone. Other processes may have it open too.
///
/// In SQLite, what one process writes goes through one connection; in PostgreSQL through a pool. Statements that meet
/// a lost connection to PostgreSQL are tried again for a while, so each must come to the same when it runs twice.
#[derive(Debug, Clone)]
pub struct Store {
    database: Arc<Database>,
    clock: Arc<dyn Clock>,
    /// Counts what a statement that runs twice must know itself by.
    attempts: Arc<AtomicI64>,
}

#[derive(Debug)]
enum Database {
    Sqlite(Box<Sqlite>),
    Postgres(PgPool),
}

#[derive(Debug)]
struct Sqlite {
    writer: Mutex<SqliteConnection>,
    /// A transaction of the writer was begun and not ended.
    unfinished: AtomicBool,
    /// None for a store in memory, which has one connection only.
    readers: Option<Readers>,
}

/// Connections that only read; opened when they are first needed.
#[derive(Debug)]
struct Readers {
    options: SqliteConnectOptions,
    free: Semaphore,
    idle: std::sync::Mutex<Vec<SqliteConnection>>,
}

impl Store {
    /// Opens the SQLite store at `path`, creating it if there is none, and brings it to this version's schema.
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
        let readers = options.clone().create_if_missing(false).pragma("query_only", "1").disable_statement_logging();
        let readers =
            Readers { options: readers, free: Semaphore::new(READERS_MAX), idle: std::sync::Mutex::default() };
        Self::connect_sqlite(options, path, Some(readers), clock).await
    }

    /// An empty store that lives in memory and ends with its last clone.
    ///
    /// # Errors
    /// As for [`Store::open`].
    pub async fn open_in_memory(clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new().in_memory(true).foreign_keys(true);
        Self::connect_sqlite(options, Path::new(":memory:"), None, clock).await
    }

    /// Opens the store in a PostgreSQL database and brings it to this version's schema. `url` is
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with `?sslmode=require` and the like behind it.
    ///
    /// # Errors
    /// The address is wrong, the server does not answer, or a newer version of Outflow wrote the store.
    pub async fn open_postgres(url: &str, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url)
            .map_err(|source| StoreError::Address { place: without_password(url), source })?
            .application_name("outflow")
            .disable_statement_logging();
        let place = format!(
            "postgres://{}:{}/{}",
            options.get_host(),
            options.get_port(),
            options.get_database().unwrap_or_default()
        );
        let failed = |source| StoreError::Connect { place: place.clone(), source };
        let pool = PgPoolOptions::new()
            .max_connections(POOL_MAX)
            .acquire_timeout(POOL_TIMEOUT)
            .connect_with(options)
            .await
            .map_err(failed)?;
        let mut connection = pool.acquire().await.map_err(failed)?;
        let found = if connection::regclass(&mut connection, "_sqlx_migrations").await.map_err(failed)? {
            sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations")
                .fetch_one(&mut *connection)
                .await
                .map_err(failed)?
        } else {
            None
        };
        not_newer(&place, found)?;
        let migrations = dialect::of_postgres(&MIGRATIONS);
        // The migrator takes a lock of the database's own, so that two processes that open it do not collide.
        run(&migrations, &mut *connection).await.map_err(|source| StoreError::Migrate { place, source })?;
        drop(connection);
        Ok(Self::of(Database::Postgres(pool), clock))
    }

    async fn connect_sqlite(
        options: SqliteConnectOptions,
        path: &Path,
        readers: Option<Readers>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let _still = StillClock::new();
        let open = |source| StoreError::Open { place: path.display().to_string(), source };
        let mut connection = options.disable_statement_logging().connect().await.map_err(open)?;
        migrate_sqlite(&mut connection, path).await?;
        let sqlite = Sqlite { writer: Mutex::new(connection), unfinished: AtomicBool::new(false), readers };
        Ok(Self::of(Database::Sqlite(Box::new(sqlite)), clock))
    }

    fn of(database: Database, clock: Arc<dyn Clock>) -> Self {
        Self { database: Arc::new(database), clock, attempts: Arc::default() }
    }

    /// Whether several processes may share the store, on several machines.
    pub fn is_shared(&self) -> bool {
        matches!(*self.database, Database::Postgres(_))
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// It gives none.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.read().await?.row("answer", "SELECT 1 AS one", args![]).await.map(drop)
    }

    /// A connection for statements that change something.
    pub(crate) async fn write(&self) -> Result<Connection<'_>, StoreError> {
        match &*self.database {
            Database::Sqlite(sqlite) => Connection::of_writer(sqlite).await,
            Database::Postgres(pool) => Ok(Connection::of_pool(pool)),
        }
    }

    /// A connection for statements that only read. It sees all that was committed before.
    pub(crate) async fn read(&self) -> Result<Connection<'_>, StoreError> {
        match &*self.database {
            Database::Sqlite(sqlite) => match &sqlite.readers {
                None => Connection::of_writer(sqlite).await,
                Some(readers) => Connection::of_reader(readers).await,
            },
            Database::Postgres(pool) => Ok(Connection::of_pool(pool)),
        }
    }

    /// Begins a transaction that changes something. What is not committed is undone when it is dropped.
    pub(crate) async fn begin(&self, doing: &'static str) -> Result<Transaction<'_>, StoreError> {
        match &*self.database {
            Database::Sqlite(sqlite) => Transaction::of_writer(sqlite, doing).await,
            Database::Postgres(pool) => Transaction::of_pool(pool, doing).await,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A number that this store's clones have not had yet.
    pub(crate) fn next_attempt(&self) -> i64 {
        self.attempts.fetch_add(1, Ordering::Relaxed)
    }
}

impl Readers {
    async fn take(&self) -> Result<SqliteConnection, sqlx::Error> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(connection) => Ok(connection),
            None => self.options.connect().await,
        }
    }

    fn give_back(&self, connection: SqliteConnection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

/// SQLite works on a thread of its own, which a paused tokio clock does not know of: it would leap to the next timer
/// while a statement runs, and a simulation would not be repeatable. A blocking task that waits holds the clock.
#[derive(Debug)]
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

/// `run` does the same, but its future cannot be sent between threads.
async fn run<C: Migrate>(migrations: &Migrator, connection: &mut C) -> Result<(), MigrateError> {
    migrations.run_direct(None, connection, false).await
}

fn not_newer(place: &str, found: Option<i64>) -> Result<(), StoreError> {
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    match found.filter(|found| *found > known) {
        Some(found) => Err(StoreError::NewerSchema { place: place.to_owned(), found, known }),
        None => Ok(()),
    }
}

/// Two processes may open a new store at once: the write lock is taken first, so the second finds the work done.
async fn migrate_sqlite(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let place = path.display().to_string();
    let failed = |source: MigrateError| match source {
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) if connection::is_full(&source) => {
            StoreError::Full { doing: "be brought to this version's schema", source }
        }
        source => StoreError::Migrate { place: place.clone(), source },
    };
    let unanswered = |source: sqlx::Error| failed(source.into());
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(unanswered)?;
    let migrated = sqlx::query("SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations'")
        .fetch_optional(&mut *transaction)
        .await
        .map_err(unanswered)?;
    if migrated.is_some() {
        let newest = sqlx::query("SELECT max(version) AS newest FROM _sqlx_migrations")
            .fetch_one(&mut *transaction)
            .await
            .map_err(unanswered)?;
        not_newer(&place, newest.try_get("newest").map_err(unanswered)?)?;
    }
    run(&MIGRATIONS, &mut *transaction).await.map_err(failed)?;
    transaction.commit().await.map_err(unanswered)
}

fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => "the address".to_owned(),
    }
}

#[cfg(test)]
mod tests;
