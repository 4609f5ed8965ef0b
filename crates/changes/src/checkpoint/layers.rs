//! The files of a checkpoint, open and laid over each other.

use std::{path::Path, sync::Arc};

use arrow_array::{
    Array, ArrayRef, Int64Array, RecordBatch, StringArray, UInt64Array, cast::AsArray, new_null_array, types::Int64Type,
};
use arrow_schema::ArrowError;
use arrow_select::{concat::concat_batches, interleave::interleave_record_batch};
use records::{Column, Kind, column_seed};

use super::{
    CheckpointError,
    data_file::{DataFile, DataWriter, OWN, OwnColumns, ROWS, file_schema},
    keys_file::{Entries, Entry, KeysFile},
    manifest::Manifest,
};
use crate::{
    Steps, Tracked,
    hash::{DIRTY, column_hashes, fingerprints},
};

/// All files of one generation, open. They stay readable when a commit removes them.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    pub(crate) files: Vec<DataFile>,
    /// In place of the files' own keys, when the fingerprints are taken over other columns than the files say.
    rekeyed: Option<Vec<KeysFile>>,
}

impl Layers {
    pub(crate) fn open(dir: &Path, manifest: &Manifest, steps: &Arc<dyn Steps>) -> Result<Self, CheckpointError> {
        let kept = manifest.tracked.as_ref().map(Tracked::kept).unwrap_or_default();
        let open = |entry| DataFile::open(dir, entry, &kept, steps);
        Ok(Self { files: manifest.files.iter().map(open).collect::<Result<_, _>>()?, rekeyed: None })
    }

    /// Takes all fingerprints anew, over the columns that are used now, from the values that are kept. Records that
    /// lack one of them count as changed. The new keys are written to `dir`.
    pub(crate) fn rekey(&mut self, now: &Tracked, dir: &Path, steps: &Arc<dyn Steps>) -> Result<(), CheckpointError> {
        let rekey = |(number, file): (usize, &DataFile)| {
            let place = |used: &Column| {
                let index = file.kept.iter().position(|kept| kept.name == used.name)?;
                Some((OWN + index, file.kept[index].kind, column_seed(&used.name)))
            };
            let places: Option<Vec<_>> = now.used.iter().map(place).collect();
            let mut scratch = Vec::new();
            file.rekey(&dir.join(format!("rekeyed-{number}.tmp")), steps, |batch, out| match &places {
                Some(places) => {
                    let hash = |&(index, kind, seed): &(usize, Kind, u64)| {
                        let mut hashes = Vec::with_capacity(batch.num_rows());
                        column_hashes(batch.column(index).as_ref(), kind, seed, &mut scratch, &mut hashes);
                        hashes
                    };
                    let columns: Vec<Vec<u64>> = places.iter().map(hash).collect();
                    fingerprints(batch.num_rows(), &columns, out);
                }
                None => {
                    out.clear();
                    out.resize(batch.num_rows(), DIRTY);
                }
            })
        };
        self.rekeyed = Some(self.files.iter().enumerate().map(rekey).collect::<Result<_, _>>()?);
        Ok(())
    }

    /// Lays another file on top.
    pub(crate) fn push(&mut self, file: DataFile) {
        self.files.push(file);
    }

    pub(crate) fn entries(&self) -> Result<Entries<'_>, CheckpointError> {
        let rekeyed = self.rekeyed.as_deref().unwrap_or_default();
        let rest = self.files.iter().skip(rekeyed.len()).map(|file| &file.keys);
        Entries::new(rekeyed.iter().chain(rest))
    }

    /// The rows of these entries, in their order (which is that of their key hashes), with these columns kept.
    pub(crate) fn fetch(&self, entries: &[Entry], kept: &[Column]) -> Result<RecordBatch, CheckpointError> {
        let schema = file_schema(kept);
        let mut batches: Vec<RecordBatch> = Vec::new();
        // Per file: its first batch among `batches`, then where the next row stands.
        let mut places: Vec<(usize, usize)> = Vec::new();
        let mut rows = Vec::new();
        for (number, file) in self.files.iter().enumerate() {
            rows.clear();
            rows.extend(entries.iter().filter(|entry| entry.file == number).map(|entry| entry.row));
            places.push((batches.len(), 0));
            for batch in file.fetch(&rows)? {
                batches.push(convert(&batch, &file.kept, kept).map_err(|error| file.damaged(&error))?);
            }
        }
        let mut gather = || match &batches[..] {
            [] => Ok(RecordBatch::new_empty(Arc::clone(&schema))),
            [only] => Ok(only.clone()),
            several if self.files.len() == 1 => concat_batches(&schema, several),
            several => {
                let indices: Vec<(usize, usize)> = entries
                    .iter()
                    .map(|entry| {
                        let (batch, row) = &mut places[entry.file];
                        if *row == several[*batch].num_rows() {
                            (*batch, *row) = (*batch + 1, 0);
                        }
                        *row += 1;
                        (*batch, *row - 1)
                    })
                    .collect();
                interleave_record_batch(&several.iter().collect::<Vec<_>>(), &indices)
            }
        };
        let gathered = gather().map_err(|error| self.files[0].damaged(&error))?;
        let fingerprints = gathered.column(1).as_primitive_opt::<arrow_array::types::UInt64Type>();
        let same = |found: &UInt64Array| found.values().iter().zip(entries).all(|(a, entry)| *a == entry.fingerprint);
        if self.rekeyed.is_none() && fingerprints.is_some_and(same) {
            return Ok(gathered);
        }
        // What conversion could not keep counts as changed, whatever the keys say.
        let lossy = |row: usize| fingerprints.is_some_and(|found| found.value(row) == DIRTY);
        let taken = entries.iter().enumerate().map(|(row, entry)| if lossy(row) { DIRTY } else { entry.fingerprint });
        with_column(&gathered, 1, Arc::new(UInt64Array::from_iter_values(taken)))
            .map_err(|error| self.files[0].damaged(&error))
    }

    /// The key texts of these entries, in their order.
    pub(crate) fn fetch_keys(&self, entries: &[Entry]) -> Result<Vec<String>, CheckpointError> {
        let batch = self.fetch(entries, &[])?;
        let Some(own) = OwnColumns::of(&batch) else { return Ok(Vec::new()) };
        Ok((0..batch.num_rows()).map(|row| own.keys.value(row).to_owned()).collect())
    }

    /// Writes all live records into one new file, with these columns kept.
    pub(crate) fn write_all(&self, writer: &mut DataWriter, kept: &[Column]) -> Result<u64, CheckpointError> {
        let mut entries = self.entries()?;
        let mut some = Vec::with_capacity(ROWS);
        let mut records = 0;
        loop {
            let next = entries.next()?;
            some.extend(next);
            if some.len() == ROWS || (next.is_none() && !some.is_empty()) {
                writer.write(&self.fetch(&some, kept)?)?;
                records += some.len() as u64;
                some.clear();
            }
            if next.is_none() {
                return Ok(records);
            }
        }
    }
}

/// The batch with one column replaced.
pub(crate) fn with_column(batch: &RecordBatch, index: usize, column: ArrayRef) -> Result<RecordBatch, ArrowError> {
    let mut columns = batch.columns().to_vec();
    columns[index] = column;
    RecordBatch::try_new(batch.schema(), columns)
}

/// A batch of a data file in the columns that are kept now. A value that its column's new kind cannot hold is lost:
/// its record is marked as changed.
fn convert(batch: &RecordBatch, from: &[Column], to: &[Column]) -> Result<RecordBatch, ArrowError> {
    if from == to {
        return RecordBatch::try_new(file_schema(to), batch.columns().to_vec());
    }
    let rows = batch.num_rows();
    let mut columns: Vec<ArrayRef> = batch.columns()[..OWN].to_vec();
    let mut lost = vec![false; rows];
    for column in to {
        let old = from.iter().position(|old| old.name == column.name);
        let array = match old.map(|index| (batch.column(OWN + index), from[index].kind)) {
            None => new_null_array(&column.kind.arrow(), rows),
            Some((array, kind)) if kind == column.kind => Arc::clone(array),
            Some((array, kind)) => {
                let converted = retype(array, kind, column.kind);
                for (row, lost) in lost.iter_mut().enumerate() {
                    *lost |= array.is_valid(row) && converted.is_null(row);
                }
                converted
            }
        };
        columns.push(array);
    }
    if lost.contains(&true) {
        let stored = batch.column(1).as_primitive::<arrow_array::types::UInt64Type>();
        let marked = stored.values().iter().zip(&lost).map(|(found, lost)| if *lost { DIRTY } else { *found });
        columns[1] = Arc::new(UInt64Array::from_iter_values(marked));
    }
    RecordBatch::try_new(file_schema(to), columns)
}

fn retype(array: &ArrayRef, from: Kind, to: Kind) -> ArrayRef {
    match (from, to) {
        (Kind::Int, Kind::Decimal) => {
            let ints = array.as_primitive::<Int64Type>();
            Arc::new(ints.iter().map(|int| int.map(|int| int.to_string())).collect::<StringArray>())
        }
        (Kind::Decimal, Kind::Int) => {
            let digits = array.as_string::<i32>();
            Arc::new(digits.iter().map(|digits| digits.and_then(|text| text.parse().ok())).collect::<Int64Array>())
        }
        _ => new_null_array(&to.arrow(), array.len()),
    }
}
