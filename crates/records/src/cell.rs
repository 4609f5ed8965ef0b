//! One cell of a batch, borrowed, and its value in a payload.

use arrow_array::{
    Array, BinaryArray, BooleanArray, Date32Array, Float64Array, Int64Array, StringArray, Time64MicrosecondArray,
    TimestampMicrosecondArray, cast::AsArray,
};
use base64::Engine as _;

use crate::{
    Kind, Value,
    moment::{date_text, time_text, timestamp_text},
};

/// One cell, in the form of its column's [`Kind`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Decimal(&'a str),
    Text(&'a str),
    Json(&'a str),
    Date(i32),
    Time(i64),
    Timestamp(i64),
    TimestampTz(i64),
    Binary(&'a [u8]),
}

/// A cell that no JSON value stands for.
#[derive(Debug, thiserror::Error)]
pub enum CellError {
    #[error("{0} cannot be sent: JSON has no such number; make it null or another value in the model")]
    NotANumber(String),
    #[error("the JSON in it cannot be read")]
    Json(#[source] crate::JsonError),
}

/// The cell at `row` of a column of this kind. A column whose type is not the kind's own gives `Null`;
/// batches are checked against their schema where they enter.
pub fn cell(array: &dyn Array, kind: Kind, row: usize) -> Cell<'_> {
    if array.is_null(row) {
        return Cell::Null;
    }
    let any = array.as_any();
    let text = || any.downcast_ref::<StringArray>().map(|array| array.value(row));
    let instant = || any.downcast_ref::<TimestampMicrosecondArray>().map(|array| array.value(row));
    let cell = match kind {
        Kind::Bool => array.as_boolean_opt().map(|array: &BooleanArray| Cell::Bool(array.value(row))),
        Kind::Int => any.downcast_ref::<Int64Array>().map(|array| Cell::Int(array.value(row))),
        Kind::Float => any.downcast_ref::<Float64Array>().map(|array| Cell::Float(array.value(row))),
        Kind::Decimal => text().map(Cell::Decimal),
        Kind::Text => text().map(Cell::Text),
        Kind::Json => text().map(Cell::Json),
        Kind::Date => any.downcast_ref::<Date32Array>().map(|array| Cell::Date(array.value(row))),
        Kind::Time => any.downcast_ref::<Time64MicrosecondArray>().map(|array| Cell::Time(array.value(row))),
        Kind::Timestamp => instant().map(Cell::Timestamp),
        Kind::TimestampTz => instant().map(Cell::TimestampTz),
        Kind::Binary => any.downcast_ref::<BinaryArray>().map(|array| Cell::Binary(array.value(row))),
    };
    debug_assert!(cell.is_some(), "a {} column came as {}", kind.name(), array.data_type());
    cell.unwrap_or(Cell::Null)
}

impl Cell<'_> {
    pub fn is_null(&self) -> bool {
        matches!(self, Cell::Null)
    }

    /// The value a payload shows: dates and times as ISO 8601, JSON as structure, binary as base64.
    ///
    /// # Errors
    /// NaN and the infinities have no JSON form; a JSON column may hold text that is not JSON.
    pub fn to_value(self) -> Result<Value, CellError> {
        Ok(match self {
            Cell::Null => Value::Null,
            Cell::Bool(value) => Value::Bool(value),
            Cell::Int(value) => Value::Int(value),
            Cell::Float(value) if value.is_finite() => Value::Float(value),
            Cell::Float(value) => return Err(CellError::NotANumber(crate::number_text(value))),
            Cell::Decimal(digits) if digits.ends_with(|last: char| last.is_ascii_digit()) => {
                Value::Decimal(digits.into())
            }
            Cell::Decimal(word) => return Err(CellError::NotANumber(word.to_owned())),
            Cell::Text(text) => Value::Text(text.to_owned()),
            Cell::Json(text) => Value::parse(text).map_err(CellError::Json)?,
            Cell::Date(_) | Cell::Time(_) | Cell::Timestamp(_) | Cell::TimestampTz(_) | Cell::Binary(_) => {
                Value::Text(self.to_text())
            }
        })
    }

    /// The value as plain text, for keys and for people. Null is the empty text.
    pub fn to_text(self) -> String {
        match self {
            Cell::Null => String::new(),
            Cell::Bool(value) => value.to_string(),
            Cell::Int(value) => value.to_string(),
            Cell::Float(value) => crate::number_text(value),
            Cell::Decimal(text) | Cell::Text(text) | Cell::Json(text) => text.to_owned(),
            Cell::Date(days) => date_text(days),
            Cell::Time(micros) => time_text(micros),
            Cell::Timestamp(micros) | Cell::TimestampTz(micros) => timestamp_text(micros),
            Cell::Binary(bytes) => base64::engine::general_purpose::STANDARD.encode(bytes),
        }
    }
}
