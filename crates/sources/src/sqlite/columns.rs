//! Kinds of SQLite's columns, and the arrays of their values.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, RecordBatch,
    builder::{
        BinaryBuilder, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, StringBuilder,
        Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
    },
};
use jiff::{Timestamp, civil, tz::TimeZone};
use kit::SourceError;
use records::{Kind, Schema};
use sqlx::{
    Decode, Row, TypeInfo, ValueRef,
    sqlite::{Sqlite, SqliteRow, SqliteValueRef},
};

/// What a table says of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Declared {
    As(Kind),
    /// Nothing, or nothing that SQLite or we know: the values decide.
    No,
}

/// The kind of a declared type.
pub(super) fn declared(word: &str) -> Declared {
    let word = word.to_ascii_uppercase();
    let name = word.split('(').next().unwrap_or_default().trim();
    let kind = match name {
        "BOOL" | "BOOLEAN" => Kind::Bool,
        "DATE" => Kind::Date,
        "TIME" => Kind::Time,
        "DATETIME" | "TIMESTAMP" => Kind::Timestamp,
        "TIMESTAMPTZ" | "TIMESTAMP WITH TIME ZONE" | "DATETIMEOFFSET" => Kind::TimestampTz,
        "JSON" => Kind::Json,
        "NUMERIC" | "DECIMAL" => Kind::Decimal,
        name if name.contains("INT") => Kind::Int,
        name if name.contains("CHAR") || name.contains("CLOB") || name.contains("TEXT") => Kind::Text,
        name if name.contains("BLOB") => Kind::Binary,
        name if name.contains("REAL") || name.contains("FLOA") || name.contains("DOUB") => Kind::Float,
        _ => return Declared::No,
    };
    Declared::As(kind)
}

/// How SQLite stores one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Null,
    Integer,
    Real,
    Text,
    Blob,
}

impl Sort {
    fn name(self) -> &'static str {
        match self {
            Sort::Null => "null",
            Sort::Integer => "an integer",
            Sort::Real => "a real number",
            Sort::Text => "text",
            Sort::Blob => "a blob",
        }
    }

    fn of(value: &SqliteValueRef<'_>) -> Self {
        if value.is_null() {
            return Sort::Null;
        }
        match value.type_info().name() {
            "INTEGER" => Sort::Integer,
            "REAL" => Sort::Real,
            "BLOB" => Sort::Blob,
            _ => Sort::Text,
        }
    }
}

/// How the value of a row's column is stored.
pub(super) fn sort(row: &SqliteRow, index: usize) -> Sort {
    row.try_get_raw(index).map_or(Sort::Null, |value| Sort::of(&value))
}

/// The sorts of value seen in a column.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sorts {
    integer: bool,
    real: bool,
    text: bool,
    blob: bool,
}

impl Sorts {
    pub(super) fn add(&mut self, sort: Sort) {
        match sort {
            Sort::Null => {}
            Sort::Integer => self.integer = true,
            Sort::Real => self.real = true,
            Sort::Text => self.text = true,
            Sort::Blob => self.blob = true,
        }
    }

    /// One sort gives its kind, integers with reals give floats, whatever else is text.
    pub(super) fn kind(self) -> Kind {
        match self {
            Self { text: false, blob: false, integer: true, real: false } => Kind::Int,
            Self { text: false, blob: false, real: true, .. } => Kind::Float,
            Self { text: false, blob: true, integer: false, real: false } => Kind::Binary,
            _ => Kind::Text,
        }
    }
}

/// The columns of a batch being built.
pub(super) struct Columns {
    schema: Schema,
    builders: Vec<Builder>,
    rows: usize,
}

enum Builder {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    /// Decimal, text and JSON.
    Text(StringBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Binary(BinaryBuilder),
}

impl Builder {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Bool => Self::Bool(BooleanBuilder::new()),
            Kind::Int => Self::Int(Int64Builder::new()),
            Kind::Float => Self::Float(Float64Builder::new()),
            Kind::Decimal | Kind::Text | Kind::Json => Self::Text(StringBuilder::new()),
            Kind::Date => Self::Date(Date32Builder::new()),
            Kind::Time => Self::Time(Time64MicrosecondBuilder::new()),
            Kind::Timestamp => Self::Timestamp(TimestampMicrosecondBuilder::new()),
            Kind::TimestampTz => Self::Timestamp(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            Kind::Binary => Self::Binary(BinaryBuilder::new()),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Bool(builder) => Arc::new(builder.finish()),
            Self::Int(builder) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Time(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder) => Arc::new(builder.finish()),
            Self::Binary(builder) => Arc::new(builder.finish()),
        }
    }

    /// Appends a value; false if it does not fit the kind.
    fn push(&mut self, kind: Kind, value: Value<'_>) -> bool {
        match (self, value) {
            (Self::Bool(builder), Value::Null) => builder.append_null(),
            (Self::Int(builder), Value::Null) => builder.append_null(),
            (Self::Float(builder), Value::Null) => builder.append_null(),
            (Self::Text(builder), Value::Null) => builder.append_null(),
            (Self::Date(builder), Value::Null) => builder.append_null(),
            (Self::Time(builder), Value::Null) => builder.append_null(),
            (Self::Timestamp(builder), Value::Null) => builder.append_null(),
            (Self::Binary(builder), Value::Null) => builder.append_null(),
            (Self::Bool(builder), Value::Integer(value @ (0 | 1))) => builder.append_value(value == 1),
            (Self::Int(builder), Value::Integer(value)) => builder.append_value(value),
            #[expect(clippy::cast_precision_loss, reason = "a column of floats holds floats")]
            (Self::Float(builder), Value::Integer(value)) => builder.append_value(value as f64),
            (Self::Float(builder), Value::Real(value)) => builder.append_value(value),
            // `Display` of a double never writes an exponent, which a decimal has not.
            (Self::Text(builder), Value::Integer(value)) if kind != Kind::Json => {
                builder.append_value(value.to_string());
            }
            (Self::Text(builder), Value::Real(value)) if kind == Kind::Decimal => {
                builder.append_value(value.to_string());
            }
            (Self::Text(builder), Value::Real(value)) if kind == Kind::Text => {
                builder.append_value(records::number_text(value));
            }
            (Self::Text(builder), Value::Text(text)) => match kind {
                Kind::Text => builder.append_value(text),
                Kind::Json => match records::Value::parse(text) {
                    Ok(_) => builder.append_value(minified(text)),
                    Err(_) => return false,
                },
                _ => return false,
            },
            (Self::Date(builder), Value::Text(text)) => match days(text) {
                Some(days) => builder.append_value(days),
                None => return false,
            },
            (Self::Time(builder), Value::Text(text)) => match time_micros(text) {
                Some(micros) => builder.append_value(micros),
                None => return false,
            },
            (Self::Timestamp(builder), Value::Text(text)) => match micros(text) {
                Some(micros) => builder.append_value(micros),
                None => return false,
            },
            (Self::Binary(builder), Value::Blob(bytes)) => builder.append_value(bytes),
            (Self::Binary(builder), Value::Text(text)) => builder.append_value(text.as_bytes()),
            _ => return false,
        }
        true
    }
}

enum Value<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'a str),
    Blob(&'a [u8]),
}

impl Columns {
    pub(super) fn new(schema: &Schema) -> Self {
        let builders = schema.columns().iter().map(|column| Builder::new(column.kind)).collect();
        Self { schema: schema.clone(), builders, rows: 0 }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Appends a row.
    ///
    /// # Errors
    /// A value that does not fit its column's kind.
    pub(super) fn push(&mut self, row: &SqliteRow) -> Result<(), SourceError> {
        for (index, (builder, column)) in self.builders.iter_mut().zip(self.schema.columns()).enumerate() {
            let wrong = |message: String| SourceError::Value { column: column.name.clone(), message };
            let raw = row.try_get_raw(index).map_err(|error| wrong(error.to_string()))?;
            let sort = Sort::of(&raw);
            let not_utf8 = |_| wrong("it holds text that is not UTF-8; convert it, or CAST it to BLOB".to_owned());
            let unreadable = |error: sqlx::error::BoxDynError| wrong(error.to_string());
            let value = match sort {
                Sort::Null => Value::Null,
                Sort::Integer => Value::Integer(<i64 as Decode<Sqlite>>::decode(raw).map_err(unreadable)?),
                Sort::Real => Value::Real(<f64 as Decode<Sqlite>>::decode(raw).map_err(unreadable)?),
                Sort::Text => Value::Text(<&str as Decode<Sqlite>>::decode(raw).map_err(not_utf8)?),
                Sort::Blob => Value::Blob(<&[u8] as Decode<Sqlite>>::decode(raw).map_err(unreadable)?),
            };
            if !builder.push(column.kind, value) {
                return Err(wrong(does_not_fit(&column.name, column.kind, sort)));
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// The rows since the last batch.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub(super) fn batch(&mut self) -> Result<RecordBatch, SourceError> {
        self.rows = 0;
        let arrays = self.builders.iter_mut().map(Builder::finish).collect();
        RecordBatch::try_new(self.schema.to_arrow(), arrays)
            .map_err(|error| SourceError::Lost { message: error.to_string() })
    }
}

fn does_not_fit(name: &str, kind: Kind, sort: Sort) -> String {
    let name = format!("\"{}\"", name.replace('"', "\"\""));
    let (expected, remedy) = match kind {
        Kind::Bool => ("a boolean is 0 or 1", format!("{name} <> 0")),
        Kind::Int => ("an integer stands in it elsewhere", format!("CAST({name} AS TEXT)")),
        Kind::Float => ("numbers stand in it elsewhere", format!("CAST({name} AS TEXT)")),
        Kind::Decimal => ("a number is expected", format!("CAST({name} AS TEXT)")),
        Kind::Text => ("text is expected", format!("hex({name}) or CAST({name} AS TEXT)")),
        Kind::Json => ("JSON text is expected", format!("CAST({name} AS TEXT)")),
        Kind::Date => ("a date as `2024-02-29` is expected", format!("date({name}) or CAST({name} AS TEXT)")),
        Kind::Time => ("a time as `13:14:15` is expected", format!("time({name}) or CAST({name} AS TEXT)")),
        Kind::Timestamp | Kind::TimestampTz => (
            "a time stamp as `2024-02-29 13:14:15` is expected",
            format!("datetime({name}, 'unixepoch') or CAST({name} AS TEXT)"),
        ),
        Kind::Binary => ("a blob is expected", format!("CAST({name} AS BLOB)")),
    };
    format!(
        "its kind is {}, and a value is {} that does not fit ({expected}); write {remedy} AS {name} in the model",
        kind.name(),
        sort.name()
    )
}

fn minified(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for character in text.chars() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if character.is_ascii_whitespace() {
            continue;
        } else {
            in_string = character == '"';
        }
        out.push(character);
    }
    out
}

fn days(text: &str) -> Option<i32> {
    let date: civil::Date = text.parse().ok().filter(|_| text.len() == 10)?;
    Some(civil::date(1970, 1, 1).until(date).ok()?.get_days())
}

fn time_micros(text: &str) -> Option<i64> {
    let time: civil::Time = text.parse().ok()?;
    let nanos = i64::from(time.subsec_nanosecond());
    let seconds = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    Some(seconds * 1_000_000 + nanos / 1000)
}

/// A time stamp with its own zone if it states one, in UTC otherwise.
fn micros(text: &str) -> Option<i64> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp.as_microsecond());
    }
    let time: civil::DateTime = text.parse().ok()?;
    Some(TimeZone::UTC.to_timestamp(time).ok()?.as_microsecond())
}
