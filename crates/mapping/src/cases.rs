//! Test cases of mappings, a JSON line each: `{"id", "mapping", "payload", "expected"?}`.

use jiff::Timestamp;
use records::{Object, Value};

use crate::{Event, Program};

/// One line of a file of cases.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    pub id: Value,
    pub mapping: Value,
    pub payload: Value,
    /// `{"output": …}`, `{}` for a mapping that gives nothing, or `{"error": …}`.
    pub expected: Option<Value>,
    /// What `"now"` means in this case.
    pub now: Option<Timestamp>,
}

/// What a case's mapping gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Output(Option<Value>),
    Error { kind: ErrorKind, messages: Vec<String> },
}

/// When an error showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// When the mapping was checked.
    Validation,
    /// When it ran.
    Runtime,
}

/// A line that is no case.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    #[error("the line cannot be read")]
    Json(#[source] records::JsonError),
    #[error("the case has no `{0}`; a line is {{\"id\", \"mapping\", \"payload\", \"expected\"?}}")]
    Missing(&'static str),
    #[error("`now` is not a time like `2024-06-15T12:00:00Z`")]
    Now,
}

impl Case {
    /// Reads one line.
    ///
    /// # Errors
    /// Text that is not JSON, or lacks a key.
    pub fn parse(line: &str) -> Result<Self, CaseError> {
        let mut line = match Value::parse(line).map_err(CaseError::Json)? {
            Value::Object(object) => object,
            _ => return Err(CaseError::Missing("mapping")),
        };
        let now = match line.remove("now") {
            Some(Value::Text(text)) => Some(text.parse().map_err(|_| CaseError::Now)?),
            Some(_) => return Err(CaseError::Now),
            None => None,
        };
        Ok(Self {
            id: line.remove("id").unwrap_or_default(),
            mapping: line.remove("mapping").ok_or(CaseError::Missing("mapping"))?,
            payload: line.remove("payload").ok_or(CaseError::Missing("payload"))?,
            expected: line.remove("expected"),
            now,
        })
    }

    /// Runs the mapping. `now` stands in where the case does not say what time it is.
    pub fn run(&self, now: Timestamp) -> Answer {
        let event = Event::of_value(&self.payload).at(self.now.unwrap_or(now));
        if self.payload.as_object().is_none() {
            let message = format!("data must be an object, got {}", self.payload.type_name());
            return Answer::Error { kind: ErrorKind::Runtime, messages: vec![message] };
        }
        let program = match Program::compile(&self.mapping) {
            Ok(program) => program,
            Err(problems) => {
                let root = problems.iter().any(|problem| problem.original_message() == problem.message);
                let kind = if root { ErrorKind::Runtime } else { ErrorKind::Validation };
                let messages = problems.iter().map(|problem| problem.original_message().to_owned()).collect();
                return Answer::Error { kind, messages };
            }
        };
        match program.evaluate(&event) {
            Ok(output) => Answer::Output(output),
            Err(error) => Answer::Error { kind: ErrorKind::Runtime, messages: vec![error.to_string()] },
        }
    }

    /// Whether an answer is the expected one; nothing if the case expects nothing in particular. Objects are equal
    /// whatever the order of their keys, numbers if they are the same double. An expected error may name its
    /// `messages`, be a text, or be anything else for any error.
    pub fn accepts(&self, answer: &Answer) -> Option<bool> {
        let expected = self.expected.as_ref()?;
        Some(match (answer, expected.get("error")) {
            (Answer::Error { messages, .. }, Some(Value::Text(text))) => messages.join("\n") == *text,
            (Answer::Error { messages, .. }, Some(error)) => match error.get("messages").and_then(Value::as_array) {
                Some(expected) => {
                    let expected: Vec<&str> = expected.iter().filter_map(Value::as_str).collect();
                    expected == messages.iter().map(String::as_str).collect::<Vec<_>>()
                }
                None => true,
            },
            (Answer::Output(output), None) => match (output, expected.get("output")) {
                (Some(output), Some(expected)) => same(output, expected),
                (None, None) => true,
                _ => false,
            },
            _ => false,
        })
    }

    /// The line to print: `{"id", "output"}` or `{"id", "error"}`.
    pub fn line(&self, answer: &Answer) -> String {
        let mut line = Object::new();
        line.insert("id", self.id.clone());
        match answer {
            Answer::Output(Some(output)) => {
                line.insert("output", output.clone());
            }
            Answer::Output(None) => {}
            Answer::Error { messages, .. } => {
                line.insert("error", Value::Text(messages.join("\n")));
            }
        }
        Value::Object(line).to_json()
    }
}

/// Whether two values are the same to JavaScript, whatever the order of keys.
pub fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| same(value, other)))
        }
        _ => match (double(left), double(right)) {
            (Some(left), Some(right)) => left == right,
            _ => left == right,
        },
    }
}

fn double(value: &Value) -> Option<f64> {
    match value {
        Value::Int(int) => Some(*int as f64),
        Value::Float(float) => Some(*float),
        Value::Decimal(digits) => digits.parse().ok(),
        _ => None,
    }
}
