//! What a mapping is evaluated over: a change of a record as Segment shows it, or a plain JSON value.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use records::{Cell, CellError, ChangeView, Operation, RecordView, Value, canonical_bytes};

use crate::program::EvaluationError;
use crate::val::{Entry, Val};

/// What a deleted record's columns show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeletedValues {
    /// The values as last delivered.
    #[default]
    Last,
    /// Nulls, as Segment shows them.
    Null,
}

/// An event to map.
///
/// A change shows `type` (`track`), `event` (`new`, `updated`, `deleted`), `properties` (its columns), `__segment_id`
/// (the key), `messageId`, `timestamp` and `receivedAt`; and, when asked for by name, `previous` (the columns as last
/// delivered) and `changed` (the names of the columns that differ).
#[derive(Debug)]
pub struct Event<'a> {
    root: Root<'a>,
    now: Option<Timestamp>,
    parsed: [OnceCell<Box<[OnceCell<Value>]>>; 2],
}

#[derive(Debug)]
enum Root<'a> {
    Change(ChangeView<'a>, DeletedValues),
    Value(&'a Value),
}

/// Where a column was last found. Schemas hardly ever change between evaluations, so the guess is nearly always right.
#[derive(Debug, Default)]
pub(crate) struct Hint(AtomicUsize);

impl Clone for Hint {
    fn clone(&self) -> Self {
        Self(AtomicUsize::new(self.0.load(Ordering::Relaxed)))
    }
}

impl Hint {
    fn find(&self, view: &RecordView<'_>, name: &str) -> Option<usize> {
        let guess = self.0.load(Ordering::Relaxed);
        let columns = view.schema.columns();
        if columns.get(guess).is_some_and(|column| column.name == name) {
            return Some(guess);
        }
        let index = view.schema.index_of(name)?;
        self.0.store(index, Ordering::Relaxed);
        Some(index)
    }
}

/// Which of a change's two records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Properties,
    Previous,
}

/// The columns of one record of a change.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    event: &'a Event<'a>,
    side: Side,
}

impl<'a> Event<'a> {
    /// The event of a change.
    pub fn of_change(view: &ChangeView<'a>, deleted: DeletedValues) -> Self {
        Self { root: Root::Change(*view, deleted), now: None, parsed: Default::default() }
    }

    /// An event that is a JSON value. Only an object can be mapped.
    pub fn of_value(value: &'a Value) -> Self {
        Self { root: Root::Value(value), now: None, parsed: Default::default() }
    }

    /// Sets what `"now"` means in Liquid. Without it, a change has its own `timestamp`, and a plain value
    /// its `receivedAt` or `timestamp`.
    pub fn at(mut self, now: Timestamp) -> Self {
        self.now = Some(now);
        self
    }

    /// The time that `"now"` stands for.
    pub(crate) fn now(&self) -> Option<Timestamp> {
        let text = |text: &str| text.parse().ok();
        self.now.or_else(|| match &self.root {
            Root::Change(view, _) => text(view.timestamp),
            Root::Value(value) => {
                let at = |key| value.get(key).and_then(Value::as_str).and_then(text);
                at("receivedAt").or_else(|| at("timestamp"))
            }
        })
    }

    pub(crate) fn is_object(&self) -> bool {
        matches!(self.root, Root::Change(..) | Root::Value(Value::Object(_)))
    }

    pub(crate) fn is_array(&self) -> bool {
        matches!(self.root, Root::Value(Value::Array(_)))
    }

    pub(crate) fn type_name(&self) -> &'static str {
        match self.root {
            Root::Change(..) => "object",
            Root::Value(value) => value.type_name(),
        }
    }

    /// The value, if the event is not a change.
    pub(crate) fn plain(&self) -> Option<Val<'a>> {
        match self.root {
            Root::Change(..) => None,
            Root::Value(value) => Some(Val::from(value)),
        }
    }

    fn view(&self, side: Side) -> Option<RecordView<'a>> {
        match (&self.root, side) {
            (Root::Change(view, _), Side::Properties) => view.record(),
            (Root::Change(view, _), Side::Previous) => view.previous,
            (Root::Value(_), _) => None,
        }
    }

    fn shows_nulls(&self, side: Side) -> bool {
        matches!(&self.root, Root::Change(view, DeletedValues::Null)
            if side == Side::Properties && view.operation == Operation::Deleted)
    }

    /// The value of a column, if the event is a change.
    pub(crate) fn column<'s>(
        &'s self,
        side: Side,
        name: &str,
        hint: &Hint,
    ) -> Option<Result<Val<'s>, EvaluationError>> {
        if matches!(self.root, Root::Value(_)) {
            return None;
        }
        let Some(view) = self.view(side) else { return Some(Ok(Val::Missing)) };
        let Some(index) = hint.find(&view, name) else { return Some(Ok(Val::Missing)) };
        if self.shows_nulls(side) {
            return Some(Ok(Val::Null));
        }
        Some(self.cell(side, &view, index))
    }

    fn cell<'s>(&'s self, side: Side, view: &RecordView<'s>, index: usize) -> Result<Val<'s>, EvaluationError> {
        let cell = view.cell(index);
        let error = |source| EvaluationError::Column { column: view.schema.columns()[index].name.clone(), source };
        Ok(match cell {
            Cell::Null => Val::Null,
            Cell::Bool(value) => Val::Bool(value),
            Cell::Int(int) => Val::Int(int),
            Cell::Float(float) if float.is_finite() => Val::Float(float),
            Cell::Float(float) => return Err(error(CellError::NotANumber(records::number_text(float)))),
            Cell::Decimal(digits) if digits.ends_with(|last: char| last.is_ascii_digit()) => {
                Val::Decimal(Cow::Borrowed(digits))
            }
            Cell::Decimal(word) => return Err(error(CellError::NotANumber(word.to_owned()))),
            Cell::Text(text) => Val::Text(Cow::Borrowed(text)),
            Cell::Json(text) => {
                let width = view.schema.columns().len();
                let parsed = self.parsed[side as usize].get_or_init(|| (0..width).map(|_| OnceCell::new()).collect());
                match parsed[index].get() {
                    Some(value) => Val::from(value),
                    None => {
                        let value = Value::parse(text).map_err(CellError::Json).map_err(error)?;
                        Val::from(parsed[index].get_or_init(|| value))
                    }
                }
            }
            Cell::Timestamp(micros) | Cell::TimestampTz(micros) => Val::text(records::timestamp_text(micros)),
            Cell::Date(_) | Cell::Time(_) | Cell::Binary(_) => Val::text(cell.to_text()),
        })
    }

    /// The value below a key of the event.
    pub(crate) fn member<'s>(&'s self, key: &str, index: Option<usize>) -> Result<Val<'s>, EvaluationError> {
        let view = match &self.root {
            Root::Value(value) => return Val::from(*value).member(key, index),
            Root::Change(view, _) => view,
        };
        let text = |text: &'s str| Ok(Val::text(text));
        match key {
            "properties" => Ok(Val::Record(Record { event: self, side: Side::Properties })),
            "type" => text("track"),
            "event" => text(view.operation.event()),
            "__segment_id" => text(view.key),
            "messageId" => text(view.message_id),
            "timestamp" | "receivedAt" => text(view.timestamp),
            "previous" if view.previous.is_some() => Ok(Val::Record(Record { event: self, side: Side::Previous })),
            "changed" => Ok(self.changed()),
            _ => Ok(Val::Missing),
        }
    }

    /// The entries of the whole event, as Segment shows it; nothing if it is not an object.
    pub(crate) fn entries<'s>(&'s self) -> Result<Option<Vec<Entry<'s>>>, EvaluationError> {
        match &self.root {
            Root::Value(Value::Object(object)) => Ok(Some(crate::val::borrowed_entries(object))),
            Root::Value(_) => Ok(None),
            Root::Change(..) => {
                let keys = ["type", "event", "messageId", "__segment_id", "timestamp", "receivedAt", "properties"];
                let entry = |key| Ok((Cow::Borrowed(key), self.member(key, None)?));
                keys.into_iter().map(entry).collect::<Result<_, _>>().map(Some)
            }
        }
    }

    /// The names of the columns that differ: of an added record all, of a deleted one none; missing if the previous
    /// record is not known.
    fn changed(&self) -> Val<'_> {
        let Root::Change(view, _) = &self.root else { return Val::Missing };
        let names = |record: &RecordView<'a>, differs: &dyn Fn(usize, &str) -> bool| {
            let columns = record.schema.columns().iter().enumerate();
            let differing = columns.filter(|(index, column)| differs(*index, &column.name));
            Val::Array(differing.map(|(_, column)| Val::text(column.name.clone())).collect())
        };
        match (view.operation, view.new, view.previous) {
            (Operation::Deleted, ..) => Val::Array(Vec::new()),
            (Operation::Added, Some(new), _) => names(&new, &|_, _| true),
            (_, Some(new), Some(previous)) => names(&new, &|index, name| {
                let Some(other) = previous.schema.index_of(name) else { return true };
                let (mut left, mut right) = (Vec::new(), Vec::new());
                canonical_bytes(new.cell(index), &mut left);
                canonical_bytes(previous.cell(other), &mut right);
                left != right
            }),
            _ => Val::Missing,
        }
    }
}

impl<'a> Record<'a> {
    pub(crate) fn member(&self, key: &str) -> Result<Val<'a>, EvaluationError> {
        self.event.column(self.side, key, &Hint::default()).unwrap_or(Ok(Val::Missing))
    }

    pub(crate) fn entries(&self) -> Result<Vec<Entry<'a>>, EvaluationError> {
        let Some(view) = self.event.view(self.side) else { return Ok(Vec::new()) };
        let nulls = self.event.shows_nulls(self.side);
        let columns = view.schema.columns().iter().enumerate();
        let entry = |(index, column): (usize, &'a records::Column)| {
            let val = if nulls { Val::Null } else { self.event.cell(self.side, &view, index)? };
            Ok((Cow::Borrowed(column.name.as_str()), val))
        };
        columns.map(entry).collect()
    }
}
