//! Tests of the list.

use serde_json::{Value, json};

#[test]
fn problems_of_settings_and_options_come_together() {
    let error = super::connect("http", &json!({ "proxi": 1 }), &json!({ "format": "xml" })).unwrap_err();
    assert_eq!(error.problems.len(), 2);
    assert_eq!(
        error.problems[1].to_string(),
        "`options.format`: must be one of `json`, `ndjson`, `form`, `multipart`, not `xml`"
    );
}

#[test]
fn facts_of_every_destination_are_found_by_slug() {
    for slug in super::SLUGS {
        assert_eq!(super::facts(slug).unwrap().unwrap().slug, slug);
    }
    assert!(super::facts("none").is_none());
    assert!(super::connect("file", &json!({ "folder": "/x" }), &Value::Null).is_ok());
}
