//! The history of records: what each sync sent for each record and what came of it, in Parquet files that any
//! reader opens. One folder a mapping, in it one a sync:
//! `history/<mapping>/<sync>/records-00000.parquet` and `exchanges-0000000000.parquet`.

mod columns;
mod prune;
mod trace;
mod writer;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use records::{Operation, OutcomeKind, SyncId};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

pub use prune::{Keep, Pruned};
pub use trace::{Trace, TraceEntry, Unreadable};
pub use writer::HistoryWriter;

use crate::file_name;

/// What can go wrong with the history. None of it is a reason to stop a sync: what was delivered is journalled apart.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("the history cannot {doing} `{}`", path.display())]
    File {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the history cannot write `{}`", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: parquet::errors::ParquetError,
    },
    #[error("the history of `{sync}` is being written by another process")]
    Busy { sync: SyncId },
}

/// What one sync did with one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryRow {
    /// The record's key as text.
    pub key: String,
    pub operation: Operation,
    pub outcome: OutcomeKind,
    pub code: Option<String>,
    pub message: Option<String>,
    /// Requests it was part of. None for a record that did not get that far.
    pub attempts: u32,
    pub at: Timestamp,
    /// The payload as JSON text.
    pub payload: Option<String>,
    /// The changed fields as last delivered, as JSON text.
    pub before: Option<String>,
    /// The changed fields as they are now, as JSON text.
    pub after: Option<String>,
    /// The number [`HistoryWriter::append_exchange`] gave for the last request it was part of.
    pub exchange: Option<u32>,
}

/// One request and its answer, secrets taken out already. Many records may share it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryExchange {
    pub method: String,
    pub url: String,
    pub request_headers: Vec<(String, String)>,
    pub request_body: String,
    /// None if no answer came.
    pub status: Option<u16>,
    pub answer_headers: Vec<(String, String)>,
    pub answer_body: Option<String>,
    pub started_at: Timestamp,
    /// From the first byte sent to the last received.
    pub millis: u64,
}

/// The history's folder.
#[derive(Debug, Clone)]
pub struct History {
    folder: PathBuf,
}

impl History {
    /// The history below a folder, which need not exist yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// What happened to a record, newest last, of at most `limit` syncs. A file that cannot be read is skipped
    /// and named in the answer.
    ///
    /// # Errors
    /// The mapping's folder exists and cannot be listed.
    pub fn trace(&self, mapping: &str, key: &str, limit: usize) -> Result<Trace, HistoryError> {
        trace::trace(&self.folder.join(file_name(mapping)), key, limit)
    }

    /// What one sync did with these records, in the order of the keys' first rows. Records it knows nothing of are
    /// left out.
    ///
    /// # Errors
    /// The sync's folder exists and cannot be listed.
    pub fn of_sync(&self, mapping: &str, sync: SyncId, keys: &[&str]) -> Result<Trace, HistoryError> {
        trace::of_sync(&self.folder.join(file_name(mapping)), sync, keys)
    }

    /// Removes whole syncs, the oldest first, until what is left is within `keep`; what a crash left half written
    /// goes too. Syncs being written now stay.
    ///
    /// # Errors
    /// A folder cannot be listed or a file not removed.
    pub fn prune(&self, keep: Keep, now: Timestamp) -> Result<Pruned, HistoryError> {
        prune::prune(&self.folder, keep, now)
    }

    /// Removes all history of a mapping.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn remove_mapping(&self, mapping: &str) -> Result<(), HistoryError> {
        let folder = self.folder.join(file_name(mapping));
        match fs::remove_dir_all(&folder) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(HistoryError::File { doing: "remove", path: folder, source })
            }
            _ => Ok(()),
        }
    }
}

/// The column that finds a key without reading the keys.
fn key_hash(key: &str) -> u64 {
    xxh3_64(key.as_bytes())
}

/// While a sync's history is written, its writer holds this file of its folder locked.
const LOCK_FILE: &str = "writing.lock";

/// Unfinished parts end so, and no reader looks at them.
const UNFINISHED: &str = "unfinished";

/// The entries of a folder, or none if it does not exist.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, HistoryError> {
    let failed = |source| HistoryError::File { doing: "list", path: folder.to_owned(), source };
    let listing = match fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    listing.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect()
}

/// The folders of syncs in a mapping's folder, oldest first: ids sort by time.
fn sync_folders(mapping_folder: &Path) -> Result<Vec<(SyncId, PathBuf)>, HistoryError> {
    let mut folders: Vec<_> = entries(mapping_folder)?
        .into_iter()
        .filter_map(|path| Some((path.file_name()?.to_str()?.parse().ok()?, path)))
        .collect();
    folders.sort();
    Ok(folders)
}

/// The finished files of a sync's folder whose names begin with `prefix`, each with its number, in order.
fn parts(sync_folder: &Path, prefix: &str) -> Result<Vec<(u32, PathBuf)>, HistoryError> {
    let number = |path: &Path| -> Option<u32> {
        path.file_name()?.to_str()?.strip_prefix(prefix)?.strip_suffix(".parquet")?.parse().ok()
    };
    let mut parts: Vec<_> = entries(sync_folder)?.into_iter().filter_map(|path| Some((number(&path)?, path))).collect();
    parts.sort();
    Ok(parts)
}

const RECORDS: &str = "records-";
const EXCHANGES: &str = "exchanges-";

#[cfg(test)]
mod tests;
