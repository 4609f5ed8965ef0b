//! The rows whose key could not be used, listed for a person.

use std::{
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use records::{Object, RecordView, Value};

use crate::{
    Steps, Unusable,
    steps::{StepFile, UNUSABLE_WRITE, settle},
};

/// How many rows are listed at most; all are counted.
const LISTED_MAX: u64 = 1000;

/// Collects the list in memory: it is short.
#[derive(Debug, Default)]
pub(crate) struct UnusableList {
    rows: u64,
    listed: u64,
    lines: String,
}

impl UnusableList {
    /// Counts rows without listing them.
    pub(crate) fn count(&mut self, rows: u64) {
        self.rows += rows;
    }

    /// Counts a row, and lists it unless the list is long.
    pub(crate) fn add(&mut self, reason: &str, key: &str, record: RecordView<'_>) {
        self.rows += 1;
        if self.listed >= LISTED_MAX {
            return;
        }
        self.listed += 1;
        let columns = record.schema.columns().iter().enumerate();
        let row: Object = columns
            .map(|(index, column)| {
                let cell = record.cell(index);
                (column.name.clone(), cell.to_value().unwrap_or_else(|_| Value::Text(cell.to_text())))
            })
            .collect();
        let mut line = Object::new();
        line.insert("reason", Value::from(reason));
        line.insert("key", if key.is_empty() { Value::Null } else { Value::from(key) });
        line.insert("row", Value::from(row));
        self.lines.push_str(&Value::from(line).to_json());
        self.lines.push('\n');
    }

    pub(crate) fn is_full(&self) -> bool {
        self.listed >= LISTED_MAX
    }

    /// Writes the list beside the change set, if there is anything on it.
    pub(crate) fn finish(self, path: &Path, steps: &Arc<dyn Steps>) -> io::Result<Unusable> {
        let mut unusable = Unusable { rows: self.rows, listed: self.listed, path: None::<PathBuf> };
        if self.listed > 0 {
            let temporary = path.with_extension("jsonl.tmp");
            let mut out = BufWriter::new(StepFile::create(&temporary, Arc::clone(steps), UNUSABLE_WRITE)?);
            out.write_all(self.lines.as_bytes())?;
            out.flush()?;
            settle(steps.as_ref(), &out.get_ref().file, &temporary, path, [UNUSABLE_WRITE, UNUSABLE_WRITE])?;
            unusable.path = Some(path.to_owned());
        }
        Ok(unusable)
    }
}
