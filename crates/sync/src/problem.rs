//! From errors to problems: a code, a sentence, and what to do.

use std::error::Error;

use changes::{CheckpointError, CompareError};
use kit::{LoadStop, SourceError};
use store::{LockError, StoreError};

use crate::Problem;

/// An error with its causes in one line, for people.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

impl Problem {
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), hint: None }
    }

    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A source's error, about this model.
    pub fn of_source(error: &SourceError, model: &str) -> Self {
        let code = match error {
            SourceError::Settings { .. } => "source_settings",
            SourceError::Unreachable { .. } => "source_unreachable",
            SourceError::CredentialsRefused { .. } => "source_credentials_refused",
            SourceError::Tls { .. } => "source_tls",
            SourceError::ModelRefused { .. } => "model_refused",
            SourceError::QueryFailed { .. } => "query_failed",
            SourceError::TimedOut { .. } => "query_timed_out",
            SourceError::Value { .. } => "value_unreadable",
            SourceError::Lost { .. } => "source_lost",
            SourceError::Cancelled => "cancelled",
        };
        let place = error
            .place()
            .map(|place| format!(" (model `{model}`, line {}, column {})", place.line, place.column))
            .unwrap_or_default();
        let mut problem = Self::new(code, format!("{}{place}", chain(error)));
        problem.hint = match error {
            SourceError::QueryFailed { hint, .. } => hint.clone(),
            SourceError::TimedOut { .. } => {
                Some("raise the source's `statement_timeout_seconds`, or make the query cheaper".to_owned())
            }
            SourceError::CredentialsRefused { .. } => {
                Some("see that user and password of the source are right".to_owned())
            }
            _ => None,
        };
        problem
    }

    pub(crate) fn of_compare(error: &CompareError) -> Self {
        Self::of_disk(error).unwrap_or_else(|| Self::new("compare_failed", chain(error)))
    }

    pub(crate) fn of_checkpoint(error: &CheckpointError) -> Self {
        Self::of_disk(error).unwrap_or_else(|| Self::new("checkpoint_unreadable", chain(error)))
    }

    /// The problem of a disk that takes no more, if that is behind the error.
    pub(crate) fn of_disk(error: &(dyn Error + 'static)) -> Option<Self> {
        use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        let causes = std::iter::successors(Some(error), |&error| error.source());
        let full = causes
            .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
            .any(|cause| matches!(cause.kind(), StorageFull | QuotaExceeded | FileTooLarge));
        let hint =
            "free the disk, or let `settings.data` name a folder on a larger one; what was delivered is not sent again";
        full.then(|| Self::new("disk_full", chain(error)).with_hint(hint))
    }

    pub(crate) fn of_store(error: &StoreError) -> Self {
        Self::new("store", chain(error))
    }

    pub(crate) fn of_lock(error: &LockError) -> Self {
        let code = if matches!(error, LockError::Locked(_)) { "locked" } else { "lock" };
        Self::new(code, chain(error))
    }

    pub(crate) fn of_stop(stop: &LoadStop) -> Self {
        let code = match stop {
            LoadStop::CredentialsRefused { .. } => "destination_credentials_refused",
            LoadStop::Settings { .. } => "destination_settings",
            LoadStop::Unreachable { .. } => "destination_unreachable",
            _ => "destination_stopped",
        };
        Self::new(code, chain(stop)).with_hint("what was not delivered stays pending; the next sync sends it")
    }
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        let code = if error.kind() == std::io::ErrorKind::StorageFull { "disk_full" } else { "io" };
        Self::new(code, chain(&error))
    }
}
