//! What is forgotten after a while: old syncs, what requests were called, ended sessions.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use store::{SessionLimits, StoreError};
use tokio_util::sync::CancellationToken;

use crate::{Service, error::told};

const EVERY: Duration = Duration::from_secs(3600);
/// Rows that are removed in one statement, so that nobody waits long for it.
const AT_ONCE_MAX: u32 = 1_000;

/// How long things are kept.
#[derive(Debug, Clone)]
pub struct RetentionSettings {
    /// Syncs that have ended; never the newest of a mapping. None: without end.
    pub syncs: Option<Duration>,
    /// What callers called their requests, so that the same request starts nothing twice.
    pub requests: Duration,
    /// The audit log. None: without end.
    pub audit: Option<Duration>,
    /// None: whoever ends sessions forgets them.
    pub sessions: Option<SessionLimits>,
}

impl Default for RetentionSettings {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        Self { syncs: Some(days(90)), requests: days(7), audit: None, sessions: None }
    }
}

/// Forgets what is old, now and then, until it is stopped.
pub(crate) async fn run(service: &Service, settings: &RetentionSettings, stop: &CancellationToken) {
    loop {
        if let Err(error) = forget(service, settings, stop).await {
            tracing::warn!(error = told(&error), "what is old cannot be forgotten; trying again later");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn forget(service: &Service, settings: &RetentionSettings, stop: &CancellationToken) -> Result<(), StoreError> {
    let (store, now) = (service.store(), service.now());
    if let Some(keep) = settings.syncs {
        while store.forget_ended_before(before(now, keep), AT_ONCE_MAX).await? >= u64::from(AT_ONCE_MAX) {
            if stop.is_cancelled() {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
    }
    store.forget_start_keys_before(before(now, settings.requests)).await?;
    store.forget_requests_before(before(now, settings.requests)).await?;
    if let Some(keep) = settings.audit {
        store.forget_audit_before(before(now, keep)).await?;
    }
    if let Some(limits) = settings.sessions {
        store.forget_ended_sessions(limits).await?;
    }
    Ok(())
}

fn before(now: Timestamp, keep: Duration) -> Timestamp {
    let keep = SignedDuration::try_from(keep).unwrap_or(SignedDuration::MAX);
    now.checked_sub(keep).unwrap_or(Timestamp::MIN)
}
