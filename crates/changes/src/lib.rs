//! Comparing: fingerprints, the checkpoint of what a destination holds, the change set of one sync, its journal.
//! Synchronous and without a clock; callers run it on a thread that may block. `docs/fingerprints.md` states the rules.

mod bits;
mod change_set;
mod change_writer;
mod checkpoint;
mod comparison;
mod hash;
mod index;
mod join;
mod journal;
mod section;
mod spool;
mod steps;
mod tracking;
mod unusable;

pub use bits::Bits;
pub use change_set::{ChangeChunk, ChangeSet, ChangeSetError, Chunks};
pub use checkpoint::{Checkpoint, CheckpointError, KeptRecord};
pub use comparison::{CompareError, Compared, Comparison, Limits, Meta, Progress, Unusable};
pub use hash::{HashError, Hashed, Hasher};
pub use journal::{Journal, JournalEntries, JournalError};
pub use steps::{NoSteps, STEPS, Steps};
pub use tracking::{Keep, Tracked, Tracking, TrackingChange};

#[cfg(test)]
mod tests;
