//! What every route can reach.

use std::sync::Arc;

use records::{Clock, Random};
use store::Store;
use tokio_util::sync::CancellationToken;

use crate::Settings;

/// What the binary gives the server. A part of the server that needs more adds a field here and in [`AppState`].
#[derive(Debug)]
pub struct Parts {
    pub settings: Settings,
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    /// Unpredictable: sessions and tokens are made of it.
    pub random: Arc<dyn Random>,
    /// Cancelled when the server is to end: answers that go on for long end then.
    pub shutdown: CancellationToken,
}

/// Cheap to clone; one for all requests.
#[derive(Debug, Clone)]
pub struct AppState {
    pub(crate) settings: Arc<Settings>,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) shutdown: CancellationToken,
}

impl AppState {
    pub fn new(parts: Parts) -> Self {
        let Parts { settings, store, clock, random, shutdown } = parts;
        Self { settings: Arc::new(settings), store, clock, random, shutdown }
    }
}
