//! A value during evaluation: borrowed from the record wherever it can be, with JavaScript's "missing".

use std::borrow::Cow;

use records::{Object, Value};

use crate::budget::Budget;
use crate::event::{Event, Record};
use crate::program::EvaluationError;

/// Structures are not followed deeper than this.
pub(crate) const DEPTH_MAX: usize = 256;

/// A value, or nothing. `Ref` holds arrays and objects only; scalars have variants of their own.
#[derive(Debug, Clone, Default)]
pub(crate) enum Val<'a> {
    #[default]
    Missing,
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Decimal(Cow<'a, str>),
    Text(Cow<'a, str>),
    Array(Vec<Val<'a>>),
    /// Entries may be missing: such a key is left out of the output, but overwrites in a merge.
    Object(Vec<(Cow<'a, str>, Val<'a>)>),
    Ref(&'a Value),
    Event(&'a Event<'a>),
    Record(Record<'a>),
}

impl<'a> From<&'a Value> for Val<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Val::Null,
            Value::Bool(value) => Val::Bool(*value),
            Value::Int(int) => Val::Int(*int),
            Value::Float(float) => Val::Float(*float),
            Value::Decimal(digits) => Val::Decimal(Cow::Borrowed(digits)),
            Value::Text(text) => Val::Text(Cow::Borrowed(text)),
            Value::Array(_) | Value::Object(_) => Val::Ref(value),
        }
    }
}

/// The two kinds of structure and all that is neither.
pub(crate) enum Shape<'v, 'a> {
    Scalar(&'v Val<'a>),
    Array(Cow<'v, [Val<'a>]>),
    Object(Cow<'v, [Entry<'a>]>),
}

pub(crate) type Entry<'a> = (Cow<'a, str>, Val<'a>);

impl<'a> Val<'a> {
    pub(crate) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Val::Text(text.into())
    }

    /// An owned value, its text moved.
    pub(crate) fn owned(value: Value) -> Self {
        match value {
            Value::Null => Val::Null,
            Value::Bool(value) => Val::Bool(value),
            Value::Int(int) => Val::Int(int),
            Value::Float(float) => Val::Float(float),
            Value::Decimal(digits) => Val::Decimal(Cow::Owned(digits.into())),
            Value::Text(text) => Val::Text(Cow::Owned(text)),
            Value::Array(items) => Val::Array(items.into_iter().map(Val::owned).collect()),
            Value::Object(object) => {
                Val::Object(object.into_iter().map(|(key, value)| (Cow::Owned(key), Val::owned(value))).collect())
            }
        }
    }

    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Val::Missing)
    }

    /// Null or missing.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Val::Missing | Val::Null)
    }

    pub(crate) fn is_object(&self) -> bool {
        matches!(self, Val::Object(_) | Val::Event(_) | Val::Record(_) | Val::Ref(Value::Object(_)))
            && !matches!(self, Val::Event(event) if !event.is_object())
    }

    pub(crate) fn is_array(&self) -> bool {
        matches!(self, Val::Array(_) | Val::Ref(Value::Array(_)))
            || matches!(self, Val::Event(event) if event.is_array())
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Val::Text(text) => Some(text),
            _ => None,
        }
    }

    /// JavaScript's name for its type, as the original's messages have it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Val::Missing => "undefined",
            Val::Null => "null",
            Val::Bool(_) => "boolean",
            Val::Int(_) | Val::Float(_) | Val::Decimal(_) => "number",
            Val::Text(_) => "string",
            Val::Array(_) => "array",
            Val::Object(_) | Val::Record(_) => "object",
            Val::Ref(value) => value.type_name(),
            Val::Event(event) => event.type_name(),
        }
    }

    pub(crate) fn is_truthy(&self) -> bool {
        match self {
            Val::Missing | Val::Null => false,
            Val::Bool(value) => *value,
            Val::Int(int) => *int != 0,
            Val::Float(float) => *float != 0.0 && !float.is_nan(),
            Val::Decimal(digits) => digits.bytes().any(|digit| matches!(digit, b'1'..=b'9')),
            Val::Text(text) => !text.is_empty(),
            Val::Array(_) | Val::Object(_) | Val::Ref(_) | Val::Event(_) | Val::Record(_) => true,
        }
    }

    /// A copy of a value that was built, or another borrow of one that was not.
    pub(crate) fn share(&self, budget: &Budget) -> Result<Val<'a>, EvaluationError> {
        Ok(match self {
            Val::Array(items) => {
                budget.spend(items.len())?;
                Val::Array(items.iter().map(|item| item.share(budget)).collect::<Result<_, _>>()?)
            }
            Val::Object(entries) => {
                budget.spend(entries.len())?;
                let entry = |(key, val): &Entry<'a>| Ok((key.clone(), val.share(budget)?));
                Val::Object(entries.iter().map(entry).collect::<Result<_, EvaluationError>>()?)
            }
            Val::Text(Cow::Owned(text)) => {
                budget.text(text.len())?;
                self.clone()
            }
            other => other.clone(),
        })
    }

    /// The value below a key of a value that was built here, by reference; nothing if it was not built.
    pub(crate) fn built_member(&self, key: &str, index: Option<usize>) -> Option<&Val<'a>> {
        const MISSING: &Val<'static> = &Val::Missing;
        match self {
            Val::Object(entries) => Some(entries.iter().find(|(name, _)| name == key).map_or(MISSING, |(_, val)| val)),
            Val::Array(items) => match index {
                Some(index) => Some(items.get(index).unwrap_or(MISSING)),
                None if key == "length" => None,
                None => Some(MISSING),
            },
            _ => None,
        }
    }

    /// The value below a key; missing if there is none. `length` and indexes work on texts and arrays.
    pub(crate) fn member(&self, key: &str, index: Option<usize>) -> Result<Val<'a>, EvaluationError> {
        Ok(match self {
            Val::Object(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, val)| val.clone()),
            Val::Array(items) => match index {
                Some(index) => items.get(index).cloned(),
                None if key == "length" => Some(count(items.len())),
                None => None,
            },
            Val::Ref(Value::Object(object)) => object.get(key).map(Val::from),
            Val::Ref(Value::Array(items)) => match index {
                Some(index) => items.get(index).map(Val::from),
                None if key == "length" => Some(count(items.len())),
                None => None,
            },
            Val::Text(text) => match index {
                Some(index) => unit_at(text, index).map(Val::text),
                None if key == "length" => Some(count(crate::javascript::utf16_len(text))),
                None => None,
            },
            Val::Event(event) => return event.member(key, index),
            Val::Record(record) => return record.member(key),
            _ => None,
        }
        .unwrap_or_default())
    }

    /// Its items or entries, one level, entries in JavaScript's order.
    pub(crate) fn shape<'v>(&'v self, budget: &Budget) -> Result<Shape<'v, 'a>, EvaluationError> {
        Ok(match self {
            Val::Array(items) => {
                budget.spend(items.len())?;
                Shape::Array(Cow::Borrowed(items))
            }
            Val::Object(entries) if entries.iter().any(|(key, _)| array_index(key).is_some()) => {
                budget.spend(entries.len())?;
                let copied = entries.iter().map(|(key, val)| Ok((key.clone(), val.share(budget)?)));
                Shape::Object(Cow::Owned(ordered(copied.collect::<Result<_, EvaluationError>>()?)))
            }
            Val::Object(entries) => {
                budget.spend(entries.len())?;
                Shape::Object(Cow::Borrowed(entries))
            }
            Val::Ref(Value::Array(items)) => {
                budget.spend(items.len())?;
                Shape::Array(items.iter().map(Val::from).collect())
            }
            Val::Ref(Value::Object(object)) => {
                budget.spend(object.len())?;
                Shape::Object(Cow::Owned(ordered(borrowed_entries(object))))
            }
            Val::Event(event) => match event.entries()? {
                Some(entries) => {
                    budget.spend(entries.len())?;
                    Shape::Object(Cow::Owned(ordered(entries)))
                }
                None => match event.plain() {
                    Some(Val::Ref(Value::Array(items))) => {
                        budget.spend(items.len())?;
                        Shape::Array(items.iter().map(Val::from).collect())
                    }
                    _ => Shape::Scalar(self),
                },
            },
            Val::Record(record) => {
                let entries = record.entries()?;
                budget.spend(entries.len())?;
                Shape::Object(Cow::Owned(ordered(entries)))
            }
            scalar => Shape::Scalar(scalar),
        })
    }

    /// The value as output; keys that are missing vanish, missing items of arrays are null.
    pub(crate) fn into_value_below(self, budget: &Budget, depth: usize) -> Result<Option<Value>, EvaluationError> {
        // Text that was made here moves.
        if let Val::Text(Cow::Owned(text)) = self {
            return Ok(Some(Value::Text(text)));
        }
        self.to_output(budget, depth)
    }

    fn to_output(&self, budget: &Budget, depth: usize) -> Result<Option<Value>, EvaluationError> {
        budget.spend(1)?;
        budget.depth(depth)?;
        Ok(Some(match self {
            Val::Missing => return Ok(None),
            Val::Null => Value::Null,
            Val::Bool(value) => Value::Bool(*value),
            Val::Int(int) => Value::Int(*int),
            Val::Float(float) if float.is_finite() => Value::Float(*float),
            Val::Float(_) => Value::Null,
            Val::Decimal(digits) => Value::Decimal(digits.as_ref().into()),
            Val::Text(text) => {
                budget.spend(text.len() / 8)?;
                Value::Text(text.to_string())
            }
            Val::Array(items) => {
                let item = |item: &Val<'a>| Ok(item.to_output(budget, depth + 1)?.unwrap_or_default());
                Value::Array(items.iter().map(item).collect::<Result<_, EvaluationError>>()?)
            }
            Val::Object(entries) => Value::Object(object_of(entries, budget, depth)?),
            Val::Ref(value) => copy(value, budget, depth)?,
            Val::Event(event) => match event.entries()? {
                Some(entries) => Value::Object(object_of(&entries, budget, depth)?),
                None => return event.plain().unwrap_or_default().to_output(budget, depth),
            },
            Val::Record(record) => Value::Object(object_of(&record.entries()?, budget, depth)?),
        }))
    }
}

fn object_of(entries: &[(Cow<'_, str>, Val<'_>)], budget: &Budget, depth: usize) -> Result<Object, EvaluationError> {
    let mut object = Object::with_capacity(entries.len());
    for (key, val) in entries {
        if let Some(value) = val.to_output(budget, depth + 1)? {
            object.insert(key.as_ref(), value);
        }
    }
    Ok(object)
}

fn copy(value: &Value, budget: &Budget, depth: usize) -> Result<Value, EvaluationError> {
    budget.spend(1)?;
    budget.depth(depth)?;
    Ok(match value {
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| copy(item, budget, depth + 1)).collect::<Result<_, _>>()?)
        }
        Value::Object(object) => {
            let mut out = Object::with_capacity(object.len());
            for (key, value) in object.iter() {
                out.push(key.to_owned(), copy(value, budget, depth + 1)?);
            }
            Value::Object(out)
        }
        Value::Text(text) => {
            budget.spend(text.len() / 8)?;
            value.clone()
        }
        scalar => scalar.clone(),
    })
}

pub(crate) fn borrowed_entries(object: &Object) -> Vec<(Cow<'_, str>, Val<'_>)> {
    object.iter().map(|(key, value)| (Cow::Borrowed(key), Val::from(value))).collect()
}

pub(crate) fn count(number: usize) -> Val<'static> {
    Val::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

/// Entries as JavaScript orders them: keys that are array indexes first, by number.
pub(crate) fn ordered<'a>(mut entries: Vec<(Cow<'a, str>, Val<'a>)>) -> Vec<(Cow<'a, str>, Val<'a>)> {
    if entries.iter().any(|(key, _)| array_index(key).is_some()) {
        entries.sort_by_key(|(key, _)| array_index(key).map_or(u64::MAX, |index| index as u64));
    }
    entries
}

/// The number a key is, if it is written as JavaScript writes an array index.
pub(crate) fn array_index(key: &str) -> Option<usize> {
    let canonical = match key.as_bytes() {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.len() < 10 && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !canonical {
        return None;
    }
    key.parse::<u32>().ok().filter(|index| *index < u32::MAX).map(|index| index as usize)
}

/// The UTF-16 unit at an index. Half of a pair has no text of its own: it shows as U+FFFD.
fn unit_at(text: &str, index: usize) -> Option<String> {
    let unit = text.encode_utf16().nth(index)?;
    Some(String::from_utf16_lossy(&[unit]))
}
