//! The change set: all changes of one sync, in a file that is written before the first is sent.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use records::{ChangeView, Counts, KeyHash, Operation, SyncId};

use crate::Tracked;

/// A change set that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ChangeSetError {
    #[error("cannot {doing} the change set `{}`", .path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot {doing} the change set `{}`", .path.display())]
    Arrow {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: arrow_schema::ArrowError,
    },
    #[error("the change set `{}` is not whole: {message}; run the sync again", .path.display())]
    Damaged { path: PathBuf, message: String },
    #[error("the change set `{}` has format {found}, this program knows up to {known}; update Outflow, or run the sync again", .path.display())]
    Newer { path: PathBuf, found: u32, known: u32 },
}

/// The changes of one sync, in the order of their key hashes. Cheap to clone; the file never changes.
#[derive(Debug, Clone)]
pub struct ChangeSet {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
}

/// Some changes of a change set, in memory.
#[derive(Debug)]
pub struct ChangeChunk {}

/// Reads the chunks of a change set one after another.
#[derive(Debug)]
pub struct Chunks {}

impl Iterator for Chunks {
    type Item = Result<ChangeChunk, ChangeSetError>;

    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}

impl ChangeSet {
    /// Opens a finished change set.
    ///
    /// # Errors
    /// The file is missing, cut short, or of a newer version.
    pub fn open(path: &Path) -> Result<Self, ChangeSetError> {
        Ok(Self { inner: Arc::new(Inner { path: path.to_owned() }) })
    }

    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// How many records fared how; what the load adds to is 0.
    pub fn counts(&self) -> Counts {
        Counts::default()
    }

    pub fn sync(&self) -> SyncId {
        SyncId::from_uuid(Default::default())
    }

    pub fn mapping(&self) -> &str {
        ""
    }

    /// When the extract began, RFC 3339.
    pub fn timestamp(&self) -> &str {
        ""
    }

    /// What the mapping tracked when the change set was made.
    pub fn tracked(&self) -> &Tracked {
        unreachable!()
    }

    /// The generation of the checkpoint that the extract was compared with. When the checkpoint's own is another,
    /// the change set is out of date.
    pub fn generation(&self) -> u64 {
        0
    }

    /// How many changes there are.
    pub fn len(&self) -> u64 {
        0
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn chunk_count(&self) -> usize {
        0
    }

    /// The chunk that holds the change with this index.
    pub fn chunk_of(&self, _change: u64) -> usize {
        0
    }

    /// The chunks from this one on. Each reader has the file open on its own.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn chunks(&self, _from_chunk: usize) -> Result<Chunks, ChangeSetError> {
        Ok(Chunks {})
    }

    /// The first `n` changes with this operation.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn sample(&self, _operation: Operation, _n: usize) -> Result<Vec<ChangeChunk>, ChangeSetError> {
        Ok(Vec::new())
    }
}

impl ChangeChunk {
    /// How many changes it holds.
    pub fn len(&self) -> usize {
        0
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The index in the whole change set of the change at `row`: what the journal and `Checkpoint::commit` speak of.
    pub fn index(&self, row: usize) -> u64 {
        row as u64
    }

    pub fn operation(&self, _row: usize) -> Operation {
        Operation::Added
    }

    pub fn key_hash(&self, _row: usize) -> KeyHash {
        KeyHash(0)
    }

    pub fn key(&self, _row: usize) -> &str {
        ""
    }

    /// The change at `row`, as mappings see it.
    pub fn view(&self, _row: usize) -> ChangeView<'_> {
        unreachable!()
    }
}
