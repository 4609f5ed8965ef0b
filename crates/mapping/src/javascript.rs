//! JavaScript's conversions, where the original's output shows them.

use std::borrow::Cow;

use records::Value;

use crate::budget::Budget;
use crate::program::EvaluationError;
use crate::val::{Shape, Val};

/// The length of a text in UTF-16 units.
pub(crate) fn utf16_len(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(char::len_utf16).sum() }
}

/// What JavaScript calls white space: in `trim` and around numbers.
pub(crate) fn is_space(c: char) -> bool {
    matches!(c, '\t'..='\r' | ' ' | '\u{a0}' | '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{1680}' | '\u{2000}'..='\u{200a}'
        | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `String(value)`. Arrays join with commas, null and missing items empty.
pub(crate) fn text<'v>(val: &'v Val<'_>, budget: &Budget) -> Result<Cow<'v, str>, EvaluationError> {
    Ok(match val {
        Val::Missing => Cow::Borrowed("undefined"),
        Val::Null => Cow::Borrowed("null"),
        Val::Bool(true) => Cow::Borrowed("true"),
        Val::Bool(false) => Cow::Borrowed("false"),
        Val::Int(int) => Cow::Owned(int.to_string()),
        Val::Float(float) => Cow::Owned(records::number_text(*float)),
        Val::Decimal(digits) => Cow::Borrowed(digits),
        Val::Text(text) => Cow::Borrowed(text),
        structure => {
            let mut out = String::new();
            write_text(structure, &mut out, budget, 0)?;
            Cow::Owned(out)
        }
    })
}

/// Appends `String(value)`.
pub(crate) fn write_text(
    val: &Val<'_>,
    out: &mut String,
    budget: &Budget,
    depth: usize,
) -> Result<(), EvaluationError> {
    budget.depth(depth)?;
    let start = out.len();
    match val {
        Val::Missing => out.push_str("undefined"),
        Val::Null => out.push_str("null"),
        Val::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Val::Int(int) => write_int(*int, out),
        Val::Float(float) => out.push_str(&records::number_text(*float)),
        Val::Decimal(digits) => out.push_str(digits),
        Val::Text(text) => out.push_str(text),
        structure => match structure.shape(budget)? {
            Shape::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    if !item.is_absent() {
                        write_text(item, out, budget, depth + 1)?;
                    }
                }
                return Ok(());
            }
            Shape::Object(_) => out.push_str("[object Object]"),
            Shape::Scalar(Val::Event(event)) => {
                return write_text(&event.plain().unwrap_or_default(), out, budget, depth + 1);
            }
            Shape::Scalar(_) => {}
        },
    }
    budget.text(out.len() - start)
}

/// Appends text as a JSON string, quotes included.
pub(crate) fn quote(text: &str, out: &mut String) {
    out.push('"');
    escape(text, out);
    out.push('"');
}

/// Appends text as it stands inside of a JSON string. Most text has nothing to escape, and is looked through eight
/// bytes at a time.
pub(crate) fn escape(text: &str, out: &mut String) {
    if !needs_escape(text.as_bytes()) {
        out.push_str(text);
        return;
    }
    let start = out.len();
    records::write_text(text, out);
    out.pop();
    out.remove(start);
}

fn needs_escape(bytes: &[u8]) -> bool {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES * 0x80;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let word = chunk.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
        let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        if control | zero(word ^ (ONES * u64::from(b'"'))) | zero(word ^ (ONES * u64::from(b'\\'))) != 0 {
            return true;
        }
    }
    chunks.remainder().iter().any(|byte| *byte < 0x20 || *byte == b'"' || *byte == b'\\')
}

/// Appends a whole number.
pub(crate) fn write_int(int: i64, out: &mut String) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = int.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if int < 0 {
        out.push('-');
    }
    out.push_str(std::str::from_utf8(&digits[at..]).unwrap_or_default());
}

/// The number that JavaScript makes of a text, as `Number(text)` does: 0 of none, NaN of what is no number.
pub fn number_of_text(text: &str) -> f64 {
    let text = trim(text);
    if text.is_empty() {
        return 0.0;
    }
    let radix = |digits: &str, radix: u32| {
        let valid = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
        if !valid {
            return f64::NAN;
        }
        let digit = |value: f64, digit: char| value * f64::from(radix) + f64::from(digit.to_digit(radix).unwrap_or(0));
        digits.chars().fold(0.0, digit)
    };
    match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => return radix(&text[2..], 16),
        [b'0', b'o' | b'O', ..] => return radix(&text[2..], 8),
        [b'0', b'b' | b'B', ..] => return radix(&text[2..], 2),
        _ => {}
    }
    match text {
        "Infinity" | "+Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        // Rust reads `inf` and `nan` too, JavaScript does not.
        text if text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) => {
            text.parse().unwrap_or(f64::NAN)
        }
        _ => f64::NAN,
    }
}

/// `Number(value)`.
pub(crate) fn number(val: &Val<'_>, budget: &Budget) -> Result<f64, EvaluationError> {
    Ok(match val {
        Val::Missing => f64::NAN,
        Val::Null => 0.0,
        Val::Bool(value) => f64::from(u8::from(*value)),
        Val::Int(int) => *int as f64,
        Val::Float(float) => *float,
        Val::Decimal(digits) => digits.parse().unwrap_or(f64::NAN),
        Val::Text(text) => number_of_text(text),
        structure => number_of_text(&text(structure, budget)?),
    })
}

/// A number as the narrowest value that prints as JavaScript prints it.
pub(crate) fn number_val(number: f64) -> Val<'static> {
    if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 {
        Val::Int(number as i64)
    } else {
        Val::Float(number)
    }
}

/// `value == ''`.
pub(crate) fn equals_empty_text(val: &Val<'_>, budget: &Budget) -> Result<bool, EvaluationError> {
    Ok(match val {
        Val::Missing | Val::Null => false,
        Val::Text(text) => text.is_empty(),
        Val::Bool(_) | Val::Int(_) | Val::Float(_) | Val::Decimal(_) => !val.is_truthy(),
        structure if structure.is_object() => false,
        array => text(array, budget)?.is_empty(),
    })
}

/// `JSON.stringify(value)`; nothing for a missing value.
pub(crate) fn stringify(val: &Val<'_>, budget: &Budget) -> Result<Option<String>, EvaluationError> {
    if val.is_missing() {
        return Ok(None);
    }
    let mut out = String::new();
    write_json(val, &mut out, budget, 0, true)?;
    Ok(Some(out))
}

/// Appends JSON text. Missing items of arrays are null, missing keys vanish; `sorted` puts keys into
/// JavaScript's order.
pub(crate) fn write_json(
    val: &Val<'_>,
    out: &mut String,
    budget: &Budget,
    depth: usize,
    sorted: bool,
) -> Result<(), EvaluationError> {
    let start = out.len();
    match val {
        Val::Missing | Val::Null => out.push_str("null"),
        Val::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Val::Int(int) => write_int(*int, out),
        Val::Float(float) if float.is_finite() => records::write_number(*float, out),
        Val::Float(_) => out.push_str("null"),
        Val::Decimal(digits) => out.push_str(digits),
        Val::Text(text) => quote(text, out),
        Val::Ref(value) if !sorted => return write_value(value, out, budget, depth),
        structure => {
            budget.depth(depth)?;
            match structure.shape(budget)? {
                Shape::Array(items) => {
                    out.push('[');
                    for (index, item) in items.iter().enumerate() {
                        if index > 0 {
                            out.push(',');
                        }
                        write_json(item, out, budget, depth + 1, sorted)?;
                    }
                    out.push(']');
                }
                Shape::Object(entries) => {
                    out.push('{');
                    let mut first = true;
                    for (key, val) in entries.iter() {
                        if val.is_missing() {
                            continue;
                        }
                        if !first {
                            out.push(',');
                        }
                        first = false;
                        records::write_text(key, out);
                        out.push(':');
                        write_json(val, out, budget, depth + 1, sorted)?;
                    }
                    out.push('}');
                }
                Shape::Scalar(Val::Event(event)) => {
                    return write_json(&event.plain().unwrap_or_default(), out, budget, depth + 1, sorted);
                }
                Shape::Scalar(_) => {}
            }
            return budget.text(2);
        }
    }
    budget.text(out.len() - start)
}

fn write_value(value: &Value, out: &mut String, budget: &Budget, depth: usize) -> Result<(), EvaluationError> {
    budget.depth(depth)?;
    match value {
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(item, out, budget, depth + 1)?;
            }
            out.push(']');
            budget.text(2)
        }
        Value::Object(object) => {
            out.push('{');
            for (index, (key, value)) in object.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                records::write_text(key, out);
                out.push(':');
                write_value(value, out, budget, depth + 1)?;
            }
            out.push('}');
            budget.text(2)
        }
        scalar => {
            let start = out.len();
            scalar.write_json(out);
            budget.text(out.len() - start)
        }
    }
}
