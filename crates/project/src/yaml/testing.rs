//! Texts and values that YAML could take for something else.

use proptest::prelude::*;
use serde_json::{Value, json};

pub(crate) fn texts() -> impl Strategy<Value = String> {
    let words = prop_oneof![
        "[ -~]{0,12}",
        "\\PC{0,8}",
        "[a-z #:\n-]{0,20}",
        "( |\t|\n|\r|x|:|#|\u{85}|\u{2028}|\u{feff}){0,8}",
        "[0-9eE.+xob_-]{1,6}",
        any::<String>(),
    ];
    let known = [
        "null",
        "~",
        "True",
        "NO",
        "1e3",
        "0x1F",
        ".inf",
        "2026-01-01",
        "09:30",
        "- a",
        "? a",
        "a: b",
        "a #b",
        "%a",
        "@a",
        "`a",
        "!a",
        "&a",
        "*a",
        "[a",
        "{a",
        "|",
        ">",
        "---",
        "...",
        "'a'",
        "\"a\"",
        "a\\",
        "=",
        "<<",
        "${env:X}",
        "a\n b\n",
    ];
    prop_oneof![words, proptest::sample::select(known.to_vec()).prop_map(str::to_owned)]
}

pub(crate) fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::from),
        texts().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((texts(), inner.clone()), 0..5).prop_map(|entries| entries.into_iter().collect()),
            inner.prop_map(|value| json!({ "@path": value })),
        ]
    })
}
