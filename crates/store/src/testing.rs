//! What the tests of this crate share: a clock set by hand, and ids from numbers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use records::{Clock, Random, SessionId, SyncId, TokenId, UserId, WorkerId};

use crate::{Actor, Author, Cause, NewRun, NewSession, NewSync, NewUser, Role, SessionLimits, Store, Task};

/// Shows the seconds it was set to.
#[derive(Debug, Default)]
pub(crate) struct HandClock(AtomicI64);

impl HandClock {
    pub(crate) fn set(&self, seconds: i64) {
        self.0.store(seconds, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        second(self.0.load(Ordering::SeqCst))
    }
}

#[derive(Debug)]
struct Always(u64);

impl Random for Always {
    fn next(&self) -> u64 {
        self.0
    }
}

pub(crate) fn second(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

/// The id of a sync begun at that second.
pub(crate) fn sync_id(seconds: i64) -> SyncId {
    SyncId::new(second(seconds), &Always(7))
}

/// Counts on for the whole process, so that no two ids are the same, and later ones sort behind.
#[derive(Debug)]
pub(crate) struct Counting;

impl Random for Counting {
    fn next(&self) -> u64 {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        // Ids take the bytes from the lowest on.
        COUNT.fetch_add(1, Ordering::SeqCst).swap_bytes()
    }
}

/// Somebody who changes something.
pub(crate) fn author(id: &str) -> Author {
    let actor = Actor { id: id.to_owned(), name: format!("the person {id}") };
    Author::new(actor, None, Arc::new(Counting))
}

pub(crate) const SESSION_LIMITS: SessionLimits =
    SessionLimits { idle: Duration::from_secs(600), absolute: Duration::from_secs(3_000) };

pub(crate) fn new_user(number: i64, role: Role) -> NewUser {
    NewUser {
        id: UserId::new(second(number), &Always(7)),
        email: format!("user{number}@example.com"),
        name: format!("User {number}"),
        role,
        see_personal: None,
        password_hash: None,
        identity: None,
    }
}

/// A session whose token has the hash `hash NUMBER`.
pub(crate) fn new_session(number: i64, user: UserId) -> NewSession {
    NewSession {
        id: SessionId::new(second(number), &Always(7)),
        token_hash: format!("hash {number}"),
        user,
        address: Some("192.0.2.7".to_owned()),
        agent: None,
    }
}

pub(crate) fn token_id(number: i64) -> TokenId {
    TokenId::new(second(number), &Always(7))
}

/// Runs each test function on SQLite by a test of its own, and all of them on PostgreSQL, each in a new database of
/// one server.
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {
        mod in_sqlite {
            $(
                #[tokio::test]
                async fn $name() {
                    let (store, clock) = $crate::testing::memory_store().await;
                    super::$name(store, clock).await;
                }
            )+
        }

        #[tokio::test]
        async fn in_postgresql() {
            let server = postgres_server::PostgresServer::start(&Default::default());
            $(
                let (store, clock) = $crate::testing::postgres_store(&server, stringify!($name)).await;
                $name(store, clock).await;
            )+
        }
    };
}
pub(crate) use on_both_databases;

/// A store in a new database of a server.
pub(crate) async fn postgres_store(server: &postgres_server::PostgresServer, test: &str) -> (Store, Arc<HandClock>) {
    let clock = Arc::new(HandClock::default());
    clock.set(1_000);
    let url = postgres_database(server, test);
    (Store::open_postgres(&url, Arc::<HandClock>::clone(&clock)).await.unwrap(), clock)
}

/// Makes a database named after a test and gives its address.
pub(crate) fn postgres_database(server: &postgres_server::PostgresServer, test: &str) -> String {
    // A database's name has 63 bytes at most.
    let name: String = test.chars().take(60).collect();
    let made = server.psql().args(["--command", &format!("CREATE DATABASE {name}")]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    server.url().replace("/postgres", &format!("/{name}"))
}

pub(crate) async fn memory_store() -> (Store, Arc<HandClock>) {
    let clock = Arc::new(HandClock::default());
    clock.set(1_000);
    (Store::open_in_memory(Arc::<HandClock>::clone(&clock)).await.unwrap(), clock)
}

pub(crate) fn new_sync(seconds: i64, mapping: &str) -> NewSync {
    NewSync { id: sync_id(seconds), mapping: mapping.to_owned(), trigger: "command".to_owned(), change_set: None }
}

/// A process.
pub(crate) fn worker(number: u128) -> WorkerId {
    format!("worker_{number:032x}").parse().unwrap()
}

/// A sync for the queue, due at that second.
pub(crate) fn new_run(seconds: i64, mapping: &str) -> NewRun {
    NewRun {
        id: sync_id(seconds),
        mapping: mapping.to_owned(),
        mapping_version: None,
        model: "people".to_owned(),
        source: "shop".to_owned(),
        destination: "tool".to_owned(),
        extracts_max: 100,
        task: Task::Sync,
        confirmed: false,
        cause: Cause::Schedule,
        trigger: "schedule".to_owned(),
        requested_by: Some(Actor { id: "user_1".to_owned(), name: "Ada".to_owned() }),
        due_at: second(seconds),
        key: None,
    }
}
