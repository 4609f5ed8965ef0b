//! Which records a simulated tool refuses: by what stands in their fields, or a share that is the same each time.

use std::fmt;

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Percent;

/// What is said of a record that is refused without a reason of its own.
const MESSAGE_DEFAULT: &str = "refused by the simulator";

/// A rule: records whose field is so are refused.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Refuse {
    /// The field's name, wherever in the record it stands, or its path: `properties.email`.
    pub field: String,
    /// The value that is refused; without it and `matches`, any but null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<Value>,
    /// A regular expression; a value that it finds something in is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<Pattern>,
    /// What is said of it, in the tool's own form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Of those records, how many in a hundred are refused.
    #[serde(default)]
    pub share: Percent,
}

/// A regular expression that was understood.
#[derive(Clone)]
pub struct Pattern(Regex);

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = |_| serde::de::Error::custom(format!("`{text}` is not a regular expression"));
        Regex::new(&text).map(Self).map_err(wrong)
    }
}

impl Serialize for Pattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

/// The records that are to be refused. A simulator asks for each record and answers in its tool's own form.
#[derive(Debug, Clone, Default)]
pub struct Refusals {
    rules: Vec<Refuse>,
    percent: Option<Percent>,
    message: Option<String>,
    seed: u64,
}

impl Refusals {
    /// Nothing is refused.
    pub fn none() -> Self {
        Self::default()
    }

    pub(super) fn new(rules: Vec<Refuse>, percent: Option<Percent>, message: Option<String>, seed: u64) -> Self {
        Self { rules, percent, message, seed }
    }

    /// Whether any record may be refused.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.percent.is_none()
    }

    /// Why the record of those fields is to be refused; none if it is to be taken. The same record is treated the same
    /// each time, so the fields should be those that a second attempt has too.
    pub fn reason_for(&self, fields: &Value) -> Option<String> {
        let said =
            |own: Option<&String>| own.or(self.message.as_ref()).map_or(MESSAGE_DEFAULT, String::as_str).to_owned();
        let refused = |rule: &&Refuse| found(fields, &rule.field).iter().any(|value| rule.is_about(value));
        for (number, rule) in (1..).zip(&self.rules).filter(|(_, rule)| refused(rule)) {
            if rule.share.takes(draw(self.seed, number, fields)) {
                return Some(said(rule.message.as_ref()));
            }
        }
        let percent = self.percent?;
        percent.takes(draw(self.seed, 0, fields)).then(|| said(None))
    }
}

impl Refuse {
    fn is_about(&self, value: &Value) -> bool {
        let equals = self.equals.as_ref().is_none_or(|equals| plain(equals) == plain(value));
        let matches = self.matches.as_ref().is_none_or(|pattern| pattern.0.is_match(&plain(value)));
        let any = self.equals.is_some() || self.matches.is_some() || !value.is_null();
        equals && matches && any
    }
}

/// A value as text, so that `42` given on a command line finds the number.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The values of a field: the one at that path, else all that go by that name.
fn found<'a>(fields: &'a Value, field: &str) -> Vec<&'a Value> {
    if let Some(value) = fields.get(field) {
        return vec![value];
    }
    let at_path = field.split('.').try_fold(fields, |value, key| value.get(key));
    if let Some(value) = at_path {
        return vec![value];
    }
    let mut values = Vec::new();
    named(fields, field, &mut values);
    values
}

fn named<'a>(value: &'a Value, name: &str, values: &mut Vec<&'a Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| named(item, name, values)),
        Value::Object(map) => {
            for (key, below) in map {
                if key == name {
                    values.push(below);
                } else {
                    named(below, name, values);
                }
            }
        }
        _ => {}
    }
}

/// A number for a record, the same each time and whatever the order of its keys.
fn draw(seed: u64, rule: u64, fields: &Value) -> u64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    hash.update(rule.to_be_bytes());
    add(&mut hash, fields);
    first_number(&hash.finalize())
}

pub(super) fn first_number(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn add(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            hash.update(b"{");
            for (key, below) in entries {
                hash.update(key.len().to_be_bytes());
                hash.update(key.as_bytes());
                add(hash, below);
            }
            hash.update(b"}");
        }
        Value::Array(items) => {
            hash.update(b"[");
            items.iter().for_each(|item| add(hash, item));
            hash.update(b"]");
        }
        Value::String(text) => {
            hash.update(text.len().to_be_bytes());
            hash.update(text.as_bytes());
        }
        other => hash.update(other.to_string().as_bytes()),
    }
}
