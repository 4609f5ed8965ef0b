//! Rows of a model as a table.

use arrow_array::RecordBatch;
use comfy_table::{ContentArrangement, Table, presets};
use records::{Schema, cell};
use serde_json::{Map, Value};

use super::{Paint, counted, cut};

/// The widest a cell is shown.
const CELL_WIDTH: usize = 48;

/// The first rows of a result.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    batches: &'a [RecordBatch],
    rows_max: usize,
}

impl<'a> Rows<'a> {
    pub(crate) fn of(_: &Schema, batches: &'a [RecordBatch], rows_max: u64) -> Self {
        Self { batches, rows_max: usize::try_from(rows_max).unwrap_or(usize::MAX) }
    }

    fn each(&self) -> impl Iterator<Item = (&'a RecordBatch, usize)> {
        self.batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row))).take(self.rows_max)
    }

    /// One object a row. A value that JSON lacks (NaN) is its text.
    pub(crate) fn to_json(&self, schema: &Schema) -> Vec<Value> {
        let row = |(batch, row): (&RecordBatch, usize)| {
            let mut object = Map::new();
            for (index, column) in schema.columns().iter().enumerate() {
                let cell = cell(batch.column(index).as_ref(), column.kind, row);
                let value = cell.to_value().map_or_else(|_| Value::from(cell.to_text()), |value| (&value).into());
                object.insert(column.name.clone(), value);
            }
            Value::Object(object)
        };
        self.each().map(row).collect()
    }
}

/// A table with the kinds of the columns below their names; the key's columns are marked.
pub(crate) fn rows(model: &str, schema: &Schema, key: &[String], rows: &Rows<'_>, paint: Paint) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(schema.columns().iter().map(|column| {
        let mark = if key.contains(&column.name) { " (key)" } else { "" };
        format!("{}{mark}\n{}", column.name, column.kind.name())
    }));
    let mut count = 0_u64;
    for (batch, row) in rows.each() {
        count += 1;
        table.add_row(schema.columns().iter().enumerate().map(|(index, column)| {
            let cell = cell(batch.column(index).as_ref(), column.kind, row);
            if cell.is_null() { "∅".to_owned() } else { cut(&cell.to_text(), CELL_WIDTH) }
        }));
    }
    let shown = if count == 0 { "no rows".to_owned() } else { format!("the first {}", counted(count, "row")) };
    format!("{} {}\n{table}\n", paint.bold(model), paint.dim(&format!("· {shown}")))
}
