//! PostgreSQL's binary form of single values: how each is read, and the text of those that become text.

use std::io::Write as _;

use records::{Cell, Kind, time_text};

/// A type whose binary form is read here. Whatever else there is arrives as text that the server makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Money,
    Numeric,
    /// `text` and all that is sent as it: `varchar`, `char`, `name`, `citext`, `xml`, enumerations.
    Text,
    Uuid,
    Date,
    Time,
    TimeTz,
    Timestamp,
    TimestampTz,
    Interval,
    Json,
    Jsonb,
    Bytea,
    Inet,
    MacAddr,
}

/// Bytes that are not a value's binary form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("the server sent bytes that are no `{0}` in binary form")]
    Type(&'static str),
    #[error("a value holds bytes that are not UTF-8")]
    NotUtf8,
    #[error("a value is larger than 2 GiB")]
    TooLarge,
}

/// Days and microseconds from 1970 to 2000, where PostgreSQL begins to count.
const DAYS: i32 = 10_957;
const MICROS: i64 = 946_684_800_000_000;

impl Scalar {
    pub(super) fn kind(self) -> Kind {
        match self {
            Scalar::Bool => Kind::Bool,
            Scalar::Int2 | Scalar::Int4 | Scalar::Int8 | Scalar::Oid => Kind::Int,
            Scalar::Float4 | Scalar::Float8 => Kind::Float,
            Scalar::Money | Scalar::Numeric => Kind::Decimal,
            Scalar::Date => Kind::Date,
            Scalar::Time => Kind::Time,
            Scalar::Timestamp => Kind::Timestamp,
            Scalar::TimestampTz => Kind::TimestampTz,
            Scalar::Json | Scalar::Jsonb => Kind::Json,
            Scalar::Bytea => Kind::Binary,
            Scalar::Text | Scalar::Uuid | Scalar::TimeTz | Scalar::Interval | Scalar::Inet | Scalar::MacAddr => {
                Kind::Text
            }
        }
    }

    /// The word for it in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Scalar::Bool => "boolean",
            Scalar::Int2 => "int2",
            Scalar::Int4 => "int4",
            Scalar::Int8 => "int8",
            Scalar::Oid => "oid",
            Scalar::Float4 => "float4",
            Scalar::Float8 => "float8",
            Scalar::Money => "money",
            Scalar::Numeric => "numeric",
            Scalar::Text => "text",
            Scalar::Uuid => "uuid",
            Scalar::Date => "date",
            Scalar::Time => "time",
            Scalar::TimeTz => "timetz",
            Scalar::Timestamp => "timestamp",
            Scalar::TimestampTz => "timestamptz",
            Scalar::Interval => "interval",
            Scalar::Json => "json",
            Scalar::Jsonb => "jsonb",
            Scalar::Bytea => "bytea",
            Scalar::Inet => "inet",
            Scalar::MacAddr => "macaddr",
        }
    }
}

/// Days since 1970, the infinities kept.
pub(super) fn date(days: i32) -> i32 {
    match days {
        i32::MAX | i32::MIN => days,
        days => days.saturating_add(DAYS),
    }
}

/// Microseconds since 1970, the infinities kept.
pub(super) fn timestamp(micros: i64) -> i64 {
    match micros {
        i64::MAX | i64::MIN => micros,
        // The last 26 of PostgreSQL's 294,276 years do not fit and end just before infinity.
        micros => micros.saturating_add(MICROS).min(i64::MAX - 1),
    }
}

/// The double with the shortest digits that name this single: `0.1`, not `0.10000000149011612`.
pub(super) fn widen(single: f32) -> f64 {
    let plain = f64::from(single);
    if !single.is_finite() {
        return plain;
    }
    // Up to six digits name one single only, and both steps below are exact or rounded once.
    let mut scale = 1.0;
    for _ in 0..=6 {
        let digits = (plain * scale).round();
        if digits.abs() >= 1e6 {
            break;
        }
        let candidate = digits / scale;
        #[expect(clippy::cast_possible_truncation, reason = "the very rounding that is asked about")]
        if candidate as f32 == single && digits != 0.0 {
            return candidate;
        }
        scale *= 10.0;
    }
    if single == 0.0 { plain } else { single.to_string().parse().unwrap_or(plain) }
}

/// Appends the exact digits of a `numeric`.
pub(super) fn numeric(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    const MALFORMED: Malformed = Malformed::Type("numeric");
    let (head, digits) = bytes.split_at_checked(8).ok_or(MALFORMED)?;
    let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let (count, weight, sign, scale) = (word(0), i32::from(word(2).cast_signed()), word(4), word(6));
    match sign {
        0x0000 => {}
        0x4000 if count > 0 => out.push(b'-'),
        0x4000 => {}
        0xC000 => {
            out.extend_from_slice(b"NaN");
            return Ok(());
        }
        0xD000 => {
            out.extend_from_slice(b"Infinity");
            return Ok(());
        }
        0xF000 => {
            out.extend_from_slice(b"-Infinity");
            return Ok(());
        }
        _ => return Err(MALFORMED),
    }
    if digits.len() != usize::from(count) * 2 || scale > 0x3FFF {
        return Err(MALFORMED);
    }
    // The group of four digits whose worth is 10000 to the power.
    let group = |power: i32| -> Result<u16, Malformed> {
        let Ok(index) = usize::try_from(weight - power) else { return Ok(0) };
        match digits.get(index * 2..index * 2 + 2) {
            Some(pair) => match u16::from_be_bytes([pair[0], pair[1]]) {
                group @ 0..=9999 => Ok(group),
                _ => Err(MALFORMED),
            },
            None => Ok(0),
        }
    };
    if weight < 0 {
        out.push(b'0');
    } else {
        let first = four(group(weight)?);
        let zeros = first.iter().take_while(|&&digit| digit == b'0').count().min(3);
        out.extend_from_slice(&first[zeros..]);
        for power in (0..weight).rev() {
            out.extend_from_slice(&four(group(power)?));
        }
    }
    if scale > 0 {
        out.push(b'.');
        let end = out.len() + usize::from(scale);
        let mut power = -1;
        while out.len() < end {
            out.extend_from_slice(&four(group(power)?));
            power -= 1;
        }
        out.truncate(end);
    }
    Ok(())
}

/// Four decimal digits of a number below 10,000.
fn four(number: u16) -> [u8; 4] {
    let digit = |value: u16| b'0' + (value % 10) as u8;
    [digit(number / 1000), digit(number / 100), digit(number / 10), digit(number)]
}

/// Appends a whole number's digits.
pub(super) fn integer(value: i64, out: &mut Vec<u8>) {
    // Writing to memory cannot fail.
    let _ = write!(out, "{value}");
}

/// Appends an amount of money: its hundredths with two digits behind the point, whatever the server's locale is.
pub(super) fn money(cents: i64, out: &mut Vec<u8>) {
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.unsigned_abs();
    let _ = write!(out, "{sign}{}.{:02}", cents / 100, cents % 100);
}

pub(super) fn uuid(bytes: &[u8; 16], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + 36, b'-');
    let mut at = start;
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            at += 1;
        }
        out[at..at + 2].copy_from_slice(&hex(*byte));
        at += 2;
    }
}

fn hex(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

/// `6` or `8` bytes with colons between them.
pub(super) fn mac_address(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    if bytes.len() != 6 && bytes.len() != 8 {
        return Err(Malformed::Type("macaddr"));
    }
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 {
            out.push(b':');
        }
        out.extend_from_slice(&hex(*byte));
    }
    Ok(())
}

/// `inet` and `cidr` as PostgreSQL prints them: the length of the mask only if it says something.
pub(super) fn inet(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    const MALFORMED: Malformed = Malformed::Type("inet");
    let [_, bits, is_cidr, length, address @ ..] = bytes else { return Err(MALFORMED) };
    if usize::from(*length) != address.len() {
        return Err(MALFORMED);
    }
    let whole = if let Ok(four) = <[u8; 4]>::try_from(address) {
        let _ = write!(out, "{}", std::net::Ipv4Addr::from(four));
        32
    } else if let Ok(sixteen) = <[u8; 16]>::try_from(address) {
        let _ = write!(out, "{}", std::net::Ipv6Addr::from(sixteen));
        128
    } else {
        return Err(MALFORMED);
    };
    if *bits != whole || *is_cidr != 0 {
        let _ = write!(out, "/{bits}");
    }
    Ok(())
}

/// A time of day with its zone: `13:14:15+02:00`.
pub(super) fn time_tz(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    const MALFORMED: Malformed = Malformed::Type("timetz");
    let bytes: [u8; 12] = bytes.try_into().map_err(|_| MALFORMED)?;
    let [a, b, c, d, e, f, g, h, west @ ..] = bytes;
    let micros = i64::from_be_bytes([a, b, c, d, e, f, g, h]);
    out.extend_from_slice(time_text(micros).as_bytes());
    let west = i32::from_be_bytes(west);
    let sign = if west > 0 { '-' } else { '+' };
    let seconds = west.unsigned_abs();
    let _ = write!(out, "{sign}{:02}:{:02}", seconds / 3600, seconds / 60 % 60);
    if !seconds.is_multiple_of(60) {
        let _ = write!(out, ":{:02}", seconds % 60);
    }
    Ok(())
}

/// An interval as an ISO 8601 duration: `P1Y2M3DT4H5M6.5S`; each part carries its own sign.
pub(super) fn interval(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    const MALFORMED: Malformed = Malformed::Type("interval");
    let bytes: [u8; 16] = bytes.try_into().map_err(|_| MALFORMED)?;
    let [a, b, c, d, e, f, g, h, i, j, k, l, months @ ..] = bytes;
    let micros = i64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let days = i32::from_be_bytes([i, j, k, l]);
    let months = i32::from_be_bytes(months);
    // PostgreSQL 17 has infinite intervals.
    match (micros, days, months) {
        (i64::MAX, i32::MAX, i32::MAX) => {
            out.extend_from_slice(b"infinity");
            return Ok(());
        }
        (i64::MIN, i32::MIN, i32::MIN) => {
            out.extend_from_slice(b"-infinity");
            return Ok(());
        }
        (0, 0, 0) => {
            out.extend_from_slice(b"PT0S");
            return Ok(());
        }
        _ => {}
    }
    out.push(b'P');
    let part = |amount: i64, unit: char, out: &mut Vec<u8>| {
        if amount != 0 {
            let _ = write!(out, "{amount}{unit}");
        }
    };
    part(i64::from(months / 12), 'Y', out);
    part(i64::from(months % 12), 'M', out);
    part(i64::from(days), 'D', out);
    if micros == 0 {
        return Ok(());
    }
    out.push(b'T');
    part(micros / 3_600_000_000, 'H', out);
    part(micros / 60_000_000 % 60, 'M', out);
    let rest = micros % 60_000_000;
    if rest != 0 {
        let sign = if rest < 0 { "-" } else { "" };
        let rest = rest.unsigned_abs();
        let _ = write!(out, "{sign}{}", rest / 1_000_000);
        let fraction = rest % 1_000_000;
        if fraction != 0 {
            let digits = format!("{fraction:06}");
            let _ = write!(out, ".{}", digits.trim_end_matches('0'));
        }
        out.push(b'S');
    }
    Ok(())
}

/// Appends JSON text without the white space between its tokens, so that white space is no change.
pub(super) fn minified(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(&byte) = rest.first() {
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => rest = &rest[1..],
            b'"' => {
                let mut end = 1;
                while let Some(&byte) = rest.get(end) {
                    end += if byte == b'\\' { 2 } else { 1 };
                    if byte == b'"' {
                        break;
                    }
                }
                let (string, behind) = rest.split_at(end.min(rest.len()));
                out.extend_from_slice(string);
                rest = behind;
            }
            byte => {
                out.push(byte);
                rest = &rest[1..];
            }
        }
    }
}

/// The text of a `jsonb` behind its version.
pub(super) fn jsonb(bytes: &[u8]) -> Result<&[u8], Malformed> {
    match bytes {
        [1, text @ ..] => Ok(text),
        _ => Err(Malformed::Type("jsonb")),
    }
}

/// Bytes of a fixed length.
pub(super) fn fixed<const N: usize>(bytes: &[u8], scalar: Scalar) -> Result<[u8; N], Malformed> {
    bytes.try_into().map_err(|_| Malformed::Type(scalar.name()))
}

/// Appends a value inside an array or composite as JSON. Infinities and NaN become text, as JSON has no such number.
pub(super) fn json_of(scalar: Scalar, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let int = match scalar {
        Scalar::Int2 => Some(i64::from(i16::from_be_bytes(fixed(bytes, scalar)?))),
        Scalar::Int4 => Some(i64::from(i32::from_be_bytes(fixed(bytes, scalar)?))),
        Scalar::Oid => Some(i64::from(u32::from_be_bytes(fixed(bytes, scalar)?))),
        Scalar::Int8 => Some(i64::from_be_bytes(fixed(bytes, scalar)?)),
        _ => None,
    };
    if let Some(int) = int {
        integer(int, out);
        return Ok(());
    }
    match scalar {
        Scalar::Bool => out.extend_from_slice(if fixed::<1>(bytes, scalar)? == [0] { b"false" } else { b"true" }),
        Scalar::Float4 => float(widen(f32::from_be_bytes(fixed(bytes, scalar)?)), out),
        Scalar::Float8 => float(f64::from_be_bytes(fixed(bytes, scalar)?), out),
        Scalar::Money => money(i64::from_be_bytes(fixed(bytes, scalar)?), out),
        Scalar::Numeric => {
            let start = out.len();
            numeric(bytes, out)?;
            if !out.last().is_some_and(u8::is_ascii_digit) {
                out.insert(start, b'"');
                out.push(b'"');
            }
        }
        Scalar::Json => {
            std::str::from_utf8(bytes).map_err(|_| Malformed::NotUtf8)?;
            minified(bytes, out);
        }
        Scalar::Jsonb => {
            let text = jsonb(bytes)?;
            std::str::from_utf8(text).map_err(|_| Malformed::NotUtf8)?;
            minified(text, out);
        }
        Scalar::Date => cell_text(Cell::Date(date(i32::from_be_bytes(fixed(bytes, scalar)?))), out),
        Scalar::Time => cell_text(Cell::Time(i64::from_be_bytes(fixed(bytes, scalar)?)), out),
        Scalar::Timestamp => cell_text(Cell::Timestamp(timestamp(i64::from_be_bytes(fixed(bytes, scalar)?))), out),
        Scalar::TimestampTz => {
            cell_text(Cell::TimestampTz(timestamp(i64::from_be_bytes(fixed(bytes, scalar)?))), out);
        }
        Scalar::Bytea => cell_text(Cell::Binary(bytes), out),
        Scalar::Text => text(std::str::from_utf8(bytes).map_err(|_| Malformed::NotUtf8)?, out),
        Scalar::Uuid | Scalar::TimeTz | Scalar::Interval | Scalar::Inet | Scalar::MacAddr => {
            out.push(b'"');
            text_of(scalar, bytes, out)?;
            out.push(b'"');
        }
        Scalar::Int2 | Scalar::Int4 | Scalar::Int8 | Scalar::Oid => {}
    }
    Ok(())
}

/// Appends the plain text of the types that become text by our own hand.
pub(super) fn text_of(scalar: Scalar, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    match scalar {
        Scalar::Uuid => {
            uuid(&fixed(bytes, scalar)?, out);
            Ok(())
        }
        Scalar::TimeTz => time_tz(bytes, out),
        Scalar::Interval => interval(bytes, out),
        Scalar::Inet => inet(bytes, out),
        Scalar::MacAddr => mac_address(bytes, out),
        _ => {
            out.extend_from_slice(bytes);
            Ok(())
        }
    }
}

fn float(value: f64, out: &mut Vec<u8>) {
    let digits = records::number_text(value);
    if value.is_finite() {
        out.extend_from_slice(digits.as_bytes());
    } else {
        text(&digits, out);
    }
}

fn cell_text(cell: Cell<'_>, out: &mut Vec<u8>) {
    text(&cell.to_text(), out);
}

/// Appends a JSON string.
pub(super) fn text(value: &str, out: &mut Vec<u8>) {
    let mut quoted = String::with_capacity(value.len() + 2);
    records::write_text(value, &mut quoted);
    out.extend_from_slice(quoted.as_bytes());
}

#[cfg(test)]
mod tests;
