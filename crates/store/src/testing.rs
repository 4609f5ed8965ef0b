//! What the tests of this crate share: a clock set by hand, and ids from numbers.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use jiff::Timestamp;
use records::{Clock, Random, SyncId};

use crate::{NewSync, Store};

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

pub(crate) async fn memory_store() -> (Store, Arc<HandClock>) {
    let clock = Arc::new(HandClock::default());
    clock.set(1_000);
    (Store::open_in_memory(Arc::<HandClock>::clone(&clock)).await.unwrap(), clock)
}

pub(crate) fn new_sync(seconds: i64, mapping: &str) -> NewSync {
    NewSync { id: sync_id(seconds), mapping: mapping.to_owned(), trigger: "command".to_owned(), change_set: None }
}
