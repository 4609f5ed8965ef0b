//! How often and how soon the same is sent again.

use std::time::Duration;

use records::Random;

/// Limits on sending again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetrySettings {
    /// How many times a batch is sent in all, if passing faults befall it. Rate limits do not count.
    pub attempts_max: u32,
    /// How long a batch is tried, from when it was first sent.
    pub elapsed_max: Duration,
    /// The longest wait before the second attempt. It doubles with each further one.
    pub delay_first: Duration,
    /// The longest wait of our own choice.
    pub delay_max: Duration,
    /// The longest wait at the destination's wish.
    pub retry_after_max: Duration,
    /// So many batches in a row tried to the limit end the load.
    pub failing_batches_max: u32,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            attempts_max: 6,
            elapsed_max: Duration::from_secs(15 * 60),
            delay_first: Duration::from_secs(1),
            delay_max: Duration::from_secs(60),
            retry_after_max: Duration::from_secs(5 * 60),
            failing_batches_max: 5,
        }
    }
}

impl RetrySettings {
    /// How long to wait after so many failures: anything up to a bound that doubles ("full jitter"), so that
    /// clients that failed together do not come back together. A wish of the destination is the least.
    pub(super) fn delay(&self, failures: u32, after: Option<Duration>, random: &dyn Random) -> Duration {
        let bound = self.delay_first.saturating_mul(1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        let bound = bound.min(self.delay_max);
        // 53 bits make an even fraction of one.
        let fraction = (random.next() >> 11) as f64 / (1u64 << 53) as f64;
        match after {
            Some(after) => after.min(self.retry_after_max) + self.delay_first.min(bound).mul_f64(fraction),
            None => bound.mul_f64(fraction),
        }
    }
}
