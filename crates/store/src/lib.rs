//! What Outflow remembers between runs: syncs, outcomes of failed records and the places of checkpoints in SQLite,
//! the history of records in Parquet, and locks that keep two processes from running one mapping.

mod alerts;
mod audit;
mod backup;
mod checkpoints;
mod claims;
mod database;
mod due;
mod failing;
mod failures;
mod file_names;
mod granted;
mod history;
mod idempotency;
mod keyring;
mod links;
mod locks;
mod plans;
mod queue;
mod resources;
mod role;
mod runs;
mod server_settings;
mod sessions;
mod syncs;
#[cfg(test)]
mod testing;
mod tokens;
mod usage;
mod users;

pub use alerts::{
    AlertChange, AlertError, AlertEventFilter, AlertEventRow, AlertFilter, AlertRow, AlertRuleRow, AlertStep,
    ChannelRow, ColumnChangeRow, DispatchEnd, DispatchFilter, DispatchRow, DispatchState, DueStand, EndedSync,
    MappingPlace, ModelColumn, NewAlert, Subject, WatchedSync,
};
pub use audit::{Actor, AuditEntry, AuditFilter, Author};
pub use backup::{BackupError, BackupOptions, Manifest, ManifestEntry, Restored, Target};
pub use checkpoints::CheckpointRow;
pub use claims::Claim;
pub use database::{Store, StoreError};
pub use due::{DueOutcome, DueRow, DueStart};
pub use failing::FailingRecord;
pub use failures::{FailedRecord, FailureGroup};
pub use file_names::file_name;
pub use granted::{GrantedError, GrantedTokens, HeldTokens};
pub use history::{
    History, HistoryError, HistoryExchange, HistoryRow, HistoryWriter, Keep, Pruned, Trace, TraceEntry, Unreadable,
};
pub use idempotency::{Asked, RequestKey};
pub use keyring::{Keyring, KeyringError, Resealed};
pub use links::LinkPurpose;
pub use locks::{LockError, Locked, MappingLock};
pub use plans::{PlanRow, PlanState};
pub use queue::{Cancelled, Enqueued, NewRun, ProgressNote, Renewed};
pub use resources::{
    Change, Edit, Edited, Outcome, ResourceError, ResourceFilter, ResourceHead, ResourceId, ResourceKind, ResourceRef,
    ResourceRow, Through, VersionChange, VersionRow,
};
pub use role::{Role, RoleError};
pub use runs::{Cause, RunFilter, RunRow, Task};
pub use server_settings::{SettingError, SettingRow};
pub use sessions::{NewSession, Session, SessionLimits};
pub use syncs::{HeldReason, NewSync, SyncError, SyncRow, SyncState};
pub use tokens::{NewToken, Token};
pub use usage::UsageRow;
pub use users::{Identity, NewUser, PeopleError, User, UserChange};
