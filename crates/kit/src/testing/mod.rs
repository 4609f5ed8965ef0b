//! For tests of destinations: a scripted server on loopback, a clock, random numbers, a runner of cases and the
//! conformance suite that every destination gets.

pub mod cases;
pub mod conformance;
mod server;
mod unwritten;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use mapping::SyncMode;
use records::{Clock, Operation, Random, Value};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use crate::simulator::{Received, Reply};
use crate::{Batch, Destination, Fate, LoadPlan, LoadStop, Payload, RetrySettings, Wire, load};
pub use server::Server;

/// A clock that begins at a fixed time and goes as tokio's does, so that pausing one pauses the other.
#[derive(Debug)]
pub struct TestClock(Mutex<Option<Instant>>);

impl TestClock {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(None)))
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let now = Instant::now();
        let begun = *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert(now);
        let millis = i64::try_from(now.duration_since(begun).as_millis()).unwrap_or(i64::MAX);
        // 2026-01-01T00:00:00Z.
        Timestamp::from_millisecond(1_767_225_600_000_i64.saturating_add(millis)).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// Numbers drawn from a seed.
#[derive(Debug)]
pub struct TestRandom(AtomicU64);

impl TestRandom {
    pub fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(seed)))
    }
}

impl Random for TestRandom {
    fn next(&self) -> u64 {
        // SplitMix64.
        let state = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed).wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// A payload of that place in the change set.
pub fn payload(index: u64, fields: Value) -> Payload {
    Payload {
        index,
        key: index.to_string(),
        operation: Operation::Added,
        message_id: format!("msg_{index:032x}"),
        fields,
    }
}

/// A load of batches, with what a mapping need not say left at its default.
pub fn load_plan(destination: Arc<dyn Destination>, wire: Wire, action: &str, mode: SyncMode) -> LoadPlan {
    LoadPlan {
        destination,
        wire,
        action: action.to_owned(),
        mode,
        sync: "sync_1".to_owned(),
        batching: true,
        settings: Arc::default(),
        batch: None,
        batch_keys: Vec::new(),
        jobs: None,
        retry: RetrySettings::default(),
    }
}

/// A batch of those payloads.
pub fn batch(action: &str, mode: SyncMode, records: Vec<Payload>) -> Batch {
    Batch {
        action: action.to_owned(),
        mode,
        sync: "sync_1".to_owned(),
        batching: true,
        settings: Arc::default(),
        records,
        jobs: None,
    }
}

/// Loads all payloads and gives the fates in the order of the payloads.
pub async fn load_all(plan: &LoadPlan, payloads: Vec<Payload>) -> (Vec<Fate>, Result<(), LoadStop>) {
    let (input, from) = mpsc::channel(64);
    let (output, mut fates) = mpsc::channel(64);
    let feed = async move {
        for payload in payloads {
            if input.send(payload).await.is_err() {
                break;
            }
        }
    };
    let collect = async move {
        let mut all = Vec::new();
        while let Some(fate) = fates.recv().await {
            all.push(fate);
        }
        all.sort_by_key(|fate: &Fate| fate.index);
        all
    };
    let run = load(plan, from, output, CancellationToken::new(), TestRandom::new(1));
    let ((), fates, result) = tokio::join!(feed, collect, run);
    (fates, result)
}
