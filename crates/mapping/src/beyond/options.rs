//! Reads the argument of one of our directives and tells what is wrong with it.

use std::collections::{BTreeSet, HashMap};

use records::{Object, Value};
use regex::{Regex, RegexBuilder};
use uuid::Uuid;

use crate::build::Builder;
use crate::check::{self, Place, with_article};
use crate::condition::Condition;
use crate::node::Node;

/// Longest regular expression, in bytes.
const PATTERN_MAX: usize = 1000;

pub(super) struct Options<'b> {
    builder: &'b mut Builder,
    argument: &'b Value,
    /// The argument, if it is an object of options.
    object: Option<&'b Object>,
    place: Place,
    name: &'static str,
    known: BTreeSet<String>,
    whole: bool,
}

impl<'b> Options<'b> {
    pub(super) fn read(builder: &'b mut Builder, argument: &'b Value, place: &Place, name: &'static str) -> Self {
        let object = argument.as_object().filter(|object| !check::is_directive(object));
        Self { builder, argument, object, place: place.clone(), name, known: BTreeSet::new(), whole: false }
    }

    pub(super) fn refuse(&mut self, reason: &str) {
        self.builder.problems.push(self.place.problem(reason));
    }

    pub(super) fn refuse_at(&mut self, key: &str, reason: &str) {
        self.builder.problems.push(self.place.below(key).problem(reason));
    }

    pub(super) fn refuse_missing(&mut self, key: &str) {
        if self.get(key).is_none() {
            self.refuse(&format!("should have field \"{key}\" but it doesn't"));
        }
    }

    pub(super) fn get(&mut self, key: &str) -> Option<&'b Value> {
        self.known.insert(key.to_owned());
        self.object?.get(key)
    }

    fn wrong_type(&mut self, key: &str, wanted: &str, found: &Value) {
        let kind = match found {
            Value::Object(object) if check::is_directive(object) => "directive",
            other => other.type_name(),
        };
        self.refuse_at(key, &format!("should be {wanted} but it is {}", with_article(kind)));
    }

    /// The value under a key, missing if there is none.
    pub(super) fn value(&mut self, key: &str) -> Node {
        match self.get(key) {
            Some(value) => self.builder.node(value, &self.place.below(key)),
            None => Node::Missing,
        }
    }

    pub(super) fn needed_value(&mut self, key: &str) -> Node {
        if self.object.is_some() {
            self.refuse_missing(key);
        }
        self.value(key)
    }

    /// The argument itself as the value, or, if it is an object with a `value`, that, with options beside it.
    pub(super) fn value_or_self(&mut self, options: &[&str]) -> Node {
        let has_options = self.object.is_some_and(|object| {
            object.contains_key("value") && object.iter().all(|(key, _)| key == "value" || options.contains(&key))
        });
        if has_options {
            return self.value("value");
        }
        let looks_so = self.object.is_some_and(|object| object.iter().any(|(key, _)| options.contains(&key)));
        if looks_so {
            return self.needed_value("value");
        }
        self.whole = true;
        self.object = None;
        self.builder.node(self.argument, &self.place)
    }

    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        match self.get(key)? {
            Value::Text(text) => Some(text.clone()),
            other => {
                self.wrong_type(key, "a string", other);
                None
            }
        }
    }

    pub(super) fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        let value = self.get(key)?;
        let texts = match value {
            Value::Text(text) => Some(vec![text.to_lowercase()]),
            Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_lowercase)).collect(),
            _ => None,
        };
        if texts.is_none() {
            self.wrong_type(key, "a string or an array of strings", value);
        }
        texts
    }

    pub(super) fn flag(&mut self, key: &str, default: bool) -> bool {
        match self.get(key) {
            None => default,
            Some(Value::Bool(flag)) => *flag,
            Some(other) => {
                self.wrong_type(key, "a boolean", other);
                default
            }
        }
    }

    pub(super) fn whole(&mut self, key: &str, min: i64, max: i64) -> Option<i64> {
        match self.get(key)? {
            Value::Int(int) if (min..=max).contains(int) => Some(*int),
            Value::Int(_) => {
                self.refuse_at(key, &format!("should be a number from {min} to {max}"));
                None
            }
            other => {
                self.wrong_type(key, "a whole number", other);
                None
            }
        }
    }

    pub(super) fn choice<'w>(&mut self, key: &str, words: &[&'w str]) -> Option<&'w str> {
        let text = self.text(key)?;
        let found = words.iter().find(|word| **word == text).copied();
        if found.is_none() {
            self.refuse_at(
                key,
                &format!("should be one of {} but it is {}", words.join(", "), Value::Text(text).to_json()),
            );
        }
        found
    }

    pub(super) fn values(&mut self, key: &str, min: usize) -> Option<Vec<Node>> {
        self.refuse_missing(key);
        let value = self.get(key)?;
        let place = self.place.below(key);
        self.nodes(value, &place, min)
    }

    fn nodes(&mut self, value: &'b Value, place: &Place, min: usize) -> Option<Vec<Node>> {
        let Value::Array(items) = value else {
            let kind = with_article(value.type_name());
            self.builder.problems.push(place.problem(format!("should be an array but it is {kind}")));
            return None;
        };
        if items.len() < min {
            self.builder.problems.push(place.problem(format!("should be an array of {min} or more values")));
            return None;
        }
        let item = |(index, item): (usize, &Value)| self.builder.node(item, &place.below(&index.to_string()));
        Some(items.iter().enumerate().map(item).collect())
    }

    /// A list as the argument, or `values` among options.
    pub(super) fn list_or_values(&mut self) -> Option<Vec<Node>> {
        if self.object.is_some() {
            return self.values("values", 1);
        }
        self.whole = true;
        let place = self.place.clone();
        self.nodes(self.argument, &place, 1)
    }

    pub(super) fn regex(&mut self) -> Option<Regex> {
        let ignore_case = self.flag("ignorecase", false);
        self.refuse_missing("pattern");
        let pattern = self.text("pattern")?;
        if pattern.len() > PATTERN_MAX {
            self.refuse_at("pattern", &format!("should be a string of length {PATTERN_MAX} or less"));
            return None;
        }
        let regex = RegexBuilder::new(&pattern)
            .case_insensitive(ignore_case)
            .size_limit(1 << 20)
            .dfa_size_limit(1 << 20)
            .nest_limit(100)
            .build();
        match regex {
            Ok(regex) => Some(regex),
            Err(error) => {
                let reason = error.to_string();
                let last = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
                self.refuse_at("pattern", &format!("should be a regular expression: {last}"));
                None
            }
        }
    }

    /// The group to extract: by number or name; by default the first there is, else the whole match.
    pub(super) fn group(&mut self, regex: Option<&Regex>) -> Option<usize> {
        let group = self.get("group");
        let regex = regex?;
        let found = match group {
            None => Some(usize::from(regex.captures_len() > 1)),
            Some(Value::Int(index)) => usize::try_from(*index).ok().filter(|index| *index < regex.captures_len()),
            Some(Value::Text(name)) => regex.capture_names().position(|group| group == Some(name)),
            Some(_) => None,
        };
        if found.is_none() {
            self.refuse_at("group", "should be the number or name of a group in the pattern");
        }
        found
    }

    pub(super) fn namespace(&mut self) -> Option<Uuid> {
        self.refuse_missing("namespace");
        let text = self.text("namespace")?;
        let namespace = match text.as_str() {
            "dns" => Some(Uuid::NAMESPACE_DNS),
            "url" => Some(Uuid::NAMESPACE_URL),
            "oid" => Some(Uuid::NAMESPACE_OID),
            "x500" => Some(Uuid::NAMESPACE_X500),
            text => Uuid::try_parse(text).ok(),
        };
        if namespace.is_none() {
            self.refuse_at("namespace", "should be one of dns, url, oid, x500 or a UUID");
        }
        namespace
    }

    pub(super) fn table(&mut self) -> Option<HashMap<String, Node>> {
        self.refuse_missing("table");
        let place = self.place.below("table");
        match self.get("table")? {
            Value::Object(table) if !check::is_directive(table) => {
                let entry =
                    |(key, value): (&str, &Value)| (key.to_owned(), self.builder.node(value, &place.below(key)));
                Some(table.iter().map(entry).collect())
            }
            other => {
                self.wrong_type("table", "an object", other);
                None
            }
        }
    }

    pub(super) fn condition(&mut self, key: &str, of_items: bool) -> Option<Condition> {
        self.refuse_missing(key);
        let value = self.get(key)?;
        let condition = match of_items {
            true => Condition::compile_for_items(value),
            false => Condition::compile(value),
        };
        match condition {
            Ok(condition) => Some(condition),
            Err(problems) => {
                for problem in problems {
                    let below = problem.place.split('.').filter(|key| !key.is_empty());
                    let place = below.fold(self.place.below(key), |place, key| place.below(key));
                    self.builder.problems.push(place.problem(problem.message));
                }
                None
            }
        }
    }

    /// Refuses options that the directive does not have.
    pub(super) fn finish(mut self) {
        if self.whole {
            return;
        }
        let Some(object) = self.object else {
            let kind = with_article(match self.argument {
                Value::Object(_) => "directive",
                other => other.type_name(),
            });
            return self.refuse(&format!("should be an object but it is {kind}"));
        };
        let unknown: Vec<&str> = object.iter().map(|(key, _)| key).filter(|key| !self.known.contains(*key)).collect();
        for key in unknown {
            let known = self.known.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            let name = self.name;
            self.refuse(&format!("should not have field \"{key}\"; {name} has {known}"));
        }
    }
}
