//! Why a call was not done.

use project::Problems;
use records::{PlanId, SyncId};
use store::{ResourceError, ResourceKind, StoreError, SyncError};
use sync::Problem;

/// Why a call of the service was not done.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// A definition is missing, most of all.
    #[error(transparent)]
    Resource(#[from] ResourceError),
    /// All that is wrong in the definitions that are needed.
    #[error("{}", each(.0))]
    Definitions(Problems),
    /// The engine could not, or would not.
    #[error("{}", .0.message)]
    Engine(Problem),
    #[error("the {kind} `{name}` is switched off, so nothing of it is started; switch it on first")]
    SwitchedOff { kind: ResourceKind, name: String },
    #[error("`{sync}` is a sync of `{of}`, not of `{mapping}`")]
    OtherMapping { sync: SyncId, of: String, mapping: String },
    #[error("`{0}` is not held, so there is nothing to release")]
    NotHeld(SyncId),
    #[error("no plan has the id `{0}`; it may have been forgotten, as plans are after a while")]
    UnknownPlan(PlanId),
    #[error("the plan `{0}` is not ready; look at its state")]
    PlanNotReady(PlanId),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Problems> for ServiceError {
    fn from(problems: Problems) -> Self {
        Self::Definitions(problems)
    }
}

impl From<Problem> for ServiceError {
    fn from(problem: Problem) -> Self {
        Self::Engine(problem)
    }
}

impl ServiceError {
    /// What is written down of a sync that could not begin because of this.
    pub(crate) fn to_sync_error(&self) -> SyncError {
        let (code, hint) = match self {
            Self::Resource(ResourceError::Missing { .. }) => ("definition_missing", None),
            Self::Resource(_) | Self::Definitions(_) => {
                ("definition_wrong", Some("change the definition, then start the sync again"))
            }
            Self::SwitchedOff { .. } => ("switched_off", None),
            Self::Engine(problem) => {
                let Problem { code, message, hint } = problem.clone();
                return SyncError { code, message, hint };
            }
            _ => ("store", None),
        };
        SyncError { code: code.to_owned(), message: told(self), hint: hint.map(str::to_owned) }
    }
}

/// All problems in one line.
fn each(problems: &Problems) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// An error with its causes in one line.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let source_text = source.to_string();
        if !text.contains(&source_text) {
            text.push_str(": ");
            text.push_str(&source_text);
        }
        cause = source.source();
    }
    text
}
