//! Dates as JavaScript reads them: ISO 8601, mail dates, and the looser forms that V8 takes.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

/// Milliseconds since 1970 of a date in text. A date and time without a zone is UTC.
pub(crate) fn parse(text: &str) -> Option<i64> {
    iso(text).or_else(|| loose(text))
}

/// The same, but only of text that begins as a date does: `May 5`, not `room 5`.
pub(crate) fn parse_plain(text: &str) -> Option<i64> {
    let start: String = text.chars().take(3).collect::<String>().to_lowercase();
    let begins = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-'))
        || MONTHS.contains(&start.as_str())
        || DAYS.contains(&start.as_str());
    if begins { parse(text) } else { None }
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

fn number(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.strip_prefix('+').unwrap_or(text).parse().ok()
}

fn millis(date: Date, time: Time, offset_minutes: i64) -> Option<i64> {
    let at = TimeZone::UTC.to_timestamp(DateTime::from_parts(date, time)).ok()?.as_millisecond();
    at.checked_sub(offset_minutes.checked_mul(60_000)?)
}

fn date(year: i64, month: i64, day: i64) -> Option<Date> {
    Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// `2024`, `2024-02`, `2024-02-29`, `2024-02-29T13:14`, `…:15`, `….016`, each with `Z` or `+01:00`.
fn iso(text: &str) -> Option<i64> {
    let (day, time) = match text.split_once('T') {
        Some((day, time)) => (day, Some(time)),
        None => (text, None),
    };
    let (sign, unsigned) = match day.strip_prefix('-') {
        Some(unsigned) => (-1, unsigned),
        None => (1, day.strip_prefix('+').unwrap_or(day)),
    };
    let signed = unsigned.len() != day.len();
    let mut parts = unsigned.split('-');
    let year = parts.next().filter(|year| year.len() == if signed { 6 } else { 4 }).and_then(number)? * sign;
    let two = |part: Option<&str>| part.map_or(Some(1), |part| number(part).filter(|_| part.len() == 2));
    let (month, day) = (two(parts.next())?, two(parts.next())?);
    if parts.next().is_some() {
        return None;
    }
    let date = date(year, month, day)?;
    let Some(time) = time else { return millis(date, Time::midnight(), 0) };
    let (time, offset) = zone(time)?;
    if time.len() < 5 || time.as_bytes().get(2) != Some(&b':') {
        return None;
    }
    clock(date, time, offset)
}

/// Splits a time from its zone, in minutes east of Greenwich.
fn zone(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    match time.rfind(['+', '-']) {
        Some(index) => {
            let (time, offset) = time.split_at(index);
            let sign = if offset.starts_with('-') { -1 } else { 1 };
            let digits: String = offset[1..].chars().filter(|c| *c != ':').collect();
            let (hours, minutes) = match digits.len() {
                2 => (number(&digits)?, 0),
                4 => (number(digits.get(..2)?)?, number(digits.get(2..)?)?),
                _ => return None,
            };
            if hours > 23 || minutes > 59 {
                return None;
            }
            Some((time, sign * (hours * 60 + minutes)))
        }
        None => Some((time, 0)),
    }
}

fn clock(date: Date, time: &str, offset: i64) -> Option<i64> {
    let mut parts = time.split(':');
    let hour = number(parts.next()?)?;
    let minute = parts.next().map_or(Some(0), number)?;
    let (second, fraction) = match parts.next() {
        Some(second) => match second.split_once(['.', ',']) {
            Some((second, fraction)) => (number(second)?, milli_of(fraction)?),
            None => (number(second)?, 0),
        },
        None => (0, 0),
    };
    if parts.next().is_some() {
        return None;
    }
    if hour == 24 && minute == 0 && second == 0 && fraction == 0 {
        return millis(date.tomorrow().ok()?, Time::midnight(), offset);
    }
    let byte = |number: i64| i8::try_from(number).ok();
    let time = Time::new(byte(hour)?, byte(minute)?, byte(second)?, 0).ok()?;
    Some(millis(date, time, offset)? + fraction)
}

fn milli_of(fraction: &str) -> Option<i64> {
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction.chars().chain("00".chars()).take(3).collect();
    digits.parse().ok()
}

/// What V8 takes beyond ISO: words for months and days, slashes, spaces, `AM` and `PM`, zones by name.
fn loose(text: &str) -> Option<i64> {
    const ZONES: [(&str, i64); 11] = [
        ("z", 0),
        ("ut", 0),
        ("utc", 0),
        ("gmt", 0),
        ("est", -300),
        ("edt", -240),
        ("cst", -360),
        ("cdt", -300),
        ("mst", -420),
        ("pst", -480),
        ("pdt", -420),
    ];
    if text.len() > 200 {
        return None;
    }
    let (mut month, mut numbers, mut time, mut offset, mut afternoon) = (None, Vec::new(), None, 0, None);
    let spaced = without_parentheses(text);
    let words = spaced.split([' ', ',', '\t']).flat_map(|word| word.split('T')).filter(|word| !word.is_empty());
    let is_iso_day = |word: &str| {
        let parts: Vec<&str> = word.split('-').collect();
        parts.len() == 3 && parts.iter().all(|part| number(part).is_some())
    };
    for word in words {
        let lower = word.to_lowercase();
        let start: String = lower.chars().take(3).collect();
        if word.contains(':') && time.is_none() {
            let (clock, zone) = zone(word)?;
            time = Some(clock.to_owned());
            if clock.len() != word.len() {
                offset = zone;
            }
        } else if is_iso_day(word) || word.split('/').count() == 3 {
            numbers.extend(word.split(['-', '/']).map(number).collect::<Option<Vec<_>>>()?);
        } else if let Some(value) = number(&lower).filter(|_| !lower.starts_with(['+', '-'])) {
            numbers.push(value);
        } else if lower.starts_with(['+', '-']) && time.is_some() {
            offset = zone(&format!("0{word}"))?.1;
        } else if let Some(index) = MONTHS.iter().position(|name| *name == start) {
            month = Some(i64::try_from(index).ok()? + 1);
        } else if matches!(lower.as_str(), "am" | "pm") {
            afternoon = Some(lower == "pm");
        } else if let Some((_, minutes)) = ZONES.iter().find(|(name, _)| *name == lower) {
            offset = *minutes;
        } else if let Some((name, rest)) = lower.split_at_checked(3).filter(|(name, _)| matches!(*name, "gmt" | "utc"))
        {
            let _ = name;
            offset = zone(&format!("0{rest}"))?.1;
        } else if numbers.is_empty() && time.is_none() && !word.starts_with(|c: char| c.is_ascii_digit()) {
            // Before the first number anything goes.
            let digits = word.trim_start_matches(|c: char| !c.is_ascii_digit());
            match digits.is_empty() {
                true => {}
                false => numbers.push(number(digits)?),
            }
        } else if !DAYS.contains(&start.as_str()) {
            return None;
        }
    }
    let (year, month, day) = match (month, numbers[..].as_ref()) {
        (Some(month), [day, year]) if *day <= 31 => (*year, month, *day),
        (Some(month), [year, day]) => (*year, month, *day),
        (Some(month), [year]) if *year > 31 => (*year, month, 1),
        (Some(month), [day]) => (2001, month, *day),
        (None, [year, month, day]) if *year > 31 => (*year, *month, *day),
        (None, [month, day, year]) => (*year, *month, *day),
        (None, [month, day]) => (2001, *month, *day),
        (None, [number]) if *number >= 1 && *number <= 12 => (2001, *number, 1),
        (None, [year]) if *year > 31 => (*year, 1, 1),
        _ => return None,
    };
    let year = match year {
        0..=49 => year + 2000,
        50..=99 => year + 1900,
        year => year,
    };
    if !(1..=31).contains(&day) {
        return None;
    }
    // A day that a month lacks counts on into the next.
    let first = date(year, month, 1)?;
    let date = first.checked_add(jiff::Span::new().try_days(day - 1).ok()?).ok()?;
    let at = match time {
        Some(time) => clock(date, &time, offset)?,
        None => millis(date, Time::midnight(), offset)?,
    };
    let hour = at.rem_euclid(86_400_000) / 3_600_000;
    Some(match afternoon {
        Some(true) if hour < 12 => at + 43_200_000,
        Some(false) if hour == 12 => at - 43_200_000,
        _ => at,
    })
}

fn without_parentheses(text: &str) -> String {
    let mut depth = 0usize;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            c if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}
