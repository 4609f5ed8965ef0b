//! The typed loops give the hashes that the rules in `docs/fingerprints.md` define.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use records::{KeyColumns, Kind, canonical_bytes, cell, column_seed};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{array, batch, schema};
use crate::{
    HashError, Hasher,
    hash::{column_hashes, fingerprints},
};

fn check(kind: Kind, array: &dyn Array) {
    let (mut scratch, mut found, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    column_hashes(array, kind, 77, &mut scratch, &mut found);
    for (row, found) in found.iter().enumerate() {
        bytes.clear();
        canonical_bytes(cell(array, kind, row), &mut bytes);
        assert_eq!(*found, xxh3_64_with_seed(&bytes, 77), "{} {:?}", kind.name(), cell(array, kind, row));
    }
    assert_eq!(found.len(), array.len());
}

#[test]
fn every_kind_hashes_its_canonical_bytes() {
    let with_nulls: Vec<Option<u8>> = (0..=255).map(|value| (value % 7 != 3).then_some(value)).collect();
    let without: Vec<Option<u8>> = (0..=255).map(Some).collect();
    for kind in Kind::ALL {
        check(kind, array(kind, &with_nulls).as_ref());
        check(kind, array(kind, &without).as_ref());
        check(kind, array(kind, &[]).as_ref());
    }
    check(Kind::Int, &Int64Array::from(vec![i64::MIN, -1, 0, i64::MAX]));
    check(Kind::Float, &Float64Array::from(vec![0.0, -0.0, f64::NAN, -f64::NAN, f64::INFINITY, 1e-300, f64::MIN]));
    check(Kind::Date, &Date32Array::from(vec![i32::MIN, -1, i32::MAX]));
    check(Kind::Timestamp, &TimestampMicrosecondArray::from(vec![i64::MIN, -1, i64::MAX]));
    for kind in [Kind::Text, Kind::Json] {
        let texts: Vec<String> = (0..300).map(|length| "ä".repeat(length)).collect();
        check(kind, &StringArray::from(texts));
    }
}

#[test]
fn decimals_hash_their_value_however_they_are_written() {
    let odd = [
        "0",
        "-0",
        "0.0",
        "-0.0",
        "-0.00",
        "1",
        "1.0",
        "1.50",
        "1.5",
        "-1.50",
        "0.10",
        "0.01",
        "00.5",
        ".5",
        "5.",
        "-.5",
        "NaN",
        "Infinity",
        "-Infinity",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808.00",
        "",
        "-",
        ".",
        "..",
        "1.5.",
        "1.5.0",
        "1.2.3",
        "1e5",
        "1.5e10",
        "+5",
        "+5.0",
        "007",
        "007.10",
        "1.000000000000000000000001",
        "123456789012345678.5",
        "12345678901234567.50",
        "0.000000000000000000",
        "-0.000000000000001",
    ];
    check(Kind::Decimal, &StringArray::from(odd.to_vec()));
    let mut dice = super::Dice::new(5);
    let texts: Vec<String> =
        (0..20_000).map(|_| (0..dice.below(24)).map(|_| char::from(dice.one_of(b"0001259.-"))).collect()).collect();
    check(Kind::Decimal, &StringArray::from(texts));
}

#[test]
fn keys_hash_as_the_records_crate_says() {
    for kind in Kind::ALL {
        let schema = schema(&[("k", kind), ("v", Kind::Text)]);
        let batch =
            batch(&schema, &(0..50).map(|value| vec![(value % 5 != 0).then_some(value), Some(1)]).collect::<Vec<_>>());
        for names in [vec!["k".to_owned()], vec!["v".to_owned(), "k".to_owned()]] {
            let hashed = Hasher::new(&schema, &names, &[]).unwrap().hash(&batch).unwrap();
            let key = KeyColumns::find(&schema, &names).unwrap();
            for row in 0..batch.num_rows() {
                assert_eq!(hashed.keys[row], key.hash(&batch, row, &mut Vec::new()));
            }
        }
    }
}

#[test]
fn a_fingerprint_does_not_hang_on_the_order_of_columns_but_on_their_names() {
    let (one, two) = (column_seed("one"), column_seed("two"));
    let hash = |seed, text: &str| {
        let mut out = Vec::new();
        column_hashes(&StringArray::from(vec![text]), Kind::Text, seed, &mut Vec::new(), &mut out);
        out
    };
    let print = |columns: &[Vec<u64>]| {
        let mut out = Vec::new();
        fingerprints(1, columns, &mut out);
        out[0]
    };
    assert_eq!(print(&[hash(one, "a"), hash(two, "b")]), print(&[hash(two, "b"), hash(one, "a")]));
    assert_ne!(print(&[hash(one, "a"), hash(two, "b")]), print(&[hash(one, "b"), hash(two, "a")]));
    assert_ne!(print(&[hash(one, "a")]), print(&[hash(two, "a")]));
    assert!(print(&[]) >= 8 && print(&[]) % 2 == 0, "the marks are never given");
}

#[test]
fn the_example_in_the_documentation_is_right() {
    let page = include_str!("../../../../docs/fingerprints.md");
    let schema = schema(&[("id", Kind::Int), ("name", Kind::Text), ("price", Kind::Decimal), ("gone", Kind::Bool)]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![42])),
        Arc::new(StringArray::from(vec!["Ada"])),
        Arc::new(StringArray::from(vec!["12.50"])),
        Arc::new(arrow_array::BooleanArray::from(vec![None])),
    ];
    let batch = RecordBatch::try_new(schema.to_arrow(), columns).unwrap();
    let used = ["gone".to_owned(), "name".to_owned(), "price".to_owned()];
    let hashed = Hasher::new(&schema, &["id".to_owned()], &used).unwrap().hash(&batch).unwrap();
    let mut out = Vec::new();
    fingerprints(1, &hashed.columns, &mut out);
    let mut told = vec![format!("key {}", hashed.keys[0].unwrap())];
    told.extend(hashed.names.iter().zip(&hashed.columns).map(|(name, column)| format!("{name} {:016x}", column[0])));
    told.push(format!("fingerprint {:016x}", out[0]));
    for line in &told {
        assert!(page.contains(line), "{told:#?}");
    }
}

#[test]
fn what_does_not_fit_the_schema_is_refused() {
    let ours = schema(&[("id", Kind::Int), ("name", Kind::Text)]);
    let hasher = Hasher::new(&ours, &["id".to_owned()], &["name".to_owned()]).unwrap();
    let other = batch(&schema(&[("id", Kind::Int), ("name", Kind::Int)]), &[vec![Some(1), Some(2)]]);
    let error = hasher.hash(&other).unwrap_err();
    assert_eq!(error.to_string(), "the column `name` came as Int64 instead of text");
    let narrow = batch(&schema(&[("id", Kind::Int)]), &[vec![Some(1)]]);
    assert!(matches!(hasher.hash(&narrow), Err(HashError::ColumnCount { expected: 2, found: 1 })));
    let error = Hasher::new(&ours, &["id".to_owned()], &["mail".to_owned()]).unwrap_err();
    assert_eq!(error.to_string(), "the column `mail` is not in the model's result any more; it has `id`, `name`");
}
