//! What an engine tells while it works.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use records::{Counts, SyncId};
use serde::{Deserialize, Serialize};

use crate::{Held, SyncReport};

/// Where a sync stands, told as it goes.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    pub mapping: &'a str,
    /// None for a plan, which is no sync.
    pub sync: Option<SyncId>,
    pub at: Timestamp,
    pub news: News<'a>,
}

/// What is new.
#[derive(Debug, Clone, Copy)]
pub enum News<'a> {
    Started,
    /// A sync that was cut off left jobs at the destination; this one is being asked about, counted from 1.
    Collecting {
        job: usize,
        jobs: usize,
    },
    /// An earlier sync of this mapping was cut off; what it delivered is now in the checkpoint.
    Recovered {
        sync: SyncId,
        delivered: u64,
    },
    /// A phase begins, and with it the one before ends.
    Phase(Phase),
    /// Records read so far.
    Extracting {
        records: u64,
    },
    /// The warehouse is released and the changes are known.
    Compared {
        counts: Counts,
    },
    Held {
        held: &'a Held,
    },
    /// `done` of the change set's `total` changes have an outcome.
    Loading {
        done: u64,
        total: u64,
        failed: u64,
        requests: u64,
    },
    Finished {
        report: &'a SyncReport,
    },
}

/// What a sync is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Extracting,
    Comparing,
    Loading,
    Committing,
}

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Phase::Extracting => "extracting",
            Phase::Comparing => "comparing",
            Phase::Loading => "loading",
            Phase::Committing => "committing",
        }
    }
}

/// When a sync was at something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseTime {
    pub phase: Phase,
    pub began_at: Timestamp,
    /// None while it lasts.
    pub ended_at: Option<Timestamp>,
}

/// Is told how a sync gets on. Calls are frequent and must be quick.
pub trait Observer: Send + Sync {
    fn progress(&self, progress: Progress<'_>);
}

/// An observer that looks away.
#[derive(Debug, Clone, Copy)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn progress(&self, _: Progress<'_>) {}
}

/// The phases of one sync so far.
#[derive(Debug, Default)]
pub(crate) struct PhaseLog(Mutex<Vec<PhaseTime>>);

impl PhaseLog {
    pub(crate) fn begin(&self, phase: Phase, at: Timestamp) {
        let mut phases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = phases.last_mut() {
            last.ended_at.get_or_insert(at);
        }
        phases.push(PhaseTime { phase, began_at: at, ended_at: None });
    }

    /// Ends the last phase and gives all.
    pub(crate) fn end(&self, at: Timestamp) -> Vec<PhaseTime> {
        let mut phases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = phases.last_mut() {
            last.ended_at.get_or_insert(at);
        }
        phases.clone()
    }
}
