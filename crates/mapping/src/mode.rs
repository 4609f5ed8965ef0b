//! Sync modes: which changes a mapping acts on.

use records::Operation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a mapping does at its destination with the changes of its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyncMode {
    /// Create what is new; leave what exists.
    Add,
    /// Change what exists; create nothing.
    Update,
    /// Change what exists, create what does not.
    Upsert,
    /// Remove what was deleted.
    Delete,
    /// Keep the destination equal to the model: upsert, and remove what was deleted.
    Mirror,
}

impl SyncMode {
    /// All modes, in the order of their declaration.
    pub const ALL: [SyncMode; 5] =
        [SyncMode::Add, SyncMode::Update, SyncMode::Upsert, SyncMode::Delete, SyncMode::Mirror];

    /// Whether a change of this kind is sent at all. The others are skipped.
    pub fn acts_on(self, operation: Operation) -> bool {
        match self {
            SyncMode::Add => operation == Operation::Added,
            SyncMode::Update => operation == Operation::Updated,
            SyncMode::Upsert => operation != Operation::Deleted,
            SyncMode::Delete => operation == Operation::Deleted,
            SyncMode::Mirror => true,
        }
    }

    /// The word in project files and in a mapping's `__segment_internal_sync_mode`.
    pub fn name(self) -> &'static str {
        match self {
            SyncMode::Add => "add",
            SyncMode::Update => "update",
            SyncMode::Upsert => "upsert",
            SyncMode::Delete => "delete",
            SyncMode::Mirror => "mirror",
        }
    }

    /// The mode of this name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}
