//! One rate limit for an account of a destination, shared by all its syncs.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::{Limits, Pace};

/// Requests per second with a burst, a pause of the whole destination, and how many requests may be under way.
#[derive(Debug)]
pub struct Limiter {
    rate: Option<f64>,
    burst: f64,
    bucket: Mutex<Bucket>,
    pub(crate) pace: Pace,
}

#[derive(Debug, Default)]
struct Bucket {
    /// Tokens at hand when last looked at. Below zero: promised to those who wait already.
    tokens: f64,
    looked_at: Option<Instant>,
    paused_until: Option<Instant>,
}

impl Limiter {
    pub fn new(limits: &Limits) -> Self {
        let burst = f64::from(limits.burst.max(1));
        Self {
            rate: limits.requests_per_second.filter(|rate| rate.is_finite() && *rate > 0.0),
            burst,
            bucket: Mutex::new(Bucket { tokens: burst, ..Bucket::default() }),
            pace: Pace::new(limits.concurrency),
        }
    }

    /// Waits until one more request may be made. Those who came first go first.
    pub async fn acquire(&self) {
        self.unpaused().await;
        if let Some(at) = self.promise(Instant::now()) {
            sleep_until(at).await;
            self.unpaused().await;
        }
    }

    /// Stops all requests for a while. A shorter pause does not end a longer one.
    pub fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        if bucket.paused_until.is_none_or(|current| current < until) {
            bucket.paused_until = Some(until);
        }
    }

    async fn unpaused(&self) {
        loop {
            let until = self.bucket.lock().unwrap_or_else(PoisonError::into_inner).paused_until;
            match until.filter(|until| *until > Instant::now()) {
                Some(until) => sleep_until(until).await,
                None => return,
            }
        }
    }

    /// Takes a token. If there is none, the answer is when the one that was promised will be there.
    fn promise(&self, now: Instant) -> Option<Instant> {
        let rate = self.rate?;
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = bucket.looked_at {
            let earned = now.duration_since(before).as_secs_f64() * rate;
            bucket.tokens = (bucket.tokens + earned).min(self.burst);
        }
        bucket.looked_at = Some(now);
        bucket.tokens -= 1.0;
        (bucket.tokens < 0.0).then(|| now + Duration::from_secs_f64(-bucket.tokens / rate))
    }
}
