//! Comparing an extract, as it streams by, with the checkpoint.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::ArrowError;
use arrow_select::take::take_record_batch;
use records::{Column, Counts, KeyColumns, RecordView, Schema, SyncId};

use crate::{
    ChangeSet, ChangeSetError, Checkpoint, CheckpointError, HashError, Hashed, Keep, Steps, Tracked, Tracking,
    TrackingChange,
    checkpoint::Layers,
    hash::{check_batch, fingerprints},
    index::{Index, RECORD_BYTES},
    spool::{DiskUse, Part, Spool, SpoolPlace},
    unusable::UnusableList,
};

/// The part of the memory that the index may take.
const INDEX_SHARE: f64 = 0.7;
/// Bytes of rows in memory from which on more memory is no gain.
const SPOOL_MAX: u64 = 64 << 20;
/// Changes in a chunk, at most.
const CHUNK_ROWS: usize = 4096;

/// What one comparison may use.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub memory_bytes: u64,
    /// For the spool and the change set together.
    pub disk_bytes: u64,
}

/// What a change set says of the sync that made it.
#[derive(Debug, Clone)]
pub struct Meta {
    pub mapping: String,
    pub sync: SyncId,
    /// When the extract began, RFC 3339.
    pub timestamp: String,
}

/// Why an extract could not be compared. The checkpoint is as it was, and no change set exists.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    #[error("the rows cannot be hashed")]
    Hash(#[source] HashError),
    #[error("the checkpoint cannot be used")]
    Checkpoint(#[source] CheckpointError),
    #[error("the change set cannot be written")]
    ChangeSet(#[source] ChangeSetError),
    /// The hold for a person: going on would delete every record and add it again.
    #[error("the primary key was {} and is now {}: every record would be deleted and added again; reset the mapping, or adopt the current result with `outflow baseline`", columns(.before), columns(.now))]
    KeyChanged { before: Vec<Column>, now: Vec<Column> },
    #[error("a batch of {expected} rows came with hashes of {found}")]
    HashedRows { expected: usize, found: usize },
    #[error("comparing needs more than {} on disk: {} is in use in `{}`; raise the limit or free the disk", bytes(*.limit), bytes(*.used), .path.display())]
    DiskLimit { limit: u64, used: u64, path: PathBuf },
    #[error("cannot {doing} `{}`", .path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot {doing} `{}`", .path.display())]
    Arrow {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: arrow_schema::ArrowError,
    },
}

fn columns(columns: &[Column]) -> String {
    columns.iter().map(|column| format!("`{}` ({})", column.name, column.kind.name())).collect::<Vec<_>>().join(", ")
}

fn bytes(count: u64) -> String {
    match count {
        0..=9_999 => format!("{count} bytes"),
        10_000..=9_999_999 => format!("{} KB", count / 1000),
        _ => format!("{} MB", count / 1_000_000),
    }
}

/// How far a comparison is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub extracted: u64,
    /// Rows found unchanged already.
    pub unchanged: u64,
    /// Rows that will be sorted and joined with the checkpoint.
    pub spooled: u64,
    pub null_key: u64,
    /// Records in the checkpoint.
    pub checkpoint: u64,
    pub disk_bytes: u64,
}

/// Rows whose key could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unusable {
    /// All of them: `Counts::unusable_key`.
    pub rows: u64,
    /// How many of them stand in the file.
    pub listed: u64,
    /// JSON lines `{"reason", "key", "row"}` beside the change set; none if there are no such rows.
    pub path: Option<PathBuf>,
}

/// The result of a comparison.
#[derive(Debug)]
pub struct Compared {
    pub counts: Counts,
    pub change_set: ChangeSet,
    pub unusable: Unusable,
    pub tracking_changed: Option<TrackingChange>,
    pub disk_bytes_peak: u64,
}

/// One mapping's comparison of one extract. Dropping it removes its scratch files.
pub struct Comparison {
    pub(crate) layers: Layers,
    /// Records in the checkpoint, and its generation.
    pub(crate) records: u64,
    pub(crate) generation: u64,
    pub(crate) tracked: Tracked,
    /// The columns of the checkpoint's records.
    pub(crate) previous: Vec<Column>,
    pub(crate) previous_keep: Keep,
    pub(crate) change: Option<TrackingChange>,
    schema: Schema,
    key: KeyColumns,
    /// Where in a batch the columns stand that a change carries.
    carried: Vec<usize>,
    pub(crate) index: Index,
    pub(crate) spool: Spool,
    pub(crate) unusable: UnusableList,
    pub(crate) counts: Counts,
    /// Where in `Hashed` the used columns stand, for these names.
    hashed: Option<(Arc<[String]>, Vec<usize>)>,
    fingerprints: Vec<u64>,
    missed: Vec<u32>,
    pub(crate) disk: Arc<DiskUse>,
    pub(crate) steps: Arc<dyn Steps>,
    /// Changes in a chunk of the change set, at most.
    pub(crate) chunk_rows: usize,
    // Last, so that it is removed when all files in it are closed.
    _scratch: Scratch,
}

impl std::fmt::Debug for Comparison {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Comparison")
            .field("tracked", &self.tracked)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

struct Scratch(PathBuf);

impl Scratch {
    fn create(dir: &Path) -> io::Result<Self> {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir_all(dir)?;
        Ok(Self(dir.to_owned()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::debug!(%error, folder = %self.0.display(), "a scratch folder was not removed");
        }
    }
}

impl Comparison {
    /// Starts comparing. `scratch_dir` is this comparison's alone: it is emptied now and removed in the end.
    ///
    /// # Errors
    /// The tracking names columns that the schema lacks, the key is not the checkpoint's, or a file cannot be read.
    pub fn begin(
        checkpoint: &Checkpoint,
        tracking: &Tracking,
        schema: &Schema,
        scratch_dir: &Path,
        limits: Limits,
        steps: Arc<dyn Steps>,
    ) -> Result<Self, CompareError> {
        let key = KeyColumns::find(schema, &tracking.key).map_err(|error| CompareError::Hash(HashError::Key(error)))?;
        let tracked = Tracked::find(tracking, schema).map_err(CompareError::Hash)?;
        let before = checkpoint.tracking().filter(|_| !checkpoint.is_empty());
        if let Some(before) = before
            && !before.same_key(&tracked)
        {
            return Err(CompareError::KeyChanged { before: before.key.clone(), now: tracked.key });
        }
        let io = |source| CompareError::Io { doing: "make", path: scratch_dir.to_owned(), source };
        let scratch = Scratch::create(scratch_dir).map_err(io)?;
        let disk = Arc::new(DiskUse::new(limits.disk_bytes, scratch_dir));
        let mut layers = checkpoint.layers().map_err(CompareError::Checkpoint)?;
        if before.is_some_and(|before| before.used != tracked.used) {
            layers.rekey(&tracked, scratch_dir, &steps).map_err(CompareError::Checkpoint)?;
            disk.add(checkpoint.len() * 24)?;
        }
        let records = checkpoint.len();
        let records_max = (limits.memory_bytes as f64 * INDEX_SHARE / RECORD_BYTES) as u64;
        let entries = layers.entries().map_err(CompareError::Checkpoint)?;
        let index = Index::load(entries, records, records_max).map_err(CompareError::Checkpoint)?;
        tracing::debug!(records, indexed = index.len(), bytes = index.memory_bytes(), "loaded the index");

        let columns = tracked.carried();
        let carried = columns.iter().filter_map(|column| schema.index_of(&column.name)).collect();
        let arrow = Arc::new(arrow_schema::Schema::new(columns.iter().map(Column::to_arrow).collect::<Vec<_>>()));
        let share = (limits.memory_bytes / 8).min(SPOOL_MAX) as usize;
        let place = SpoolPlace {
            dir: scratch_dir.to_owned(),
            steps: Arc::clone(&steps),
            disk: Arc::clone(&disk),
            share,
            files: Arc::default(),
        };
        Ok(Self {
            layers,
            records,
            generation: checkpoint.generation(),
            previous: checkpoint.tracking().map(Tracked::kept).unwrap_or_default(),
            previous_keep: checkpoint.tracking().map(|before| before.keep).unwrap_or_default(),
            change: before.and_then(|before| before.change_to(&tracked)),
            tracked,
            schema: schema.clone(),
            key,
            carried,
            index,
            spool: Spool::new(place, &arrow),
            unusable: UnusableList::default(),
            counts: Counts::default(),
            hashed: None,
            fingerprints: Vec::new(),
            missed: Vec::new(),
            disk,
            steps,
            chunk_rows: CHUNK_ROWS,
            _scratch: scratch,
        })
    }

    /// How the used columns differ from those of the checkpoint; known from the start.
    pub fn tracking_changed(&self) -> Option<&TrackingChange> {
        self.change.as_ref()
    }

    /// Takes a batch of the schema, with its hashes. The hasher's columns must include the used ones.
    ///
    /// # Errors
    /// The batch is not of the schema, or the disk is full.
    pub fn push(&mut self, batch: &RecordBatch, hashed: &Hashed) -> Result<(), CompareError> {
        check_batch(batch, self.schema.columns()).map_err(CompareError::Hash)?;
        self.fingerprint(batch.num_rows(), hashed)?;
        self.counts.extracted += batch.num_rows() as u64;
        for (row, key) in hashed.keys.iter().enumerate() {
            if key.is_none() {
                self.counts.null_key += 1;
                self.unusable.add("null_key", "", RecordView { schema: &self.schema, batch, row });
            }
        }
        let mut missed = std::mem::take(&mut self.missed);
        missed.clear();
        self.index.probe(&hashed.keys, &self.fingerprints, &mut missed);
        if !missed.is_empty() {
            let part = self.part(batch, hashed, &missed).map_err(|source| CompareError::Arrow {
                doing: "gather rows for",
                path: self._scratch.0.clone(),
                source,
            })?;
            self.spool.push(part)?;
        }
        self.missed = missed;
        Ok(())
    }

    /// Fills `fingerprints` for a batch.
    fn fingerprint(&mut self, rows: usize, hashed: &Hashed) -> Result<(), CompareError> {
        let known = self.hashed.as_ref().is_some_and(|(names, _)| Arc::ptr_eq(names, &hashed.names));
        if !known {
            let find = |used: &Column| {
                hashed.names.iter().position(|name| *name == used.name).ok_or_else(|| {
                    let present = hashed.names.to_vec();
                    CompareError::Hash(HashError::ColumnMissing { column: used.name.clone(), present })
                })
            };
            let places = self.tracked.used.iter().map(find).collect::<Result<_, _>>()?;
            self.hashed = Some((Arc::clone(&hashed.names), places));
        }
        let places = self.hashed.as_ref().map(|(_, places)| &places[..]).unwrap_or_default();
        let columns: Vec<&[u64]> = places.iter().map(|place| &hashed.columns[*place][..]).collect();
        let short = columns.iter().map(|column| column.len()).chain([hashed.keys.len()]).find(|found| *found != rows);
        if let Some(found) = short {
            return Err(CompareError::HashedRows { expected: rows, found });
        }
        fingerprints(rows, &columns, &mut self.fingerprints);
        Ok(())
    }

    fn part(&self, batch: &RecordBatch, hashed: &Hashed, rows: &[u32]) -> Result<Part, ArrowError> {
        let carried = batch.project(&self.carried)?;
        let values = match rows.len() == batch.num_rows() {
            true => carried,
            false => take_record_batch(&carried, &UInt32Array::from(rows.to_vec()))?,
        };
        Ok(Part {
            keys: rows.iter().filter_map(|row| hashed.keys[*row as usize]).map(|key| key.0).collect(),
            fingerprints: rows.iter().map(|row| self.fingerprints[*row as usize]).collect(),
            rows: values,
        })
    }

    pub fn progress(&self) -> Progress {
        Progress {
            extracted: self.counts.extracted,
            unchanged: self.index.seen_count(),
            spooled: self.spool.len(),
            null_key: self.counts.null_key,
            checkpoint: self.records,
            disk_bytes: self.disk.used(),
        }
    }

    /// The key's columns in the records that a change carries.
    pub(crate) fn carried_key(&self) -> Result<(Schema, KeyColumns), CompareError> {
        let names: Vec<String> =
            self.key.columns().iter().map(|(index, _)| self.schema.columns()[*index].name.clone()).collect();
        let schema = Schema::new(self.tracked.carried()).map_err(|error| CompareError::Arrow {
            doing: "gather rows for",
            path: self._scratch.0.clone(),
            source: ArrowError::SchemaError(error.to_string()),
        })?;
        let key = KeyColumns::find(&schema, &names).map_err(|error| CompareError::Hash(HashError::Key(error)))?;
        Ok((schema, key))
    }
}
