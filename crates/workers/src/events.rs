//! What is told to whoever watches while it happens. Nothing depends on it: who comes late reads the store.

use jiff::Timestamp;
use records::{Counts, PlanId, SyncId};
use serde::{Deserialize, Serialize};
use store::{PlanState, SyncState};
use sync::{Phase, PhaseTime};

/// Events that a slow listener may fall behind before it misses some.
pub(crate) const EVENTS_MAX: usize = 1_024;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    pub at: Timestamp,
    pub mapping: String,
    #[serde(flatten)]
    pub what: Happening,
}

/// What it was.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Happening {
    /// A sync was queued, began, went on to another state, or ended.
    Sync { sync: SyncId, state: SyncState },
    /// How far a sync is; a few times a second at most.
    Progress { sync: SyncId, progress: RunProgress },
    /// A plan was begun, is ready, or failed.
    Plan { plan: PlanId, state: PlanState },
}

/// How far a sync is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunProgress {
    pub phase: Option<Phase>,
    /// Records read so far.
    pub records: u64,
    /// What comparing has shown.
    pub counts: Option<Counts>,
    /// `done` of `total` changes have an outcome, `failed` of them another than delivered.
    pub done: u64,
    pub total: u64,
    pub failed: u64,
    /// Requests made to the destination.
    pub requests: u64,
    /// Jobs that an earlier sync left at the destination: the one that is being asked about, and how many there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collecting: Option<(usize, usize)>,
    #[serde(default)]
    pub phases: Vec<PhaseTime>,
}

impl RunProgress {
    /// The state of a sync that is this far.
    pub(crate) fn state(&self) -> SyncState {
        match self.phase {
            None | Some(Phase::Extracting) => SyncState::Extracting,
            Some(Phase::Comparing) => SyncState::Comparing,
            Some(Phase::Loading) => SyncState::Loading,
            Some(Phase::Committing) => SyncState::Committing,
        }
    }

    /// Whether the source is done with.
    pub(crate) fn is_extracted(&self) -> bool {
        matches!(self.phase, Some(Phase::Loading | Phase::Committing))
    }
}
