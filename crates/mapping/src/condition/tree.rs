//! The tree form of conditions: `{all: [{path, operator, value}, …]}`, and the one Segment stores.

use records::{Object, Value};

use super::{NESTING_MAX, Operator, Test};
use crate::path::{Path, without_dollar};
use crate::program::Problem;

pub(super) fn read(value: &Value) -> Result<Test, Vec<Problem>> {
    let mut problems = Vec::new();
    let test = node(value, "", 0, &mut problems);
    match test {
        Some(test) if problems.is_empty() => Ok(test),
        _ => Err(problems),
    }
}

fn below(place: &str, key: &str) -> String {
    if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") }
}

fn node(value: &Value, place: &str, depth: usize, problems: &mut Vec<Problem>) -> Option<Test> {
    let mut refuse = |message: String| {
        problems.push(Problem::new(place, message));
        None
    };
    if depth > NESTING_MAX {
        return refuse(format!("is nested deeper than {NESTING_MAX} levels"));
    }
    let Value::Object(object) = value else {
        return refuse(format!(
            "should be a condition object but it is {}",
            crate::check::with_article(value.type_name())
        ));
    };
    if object.get("type").and_then(Value::as_str) == Some("group") {
        let all = match object.get("operator").and_then(Value::as_str) {
            Some("and") => true,
            Some("or") => false,
            _ => return refuse("should have `operator` `and` or `or`".to_owned()),
        };
        return group(object.get("children"), all, &below(place, "children"), depth, problems);
    }
    for (key, all) in [("all", true), ("any", false)] {
        if let Some(children) = object.get(key) {
            if let Some((extra, _)) = object.iter().find(|(other, _)| *other != key) {
                return refuse(format!("should have nothing beside `{key}` but it has `{extra}`"));
            }
            return group(Some(children), all, &below(place, key), depth, problems);
        }
    }
    if let Some(inner) = object.get("not") {
        if let Some((extra, _)) = object.iter().find(|(other, _)| *other != "not") {
            return refuse(format!("should have nothing beside `not` but it has `{extra}`"));
        }
        return node(inner, &below(place, "not"), depth + 1, problems).map(|test| Test::Not(Box::new(test)));
    }
    match leaf(object) {
        Ok(test) => Some(test),
        Err(message) => refuse(message),
    }
}

fn group(children: Option<&Value>, all: bool, place: &str, depth: usize, problems: &mut Vec<Problem>) -> Option<Test> {
    let Some(Value::Array(children)) = children else {
        problems.push(Problem::new(place, "should be an array of conditions"));
        return None;
    };
    if children.is_empty() {
        problems.push(Problem::new(place, "should have at least one condition"));
        return None;
    }
    let tests: Vec<Option<Test>> = children
        .iter()
        .enumerate()
        .map(|(index, child)| node(child, &below(place, &index.to_string()), depth + 1, problems))
        .collect();
    let tests: Vec<Test> = tests.into_iter().collect::<Option<_>>()?;
    Some(if all { Test::All(tests) } else { Test::Any(tests) })
}

fn leaf(object: &Object) -> Result<Test, String> {
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    let named = || text("name").map(str::to_owned).ok_or("should have a `name`".to_owned());
    let (path, known): (String, &[&str]) = match (text("path"), text("type")) {
        (Some(path), _) => (without_dollar(path), &["path", "operator", "value"]),
        (None, Some("event-type")) => ("type".to_owned(), &["type", "operator", "value", "name"]),
        (None, Some(kind @ ("event" | "name" | "userId"))) => (kind.to_owned(), &["type", "operator", "value", "name"]),
        (None, Some("event-property")) => (format!("properties.{}", named()?), &["type", "operator", "value", "name"]),
        (None, Some("event-trait")) => (format!("traits.{}", named()?), &["type", "operator", "value", "name"]),
        (None, Some("event-context")) => (format!("context.{}", named()?), &["type", "operator", "value", "name"]),
        _ => return Err("should have `path`, `all`, `any` or `not`".to_owned()),
    };
    if let Some((extra, _)) = object.iter().find(|(key, _)| !known.contains(key)) {
        return Err(format!("should not have `{extra}`; a condition has {}", known.join(", ")));
    }
    let Some(operator) = text("operator").and_then(Operator::from_name) else {
        let names: Vec<&str> = Operator::NAMED.iter().map(|(name, _)| *name).collect();
        return Err(format!("should have an `operator`, one of {}", names.join(", ")));
    };
    let value = object.get("value").cloned();
    if operator.needs_value()
        && !matches!(value, Some(Value::Text(_) | Value::Int(_) | Value::Float(_) | Value::Decimal(_) | Value::Bool(_)))
    {
        return Err("should have a `value` that is a string, a number or a boolean".to_owned());
    }
    let value = value.unwrap_or_default();
    let is_number = matches!(value, Value::Int(_) | Value::Float(_) | Value::Decimal(_));
    // In our own form `=` asks what it looks like; Segment's compares texts, and has other words for the rest.
    let operator = match (operator, &value) {
        (Operator::Equals, _) if object.contains_key("path") && is_number => Operator::NumberEquals,
        (Operator::Differs, _) if object.contains_key("path") && is_number => Operator::NumberDiffers,
        (Operator::Equals, Value::Bool(true)) if object.contains_key("path") => Operator::IsTrue,
        (Operator::Equals, Value::Bool(false)) if object.contains_key("path") => Operator::IsFalse,
        (operator, _) => operator,
    };
    Ok(Test::Leaf { path: Path::parse(&path), operator, value })
}
