//! A record's key: its primary key value, hashed for comparing and as text for people.

use std::fmt;

use arrow_array::RecordBatch;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::{Cell, Kind, Schema, Value, canonical_bytes, cell};

/// The 128-bit hash of a key. Wide enough that two keys of one model never share it in practice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHash(pub u128);

impl KeyHash {
    /// Big-endian, so that the order of the bytes is the order of the hashes.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A model's primary key that its result does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the key column `{column}` is not in the model's result; it has {}", .present.join(", "))]
    Missing { column: String, present: Vec<String> },
    #[error("a model needs at least one key column")]
    Empty,
}

/// Where a model's primary key stands in its result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyColumns {
    columns: Vec<(usize, Kind)>,
}

impl KeyColumns {
    /// Finds the key's columns, in the key's own order.
    ///
    /// # Errors
    /// A column that the schema lacks, or no column at all.
    pub fn find(schema: &Schema, names: &[String]) -> Result<Self, KeyError> {
        if names.is_empty() {
            return Err(KeyError::Empty);
        }
        let find = |name: &String| match schema.index_of(name) {
            Some(index) => Ok((index, schema.columns()[index].kind)),
            None => Err(KeyError::Missing {
                column: name.clone(),
                present: schema.columns().iter().map(|column| format!("`{}`", column.name)).collect(),
            }),
        };
        Ok(Self { columns: names.iter().map(find).collect::<Result<_, _>>()? })
    }

    /// Column index and kind of each part of the key.
    pub fn columns(&self) -> &[(usize, Kind)] {
        &self.columns
    }

    fn cells<'a>(&'a self, batch: &'a RecordBatch, row: usize) -> impl Iterator<Item = Cell<'a>> {
        self.columns.iter().map(move |&(index, kind)| cell(batch.column(index).as_ref(), kind, row))
    }

    /// The hash of a row's key, or nothing if a part of it is null. `scratch` is reused between rows.
    pub fn hash(&self, batch: &RecordBatch, row: usize, scratch: &mut Vec<u8>) -> Option<KeyHash> {
        scratch.clear();
        for cell in self.cells(batch, row) {
            if cell.is_null() {
                return None;
            }
            let start = scratch.len();
            scratch.extend([0; 4]);
            canonical_bytes(cell, scratch);
            let length = u32::try_from(scratch.len() - start - 4).unwrap_or(u32::MAX);
            scratch[start..start + 4].copy_from_slice(&length.to_le_bytes());
        }
        Some(KeyHash(xxh3_128(scratch)))
    }

    /// The key as text: the value itself for one column, a JSON array for several.
    pub fn text(&self, batch: &RecordBatch, row: usize) -> String {
        if let [(index, kind)] = self.columns[..] {
            return cell(batch.column(index).as_ref(), kind, row).to_text();
        }
        let part = |cell: Cell<'_>| cell.to_value().unwrap_or_else(|_| Value::Text(cell.to_text()));
        Value::Array(self.cells(batch, row).map(part).collect()).to_json()
    }
}
