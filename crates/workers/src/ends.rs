//! What follows from the end of a sync: it is counted, and what waited for it is due.

use jiff::Timestamp;
use schedule::{Finished, Schedule};
use store::{DueRow, RunRow, Store, StoreError, SyncState};

use crate::{Service, moments};

/// Ends that are looked at in one go.
const ENDS_MAX: u32 = 100;
/// How often an end is looked at anew because something else changed meanwhile. After that it is left for later.
const ROUNDS_MAX: u32 = 5;

impl Service {
    /// Notes all ends that nobody has noted yet, whoever ran the syncs.
    pub(crate) async fn note_ends(&self) -> Result<(), StoreError> {
        let mut is_due = false;
        loop {
            let ends = self.store().unnoted_ends(ENDS_MAX).await?;
            let mut noted = 0;
            for run in &ends {
                for _ in 0..ROUNDS_MAX {
                    let due = self.made_due_by(run).await?;
                    if self.store().note_end(run.sync.id, &due).await? {
                        is_due |= !due.is_empty();
                        noted += 1;
                        break;
                    }
                }
            }
            if ends.len() < ENDS_MAX as usize || noted == 0 {
                break;
            }
        }
        if self.store().end_waits().await? > 0 || is_due {
            self.due.notify_one();
        }
        Ok(())
    }

    /// The mappings that waited for this end and nothing else, each with the moment since which it is due.
    async fn made_due_by(&self, run: &RunRow) -> Result<Vec<(DueRow, Timestamp)>, StoreError> {
        let mut due = Vec::new();
        for row in self.store().waiting_for(&run.sync.mapping).await? {
            let Schedule::After(after) = moments::read(&row.schedule) else { continue };
            let finished = finished(self.store(), after.mappings()).await?;
            let consumed = serde_json::from_str(&row.consumed).unwrap_or_default();
            if let Some(since) = after.due_since(|name| of(&finished, name), &consumed) {
                due.push((row, since));
            }
        }
        Ok(due)
    }

    /// Notes that a mapping starts now, and with it which syncs of those it waits for it has seen.
    pub(crate) async fn consume(&self, mapping: &str) -> Result<(), StoreError> {
        for _ in 0..ROUNDS_MAX {
            let Some(row) = self.store().due(mapping).await? else { return Ok(()) };
            let Schedule::After(after) = moments::read(&row.schedule) else { return Ok(()) };
            let finished = finished(self.store(), after.mappings()).await?;
            let consumed = after.consume(|name| of(&finished, name));
            let text = serde_json::to_string(&consumed).unwrap_or_default();
            if self.store().consume(&row, &text).await? {
                break;
            }
        }
        Ok(())
    }
}

/// The last end of each of these mappings.
pub(crate) async fn finished(store: &Store, mappings: &[String]) -> Result<Vec<(String, Finished)>, StoreError> {
    let mut ends = Vec::new();
    for mapping in mappings {
        if let Some(row) = store.last_finished(mapping).await? {
            let at = row.finished_at.unwrap_or(row.started_at);
            let succeeded = row.state == SyncState::Done;
            ends.push((mapping.clone(), Finished { sync: row.id.to_string(), at, succeeded }));
        }
    }
    Ok(ends)
}

pub(crate) fn of(ends: &[(String, Finished)], mapping: &str) -> Option<Finished> {
    ends.iter().find(|(name, _)| name == mapping).map(|(_, end)| end.clone())
}
