//! What an engine is asked to do: one mapping, and how its sync is to run.

use std::{path::PathBuf, sync::Arc};

use records::SyncId;
use tokio_util::sync::CancellationToken;

use crate::Mapping;

/// One mapping that is to be synced.
#[derive(Debug, Clone)]
pub struct Request {
    pub mapping: Arc<Mapping>,
    /// The sync that waits in the queue. None: it gets an id and a row as it begins.
    pub id: Option<SyncId>,
    pub options: SyncOptions,
    /// Ends this sync, and none of those that share its extract.
    pub cancel: CancellationToken,
}

/// How a sync is to run.
#[derive(Debug, Clone, Default)]
pub struct SyncOptions {
    /// A person said yes: guards do not hold.
    pub confirmed: bool,
    /// Send what this saved plan holds instead of extracting.
    pub plan: Option<PathBuf>,
    /// Who or what started it: `command line`, `schedule`. A sync from the queue keeps the one it was queued with.
    pub trigger: String,
}

impl Request {
    /// A request for a sync that nobody has queued.
    pub fn new(mapping: Arc<Mapping>, options: SyncOptions, cancel: &CancellationToken) -> Self {
        Self { mapping, id: None, options, cancel: cancel.clone() }
    }

    /// Whether one extract serves both: they are of one model, and neither sends a saved plan.
    pub(crate) fn shares_extract(&self, other: &Request) -> bool {
        let extracts = |request: &Request| request.options.plan.is_none();
        extracts(self) && extracts(other) && self.mapping.model.name == other.mapping.model.name
    }
}

/// Groups what goes together, by index, in the order of each group's first.
pub(crate) fn groups(count: usize, together: impl Fn(usize, usize) -> bool) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for index in 0..count {
        match groups.iter_mut().find(|group| together(group[0], index)) {
            Some(group) => group.push(index),
            None => groups.push(vec![index]),
        }
    }
    groups
}
