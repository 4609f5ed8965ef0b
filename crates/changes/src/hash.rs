//! Hashes of keys and columns, a batch at a time, shared by all mappings of one model.

use std::{ops::Deref, sync::Arc};

use arrow_array::{
    Array, BinaryArray, BooleanArray, Date32Array, Float64Array, Int64Array, PrimitiveArray, RecordBatch, StringArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, types::ArrowPrimitiveType,
};
use records::{Cell, Column, KeyColumns, KeyError, KeyHash, Kind, Schema, canonical_bytes, column_seed};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

/// Why rows cannot be hashed.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    #[error("the model's primary key cannot be used")]
    Key(#[source] KeyError),
    #[error("the column `{column}` is not in the model's result any more; it has {}", quoted(.present))]
    ColumnMissing { column: String, present: Vec<String> },
    #[error("a batch came with {found} columns instead of the {expected} that were described")]
    ColumnCount { expected: usize, found: usize },
    #[error("the column `{column}` came as {found} instead of {}", .kind.name())]
    ColumnType { column: String, kind: Kind, found: String },
}

pub(crate) fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Hashes the batches of one extract for all mappings that share it. Clone it to hash on several threads.
#[derive(Debug, Clone)]
pub struct Hasher {
    schema: Schema,
    key: KeyColumns,
    columns: Vec<Used>,
    names: Arc<[String]>,
}

#[derive(Debug, Clone)]
struct Used {
    index: usize,
    kind: Kind,
    seed: u64,
}

/// The hashes of one batch.
#[derive(Debug, Clone)]
pub struct Hashed {
    /// Per row the hash of its key, or nothing if a part of the key is null.
    pub keys: Vec<Option<KeyHash>>,
    /// The names of the hashed columns.
    pub names: Arc<[String]>,
    /// Per hashed column, per row, the hash of the cell.
    pub columns: Vec<Vec<u64>>,
}

impl Hasher {
    /// A hasher for batches of `schema`, with the model's key and the columns that any of the mappings uses.
    ///
    /// # Errors
    /// A column of the key or a used one is not in the schema.
    pub fn new(schema: &Schema, key: &[String], used: &[String]) -> Result<Self, HashError> {
        let mut names: Vec<String> = used.to_vec();
        names.sort();
        names.dedup();
        let find = |name: &String| match schema.index_of(name) {
            Some(index) => Ok(Used { index, kind: schema.columns()[index].kind, seed: column_seed(name) }),
            None => Err(HashError::ColumnMissing {
                column: name.clone(),
                present: schema.columns().iter().map(|column| column.name.clone()).collect(),
            }),
        };
        Ok(Self {
            schema: schema.clone(),
            key: KeyColumns::find(schema, key).map_err(HashError::Key)?,
            columns: names.iter().map(find).collect::<Result<_, _>>()?,
            names: names.into(),
        })
    }

    /// The schema that batches must have.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Hashes a batch.
    ///
    /// # Errors
    /// The batch is not of the schema.
    pub fn hash(&self, batch: &RecordBatch) -> Result<Hashed, HashError> {
        check_batch(batch, self.schema.columns())?;
        let mut scratch = Vec::with_capacity(256);
        let keys = key_hashes(&self.key, batch, &mut scratch);
        let hash = |used: &Used| {
            let mut hashes = Vec::with_capacity(batch.num_rows());
            column_hashes(batch.column(used.index).as_ref(), used.kind, used.seed, &mut scratch, &mut hashes);
            hashes
        };
        let columns = self.columns.iter().map(hash).collect();
        Ok(Hashed { keys, names: Arc::clone(&self.names), columns })
    }
}

/// Checks that a batch has these columns, by place and type.
pub(crate) fn check_batch(batch: &RecordBatch, columns: &[Column]) -> Result<(), HashError> {
    if batch.num_columns() != columns.len() {
        return Err(HashError::ColumnCount { expected: columns.len(), found: batch.num_columns() });
    }
    for (array, column) in batch.columns().iter().zip(columns) {
        if *array.data_type() != column.kind.arrow() {
            let found = array.data_type().to_string();
            return Err(HashError::ColumnType { column: column.name.clone(), kind: column.kind, found });
        }
    }
    Ok(())
}

fn typed<A: Array + 'static>(array: &dyn Array, kind: Kind) -> &A {
    let Some(typed) = array.as_any().downcast_ref() else {
        unreachable!("a {} column is checked to be {} before it is hashed", kind.name(), kind.arrow());
    };
    typed
}

fn key_hashes(key: &KeyColumns, batch: &RecordBatch, scratch: &mut Vec<u8>) -> Vec<Option<KeyHash>> {
    // One integer is the commonest key: its 13 bytes (length, tag, value) need no scratch.
    if let [(index, Kind::Int)] = *key.columns() {
        let array: &Int64Array = typed(batch.column(index).as_ref(), Kind::Int);
        let hash = |value: i64| {
            let mut bytes = [9, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0];
            bytes[5..].copy_from_slice(&value.to_le_bytes());
            KeyHash(xxh3_128(&bytes))
        };
        return match array.null_count() {
            0 => array.values().iter().map(|value| Some(hash(*value))).collect(),
            _ => array.iter().map(|value| value.map(hash)).collect(),
        };
    }
    (0..batch.num_rows()).map(|row| key.hash(batch, row, scratch)).collect()
}

/// Appends the hash of each cell: of its canonical bytes, with the column's seed.
pub(crate) fn column_hashes(array: &dyn Array, kind: Kind, seed: u64, scratch: &mut Vec<u8>, out: &mut Vec<u64>) {
    match kind {
        Kind::Bool => {
            let array: &BooleanArray = typed(array, kind);
            let [null, no, yes] =
                [xxh3_64_with_seed(&[0], seed), xxh3_64_with_seed(&[1, 0], seed), xxh3_64_with_seed(&[1, 1], seed)];
            out.extend(array.iter().map(|value| match value {
                None => null,
                Some(false) => no,
                Some(true) => yes,
            }));
        }
        Kind::Int => fixed(typed::<Int64Array>(array, kind), seed, out, |value| nine(2, value)),
        Kind::Float => fixed(typed::<Float64Array>(array, kind), seed, out, |value| {
            let bits = match value {
                nan if nan.is_nan() => f64::NAN.to_bits(),
                0.0 => 0,
                value => value.to_bits(),
            };
            nine(3, bits.cast_signed())
        }),
        Kind::Date => fixed(typed::<Date32Array>(array, kind), seed, out, |value| {
            let [a, b, c, d] = value.to_le_bytes();
            [7, a, b, c, d]
        }),
        Kind::Time => fixed(typed::<Time64MicrosecondArray>(array, kind), seed, out, |value| nine(8, value)),
        Kind::Timestamp => fixed(typed::<TimestampMicrosecondArray>(array, kind), seed, out, |value| nine(9, value)),
        Kind::TimestampTz => {
            fixed(typed::<TimestampMicrosecondArray>(array, kind), seed, out, |value| nine(10, value));
        }
        Kind::Decimal => {
            each(typed::<StringArray>(array, kind).iter(), seed, out, |digits| decimal_hash(digits, seed, scratch))
        }
        Kind::Text => each(typed::<StringArray>(array, kind).iter(), seed, out, |text| {
            tagged_hash(5, text.as_bytes(), seed, scratch)
        }),
        Kind::Json => each(typed::<StringArray>(array, kind).iter(), seed, out, |text| {
            tagged_hash(6, text.as_bytes(), seed, scratch)
        }),
        Kind::Binary => {
            each(typed::<BinaryArray>(array, kind).iter(), seed, out, |bytes| tagged_hash(11, bytes, seed, scratch));
        }
    }
}

fn nine(tag: u8, value: i64) -> [u8; 9] {
    let mut bytes = [tag; 9];
    bytes[1..].copy_from_slice(&value.to_le_bytes());
    bytes
}

fn fixed<T: ArrowPrimitiveType, const N: usize>(
    array: &PrimitiveArray<T>,
    seed: u64,
    out: &mut Vec<u64>,
    bytes: impl Fn(T::Native) -> [u8; N],
) {
    let hash = |value| xxh3_64_with_seed(&bytes(value), seed);
    match array.null_count() {
        0 => out.extend(array.values().iter().map(|value| hash(*value))),
        _ => each(array.iter(), seed, out, hash),
    }
}

fn each<T>(cells: impl Iterator<Item = Option<T>>, seed: u64, out: &mut Vec<u64>, mut hash: impl FnMut(T) -> u64) {
    let null = xxh3_64_with_seed(&[0], seed);
    out.extend(cells.map(|cell| cell.map_or(null, &mut hash)));
}

fn tagged_hash(tag: u8, bytes: &[u8], seed: u64, scratch: &mut Vec<u8>) -> u64 {
    // Most text is short: a copy on the stack is cheaper than one through the heap.
    let mut short = [tag; 64];
    if let Some(place) = short.get_mut(1..=bytes.len()) {
        place.copy_from_slice(bytes);
        return xxh3_64_with_seed(&short[..=bytes.len()], seed);
    }
    scratch.clear();
    scratch.push(tag);
    scratch.extend_from_slice(bytes);
    xxh3_64_with_seed(scratch, seed)
}

/// Plain digits with a point and no sign of anything odd are the rule; the rest goes the general way.
fn decimal_hash(digits: &str, seed: u64, scratch: &mut Vec<u8>) -> u64 {
    let bytes = digits.as_bytes();
    let plain = bytes.len() <= 18 && bytes.first().is_some_and(|first| first.is_ascii_digit() || *first == b'-');
    if plain && let Some(point) = bytes.iter().position(|byte| *byte == b'.') {
        let mut end = bytes.len();
        while bytes[end - 1] == b'0' {
            end -= 1;
        }
        if end > point + 1 && bytes[end - 1] != b'.' {
            return tagged_hash(4, &bytes[..end], seed, scratch);
        }
    }
    scratch.clear();
    canonical_bytes(Cell::Decimal(digits), scratch);
    xxh3_64_with_seed(scratch, seed)
}

/// The fingerprint of a record that must be found updated, whatever its values.
pub(crate) const DIRTY: u64 = 0;
/// Marks a deleted record in a file of keys.
pub(crate) const DELETED: u64 = 1;
/// The fingerprint of a record that the destination may hold or not: it was sent as new, and no answer came.
pub(crate) const MAYBE: u64 = 2;
/// Fingerprints below this are such marks.
const MARKS: u64 = 8;
/// Set in the fingerprint of a record that the destination may hold in this or in a later form: a change of it was
/// sent, and no answer came. No row has it, so such a record is always found changed.
const DOUBT: u64 = 1;

/// The fingerprint of the same record, in doubt.
pub(crate) fn in_doubt(fingerprint: u64) -> u64 {
    if fingerprint < MARKS { fingerprint } else { fingerprint | DOUBT }
}

/// The fingerprint as it was before doubt came up, so that the same change has the same message id.
pub(crate) fn without_doubt(fingerprint: u64) -> u64 {
    if fingerprint < MARKS { fingerprint } else { fingerprint & !DOUBT }
}

/// Per row, the fingerprint over these columns' hashes. Order does not matter; it is even, and never below 8.
pub(crate) fn fingerprints<C: Deref<Target = [u64]>>(rows: usize, columns: &[C], out: &mut Vec<u64>) {
    out.clear();
    out.resize(rows, 0);
    for column in columns {
        for (sum, hash) in out.iter_mut().zip(column.iter()) {
            *sum = sum.wrapping_add(*hash);
        }
    }
    for sum in out.iter_mut() {
        *sum = (mix(*sum) & !DOUBT).max(MARKS);
    }
}

/// A bijection of 64 bits in which every bit of the result hangs on every bit given.
pub(crate) fn mix(mut value: u64) -> u64 {
    value ^= value >> 33;
    value = value.wrapping_mul(0xff51_afd7_ed55_8ccd);
    value ^= value >> 33;
    value = value.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    value ^ (value >> 33)
}
