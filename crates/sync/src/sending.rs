//! Writes into the journal what is about to be sent, before it is: a process that dies leaves behind which records
//! may have been taken.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use changes::Journal;
use kit::{Batch, DeliveryError, Destination, Facts, Payload, Wire, WireSettings};
use records::Outcome;

use crate::{engine::blocking, problem::chain};

/// The journal's code for a change that is being sent. Its outcome comes later and counts in its place.
pub(crate) const SENDING: u8 = 5;

/// A journal that the sender and the recorder share.
pub(crate) type SharedJournal = Arc<Mutex<Journal>>;

/// A destination whose every call stands in the journal first.
#[derive(Debug)]
pub(crate) struct Announced {
    pub destination: Arc<dyn Destination>,
    pub journal: SharedJournal,
}

/// Appends to the journal and waits until it is on the disk.
pub(crate) fn write(journal: &SharedJournal, entries: &[(u64, u8)]) -> Result<(), changes::JournalError> {
    let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
    journal.append(entries)?;
    journal.sync()
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
        let journal = self.journal.clone();
        let entries: Vec<(u64, u8)> = batch.records.iter().map(|payload| (payload.index, SENDING)).collect();
        let written = blocking(move || write(&journal, &entries)).await;
        let message = match written {
            Ok(Ok(())) => return self.destination.deliver(batch, wire).await,
            Ok(Err(error)) => chain(&error),
            Err(problem) => problem.message,
        };
        // What could not be remembered must not be sent. This ends the load with the rest pending.
        Err(DeliveryError::Settings { message })
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
