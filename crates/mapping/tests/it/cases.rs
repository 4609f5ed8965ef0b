//! The project's own cases: mappings over `cases/event.json`, with what the rules give for them.

use mapping::cases::Case;
use records::{Object, Value};

const EVENT: &str = include_str!("../../cases/event.json");
const DIRECTIVES: &str = include_str!("../../cases/directives.jsonl");

#[test]
fn every_case_of_our_own_gives_what_the_rules_say() {
    let event = Value::parse(EVENT).unwrap();
    let now = "2024-06-15T12:00:00Z".parse().unwrap();
    let mut failures = Vec::new();
    for line in DIRECTIVES.lines() {
        let mut object = Object::new();
        for (key, value) in Value::parse(line).unwrap().as_object().unwrap().iter() {
            object.insert(key, value.clone());
        }
        if !object.contains_key("payload") {
            object.insert("payload", event.clone());
        }
        let case = Case::parse(&Value::Object(object).to_json()).unwrap();
        let answer = case.run(now);
        if case.accepts(&answer) != Some(true) {
            failures.push(format!("{line}\n  got {}", case.line(&answer)));
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn a_line_that_is_no_case_says_what_it_lacks() {
    let error = |line: &str| Case::parse(line).unwrap_err().to_string();
    assert_eq!(error("{"), "the line cannot be read");
    assert!(error(r#"{"payload":{}}"#).starts_with("the case has no `mapping`"));
    assert!(error(r#"{"mapping":{}}"#).starts_with("the case has no `payload`"));
    assert!(error(r#"{"mapping":{},"payload":{},"now":1}"#).starts_with("`now` is not a time"));
}

#[test]
fn a_case_tells_its_outcome_in_one_line() {
    let now = "2024-06-15T12:00:00Z".parse().unwrap();
    let line = |text: &str| {
        let case = Case::parse(text).unwrap();
        let answer = case.run(now);
        (case.line(&answer), case.accepts(&answer))
    };
    let (output, accepted) = line(r#"{"id":1,"mapping":{"a":{"@path":"$.x"}},"payload":{"x":2}}"#);
    assert_eq!((output.as_str(), accepted), (r#"{"id":1,"output":{"a":2}}"#, None));
    let (output, accepted) = line(r#"{"id":"b","mapping":{"a":{"@no":1}},"payload":{},"expected":{"error":{}}}"#);
    assert_eq!(output, r#"{"id":"b","error":"/a has an invalid directive: @no."}"#);
    assert_eq!(accepted, Some(true));
    let (output, _) = line(r#"{"id":"c","mapping":{"@path":"$.none"},"payload":{}}"#);
    assert_eq!(output, r#"{"id":"c"}"#);
    let (_, accepted) = line(r#"{"id":"d","mapping":{"a":1},"payload":{},"expected":{"output":{"a":1.0}}}"#);
    assert_eq!(accepted, Some(true));
}
