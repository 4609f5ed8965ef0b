//! Some thousands of stories. `SIMULATE_SEEDS` tells how many, `SIMULATE_SEED` repeats one.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    sync::{Mutex, PoisonError},
};

use simulation::Summary;

const SEEDS: u64 = 2000;

fn number(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "a person chooses the seeds of a simulation")]
    std::env::var(name).ok()?.parse().ok()
}

/// A folder in memory where there is one: thousands of stories sync thousands of files.
fn folder() -> tempfile::TempDir {
    let memory = PathBuf::from("/dev/shm");
    let built = tempfile::Builder::new().prefix("outflow-simulation-").tempdir_in(&memory);
    built.or_else(|_| tempfile::tempdir()).expect("a temporary folder")
}

fn add(into: &Mutex<Summary>, one: Summary) {
    let mut sum = into.lock().unwrap_or_else(PoisonError::into_inner);
    sum.syncs += one.syncs;
    sum.crashes += one.crashes;
    sum.cancelled += one.cancelled;
    sum.failed += one.failed;
    sum.held += one.held;
    sum.released += one.released;
    sum.delivered += one.delivered;
    sum.given_up += one.given_up;
    sum.taken_again += one.taken_again;
    sum.collected += one.collected;
}

#[test]
fn nothing_is_lost_and_nothing_claimed_falsely_whatever_goes_wrong() {
    let (first, seeds) = match number("SIMULATE_SEED") {
        Some(seed) => (seed, 1),
        None => (number("SIMULATE_FIRST").unwrap_or(0), number("SIMULATE_SEEDS").unwrap_or(SEEDS)),
    };
    let next = AtomicU64::new(first);
    let sum = Mutex::new(Summary::default());
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, std::num::NonZero::get) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let enough = failures.lock().unwrap_or_else(PoisonError::into_inner).len() >= 3;
                    if seed >= first + seeds || enough {
                        return;
                    }
                    let folder = folder();
                    match simulation::run(seed, folder.path()) {
                        Ok(one) => add(&sum, one),
                        Err(failure) => failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure),
                    }
                }
            });
        }
    });
    let sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{seeds} stories from seed {first}: {sum:?}");
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    for failure in &failures {
        println!("{failure}\n  repeat it: make simulate SEED={}\n", failure.seed);
    }
    assert!(failures.is_empty(), "{} stories went wrong, the first with seed {}", failures.len(), failures[0].seed);
    if seeds >= 500 {
        // Stories without trouble would prove nothing.
        assert!(sum.crashes > seeds / 20 && sum.cancelled > 0 && sum.failed > 0, "{sum:?}");
        assert!(sum.held > 0 && sum.released > 0 && sum.given_up > 0, "{sum:?}");
    }
}
