//! The bytes that fingerprints and key hashes are taken of. They are defined on values, not on a driver's bytes:
//! they survive upgrades, a change of a column's width, and the order of columns. `docs/fingerprints.md` states
//! the rules for others to follow; a change here is a new checkpoint version.

use xxhash_rust::xxh3::xxh3_64;

use crate::Cell;

/// The seed of a column's hashes: equal values in different columns must not look alike.
pub fn column_seed(name: &str) -> u64 {
    xxh3_64(name.as_bytes())
}

/// Appends the canonical bytes of a cell: one tag byte, then the value.
///
/// Integers, and decimals that are integers of 64 bits, share a form, so that `int` → `numeric` is no change;
/// so do `1.5` and `1.50`. Zero has no sign, and there is one NaN.
pub fn canonical_bytes(cell: Cell<'_>, out: &mut Vec<u8>) {
    match cell {
        Cell::Null => out.push(0),
        Cell::Bool(value) => out.extend([1, u8::from(value)]),
        Cell::Int(value) => tagged(2, &value.to_le_bytes(), out),
        Cell::Float(value) => tagged(3, &canonical_float(value).to_le_bytes(), out),
        Cell::Decimal(digits) => decimal(digits, out),
        Cell::Text(text) => tagged(5, text.as_bytes(), out),
        Cell::Json(text) => tagged(6, text.as_bytes(), out),
        Cell::Date(days) => tagged(7, &days.to_le_bytes(), out),
        Cell::Time(micros) => tagged(8, &micros.to_le_bytes(), out),
        Cell::Timestamp(micros) => tagged(9, &micros.to_le_bytes(), out),
        Cell::TimestampTz(micros) => tagged(10, &micros.to_le_bytes(), out),
        Cell::Binary(bytes) => tagged(11, bytes, out),
    }
}

fn tagged(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(bytes);
}

fn canonical_float(value: f64) -> u64 {
    if value.is_nan() {
        f64::NAN.to_bits()
    } else if value == 0.0 {
        0
    } else {
        value.to_bits()
    }
}

fn decimal(digits: &str, out: &mut Vec<u8>) {
    let trimmed = match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.'),
        false => digits,
    };
    let trimmed = if trimmed == "-0" { "0" } else { trimmed };
    match trimmed.parse::<i64>() {
        Ok(int) => tagged(2, &int.to_le_bytes(), out),
        Err(_) => tagged(4, trimmed.as_bytes(), out),
    }
}
