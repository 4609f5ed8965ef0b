//! Arrays and composites as JSON.

use super::*;

fn json(form: &Form, bytes: &[u8]) -> Result<String, Malformed> {
    let mut out = Vec::new();
    write_json(form, bytes, &mut out).map(|()| String::from_utf8(out).unwrap())
}

fn ints(words: &[i32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn array_of_int4() -> Form {
    Form::Array(Box::new(Form::Scalar(Scalar::Int4)))
}

#[test]
fn arrays_keep_their_dimensions_and_nulls() {
    let form = array_of_int4();
    assert_eq!(json(&form, &ints(&[0, 0, 23])).unwrap(), "[]");
    assert_eq!(json(&form, &ints(&[1, 1, 23, 3, 1, 4, 7, -1, 4, -9])).unwrap(), "[7,null,-9]");
    assert_eq!(json(&form, &ints(&[2, 0, 23, 2, 1, 2, 1, 4, 1, 4, 2, 4, 3, 4, 4])).unwrap(), "[[1,2],[3,4]]");
}

#[test]
fn composites_are_objects_of_their_attributes() {
    let form = Form::Composite(vec![
        ("a".to_owned(), Form::Scalar(Scalar::Int4)),
        ("b \"c\"".to_owned(), array_of_int4()),
        ("d".to_owned(), Form::Scalar(Scalar::Text)),
    ]);
    let bytes = ints(&[3, 23, 4, 5, 1007, 28, 1, 0, 23, 1, 1, 4, 6, 25, -1]);
    assert_eq!(json(&form, &bytes).unwrap(), r#"{"a":5,"b \"c\"":[6],"d":null}"#);
}

#[test]
fn broken_structures_are_refused() {
    let form = array_of_int4();
    for words in [
        &[][..],
        &[7, 0, 23],
        &[-1, 0, 23],
        &[1, 0, 23, 0, 1],
        &[1, 0, 23, -4, 1],
        &[1, 0, 23, i32::MAX, 1, 4, 1],
        &[1, 0, 23, 1, 1, 4, 1, 9],
        &[1, 0, 23, 1, 1, 3, 1],
    ] {
        assert!(json(&form, &ints(words)).is_err(), "{words:?}");
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(words: Vec<i32>, tail: Vec<u8>) {
        let bytes = [ints(&words), tail].concat();
        let pair = Form::Composite(vec![("a".to_owned(), array_of_int4()), ("b".to_owned(), array_of_int4())]);
        let _ = json(&array_of_int4(), &bytes);
        let _ = json(&Form::Array(Box::new(pair)), &bytes);
    }
}
