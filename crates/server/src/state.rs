//! What every route can reach.

use std::sync::Arc;

use records::{Clock, Random};
use store::Store;
use tokio_util::sync::CancellationToken;

use crate::{Settings, attempts::Attempts, oidc::Oidc, passwords::Passwords, routes::connecting::Connecting};

/// What the binary gives the server. A part of the server that needs more adds a field here and in [`AppState`].
#[derive(Debug)]
pub struct Parts {
    pub settings: Settings,
    pub store: Store,
    /// Works with definitions and syncs.
    pub workers: Arc<workers::Service>,
    pub clock: Arc<dyn Clock>,
    /// Unpredictable: sessions and tokens are made of it.
    pub random: Arc<dyn Random>,
    /// The way to the identity provider, if there is one.
    pub wire: kit::Wire,
    /// Cancelled when the server is to end: answers that go on for long end then.
    pub shutdown: CancellationToken,
}

/// Cheap to clone; one for all requests.
#[derive(Debug, Clone)]
pub struct AppState {
    pub(crate) settings: Arc<Settings>,
    pub(crate) store: Store,
    pub(crate) workers: Arc<workers::Service>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) passwords: Arc<Passwords>,
    pub(crate) attempts: Arc<Attempts>,
    /// Access to tools that people are about to grant.
    pub(crate) connecting: Arc<Connecting>,
    /// None where people sign in with passwords only.
    pub(crate) oidc: Option<Arc<Oidc>>,
}

impl AppState {
    pub fn new(parts: Parts) -> Self {
        let Parts { settings, store, workers, clock, random, wire, shutdown } = parts;
        let passwords = Arc::new(Passwords::new(Arc::clone(&random)));
        let oidc = settings.oidc.clone().map(|oidc| {
            let back = settings.public_url.at(crate::oidc::CALLBACK);
            Arc::new(Oidc::new(oidc, back, wire, Arc::clone(&clock)))
        });
        Self {
            settings: Arc::new(settings),
            store,
            workers,
            clock,
            random,
            shutdown,
            passwords,
            attempts: Arc::default(),
            connecting: Arc::default(),
            oidc,
        }
    }
}
