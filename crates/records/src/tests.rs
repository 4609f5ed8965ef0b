//! Values, cells and keys as text and as canonical bytes.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use proptest::prelude::*;

use crate::{
    Cell, Column, KeyColumns, KeyError, Kind, MessageId, Schema, SchemaError, SyncId, Value, canonical_bytes, civil,
    time_text, timestamp_text,
};

fn canonical(cell: Cell<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    canonical_bytes(cell, &mut bytes);
    bytes
}

#[test]
fn cells_become_the_values_that_payloads_show() {
    let check = |cell: Cell<'_>, expected: &str| assert_eq!(cell.to_value().unwrap().to_json(), expected);
    check(Cell::Null, "null");
    check(Cell::Bool(true), "true");
    check(Cell::Int(i64::MAX), "9223372036854775807");
    check(Cell::Float(1e21), "1e+21");
    check(Cell::Float(0.1), "0.1");
    check(Cell::Decimal("-12345678901234567890.10"), "-12345678901234567890.10");
    check(Cell::Text("a \"b\"\n\u{1}"), r#""a \"b\"\n\u0001""#);
    check(Cell::Json(r#"{ "a": [1, 2.5, null] }"#), r#"{"a":[1,2.5,null]}"#);
    check(Cell::Date(19_782), r#""2024-02-29""#);
    check(Cell::Date(i32::MAX), r#""infinity""#);
    check(Cell::Time(47_655_000_001), r#""13:14:15.000001""#);
    check(Cell::Timestamp(1_709_212_455_016_000), r#""2024-02-29T13:14:15.016Z""#);
    check(Cell::TimestampTz(1_709_212_455_016_001), r#""2024-02-29T13:14:15.016001Z""#);
    check(Cell::Binary(&[0, 255]), r#""AP8=""#);
}

#[test]
fn what_json_has_no_form_for_is_an_error() {
    for cell in [Cell::Float(f64::NAN), Cell::Float(f64::INFINITY), Cell::Decimal("NaN"), Cell::Decimal("-Infinity")] {
        let message = cell.to_value().unwrap_err().to_string();
        assert!(message.contains("cannot be sent: JSON has no such number"), "{message}");
    }
    assert!(Cell::Json("{oops").to_value().unwrap_err().to_string().contains("cannot be read"));
}

#[test]
fn years_outside_of_four_digits_print_as_in_javascript() {
    assert_eq!(timestamp_text(253_402_300_800_000_000), "+010000-01-01T00:00:00.000Z");
    assert_eq!(timestamp_text(-62_167_219_200_000_001), "-000001-12-31T23:59:59.999999Z");
    assert_eq!((timestamp_text(i64::MAX), timestamp_text(i64::MIN)), ("infinity".to_owned(), "-infinity".to_owned()));
    assert_eq!((time_text(0), time_text(86_400_000_000)), ("00:00:00".to_owned(), "24:00:00".to_owned()));
}

#[test]
fn equal_values_have_equal_canonical_bytes_and_others_have_not() {
    let same = [
        (Cell::Int(42), Cell::Decimal("42")),
        (Cell::Int(42), Cell::Decimal("42.00")),
        (Cell::Decimal("1.5"), Cell::Decimal("1.50")),
        (Cell::Int(0), Cell::Decimal("-0.0")),
        (Cell::Float(0.0), Cell::Float(-0.0)),
        (Cell::Float(f64::NAN), Cell::Float(-f64::NAN)),
    ];
    for (one, other) in same {
        assert_eq!(canonical(one), canonical(other), "{one:?} {other:?}");
    }
    let different = [
        (Cell::Null, Cell::Text("")),
        (Cell::Int(42), Cell::Text("42")),
        (Cell::Int(1), Cell::Bool(true)),
        (Cell::Decimal("1.5"), Cell::Decimal("15")),
        (Cell::Decimal("100"), Cell::Decimal("1")),
        (Cell::Timestamp(0), Cell::TimestampTz(0)),
    ];
    for (one, other) in different {
        assert_ne!(canonical(one), canonical(other), "{one:?} {other:?}");
    }
}

fn two_columns(regions: Vec<Option<&str>>, numbers: Vec<Option<i64>>) -> (Schema, RecordBatch) {
    let schema = Schema::new(vec![Column::new("region", Kind::Text), Column::new("number", Kind::Int)]).unwrap();
    let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(regions)), Arc::new(Int64Array::from(numbers))];
    let batch = RecordBatch::try_new(schema.to_arrow(), columns).unwrap();
    (schema, batch)
}

#[test]
fn a_key_is_its_value_or_an_array_and_has_no_hash_if_a_part_is_null() {
    let (schema, batch) = two_columns(vec![Some("eu"), None], vec![Some(42), Some(42)]);
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let one = KeyColumns::find(&schema, &names(&["number"])).unwrap();
    let both = KeyColumns::find(&schema, &names(&["region", "number"])).unwrap();
    assert_eq!((one.text(&batch, 0), both.text(&batch, 0)), ("42".to_owned(), r#"["eu",42]"#.to_owned()));
    let mut scratch = Vec::new();
    assert!(both.hash(&batch, 0, &mut scratch).is_some());
    assert_eq!(both.hash(&batch, 1, &mut scratch), None);
    let missing = KeyColumns::find(&schema, &names(&["id"])).unwrap_err();
    assert_eq!(missing.to_string(), "the key column `id` is not in the model's result; it has `region`, `number`");
    assert_eq!(KeyColumns::find(&schema, &[]), Err(KeyError::Empty));
}

#[test]
fn parts_of_a_key_do_not_run_into_each_other() {
    let schema = Schema::new(vec![Column::new("a", Kind::Text), Column::new("b", Kind::Text)]).unwrap();
    let columns: Vec<ArrayRef> =
        vec![Arc::new(StringArray::from(vec!["x", "xy"])), Arc::new(StringArray::from(vec!["yz", "z"]))];
    let batch = RecordBatch::try_new(schema.to_arrow(), columns).unwrap();
    let key = KeyColumns::find(&schema, &["a".to_owned(), "b".to_owned()]).unwrap();
    let mut scratch = Vec::new();
    assert_ne!(key.hash(&batch, 0, &mut scratch), key.hash(&batch, 1, &mut scratch));
}

#[test]
fn a_schema_survives_its_arrow_form_and_refuses_what_is_not_its_own() {
    let columns = Kind::ALL.iter().map(|kind| Column::new(kind.name(), *kind)).collect();
    let schema = Schema::new(columns).unwrap();
    assert_eq!(Schema::from_arrow(&schema.to_arrow()), Ok(schema));
    let foreign = arrow_schema::Schema::new(vec![arrow_schema::Field::new("a", arrow_schema::DataType::Int8, true)]);
    assert!(matches!(Schema::from_arrow(&foreign), Err(SchemaError::NotOurs { .. })));
    let twice = Schema::new(vec![Column::new("a", Kind::Int), Column::new("a", Kind::Text)]);
    assert_eq!(twice, Err(SchemaError::Duplicate { column: "a".to_owned() }));
}

#[test]
fn ids_carry_their_noun() {
    let text = "sync_018fd11894007e4f9db6929b8d8367cf";
    let id: SyncId = text.parse().unwrap();
    assert_eq!(id.to_string(), text);
    let error = text.parse::<MessageId>().unwrap_err();
    assert_eq!(error.to_string(), format!("`{text}` is not an id of the form `msg_…`"));
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        ".{0,8}".prop_map(Value::Text),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((".{0,4}", inner), 0..4).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn json_text_reads_back_as_the_value_it_was_written_from(value in value()) {
        prop_assert_eq!(Value::parse(&value.to_json()).unwrap(), value);
    }

    #[test]
    fn a_double_reads_back_as_itself(bits in any::<u64>()) {
        let float = f64::from_bits(bits);
        prop_assume!(float.is_finite() && float.fract() != 0.0);
        prop_assert_eq!(Value::parse(&Value::Float(float).to_json()).unwrap(), Value::Float(float));
    }

    #[test]
    fn dates_are_those_of_the_calendar(days in -4_000_000i64..2_900_000) {
        let epoch = jiff::civil::date(1970, 1, 1);
        if let Ok(date) = jiff::Span::new().try_days(days).and_then(|span| epoch.checked_add(span)) {
            prop_assert_eq!(civil(days), (date.year().into(), date.month().into(), date.day().into()));
        }
    }
}

#[test]
fn whole_numbers_are_serialized_without_a_fraction() {
    let value = Value::Array(vec![Value::Float(41.0), Value::Float(-0.0), Value::Float(0.5), Value::Float(1e21)]);
    assert_eq!(serde_json::to_string(&value).unwrap(), "[41,0,0.5,1e+21]");
}
