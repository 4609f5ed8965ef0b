//! Dates and times as text, without detours: mapping prints a time stamp for nearly every record.

/// Microseconds since 1970 as RFC 3339 in UTC, with milliseconds as JavaScript prints them, or with microseconds if
/// there are any: `2024-02-29T13:14:15.016Z`. A time stamp without a zone is taken as UTC. Years before 0000 and after
/// 9999 have a sign and six digits, as in JavaScript; the ends of the range are PostgreSQL's infinities.
pub fn timestamp_text(micros: i64) -> String {
    match micros {
        i64::MAX => return "infinity".to_owned(),
        i64::MIN => return "-infinity".to_owned(),
        _ => {}
    }
    let seconds = micros.div_euclid(1_000_000);
    let rest = micros.rem_euclid(1_000_000);
    let mut out = Vec::with_capacity(30);
    date(seconds.div_euclid(86_400), &mut out);
    out.push(b'T');
    time(seconds.rem_euclid(86_400), &mut out);
    fraction(rest, &mut out);
    out.push(b'Z');
    text(out)
}

/// A time of day as ISO 8601: `13:14:15`, with a fraction only if there is one.
pub fn time_text(micros: i64) -> String {
    let mut out = Vec::with_capacity(15);
    time(micros.div_euclid(1_000_000), &mut out);
    match micros.rem_euclid(1_000_000) {
        0 => {}
        rest => fraction(rest, &mut out),
    }
    text(out)
}

/// Days since 1970 as ISO 8601: `2024-02-29`. The ends of the range are PostgreSQL's infinities.
pub(crate) fn date_text(days: i32) -> String {
    match days {
        i32::MAX => return "infinity".to_owned(),
        i32::MIN => return "-infinity".to_owned(),
        _ => {}
    }
    let mut out = Vec::with_capacity(13);
    date(i64::from(days), &mut out);
    text(out)
}

fn date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(days);
    if (0..=9999).contains(&year) {
        digits(year, 4, out);
    } else {
        out.push(if year < 0 { b'-' } else { b'+' });
        digits(year.abs(), 6, out);
    }
    out.push(b'-');
    digits(month, 2, out);
    out.push(b'-');
    digits(day, 2, out);
}

fn time(second: i64, out: &mut Vec<u8>) {
    digits(second / 3600, 2, out);
    out.push(b':');
    digits(second / 60 % 60, 2, out);
    out.push(b':');
    digits(second % 60, 2, out);
}

fn fraction(rest: i64, out: &mut Vec<u8>) {
    out.push(b'.');
    match rest % 1000 {
        0 => digits(rest / 1000, 3, out),
        _ => digits(rest, 6, out),
    }
}

fn text(digits: Vec<u8>) -> String {
    String::from_utf8(digits).unwrap_or_default()
}

fn digits(mut number: i64, width: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + width, b'0');
    for place in out[start..].iter_mut().rev() {
        *place = b'0' + u8::try_from(number.rem_euclid(10)).unwrap_or(0);
        number /= 10;
    }
}

/// Year, month and day of a count of days since 1970-01-01 in the proleptic Gregorian calendar.
pub fn civil(days: i64) -> (i64, i64, i64) {
    // Years begin in March here, so that the leap day is a year's last.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}
