//! Dates in the form that Iterable knows: `2024-06-10 08:30:00 +00:00` among fields, seconds since 1970 for events.

use records::{Object, Value};

/// Writes every text that is a date and a time in Iterable's form, in objects and lists within too. A day alone stays
/// as it is; what looks like a date and is none becomes null.
pub(super) fn converted(object: &mut Object) {
    object.iter_mut().for_each(|(_, value)| convert(value));
}

fn convert(value: &mut Value) {
    match value {
        Value::Text(text) if text.len() > 10 && has_shape(text.as_bytes()) => {
            *value = written(text).map_or(Value::Null, Value::Text);
        }
        Value::Object(object) => converted(object),
        Value::Array(items) => items.iter_mut().for_each(convert),
        _ => {}
    }
}

fn written(text: &str) -> Option<String> {
    let iso = mapping::date_text(mapping::date_millis(text)?)?;
    let (seconds, _) = iso.split_once('.')?;
    Some(format!("{} +00:00", seconds.replace('T', " ")))
}

/// `2024-06-10`, then `T` or a space and a time with or without colons, a fraction and a zone.
fn has_shape(text: &[u8]) -> bool {
    let two = |text: &[u8]| text.len() >= 2 && text[..2].iter().all(u8::is_ascii_digit);
    let number = |text: &[u8]| if two(text) { (text[0] - b'0') * 10 + (text[1] - b'0') } else { u8::MAX };
    let day = text.len() >= 10
        && two(text)
        && two(&text[2..])
        && text[4] == b'-'
        && (1..=12).contains(&number(&text[5..]))
        && text[7] == b'-'
        && (1..=31).contains(&number(&text[8..]));
    if !day {
        return false;
    }
    let Some((b' ' | b'T', rest)) = text[10..].split_first() else { return text.len() == 10 };
    let after_colon = |rest: &'_ [u8]| rest.len() - rest.strip_prefix(b":").unwrap_or(rest).len();
    if !two(rest) {
        return false;
    }
    let mut rest = &rest[2..];
    rest = &rest[after_colon(rest)..];
    if !two(rest) {
        return false;
    }
    rest = &rest[2..];
    let seconds = &rest[after_colon(rest)..];
    if two(seconds) {
        rest = &seconds[2..];
        if let [b',' | b'.', fraction @ ..] = rest {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 {
                return false;
            }
            rest = &fraction[digits..];
        }
    }
    match rest {
        [] | b"Z" => true,
        [b'+' | b'-', offset @ ..] if two(offset) => {
            let minutes = &offset[2..];
            offset.len() == 2 || (two(&minutes[after_colon(minutes)..]) && minutes.len() - after_colon(minutes) == 2)
        }
        _ => false,
    }
}

/// The time of an event. A number counts as milliseconds, and what is no date becomes null.
pub(super) fn unix_seconds(time: Option<&Value>, now: i64) -> Value {
    match time {
        None => Value::Int(now),
        Some(Value::Int(millis)) => Value::Int(millis.div_euclid(1000)),
        Some(Value::Float(millis)) if millis.abs() <= 8.64e15 => Value::Int((millis / 1000.0).floor() as i64),
        Some(Value::Text(text)) => mapping::dayjs_millis(text).map(|millis| millis.div_euclid(1000)).into(),
        Some(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_among_fields_are_written_in_iterables_form() {
        let check = |text: &str, expected: Value| {
            let mut value = Value::from(text);
            convert(&mut value);
            assert_eq!(value, expected, "{text}");
        };
        for text in [
            "2024-06-10T08:30:00.999Z",
            "2024-06-10 08:30",
            "2024-06-10T10:30:00+02:00",
            "2024-06-10 10:30:00+0200",
            "2024-06-10 10:30:00+02",
        ] {
            check(text, Value::from("2024-06-10 08:30:00 +00:00"));
        }
        // JavaScript's own reading of dates knows no such time.
        check("2024-06-10T0830", Value::Null);
        check("2024-06-10T08:30:00,5Z", Value::Null);
        for text in
            ["2024-06-10", "2024-13-10T08:30:00Z", "2024-06-10T08", "June 10, 2024", "2024-06-10T08:30:00.Z", "é"]
        {
            check(text, Value::from(text));
        }
    }

    #[test]
    fn times_of_events_become_seconds() {
        assert_eq!(unix_seconds(None, 7), Value::Int(7));
        assert_eq!(unix_seconds(Some(&Value::Int(1_718_008_200_999)), 7), Value::Int(1_718_008_200));
        assert_eq!(unix_seconds(Some(&Value::from("2024-06-10 08:30")), 7), Value::Int(1_718_008_200));
        assert_eq!(unix_seconds(Some(&Value::from("soon")), 7), Value::Null);
    }
}
