//! What a sync works on, already checked and connected: models and mappings with their source and destination.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use kit::{Destination, Source, Wire};
use mapping::{Columns, Condition, DeletedValues, Fields, Program, SyncMode};
use records::Operation;

use crate::GiveUp;

/// A SQL query on one source, with its primary key.
#[derive(Debug, Clone)]
pub struct Model {
    pub name: String,
    /// The name of its source, for messages.
    pub source_name: String,
    pub source: Arc<dyn Source>,
    pub query: String,
    /// The columns of the primary key, at least one.
    pub key: Vec<String>,
}

/// Which changes a mapping acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    Mode(SyncMode),
    Records(RecordChoice),
    /// These changes, and what the destination does with them.
    Both(RecordChoice, SyncMode),
}

/// Which changes are sent, where the sync mode does not say it, or says what the destination does with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordChoice {
    Added,
    Updated,
    AddedOrUpdated,
    Deleted,
}

impl Choice {
    pub fn acts_on(self, operation: Operation) -> bool {
        match self {
            Choice::Mode(mode) => mode.acts_on(operation),
            Choice::Records(choice) | Choice::Both(choice, _) => matches!(
                (choice, operation),
                (RecordChoice::Added | RecordChoice::AddedOrUpdated, Operation::Added)
                    | (RecordChoice::Updated | RecordChoice::AddedOrUpdated, Operation::Updated)
                    | (RecordChoice::Deleted, Operation::Deleted)
            ),
        }
    }

    /// The mode a destination is told. A record choice says which changes, not what to do with them: that is the
    /// action's own, so the nearest mode stands for it.
    pub fn mode(self) -> SyncMode {
        match self {
            Choice::Mode(mode) | Choice::Both(_, mode) => mode,
            Choice::Records(RecordChoice::Added) => SyncMode::Add,
            Choice::Records(RecordChoice::Updated) => SyncMode::Update,
            Choice::Records(RecordChoice::AddedOrUpdated) => SyncMode::Upsert,
            Choice::Records(RecordChoice::Deleted) => SyncMode::Delete,
        }
    }
}

/// What a guard does when it finds something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFinding {
    #[default]
    Hold,
    Allow,
}

/// When a sync waits for a person instead of sending.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guards {
    /// Hold when more than this share of the checkpoint's records would be deleted …
    pub deletions_percent: f64,
    /// … and at least this many of them.
    pub deletions_records_min: u64,
    /// The result is empty and the checkpoint is not.
    pub empty_result: OnFinding,
    /// A column that the mapping uses is not in the model's result.
    pub missing_column: OnFinding,
    /// The mapping uses other columns than when its checkpoint was written, so that records would be sent
    /// although nothing changed in the warehouse.
    pub edited: OnFinding,
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            deletions_percent: 20.0,
            deletions_records_min: 100,
            empty_result: OnFinding::Hold,
            missing_column: OnFinding::Hold,
            edited: OnFinding::Hold,
        }
    }
}

/// A destination as a mapping uses it.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The destination's name in the project, for messages.
    pub name: String,
    pub destination: Arc<dyn Destination>,
    /// The way out, shared by all mappings of this destination.
    pub wire: Wire,
}

/// Model + destination + action + sync mode + field expressions. It owns its checkpoint.
#[derive(Debug, Clone)]
pub struct Mapping {
    pub name: String,
    pub model: Arc<Model>,
    pub connection: Connection,
    /// The action's slug.
    pub action: String,
    pub choice: Choice,
    /// Applied before anything is sent; what it leaves out is skipped.
    pub condition: Option<Condition>,
    pub program: Program,
    /// The action's fields, which every payload is validated against.
    pub fields: Fields,
    pub deleted_values: DeletedValues,
    pub keep: changes::Keep,
    pub guards: Guards,
    /// Whether records may share a request, where the action has such requests.
    pub batching: bool,
    /// What it says for all of its records, for the destination.
    pub settings: Arc<kit::MappingSettings>,
    /// Fields whose values the records of one request must agree in.
    pub batch_keys: Vec<String>,
    /// Smaller batches than the action's own limits.
    pub records_max: Option<usize>,
    pub bytes_max: Option<usize>,
    pub retry: kit::RetrySettings,
    /// None: what fails is tried with every sync.
    pub give_up: Option<GiveUp>,
}

impl Mapping {
    /// The columns whose values the mapping reads; a change in any other sends nothing.
    pub fn columns(&self) -> Columns {
        match (self.program.columns(), self.condition.as_ref().map(Condition::columns)) {
            (columns, None) => columns,
            (Columns::Named(fields), Some(Columns::Named(condition))) => {
                Columns::Named(fields.union(&condition).cloned().collect::<BTreeSet<_>>())
            }
            _ => Columns::All,
        }
    }
}

/// Limits and places of an engine.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where checkpoints, change sets and history live.
    pub folder: PathBuf,
    /// What comparing may hold in memory, in bytes. Default 512 MiB for the whole process.
    pub memory_bytes: u64,
    /// What one sync may write to disk before it is sent, in bytes.
    pub disk_bytes: u64,
    /// Record-level history: `None` keeps it without end.
    pub history_days: Option<u32>,
    pub history_bytes: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_choice_says_which_changes_and_a_mode_beside_it_what_to_do_with_them() {
        let both = Choice::Both(RecordChoice::AddedOrUpdated, SyncMode::Update);
        assert!(
            both.acts_on(Operation::Added) && both.acts_on(Operation::Updated) && !both.acts_on(Operation::Deleted)
        );
        assert_eq!(both.mode(), SyncMode::Update);
        assert!(!Choice::Mode(SyncMode::Update).acts_on(Operation::Added));
    }
}
