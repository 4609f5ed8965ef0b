//! Writes into the journal what is about to be sent, before it is: a process that dies leaves behind which records
//! may have been taken.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use kit::{Batch, DeliveryError, Destination, Facts, Payload, Wire, WireSettings};
use records::{Outcome, OutcomeKind};

use crate::{
    LoadJournal,
    codes::{SENDING, code},
};

/// A destination whose every call stands in the journal first, and whose answers do before anyone hears of them: so
/// no more than the batches under way can ever be in doubt.
#[derive(Debug)]
pub(crate) struct Announced {
    pub destination: Arc<dyn Destination>,
    pub journal: Arc<dyn LoadJournal>,
    /// Counts what is asked of the destination.
    pub requests: Arc<AtomicU64>,
    /// What a call took is provisional until the whole is finished, so it is not journalled here.
    pub whole: bool,
}

impl Announced {
    async fn remember(&self, entries: Vec<(u64, u8)>) -> Result<(), DeliveryError> {
        if entries.is_empty() {
            return Ok(());
        }
        let appended = self.journal.append(&entries).await;
        appended.map_err(|problem| DeliveryError::Settings { message: problem.message })
    }
}

#[async_trait]
impl Destination for Announced {
    fn facts(&self) -> &Facts {
        self.destination.facts()
    }

    fn wire_settings(&self) -> WireSettings {
        self.destination.wire_settings()
    }

    async fn check(&self, wire: &Wire) -> Result<String, DeliveryError> {
        self.destination.check(wire).await
    }

    async fn deliver(&self, batch: &Batch, wire: &Wire) -> Result<Vec<Outcome>, DeliveryError> {
        let entries: Vec<(u64, u8)> = batch.records.iter().map(|payload| (payload.index, SENDING)).collect();
        // What could not be remembered must not be sent. This ends the load with the rest pending.
        self.remember(entries).await?;
        let delivered = self.destination.deliver(batch, wire).await;
        // What does not go over HTTP is one request all the same.
        self.requests.fetch_add(wire.exchanges().len().max(1) as u64, Ordering::Relaxed);
        let outcomes = delivered?;
        // Another count of outcomes says nothing about any record; the loader judges that.
        if !self.whole && outcomes.len() == batch.records.len() {
            let delivered = batch.records.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_delivered());
            let entries: Vec<(u64, u8)> =
                delivered.map(|(payload, _)| (payload.index, code(OutcomeKind::Delivered))).collect();
            // They were taken, and nothing says so: for us no answer came.
            self.remember(entries).await.map_err(|error| DeliveryError::NoAnswer { message: error.to_string() })?;
        }
        Ok(outcomes)
    }

    fn group(&self, action: &str, payload: &Payload) -> String {
        self.destination.group(action, payload)
    }

    async fn finish(&self, action: &str, sync: &str, wire: &Wire) -> Result<(), DeliveryError> {
        self.destination.finish(action, sync, wire).await
    }

    async fn abandon(&self, action: &str, sync: &str) {
        self.destination.abandon(action, sync).await;
    }
}
