//! JSON and text as JavaScript writes them. A signature over the first of several records can be checked only by
//! reading the list and writing the record anew, so it must be written as everyone else would.

use std::borrow::Cow;

use records::{Value, number_text, write_text};

/// Compact JSON.
pub(super) fn json(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Decimal(digits) => out.push_str(&shortest(digits)),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            // Keys that are numbers come first, in their order.
            entries.sort_by_key(|(key, _)| number_of(key).unwrap_or(u64::MAX));
            out.push('{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_text(key, out);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
        plain => plain.write_json(out),
    }
}

/// The number that a key is, if JavaScript takes it for one.
fn number_of(key: &str) -> Option<u64> {
    let number: u64 = key.parse().ok().filter(|number| *number < u64::from(u32::MAX))?;
    (number.to_string() == key).then_some(number)
}

/// An exact number as a double is written, if a double holds it exactly: `12.5` for `12.50`.
fn shortest(digits: &str) -> Cow<'_, str> {
    let Ok(number) = digits.parse::<f64>() else { return Cow::Borrowed(digits) };
    let written = number_text(number);
    if bare(&written) == bare(digits) { Cow::Owned(written) } else { Cow::Borrowed(digits) }
}

/// Without zeros at the end of a fraction.
fn bare(digits: &str) -> &str {
    if digits.contains('.') && !digits.contains(['e', 'E']) {
        digits.trim_end_matches('0').trim_end_matches('.')
    } else {
        digits
    }
}

/// A value as plain text. A list is its items.
pub(super) fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Text(text) => Cow::Borrowed(text),
        Value::Float(number) => Cow::Owned(number_text(*number)),
        Value::Decimal(digits) => shortest(digits),
        Value::Array(items) => {
            let items = items.iter().map(|item| if item.is_null() { Cow::Borrowed("") } else { text(item) });
            Cow::Owned(items.collect::<Vec<_>>().join(","))
        }
        Value::Object(_) => Cow::Borrowed("[object Object]"),
        other => Cow::Owned(other.to_json()),
    }
}

#[cfg(test)]
mod tests;
