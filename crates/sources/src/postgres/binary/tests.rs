//! Values of PostgreSQL's binary forms.

use super::*;

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

fn numeric_bytes(weight: i16, sign: u16, scale: u16, digits: &[u16]) -> Vec<u8> {
    let head = [u16::try_from(digits.len()).unwrap(), weight.cast_unsigned(), sign, scale];
    head.iter().chain(digits).flat_map(|word| word.to_be_bytes()).collect()
}

#[test]
fn numerics_are_exact_digits() {
    let cases = [
        (numeric_bytes(0, 0, 0, &[]), "0"),
        (numeric_bytes(0, 0, 2, &[]), "0.00"),
        (numeric_bytes(0, 0x4000, 2, &[12, 3000]), "-12.30"),
        (numeric_bytes(1, 0, 0, &[1]), "10000"),
        (numeric_bytes(1, 0, 0, &[123, 4]), "1230004"),
        (numeric_bytes(-1, 0, 4, &[1]), "0.0001"),
        (numeric_bytes(-2, 0, 8, &[1]), "0.00000001"),
        (numeric_bytes(0, 0, 5, &[1, 2345, 6000]), "1.23456"),
        (numeric_bytes(0, 0, 1, &[9999, 9000]), "9999.9"),
        (numeric_bytes(0, 0xC000, 0, &[]), "NaN"),
        (numeric_bytes(0, 0xD000, 0, &[]), "Infinity"),
        (numeric_bytes(0, 0xF000, 0, &[]), "-Infinity"),
    ];
    for (bytes, expected) in cases {
        assert_eq!(text(|out| numeric(&bytes, out).unwrap()), expected);
    }
}

#[test]
fn bytes_that_are_no_numeric_are_refused() {
    for bytes in [
        vec![],
        vec![0; 7],
        numeric_bytes(0, 0x1234, 0, &[1]),
        numeric_bytes(0, 0, 0, &[10_000]),
        numeric_bytes(0, 0, 0x7FFF, &[1]),
        [numeric_bytes(0, 0, 0, &[1]), vec![0]].concat(),
    ] {
        assert_eq!(numeric(&bytes, &mut Vec::new()), Err(Malformed::Type("numeric")), "{bytes:?}");
    }
}

#[test]
fn a_single_becomes_the_double_of_its_shortest_digits() {
    for text in
        ["0.1", "-0.3", "1e-7", "16777216", "3.4028235e38", "1e-45", "0.33333334", "123456.7", "0", "9.999999e9"]
    {
        let single: f32 = text.parse().unwrap();
        assert_eq!(widen(single), text.parse::<f64>().unwrap(), "{text}");
    }
    assert!(widen(f32::NAN).is_nan());
    assert_eq!(widen(f32::NEG_INFINITY), f64::NEG_INFINITY);
}

#[test]
fn intervals_are_iso_durations() {
    let bytes = |micros: i64, days: i32, months: i32| {
        [&micros.to_be_bytes()[..], &days.to_be_bytes(), &months.to_be_bytes()].concat()
    };
    for (value, expected) in [
        (bytes(0, 0, 0), "PT0S"),
        (bytes(0, 0, 14), "P1Y2M"),
        (bytes(14_706_500_000, 3, 14), "P1Y2M3DT4H5M6.5S"),
        (bytes(-1, -2, -1), "P-1M-2DT-0.000001S"),
        (bytes(-3_600_000_000, 1, 0), "P1DT-1H"),
        (bytes(i64::MAX, i32::MAX, i32::MAX), "infinity"),
    ] {
        assert_eq!(text(|out| interval(&value, out).unwrap()), expected);
    }
}

#[test]
fn white_space_in_json_goes_and_in_its_strings_stays() {
    let source = "{ \"a b\" :\t[ 1 ,\n2 ], \"c\\\" d\\\\\" : \"x  y\" , \"e\": null }";
    let expected = "{\"a b\":[1,2],\"c\\\" d\\\\\":\"x  y\",\"e\":null}";
    assert_eq!(text(|out| minified(source.as_bytes(), out)), expected);
    assert_eq!(text(|out| minified(b"\"cut\\", out)), "\"cut\\");
}

#[test]
fn money_has_two_digits_behind_the_point() {
    for (cents, expected) in [(0, "0.00"), (-5, "-0.05"), (123_456, "1234.56"), (i64::MIN, "-92233720368547758.08")] {
        assert_eq!(text(|out| money(cents, out)), expected);
    }
}

#[test]
fn the_infinities_of_dates_and_time_stamps_stay() {
    assert_eq!((date(i32::MAX), date(i32::MIN), date(0)), (i32::MAX, i32::MIN, 10_957));
    assert_eq!((timestamp(i64::MAX), timestamp(i64::MIN)), (i64::MAX, i64::MIN));
    assert_eq!(timestamp(i64::MAX - 5), i64::MAX - 1);
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes: Vec<u8>) {
        for scalar in [
            Scalar::Bool, Scalar::Int2, Scalar::Int4, Scalar::Int8, Scalar::Oid, Scalar::Float4, Scalar::Float8,
            Scalar::Money, Scalar::Numeric, Scalar::Text, Scalar::Uuid, Scalar::Date, Scalar::Time, Scalar::TimeTz,
            Scalar::Timestamp, Scalar::TimestampTz, Scalar::Interval, Scalar::Json, Scalar::Jsonb, Scalar::Bytea,
            Scalar::Inet, Scalar::MacAddr,
        ] {
            let _ = json_of(scalar, &bytes, &mut Vec::new());
            let _ = text_of(scalar, &bytes, &mut Vec::new());
        }
    }

    #[test]
    fn any_single_widens_to_the_double_of_its_own_digits(bits: u32) {
        let single = f32::from_bits(bits);
        if single.is_finite() {
            proptest::prop_assert_eq!(widen(single), single.to_string().parse::<f64>().unwrap());
        }
    }
}
