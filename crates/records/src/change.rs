//! A record with what happened to it, as a mapping sees it.

use arrow_array::RecordBatch;
use serde::{Deserialize, Serialize};

use crate::{Cell, Schema, cell};

/// What happened to a record since the checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    Added,
    Updated,
    Deleted,
}

impl Operation {
    /// The word in our own pages and files.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Added => "added",
            Operation::Updated => "updated",
            Operation::Deleted => "deleted",
        }
    }

    /// The word in a mapping's `$.event`, as Segment has it.
    pub fn event(self) -> &'static str {
        match self {
            Operation::Added => "new",
            Operation::Updated => "updated",
            Operation::Deleted => "deleted",
        }
    }
}

/// One row of a batch whose columns are those of `schema`, in its order.
#[derive(Debug, Clone, Copy)]
pub struct RecordView<'a> {
    pub schema: &'a Schema,
    pub batch: &'a RecordBatch,
    pub row: usize,
}

impl<'a> RecordView<'a> {
    /// The cell of the column at `index`. Panics if there is none: `index` comes from the schema.
    pub fn cell(&self, index: usize) -> Cell<'a> {
        cell(self.batch.column(index).as_ref(), self.schema.columns()[index].kind, self.row)
    }
}

/// One change of one record, borrowed from a change set.
#[derive(Debug, Clone, Copy)]
pub struct ChangeView<'a> {
    pub operation: Operation,
    /// The key as text: the value itself for one column, a JSON array for several.
    pub key: &'a str,
    /// The record as it is now. A deleted record has none.
    pub new: Option<RecordView<'a>>,
    /// The record as last delivered. An added record has none, nor one whose mapping keeps only keys.
    pub previous: Option<RecordView<'a>>,
    /// The same for the same change, in every run.
    pub message_id: &'a str,
    /// When the extract that found the change began, RFC 3339.
    pub timestamp: &'a str,
}

impl<'a> ChangeView<'a> {
    /// The record a mapping's `$.properties` stands for: as it is now, or for a deleted one, as last delivered.
    pub fn record(&self) -> Option<RecordView<'a>> {
        self.new.or(self.previous)
    }
}

/// How many records of a sync fared how. `extracted` is what the model returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    pub extracted: u64,
    pub unchanged: u64,
    pub added: u64,
    pub updated: u64,
    pub deleted: u64,
    /// Records not compared because their key stands twice in the result.
    pub duplicate_key: u64,
    /// Records not compared because a part of their key is null.
    pub null_key: u64,
    /// Changes that the mapping's record choice or condition leaves out.
    pub skipped: u64,
    pub delivered: u64,
    pub rejected: u64,
    pub retry: u64,
    pub in_doubt: u64,
}

impl Counts {
    /// Records that differ from the checkpoint.
    pub fn changed(&self) -> u64 {
        self.added + self.updated + self.deleted
    }

    /// Records whose key could not be used.
    pub fn unusable_key(&self) -> u64 {
        self.duplicate_key + self.null_key
    }
}
