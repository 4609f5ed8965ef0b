//! Dates as seconds since 1970, which is how Customer.io keeps them.

use records::{Object, Value};

/// A time as seconds. A text of digits is one already, and a text that is no date stays as it is.
pub(super) fn unix_seconds(time: Value) -> Value {
    match &time {
        Value::Text(text) if !is_number(text) => seconds(text).map_or(time, Value::Int),
        _ => time,
    }
}

/// The object with every text that is a date of ISO 8601 as seconds, in the objects within it too. Lists stay as they
/// are.
pub(super) fn converted(mut object: Object) -> Object {
    for (_, value) in object.iter_mut() {
        match value {
            Value::Text(text) if is_iso_date(text) => {
                if let Some(seconds) = seconds(text) {
                    *value = Value::Int(seconds);
                }
            }
            Value::Object(within) => *value = Value::Object(converted(std::mem::take(within))),
            _ => {}
        }
    }
    object
}

fn seconds(text: &str) -> Option<i64> {
    mapping::dayjs_millis(text).map(|millis| millis.div_euclid(1000))
}

/// `1718008200`, `1718008200.5`.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(text),
    }
}

/// `2024-06-10`, `2024-06-10T08:30`, `…:15`, `….123`, each time with or without a zone; and a day that there is.
fn is_iso_date(text: &str) -> bool {
    has_iso_shape(text.as_bytes()) && mapping::date_millis(text).is_some()
}

fn has_iso_shape(text: &[u8]) -> bool {
    let fits = |text: &[u8], shape: &[u8]| {
        text.len() >= shape.len()
            && shape.iter().zip(text).all(|(sign, byte)| match sign {
                b'0' => byte.is_ascii_digit(),
                sign => sign == byte,
            })
    };
    let Some(mut rest) = text.get(10..).filter(|_| fits(text, b"0000-00-00")) else { return false };
    if rest.is_empty() {
        return true;
    }
    if !fits(rest, b"T00:00") {
        return false;
    }
    rest = &rest[6..];
    if fits(rest, b":00") {
        rest = &rest[3..];
    }
    if let Some(fraction) = rest.strip_prefix(b".") {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=9).contains(&digits) {
            return false;
        }
        rest = &fraction[digits..];
    }
    match rest {
        [] | b"Z" => true,
        [b'+' | b'-', offset @ ..] => {
            (offset.len() == 4 && fits(offset, b"0000")) || (offset.len() == 5 && fits(offset, b"00:00"))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_seconds() {
        let check = |text: &str, expected: Value| assert_eq!(unix_seconds(Value::from(text)), expected, "{text}");
        check("2024-06-10T08:30:00.999Z", Value::Int(1_718_008_200));
        check("June 10, 2024", Value::Int(1_717_977_600));
        check("1969-12-31T23:59:59.5Z", Value::Int(-1));
        for text in ["1718008200", "1718008200.5", "soon", ""] {
            check(text, Value::from(text));
        }
        assert_eq!(unix_seconds(Value::Int(5)), Value::Int(5));
    }

    #[test]
    fn only_dates_of_iso_8601_are_converted_among_attributes() {
        let check = |text: &str, is_date: bool| assert_eq!(is_iso_date(text), is_date, "{text}");
        for text in [
            "2024-06-10",
            "2024-02-30",
            "2024-06-10T08:30",
            "2024-06-10T08:30:00.123456789Z",
            "2024-06-10T08:30:00+02:00",
            "2024-06-10T08:30-0530",
        ] {
            check(text, true);
        }
        for text in [
            "2024-13-01",
            "2024-06-10 08:30",
            "2024-06-10T08:30:00.1234567890Z",
            "2024-06-10Z",
            "2024-06-10T8:30",
            "2024-06-10T08:30+02",
            "2024-06-10T08:30:00.",
            "20240610",
            "June 10, 2024",
        ] {
            check(text, false);
        }
    }
}
