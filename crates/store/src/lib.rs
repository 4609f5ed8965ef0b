//! What Outflow remembers between runs: syncs, outcomes of failed records and the places of checkpoints in SQLite,
//! the history of records in Parquet, and locks that keep two processes from running one mapping.

mod checkpoints;
mod claims;
mod database;
mod failures;
mod file_names;
mod history;
mod locks;
mod syncs;
#[cfg(test)]
mod testing;

pub use checkpoints::CheckpointRow;
pub use claims::Claim;
pub use database::{Store, StoreError};
pub use failures::{FailedRecord, FailureGroup};
pub use file_names::file_name;
pub use history::{
    History, HistoryError, HistoryExchange, HistoryRow, HistoryWriter, Keep, Pruned, Trace, TraceEntry, Unreadable,
};
pub use locks::{LockError, Locked, MappingLock};
pub use syncs::{HeldReason, NewSync, SyncError, SyncRow, SyncState};
