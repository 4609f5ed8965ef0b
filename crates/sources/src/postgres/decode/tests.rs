//! Whole `COPY` data, in one piece, in pieces, and broken.

use proptest::prelude::*;
use records::{Cell, Column as Named, cell};

use super::*;

fn schema() -> (Schema, Vec<Form>) {
    let scalars = [("id", Scalar::Int8), ("name", Scalar::Text), ("amount", Scalar::Numeric), ("yes", Scalar::Bool)];
    let columns = scalars.map(|(name, scalar)| Named::new(name, scalar.kind()));
    (Schema::new(columns.to_vec()).unwrap(), scalars.map(|(_, scalar)| Form::Scalar(scalar)).to_vec())
}

fn copy(rows: &[(i64, Option<&str>)]) -> Vec<u8> {
    let mut data = [SIGNATURE.as_slice(), &[0; 8]].concat();
    for (id, name) in rows {
        data.extend(4_i16.to_be_bytes());
        data.extend(8_i32.to_be_bytes());
        data.extend(id.to_be_bytes());
        match name {
            Some(name) => {
                data.extend(i32::try_from(name.len()).unwrap().to_be_bytes());
                data.extend(name.as_bytes());
            }
            None => data.extend((-1_i32).to_be_bytes()),
        }
        data.extend(10_i32.to_be_bytes());
        data.extend([0, 1, 0, 0, 0, 0, 0, 0, 0, 42]);
        data.extend(1_i32.to_be_bytes());
        data.push(u8::from(id % 2 == 0));
    }
    data.extend((-1_i16).to_be_bytes());
    data
}

fn decode_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<RecordBatch>, SourceError> {
    let (schema, forms) = schema();
    let mut decoder = Decoder::new(&schema, &forms);
    for piece in pieces {
        decoder.measure(piece, 0, piece.len())?;
        decoder.decode(piece)?;
    }
    decoder.end()?;
    decoder.batch()
}

fn check(batch: &RecordBatch, rows: &[(i64, Option<&str>)]) {
    assert_eq!(batch.num_rows(), rows.len());
    for (row, (id, name)) in rows.iter().enumerate() {
        assert_eq!(cell(batch.column(0), Kind::Int, row), Cell::Int(*id));
        assert_eq!(cell(batch.column(1), Kind::Text, row), name.map_or(Cell::Null, Cell::Text));
        assert_eq!(cell(batch.column(2), Kind::Decimal, row), Cell::Decimal("42"));
        assert_eq!(cell(batch.column(3), Kind::Bool, row), Cell::Bool(id % 2 == 0));
    }
}

const ROWS: [(i64, Option<&str>); 4] = [(1, Some("a")), (2, None), (-3, Some("")), (i64::MAX, Some("größer"))];

#[test]
fn rows_become_columns() {
    let data = copy(&ROWS);
    check(&decode_pieces([data.as_slice()]).unwrap().unwrap(), &ROWS);
    assert_eq!(decode_pieces([copy(&[]).as_slice()]).unwrap(), None);
}

#[test]
fn data_may_be_cut_anywhere() {
    let data = copy(&ROWS);
    for length in 1..data.len() {
        check(&decode_pieces(data.chunks(length)).unwrap().unwrap(), &ROWS);
    }
}

#[test]
fn data_that_ends_early_is_an_error() {
    let data = copy(&ROWS);
    for length in 0..data.len() {
        assert!(matches!(decode_pieces([&data[..length]]), Err(SourceError::Lost { .. })), "{length}");
    }
}

#[test]
fn text_that_is_not_utf8_names_its_column_and_row() {
    let mut data = copy(&[(1, Some("a")), (2, Some("bbb")), (3, Some("c"))]);
    let at = data.windows(3).position(|window| window == b"bbb").unwrap();
    data[at + 1] = 0xFF;
    match decode_pieces([data.as_slice()]) {
        Err(SourceError::Value { column, message }) => {
            assert_eq!(column, "name");
            assert!(message.starts_with("row 2 of the result holds bytes that are not UTF-8"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_value_cut_between_two_rows_is_not_utf8() {
    // Both together are valid, each alone is not.
    let mut data = copy(&[(1, Some("xy")), (2, Some("zz"))]);
    let at = data.windows(2).position(|window| window == b"xy").unwrap();
    data[at + 1] = 0xC3;
    let at = data.windows(2).position(|window| window == b"zz").unwrap();
    data[at] = 0xA9;
    assert!(matches!(decode_pieces([data.as_slice()]), Err(SourceError::Value { .. })));
}

#[test]
fn a_value_of_another_length_names_its_column() {
    let mut data = copy(&ROWS);
    data[24] = 7; // the length of the first `id`
    assert!(decode_pieces([data.as_slice()]).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, with_head: bool) {
        let data = if with_head { [SIGNATURE.as_slice(), &[0; 8], &bytes].concat() } else { bytes };
        let _ = decode_pieces([data.as_slice()]);
    }

    #[test]
    fn no_change_of_a_byte_makes_it_panic(at in 0_usize..150, byte: u8, cut in 1_usize..60) {
        let mut data = copy(&ROWS);
        let at = at % data.len();
        data[at] = byte;
        let _ = decode_pieces([data.as_slice()]);
        let _ = decode_pieces(data.chunks(cut));
    }
}
