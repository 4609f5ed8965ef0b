//! Comparing an extract, as it streams by, with the checkpoint.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow_array::RecordBatch;
use records::{Column, Counts, Schema, SyncId};

use crate::{
    ChangeSet, ChangeSetError, Checkpoint, CheckpointError, HashError, Hashed, Steps, Tracking, TrackingChange,
};

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
    counts: Counts,
}

impl Comparison {
    /// Starts comparing. `scratch_dir` is this comparison's alone: it is emptied now and removed in the end.
    ///
    /// # Errors
    /// The tracking names columns that the schema lacks, the key is not the checkpoint's, or a file cannot be read.
    pub fn begin(
        _checkpoint: &Checkpoint,
        _tracking: &Tracking,
        _schema: &Schema,
        _scratch_dir: &Path,
        _limits: Limits,
        _steps: Arc<dyn Steps>,
    ) -> Result<Self, CompareError> {
        Ok(Self { counts: Counts::default() })
    }

    /// How the used columns differ from those of the checkpoint; known from the start.
    pub fn tracking_changed(&self) -> Option<&TrackingChange> {
        None
    }

    /// Takes a batch of the schema, with its hashes. The hasher's columns must include the used ones.
    ///
    /// # Errors
    /// The batch is not of the schema, or the disk is full.
    pub fn push(&mut self, batch: &RecordBatch, _hashed: &Hashed) -> Result<(), CompareError> {
        self.counts.extracted += batch.num_rows() as u64;
        Ok(())
    }

    pub fn progress(&self) -> Progress {
        Progress {
            extracted: self.counts.extracted,
            unchanged: 0,
            spooled: 0,
            null_key: 0,
            checkpoint: 0,
            disk_bytes: 0,
        }
    }

    /// After the last batch: writes the change set, and `unusable.jsonl` beside it if there are such rows.
    ///
    /// # Errors
    /// A file cannot be read or written, or the disk limit does not suffice. There is then no change set.
    pub fn finish(self, change_set_path: &Path, _meta: &Meta) -> Result<Compared, CompareError> {
        let change_set = ChangeSet::open(change_set_path).map_err(CompareError::ChangeSet)?;
        Ok(Compared {
            counts: self.counts,
            change_set,
            unusable: Unusable::default(),
            tracking_changed: None,
            disk_bytes_peak: 0,
        })
    }
}
