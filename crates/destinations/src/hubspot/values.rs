//! Values as HubSpot's properties take them, converted the way JavaScript converts them: trimmed texts, lists joined
//! with semicolons, JSON in texts, clean names.

use records::{Object, Value};

/// Without what JavaScript calls white space at both ends.
pub(super) fn trimmed(text: &str) -> &str {
    text.trim_matches(is_space)
}

pub(super) fn is_space(c: char) -> bool {
    matches!(c, '\t'..='\r' | ' ' | '\u{a0}' | '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{1680}' | '\u{2000}'..='\u{200a}'
        | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

/// A value as text: `String(value)`.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(int) => int.to_string(),
        Value::Float(float) => records::number_text(*float),
        Value::Decimal(digits) => digits.to_string(),
        Value::Text(text) => text.clone(),
        Value::Array(items) => {
            let texts: Vec<_> =
                items.iter().map(|item| if item.is_null() { String::new() } else { text_of(item) }).collect();
            texts.join(",")
        }
        Value::Object(_) => "[object Object]".to_owned(),
    }
}

/// A value as a number: `Number(value)`. None: it is no number.
pub(super) fn number_of(value: &Value) -> Option<Value> {
    let number = match value {
        Value::Int(_) | Value::Float(_) | Value::Decimal(_) => return Some(value.clone()),
        Value::Null => 0.0,
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::Text(text) => mapping::number_of_text(text),
        Value::Array(_) => mapping::number_of_text(&text_of(value)),
        Value::Object(_) => f64::NAN,
    };
    if number.is_nan() {
        return None;
    }
    Some(if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 {
        Value::Int(number as i64)
    } else if number.is_finite() {
        Value::Float(number)
    } else {
        // Infinity is written as null into JSON.
        Value::Null
    })
}

/// Whether JavaScript takes a value for true.
pub(super) fn is_truthy(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Bool(value)) => *value,
        Some(Value::Int(int)) => *int != 0,
        Some(Value::Float(float)) => *float != 0.0,
        Some(Value::Decimal(digits)) => digits.bytes().any(|byte| matches!(byte, b'1'..=b'9')),
        Some(Value::Text(text)) => !text.is_empty(),
        Some(Value::Array(_) | Value::Object(_)) => true,
    }
}

/// A field's text, if it has one.
pub(super) fn text<'f>(fields: &'f Value, key: &str) -> Option<&'f str> {
    fields.get(key).and_then(Value::as_str)
}

/// Properties of the CRM from a mapping's object: nulls left out, texts trimmed, the items of lists joined with `;`,
/// objects as JSON.
pub(super) fn flattened(properties: Option<&Value>) -> Option<Object> {
    let item_text = |item: &Value| match item {
        Value::Null | Value::Array(_) | Value::Object(_) => item.to_json(),
        plain => text_of(plain),
    };
    let entries = properties?.as_object()?.iter().filter_map(|(name, value)| {
        let value = match value {
            Value::Null => return None,
            Value::Array(items) => Value::Text(items.iter().map(item_text).collect::<Vec<_>>().join(";")),
            Value::Object(_) => Value::Text(value.to_json()),
            Value::Text(text) => Value::from(trimmed(text)),
            plain => plain.clone(),
        };
        Some((name.to_owned(), value))
    });
    Some(entries.collect())
}

/// The internal name of a property: lower case, anything but letters, digits and `_` made `_`.
///
/// # Errors
/// It does not begin with a letter.
pub(super) fn property_name(name: &str) -> Result<String, String> {
    let clean = clean_name(name, |c| c == '_');
    if clean.starts_with(|c: char| c.is_ascii_lowercase()) {
        Ok(clean)
    } else {
        Err(format!("the property name `{name}` does not begin with a letter, as HubSpot's names must; rename it"))
    }
}

/// The internal name of an event: as for properties, but `-` stays.
pub(super) fn event_name(name: &str) -> String {
    clean_name(name, |c| matches!(c, '_' | '-'))
}

fn clean_name(name: &str, also: impl Fn(char) -> bool) -> String {
    let mut clean = String::with_capacity(name.len());
    for c in name.to_lowercase().chars() {
        if c.is_ascii_lowercase() || c.is_ascii_digit() || also(c) {
            clean.push(c);
        } else {
            // One for each of its UTF-16 units.
            (0..c.len_utf16()).for_each(|_| clean.push('_'));
        }
    }
    clean
}

/// What a text stands for where types are guessed from values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextKind {
    Plain,
    Date,
    DateTime,
}

/// Whether a text is a date or a date and time of ISO 8601. Names and shapes are looked at, not calendars.
pub(super) fn text_kind(text: &str) -> TextKind {
    let shape = Shape(text.as_bytes());
    match shape.date() {
        None => TextKind::Plain,
        Some(Shape([])) => TextKind::Date,
        Some(rest) if rest.time().is_some_and(|rest| rest.0.is_empty()) => TextKind::DateTime,
        Some(_) => TextKind::Plain,
    }
}

/// What is left of a text that is being compared with a shape.
#[derive(Clone, Copy)]
struct Shape<'t>(&'t [u8]);

impl<'t> Shape<'t> {
    fn sign(self, signs: &[u8]) -> Option<Self> {
        let (first, rest) = self.0.split_first()?;
        signs.contains(first).then_some(Self(rest))
    }

    fn maybe(self, sign: u8) -> Self {
        self.sign(&[sign]).unwrap_or(self)
    }

    /// That many digits, and the number they make.
    fn digits(self, count: usize) -> Option<(u32, Self)> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        let value = |value: u32, byte: &u8| value * 10 + u32::from(byte - b'0');
        digits.iter().all(u8::is_ascii_digit).then(|| (digits.iter().fold(0, value), Self(rest)))
    }

    fn date(self) -> Option<Self> {
        let (_, rest) = self.digits(4)?;
        let (month, rest) = rest.sign(b"-")?.digits(2)?;
        let (day, rest) = rest.sign(b"-")?.digits(2)?;
        ((1..=12).contains(&month) && (1..=31).contains(&day)).then_some(rest)
    }

    fn time(self) -> Option<Self> {
        let (_, rest) = self.sign(b" T")?.digits(2)?;
        let (_, rest) = rest.maybe(b':').digits(2)?;
        let rest = match rest.maybe(b':').digits(2) {
            Some((_, rest)) => rest.fraction().unwrap_or(rest),
            None => rest,
        };
        if let Some(rest) = rest.sign(b"Z") {
            return Some(rest);
        }
        let Some(zone) = rest.sign(b"+-") else { return Some(rest) };
        let (_, rest) = zone.digits(2)?;
        Some(rest.maybe(b':').digits(2).map_or(rest, |(_, rest)| rest))
    }

    fn fraction(self) -> Option<Self> {
        let rest = self.sign(b",.")?;
        let digits = rest.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        (digits > 0).then_some(Self(&rest.0[digits..]))
    }
}

/// A text as one segment of a path: what would end the segment, or is no part of a URL, is escaped.
pub(super) fn segment(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_graphic()
            && !matches!(byte, b'"' | b'#' | b'<' | b'>' | b'?' | b'`' | b'{' | b'}' | b'/' | b'\\' | b'%' | b'^');
        if plain {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        Value::parse(json).unwrap()
    }

    #[test]
    fn texts_are_told_from_dates() {
        let dates = ["2024-02-29", "1999-12-31", "2024-06-31"];
        let times = [
            "2024-02-29T13:14:15Z",
            "2024-02-29 13:14",
            "2024-02-29T1314",
            "2024-02-29T13:14:15.016+01:00",
            "2024-02-29T13:14:15,5-0130",
            "2024-02-29T13:14:15+01",
            "2024-02-29T131415Z",
        ];
        let plain = [
            "2024-13-01",
            "2024-00-10",
            "2024-02-32",
            "24-02-01",
            "2024-02-29T",
            "2024-02-29T13",
            "noon",
            "",
            "2024-02-29T13:14:15.Z",
            "2024-02-29Z",
            "2024-02-29T13:14:15z",
            " 2024-02-29",
        ];
        for text in dates {
            assert_eq!(text_kind(text), TextKind::Date, "{text}");
        }
        for text in times {
            assert_eq!(text_kind(text), TextKind::DateTime, "{text}");
        }
        for text in plain {
            assert_eq!(text_kind(text), TextKind::Plain, "{text}");
        }
    }

    #[test]
    fn properties_are_flattened() {
        let given = value(
            r#"{"a": " x ", "b": null, "c": [1, "y", null, {"z": 1}, true], "d": {"e": [1]}, "f": 1.50, "g": ""}"#,
        );
        let flat = flattened(Some(&given)).map(Value::from);
        let expected = value(r#"{"a": "x", "c": "1;y;null;{\"z\":1};true", "d": "{\"e\":[1]}", "f": 1.5, "g": ""}"#);
        assert_eq!(flat, Some(expected));
        assert_eq!(flattened(None), None);
    }

    #[test]
    fn numbers_are_what_javascript_makes_of_them() {
        let table = [
            ("null", Some("0")),
            ("\"\"", Some("0")),
            ("\" 12 \"", Some("12")),
            ("\"0x10\"", Some("16")),
            ("\"1.5\"", Some("1.5")),
            ("\"x\"", None),
            ("[]", Some("0")),
            ("[7]", Some("7")),
            ("[1,2]", None),
            ("{}", None),
            ("\"Infinity\"", Some("null")),
            ("[[\"8\"]]", Some("8")),
        ];
        for (given, expected) in table {
            assert_eq!(number_of(&value(given)), expected.map(value), "{given}");
        }
    }

    #[test]
    fn names_are_cleaned() {
        assert_eq!(property_name("Plan Name"), Ok("plan_name".to_owned()));
        assert_eq!(property_name("a-é😀"), Ok("a____".to_owned()));
        assert!(property_name("1st").is_err());
        assert!(property_name("").is_err());
        assert_eq!(event_name("Signed-Up Now."), "signed-up_now_");
    }

    #[test]
    fn segments_of_paths_are_escaped() {
        assert_eq!(segment("lukasz+test@example.pl"), "lukasz+test@example.pl");
        assert_eq!(segment("a/b?c#d e%é"), "a%2Fb%3Fc%23d%20e%25%C3%A9");
    }
}
