//! Records that fail in sync after sync: when a mapping gives them up, and how a person has them tried again.

use std::collections::{BTreeMap, HashMap, HashSet};

use changes::{Bits, ChangeSet, Checkpoint, JournalEntries};
use jiff::{SignedDuration, Timestamp};
use records::{KeyHash, Operation, Outcome, OutcomeKind, SyncId};
use serde::{Deserialize, Serialize};
use store::{FailedRecord, FailingRecord};
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    Engine, Mapping, Observer, Problem, Request, SyncReport,
    blocking::blocking,
    codes::{GIVEN_UP, is_taken},
    engine::Begun,
    places,
    problem::chain,
    recording::Settled,
};

/// Records that were given up, read at a time.
const PAGE: u32 = 1_000;

/// When records that keep failing are not tried any more: at whichever comes first. Other values begin anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GiveUp {
    /// After so many syncs in which the record failed with the same values.
    pub after_syncs: Option<u32>,
    /// So many days after the first of them.
    pub after_days: Option<u32>,
}

impl GiveUp {
    fn ends(self, record: &FailingRecord, now: Timestamp) -> bool {
        let days = |days: u32| SignedDuration::from_hours(i64::from(days) * 24);
        self.after_syncs.is_some_and(|syncs| record.syncs >= syncs)
            || self.after_days.is_some_and(|count| now.duration_since(record.first_failed_at) >= days(count))
    }
}

/// Applies a mapping's policy to what fails in one sync.
pub(crate) struct Judge<'a> {
    engine: &'a Engine,
    mapping: &'a str,
    sync: SyncId,
    policy: GiveUp,
    /// Hashes of the keys that an earlier sync gave up.
    given_up: HashSet<u64>,
    /// What failed so far: place in the change set → fingerprint.
    failed: HashMap<u64, u64>,
}

impl<'a> Judge<'a> {
    /// None: the mapping never gives up.
    pub(crate) async fn open(engine: &'a Engine, begun: &'a Begun) -> Result<Option<Self>, Problem> {
        let Some(policy) = begun.mapping.give_up else { return Ok(None) };
        let mapping = &begun.mapping.name;
        let given_up = engine.all_given_up(mapping).await?;
        let given_up = given_up.iter().map(|record| hash(&record.key)).collect();
        Ok(Some(Self { engine, mapping, sync: begun.id, policy, given_up, failed: HashMap::new() }))
    }

    /// Keeps in mind what failed. Takes off the list what was given up once and is delivered, or left out, by now.
    pub(crate) async fn see(&mut self, settled: &[Settled]) -> Result<(), Problem> {
        let failed = settled.iter().filter(|one| one.outcome.as_ref().is_some_and(|outcome| !outcome.is_delivered()));
        self.failed.extend(failed.filter_map(|one| Some((one.index, one.told.as_ref()?.fingerprint))));
        let listed = |one: &&Settled| {
            !self.given_up.is_empty()
                && one.outcome.as_ref().is_none_or(Outcome::is_delivered)
                && self.given_up.contains(&hash(&one.key))
        };
        let keys: Vec<&str> = settled.iter().filter(listed).map(|one| one.key.as_str()).collect();
        if keys.is_empty() {
            return Ok(());
        }
        self.engine.step("store: take off delivered")?;
        let removed = self.engine.store.remove_failing(self.mapping, &keys).await;
        removed.map_err(|error| Problem::of_store(&error))
    }

    /// After a load that tried every change: counts what failed once more, and gives what is given up by that. A
    /// sync that was stopped says nothing about its records.
    ///
    /// A record noted as given up here and not journalled so, because the process ends, begins anew with the next
    /// sync.
    pub(crate) async fn judge(&self, now: Timestamp) -> Result<Vec<GivenUp>, Problem> {
        let of_store = |error: store::StoreError| Problem::of_store(&error);
        let store = &self.engine.store;
        self.engine.step("store: judge failures")?;
        let mut given_up = Vec::new();
        let mut after = None;
        while !self.failed.is_empty() {
            let page = store.failures_after(self.sync, None, after, PAGE).await.map_err(of_store)?;
            let Some(last) = page.last() else { break };
            after = Some(last.index);
            let keys: Vec<&str> = page.iter().map(|failure| failure.key.as_str()).collect();
            let known = store.failing(self.mapping, &keys).await.map_err(of_store)?;
            let known: BTreeMap<&str, &FailingRecord> =
                known.iter().map(|record| (record.key.as_str(), record)).collect();
            let mut noted = Vec::new();
            for failure in page {
                let known = known.get(failure.key.as_str()).copied();
                let Some(record) = self.count(&failure, known, now) else { continue };
                if record.given_up_at.is_some() {
                    given_up.push(GivenUp::new(failure, &record));
                }
                noted.push(record);
            }
            store.set_failing(self.mapping, &noted).await.map_err(of_store)?;
        }
        store.settle_failing(self.mapping, self.sync).await.map_err(of_store)?;
        Ok(given_up)
    }

    /// What is known of a failing record after this sync.
    fn count(&self, failure: &FailedRecord, known: Option<&FailingRecord>, now: Timestamp) -> Option<FailingRecord> {
        let fingerprint = *self.failed.get(&failure.index)?;
        let same = known.filter(|record| record.fingerprint == fingerprint && record.given_up_at.is_none());
        // What may have been taken is no failure yet, and no end of one.
        let in_doubt = failure.outcome == OutcomeKind::InDoubt;
        if in_doubt {
            return same.map(|record| FailingRecord { last_sync: self.sync, ..record.clone() });
        }
        let mut record = same.cloned().unwrap_or_else(|| FailingRecord {
            key: failure.key.clone(),
            fingerprint,
            first_failed_at: now,
            syncs: 0,
            last_sync: self.sync,
            given_up_at: None,
        });
        record.syncs += 1;
        record.last_sync = self.sync;
        record.given_up_at = self.policy.ends(&record, now).then_some(now);
        Some(record)
    }
}

/// A record that no further sync tries.
#[derive(Debug)]
pub(crate) struct GivenUp {
    /// What it is now: rejected, with the code it failed with last.
    pub failure: FailedRecord,
    /// How it failed last.
    pub was: OutcomeKind,
}

impl GivenUp {
    fn new(failure: FailedRecord, record: &FailingRecord) -> Self {
        let syncs = if record.syncs == 1 { "1 sync".to_owned() } else { format!("{} syncs", record.syncs) };
        let message = format!(
            "given up after {syncs} since {:.0}; it is tried again when its values change, or with a replay of the failed \
         records: {}",
            record.first_failed_at, failure.message
        );
        let was = failure.outcome;
        Self { failure: FailedRecord { outcome: OutcomeKind::Rejected, message, given_up: true, ..failure }, was }
    }
}

impl Engine {
    /// The records of a mapping that were given up, in the order of their keys, from after this one on.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn given_up(
        &self,
        mapping: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<FailingRecord>, Problem> {
        self.store.given_up(mapping, after, limit).await.map_err(|error| Problem::of_store(&error))
    }

    async fn all_given_up(&self, mapping: &str) -> Result<Vec<FailingRecord>, Problem> {
        let mut all: Vec<FailingRecord> = Vec::new();
        loop {
            let page = self.given_up(mapping, all.last().map(|record| record.key.as_str()), PAGE).await?;
            let is_last = page.len() < PAGE as usize;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// Tries records again that were given up: those with these key texts, or, of an empty list, all. It is a sync of
    /// its own, which finds them changed and everything else that is pending.
    ///
    /// # Errors
    /// The checkpoint cannot be changed. The request's own sync, if it waits in the queue, has then failed.
    pub async fn retry_given_up(
        &self,
        request: &Request,
        keys: &[String],
        observer: &dyn Observer,
    ) -> Result<SyncReport, Problem> {
        let begun = self.start_marked(request, observer, self.mark_given_up(&request.mapping.name, keys)).await;
        self.run_marked(request, begun, observer).await
    }

    /// Marks records that were given up so that the next sync finds them. They stay on the list until it has.
    async fn mark_given_up(&self, mapping: &str, keys: &[String]) -> Result<(), Problem> {
        let mut records = self.all_given_up(mapping).await?;
        records.retain(|record| keys.is_empty() || keys.contains(&record.key));
        let checkpoint = self.open_checkpoint(mapping).await?;
        let syncs = places::syncs(&self.settings.folder, mapping);
        let marked = blocking(move || {
            let of_checkpoint = |error| Problem::of_checkpoint(&error);
            let texts: Vec<&str> = records.iter().map(|record| record.key.as_str()).collect();
            let held = checkpoint.find_all(&texts).map_err(of_checkpoint)?;
            let hashes: Vec<KeyHash> = held.iter().map(|record| record.key_hash).collect();
            let held: HashSet<&str> = held.iter().map(|record| record.key.as_str()).collect();
            // Of a record that was to be deleted nothing is left but the change set, if it is kept.
            let mut gone: BTreeMap<SyncId, HashSet<&str>> = BTreeMap::new();
            for record in records.iter().filter(|record| !held.contains(record.key.as_str())) {
                gone.entry(record.last_sync).or_default().insert(&record.key);
            }
            let mut checkpoint = checkpoint.mark_dirty(&hashes).map_err(of_checkpoint)?;
            for (sync, keys) in gone {
                match ChangeSet::open(&places::change_set(&syncs.join(sync.to_string()))) {
                    Ok(change_set) => checkpoint = reinsert(&checkpoint, &change_set, &keys)?,
                    Err(error) => tracing::warn!(error = chain(&error), "the changes of a sync are no longer kept"),
                }
            }
            Ok::<_, Problem>(checkpoint)
        });
        let checkpoint = marked.await??;
        self.note_checkpoint(mapping, &checkpoint, None).await
    }

    /// Takes off the list what a sync that was cut off had delivered of it.
    pub(crate) async fn take_off_recovered(
        &self,
        mapping: &Mapping,
        change_set: &ChangeSet,
        entries: &JournalEntries,
    ) -> Result<(), Problem> {
        if mapping.give_up.is_none() {
            return Ok(());
        }
        let listed: HashSet<String> = self.all_given_up(&mapping.name).await?.into_iter().map(|one| one.key).collect();
        if listed.is_empty() {
            return Ok(());
        }
        let (change_set, entries) = (change_set.clone(), entries.clone());
        let taken = blocking(move || {
            let unreadable = |error: changes::ChangeSetError| Problem::new("change_set_unreadable", chain(&error));
            let mut taken = Vec::new();
            for chunk in change_set.chunks(0).map_err(unreadable)? {
                let chunk = chunk.map_err(unreadable)?;
                for row in (0..chunk.len()).filter(|&row| listed.contains(chunk.key(row))) {
                    if entries.code(chunk.index(row)).is_some_and(|code| is_taken(code) && code != GIVEN_UP) {
                        taken.push(chunk.key(row).to_owned());
                    }
                }
            }
            Ok::<_, Problem>(taken)
        });
        let taken = taken.await??;
        let taken: Vec<&str> = taken.iter().map(String::as_str).collect();
        self.store.remove_failing(&mapping.name, &taken).await.map_err(|error| Problem::of_store(&error))
    }
}

/// Puts deleted records back, so that the next sync deletes them again.
fn reinsert(checkpoint: &Checkpoint, change_set: &ChangeSet, keys: &HashSet<&str>) -> Result<Checkpoint, Problem> {
    let unreadable = |error: changes::ChangeSetError| Problem::new("change_set_unreadable", chain(&error));
    let mut deleted = Bits::new();
    for chunk in change_set.chunks(0).map_err(unreadable)? {
        let chunk = chunk.map_err(unreadable)?;
        let wanted = |row: &usize| chunk.operation(*row) == Operation::Deleted && keys.contains(chunk.key(*row));
        for row in (0..chunk.len()).filter(wanted) {
            deleted.insert(chunk.index(row));
        }
    }
    checkpoint.reinsert(change_set, &deleted).map_err(|error| Problem::of_checkpoint(&error))
}

fn hash(key: &str) -> u64 {
    xxh3_64(key.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: (Option<u32>, Option<u32>), syncs: u32, days: i64, ends: bool) {
        let record = FailingRecord {
            key: "1".to_owned(),
            fingerprint: 1,
            first_failed_at: Timestamp::UNIX_EPOCH,
            syncs,
            last_sync: SyncId::from_uuid(uuid::Uuid::nil()),
            given_up_at: None,
        };
        let policy = GiveUp { after_syncs: policy.0, after_days: policy.1 };
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(days * 24);
        assert_eq!(policy.ends(&record, now), ends, "{policy:?}, {syncs} syncs, {days} days");
    }

    #[test]
    fn a_policy_ends_by_count_or_by_age_whichever_comes_first() {
        check((None, None), 1_000, 1_000, false);
        check((Some(3), None), 2, 1_000, false);
        check((Some(3), None), 3, 0, true);
        check((None, Some(7)), 1_000, 6, false);
        check((None, Some(7)), 1, 7, true);
        check((Some(3), Some(7)), 3, 1, true);
        check((Some(3), Some(7)), 2, 8, true);
        check((Some(3), Some(7)), 2, 6, false);
    }
}
