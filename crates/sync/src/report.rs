//! What an engine tells afterwards: a plan, a report of a sync.

use records::{Counts, Operation, OutcomeKind, SyncId, Value};
use serde::{Deserialize, Serialize};

use crate::PhaseTime;

/// Why a sync waits for a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Held {
    Deletions {
        deleted: u64,
        checkpoint: u64,
        percent: f64,
        limit_percent: f64,
    },
    EmptyResult {
        checkpoint: u64,
    },
    MissingColumn {
        columns: Vec<String>,
    },
    /// The mapping reads other columns than its checkpoint knows.
    Edited {
        added: Vec<String>,
        removed: Vec<String>,
        records: u64,
    },
    /// The model's key is not the one the checkpoint was made with, so no record can be found again.
    KeyChanged {
        checkpoint: Vec<String>,
        now: Vec<String>,
    },
}

impl Held {
    /// The machine-readable reason.
    pub fn code(&self) -> &'static str {
        match self {
            Held::Deletions { .. } => "deletions",
            Held::EmptyResult { .. } => "empty_result",
            Held::MissingColumn { .. } => "missing_column",
            Held::Edited { .. } => "edited",
            Held::KeyChanged { .. } => "key_changed",
        }
    }

    /// Whether a person's yes lets the sync go on; else something must be changed first.
    pub fn can_be_released(&self) -> bool {
        !matches!(self, Held::KeyChanged { .. })
    }
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |names: &[String]| match names {
            [] => "none".to_owned(),
            _ => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        };
        match self {
            Held::Deletions { deleted, checkpoint, percent, limit_percent } => write!(
                f,
                "{deleted} of {checkpoint} records would be deleted ({percent:.1} %, the limit is {limit_percent} %)"
            ),
            Held::EmptyResult { checkpoint } => {
                write!(f, "the model's result is empty, and the destination holds {checkpoint} records")
            }
            Held::MissingColumn { columns } => {
                write!(f, "the mapping uses columns that the model's result does not have: {}", list(columns))
            }
            Held::Edited { added, removed, records } => write!(
                f,
                "the mapping was edited (columns now used: {}; no longer used: {}), which touches {records} records",
                list(added),
                list(removed)
            ),
            Held::KeyChanged { checkpoint, now } => write!(
                f,
                "the model's key was {} and is now {}, so no record can be found again; `reset` or `baseline` the mapping",
                list(checkpoint),
                list(now)
            ),
        }
    }
}

/// One field of a record, before and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    pub column: String,
    pub before: Value,
    pub after: Value,
}

/// A change shown to a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleChange {
    pub operation: Operation,
    pub key: String,
    /// Columns that differ; for an added or deleted record all of its used columns.
    pub fields: Vec<FieldChange>,
    /// What would be sent, or why nothing would.
    pub payload: Result<Value, String>,
}

/// A request as it would be sent, secrets hidden.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleRequest {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// A record whose key could not be used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnusableRecord {
    /// `duplicate_key` or `null_key`.
    pub reason: String,
    pub key: String,
    pub values: Value,
}

/// A record that its mapping refuses, before anything is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RefusedRecord {
    pub key: String,
    pub operation: Operation,
    pub code: String,
    pub message: String,
}

/// What a sync would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub mapping: String,
    /// `rejected` counts changes whose payload does not validate; nothing was sent.
    pub counts: Counts,
    pub held: Option<Held>,
    pub samples: Vec<SampleChange>,
    pub requests: Vec<SampleRequest>,
    /// Why the requests cannot be shown: what they depend on could not be looked up in the tool.
    pub requests_problem: Option<String>,
    pub unusable: Vec<UnusableRecord>,
    pub refused: Vec<RefusedRecord>,
    /// Records in the checkpoint.
    pub checkpoint: u64,
    /// The most disk the comparison used, in bytes.
    pub disk_bytes: u64,
}

/// How a sync ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Every change was delivered or skipped.
    Done,
    /// Some records were not delivered; the next sync finds them again.
    Partly,
    /// A guard holds it; nothing was sent.
    Held,
    Cancelled,
    Failed,
}

/// A reason for a failure, in parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub code: String,
    pub message: String,
    pub hint: Option<String>,
}

/// How many records failed for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureCount {
    pub outcome: OutcomeKind,
    pub code: String,
    /// No further sync tries them until their values change or a person asks for it.
    pub given_up: bool,
    /// One of their messages.
    pub message: String,
    pub records: u64,
    /// One of their keys.
    pub key: String,
}

/// One run of a mapping, after the fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SyncReport {
    pub mapping: String,
    /// None if it could not begin: locked, or refused before anything was read.
    pub sync: Option<SyncId>,
    pub ending: Ending,
    pub counts: Counts,
    pub held: Option<Held>,
    pub problem: Option<Problem>,
    /// The commonest reasons first.
    pub failures: Vec<FailureCount>,
    pub unusable: Vec<UnusableRecord>,
    pub disk_bytes: u64,
    /// What it was at, and when.
    pub phases: Vec<PhaseTime>,
    /// Requests made to the destination, the repeated ones too.
    pub requests: u64,
}

impl SyncReport {
    /// Of a sync about which nothing can be told yet.
    pub(crate) fn new(mapping: &str, sync: Option<SyncId>) -> Self {
        Self {
            mapping: mapping.to_owned(),
            sync,
            ending: Ending::Failed,
            counts: Counts::default(),
            held: None,
            problem: None,
            failures: Vec::new(),
            unusable: Vec::new(),
            disk_bytes: 0,
            phases: Vec::new(),
            requests: 0,
        }
    }

    /// Notes why it did not get to its end.
    pub(crate) fn stop(&mut self, problem: Problem) {
        self.ending = if problem.code == "cancelled" { Ending::Cancelled } else { Ending::Failed };
        self.problem = Some(problem);
    }
}
