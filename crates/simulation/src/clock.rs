//! Time of day that follows the runtime's paused clock, and randomness drawn from the seed.

use std::sync::Mutex;

use jiff::Timestamp;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use records::{Clock, Random};
use tokio::time::Instant;

/// Starts on 2024-06-01 and moves as the runtime's clock does.
#[derive(Debug)]
pub struct FakeClock {
    began: Instant,
}

impl FakeClock {
    #[expect(clippy::new_without_default, reason = "it begins at a moment")]
    pub fn new() -> Self {
        Self { began: Instant::now() }
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        let start = Timestamp::from_second(1_717_200_000).unwrap_or(Timestamp::UNIX_EPOCH);
        start + self.began.elapsed()
    }
}

/// Numbers drawn from a seed, shared by all who need chance in a story.
#[derive(Debug)]
pub struct Dice(Mutex<StdRng>);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }

    /// A number below `limit`, which is at least 1.
    pub fn below(&self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    pub fn range(&self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    /// True in `percent` of 100 throws.
    pub fn chance(&self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

impl Random for Dice {
    fn next(&self) -> u64 {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next_u64()
    }
}
