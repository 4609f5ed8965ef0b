//! The checkpoint: what the destination holds, as far as we were told.

mod data_file;
mod keys_file;
mod layers;
mod manifest;
mod rewrite;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow_array::RecordBatch;
use records::{KeyHash, RecordView, Schema, SyncId};

use self::manifest::{FileEntry, Manifest};
pub(crate) use self::{
    data_file::{OWN, OwnColumns, ROWS, file_schema},
    keys_file::{Entries, Entry},
    layers::Layers,
};
use crate::{
    ChangeSetError, Steps, Tracked,
    hash::{MAYBE, without_doubt},
};

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
    manifest: Arc<Manifest>,
}

impl std::fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkpoint").field("dir", &self.dir).field("manifest", &self.manifest).finish_non_exhaustive()
    }
}

/// A record as the checkpoint keeps it.
#[derive(Debug, Clone)]
pub struct KeptRecord {
    pub key_hash: KeyHash,
    pub key: String,
    /// A change of it was sent and no answer came, so the destination may hold it as it is here, in a later form, or
    /// not at all.
    pub in_doubt: bool,
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
        let manifest = Manifest::read(dir)?.unwrap_or_else(Manifest::empty);
        Ok(Self { dir: dir.to_owned(), steps, manifest: Arc::new(manifest) })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// How many records the destination holds, as far as we were told.
    pub fn len(&self) -> u64 {
        self.manifest.records
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of all files on disk.
    pub fn disk_bytes(&self) -> u64 {
        let keys = |file: &FileEntry| std::fs::metadata(self.dir.join(file.keys_name())).map_or(0, |found| found.len());
        self.manifest.files.iter().map(|file| file.bytes + keys(file)).sum()
    }

    /// Rises with every change.
    pub fn generation(&self) -> u64 {
        self.manifest.generation
    }

    /// What the mapping tracked at the last commit; nothing before the first.
    pub fn tracking(&self) -> Option<&Tracked> {
        self.manifest.tracked.as_ref()
    }

    /// Whether the change set of this sync was committed already.
    pub fn has_committed(&self, sync: SyncId) -> bool {
        self.manifest.commits.contains(&sync)
    }

    /// Opens the files. They stay readable when a commit removes them.
    pub(crate) fn layers(&self) -> Result<Layers, CheckpointError> {
        Layers::open(&self.dir, &self.manifest, &self.steps)
    }

    /// Reads every file whole and compares it with its checksum.
    ///
    /// # Errors
    /// A file is not as it was written.
    pub fn verify(&self) -> Result<(), CheckpointError> {
        let layers = self.layers()?;
        layers.files.iter().zip(&self.manifest.files).try_for_each(|(file, entry)| file.verify(entry.checksum))
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
    pub fn find_all(&self, keys: &[&str]) -> Result<Vec<KeptRecord>, CheckpointError> {
        let keys: HashSet<&str> = keys.iter().copied().collect();
        let kept = self.manifest.tracked.as_ref().map(Tracked::kept).unwrap_or_default();
        let schema = Schema::new(kept.clone()).map_err(|error| CheckpointError::Damaged {
            path: self.dir.join(manifest::MANIFEST),
            message: format!("tracks an impossible set of columns ({error})"),
        })?;
        let layers = self.layers()?;
        let mut entries = layers.entries()?;
        let mut found = Vec::new();
        let mut some = Vec::new();
        loop {
            let next = entries.next()?;
            some.extend(next);
            if some.len() == 8 * ROWS || (next.is_none() && !some.is_empty()) {
                let texts = layers.fetch_keys(&some)?;
                let hits = texts.iter().zip(&some).filter(|(text, _)| keys.contains(text.as_str()));
                let hits: Vec<(String, Entry)> = hits.map(|(text, entry)| (text.clone(), *entry)).collect();
                let batch = layers.fetch(&hits.iter().map(|hit| hit.1).collect::<Vec<_>>(), &kept)?;
                let values = batch
                    .project(&(OWN..batch.num_columns()).collect::<Vec<_>>())
                    .map_err(|source| CheckpointError::Arrow { doing: "read", path: self.dir.clone(), source })?;
                found.extend(hits.into_iter().enumerate().map(|(row, (key, entry))| KeptRecord {
                    key_hash: KeyHash(entry.key),
                    key,
                    in_doubt: entry.fingerprint == MAYBE || entry.fingerprint != without_doubt(entry.fingerprint),
                    schema: schema.clone(),
                    batch: values.slice(row, 1),
                }));
                some.clear();
            }
            if next.is_none() {
                return Ok(found);
            }
        }
    }
}
