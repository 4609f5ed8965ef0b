//! Writes a change set: gathers the values of each change from the spool and the checkpoint.

use std::{
    io::{self, BufWriter},
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow_array::{
    Array, ArrayRef, BooleanArray, FixedSizeBinaryArray, RecordBatch, StringArray, UInt8Array, UInt32Array,
    UInt64Array, new_null_array,
};
use arrow_ipc::{
    CompressionType,
    writer::{FileWriter, IpcWriteOptions},
};
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::{interleave::interleave, take::take};
use records::{Column, KeyColumns, Operation};

use crate::{
    ChangeSet, ChangeSetError, CompareError, Steps,
    change_set::{FOOTER_KEY, Footer, Header, operation_code},
    checkpoint::{Entry, Layers, OWN, OwnColumns},
    hash::without_doubt,
    spool::{DiskUse, Place, Rows},
    steps::{CHANGE_SET_RENAME, CHANGE_SET_SYNC, CHANGE_SET_WRITE, StepFile, settle},
};

/// A change whose values are still where they were.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pending {
    pub(crate) operation: Operation,
    pub(crate) key: u128,
    pub(crate) fingerprint: u64,
    pub(crate) new: Option<Place>,
    /// The checkpoint's entry, and whether its values are wanted.
    pub(crate) entry: Option<(Entry, bool)>,
}

pub(crate) struct ChangeWriter<'a> {
    layers: &'a Layers,
    key: KeyColumns,
    /// Columns of a new record.
    carried: Vec<Column>,
    previous: Vec<Column>,
    schema: SchemaRef,
    out: FileWriter<BufWriter<StepFile>>,
    path: PathBuf,
    temporary: PathBuf,
    steps: Arc<dyn Steps>,
    disk: Arc<DiskUse>,
    accounted: u64,
    chunk_rows: usize,
    pending: Vec<Pending>,
    footer: Footer,
    done: bool,
}

impl Drop for ChangeWriter<'_> {
    fn drop(&mut self) {
        if !self.done
            && let Err(error) = std::fs::remove_file(&self.temporary)
        {
            tracing::debug!(%error, "an unfinished change set was not removed");
        }
    }
}

impl<'a> ChangeWriter<'a> {
    #[expect(clippy::too_many_arguments, reason = "the one caller has all of these apart")]
    pub(crate) fn create(
        path: &Path,
        header: &Header,
        layers: &'a Layers,
        key: KeyColumns,
        carried: Vec<Column>,
        previous: Vec<Column>,
        chunk_rows: usize,
        steps: &Arc<dyn Steps>,
        disk: Arc<DiskUse>,
    ) -> Result<Self, CompareError> {
        let temporary = path.with_extension("arrow.tmp");
        let io = |source| CompareError::Io { doing: "write", path: temporary.clone(), source };
        let arrow = |source| CompareError::Arrow { doing: "write", path: temporary.clone(), source };
        let schema = header.schema().map_err(|error| io(io::Error::other(error)))?;
        let file = StepFile::create(&temporary, Arc::clone(steps), CHANGE_SET_WRITE).map_err(io)?;
        let options = IpcWriteOptions::default()
            .try_with_compression(Some(CompressionType::ZSTD))
            .and_then(|options| options.try_with_compression_level(Some(1)))
            .map_err(arrow)?;
        let out = FileWriter::try_new_with_options(BufWriter::with_capacity(1 << 18, file), &schema, options)
            .map_err(arrow)?;
        Ok(Self {
            layers,
            key,
            carried,
            previous,
            schema,
            out,
            path: path.to_owned(),
            temporary,
            steps: Arc::clone(steps),
            disk,
            accounted: 0,
            chunk_rows,
            pending: Vec::new(),
            footer: Footer::default(),
            done: false,
        })
    }

    /// Takes a change. Its new record stands in `rows`.
    pub(crate) fn push(&mut self, change: Pending, rows: &Rows) -> Result<(), CompareError> {
        self.pending.push(change);
        // Several chunks at once, so that a row group of the checkpoint is not read for each.
        if self.pending.len() >= self.chunk_rows * 8 { self.flush(rows) } else { Ok(()) }
    }

    /// Writes what is pending, before `rows` goes.
    pub(crate) fn flush(&mut self, rows: &Rows) -> Result<(), CompareError> {
        let pending = std::mem::take(&mut self.pending);
        let wanted: Vec<Entry> =
            pending.iter().filter_map(|change| change.entry).filter(|entry| entry.1).map(|entry| entry.0).collect();
        let kept = match wanted.is_empty() {
            true => None,
            false => Some(self.layers.fetch(&wanted, &self.previous).map_err(CompareError::Checkpoint)?),
        };
        let mut next = 0;
        for chunk in pending.chunks(self.chunk_rows) {
            self.write_chunk(chunk, rows, kept.as_ref(), &mut next).map_err(|error| match error {
                ArrowError::IoError(_, source) => {
                    CompareError::Io { doing: "write", path: self.temporary.clone(), source }
                }
                source => CompareError::Arrow { doing: "write", path: self.temporary.clone(), source },
            })?;
            let written = self.out.get_ref().get_ref().written;
            self.disk.add(written - self.accounted)?;
            self.accounted = written;
        }
        self.pending = pending;
        self.pending.clear();
        Ok(())
    }

    fn write_chunk(
        &mut self,
        chunk: &[Pending],
        rows: &Rows,
        kept: Option<&RecordBatch>,
        next: &mut u32,
    ) -> Result<(), ArrowError> {
        let own = kept.and_then(OwnColumns::of);
        let mut keys = arrow_array::builder::StringBuilder::with_capacity(chunk.len(), chunk.len() * 16);
        let mut known = Vec::with_capacity(chunk.len());
        let mut places: Vec<Option<u32>> = Vec::with_capacity(chunk.len());
        let mut counts = [0; 3];
        for change in chunk {
            counts[usize::from(operation_code(change.operation))] += 1;
            let place = match change.entry {
                Some((_, true)) => {
                    *next += 1;
                    Some(*next - 1)
                }
                _ => None,
            };
            let entry = place.zip(own.as_ref()).map(|(place, own)| (place as usize, own));
            match (change.new, &entry) {
                (Some((part, row)), _) => {
                    keys.append_value(self.key.text(&rows.parts[part as usize].rows, row as usize));
                }
                (None, Some((place, own))) => keys.append_value(own.keys.value(*place)),
                (None, None) => keys.append_value(""),
            }
            let is_known =
                entry.is_some_and(|(place, own)| change.operation == Operation::Deleted || own.whole.value(place));
            known.push(is_known);
            places.push(place.filter(|_| is_known));
        }
        let previous_fingerprint =
            |change: &Pending| change.entry.map_or(0, |(entry, _)| without_doubt(entry.fingerprint));
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(UInt8Array::from_iter_values(chunk.iter().map(|change| operation_code(change.operation)))),
            Arc::new(FixedSizeBinaryArray::try_from_iter(chunk.iter().map(|change| change.key.to_be_bytes()))?),
            Arc::new(keys.finish()) as Arc<StringArray>,
            Arc::new(UInt64Array::from_iter_values(chunk.iter().map(|change| change.fingerprint))),
            Arc::new(UInt64Array::from_iter_values(chunk.iter().map(previous_fingerprint))),
            Arc::new(BooleanArray::from(known)),
        ];
        self.new_values(chunk, rows, &mut columns)?;
        let places: UInt32Array = places.into_iter().collect();
        for (index, column) in self.previous.iter().enumerate() {
            columns.push(match kept {
                Some(kept) => take(kept.column(OWN + index).as_ref(), &places, None)?,
                None => new_null_array(&column.kind.arrow(), chunk.len()),
            });
        }
        self.out.write(&RecordBatch::try_new(Arc::clone(&self.schema), columns)?)?;
        self.footer.chunks.push(counts);
        Ok(())
    }

    fn new_values(&self, chunk: &[Pending], rows: &Rows, columns: &mut Vec<ArrayRef>) -> Result<(), ArrowError> {
        // One row of nulls stands for all records that are gone.
        let indices: Vec<(usize, usize)> = chunk
            .iter()
            .map(|change| change.new.map_or((0, 0), |(part, row)| (part as usize + 1, row as usize)))
            .collect();
        let any = chunk.iter().any(|change| change.new.is_some());
        for (index, column) in self.carried.iter().enumerate() {
            let null = new_null_array(&column.kind.arrow(), 1);
            columns.push(match any {
                false => new_null_array(&column.kind.arrow(), chunk.len()),
                true => {
                    let parts = rows.parts.iter().map(|part| part.rows.column(index).as_ref());
                    let arrays: Vec<&dyn Array> = std::iter::once(null.as_ref()).chain(parts).collect();
                    interleave(&arrays, &indices)?
                }
            });
        }
        Ok(())
    }

    /// Writes the end, and puts the file in its place.
    pub(crate) fn finish(mut self, counts: records::Counts, rows: &Rows) -> Result<ChangeSet, CompareError> {
        self.flush(rows)?;
        self.footer.counts = counts;
        let mut finish = || -> Result<(), ArrowError> {
            let footer =
                serde_json::to_string(&self.footer).map_err(|error| ArrowError::JsonError(error.to_string()))?;
            self.out.write_metadata(FOOTER_KEY, footer);
            self.out.finish()?;
            self.out.flush()
        };
        finish().map_err(|error| match error {
            ArrowError::IoError(_, source) => CompareError::Io { doing: "write", path: self.temporary.clone(), source },
            source => CompareError::Arrow { doing: "write", path: self.temporary.clone(), source },
        })?;
        let file = self.out.get_ref().get_ref();
        self.disk.add(file.written - self.accounted)?;
        let settled =
            settle(self.steps.as_ref(), &file.file, &self.temporary, &self.path, [CHANGE_SET_SYNC, CHANGE_SET_RENAME]);
        self.done = true;
        settled
            .map_err(|source| ChangeSetError::Io { doing: "write", path: self.path.clone(), source })
            .and_then(|()| ChangeSet::open(&self.path))
            .map_err(CompareError::ChangeSet)
    }
}
