//! Writes the history of one sync: in parts, each of which appears whole or not at all.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::{
        properties::{EnabledStatistics, WriterProperties},
        reader::{FileReader, SerializedFileReader},
    },
    schema::types::ColumnPath,
};
use records::SyncId;

use super::{
    EXCHANGES, HistoryError, HistoryExchange, HistoryRow, LOCK_FILE, RECORDS, UNFINISHED,
    columns::{EXCHANGE_SCHEMA, KEY_HASH, RECORD_SCHEMA, exchange_batch, record_batch},
    entries, parts,
};
use crate::file_name;

/// Rows wait in memory until they are this many, or this large; then they become a row group.
const GROUP_ROWS_MAX: usize = 16 * 1024;
const GROUP_BYTES_MAX: usize = 4 << 20;
/// A part is finished and a new one begun at this many rows or bytes: what a crash can lose.
const PART_ROWS_MAX: u64 = 128 * 1024;
const PART_BYTES_MAX: usize = 64 << 20;

/// Writes the history of one sync. Nothing is on disk before the first row.
///
/// A crash loses the part that was not finished, never one that was. A writer dropped without
/// [`finish`](HistoryWriter::finish) loses the same.
#[derive(Debug)]
pub struct HistoryWriter {
    sync: SyncId,
    mapping: String,
    folder: PathBuf,
    /// Keeps the pruning of other processes away.
    lock: Option<File>,
    records: Vec<HistoryRow>,
    record_bytes: usize,
    record_part: Option<Part>,
    next_record_part: u32,
    exchanges: Vec<HistoryExchange>,
    exchange_bytes: usize,
    exchange_part: Option<Part>,
    next_exchange: u32,
}

#[derive(Debug)]
struct Part {
    writer: ArrowWriter<File>,
    unfinished: PathBuf,
    finished: PathBuf,
    rows: u64,
}

impl HistoryWriter {
    /// A writer for a sync below the history's folder. For a sync that was interrupted and goes on, it adds to what
    /// is there.
    ///
    /// # Errors
    /// The sync's folder exists and cannot be read.
    pub fn create(history: &Path, sync: SyncId, mapping: &str) -> Result<Self, HistoryError> {
        let folder = history.join(file_name(mapping)).join(sync.to_string());
        let next_record_part = parts(&folder, RECORDS)?.last().map_or(0, |(number, _)| number + 1);
        let next_exchange = match parts(&folder, EXCHANGES)?.last() {
            // An unreadable part keeps its numbers: a part never holds more rows than this.
            Some((first, path)) => first + row_count(path).unwrap_or(u32::try_from(PART_ROWS_MAX).unwrap_or(u32::MAX)),
            None => 0,
        };
        Ok(Self {
            sync,
            mapping: mapping.to_owned(),
            folder,
            lock: None,
            records: Vec::new(),
            record_bytes: 0,
            record_part: None,
            next_record_part,
            exchanges: Vec::new(),
            exchange_bytes: 0,
            exchange_part: None,
            next_exchange,
        })
    }

    /// Adds a request and its answer, once, and gives the number its records refer to it by.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn append_exchange(&mut self, exchange: HistoryExchange) -> Result<u32, HistoryError> {
        let number = self.next_exchange;
        self.next_exchange += 1;
        self.exchange_bytes += exchange_size(&exchange);
        self.exchanges.push(exchange);
        if self.exchanges.len() >= GROUP_ROWS_MAX || self.exchange_bytes >= GROUP_BYTES_MAX {
            self.flush_exchanges()?;
        }
        Ok(number)
    }

    /// Adds what became of a record.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn append(&mut self, row: HistoryRow) -> Result<(), HistoryError> {
        self.record_bytes += row_size(&row);
        self.records.push(row);
        if self.records.len() >= GROUP_ROWS_MAX || self.record_bytes >= GROUP_BYTES_MAX {
            self.flush_records()?;
        }
        Ok(())
    }

    /// Writes what is left and makes it visible.
    ///
    /// # Errors
    /// A file cannot be written; the parts finished before stay.
    pub fn finish(mut self) -> Result<(), HistoryError> {
        self.finish_part()
    }

    /// Makes what was added so far visible and durable. Exchanges go first: a record never refers to one that a
    /// crash took.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn finish_part(&mut self) -> Result<(), HistoryError> {
        self.flush_exchanges()?;
        if let Some(part) = self.exchange_part.take() {
            part.finish()?;
        }
        self.flush_record_group()?;
        if let Some(part) = self.record_part.take() {
            part.finish()?;
        }
        Ok(())
    }

    /// What waits in memory to be written, roughly.
    #[cfg(test)]
    pub(super) fn buffered_bytes(&self) -> usize {
        let writing = |part: &Option<Part>| part.as_ref().map_or(0, |part| part.writer.memory_size());
        self.record_bytes + self.exchange_bytes + writing(&self.record_part) + writing(&self.exchange_part)
    }

    fn flush_exchanges(&mut self) -> Result<(), HistoryError> {
        if self.exchanges.is_empty() {
            return Ok(());
        }
        let first = self.next_exchange - u32::try_from(self.exchanges.len()).unwrap_or(self.next_exchange);
        let batch = exchange_batch(first, &self.exchanges);
        self.exchanges.clear();
        self.exchange_bytes = 0;
        let mut part = match self.exchange_part.take() {
            Some(part) => part,
            None => self.begin(&format!("{EXCHANGES}{first:010}"), &EXCHANGE_SCHEMA)?,
        };
        part.write_group(batch)?;
        if part.is_full() {
            part.finish()?
        } else {
            self.exchange_part = Some(part)
        }
        Ok(())
    }

    fn flush_records(&mut self) -> Result<(), HistoryError> {
        self.flush_record_group()?;
        if self.record_part.as_ref().is_some_and(Part::is_full) {
            self.finish_part()?;
        }
        Ok(())
    }

    fn flush_record_group(&mut self) -> Result<(), HistoryError> {
        if self.records.is_empty() {
            return Ok(());
        }
        let batch = record_batch(self.sync, &self.mapping, &self.records);
        self.records.clear();
        self.record_bytes = 0;
        let mut part = match self.record_part.take() {
            Some(part) => part,
            None => {
                let name = format!("{RECORDS}{:05}", self.next_record_part);
                self.next_record_part += 1;
                self.begin(&name, &RECORD_SCHEMA)?
            }
        };
        let written = part.write_group(batch);
        self.record_part = Some(part);
        written
    }

    fn begin(&mut self, name: &str, schema: &SchemaRef) -> Result<Part, HistoryError> {
        self.lock()?;
        let finished = self.folder.join(format!("{name}.parquet"));
        let unfinished = self.folder.join(format!("{name}.{UNFINISHED}"));
        let file = File::create(&unfinished).map_err(|source| HistoryError::File {
            doing: "create",
            path: unfinished.clone(),
            source,
        })?;
        let writer = ArrowWriter::try_new(file, SchemaRef::clone(schema), Some(properties(schema)))
            .map_err(|source| HistoryError::Write { path: unfinished.clone(), source })?;
        Ok(Part { writer, unfinished, finished, rows: 0 })
    }

    fn lock(&mut self) -> Result<(), HistoryError> {
        if self.lock.is_some() {
            return Ok(());
        }
        fs::create_dir_all(&self.folder).map_err(|source| HistoryError::File {
            doing: "create",
            path: self.folder.clone(),
            source,
        })?;
        let path = self.folder.join(LOCK_FILE);
        let failed = |source| HistoryError::File { doing: "lock", path: path.clone(), source };
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(HistoryError::Busy { sync: self.sync }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        self.lock = Some(file);
        // What a crash of an earlier writer of this sync left behind.
        for path in entries(&self.folder)? {
            if path.extension().is_some_and(|extension| extension == UNFINISHED) {
                fs::remove_file(&path).map_err(|source| HistoryError::File { doing: "remove", path, source })?;
            }
        }
        Ok(())
    }
}

impl Drop for HistoryWriter {
    fn drop(&mut self) {
        if self.lock.is_some() {
            // Left in place it would do no harm: pruning looks at the lock, not at the file.
            drop(fs::remove_file(self.folder.join(LOCK_FILE)));
        }
    }
}

impl Part {
    fn write_group(&mut self, batch: Result<RecordBatch, ArrowError>) -> Result<(), HistoryError> {
        let failed = |source| HistoryError::Write { path: self.unfinished.clone(), source };
        let batch = batch.map_err(|error| failed(error.into()))?;
        self.rows += batch.num_rows() as u64;
        self.writer.write(&batch).map_err(failed)?;
        self.writer.flush().map_err(failed)
    }

    fn is_full(&self) -> bool {
        self.rows >= PART_ROWS_MAX || self.writer.bytes_written() >= PART_BYTES_MAX
    }

    fn finish(mut self) -> Result<(), HistoryError> {
        let failed = |source| HistoryError::Write { path: self.unfinished.clone(), source };
        self.writer.finish().map_err(failed)?;
        self.writer.inner().sync_all().map_err(|source| failed(ParquetError::from(source)))?;
        fs::rename(&self.unfinished, &self.finished)
            .and_then(|()| sync_folder(&self.finished))
            .map_err(|source| HistoryError::File { doing: "finish", path: self.finished.clone(), source })
    }
}

/// Makes the new name of a file durable.
fn sync_folder(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

fn row_count(path: &Path) -> Option<u32> {
    let reader = SerializedFileReader::new(File::open(path).ok()?).ok()?;
    u32::try_from(reader.metadata().file_metadata().num_rows()).ok()
}

fn properties(schema: &SchemaRef) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::None)
        // One record is read out of thousands: small pages, so that little else is unpacked with it.
        .set_data_page_row_count_limit(1024)
        .set_write_batch_size(1024)
        .set_data_page_size_limit(128 << 10)
        .set_max_row_group_row_count(Some(GROUP_ROWS_MAX))
        .set_created_by(concat!("outflow ", env!("CARGO_PKG_VERSION")).to_owned());
    if schema.field_with_name(KEY_HASH).is_ok() {
        let key_hash = ColumnPath::from(KEY_HASH);
        properties = properties
            .set_column_dictionary_enabled(key_hash.clone(), false)
            .set_column_bloom_filter_enabled(key_hash.clone(), true)
            .set_column_bloom_filter_max_ndv(key_hash, GROUP_ROWS_MAX as u64);
    }
    properties.build()
}

fn row_size(row: &HistoryRow) -> usize {
    let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    size_of::<HistoryRow>()
        + row.key.len()
        + optional(&row.code)
        + optional(&row.message)
        + optional(&row.payload)
        + optional(&row.before)
        + optional(&row.after)
}

fn exchange_size(exchange: &HistoryExchange) -> usize {
    let headers = |headers: &[(String, String)]| {
        headers.iter().map(|(name, value)| size_of::<(String, String)>() + name.len() + value.len()).sum::<usize>()
    };
    size_of::<HistoryExchange>()
        + exchange.url.len()
        + exchange.request_body.len()
        + exchange.answer_body.as_ref().map_or(0, String::len)
        + headers(&exchange.request_headers)
        + headers(&exchange.answer_headers)
}
