//! Tests of the whole crate; what they share stands here.

mod damage;
mod faults;
mod hashing;
mod model;
mod pieces;
mod stories;

use std::{path::Path, sync::Arc};

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    Time64MicrosecondArray, TimestampMicrosecondArray,
};
use records::{Column, Kind, Schema, SyncId};

use crate::{
    ChangeSet, Checkpoint, CompareError, Compared, Comparison, Hasher, Keep, Limits, Meta, NoSteps, Steps, Tracking,
};

/// A small generator of numbers: the same seed, the same test.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(crate::hash::mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15)) | 1)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        crate::hash::mix(self.0) % end
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(super) fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// The array of a kind in which cell `n` stands for null or a number; equal numbers are equal values, though they may
/// be written differently.
pub(super) fn array(kind: Kind, cells: &[Option<u8>]) -> ArrayRef {
    let ints = || cells.iter().map(|cell| cell.map(i64::from));
    match kind {
        Kind::Bool => Arc::new(cells.iter().map(|cell| cell.map(|value| value % 2 == 1)).collect::<BooleanArray>()),
        Kind::Int => Arc::new(ints().collect::<Int64Array>()),
        Kind::Float => {
            Arc::new(cells.iter().map(|cell| cell.map(|value| f64::from(value) / 2.0)).collect::<Float64Array>())
        }
        Kind::Decimal => {
            let digits =
                |(row, cell): (usize, &Option<u8>)| cell.map(|value| format!("{value}.5{}", "0".repeat(row % 3)));
            Arc::new(cells.iter().enumerate().map(digits).collect::<StringArray>())
        }
        Kind::Text => {
            Arc::new(cells.iter().map(|cell| cell.map(|value| format!("text {value}"))).collect::<StringArray>())
        }
        Kind::Json => {
            Arc::new(cells.iter().map(|cell| cell.map(|value| format!("[{value}]"))).collect::<StringArray>())
        }
        Kind::Date => Arc::new(cells.iter().map(|cell| cell.map(i32::from)).collect::<Date32Array>()),
        Kind::Time => Arc::new(ints().collect::<Time64MicrosecondArray>()),
        Kind::Timestamp => Arc::new(ints().collect::<TimestampMicrosecondArray>()),
        Kind::TimestampTz => Arc::new(ints().collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
        Kind::Binary => Arc::new(cells.iter().map(|cell| cell.map(|value| vec![value; 3])).collect::<BinaryArray>()),
    }
}

pub(super) fn schema(columns: &[(&str, Kind)]) -> Schema {
    Schema::new(columns.iter().map(|(name, kind)| Column::new(*name, *kind)).collect()).unwrap()
}

pub(super) fn batch(schema: &Schema, rows: &[Vec<Option<u8>>]) -> RecordBatch {
    let column =
        |(index, column): (usize, &Column)| array(column.kind, &rows.iter().map(|row| row[index]).collect::<Vec<_>>());
    let columns = schema.columns().iter().enumerate().map(column).collect();
    RecordBatch::try_new(schema.to_arrow(), columns).unwrap()
}

pub(super) fn tracking(key: &[&str], used: &[&str]) -> Tracking {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Tracking { key: names(key), used: names(used), keep: Keep::Values }
}

pub(super) fn sync_id(number: u64) -> SyncId {
    format!("sync_{number:032x}").parse().unwrap()
}

pub(super) fn meta(number: u64) -> Meta {
    Meta { mapping: "shop".to_owned(), sync: sync_id(number), timestamp: "2026-01-01T00:00:00.000Z".to_owned() }
}

pub(super) const ROOMY: Limits = Limits { memory_bytes: 64 << 20, disk_bytes: 1 << 30 };

/// One comparison of these batches, with its change set in `dir`.
#[derive(Clone)]
pub(super) struct Run<'a> {
    pub(super) dir: &'a Path,
    pub(super) number: u64,
    pub(super) limits: Limits,
    pub(super) chunk_rows: usize,
    pub(super) steps: Arc<dyn Steps>,
}

impl<'a> Run<'a> {
    pub(super) fn new(dir: &'a Path, number: u64) -> Self {
        Self { dir, number, limits: ROOMY, chunk_rows: 4096, steps: Arc::new(NoSteps) }
    }

    pub(super) fn compare(
        &self,
        checkpoint: &Checkpoint,
        tracking: &Tracking,
        schema: &Schema,
        batches: &[RecordBatch],
    ) -> Result<Compared, CompareError> {
        let hasher = Hasher::new(schema, &tracking.key, &tracking.used).map_err(CompareError::Hash)?;
        let scratch = self.dir.join("scratch");
        let mut comparison =
            Comparison::begin(checkpoint, tracking, schema, &scratch, self.limits, Arc::clone(&self.steps))?;
        comparison.chunk_rows = self.chunk_rows;
        for batch in batches {
            comparison.push(batch, &hasher.hash(batch).map_err(CompareError::Hash)?)?;
        }
        let compared =
            comparison.finish(&self.dir.join(format!("changes-{}.arrow", self.number)), &meta(self.number))?;
        assert!(!scratch.exists(), "the scratch folder is removed");
        Ok(compared)
    }
}

/// All changes, as `added 1`, in the order of their keys' texts.
pub(super) fn list(set: &ChangeSet) -> Vec<String> {
    let mut found = Vec::new();
    for chunk in set.chunks(0).unwrap() {
        let chunk = chunk.unwrap();
        found.extend((0..chunk.len()).map(|row| format!("{} {}", chunk.operation(row).name(), chunk.key(row))));
    }
    found.sort();
    found
}

pub(super) fn open(dir: &Path) -> Checkpoint {
    Checkpoint::open(&dir.join("checkpoint"), Arc::new(NoSteps)).unwrap()
}
