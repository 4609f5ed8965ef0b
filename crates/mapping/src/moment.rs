//! Points in time as text, without detours.

/// The same text as [`records::timestamp_text`], made faster: mapping prints one for nearly every record.
pub(crate) fn timestamp_text(micros: i64) -> String {
    let seconds = micros.div_euclid(1_000_000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // The years 0000 to 9999; outside of them the text has another form.
    if !(-719_528..=2_932_896).contains(&days) {
        return records::timestamp_text(micros);
    }
    let (year, month, day) = civil(days);
    let rest = micros.rem_euclid(1_000_000);
    let mut out = Vec::with_capacity(27);
    digits(year, 4, &mut out);
    out.push(b'-');
    digits(month, 2, &mut out);
    out.push(b'-');
    digits(day, 2, &mut out);
    out.push(b'T');
    digits(second / 3600, 2, &mut out);
    out.push(b':');
    digits(second / 60 % 60, 2, &mut out);
    out.push(b':');
    digits(second % 60, 2, &mut out);
    out.push(b'.');
    match rest % 1000 {
        0 => digits(rest / 1000, 3, &mut out),
        _ => digits(rest, 6, &mut out),
    }
    out.push(b'Z');
    String::from_utf8(out).unwrap_or_default()
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
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
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

#[cfg(test)]
mod tests;
