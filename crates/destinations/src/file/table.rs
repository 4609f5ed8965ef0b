//! Rows and columns made from JSON lines: CSV and Parquet.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Float64Builder, Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use records::Value;

use super::options::Options;

/// The columns that occur, in the order in which they first do, each with the type that holds all its values.
#[derive(Debug, Default)]
pub(super) struct Columns {
    list: Vec<(String, Option<ColumnType>)>,
    places: HashMap<String, usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnType {
    Boolean,
    Int,
    Float,
    Text,
}

impl ColumnType {
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Null => None,
            Value::Bool(_) => Some(Self::Boolean),
            Value::Int(_) => Some(Self::Int),
            Value::Float(_) => Some(Self::Float),
            // A double cannot hold every decimal, and nothing is to be lost.
            Value::Decimal(_) | Value::Text(_) | Value::Array(_) | Value::Object(_) => Some(Self::Text),
        }
    }

    fn union(self, other: Self) -> Self {
        match (self, other) {
            (one, another) if one == another => one,
            (Self::Int, Self::Float) | (Self::Float, Self::Int) => Self::Float,
            _ => Self::Text,
        }
    }
}

impl Columns {
    pub(super) fn of(rows: &[Value]) -> Self {
        let mut columns = Self::default();
        for row in rows {
            for (name, value) in row.as_object().into_iter().flat_map(|object| object.iter()) {
                columns.add(name, ColumnType::of(value));
            }
        }
        columns
    }

    fn add(&mut self, name: &str, kind: Option<ColumnType>) {
        let place = match self.places.get(name) {
            Some(place) => *place,
            None => {
                self.places.insert(name.to_owned(), self.list.len());
                self.list.push((name.to_owned(), None));
                self.list.len() - 1
            }
        };
        let slot = &mut self.list[place].1;
        *slot = match (*slot, kind) {
            (Some(one), Some(another)) => Some(one.union(another)),
            (one, another) => one.or(another),
        };
    }

    pub(super) fn merge(&mut self, other: Columns) {
        for (name, kind) in other.list {
            self.add(&name, kind);
        }
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.list.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Those columns with their types. One that never occurs, or is always null, is text.
    pub(super) fn typed(&self, names: &[String]) -> Vec<(String, ColumnType)> {
        let kind = |name: &String| self.places.get(name).and_then(|place| self.list[*place].1);
        names.iter().map(|name| (name.clone(), kind(name).unwrap_or(ColumnType::Text))).collect()
    }
}

/// A row whose values are all single: what a table cannot hold exactly (decimals, lists, objects) becomes text.
pub(super) fn flat(record: &records::Object) -> Value {
    let single = |value: &Value| match value {
        Value::Decimal(_) | Value::Array(_) | Value::Object(_) => Value::Text(value.to_json()),
        other => other.clone(),
    };
    Value::Object(record.iter().map(|(name, value)| (name.to_owned(), single(value))).collect())
}

/// Writes rows as RFC 4180 has it: CRLF after each, quotes around what needs them. An empty field is null; empty text
/// is `""`. Nested values are JSON text.
pub(super) fn write_csv(
    out: &mut impl Write,
    columns: &[String],
    options: &Options,
    rows: impl Iterator<Item = io::Result<Value>>,
) -> io::Result<()> {
    let mut line = String::new();
    if options.header {
        for (index, name) in columns.iter().enumerate() {
            if index > 0 {
                line.push(options.delimiter);
            }
            write_field(name, options.delimiter, &mut line);
        }
        line.push_str("\r\n");
        out.write_all(line.as_bytes())?;
    }
    for row in rows {
        let row = row?;
        line.clear();
        for (index, name) in columns.iter().enumerate() {
            if index > 0 {
                line.push(options.delimiter);
            }
            match row.get(name) {
                // A line that is empty altogether would not be read as a row.
                None | Some(Value::Null) if columns.len() > 1 => {}
                None | Some(Value::Null) => line.push_str("\"\""),
                Some(Value::Text(text)) => write_field(text, options.delimiter, &mut line),
                Some(other) => write_field(&other.to_json(), options.delimiter, &mut line),
            }
        }
        line.push_str("\r\n");
        out.write_all(line.as_bytes())?;
    }
    Ok(())
}

fn write_field(text: &str, delimiter: char, line: &mut String) {
    let plain = !text.is_empty()
        && !text.contains([delimiter, '"', '\n', '\r'])
        && !text.starts_with(' ')
        && !text.ends_with(' ');
    if plain {
        return line.push_str(text);
    }
    line.push('"');
    for (index, part) in text.split('"').enumerate() {
        if index > 0 {
            line.push_str("\"\"");
        }
        line.push_str(part);
    }
    line.push('"');
}

const ROWS_AT_ONCE: usize = 8192;

/// Writes rows as Parquet (zstd).
pub(super) fn write_parquet(
    out: &mut (impl Write + Send),
    columns: &[(String, ColumnType)],
    rows: impl Iterator<Item = io::Result<Value>>,
) -> io::Result<()> {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, kind)| {
            let kind = match kind {
                ColumnType::Boolean => DataType::Boolean,
                ColumnType::Int => DataType::Int64,
                ColumnType::Float => DataType::Float64,
                ColumnType::Text => DataType::Utf8,
            };
            Field::new(name, kind, true)
        })
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(100_000))
        .build();
    let mut writer = ArrowWriter::try_new(out, Arc::clone(&schema), Some(properties)).map_err(io_error)?;
    let mut waiting = Vec::with_capacity(ROWS_AT_ONCE);
    for row in rows {
        waiting.push(row?);
        if waiting.len() == ROWS_AT_ONCE {
            writer.write(&batch(&schema, columns, &waiting)?).map_err(io_error)?;
            waiting.clear();
        }
    }
    if !waiting.is_empty() {
        writer.write(&batch(&schema, columns, &waiting)?).map_err(io_error)?;
    }
    writer.close().map_err(io_error)?;
    Ok(())
}

fn batch(schema: &Arc<Schema>, columns: &[(String, ColumnType)], rows: &[Value]) -> io::Result<RecordBatch> {
    let arrays = columns.iter().map(|(name, kind)| array(name, *kind, rows)).collect();
    RecordBatch::try_new(Arc::clone(schema), arrays).map_err(io::Error::other)
}

fn array(name: &str, kind: ColumnType, rows: &[Value]) -> ArrayRef {
    let values = rows.iter().map(|row| row.get(name).filter(|value| !value.is_null()));
    match kind {
        ColumnType::Boolean => {
            let mut builder = BooleanBuilder::with_capacity(rows.len());
            values.for_each(|value| {
                builder.append_option(match value {
                    Some(Value::Bool(value)) => Some(*value),
                    _ => None,
                })
            });
            Arc::new(builder.finish())
        }
        ColumnType::Int => {
            let mut builder = Int64Builder::with_capacity(rows.len());
            values.for_each(|value| {
                builder.append_option(match value {
                    Some(Value::Int(value)) => Some(*value),
                    _ => None,
                })
            });
            Arc::new(builder.finish())
        }
        ColumnType::Float => {
            let mut builder = Float64Builder::with_capacity(rows.len());
            values.for_each(|value| {
                builder.append_option(match value {
                    Some(Value::Int(value)) => Some(*value as f64),
                    Some(Value::Float(value)) => Some(*value),
                    _ => None,
                })
            });
            Arc::new(builder.finish())
        }
        ColumnType::Text => {
            let mut builder = StringBuilder::new();
            for value in values {
                match value {
                    Some(Value::Text(text)) => builder.append_value(text),
                    Some(other) => builder.append_value(other.to_json()),
                    None => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }
    }
}

/// The disk's own error if that is what it was, so that a full one is told as such.
fn io_error(error: parquet::errors::ParquetError) -> io::Error {
    match error {
        parquet::errors::ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}
