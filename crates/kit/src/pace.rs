//! How many requests are under way at one time: more while a destination keeps up, fewer when it does not.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

/// Below this a slower answer is not taken for a sign of trouble.
const LATENCY_NOTICED: Duration = Duration::from_millis(50);
/// An answer this many times slower than usual is.
const LATENCY_GROWTH: f64 = 4.0;

/// A limit on requests under way that adapts: it grows by one a round while all goes well, and is halved when the
/// destination says that it is too much. Never above the facts' concurrency, never below one.
#[derive(Debug)]
pub struct Pace {
    most: f64,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug)]
struct State {
    limit: f64,
    under_way: usize,
    /// A moving average of the seconds an answer takes.
    usual: Option<f64>,
    /// Answers still to come that were asked for before the last reduction: they say nothing new.
    stale: usize,
}

/// A place among the requests under way, given back on drop.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pace: &'a Pace,
}

/// What an answer says about the destination's load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Load {
    Fine(Duration),
    TooMuch,
    /// Says nothing: the request did not get there.
    Unknown,
}

impl Pace {
    pub(crate) fn new(concurrency: usize) -> Self {
        let most = concurrency.max(1) as f64;
        Self {
            most,
            state: Mutex::new(State { limit: most, under_way: 0, usual: None, stale: 0 }),
            freed: Notify::new(),
        }
    }

    /// How many requests may be under way now.
    pub fn limit(&self) -> usize {
        (self.state.lock().unwrap_or_else(PoisonError::into_inner).limit as usize).max(1)
    }

    /// How many there may ever be.
    pub fn most(&self) -> usize {
        self.most as usize
    }

    /// Waits for a place.
    pub(crate) async fn enter(&self) -> Turn<'_> {
        loop {
            let freed = self.freed.notified();
            {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                if state.under_way < (state.limit as usize).max(1) {
                    state.under_way += 1;
                    return Turn { pace: self };
                }
            }
            freed.await;
        }
    }

    fn learn(&self, load: Load) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.stale > 0 {
            state.stale -= 1;
            return;
        }
        let slower = match load {
            Load::Unknown => return,
            Load::TooMuch => Some(0.5),
            Load::Fine(took) => {
                let seconds = took.as_secs_f64();
                let usual = *state.usual.get_or_insert(seconds);
                state.usual = Some(usual * 0.9 + seconds * 0.1);
                (took > LATENCY_NOTICED && seconds > usual * LATENCY_GROWTH).then_some(0.8)
            }
        };
        match slower {
            Some(factor) => {
                state.limit = (state.limit * factor).max(1.0);
                state.stale = state.under_way.saturating_sub(1);
            }
            None => state.limit = (state.limit + 1.0 / state.limit).min(self.most),
        }
    }
}

impl Turn<'_> {
    /// Ends the turn and says how the destination bore it.
    pub(crate) fn done(self, load: Load) {
        self.pace.learn(load);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.pace.state.lock().unwrap_or_else(PoisonError::into_inner).under_way -= 1;
        self.pace.freed.notify_waiters();
    }
}
