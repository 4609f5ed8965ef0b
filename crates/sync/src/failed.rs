//! The failed records of a sync, with what history holds of them.

use std::collections::HashMap;

use records::SyncId;
use serde::Serialize;
use store::{FailedRecord, HistoryExchange, TraceEntry, Unreadable};

use crate::{Engine, Problem, blocking::blocking, problem::chain};

/// Records on one page.
const LIMIT_MAX: u32 = 500;

/// Which failed records a page shows.
#[derive(Debug, Clone, Default)]
pub struct FailedOptions {
    /// Only those with this code.
    pub code: Option<String>,
    /// Where to go on: [`FailedPage::next`] of the page before.
    pub after: Option<u64>,
    /// How many at most. 0 is taken for 1.
    pub limit: u32,
}

/// A page of failed records, in the order of the change set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedPage {
    pub records: Vec<ToldRecord>,
    /// Where the next page goes on. None: this is the last.
    pub next: Option<u64>,
    /// Files of the history that could not be read; they may hold more.
    pub unreadable: Vec<Unreadable>,
}

/// A failed record, and what was sent for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToldRecord {
    #[serde(flatten)]
    pub record: FailedRecord,
    /// None: the history holds nothing of it, or not any more.
    pub attempts: Option<u32>,
    /// The payload as JSON text.
    pub payload: Option<String>,
    /// The changed fields as last delivered and as they are now, as JSON text.
    pub before: Option<String>,
    pub after: Option<String>,
    /// The last request it was part of, with its answer.
    pub request: Option<HistoryExchange>,
}

impl Engine {
    /// A page of the records that a sync did not deliver, with request and answer.
    ///
    /// # Errors
    /// The sync is not known, or the store cannot be read.
    pub async fn failed_records(&self, sync: SyncId, options: &FailedOptions) -> Result<FailedPage, Problem> {
        let of_store = |error: store::StoreError| Problem::of_store(&error);
        let mapping = self.store.sync(&sync.to_string()).await.map_err(of_store)?.mapping;
        let limit = options.limit.clamp(1, LIMIT_MAX);
        let mut records = self
            .store
            .failures_after(sync, options.code.as_deref(), options.after, limit + 1)
            .await
            .map_err(of_store)?;
        let more = records.len() > limit as usize;
        records.truncate(limit as usize);
        let next = records.last().filter(|_| more).map(|record| record.index);
        let keys: Vec<String> = records.iter().map(|record| record.key.clone()).collect();
        let history = self.history();
        let told = blocking(move || {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            history.of_sync(&mapping, sync, &keys)
        });
        let told = told.await?.map_err(|error| Problem::new("history", chain(&error)))?;
        let mut by_key: HashMap<String, TraceEntry> = HashMap::new();
        for entry in told.entries {
            // The first tells what was sent; one that follows, that it was given up.
            by_key.entry(entry.row.key.clone()).or_insert(entry);
        }
        let records = records.into_iter().map(|record| {
            let (row, request) = by_key.remove(&record.key).map(|entry| (entry.row, entry.exchange)).unzip();
            ToldRecord {
                record,
                attempts: row.as_ref().map(|row| row.attempts),
                payload: row.as_ref().and_then(|row| row.payload.clone()),
                before: row.as_ref().and_then(|row| row.before.clone()),
                after: row.and_then(|row| row.after),
                request: request.flatten(),
            }
        });
        Ok(FailedPage { records: records.collect(), next, unreadable: told.unreadable })
    }
}
