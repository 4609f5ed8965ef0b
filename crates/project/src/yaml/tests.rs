//! What is written is read as it was, and looks as people write it.

use proptest::prelude::*;
use serde_json::json;

use super::{
    testing::{texts, values},
    *,
};
use crate::Node;

fn written(value: &Value) -> String {
    let nothing = Value::Null;
    document(value.as_object().unwrap(), Order::new(&nothing, &nothing))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]
    #[test]
    fn what_is_written_is_read_as_it_was(entries in proptest::collection::vec((texts(), values()), 0..5)) {
        let value: Value = entries.into_iter().collect();
        let text = written(&value);
        let read = Node::parse(&text).map_err(|problem| TestCaseError::fail(format!("{problem:?}\n{text}")))?;
        prop_assert_eq!(read.to_json(), value, "{}", text);
    }

    #[test]
    fn a_value_in_one_line_is_read_as_it_was(value in values()) {
        let text = format!("a: {}\n", in_line(&value));
        prop_assert_eq!(text.lines().count(), 1);
        let read = Node::parse(&text).map_err(|problem| TestCaseError::fail(format!("{problem:?}\n{text}")))?;
        prop_assert_eq!(read.to_json()["a"].clone(), value, "{}", text);
    }
}

#[test]
fn it_looks_as_people_write_it() {
    let value = json!({
        "mode": "upsert",
        "model": "people",
        "where": "a = 1\nand b = \"x\"",
        "at": ["09:30", "plain text"],
        "url": "https://example.com/a?b=c",
        "empty": {},
        "none": [],
        "token": "${env:TOKEN}",
        "fields": {
            "email": { "@path": "$.properties.email" },
            "first name": { "@if": { "exists": { "@path": "$.a" }, "then": 1, "else": "no" } },
            "list": [{ "a": 1, "b": [2, [3]] }, { "@literal": true }],
        },
    });
    let form = json!({ "properties": { "model": {}, "mode": {} } });
    let text = document(value.as_object().unwrap(), Order::new(&form, &form));
    let expected = r#"model: people
mode: upsert
where: |-
  a = 1
  and b = "x"
at:
  - "09:30"
  - plain text
url: https://example.com/a?b=c
empty: {}
none: []
token: ${env:TOKEN}
fields:
  email: { "@path": "$.properties.email" }
  "first name":
    "@if":
      exists: { "@path": "$.a" }
      then: 1
      else: "no"
  list:
    - a: 1
      b:
        - 2
        - - 3
    - { "@literal": true }
"#;
    assert_eq!(text, expected);
}
