//! The change set: all changes of one sync, in a file that is written before the first is sent.

use std::{
    fs::File,
    io::{self, BufReader},
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow_array::{
    ArrayRef, BooleanArray, FixedSizeBinaryArray, RecordBatch, RecordBatchOptions, StringArray, UInt8Array,
    UInt32Array, UInt64Array,
    cast::AsArray,
    types::{UInt8Type, UInt64Type},
};
use arrow_ipc::reader::FileReader;
use arrow_schema::{ArrowError, DataType, Field, Schema as ArrowSchema, SchemaRef};
use arrow_select::take::take;
use records::{ChangeView, Column, Counts, KeyHash, Operation, RecordView, Schema, SyncId};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::{
    Bits, Keep, Meta, Tracked,
    checkpoint::file_schema,
    hash::{DIRTY, MAYBE},
    section::Section,
};

/// The format of the change sets this program writes and reads.
pub(crate) const FORMAT: u32 = 1;
/// Columns of our own before those of the new record, which come before those of the previous.
const OWN: usize = 6;
pub(crate) const HEADER_KEY: &str = "outflow.change_set";
pub(crate) const FOOTER_KEY: &str = "outflow.changes";
/// `msg_` and 32 hex digits.
const ID_LENGTH: usize = 36;

/// A change set that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ChangeSetError {
    #[error("cannot {doing} the change set `{}`", .path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot {doing} the change set `{}`", .path.display())]
    Arrow {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: ArrowError,
    },
    #[error("the change set `{}` is not whole: {message}; run the sync again", .path.display())]
    Damaged { path: PathBuf, message: String },
    #[error("the change set `{}` has format {found}, this program knows up to {known}; update Outflow, or run the sync again", .path.display())]
    Newer { path: PathBuf, found: u32, known: u32 },
}

/// What stands at the beginning of the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Header {
    format: u32,
    mapping: String,
    sync: SyncId,
    timestamp: String,
    generation: u64,
    tracked: Tracked,
    /// The columns of the previous records.
    previous: Vec<Column>,
}

/// What stands at its end.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Footer {
    pub(crate) counts: Counts,
    /// Per chunk, how many were added, updated, deleted.
    pub(crate) chunks: Vec<[u64; 3]>,
}

#[derive(Deserialize)]
struct Version {
    format: u32,
}

impl Header {
    pub(crate) fn new(meta: &Meta, generation: u64, tracked: &Tracked, previous: &[Column]) -> Self {
        Self {
            format: FORMAT,
            mapping: meta.mapping.clone(),
            sync: meta.sync,
            timestamp: meta.timestamp.clone(),
            generation,
            tracked: tracked.clone(),
            previous: previous.to_vec(),
        }
    }

    /// The file's columns: our own, then `new.…`, then `previous.…`.
    pub(crate) fn schema(&self) -> Result<SchemaRef, serde_json::Error> {
        let mut fields = vec![
            Field::new("_operation", DataType::UInt8, false),
            Field::new("_key_hash", DataType::FixedSizeBinary(16), false),
            Field::new("_key", DataType::Utf8, false),
            Field::new("_fingerprint", DataType::UInt64, false),
            Field::new("_previous_fingerprint", DataType::UInt64, false),
            Field::new("_previous_known", DataType::Boolean, false),
        ];
        let named =
            |prefix: &str, column: &Column| Field::new(format!("{prefix}.{}", column.name), column.kind.arrow(), true);
        fields.extend(self.tracked.carried().iter().map(|column| named("new", column)));
        fields.extend(self.previous.iter().map(|column| named("previous", column)));
        let metadata = [(HEADER_KEY.to_owned(), serde_json::to_string(self)?)];
        Ok(Arc::new(ArrowSchema::new(fields).with_metadata(metadata)))
    }
}

pub(crate) fn operation_code(operation: Operation) -> u8 {
    match operation {
        Operation::Added => 0,
        Operation::Updated => 1,
        Operation::Deleted => 2,
    }
}

/// Where a change set stands.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    offset: u64,
    bytes: u64,
}

/// The changes of one sync, in the order of their key hashes. Cheap to clone; the file never changes.
#[derive(Debug, Clone)]
pub struct ChangeSet {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    place: Place,
    header: Header,
    footer: Footer,
    /// The index of each chunk's first change, and the end.
    firsts: Vec<u64>,
    new: Schema,
    previous: Schema,
}

impl ChangeSet {
    /// Opens a finished change set.
    ///
    /// # Errors
    /// The file is missing, cut short, or of a newer version.
    pub fn open(path: &Path) -> Result<Self, ChangeSetError> {
        let found = std::fs::metadata(path);
        let found = found.map_err(|source| ChangeSetError::Io { doing: "open", path: path.to_owned(), source })?;
        Self::open_within(path, 0, found.len())
    }

    /// Opens a finished change set that stands in a larger file, from `offset` on.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_within(path: &Path, offset: u64, bytes: u64) -> Result<Self, ChangeSetError> {
        let damaged = |message: String| ChangeSetError::Damaged { path: path.to_owned(), message };
        let place = Place { path: path.to_owned(), offset, bytes };
        let reader = place.reader()?;
        let schema = reader.schema();
        let header = schema.metadata().get(HEADER_KEY).ok_or_else(|| damaged("it has no header".to_owned()))?;
        let json = |error: serde_json::Error| damaged(format!("its header cannot be read ({error})"));
        let version: Version = serde_json::from_str(header).map_err(json)?;
        if version.format > FORMAT {
            return Err(ChangeSetError::Newer { path: path.to_owned(), found: version.format, known: FORMAT });
        }
        let header: Header = serde_json::from_str(header).map_err(json)?;
        let footer = reader.custom_metadata().get(FOOTER_KEY).ok_or_else(|| damaged("it has no end".to_owned()))?;
        let footer: Footer = serde_json::from_str(footer).map_err(json)?;
        if footer.chunks.len() != reader.num_batches() || *schema != *header.schema().map_err(json)? {
            return Err(damaged("its parts do not fit".to_owned()));
        }
        let mut firsts = vec![0];
        for chunk in &footer.chunks {
            firsts.push(firsts.last().copied().unwrap_or(0) + chunk.iter().sum::<u64>());
        }
        let columns = |columns: Vec<Column>| Schema::new(columns).map_err(|error| damaged(error.to_string()));
        let (new, previous) = (columns(header.tracked.carried())?, columns(header.previous.clone())?);
        Ok(Self { inner: Arc::new(Inner { place, header, footer, firsts, new, previous }) })
    }

    pub fn path(&self) -> &Path {
        &self.inner.place.path
    }

    /// How many records fared how; what the load adds to is 0.
    pub fn counts(&self) -> Counts {
        self.inner.footer.counts
    }

    pub fn sync(&self) -> SyncId {
        self.inner.header.sync
    }

    pub fn mapping(&self) -> &str {
        &self.inner.header.mapping
    }

    /// When the extract began, RFC 3339.
    pub fn timestamp(&self) -> &str {
        &self.inner.header.timestamp
    }

    /// What the mapping tracked when the change set was made.
    pub fn tracked(&self) -> &Tracked {
        &self.inner.header.tracked
    }

    /// The columns of the new records: the key's, then the other used ones by name.
    pub fn new_schema(&self) -> &Schema {
        &self.inner.new
    }

    /// The columns of the previous records: what the checkpoint kept.
    pub fn previous_schema(&self) -> &Schema {
        &self.inner.previous
    }

    pub(crate) fn previous_columns(&self) -> &[Column] {
        &self.inner.header.previous
    }

    /// The generation of the checkpoint that the extract was compared with. When the checkpoint's own is another,
    /// the change set is out of date.
    pub fn generation(&self) -> u64 {
        self.inner.header.generation
    }

    /// How many changes there are.
    pub fn len(&self) -> u64 {
        self.inner.firsts.last().copied().unwrap_or(0)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn chunk_count(&self) -> usize {
        self.inner.footer.chunks.len()
    }

    /// The chunk that holds the change with this index.
    pub fn chunk_of(&self, change: u64) -> usize {
        self.inner.firsts.partition_point(|first| *first <= change).saturating_sub(1)
    }

    /// Whether a chunk has changes with this operation.
    pub fn chunk_has(&self, chunk: usize, operation: Operation) -> bool {
        let counts = self.inner.footer.chunks.get(chunk);
        counts.is_some_and(|counts| counts[usize::from(operation_code(operation))] > 0)
    }

    /// The chunks from this one on. Each reader has the file open on its own.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn chunks(&self, from_chunk: usize) -> Result<Chunks, ChangeSetError> {
        Ok(Chunks { set: self.clone(), reader: self.inner.place.reader()?, next: from_chunk })
    }

    /// The first `n` changes with this operation, from as many chunks as it takes.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn sample(&self, operation: Operation, n: usize) -> Result<Vec<ChangeChunk>, ChangeSetError> {
        let mut reader = self.chunks(0)?;
        let mut found = Vec::new();
        let mut missing = n;
        for (number, chunk) in self.inner.footer.chunks.iter().enumerate() {
            if missing == 0 {
                break;
            }
            if chunk[usize::from(operation_code(operation))] == 0 {
                continue;
            }
            reader.next = number;
            let Some(chunk) = reader.next() else { break };
            let chunk = chunk?;
            let rows: Vec<u32> = (0..chunk.len())
                .filter(|row| chunk.operation(*row) == operation)
                .take(missing)
                .map(|row| row as u32)
                .collect();
            missing -= rows.len();
            found.push(chunk.pick(rows).map_err(|source| self.arrow(source))?);
        }
        Ok(found)
    }

    fn arrow(&self, source: ArrowError) -> ChangeSetError {
        ChangeSetError::Arrow { doing: "read", path: self.path().to_owned(), source }
    }
}

impl Place {
    fn reader(&self) -> Result<FileReader<BufReader<Section>>, ChangeSetError> {
        let path = || self.path.clone();
        let file =
            File::open(&self.path).map_err(|source| ChangeSetError::Io { doing: "open", path: path(), source })?;
        let section = Section::new(file, self.offset, self.bytes);
        FileReader::try_new(BufReader::with_capacity(1 << 18, section), None).map_err(|error| match error {
            ArrowError::IoError(_, source) if source.kind() != io::ErrorKind::UnexpectedEof => {
                ChangeSetError::Io { doing: "read", path: path(), source }
            }
            error => ChangeSetError::Damaged { path: path(), message: error.to_string() },
        })
    }
}

/// Reads the chunks of a change set one after another.
#[derive(Debug)]
pub struct Chunks {
    set: ChangeSet,
    reader: FileReader<BufReader<Section>>,
    next: usize,
}

impl Chunks {
    /// Goes on with this chunk, without reading those before it.
    pub fn go_to(&mut self, chunk: usize) {
        self.next = chunk;
    }
}

impl Iterator for Chunks {
    type Item = Result<ChangeChunk, ChangeSetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let number = self.next;
        if number >= self.set.chunk_count() {
            return None;
        }
        self.next += 1;
        let read = || -> Result<ChangeChunk, ArrowError> {
            self.reader.set_index(number)?;
            let end = || ArrowError::IpcError("a chunk is missing".to_owned());
            let batch = self.reader.next().ok_or_else(end)??;
            let inner = &self.set.inner;
            if batch.num_rows() as u64 != inner.firsts[number + 1] - inner.firsts[number] {
                return Err(ArrowError::IpcError("a chunk is not of its size".to_owned()));
            }
            ChangeChunk::new(self.set.clone(), inner.firsts[number], None, batch)
        };
        let mut read = read;
        let path = self.set.path();
        Some(read().map_err(|error| ChangeSetError::Damaged { path: path.to_owned(), message: error.to_string() }))
    }
}

/// Some changes of a change set, in memory.
#[derive(Debug)]
pub struct ChangeChunk {
    set: ChangeSet,
    first: u64,
    picked: Option<Vec<u64>>,
    batch: RecordBatch,
    operations: UInt8Array,
    hashes: FixedSizeBinaryArray,
    keys: StringArray,
    fingerprints: UInt64Array,
    previous_fingerprints: UInt64Array,
    previous_known: BooleanArray,
    new: RecordBatch,
    previous: RecordBatch,
    ids: String,
}

impl ChangeChunk {
    fn new(set: ChangeSet, first: u64, picked: Option<Vec<u64>>, batch: RecordBatch) -> Result<Self, ArrowError> {
        let rows = batch.num_rows();
        let odd = || ArrowError::SchemaError("the columns are not those of a change set".to_owned());
        let middle = OWN + set.inner.new.columns().len();
        let part = |schema: &Schema, range: std::ops::Range<usize>| {
            let columns = batch.columns().get(range).ok_or_else(odd)?.to_vec();
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            RecordBatch::try_new_with_options(schema.to_arrow(), columns, &options)
        };
        let new = part(&set.inner.new, OWN..middle)?;
        let previous = part(&set.inner.previous, middle..batch.num_columns())?;
        let operations = batch.column(0).as_primitive_opt::<UInt8Type>().ok_or_else(odd)?.clone();
        if operations.values().iter().any(|code| *code > 2) {
            return Err(odd());
        }
        let mut chunk = Self {
            operations,
            hashes: batch.column(1).as_fixed_size_binary_opt().ok_or_else(odd)?.clone(),
            keys: batch.column(2).as_string_opt::<i32>().ok_or_else(odd)?.clone(),
            fingerprints: batch.column(3).as_primitive_opt::<UInt64Type>().ok_or_else(odd)?.clone(),
            previous_fingerprints: batch.column(4).as_primitive_opt::<UInt64Type>().ok_or_else(odd)?.clone(),
            previous_known: batch.column(5).as_boolean_opt().ok_or_else(odd)?.clone(),
            set,
            first,
            picked,
            batch,
            new,
            previous,
            ids: String::new(),
        };
        chunk.ids = chunk.message_ids();
        Ok(chunk)
    }

    /// All ids, one after another: the hash of mapping, key, operation and both fingerprints, as a UUID of version 8.
    fn message_ids(&self) -> String {
        let mut ids = String::with_capacity(self.len() * ID_LENGTH);
        let mut bytes = Vec::new();
        for row in 0..self.len() {
            bytes.clear();
            bytes.extend_from_slice(self.set.mapping().as_bytes());
            bytes.push(0);
            bytes.extend_from_slice(self.hashes.value(row));
            bytes.push(self.operations.value(row));
            bytes.extend_from_slice(&self.fingerprints.value(row).to_le_bytes());
            bytes.extend_from_slice(&self.previous_fingerprints.value(row).to_le_bytes());
            let free = xxh3_128(&bytes) & !(0xf << 76) & !(0x3 << 62);
            let uuid = free | (0x8 << 76) | (0x2 << 62);
            ids.push_str("msg_");
            for shift in (0..32).rev() {
                ids.push(char::from(b"0123456789abcdef"[(uuid >> (shift * 4)) as usize & 15]));
            }
        }
        ids
    }

    /// How many changes it holds.
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The index in the whole change set of the change at `row`: what the journal and `Checkpoint::commit` speak of.
    pub fn index(&self, row: usize) -> u64 {
        match &self.picked {
            Some(picked) => picked[row],
            None => self.first + row as u64,
        }
    }

    pub fn operation(&self, row: usize) -> Operation {
        match self.operations.value(row) {
            0 => Operation::Added,
            1 => Operation::Updated,
            _ => Operation::Deleted,
        }
    }

    /// The fingerprint of its new values; 0 for a record that is to be deleted.
    pub fn fingerprint(&self, row: usize) -> u64 {
        self.fingerprints.value(row)
    }

    pub fn key_hash(&self, row: usize) -> KeyHash {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(self.hashes.value(row));
        KeyHash::from_bytes(bytes)
    }

    /// The key as text: the value itself for one column, a JSON array for several.
    pub fn key(&self, row: usize) -> &str {
        self.keys.value(row)
    }

    /// `msg_…`, the same for the same change in every run.
    pub fn message_id(&self, row: usize) -> &str {
        &self.ids[row * ID_LENGTH..(row + 1) * ID_LENGTH]
    }

    /// The change at `row`, as mappings see it.
    pub fn view(&self, row: usize) -> ChangeView<'_> {
        let operation = self.operation(row);
        let inner = &self.set.inner;
        let record = |schema, batch| RecordView { schema, batch, row };
        ChangeView {
            operation,
            key: self.key(row),
            new: (operation != Operation::Deleted).then(|| record(&inner.new, &self.new)),
            previous: self.previous_known.value(row).then(|| record(&inner.previous, &self.previous)),
            message_id: self.message_id(row),
            timestamp: self.set.timestamp(),
        }
    }

    /// These rows alone.
    fn pick(&self, rows: Vec<u32>) -> Result<ChangeChunk, ArrowError> {
        let picked = rows.iter().map(|row| self.index(*row as usize)).collect();
        let batch = arrow_select::take::take_record_batch(&self.batch, &UInt32Array::from(rows))?;
        Self::new(self.set.clone(), self.first, Some(picked), batch)
    }

    /// What the checkpoint takes of the changes that were committed, as rows of a data file; of those in doubt, the
    /// added ones, as records that may be there or not.
    pub(crate) fn committed_rows(&self, committed: &Bits, doubtful: &Bits) -> Result<Option<RecordBatch>, ArrowError> {
        let maybe = |row: usize| self.operations.value(row) == 0 && doubtful.contains(self.index(row));
        let wanted = |row: &usize| committed.contains(self.index(*row)) || maybe(*row);
        let rows: Vec<u32> = (0..self.len()).filter(wanted).map(|row| row as u32).collect();
        let fingerprint = |row: &u32| match maybe(*row as usize) {
            true => MAYBE,
            false => self.fingerprints.value(*row as usize),
        };
        let fingerprints = Arc::new(rows.iter().map(|row| Some(fingerprint(row))).collect::<UInt64Array>());
        let tracked = self.set.tracked();
        let kept = tracked.kept();
        let gone = |row: &u32| self.operations.value(*row as usize) == 2;
        let deleted: BooleanArray = rows.iter().map(|row| Some(gone(row))).collect();
        let whole: BooleanArray = rows.iter().map(|row| Some(tracked.keep == Keep::Values && !gone(row))).collect();
        // The kept columns are the first of those a change carries.
        self.data_rows(rows, &kept, fingerprints, deleted, whole, &self.new.columns()[..kept.len()])
    }

    /// Deleted records among these rows, as rows of a data file that are alive and will be found changed.
    pub(crate) fn deleted_rows(&self, rows: &[u32]) -> Result<Option<RecordBatch>, ArrowError> {
        let gone = |row: &u32| self.operations.value(*row as usize) == 2;
        let rows: Vec<u32> = rows.iter().copied().filter(gone).collect();
        let kept = self.set.previous_columns();
        let deleted = BooleanArray::from(vec![false; rows.len()]);
        // Without values a whole record cannot be told from one of which only the key is known.
        let whole = BooleanArray::from(vec![kept.len() > self.set.tracked().key.len(); rows.len()]);
        let fingerprints = Arc::new(UInt64Array::from(vec![DIRTY; rows.len()]));
        self.data_rows(rows, kept, fingerprints, deleted, whole, self.previous.columns())
    }

    fn data_rows(
        &self,
        rows: Vec<u32>,
        kept: &[Column],
        fingerprints: ArrayRef,
        deleted: BooleanArray,
        whole: BooleanArray,
        values: &[ArrayRef],
    ) -> Result<Option<RecordBatch>, ArrowError> {
        if rows.is_empty() {
            return Ok(None);
        }
        let all = rows.len() == self.len();
        let rows = UInt32Array::from(rows);
        let taken = |array: &ArrayRef| if all { Ok(Arc::clone(array)) } else { take(array.as_ref(), &rows, None) };
        let mut columns = vec![taken(self.batch.column(1))?, fingerprints, taken(self.batch.column(2))?];
        columns.push(Arc::new(deleted));
        columns.push(Arc::new(whole));
        for array in values {
            columns.push(taken(array)?);
        }
        RecordBatch::try_new(file_schema(kept), columns).map(Some)
    }
}
