//! Runs the conformance cases that lie outside of the project, if they are there.

use std::path::PathBuf;

use mapping::cases::{Answer, Case, ErrorKind, same};
use mapping::{Field, Fields, Options};
use records::Value;

/// The folder of the conformance cases, if it is there.
fn folder() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "a test finds its optional cases through the environment")]
    let named = std::env::var("OUTFLOW_CONFORMANCE").ok().map(PathBuf::from);
    let folder = named.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"));
    if folder.is_dir() {
        return Some(folder);
    }
    println!("no conformance cases at {}; set OUTFLOW_CONFORMANCE to run them", folder.display());
    None
}

#[test]
fn every_public_mapping_case_gives_what_the_original_gives() {
    let Some(folder) = folder() else { return };
    let text = std::fs::read_to_string(folder.join("mapping-kit.public.jsonl")).unwrap();
    let mut failures = Vec::new();
    let now = "2024-06-15T12:00:00Z".parse().unwrap();
    for line in text.lines() {
        let case = Case::parse(line).unwrap();
        let answer = case.run(now);
        let expected = case.expected.as_ref().unwrap();
        let kind = expected.get("error").and_then(|error| error.get("kind")).and_then(Value::as_str);
        let kind_fits = match (&answer, kind) {
            (Answer::Error { kind: ErrorKind::Validation, .. }, Some(kind)) => kind == "validation",
            (Answer::Error { kind: ErrorKind::Runtime, .. }, Some(kind)) => kind == "runtime",
            (_, None) => true,
            _ => false,
        };
        if case.accepts(&answer) != Some(true) || !kind_fits {
            let mapping = case.mapping.to_json();
            failures.push(format!("{}\n  {mapping}\n  expected {expected}\n  got      {answer:?}", case.id));
        }
    }
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), text.lines().count(), failures.join("\n"));
}

#[test]
fn the_fast_way_to_json_text_gives_the_same_as_the_way_over_a_value() {
    let Some(folder) = folder() else { return };
    let text = std::fs::read_to_string(folder.join("mapping-kit.public.jsonl")).unwrap();
    let now = "2024-06-15T12:00:00Z".parse().unwrap();
    for line in text.lines() {
        let case = Case::parse(line).unwrap();
        let Ok(program) = mapping::Program::compile(&case.mapping) else { continue };
        let event = mapping::Event::of_value(&case.payload).at(now);
        let mut out = String::new();
        let written = program.write_json(&event, &mut out);
        match program.evaluate(&event) {
            Ok(Some(value)) => {
                assert!(written.unwrap(), "{line}");
                assert!(same(&Value::parse(&out).unwrap(), &value), "{line}\n{out}\n{value}");
            }
            Ok(None) => assert!(!written.unwrap() && out.is_empty(), "{line}"),
            Err(error) => {
                assert_eq!(written.unwrap_err().to_string(), error.to_string(), "{line}");
                assert!(out.is_empty());
            }
        }
    }
}

#[test]
fn every_public_validation_case_gives_what_the_original_gives() {
    let Some(folder) = folder() else { return };
    let text = std::fs::read_to_string(folder.join("validation.public.jsonl")).unwrap();
    let mut failures = Vec::new();
    for line in text.lines() {
        let case = Value::parse(line).unwrap();
        let fields: std::collections::BTreeMap<String, Field> =
            serde_json::from_value(serde_json::Value::from(case.get("fields").unwrap())).unwrap();
        let fields = fields.into_iter().map(|(key, field)| Field { key, ..field }).collect();
        let batch = case.get("mode").and_then(Value::as_str) == Some("batch");
        let answer = Fields::compile(fields).validate(case.get("payload").unwrap().clone(), Options { batch });
        let expected = case.get("expected").unwrap();
        let fits = match (&answer, expected.get("payload"), expected.get("error").and_then(Value::as_array)) {
            (Ok(payload), Some(expected), _) => same(payload, expected),
            (Err(problems), None, Some(expected)) => {
                // A batch's messages come joined, a single payload's as a list.
                let messages: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
                let expected: Vec<&str> = expected.iter().filter_map(Value::as_str).collect();
                messages.join(" ") == expected.join(" ")
            }
            _ => false,
        };
        if !fits {
            failures.push(format!("{line}\n  got {answer:?}"));
        }
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), text.lines().count(), failures.join("\n"));
}

#[test]
fn every_trigger_of_the_catalogue_is_read() {
    let Some(folder) = folder() else { return };
    let Ok(text) = std::fs::read_to_string(folder.join("catalog.jsonl")) else { return };
    let mut read = 0;
    for line in text.lines() {
        let destination = Value::parse(line).unwrap();
        for action in destination.get("actions").and_then(Value::as_array).unwrap_or_default() {
            let Some(trigger) = action.get("defaultSubscription").and_then(Value::as_str) else { continue };
            if trigger.trim().is_empty() {
                continue;
            }
            let condition = mapping::Condition::parse(trigger);
            assert!(condition.is_ok(), "{trigger}: {condition:?}");
            read += 1;
        }
    }
    assert!(read > 0);
}

#[test]
fn every_default_mapping_of_the_catalogue_is_valid() {
    let Some(folder) = folder() else { return };
    let Ok(text) = std::fs::read_to_string(folder.join("catalog.jsonl")) else { return };
    let mut valid = 0;
    for line in text.lines() {
        let destination = Value::parse(line).unwrap();
        for action in destination.get("actions").and_then(Value::as_array).unwrap_or_default() {
            for field in action.get("fields").and_then(Value::as_array).unwrap_or_default() {
                let Some(default) = field.get("default") else { continue };
                let mapping = Value::Object([("field".to_owned(), default.clone())].into_iter().collect());
                let program = mapping::Program::compile(&mapping);
                assert!(program.is_ok(), "{mapping}: {program:?}");
                valid += 1;
            }
        }
    }
    assert!(valid > 0);
}
