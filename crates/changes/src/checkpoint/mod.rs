//! The checkpoint: what the destination holds, as far as we were told.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow_array::RecordBatch;
use records::{KeyHash, RecordView, Schema};

use crate::{Bits, ChangeSet, ChangeSetError, Steps, Tracked};

/// A checkpoint that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("cannot {doing} `{}`", .path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot {doing} `{}`", .path.display())]
    Parquet {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: parquet::errors::ParquetError,
    },
    #[error("cannot {doing} `{}`", .path.display())]
    Arrow {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: arrow_schema::ArrowError,
    },
    #[error("the checkpoint is damaged: `{}` {message}; restore the file from a backup, or reset the mapping and adopt the current result with `outflow baseline`", .path.display())]
    Damaged { path: PathBuf, message: String },
    #[error("`{}` has format {found}, this program knows up to {known}; update Outflow", .path.display())]
    Newer { path: PathBuf, found: u32, known: u32 },
    #[error("the change set cannot be read")]
    ChangeSet(#[source] ChangeSetError),
}

/// A checkpoint as of one generation. Cheap to clone. Every change gives a new one and leaves this as it was, except
/// that its files may be gone. Whoever changes it must hold the mapping's lock; reading needs none.
#[derive(Clone)]
pub struct Checkpoint {
    dir: PathBuf,
    steps: Arc<dyn Steps>,
}

/// A record as the checkpoint keeps it.
#[derive(Debug, Clone)]
pub struct KeptRecord {
    pub key_hash: KeyHash,
    pub key: String,
    schema: Schema,
    batch: RecordBatch,
}

impl KeptRecord {
    /// Its last delivered values: of the key's columns, and, if values are kept, of the used ones.
    pub fn record(&self) -> RecordView<'_> {
        RecordView { schema: &self.schema, batch: &self.batch, row: 0 }
    }
}

impl Checkpoint {
    /// Opens the checkpoint in a folder; a missing or empty folder is an empty checkpoint. Writes nothing.
    ///
    /// # Errors
    /// A file is missing, cut short, not ours, or of a newer version.
    pub fn open(dir: &Path, steps: Arc<dyn Steps>) -> Result<Self, CheckpointError> {
        Ok(Self { dir: dir.to_owned(), steps })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// How many records the destination holds, as far as we were told.
    pub fn len(&self) -> u64 {
        0
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of all files on disk.
    pub fn disk_bytes(&self) -> u64 {
        0
    }

    /// Rises with every change.
    pub fn generation(&self) -> u64 {
        0
    }

    /// What the mapping tracked at the last commit; nothing before the first.
    pub fn tracking(&self) -> Option<&Tracked> {
        None
    }

    /// Whether the change set of this sync was committed already.
    pub fn has_committed(&self, _sync: records::SyncId) -> bool {
        false
    }

    /// Takes exactly the changes whose indexes are in `committed`, and the change set's tracking. Committing the same
    /// sync again changes nothing. Commit empty sets too: they may carry a change of tracking.
    ///
    /// # Errors
    /// A file cannot be read or written. The checkpoint on disk is then either as before or as after.
    pub fn commit(&self, _changes: &ChangeSet, _committed: &Bits) -> Result<Checkpoint, CheckpointError> {
        Ok(self.clone())
    }

    /// Forgets records: the next sync finds them added. Unknown keys are passed over.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn forget(&self, _keys: &[KeyHash]) -> Result<Checkpoint, CheckpointError> {
        Ok(self.clone())
    }

    /// Forgets everything, the tracking too.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn reset(&self) -> Result<Checkpoint, CheckpointError> {
        Ok(self.clone())
    }

    /// Makes the next sync find these records updated, though they have not changed. Unknown keys are passed over.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn mark_dirty(&self, _keys: &[KeyHash]) -> Result<Checkpoint, CheckpointError> {
        Ok(self.clone())
    }

    /// Puts the deleted records among these changes back, so that the next sync finds them deleted again (or, if the
    /// model shows them again, updated). Records that the checkpoint holds are passed over.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn reinsert(&self, _changes: &ChangeSet, _which: &Bits) -> Result<Checkpoint, CheckpointError> {
        Ok(self.clone())
    }

    /// The record with this key text. Walks through the keys: for people, not for loops.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn find(&self, key: &str) -> Result<Option<KeptRecord>, CheckpointError> {
        Ok(self.find_all(&[key])?.into_iter().next())
    }

    /// The records with these key texts that the checkpoint holds, in no order, in one walk.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn find_all(&self, _keys: &[&str]) -> Result<Vec<KeptRecord>, CheckpointError> {
        Ok(Vec::new())
    }
}
