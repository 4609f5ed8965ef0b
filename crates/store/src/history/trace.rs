//! Finds what happened to one record in the history of its mapping, without reading the rest.

use std::{
    collections::HashSet,
    fs::File,
    io,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
};

use arrow_array::{BooleanArray, RecordBatch, cast::AsArray, types::UInt64Type};
use arrow_schema::ArrowError;
use parquet::{
    arrow::{
        ProjectionMask,
        arrow_reader::{ArrowPredicateFn, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowFilter},
    },
    errors::ParquetError,
    file::metadata::PageIndexPolicy,
};
use records::SyncId;
use serde::Serialize;

use super::{
    EXCHANGES, HistoryError, HistoryExchange, HistoryRow, RECORDS,
    columns::{ColumnError, Columns, KEY, KEY_HASH},
    key_hash, parts, sync_folders,
};

/// What happened to one record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// Newest last.
    pub entries: Vec<TraceEntry>,
    /// Files that could not be read; they may hold more.
    pub unreadable: Vec<Unreadable>,
}

/// What one sync did with the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TraceEntry {
    pub sync: SyncId,
    #[serde(flatten)]
    pub row: HistoryRow,
    /// The last request the record was part of.
    #[serde(rename = "request")]
    pub exchange: Option<HistoryExchange>,
}

/// A file of the history that was skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    pub path: PathBuf,
    pub reason: String,
}

#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    File(#[from] io::Error),
    #[error(transparent)]
    Parquet(#[from] ParquetError),
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    #[error(transparent)]
    Column(#[from] ColumnError),
    #[error("the file is damaged")]
    Damaged,
}

impl ReadError {
    /// Pruned between listing and reading.
    fn is_gone(&self) -> bool {
        matches!(self, ReadError::File(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// Keys that are looked for, at most some thousands.
struct Wanted {
    keys: HashSet<String>,
    hashes: HashSet<u64>,
}

impl Wanted {
    fn new(keys: &[&str]) -> Self {
        Self {
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            hashes: keys.iter().map(|key| key_hash(key)).collect(),
        }
    }
}

pub(super) fn of_sync(mapping_folder: &Path, sync: SyncId, keys: &[&str]) -> Result<Trace, HistoryError> {
    let mut trace = Trace::default();
    let folder = mapping_folder.join(sync.to_string());
    let wanted = Wanted::new(keys);
    for row in trace.rows(&folder, &wanted)? {
        let exchange = row.exchange.and_then(|number| trace.exchange(&folder, number));
        trace.entries.push(TraceEntry { sync, row, exchange });
    }
    Ok(trace)
}

pub(super) fn trace(mapping_folder: &Path, key: &str, limit: usize) -> Result<Trace, HistoryError> {
    let mut trace = Trace::default();
    let wanted = Wanted::new(&[key]);
    let mut syncs = 0;
    // From the newest back, so that the limit keeps the newest and old files are not even opened.
    for (sync, folder) in sync_folders(mapping_folder)?.into_iter().rev() {
        if syncs == limit {
            break;
        }
        let found = trace.rows(&folder, &wanted)?;
        if found.is_empty() {
            continue;
        }
        syncs += 1;
        for row in found.into_iter().rev() {
            let exchange = row.exchange.and_then(|number| trace.exchange(&folder, number));
            trace.entries.push(TraceEntry { sync, row, exchange });
        }
    }
    trace.entries.reverse();
    Ok(trace)
}

impl Trace {
    /// The rows of these keys in a sync's folder, oldest first.
    fn rows(&mut self, folder: &Path, wanted: &Wanted) -> Result<Vec<HistoryRow>, HistoryError> {
        let mut found = Vec::new();
        for (_, path) in parts(folder, RECORDS)? {
            match guarded(|| find(&path, wanted)) {
                Ok(rows) => found.extend(rows),
                Err(error) => self.skipped(path, &error),
            }
        }
        found.sort_by_key(|row| row.at);
        Ok(found)
    }

    fn skipped(&mut self, path: PathBuf, error: &ReadError) {
        if !error.is_gone() {
            self.unreadable.push(Unreadable { path, reason: error.to_string() });
        }
    }

    fn exchange(&mut self, folder: &Path, number: u32) -> Option<HistoryExchange> {
        let (first, path) = parts(folder, EXCHANGES).ok()?.into_iter().rev().find(|(first, _)| *first <= number)?;
        match guarded(|| read_exchange(&path, number - first)) {
            Ok(exchange) => exchange,
            Err(error) => {
                if !self.unreadable.iter().any(|known| known.path == path) {
                    self.skipped(path, &error);
                }
                None
            }
        }
    }
}

/// The Parquet reader panics on some damaged pages. One bad file must not stop a trace, let alone the process.
fn guarded<T>(read: impl FnOnce() -> Result<T, ReadError>) -> Result<T, ReadError> {
    panic::catch_unwind(AssertUnwindSafe(read)).unwrap_or(Err(ReadError::Damaged))
}

fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, ReadError> {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
    Ok(ParquetRecordBatchReaderBuilder::try_new_with_options(File::open(path)?, options)?)
}

/// The rows of the keys in one file.
fn find(path: &Path, wanted: &Wanted) -> Result<Vec<HistoryRow>, ReadError> {
    let builder = open(path)?;
    let schema = builder.parquet_schema();
    let position = |name: &'static str| {
        schema.columns().iter().position(|column| column.name() == name).ok_or(ColumnError::Column(name))
    };
    let (hash_column, key_column) = (position(KEY_HASH)?, position(KEY)?);
    let mut groups = Vec::new();
    for group in 0..builder.metadata().num_row_groups() {
        let filter = builder.get_row_group_column_bloom_filter(group, hash_column)?;
        let may_hold = filter.is_none_or(|filter| wanted.hashes.iter().any(|hash| filter.check(hash)));
        if may_hold {
            groups.push(group);
        }
    }
    if groups.is_empty() {
        return Ok(Vec::new());
    }
    let hashes_wanted = wanted.hashes.clone();
    let same_hash = ArrowPredicateFn::new(ProjectionMask::leaves(schema, [hash_column]), move |batch: RecordBatch| {
        let hashes = batch.column(0).as_primitive_opt::<UInt64Type>();
        let hashes = hashes.ok_or_else(|| ArrowError::SchemaError(format!("`{KEY_HASH}` is of another type")))?;
        Ok(hashes.values().iter().map(|value| Some(hashes_wanted.contains(value))).collect::<BooleanArray>())
    });
    let keys_wanted = wanted.keys.clone();
    let same_key = ArrowPredicateFn::new(ProjectionMask::leaves(schema, [key_column]), move |batch: RecordBatch| {
        let keys = batch.column(0).as_string_opt::<i32>();
        let keys = keys.ok_or_else(|| ArrowError::SchemaError(format!("`{KEY}` is of another type")))?;
        let same = |key: Option<&str>| Some(key.is_some_and(|key| keys_wanted.contains(key)));
        Ok(keys.iter().map(same).collect::<BooleanArray>())
    });
    let filter = RowFilter::new(vec![Box::new(same_hash), Box::new(same_key)]);
    let mut rows = Vec::new();
    for batch in builder.with_row_groups(groups).with_row_filter(filter).build()? {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            rows.push(Columns(&batch).record(row)?);
        }
    }
    Ok(rows)
}

fn read_exchange(path: &Path, offset: u32) -> Result<Option<HistoryExchange>, ReadError> {
    let reader = open(path)?.with_offset(offset as usize).with_limit(1).build()?;
    for batch in reader {
        let batch = batch?;
        if batch.num_rows() > 0 {
            return Ok(Some(Columns(&batch).exchange(0)?));
        }
    }
    Ok(None)
}
