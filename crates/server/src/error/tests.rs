//! Codes and their documentation say the same; problems have one shape.

use std::collections::BTreeMap;

use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::*;

#[test]
fn every_code_is_documented_with_its_status_and_nothing_else_is() {
    let page = include_str!("../../../../docs/errors.md");
    let headings = page.lines().filter_map(|line| line.strip_prefix("### ")).map(|heading| {
        let (code, status) = heading.split_once(" — ").unwrap_or_else(|| panic!("`{heading}` has no status"));
        (code.trim_matches('`').to_owned(), status.parse::<u16>().unwrap())
    });
    let documented: BTreeMap<_, _> = headings.collect();
    let known: BTreeMap<_, _> = Code::ALL.iter().map(|code| (code.word().to_owned(), code.status().as_u16())).collect();
    assert_eq!(documented, known, "docs/errors.md (left) and error/codes.rs (right) differ");
    assert_eq!(known.len(), Code::ALL.len(), "a code stands twice in the table");
}

#[tokio::test]
async fn a_problem_says_what_happened_and_not_why() {
    let cause = std::io::Error::other("password=hunter2");
    let response = ApiError::internal(cause).into_response();
    assert_eq!(response.status(), 500);
    let body: Value = serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap();
    let expected = json!({
        "type": "/docs/errors/internal",
        "title": "Outflow failed",
        "status": 500,
        "code": "internal",
        "detail": "the request could not be carried out",
        "hint": "the server's log tells more under this request id",
    });
    assert_eq!(body, expected);
}
