//! Changes of the checkpoint: each writes new files beside the old, then the manifest, then removes what is left over.

use std::{collections::HashSet, fs, path::PathBuf, sync::Arc};

use arrow_array::{BooleanArray, RecordBatch, UInt64Array, cast::AsArray as _, types::UInt64Type};
use arrow_schema::ArrowError;
use records::{KeyHash, Operation};

use super::{
    Checkpoint, CheckpointError,
    data_file::{DataFile, DataWriter, ROWS},
    keys_file::Entry,
    layers::{Layers, with_column},
    manifest::{FileEntry, MANIFEST, Manifest, is_ours},
};
use crate::{
    Bits, ChangeSet, Tracked,
    hash::{DIRTY, in_doubt},
    steps::{REMOVE, take},
};

/// More deltas than this, or more of the base's rows in them than one in this many, and a new base is written.
const DELTAS_MAX: usize = 8;
const DELTA_SHARE: u64 = 4;

impl Checkpoint {
    /// Takes exactly the changes whose indexes are in `committed`, and the change set's tracking. Committing the same
    /// sync again changes nothing. Commit empty sets too: they may carry a change of tracking; one that carries
    /// nothing leaves no trace.
    ///
    /// # Errors
    /// A file cannot be read or written. The checkpoint on disk is then either as before or as after.
    pub fn commit(&self, changes: &ChangeSet, committed: &Bits) -> Result<Checkpoint, CheckpointError> {
        self.commit_with_doubt(changes, committed, &Bits::new())
    }

    /// As [`Self::commit`], and notes of the changes in `doubtful` that the destination may have taken them: the next
    /// sync finds such a record changed whatever it shows, one that was sent as new is added again or, if it is gone
    /// by then, deleted. Without this a record that was taken unheard and then went away would stay there for ever.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn commit_with_doubt(
        &self,
        changes: &ChangeSet,
        committed: &Bits,
        doubtful: &Bits,
    ) -> Result<Checkpoint, CheckpointError> {
        if self.has_committed(changes.sync()) {
            // It may have been cut off before it had removed what it replaced.
            self.clean(&self.manifest)?;
            return Ok(self.clone());
        }
        let same = self.manifest.tracked.as_ref() == Some(changes.tracked());
        if same && committed.is_empty() && doubtful.is_empty() {
            return Ok(self.clone());
        }
        if doubtful.is_empty() {
            return self.commit_known(changes, committed, doubtful);
        }
        // First, and on its own: to doubt too much does no harm.
        self.doubt(changes, doubtful)?.commit_known(changes, committed, doubtful)
    }

    /// Marks the records behind the updates and deletions in `doubtful`.
    fn doubt(&self, changes: &ChangeSet, doubtful: &Bits) -> Result<Checkpoint, CheckpointError> {
        let mut keys = Vec::new();
        for chunk in changes.chunks(0).map_err(CheckpointError::ChangeSet)? {
            let chunk = chunk.map_err(CheckpointError::ChangeSet)?;
            let doubted =
                |row: &usize| doubtful.contains(chunk.index(*row)) && chunk.operation(*row) != Operation::Added;
            keys.extend((0..chunk.len()).filter(doubted).map(|row| chunk.key_hash(row)));
        }
        self.alter(&keys, |rows| {
            let marked = rows.column(1).as_primitive::<UInt64Type>().values().iter().map(|found| in_doubt(*found));
            with_column(rows, 1, Arc::new(UInt64Array::from_iter_values(marked)))
        })
    }

    fn commit_known(
        &self,
        changes: &ChangeSet,
        committed: &Bits,
        doubtful: &Bits,
    ) -> Result<Checkpoint, CheckpointError> {
        let same = self.manifest.tracked.as_ref() == Some(changes.tracked());
        self.prepare()?;
        let mut next = self.next();
        next.tracked = Some(changes.tracked().clone());
        next.note_commit(changes.sync());

        let kept = changes.tracked().kept();
        let mut delta = Delta::new(self, &next, kept);
        let (mut added, mut deleted) = (0, 0);
        for chunk in changes.chunks(0).map_err(CheckpointError::ChangeSet)? {
            let chunk = chunk.map_err(CheckpointError::ChangeSet)?;
            for row in (0..chunk.len()).filter(|row| committed.contains(chunk.index(*row))) {
                match chunk.operation(row) {
                    Operation::Added => added += 1,
                    Operation::Updated => {}
                    Operation::Deleted => deleted += 1,
                }
            }
            let rows = chunk.committed_rows(committed, doubtful).map_err(|source| self.arrow("write", source))?;
            if let Some(rows) = rows {
                delta.write(&rows)?;
            }
        }
        next.doubts |= !doubtful.is_empty();
        // A record that may be there is counted already, and is added once more.
        let fits = changes.generation() == self.manifest.generation && !next.doubts;
        let records = fits.then(|| (self.manifest.records + added).saturating_sub(deleted));
        self.lay(next, delta.finish()?, records, same)
    }

    /// Forgets records: the next sync finds them added. Unknown keys are passed over.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn forget(&self, keys: &[KeyHash]) -> Result<Checkpoint, CheckpointError> {
        self.alter(keys, |rows| with_column(rows, 3, Arc::new(BooleanArray::from(vec![true; rows.num_rows()]))))
    }

    /// Makes the next sync find these records updated, though they have not changed. Unknown keys are passed over.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn mark_dirty(&self, keys: &[KeyHash]) -> Result<Checkpoint, CheckpointError> {
        self.alter(keys, |rows| with_column(rows, 1, Arc::new(UInt64Array::from(vec![DIRTY; rows.num_rows()]))))
    }

    fn alter(
        &self,
        keys: &[KeyHash],
        alter: impl Fn(&RecordBatch) -> Result<RecordBatch, ArrowError>,
    ) -> Result<Checkpoint, CheckpointError> {
        let layers = self.layers()?;
        let found = self.select(&layers, keys)?;
        if found.is_empty() {
            return Ok(self.clone());
        }
        self.prepare()?;
        let next = self.next();
        let kept = self.manifest.tracked.as_ref().map(Tracked::kept).unwrap_or_default();
        let mut delta = Delta::new(self, &next, kept.clone());
        for some in found.chunks(ROWS) {
            let rows = alter(&layers.fetch(some, &kept)?).map_err(|source| self.arrow("write", source))?;
            delta.write(&rows)?;
        }
        self.lay(next, delta.finish()?, None, true)
    }

    /// The live entries with these keys.
    pub(crate) fn select(&self, layers: &Layers, keys: &[KeyHash]) -> Result<Vec<Entry>, CheckpointError> {
        let keys: HashSet<u128> = keys.iter().map(|key| key.0).collect();
        let mut found = Vec::new();
        let mut entries = layers.entries()?;
        while let Some(entry) = entries.next()? {
            if keys.contains(&entry.key) {
                found.push(entry);
            }
        }
        Ok(found)
    }

    /// Puts the deleted records among these changes back, so that the next sync finds them deleted again (or, if the
    /// model shows them again, updated). Records that the checkpoint holds are passed over, and a change set of
    /// another tracking changes nothing.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn reinsert(&self, changes: &ChangeSet, which: &Bits) -> Result<Checkpoint, CheckpointError> {
        let Some(tracked) = &self.manifest.tracked else { return Ok(self.clone()) };
        let kept = tracked.kept();
        if changes.previous_columns() != kept {
            return Ok(self.clone());
        }
        let chunks = || changes.chunks(0).map_err(CheckpointError::ChangeSet);
        let mut wanted = Vec::new();
        for chunk in chunks()? {
            let chunk = chunk.map_err(CheckpointError::ChangeSet)?;
            let rows = (0..chunk.len()).filter(|row| which.contains(chunk.index(*row)));
            wanted
                .extend(rows.filter(|row| chunk.operation(*row) == Operation::Deleted).map(|row| chunk.key_hash(row)));
        }
        let held: HashSet<u128> = self.select(&self.layers()?, &wanted)?.iter().map(|entry| entry.key).collect();
        if wanted.iter().all(|key| held.contains(&key.0)) {
            return Ok(self.clone());
        }
        self.prepare()?;
        let next = self.next();
        let mut delta = Delta::new(self, &next, kept);
        for chunk in chunks()? {
            let chunk = chunk.map_err(CheckpointError::ChangeSet)?;
            let back = |row: &usize| which.contains(chunk.index(*row)) && !held.contains(&chunk.key_hash(*row).0);
            let rows: Vec<u32> = (0..chunk.len()).filter(back).map(|row| row as u32).collect();
            if let Some(rows) = chunk.deleted_rows(&rows).map_err(|source| self.arrow("write", source))? {
                delta.write(&rows)?;
            }
        }
        self.lay(next, delta.finish()?, None, true)
    }

    /// Forgets everything, the tracking too.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn reset(&self) -> Result<Checkpoint, CheckpointError> {
        if self.manifest.tracked.is_none() && self.manifest.files.is_empty() {
            return Ok(self.clone());
        }
        self.prepare()?;
        let manifest = Manifest {
            generation: self.manifest.generation + 1,
            commits: self.manifest.commits.clone(),
            ..Manifest::empty()
        };
        self.publish(manifest)
    }

    fn next(&self) -> Manifest {
        let mut next = Manifest::clone(&self.manifest);
        next.generation += 1;
        next
    }

    fn arrow(&self, doing: &'static str, source: ArrowError) -> CheckpointError {
        CheckpointError::Arrow { doing, path: self.dir.clone(), source }
    }

    /// Makes the folder and its first manifest if they are missing, and removes what a crash left behind.
    fn prepare(&self) -> Result<(), CheckpointError> {
        let io = |source| CheckpointError::Io { doing: "make", path: self.dir.clone(), source };
        fs::create_dir_all(&self.dir).map_err(io)?;
        if !self.dir.join(MANIFEST).exists() {
            self.manifest.write(&self.dir, &self.steps)?;
        }
        self.clean(&self.manifest)
    }

    fn clean(&self, manifest: &Manifest) -> Result<(), CheckpointError> {
        let io = |doing, path: PathBuf| move |source| CheckpointError::Io { doing, path, source };
        let names: HashSet<String> =
            manifest.files.iter().flat_map(|file| [file.data_name(), file.keys_name()]).collect();
        for entry in fs::read_dir(&self.dir).map_err(io("read", self.dir.clone()))? {
            let entry = entry.map_err(io("read", self.dir.clone()))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if is_ours(&name) && !names.contains(&name) {
                let path = entry.path();
                take(self.steps.as_ref(), REMOVE, || fs::remove_file(&path)).map_err(io("remove", path.clone()))?;
            }
        }
        Ok(())
    }

    /// Lays a delta over the files, or makes one new base of all when it is time or the tracking is another.
    fn lay(
        &self,
        mut next: Manifest,
        delta: Option<FileEntry>,
        records: Option<u64>,
        same_tracking: bool,
    ) -> Result<Checkpoint, CheckpointError> {
        let kept = next.tracked.as_ref().map(Tracked::kept).unwrap_or_default();
        let old = self.manifest.files.clone();
        next.files = old.iter().cloned().chain(delta.clone()).collect();
        let in_deltas: u64 = next.files.iter().skip(1).map(|file| file.rows).sum();
        let base = next.files.first().map_or(0, |file| file.rows);
        let full = next.files.len() > DELTAS_MAX || in_deltas * DELTA_SHARE > base;
        let mut rekeyed = same_tracking;
        if !old.is_empty() && (full || !same_tracking) {
            let mut layers = self.layers()?;
            for (file, entry) in layers.files.iter().zip(&old) {
                file.verify(entry.checksum)?;
            }
            if let (false, Some(now)) = (rekeyed, &next.tracked) {
                layers.rekey(now, &self.dir, &self.steps)?;
                rekeyed = true;
            }
            if let Some(delta) = &delta {
                layers.push(DataFile::open(&self.dir, delta, &kept, &self.steps)?);
            }
            let name = format!("base-{}", next.generation);
            let mut writer = DataWriter::create(&self.dir, &name, &kept, &self.steps)?;
            next.records = layers.write_all(&mut writer, &kept)?;
            next.files = vec![writer.finish()?];
        } else if let Some(records) = records {
            next.records = records;
        } else {
            let layers = Layers::open(&self.dir, &next, &self.steps)?;
            let mut entries = layers.entries()?;
            next.records = 0;
            while entries.next()?.is_some() {
                next.records += 1;
            }
        }
        debug_assert!(rekeyed || old.is_empty(), "files of another tracking are rewritten");
        self.publish(next)
    }

    fn publish(&self, next: Manifest) -> Result<Checkpoint, CheckpointError> {
        next.write(&self.dir, &self.steps)?;
        self.clean(&next)?;
        Ok(Checkpoint { dir: self.dir.clone(), steps: Arc::clone(&self.steps), manifest: Arc::new(next) })
    }
}

/// A delta that is only written if there is something in it.
struct Delta<'a> {
    checkpoint: &'a Checkpoint,
    name: String,
    kept: Vec<records::Column>,
    writer: Option<DataWriter>,
}

impl<'a> Delta<'a> {
    fn new(checkpoint: &'a Checkpoint, next: &Manifest, kept: Vec<records::Column>) -> Self {
        let noun = if checkpoint.manifest.files.is_empty() { "base" } else { "delta" };
        Self { checkpoint, name: format!("{noun}-{}", next.generation), kept, writer: None }
    }

    fn write(&mut self, rows: &RecordBatch) -> Result<(), CheckpointError> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            slot @ None => {
                let checkpoint = self.checkpoint;
                slot.insert(DataWriter::create(&checkpoint.dir, &self.name, &self.kept, &checkpoint.steps)?)
            }
        };
        writer.write(rows)
    }

    fn finish(self) -> Result<Option<FileEntry>, CheckpointError> {
        self.writer.map(DataWriter::finish).transpose()
    }
}
