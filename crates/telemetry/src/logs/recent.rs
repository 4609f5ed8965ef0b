//! The most recent events, in memory and within bounds, for people who look from afar.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;
use tracing::Level;

use super::{event::LogEvent, layer::LogSink};

/// How many events are kept, at most; the oldest go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    pub events: usize,
    pub bytes: usize,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { events: 5000, bytes: 4 << 20 }
    }
}

/// Which events are wanted. What is not given does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogFilter {
    /// This level and graver ones.
    pub level: Option<Level>,
    pub sync: Option<String>,
    pub mapping: Option<String>,
    pub worker: Option<String>,
    pub request_id: Option<String>,
    /// Stands in the message or the target, large and small letters alike.
    pub text: Option<String>,
}

impl LogFilter {
    fn fits(&self, event: &LogEvent) -> bool {
        let is = |wanted: &Option<String>, value: &Option<String>| wanted.is_none() || wanted == value;
        let holds = |text: &String| {
            let text = text.to_lowercase();
            event.message.to_lowercase().contains(&text) || event.target.to_lowercase().contains(&text)
        };
        self.level.is_none_or(|level| event.level <= level)
            && is(&self.sync, &event.context.sync)
            && is(&self.mapping, &event.context.mapping)
            && is(&self.worker, &event.context.worker)
            && is(&self.request_id, &event.context.request_id)
            && self.text.as_ref().is_none_or(holds)
    }
}

/// A ring of recent events. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct RecentLogs {
    ring: Arc<Mutex<Ring>>,
    newest: watch::Sender<u64>,
    limits: LogLimits,
}

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Arc<LogEvent>>,
    bytes: usize,
    /// The number of the newest.
    last: u64,
}

impl RecentLogs {
    pub fn new(limits: LogLimits) -> Self {
        Self { ring: Arc::default(), newest: watch::Sender::new(0), limits }
    }

    /// The newest events that fit, newest first, at most `limit` of them; with `before`, those with smaller numbers.
    pub fn before(&self, before: Option<u64>, filter: &LogFilter, limit: usize) -> Vec<Arc<LogEvent>> {
        let is_before = |event: &LogEvent| before.is_none_or(|number| event.number < number);
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = ring.events.iter().rev().filter(|event| is_before(event) && filter.fits(event));
        fitting.take(limit).cloned().collect()
    }

    /// The events after that number that fit, oldest first, at most `limit` of them.
    pub fn after(&self, after: u64, filter: &LogFilter, limit: usize) -> Vec<Arc<LogEvent>> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let start = ring.events.partition_point(|event| event.number <= after);
        ring.events.range(start..).filter(|event| filter.fits(event)).take(limit).cloned().collect()
    }

    /// Tells the number of the newest event whenever there is one.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }
}

impl LogSink for RecentLogs {
    fn take(&self, mut event: LogEvent) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.last += 1;
        event.number = ring.last;
        ring.bytes += event.bytes();
        ring.events.push_back(Arc::new(event));
        while ring.events.len() > self.limits.events || ring.bytes > self.limits.bytes {
            let Some(oldest) = ring.events.pop_front() else { break };
            ring.bytes = ring.bytes.saturating_sub(oldest.bytes());
        }
        // Within the lock, so that the number that is told never goes back.
        self.newest.send_replace(ring.last);
    }
}
