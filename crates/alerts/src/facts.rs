//! What rules judge by: plain facts about syncs, due times, columns and credentials, as others have found them.

use jiff::Timestamp;
use records::{Counts, SyncId};
use store::{SyncState, WatchedSync};

/// One sync that has come to its end, or that a guard holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncFacts {
    pub id: SyncId,
    pub state: SyncState,
    /// When it ended; of a held one, when it began.
    pub at: Timestamp,
    pub counts: Counts,
    /// Why it failed, or why it is held: a code and a sentence.
    pub reason: Option<(String, String)>,
    /// Whether it read the model from its beginning to its end, so that its number of records means something.
    pub is_whole: bool,
    /// It was cut off, and another goes on where it was, which tells how that ends.
    pub is_taken_over: bool,
}

impl From<&WatchedSync> for SyncFacts {
    fn from(watched: &WatchedSync) -> Self {
        let row = &watched.sync;
        let held = row.held.as_ref().filter(|_| row.state == SyncState::Held);
        let reason = match (held, &row.error) {
            (Some(held), _) => Some((held.code.clone(), held.message.clone())),
            (None, Some(error)) => Some((
                error.code.clone(),
                match &error.hint {
                    Some(hint) => format!("{}; {hint}", error.message),
                    None => error.message.clone(),
                },
            )),
            (None, None) => None,
        };
        Self {
            id: row.id,
            state: row.state,
            at: row.finished_at.unwrap_or(row.started_at),
            counts: row.counts,
            reason,
            // A replay sends what others have read.
            is_whole: watched.task != "replay"
                && matches!(row.state, SyncState::Done | SyncState::Partly | SyncState::Held),
            is_taken_over: watched.is_taken_over,
        }
    }
}

impl SyncFacts {
    /// Records that were to be sent and were not delivered, or could not be compared at all.
    pub(crate) fn undelivered(&self) -> u64 {
        undelivered(&self.counts)
    }

    /// Records that were to be sent.
    pub(crate) fn attempted(&self) -> u64 {
        self.counts.delivered + self.undelivered()
    }
}

pub(crate) fn undelivered(counts: &Counts) -> u64 {
    counts.rejected + counts.retry + counts.in_doubt + counts.unusable_key()
}

/// How a mapping stands to its schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueFacts {
    /// Since when a sync has been due that has not started. It may lie in the future.
    pub waiting_since: Option<Timestamp>,
    /// When the sync that is running now was due.
    pub running_since: Option<Timestamp>,
    /// When a sync ended last.
    pub ended_at: Option<Timestamp>,
    /// Since when there could have been syncs: the mapping was made or enabled then.
    pub enabled_since: Timestamp,
}

/// A column of a model, and the name of what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnFacts {
    pub name: String,
    pub kind: String,
}

/// The columns of a model in two extracts, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnsFacts {
    /// The sync that found it.
    pub sync: Option<SyncId>,
    pub before: Vec<ColumnFacts>,
    pub now: Vec<ColumnFacts>,
}

/// Credentials whose end is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialFacts {
    /// What it is: `the access that was granted`, `the certificate`.
    pub what: String,
    pub ends_at: Timestamp,
}
