//! The columns of the history's two kinds of Parquet files, written from rows and read back.

use std::sync::{Arc, LazyLock};

use arrow_array::{
    Array, ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, UInt16Array, UInt32Array, UInt64Array,
    cast::AsArray,
    types::{TimestampMicrosecondType, UInt16Type, UInt32Type, UInt64Type},
};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use jiff::Timestamp;
use records::SyncId;

use super::{HistoryExchange, HistoryRow, key_hash};
use crate::{
    StoreError,
    database::variant,
    failures::{OPERATIONS, OUTCOMES},
};

pub(super) const KEY_HASH: &str = "key_hash";
pub(super) const KEY: &str = "key";

fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

pub(super) static RECORD_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new(KEY_HASH, DataType::UInt64, false),
        Field::new(KEY, DataType::Utf8, false),
        Field::new("sync", DataType::Utf8, false),
        Field::new("mapping", DataType::Utf8, false),
        Field::new("operation", DataType::Utf8, false),
        Field::new("outcome", DataType::Utf8, false),
        Field::new("code", DataType::Utf8, true),
        Field::new("message", DataType::Utf8, true),
        Field::new("attempts", DataType::UInt32, false),
        Field::new("at", instant(), false),
        Field::new("payload", DataType::Utf8, true),
        Field::new("before", DataType::Utf8, true),
        Field::new("after", DataType::Utf8, true),
        Field::new("exchange", DataType::UInt32, true),
    ]))
});

pub(super) static EXCHANGE_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("exchange", DataType::UInt32, false),
        Field::new("method", DataType::Utf8, false),
        Field::new("url", DataType::Utf8, false),
        Field::new("request_headers", DataType::Utf8, false),
        Field::new("request_body", DataType::Utf8, false),
        Field::new("status", DataType::UInt16, true),
        Field::new("answer_headers", DataType::Utf8, false),
        Field::new("answer_body", DataType::Utf8, true),
        Field::new("started_at", instant(), false),
        Field::new("millis", DataType::UInt64, false),
    ]))
});

fn instants(micros: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
}

pub(super) fn record_batch(sync: SyncId, mapping: &str, rows: &[HistoryRow]) -> Result<RecordBatch, ArrowError> {
    let texts = |text: &dyn Fn(&HistoryRow) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(text)))
    };
    let optional = |text: &dyn Fn(&HistoryRow) -> Option<&str>| -> ArrayRef {
        Arc::new(rows.iter().map(text).collect::<StringArray>())
    };
    let sync = sync.to_string();
    RecordBatch::try_new(
        Arc::clone(&RECORD_SCHEMA),
        vec![
            Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| key_hash(&row.key)))),
            texts(&|row| &row.key),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|_| &sync))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|_| mapping))),
            texts(&|row| row.operation.name()),
            texts(&|row| row.outcome.name()),
            optional(&|row| row.code.as_deref()),
            optional(&|row| row.message.as_deref()),
            Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.attempts))),
            instants(rows.iter().map(|row| row.at.as_microsecond())),
            optional(&|row| row.payload.as_deref()),
            optional(&|row| row.before.as_deref()),
            optional(&|row| row.after.as_deref()),
            Arc::new(rows.iter().map(|row| row.exchange).collect::<UInt32Array>()),
        ],
    )
}

pub(super) fn exchange_batch(first: u32, rows: &[HistoryExchange]) -> Result<RecordBatch, ArrowError> {
    let texts = |text: &dyn Fn(&HistoryExchange) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(text)))
    };
    let headers = |headers: &dyn Fn(&HistoryExchange) -> &[(String, String)]| -> ArrayRef {
        let text = |row| serde_json::to_string(headers(row)).unwrap_or_else(|_| "[]".to_owned());
        Arc::new(StringArray::from_iter_values(rows.iter().map(text)))
    };
    RecordBatch::try_new(
        Arc::clone(&EXCHANGE_SCHEMA),
        vec![
            Arc::new(UInt32Array::from_iter_values((first..).take(rows.len()))),
            texts(&|row| &row.method),
            texts(&|row| &row.url),
            headers(&|row| &row.request_headers),
            texts(&|row| &row.request_body),
            Arc::new(rows.iter().map(|row| row.status).collect::<UInt16Array>()),
            headers(&|row| &row.answer_headers),
            Arc::new(rows.iter().map(|row| row.answer_body.as_deref()).collect::<StringArray>()),
            instants(rows.iter().map(|row| row.started_at.as_microsecond())),
            Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.millis))),
        ],
    )
}

/// A row of a file whose columns are not what this version writes.
#[derive(Debug, thiserror::Error)]
pub(super) enum ColumnError {
    #[error("the column `{0}` is missing or of another type")]
    Column(&'static str),
    #[error(transparent)]
    Value(#[from] StoreError),
}

/// Columns of a batch by name, so that a file with more columns or another order is read all the same.
pub(super) struct Columns<'a>(pub(super) &'a RecordBatch);

impl Columns<'_> {
    fn optional_text(&self, name: &'static str, row: usize) -> Result<Option<String>, ColumnError> {
        let column = self.0.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        let column = column.ok_or(ColumnError::Column(name))?;
        Ok(column.is_valid(row).then(|| column.value(row).to_owned()))
    }

    fn text(&self, name: &'static str, row: usize) -> Result<String, ColumnError> {
        self.optional_text(name, row)?.ok_or(ColumnError::Column(name))
    }

    fn number<T: arrow_array::ArrowPrimitiveType>(
        &self,
        name: &'static str,
        row: usize,
    ) -> Result<Option<T::Native>, ColumnError> {
        let column = self.0.column_by_name(name).and_then(|column| column.as_primitive_opt::<T>());
        let column = column.ok_or(ColumnError::Column(name))?;
        Ok(column.is_valid(row).then(|| column.value(row)))
    }

    fn time(&self, name: &'static str, row: usize) -> Result<Timestamp, ColumnError> {
        let micros = self.number::<TimestampMicrosecondType>(name, row)?.ok_or(ColumnError::Column(name))?;
        Ok(crate::database::from_micros(micros)?)
    }

    pub(super) fn record(&self, row: usize) -> Result<HistoryRow, ColumnError> {
        Ok(HistoryRow {
            key: self.text(KEY, row)?,
            operation: variant(&OPERATIONS, "an operation", &self.text("operation", row)?)?,
            outcome: variant(&OUTCOMES, "an outcome", &self.text("outcome", row)?)?,
            code: self.optional_text("code", row)?,
            message: self.optional_text("message", row)?,
            attempts: self.number::<UInt32Type>("attempts", row)?.unwrap_or(0),
            at: self.time("at", row)?,
            payload: self.optional_text("payload", row)?,
            before: self.optional_text("before", row)?,
            after: self.optional_text("after", row)?,
            exchange: self.number::<UInt32Type>("exchange", row)?,
        })
    }

    pub(super) fn exchange(&self, row: usize) -> Result<HistoryExchange, ColumnError> {
        let headers = |name| {
            let text = self.text(name, row)?;
            serde_json::from_str(&text)
                .map_err(|_| ColumnError::from(StoreError::Unreadable { what: "headers", value: text }))
        };
        Ok(HistoryExchange {
            method: self.text("method", row)?,
            url: self.text("url", row)?,
            request_headers: headers("request_headers")?,
            request_body: self.text("request_body", row)?,
            status: self.number::<UInt16Type>("status", row)?,
            answer_headers: headers("answer_headers")?,
            answer_body: self.optional_text("answer_body", row)?,
            started_at: self.time("started_at", row)?,
            millis: self.number::<UInt64Type>("millis", row)?.unwrap_or(0),
        })
    }
}
