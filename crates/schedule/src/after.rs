//! Waiting for other mappings: due once each of them has come to an end, or succeeded, since the last start.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the mappings that are waited for must have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "schedule_when")]
pub enum When {
    /// The last sync of each has succeeded.
    #[default]
    AllSucceeded,
    /// A sync of each has come to an end, whichever.
    AllFinished,
}

/// The mappings that are waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct After {
    pub(crate) mappings: Vec<String>,
    pub(crate) when: When,
}

/// The sync that a mapping finished last. Which endings are success is not for a schedule to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// The id of the sync.
    pub sync: String,
    pub at: Timestamp,
    pub succeeded: bool,
}

/// The syncs a mapping that waits has seen: for each mapping it waits for, the one that had finished last at its own
/// last start, or when it was enabled. A sync starts what waits for it once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Consumed(BTreeMap<String, String>);

impl After {
    pub fn mappings(&self) -> &[String] {
        &self.mappings
    }

    pub fn when(&self) -> When {
        self.when
    }

    /// Whether each of the mappings has a finished sync that was not consumed, the last of which succeeded if it has
    /// to. `finished` tells the sync that a mapping finished last.
    pub fn is_due(&self, finished: impl Fn(&str) -> Option<Finished>, consumed: &Consumed) -> bool {
        self.missing(finished, consumed).is_empty()
    }

    /// The mappings that are still waited for.
    pub fn missing(&self, finished: impl Fn(&str) -> Option<Finished>, consumed: &Consumed) -> Vec<&str> {
        let has_come = |mapping: &str| {
            finished(mapping).is_some_and(|last| {
                let fits = self.when == When::AllFinished || last.succeeded;
                fits && consumed.0.get(mapping) != Some(&last.sync)
            })
        };
        self.mappings.iter().map(String::as_str).filter(|mapping| !has_come(mapping)).collect()
    }

    /// What a start at this moment consumes. To be kept when the mapping starts, in whatever way, and when it is
    /// enabled, so that it waits for what comes and not for what has been.
    pub fn consume(&self, finished: impl Fn(&str) -> Option<Finished>) -> Consumed {
        let last = |mapping: &String| finished(mapping).map(|last| (mapping.clone(), last.sync));
        Consumed(self.mappings.iter().filter_map(last).collect())
    }

    /// When the last of the mappings came to its end: the moment from which on this one was due.
    pub fn due_since(&self, finished: impl Fn(&str) -> Option<Finished>, consumed: &Consumed) -> Option<Timestamp> {
        if !self.is_due(&finished, consumed) {
            return None;
        }
        self.mappings.iter().filter_map(|mapping| finished(mapping)).map(|last| last.at).max()
    }
}

/// Mappings that wait for each other in a circle, and so would never start: `a` waits for the second, which waits for
/// the third, and so on, and the last waits for `a`. `waits` tells for whom a mapping waits.
pub fn find_circle<'a>(waits: &BTreeMap<&'a str, Vec<&'a str>>) -> Option<Vec<&'a str>> {
    let mut is_done = std::collections::BTreeSet::new();
    for start in waits.keys().copied() {
        if is_done.contains(start) {
            continue;
        }
        // The way from `start` down to where we are, each with the place of whom to look at next.
        let mut way: Vec<(&'a str, usize)> = vec![(start, 0)];
        while let Some((mapping, next)) = way.last_mut() {
            match waits.get(mapping).and_then(|awaited| awaited.get(*next)) {
                None => {
                    is_done.insert(*mapping);
                    way.pop();
                }
                Some(awaited) => {
                    *next += 1;
                    if let Some(place) = way.iter().position(|(above, _)| above == awaited) {
                        return Some(way[place..].iter().map(|(mapping, _)| *mapping).collect());
                    }
                    if !is_done.contains(awaited) {
                        way.push((awaited, 0));
                    }
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests;
