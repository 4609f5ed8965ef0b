//! What goes wrong, and when: drawn from the seed, armed before a sync, spent by it.

use std::{
    io,
    sync::Mutex,
    sync::atomic::{AtomicBool, Ordering},
};

use tokio_util::sync::CancellationToken;

/// The faults of one sync. A place is counted in durable steps, batches or calls from the sync's start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    /// The process dies at this durable step.
    pub crash_at_step: Option<u64>,
    /// The disk is full from this durable step on, for this sync.
    pub disk_full_at_step: Option<u64>,
    /// The person cancels at this call of the destination.
    pub cancel_at_call: Option<u64>,
    /// The process dies during this call: before or after the destination took the batch.
    pub crash_at_call: Option<(u64, bool)>,
    /// The warehouse's connection is lost after so many batches.
    pub lost_after_batches: Option<u64>,
    /// Percent of calls that go wrong in some way.
    pub bad_calls: u64,
}

/// Shared by all who can fail in a story.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    armed: Mutex<(Faults, u64, u64)>,
    dead: AtomicBool,
    cancel: Mutex<CancellationToken>,
    log: Mutex<Vec<String>>,
}

impl Fate {
    /// Begins a sync in a new process, with these faults.
    pub(crate) fn arm(&self, faults: Faults) -> CancellationToken {
        let token = CancellationToken::new();
        *lock(&self.cancel) = token.clone();
        *lock(&self.armed) = (faults, 0, 0);
        self.dead.store(false, Ordering::SeqCst);
        token
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// Whether calls may go wrong now.
    pub(crate) fn is_troubled(&self) -> bool {
        lock(&self.armed).0.bad_calls > 0
    }

    pub(crate) fn tell(&self, line: String) {
        lock(&self.log).push(line);
    }

    pub(crate) fn told(&self) -> Vec<String> {
        lock(&self.log).clone()
    }

    pub(crate) fn lost_after_batches(&self) -> Option<u64> {
        lock(&self.armed).0.lost_after_batches
    }

    /// Counts a call of the destination. Gives the share of bad calls, and whether the process dies during this
    /// one (and if so, whether only after the batch was taken).
    pub(crate) fn call(&self) -> (u64, Option<bool>) {
        let (call, faults) = {
            let mut armed = lock(&self.armed);
            armed.2 += 1;
            (armed.2, armed.0.clone())
        };
        if faults.cancel_at_call == Some(call) {
            self.tell(format!("  cancelled at call {call}"));
            lock(&self.cancel).cancel();
        }
        let crash = faults.crash_at_call.filter(|(at, _)| *at == call).map(|(_, after)| after);
        (faults.bad_calls, crash)
    }

    pub(crate) fn die(&self, why: &str) {
        self.tell(format!("  dies {why}"));
        self.dead.store(true, Ordering::SeqCst);
    }
}

impl changes::Steps for Fate {
    fn reach(&self, step: &'static str) -> io::Result<()> {
        let (count, faults) = {
            let mut armed = lock(&self.armed);
            armed.1 += 1;
            (armed.1, armed.0.clone())
        };
        if faults.crash_at_step == Some(count) {
            self.die(&format!("at step {count}, {step}"));
        }
        if self.is_dead() {
            return Err(io::Error::other("the process is dead"));
        }
        if faults.disk_full_at_step.is_some_and(|at| count >= at) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        Ok(())
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
