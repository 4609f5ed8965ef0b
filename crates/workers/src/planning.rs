//! The plans that this process works out: how each is stopped, and how many there are at once.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use records::PlanId;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

/// The plans in hand.
#[derive(Debug)]
pub(crate) struct Planning {
    turns: Semaphore,
    cancels: Mutex<BTreeMap<PlanId, CancellationToken>>,
}

impl Planning {
    pub(crate) fn new(at_once_max: usize) -> Self {
        Self { turns: Semaphore::new(at_once_max.max(1)), cancels: Mutex::default() }
    }

    pub(crate) fn begin(&self, id: PlanId) -> CancellationToken {
        let cancel = CancellationToken::new();
        self.cancels.lock().unwrap_or_else(PoisonError::into_inner).insert(id, cancel.clone());
        cancel
    }

    pub(crate) fn end(&self, id: PlanId) {
        self.cancels.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    pub(crate) fn cancel(&self, id: PlanId) {
        if let Some(cancel) = self.cancels.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
            cancel.cancel();
        }
    }

    /// Waits for a place among those that are worked out. It is never closed.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.turns.acquire().await.ok()
    }
}
