//! From the bytes of a binary `COPY` straight to Arrow arrays, a column of a chunk at a time.
//!
//! A chunk is what one read of the socket gave. Its rows are first measured (where each cell begins, how long it
//! is), then each column is decoded in a loop of its own; no row and no value exists in between.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, RecordBatchOptions,
    StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::SchemaRef;
use kit::SourceError;
use records::{Kind, Schema};

use super::{
    binary::{self, Malformed, Scalar},
    structure::{self, Form},
};

/// A batch is sent when it has this many rows or bytes, whichever comes first.
const BATCH_ROWS: usize = 8_192;
const BATCH_BYTES: usize = 4 << 20;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags, length of the extension.
const HEADER: usize = 19;

/// A cell's bytes in the chunk. A null has the length -1.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    length: i32,
}

/// The state of decoding one `COPY`.
#[derive(Debug)]
pub(super) struct Decoder {
    schema: SchemaRef,
    names: Vec<String>,
    columns: Vec<Column>,
    /// The cells of the chunk at hand, row after row.
    spans: Vec<Span>,
    /// The begin of a row that went on in the next message. PostgreSQL sends whole rows; what stands between may not.
    carried: Vec<u8>,
    rows: usize,
    bytes: usize,
    /// Rows of the batches before this one.
    rows_before: usize,
    header_seen: bool,
    trailer_seen: bool,
}

impl Decoder {
    /// A decoder of rows with these columns, each in this form.
    pub(super) fn new(schema: &Schema, forms: &[Form]) -> Self {
        let columns = schema.columns().iter().zip(forms).map(|(column, form)| Column::new(column.kind, form.clone()));
        Self {
            schema: schema.to_arrow(),
            names: schema.columns().iter().map(|column| column.name.clone()).collect(),
            columns: columns.collect(),
            spans: Vec::new(),
            carried: Vec::new(),
            rows: 0,
            bytes: 0,
            rows_before: 0,
            header_seen: false,
            trailer_seen: false,
        }
    }

    /// Measures the rows of one message's data, which stands in the chunk at `start..end`. They are decoded by
    /// [`Self::decode`], which must come before the chunk goes.
    ///
    /// # Errors
    /// The data is not that of a binary `COPY` with these columns.
    pub(super) fn measure(&mut self, chunk: &[u8], mut start: usize, end: usize) -> Result<(), SourceError> {
        if self.carried.is_empty() && self.header_seen {
            start += self.rows_of(&chunk[..end], start)?;
            if start < end {
                self.carried.extend_from_slice(&chunk[start..end]);
            }
            return Ok(());
        }
        // Rare: the first message, and whatever follows a row cut in two.
        self.decode(chunk)?;
        let mut carried = std::mem::take(&mut self.carried);
        carried.extend_from_slice(&chunk[start..end]);
        let mut from = 0;
        if !self.header_seen {
            let Some(length) = header(&carried)? else {
                self.carried = carried;
                return Ok(());
            };
            self.header_seen = true;
            from = length;
        }
        let used = self.rows_of(&carried, from)?;
        self.decode(&carried)?;
        carried.drain(..from + used);
        if i32::try_from(carried.len()).is_err() {
            return Err(broken("a row larger than 2 GiB"));
        }
        self.carried = carried;
        Ok(())
    }

    /// Notes the cells of the whole rows that begin at `start`, and says how many bytes they take.
    fn rows_of(&mut self, data: &[u8], start: usize) -> Result<usize, SourceError> {
        let mut at = start;
        loop {
            let row_start = self.spans.len();
            let mut cursor = at;
            let Some(count) = data.get(cursor..cursor + 2) else { break };
            cursor += 2;
            match i16::from_be_bytes([count[0], count[1]]) {
                -1 => {
                    self.trailer_seen = true;
                    return if cursor == data.len() { Ok(cursor - start) } else { Err(broken("data behind its end")) };
                }
                _ if self.trailer_seen => return Err(broken("a row behind its end")),
                count if usize::try_from(count) == Ok(self.columns.len()) => {}
                count => {
                    return Err(broken(&format!("a row of {count} columns where {} were told", self.columns.len())));
                }
            }
            let mut whole = true;
            for _ in 0..self.columns.len() {
                let Some(head) = data.get(cursor..).and_then(<[u8]>::first_chunk::<4>) else {
                    whole = false;
                    break;
                };
                let length = i32::from_be_bytes(*head);
                cursor += 4;
                let start = u32::try_from(cursor).map_err(|_| broken("a row larger than 4 GiB"))?;
                self.spans.push(Span { start, length });
                if length > 0 {
                    cursor += length.unsigned_abs() as usize;
                } else if length < -1 {
                    return Err(broken("a cell of negative length"));
                }
            }
            if !whole || cursor > data.len() {
                self.spans.truncate(row_start);
                break;
            }
            at = cursor;
        }
        Ok(at - start)
    }

    /// Decodes what was measured of this chunk.
    ///
    /// # Errors
    /// A cell whose bytes are not its type's, with its column.
    pub(super) fn decode(&mut self, chunk: &[u8]) -> Result<(), SourceError> {
        if self.spans.is_empty() {
            return Ok(());
        }
        let width = self.columns.len();
        let rows = self.spans.len() / width;
        self.bytes = 0;
        for (index, column) in self.columns.iter_mut().enumerate() {
            let cells = Cells { chunk, spans: &self.spans[index..], width };
            column.append(cells).map_err(|malformed| value_error(&self.names[index], malformed))?;
            self.bytes += column.size();
        }
        self.rows += rows;
        self.spans.clear();
        Ok(())
    }

    /// Whether a batch is due.
    pub(super) fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// The rows decoded since the last batch, if there are any.
    ///
    /// # Errors
    /// Text that is not UTF-8, with its column.
    pub(super) fn batch(&mut self) -> Result<Option<RecordBatch>, SourceError> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        if rows == 0 {
            return Ok(None);
        }
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (column, name) in self.columns.iter_mut().zip(&self.names) {
            arrays.push(column.finish().map_err(|row| not_utf8(name, self.rows_before + row))?);
        }
        self.rows_before += rows;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map(Some)
            .map_err(|error| broken(&error.to_string()))
    }

    /// Checks that the data came to its own end.
    ///
    /// # Errors
    /// It was cut short.
    pub(super) fn end(&self) -> Result<(), SourceError> {
        if self.trailer_seen && self.carried.is_empty() { Ok(()) } else { Err(broken("it ends in the middle")) }
    }
}

/// The length of the header with its extension, once all of it is there.
fn header(data: &[u8]) -> Result<Option<usize>, SourceError> {
    let seen = data.len().min(SIGNATURE.len());
    if data[..seen] != SIGNATURE[..seen] {
        return Err(broken("no binary COPY"));
    }
    let Some(extension) = data.get(15..HEADER).and_then(<[u8]>::first_chunk::<4>) else { return Ok(None) };
    let extension = usize::try_from(i32::from_be_bytes(*extension)).map_err(|_| broken("a bad header"))?;
    let length = HEADER + extension;
    Ok((data.len() >= length).then_some(length))
}

fn broken(what: &str) -> SourceError {
    SourceError::Lost { message: format!("the server's COPY data cannot be read: {what}") }
}

fn value_error(column: &str, malformed: Malformed) -> SourceError {
    match malformed {
        Malformed::NotUtf8 => not_utf8_anywhere(column, "a value holds bytes that are not UTF-8".to_owned()),
        Malformed::Type(_) => SourceError::Value {
            column: column.to_owned(),
            message: format!("{malformed}; cast it in the model: \"{column}\"::text"),
        },
        Malformed::TooLarge => SourceError::Value {
            column: column.to_owned(),
            message: format!("{malformed}; leave it out of the model or shorten it"),
        },
    }
}

fn not_utf8(column: &str, row: usize) -> SourceError {
    not_utf8_anywhere(column, format!("row {} of the result holds bytes that are not UTF-8", row + 1))
}

fn not_utf8_anywhere(column: &str, what: String) -> SourceError {
    let message = format!(
        "{what}; if they are Latin 1, convert them in the model: \
         convert_from(convert(\"{column}\"::bytea, 'LATIN1', 'UTF8'), 'UTF8')"
    );
    SourceError::Value { column: column.to_owned(), message }
}

/// One column's cells in the chunk.
#[derive(Clone, Copy)]
struct Cells<'a> {
    chunk: &'a [u8],
    spans: &'a [Span],
    width: usize,
}

impl<'a> Cells<'a> {
    fn iter(self) -> impl Iterator<Item = Option<&'a [u8]>> {
        self.spans.iter().step_by(self.width).map(move |span| {
            let length = usize::try_from(span.length).ok()?;
            let start = span.start as usize;
            self.chunk.get(start..start + length)
        })
    }
}

/// A column being built.
#[derive(Debug)]
struct Column {
    kind: Kind,
    form: Form,
    values: Values,
    nulls: NullBufferBuilder,
}

#[derive(Debug)]
enum Values {
    Bools(BooleanBufferBuilder),
    Days(Vec<i32>),
    Longs(Vec<i64>),
    Doubles(Vec<f64>),
    Bytes { ends: Vec<i32>, bytes: Vec<u8> },
}

impl Column {
    fn new(kind: Kind, form: Form) -> Self {
        let values = match kind {
            Kind::Bool => Values::Bools(BooleanBufferBuilder::new(BATCH_ROWS)),
            Kind::Date => Values::Days(Vec::with_capacity(BATCH_ROWS)),
            Kind::Int | Kind::Time | Kind::Timestamp | Kind::TimestampTz => {
                Values::Longs(Vec::with_capacity(BATCH_ROWS))
            }
            Kind::Float => Values::Doubles(Vec::with_capacity(BATCH_ROWS)),
            Kind::Decimal | Kind::Text | Kind::Json | Kind::Binary => {
                Values::Bytes { ends: vec![0], bytes: Vec::new() }
            }
        };
        Self { kind, form, values, nulls: NullBufferBuilder::new(BATCH_ROWS) }
    }

    /// How many bytes its values take.
    fn size(&self) -> usize {
        match &self.values {
            Values::Bools(bools) => bools.len() / 8,
            Values::Days(days) => days.len() * 4,
            Values::Longs(longs) => longs.len() * 8,
            Values::Doubles(doubles) => doubles.len() * 8,
            Values::Bytes { ends, bytes } => ends.len() * 4 + bytes.len(),
        }
    }

    fn append(&mut self, cells: Cells<'_>) -> Result<(), Malformed> {
        let nulls = &mut self.nulls;
        let form = &self.form;
        let scalar = match form {
            Form::Scalar(scalar) => *scalar,
            // Arrays and composites become JSON text.
            Form::Array(_) | Form::Composite(_) => Scalar::Json,
        };
        match &mut self.values {
            Values::Bools(bools) => {
                for cell in cells.iter() {
                    nulls.append(cell.is_some());
                    bools.append(match cell {
                        Some(bytes) => binary::fixed::<1>(bytes, scalar)? != [0],
                        None => false,
                    });
                }
                Ok(())
            }
            Values::Days(days) => fixed(cells, scalar, days, nulls, |bytes| binary::date(i32::from_be_bytes(bytes))),
            Values::Longs(longs) => match scalar {
                Scalar::Int2 => fixed(cells, scalar, longs, nulls, |bytes| i16::from_be_bytes(bytes).into()),
                Scalar::Int4 => fixed(cells, scalar, longs, nulls, |bytes| i32::from_be_bytes(bytes).into()),
                Scalar::Oid => fixed(cells, scalar, longs, nulls, |bytes| u32::from_be_bytes(bytes).into()),
                Scalar::Timestamp | Scalar::TimestampTz => {
                    fixed(cells, scalar, longs, nulls, |bytes| binary::timestamp(i64::from_be_bytes(bytes)))
                }
                _ => fixed(cells, scalar, longs, nulls, i64::from_be_bytes),
            },
            Values::Doubles(doubles) => match scalar {
                Scalar::Float4 => {
                    fixed(cells, scalar, doubles, nulls, |bytes| binary::widen(f32::from_be_bytes(bytes)))
                }
                _ => fixed(cells, scalar, doubles, nulls, f64::from_be_bytes),
            },
            Values::Bytes { ends, bytes } => match (form, scalar) {
                (Form::Scalar(_), Scalar::Text | Scalar::Bytea) => variable(cells, ends, bytes, nulls, |cell, out| {
                    out.extend_from_slice(cell);
                    Ok(())
                }),
                (Form::Scalar(_), Scalar::Numeric) => variable(cells, ends, bytes, nulls, binary::numeric),
                (Form::Scalar(_), Scalar::Money) => variable(cells, ends, bytes, nulls, |cell, out| {
                    binary::money(i64::from_be_bytes(binary::fixed(cell, scalar)?), out);
                    Ok(())
                }),
                (Form::Scalar(_), Scalar::Json) => variable(cells, ends, bytes, nulls, |cell, out| {
                    binary::minified(cell, out);
                    Ok(())
                }),
                (Form::Scalar(_), Scalar::Jsonb) => variable(cells, ends, bytes, nulls, |cell, out| {
                    out.extend_from_slice(binary::jsonb(cell)?);
                    Ok(())
                }),
                (Form::Scalar(_), scalar) => {
                    variable(cells, ends, bytes, nulls, |cell, out| binary::text_of(scalar, cell, out))
                }
                (form, _) => variable(cells, ends, bytes, nulls, |cell, out| structure::write_json(form, cell, out)),
            },
        }
    }

    /// The array of what was appended. The error is the row of a text that is not UTF-8.
    fn finish(&mut self) -> Result<ArrayRef, usize> {
        let nulls = self.nulls.finish();
        Ok(match &mut self.values {
            Values::Bools(bools) => Arc::new(BooleanArray::new(bools.finish(), nulls)),
            Values::Days(days) => Arc::new(Date32Array::new(taken(days), nulls)),
            Values::Longs(longs) => {
                let longs = taken(longs);
                match self.kind {
                    Kind::Time => Arc::new(Time64MicrosecondArray::new(longs, nulls)),
                    Kind::Timestamp => Arc::new(TimestampMicrosecondArray::new(longs, nulls)),
                    Kind::TimestampTz => Arc::new(TimestampMicrosecondArray::new(longs, nulls).with_timezone("UTC")),
                    _ => Arc::new(Int64Array::new(longs, nulls)),
                }
            }
            Values::Doubles(doubles) => Arc::new(Float64Array::new(taken(doubles), nulls)),
            Values::Bytes { ends, bytes } => {
                let next_ends = Vec::with_capacity(ends.len());
                let next_bytes = Vec::with_capacity((bytes.len() + bytes.len() / 8).min(BATCH_BYTES));
                let ends = std::mem::replace(ends, next_ends);
                let bytes = std::mem::replace(bytes, next_bytes);
                if let Values::Bytes { ends, .. } = &mut self.values {
                    ends.push(0);
                }
                let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
                let data = Buffer::from_vec(bytes);
                if self.kind == Kind::Binary {
                    return Ok(Arc::new(BinaryArray::new(offsets, data, nulls)));
                }
                // One look at all the text of the batch; only if it fails, at each value for the row.
                match StringArray::try_new(offsets.clone(), data.clone(), nulls) {
                    Ok(array) => Arc::new(array),
                    Err(_) => {
                        let is_bad = |window: &[i32]| match (usize::try_from(window[0]), usize::try_from(window[1])) {
                            (Ok(start), Ok(end)) => std::str::from_utf8(&data[start..end]).is_err(),
                            _ => true,
                        };
                        return Err(offsets.windows(2).position(is_bad).unwrap_or(0));
                    }
                }
            }
        })
    }
}

fn taken<T: arrow_buffer::ArrowNativeType>(values: &mut Vec<T>) -> ScalarBuffer<T> {
    let next = Vec::with_capacity(values.len().max(1));
    ScalarBuffer::from(std::mem::replace(values, next))
}

fn fixed<const N: usize, T: Default>(
    cells: Cells<'_>,
    scalar: Scalar,
    values: &mut Vec<T>,
    nulls: &mut NullBufferBuilder,
    read: impl Fn([u8; N]) -> T,
) -> Result<(), Malformed> {
    for cell in cells.iter() {
        match cell {
            Some(bytes) => {
                values.push(read(binary::fixed(bytes, scalar)?));
                nulls.append_non_null();
            }
            None => {
                values.push(T::default());
                nulls.append_null();
            }
        }
    }
    Ok(())
}

fn variable(
    cells: Cells<'_>,
    ends: &mut Vec<i32>,
    bytes: &mut Vec<u8>,
    nulls: &mut NullBufferBuilder,
    write: impl Fn(&[u8], &mut Vec<u8>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    for cell in cells.iter() {
        match cell {
            Some(cell) => {
                write(cell, bytes)?;
                nulls.append_non_null();
            }
            None => nulls.append_null(),
        }
        ends.push(i32::try_from(bytes.len()).map_err(|_| Malformed::TooLarge)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
