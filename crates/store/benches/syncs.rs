//! How long the lists of syncs take with a million of them, in both databases: `cargo bench -p store`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement tells, and what fails here is to be seen")]

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use records::{Clock, SyncId};
use sqlx::{AssertSqlSafe, Connection as _};
use store::{Cause, RunFilter, Store, SyncState};
use tokio::time::Instant;

const SYNCS: u64 = 1_000_000;
const ROUNDS: usize = 300;
const MAPPINGS: u64 = 10_000;

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }
}

/// A million syncs of ten thousand mappings, one each 40 seconds. `number` is SQL for the number of a row, `hex` and
/// `text` say how a number becomes hexadecimal digits and text.
fn rows(numbers: &str, hex: impl Fn(&str) -> String) -> String {
    let millis = "(1760000000000 + n * 40000)";
    let state = "CASE WHEN n % 50 = 0 THEN 'failed' WHEN n % 30 = 0 THEN 'partly' WHEN n % 97 = 0 THEN 'cancelled' ELSE 'done' END";
    format!(
        "INSERT INTO syncs (id, mapping, state, trigger, started_at, finished_at, counts, cause, model, source, \
         destination, queued_at, due_at, noted) SELECT 'sync_' || {id} || '70008000' || {tail}, \
         'mapping_' || (n % {MAPPINGS}), {state}, 'schedule', {millis} * 1000, {millis} * 1000 + 5000000, '{{}}', \
         CASE WHEN n % 5000 = 0 THEN 'hook' ELSE 'schedule' END, 'model_' || (n % 500), 'source_' || (n % 20), \
         'destination_' || (n % 40), {millis} * 1000, {millis} * 1000, 1 FROM ({numbers}) AS numbers",
        id = hex(millis),
        tail = hex("n"),
    )
}

async fn sqlite(folder: &std::path::Path) -> Store {
    let path = folder.join("control.db");
    let store = Store::open(&path, Arc::new(Still)).await.unwrap();
    let mut connection = sqlx::SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    let numbers = format!(
        "WITH RECURSIVE series(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM series WHERE n < {SYNCS} - 1) SELECT n FROM series"
    );
    let sql = rows(&numbers, |number| format!("printf('%012x', {number})"));
    sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    sqlx::query("ANALYZE").execute(&mut connection).await.unwrap();
    store
}

async fn postgres(server: &postgres_server::PostgresServer) -> Store {
    let store = Store::open_postgres(&server.url(), Arc::new(Still)).await.unwrap();
    let mut connection = sqlx::PgConnection::connect(&server.url()).await.unwrap();
    let numbers = format!("SELECT n FROM generate_series(0::BIGINT, {SYNCS} - 1) AS n");
    let sql = rows(&numbers, |number| format!("lpad(to_hex({number}::BIGINT), 12, '0')"));
    sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    sqlx::query("ANALYZE").execute(&mut connection).await.unwrap();
    store
}

async fn measure(name: &str, mut work: impl AsyncFnMut(u64) -> usize) {
    let mut took = Vec::with_capacity(ROUNDS);
    let mut found = 0;
    for round in 0..ROUNDS {
        let begun = Instant::now();
        found += work(round as u64).await;
        took.push(begun.elapsed());
    }
    took.sort();
    let millis = |at: usize| took[at].as_secs_f64() * 1_000.0;
    let (median, p99) = (millis(ROUNDS / 2), millis(ROUNDS * 99 / 100));
    println!("  {name:<44} {median:>8.2} ms  p99 {p99:>8.2} ms  {} rows", found / ROUNDS);
}

async fn measure_all(store: &Store) {
    let named = |noun: &str, number: u64, of: u64| Some(format!("{noun}_{}", number * 7 % of));
    let list = async |filter: RunFilter, before: Option<SyncId>| store.runs(&filter, before, 50).await.unwrap().len();
    measure("all", async |_| list(RunFilter::default(), None).await).await;
    let half = RunFilter { to: Timestamp::from_second(1_780_000_000).ok(), ..RunFilter::default() };
    let middle = store.runs(&half, None, 1).await.unwrap().first().map(|run| run.sync.id);
    measure("all, from the middle", async |_| list(RunFilter::default(), middle).await).await;
    measure("of a mapping", async |round| {
        list(RunFilter { mapping: named("mapping", round, MAPPINGS), ..RunFilter::default() }, None).await
    })
    .await;
    measure("of a model, failed", async |round| {
        let states = vec![SyncState::Failed];
        list(RunFilter { model: named("model", round, 500), states, ..RunFilter::default() }, None).await
    })
    .await;
    measure("of a destination, failed or partly", async |round| {
        let states = vec![SyncState::Failed, SyncState::Partly];
        list(RunFilter { destination: named("destination", round, 40), states, ..RunFilter::default() }, middle).await
    })
    .await;
    measure("of a destination that has none, failed", async |_| {
        let states = vec![SyncState::Failed];
        list(RunFilter { destination: Some("destination_1".to_owned()), states, ..RunFilter::default() }, None).await
    })
    .await;
    measure("of a source, in a month", async |round| {
        let (from, to) = (Timestamp::from_second(1_770_000_000).ok(), Timestamp::from_second(1_772_600_000).ok());
        list(RunFilter { source: named("source", round, 20), from, to, ..RunFilter::default() }, None).await
    })
    .await;
    measure("interrupted", async |_| {
        list(RunFilter { states: vec![SyncState::Interrupted], ..RunFilter::default() }, None).await
    })
    .await;
    measure("started by hooks", async |_| {
        list(RunFilter { cause: Some(Cause::Hook), ..RunFilter::default() }, None).await
    })
    .await;
    measure("of a model and a destination", async |round| {
        let (model, destination) = (named("model", round, 500), named("destination", round, 40));
        list(RunFilter { model, destination, ..RunFilter::default() }, None).await
    })
    .await;
    measure("open ones, counted", async |_| store.open_counts().await.unwrap().len()).await;
    measure("the last end of a mapping", async |round| {
        let mapping = named("mapping", round, MAPPINGS).unwrap_or_default();
        usize::from(store.last_finished(&mapping).await.unwrap().is_some())
    })
    .await;
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let store = sqlite(folder.path()).await;
    println!("SQLite, {SYNCS} syncs (made in {:.0?})", begun.elapsed().max(Duration::from_secs(1)));
    measure_all(&store).await;
    drop(store);
    let server = postgres_server::PostgresServer::start(&Default::default());
    let begun = Instant::now();
    let store = postgres(&server).await;
    println!("PostgreSQL, {SYNCS} syncs (made in {:.0?})", begun.elapsed().max(Duration::from_secs(1)));
    measure_all(&store).await;
}
