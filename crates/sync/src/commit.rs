//! The end of a sync: the checkpoint takes what was delivered; what a crash left open is brought to its end.

use std::path::Path;

use changes::{Bits, ChangeSet, Checkpoint, Journal, JournalEntries};
use records::SyncId;
use store::{CheckpointRow, HistoryRow, HistoryWriter, SyncError, SyncRow, SyncState};
use tokio_util::sync::CancellationToken;

use crate::{
    Engine, FailureCount, Mapping, News, Observer, Problem,
    blocking::blocking,
    codes::{count, outcome, taken_and_doubtful},
    journal::FileJournal,
    places,
    problem::chain,
};

/// Syncs whose change set is kept for a replay, per mapping.
const CHANGE_SETS_KEPT: usize = 10;

impl Engine {
    /// Gives the checkpoint the changes in `taken`, and a note of those in `doubtful`. The same again changes nothing.
    pub(crate) async fn commit(
        &self,
        mapping: &str,
        id: SyncId,
        checkpoint: Checkpoint,
        change_set: ChangeSet,
        (taken, doubtful): (Bits, Bits),
    ) -> Result<(), Problem> {
        let committed = blocking(move || checkpoint.commit_with_doubt(&change_set, &taken, &doubtful)).await?;
        let committed = committed.map_err(|error| Problem::of_checkpoint(&error))?;
        self.note_checkpoint(mapping, &committed, Some(id)).await
    }

    /// Tells the store where a mapping's checkpoint is and how large.
    pub(crate) async fn note_checkpoint(
        &self,
        mapping: &str,
        checkpoint: &Checkpoint,
        last_sync: Option<SyncId>,
    ) -> Result<(), Problem> {
        let definition =
            checkpoint.tracking().map(|tracked| serde_json::to_string(tracked).unwrap_or_default()).unwrap_or_default();
        let row = CheckpointRow {
            mapping: mapping.to_owned(),
            folder: checkpoint.dir().to_owned(),
            records: checkpoint.len(),
            bytes: checkpoint.disk_bytes(),
            definition_hash: format!("{:016x}", xxhash_rust::xxh3::xxh3_64(definition.as_bytes())),
            definition,
            updated_at: self.clock.now(),
            last_sync,
        };
        self.step("store: checkpoint")?;
        self.store.set_checkpoint(&row).await.map_err(|error| Problem::of_store(&error))
    }

    /// Opens a mapping's checkpoint.
    pub(crate) async fn open_checkpoint(&self, mapping: &str) -> Result<Checkpoint, Problem> {
        let (folder, steps) = (self.checkpoint_folder(mapping), self.steps.clone());
        let opened = blocking(move || Checkpoint::open(&folder, steps)).await?;
        opened.map_err(|error| Problem::of_checkpoint(&error))
    }

    /// The commonest reasons why records of a sync failed.
    pub(crate) async fn failure_counts(&self, id: SyncId) -> Result<Vec<FailureCount>, Problem> {
        let groups = self.store.failure_summary(id).await.map_err(|error| Problem::of_store(&error))?;
        let count = |group: store::FailureGroup| FailureCount {
            outcome: group.outcome,
            code: group.code,
            given_up: group.given_up,
            message: group.message,
            records: group.count,
            key: group.key,
        };
        Ok(groups.into_iter().map(count).collect())
    }

    /// Brings syncs of a mapping that were cut off to their end: what their journals call delivered goes into the
    /// checkpoint, the rest stays pending. The caller holds the mapping's lock, so none of them still runs.
    ///
    /// With `to`, the destination is asked what became of jobs whose results were not read; without, their records
    /// are in doubt. Beside it stands the sync that waits for this.
    pub(crate) async fn recover(
        &self,
        mapping: &str,
        to: Option<(&Mapping, SyncId)>,
        observer: &dyn Observer,
        cancel: &CancellationToken,
    ) -> Result<(), Problem> {
        let open = self.store.unfinished(mapping).await.map_err(|error| Problem::of_store(&error))?;
        // One that is queued or held sent nothing; it stays what it was.
        for row in open.into_iter().filter(|row| !matches!(row.state, SyncState::Queued | SyncState::Held)) {
            let delivered = self.recover_one(&row, to, observer, cancel).await?;
            let news = News::Recovered { sync: row.id, delivered };
            self.tell(observer, mapping, to.map(|(_, waiting)| waiting), news);
        }
        Ok(())
    }

    async fn recover_one(
        &self,
        row: &SyncRow,
        to: Option<(&Mapping, SyncId)>,
        observer: &dyn Observer,
        cancel: &CancellationToken,
    ) -> Result<u64, Problem> {
        let folder = places::sync(&self.settings.folder, &row.mapping, row.id);
        let (change_set, journal) = (places::change_set(&folder), places::journal(&folder));
        let mut counts = row.counts;
        (counts.delivered, counts.rejected, counts.retry, counts.in_doubt, counts.skipped) = (0, 0, 0, 0, 0);
        let read = blocking(move || {
            if !change_set.exists() || !journal.exists() {
                return Ok(None);
            }
            let entries = Journal::read(&journal).map_err(|error| Problem::new("journal", chain(&error)))?;
            let change_set =
                ChangeSet::open(&change_set).map_err(|error| Problem::new("change_set_unreadable", chain(&error)))?;
            Ok::<_, Problem>(Some((change_set, entries)))
        });
        let (state, message) = match read.await?? {
            None => (SyncState::Interrupted, "cut off before anything was sent"),
            Some((change_set, mut entries)) => {
                if let Some(to) = to {
                    let journal = FileJournal::open(&folder, self.steps.clone()).await?;
                    entries =
                        self.collect_jobs(to, (&places::jobs(&folder), &journal), entries, cancel, observer).await?;
                    self.take_off_recovered(to.0, &change_set, &entries).await?;
                }
                for (code, changes) in entries.iter() {
                    count(&mut counts, code, changes.len());
                }
                let settled = taken_and_doubtful(&entries);
                let checkpoint = self.open_checkpoint(&row.mapping).await?;
                if !checkpoint.has_committed(row.id) {
                    self.retell(row, &change_set, entries).await?;
                }
                self.commit(&row.mapping, row.id, checkpoint, change_set, settled).await?;
                (SyncState::Interrupted, "cut off while sending; what was delivered counts, the rest is pending")
            }
        };
        let error = SyncError {
            code: "interrupted".to_owned(),
            message: message.to_owned(),
            hint: Some("the next sync sends what is pending".to_owned()),
        };
        self.step("store: finish interrupted sync")?;
        self.store.finish(row.id, state, &counts, Some(&error)).await.map_err(|error| Problem::of_store(&error))?;
        self.step("store: interrupted sync finished")?;
        Ok(counts.delivered)
    }

    /// Writes the history that a crash took: the journal knows the outcomes, the change set the records.
    async fn retell(&self, row: &SyncRow, change_set: &ChangeSet, entries: JournalEntries) -> Result<(), Problem> {
        let (history, id, mapping) = (places::history(&self.settings.folder), row.id, row.mapping.clone());
        let (change_set, at) = (change_set.clone(), self.clock.now());
        blocking(move || {
            if let Err(error) = retell(&history, id, &mapping, &change_set, &entries, at) {
                tracing::warn!(error, "the history of an interrupted sync cannot be written");
            }
        })
        .await
    }

    /// Removes scratch files, and what is older than the settings keep.
    pub(crate) async fn tidy_up(&self, mapping: &str) -> Result<(), Problem> {
        let (syncs, history) = (places::syncs(&self.settings.folder, mapping), self.history());
        let keep = store::Keep { days: self.settings.history_days, bytes: self.settings.history_bytes };
        let now = self.clock.now();
        if let Some(days) = keep.days
            && let Ok(before) = now.checked_sub(jiff::SignedDuration::from_hours(i64::from(days) * 24))
        {
            self.store.forget_syncs_before(before).await.map_err(|error| Problem::of_store(&error))?;
        }
        let open = self.store.unfinished(mapping).await.map_err(|error| Problem::of_store(&error))?;
        let open: Vec<String> = open.iter().map(|row| row.id.to_string()).collect();
        blocking(move || {
            if let Err(error) = remove_old(&syncs, &open) {
                tracing::warn!(error = chain(&error), "old change sets cannot be removed");
            }
            if (keep.days.is_some() || keep.bytes.is_some())
                && let Err(error) = history.prune(keep, now)
            {
                tracing::warn!(error = chain(&error), "old history cannot be removed");
            }
        })
        .await
    }
}

fn retell(
    history: &Path,
    id: SyncId,
    mapping: &str,
    change_set: &ChangeSet,
    entries: &JournalEntries,
    at: jiff::Timestamp,
) -> Result<(), String> {
    let mut writer = HistoryWriter::create(history, id, mapping).map_err(|error| chain(&error))?;
    for chunk in change_set.chunks(0).map_err(|error| chain(&error))? {
        let chunk = chunk.map_err(|error| chain(&error))?;
        for row in 0..chunk.len() {
            let Some(outcome) = entries.code(chunk.index(row)).and_then(outcome) else { continue };
            let told = HistoryRow {
                key: chunk.key(row).to_owned(),
                operation: chunk.operation(row),
                outcome,
                code: Some("recovered".to_owned()),
                message: Some("told by the journal of a sync that was cut off; the request is not known".to_owned()),
                attempts: 1,
                at,
                payload: None,
                before: None,
                after: None,
                exchange: None,
            };
            writer.append(told).map_err(|error| chain(&error))?;
        }
    }
    writer.finish().map_err(|error| chain(&error))
}

/// Keeps the newest sync folders, whose names sort by time, and those of syncs that are at no end: one that is held
/// may be released yet.
fn remove_old(syncs: &Path, open: &[String]) -> std::io::Result<()> {
    let is_open = |path: &Path| path.file_name().is_some_and(|name| open.iter().any(|id| name == id.as_str()));
    let mut folders: Vec<_> = std::fs::read_dir(syncs)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.is_dir() && !is_open(path))
        .collect();
    folders.sort();
    let old = folders.len().saturating_sub(CHANGE_SETS_KEPT);
    for folder in &folders[..old] {
        std::fs::remove_dir_all(folder)?;
    }
    Ok(())
}
