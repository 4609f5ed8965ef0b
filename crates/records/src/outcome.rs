//! What became of one record.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The fate of one record in one sync. Every record of a change set ends in exactly one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The destination said, for this record, that it has it.
    Delivered,
    /// Sending the same again cannot succeed: the record itself is wrong.
    Rejected { code: String, message: String },
    /// Not accepted now; may be later, at the earliest after the given time.
    Retry { after: Option<Duration>, code: String, message: String },
    /// Sent, and no answer came: it will be sent again, and is counted as such.
    InDoubt { message: String },
}

/// An [`Outcome`] without its reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    Delivered,
    Rejected,
    Retry,
    InDoubt,
}

impl OutcomeKind {
    pub fn name(self) -> &'static str {
        match self {
            OutcomeKind::Delivered => "delivered",
            OutcomeKind::Rejected => "rejected",
            OutcomeKind::Retry => "retry",
            OutcomeKind::InDoubt => "in doubt",
        }
    }
}

impl Outcome {
    pub fn rejected(code: impl Into<String>, message: impl Into<String>) -> Self {
        Outcome::Rejected { code: code.into(), message: message.into() }
    }

    pub fn retry(code: impl Into<String>, message: impl Into<String>) -> Self {
        Outcome::Retry { after: None, code: code.into(), message: message.into() }
    }

    pub fn kind(&self) -> OutcomeKind {
        match self {
            Outcome::Delivered => OutcomeKind::Delivered,
            Outcome::Rejected { .. } => OutcomeKind::Rejected,
            Outcome::Retry { .. } => OutcomeKind::Retry,
            Outcome::InDoubt { .. } => OutcomeKind::InDoubt,
        }
    }

    pub fn is_delivered(&self) -> bool {
        matches!(self, Outcome::Delivered)
    }

    /// The machine-readable reason, if there is one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Outcome::Delivered => None,
            Outcome::Rejected { code, .. } | Outcome::Retry { code, .. } => Some(code),
            Outcome::InDoubt { .. } => Some("no_answer"),
        }
    }

    /// The reason for people, if there is one.
    pub fn message(&self) -> Option<&str> {
        match self {
            Outcome::Delivered => None,
            Outcome::Rejected { message, .. } | Outcome::Retry { message, .. } | Outcome::InDoubt { message } => {
                Some(message)
            }
        }
    }
}
