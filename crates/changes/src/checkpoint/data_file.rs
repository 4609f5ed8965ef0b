//! The data files of a checkpoint: Parquet, sorted by key hash, for us and for anyone who wants to look.

use std::{
    fs::File,
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow_array::{
    BooleanArray, FixedSizeBinaryArray, RecordBatch, StringArray, UInt64Array, cast::AsArray, types::UInt64Type,
};
use arrow_schema::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use parquet::{
    arrow::{
        ArrowWriter,
        arrow_reader::{
            ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
            RowSelection,
        },
    },
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::{
        metadata::PageIndexPolicy,
        properties::{EnabledStatistics, WriterProperties},
    },
    schema::types::ColumnPath,
};
use records::Column;

use super::{
    CheckpointError,
    keys_file::{KeysFile, KeysWriter},
    manifest::FileEntry,
};
use crate::{
    Steps,
    hash::{DELETED, DIRTY, MAYBE, in_doubt, without_doubt},
    steps::{DATA_RENAME, DATA_SYNC, DATA_WRITE, StepFile, settle},
};

/// Columns of a data file before those of the record: hash, fingerprint, key text, deleted, whole.
pub(crate) const OWN: usize = 5;
/// Rows decoded and written at a time.
pub(crate) const ROWS: usize = 8192;

/// The columns of a data file that keeps these columns of each record.
pub(crate) fn file_schema(kept: &[Column]) -> SchemaRef {
    let mut fields = vec![
        Field::new("_key_hash", DataType::FixedSizeBinary(16), false),
        Field::new("_fingerprint", DataType::UInt64, false),
        Field::new("_key", DataType::Utf8, false),
        Field::new("_deleted", DataType::Boolean, false),
        Field::new("_whole", DataType::Boolean, false),
    ];
    fields.extend(kept.iter().map(Column::to_arrow));
    Arc::new(ArrowSchema::new(fields))
}

/// The columns of our own in a batch of a data file.
pub(crate) struct OwnColumns<'a> {
    pub(crate) hashes: &'a FixedSizeBinaryArray,
    pub(crate) fingerprints: &'a UInt64Array,
    pub(crate) keys: &'a StringArray,
    pub(crate) deleted: &'a BooleanArray,
    pub(crate) whole: &'a BooleanArray,
}

impl<'a> OwnColumns<'a> {
    /// Nothing if the batch is not one of a data file.
    pub(crate) fn of(batch: &'a RecordBatch) -> Option<Self> {
        if batch.num_columns() < OWN {
            return None;
        }
        let hashes = batch.column(0).as_fixed_size_binary_opt()?;
        (hashes.value_length() == 16).then_some(())?;
        Some(Self {
            hashes,
            fingerprints: batch.column(1).as_primitive_opt::<UInt64Type>()?,
            keys: batch.column(2).as_string_opt::<i32>()?,
            deleted: batch.column(3).as_boolean_opt()?,
            whole: batch.column(4).as_boolean_opt()?,
        })
    }

    pub(crate) fn hash(&self, row: usize) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(self.hashes.value(row));
        bytes
    }
}

/// Writes a data file and its file of keys.
pub(crate) struct DataWriter {
    writer: ArrowWriter<StepFile>,
    keys: KeysWriter,
    dir: PathBuf,
    name: String,
    steps: Arc<dyn Steps>,
    rows: u64,
}

impl DataWriter {
    pub(crate) fn create(
        dir: &Path,
        name: &str,
        kept: &[Column],
        steps: &Arc<dyn Steps>,
    ) -> Result<Self, CheckpointError> {
        let temporary = dir.join(format!("{name}.parquet.tmp"));
        let io = |source| CheckpointError::Io { doing: "write", path: temporary.clone(), source };
        let file = StepFile::create(&temporary, Arc::clone(steps), DATA_WRITE).map_err(io)?;
        let path = |name: &str| ColumnPath::from(name);
        // Dictionaries cost more than they save under zstd; hashes do not shrink.
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_column_compression(path("_key_hash"), Compression::UNCOMPRESSED)
            .set_column_compression(path("_fingerprint"), Compression::UNCOMPRESSED)
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_max_row_group_row_count(Some(65_536))
            .set_data_page_row_count_limit(4096)
            .build();
        let writer = ArrowWriter::try_new(file, file_schema(kept), Some(properties))
            .map_err(|source| parquet_error("write", &temporary, source))?;
        let keys = KeysWriter::create(&dir.join(format!("{name}.keys")), steps).map_err(io)?;
        Ok(Self { writer, keys, dir: dir.to_owned(), name: name.to_owned(), steps: Arc::clone(steps), rows: 0 })
    }

    fn temporary(&self) -> PathBuf {
        self.dir.join(format!("{}.parquet.tmp", self.name))
    }

    /// Appends rows in the order of their key hashes, in the columns of [`file_schema`].
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), CheckpointError> {
        self.writer.write(batch).map_err(|source| parquet_error("write", &self.temporary(), source))?;
        push_keys(&mut self.keys, batch).map_err(|source| CheckpointError::Io {
            doing: "write",
            path: self.temporary(),
            source,
        })?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Flushes both files and puts them in their places. The manifest does not name them yet.
    pub(crate) fn finish(mut self) -> Result<FileEntry, CheckpointError> {
        let temporary = self.temporary();
        self.writer.finish().map_err(|source| parquet_error("write", &temporary, source))?;
        let file = self.writer.inner();
        let entry = FileEntry { name: self.name, rows: self.rows, bytes: file.written, checksum: file.checksum() };
        let path = self.dir.join(entry.data_name());
        settle(self.steps.as_ref(), &file.file, &temporary, &path, [DATA_SYNC, DATA_RENAME])
            .and_then(|()| self.keys.finish(entry.checksum).map(drop))
            .map_err(|source| CheckpointError::Io { doing: "write", path, source })?;
        Ok(entry)
    }
}

fn push_keys(keys: &mut KeysWriter, batch: &RecordBatch) -> io::Result<()> {
    let Some(own) = OwnColumns::of(batch) else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the columns are not those of a data file"));
    };
    for row in 0..batch.num_rows() {
        let fingerprint = if own.deleted.value(row) { DELETED } else { own.fingerprints.value(row) };
        keys.push(&own.hash(row), fingerprint)?;
    }
    Ok(())
}

/// A full disk is told apart from data that Parquet cannot hold.
fn parquet_error(doing: &'static str, path: &Path, error: ParquetError) -> CheckpointError {
    let path = path.to_owned();
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(source) => CheckpointError::Io { doing, path, source: *source },
            Err(inner) => CheckpointError::Parquet { doing, path, source: ParquetError::External(inner) },
        },
        source => CheckpointError::Parquet { doing, path, source },
    }
}

/// A data file and its keys, open. They stay readable when a commit removes them.
#[derive(Debug)]
pub(crate) struct DataFile {
    pub(crate) keys: KeysFile,
    pub(crate) kept: Vec<Column>,
    file: File,
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    /// The first row of each row group, and the end.
    groups: Vec<u64>,
}

impl DataFile {
    pub(crate) fn open(
        dir: &Path,
        entry: &FileEntry,
        kept: &[Column],
        steps: &Arc<dyn Steps>,
    ) -> Result<Self, CheckpointError> {
        let path = dir.join(entry.data_name());
        let io = |source| CheckpointError::Io { doing: "read", path: path.clone(), source };
        let file = File::open(&path).map_err(io)?;
        let damaged = |message: String| CheckpointError::Damaged { path: path.clone(), message };
        let options = ArrowReaderOptions::new().with_offset_index_policy(PageIndexPolicy::Optional);
        let metadata = ArrowReaderMetadata::load(&file, options)
            .map_err(|error| damaged(format!("is not a Parquet file of ours ({error})")))?;
        let same = |(a, b): (&Arc<Field>, &Arc<Field>)| a.name() == b.name() && a.data_type() == b.data_type();
        let expected = file_schema(kept);
        if metadata.schema().fields().len() != expected.fields().len()
            || !metadata.schema().fields().iter().zip(expected.fields()).all(same)
        {
            return Err(damaged("has other columns than the manifest says".to_owned()));
        }
        let mut groups = vec![0];
        for group in metadata.metadata().row_groups() {
            groups.push(groups.last().copied().unwrap_or(0) + group.num_rows().unsigned_abs());
        }
        if groups.last() != Some(&entry.rows) {
            return Err(damaged("has other rows than the manifest says".to_owned()));
        }
        let keys_path = dir.join(entry.keys_name());
        let keys = match KeysFile::open(&keys_path, entry.rows, entry.checksum) {
            Ok(Some(keys)) => keys,
            Ok(None) => {
                tracing::info!(file = %keys_path.display(), "the file of keys is missing or damaged; making it anew");
                verify(&path, entry.checksum)?;
                let rebuild = || {
                    let mut keys = KeysWriter::create(&keys_path, steps)?;
                    let reader = reader(&file, &metadata, None).map_err(io::Error::other)?;
                    for batch in reader {
                        push_keys(&mut keys, &batch.map_err(io::Error::other)?)?;
                    }
                    keys.finish(entry.checksum)
                };
                rebuild().map_err(|source| CheckpointError::Io { doing: "write", path: keys_path.clone(), source })?
            }
            Err(source) => return Err(CheckpointError::Io { doing: "read", path: keys_path, source }),
        };
        Ok(Self { keys, kept: kept.to_vec(), file, path, metadata, groups })
    }

    /// Reads all rows, in order.
    pub(crate) fn scan(&self) -> Result<impl Iterator<Item = Result<RecordBatch, CheckpointError>>, CheckpointError> {
        let reader = reader(&self.file, &self.metadata, None).map_err(|error| self.damaged(&error))?;
        Ok(reader.map(|batch| batch.map_err(|error| self.damaged(&error))))
    }

    /// Reads these rows, given in ascending order, without the pages that hold none of them.
    pub(crate) fn fetch(&self, rows: &[u64]) -> Result<Vec<RecordBatch>, CheckpointError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut groups: Vec<usize> = Vec::new();
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut total = 0;
        let mut first_of_group = 0;
        for &row in rows {
            let group = self.groups.partition_point(|first| *first <= row) - 1;
            if groups.last() != Some(&group) {
                first_of_group = total;
                total += (self.groups[group + 1] - self.groups[group]) as usize;
                groups.push(group);
            }
            let place = first_of_group + (row - self.groups[group]) as usize;
            match ranges.last_mut() {
                Some(range) if range.end == place => range.end = place + 1,
                _ => ranges.push(place..place + 1),
            }
        }
        let selection = RowSelection::from_consecutive_ranges(ranges.into_iter(), total);
        let reader =
            reader(&self.file, &self.metadata, Some((groups, selection))).map_err(|error| self.damaged(&error))?;
        let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().map_err(|error| self.damaged(&error))?;
        let found: usize = batches.iter().map(RecordBatch::num_rows).sum();
        match found == rows.len() {
            true => Ok(batches),
            false => Err(self.damaged(&format!("gave {found} rows instead of {}", rows.len()))),
        }
    }

    /// Reads the whole file and compares it with its checksum.
    pub(crate) fn verify(&self, checksum: u64) -> Result<(), CheckpointError> {
        verify(&self.path, checksum)
    }

    pub(crate) fn damaged(&self, message: &dyn std::fmt::Display) -> CheckpointError {
        CheckpointError::Damaged { path: self.path.clone(), message: format!("cannot be read ({message})") }
    }

    /// Makes a file of keys, elsewhere, in which each record has the fingerprint that `of` gives for its batch.
    pub(crate) fn rekey(
        &self,
        path: &Path,
        steps: &Arc<dyn Steps>,
        mut of: impl FnMut(&RecordBatch, &mut Vec<u64>),
    ) -> Result<KeysFile, CheckpointError> {
        let io = |source| CheckpointError::Io { doing: "write", path: path.to_owned(), source };
        let mut keys = KeysWriter::create(path, steps).map_err(io)?;
        let mut fingerprints = Vec::new();
        for batch in self.scan()? {
            let batch = batch?;
            let Some(own) = OwnColumns::of(&batch) else { return Err(self.damaged(&"odd columns")) };
            of(&batch, &mut fingerprints);
            for (row, found) in fingerprints.iter().enumerate() {
                let fingerprint = match (own.deleted.value(row), own.fingerprints.value(row)) {
                    (true, _) => DELETED,
                    (false, mark @ (DIRTY | MAYBE)) => mark,
                    (false, stored) if own.whole.value(row) && stored != without_doubt(stored) => in_doubt(*found),
                    (false, _) if own.whole.value(row) => *found,
                    (false, _) => DIRTY,
                };
                keys.push(&own.hash(row), fingerprint).map_err(io)?;
            }
        }
        keys.finish(0).map_err(io)
    }
}

fn reader(
    file: &File,
    metadata: &ArrowReaderMetadata,
    only: Option<(Vec<usize>, RowSelection)>,
) -> Result<ParquetRecordBatchReader, ParquetError> {
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file.try_clone()?, metadata.clone());
    let builder = match only {
        Some((groups, selection)) => builder.with_row_groups(groups).with_row_selection(selection),
        None => builder,
    };
    builder.with_batch_size(ROWS).build()
}

fn verify(path: &Path, checksum: u64) -> Result<(), CheckpointError> {
    let io = |source| CheckpointError::Io { doing: "read", path: path.to_owned(), source };
    let mut file = File::open(path).map_err(io)?;
    let mut hasher = xxhash_rust::xxh3::Xxh3Default::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match io::Read::read(&mut file, &mut buffer).map_err(io)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    match hasher.digest() == checksum {
        true => Ok(()),
        false => {
            let message = "does not have the checksum that the manifest says".to_owned();
            Err(CheckpointError::Damaged { path: path.to_owned(), message })
        }
    }
}
