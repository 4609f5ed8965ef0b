//! Values as YAML for people: keys in the order of their form, long texts in blocks, always the same text for the same
//! value. What is written here is read again as it was.

use serde_json::{Map, Value};

/// Words that YAML takes for something else than text.
const NO_TEXT: [&str; 11] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"];
/// How much deeper each map and list stands.
const STEP: usize = 2;

/// A map as a document of its own. Keys come in the order of the schema (with its root, for references), others after
/// them as they are.
pub(crate) fn document(entries: &Map<String, Value>, order: Order<'_>) -> String {
    let mut out = String::new();
    map(entries, order, 0, &mut out);
    out
}

/// A map below a key, each line moved to the right.
pub(crate) fn below(entries: &Map<String, Value>, order: Order<'_>, indent: usize) -> String {
    let mut out = String::new();
    map(entries, order, indent, &mut out);
    out
}

/// A value in one line, for the header of a model's file.
pub(crate) fn in_line(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(in_line).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(entries) if entries.is_empty() => "{}".to_owned(),
        Value::Object(entries) => {
            let entry = |(key, value): (&String, &Value)| format!("{}: {}", quoted(key), in_line(value));
            let entries: Vec<String> = entries.iter().map(entry).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Value::String(text) if is_word(text) => text.clone(),
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

/// A key as it stands before its colon.
pub(crate) fn key(key: &str) -> String {
    if is_word(key) { key.to_owned() } else { quoted(key) }
}

/// The schema that says in which order the keys of a map come.
#[derive(Clone, Copy)]
pub(crate) struct Order<'a> {
    root: &'a Value,
    schema: Option<&'a Value>,
}

impl<'a> Order<'a> {
    pub(crate) fn new(root: &'a Value, schema: &'a Value) -> Self {
        Self { root, schema: Some(schema) }
    }

    /// The keys of the map's form, for the branch that its `type` chooses.
    fn keys(self, entries: &Map<String, Value>) -> Vec<&'a str> {
        let Some(properties) = self.object(entries).and_then(|schema| schema.get("properties")) else {
            return Vec::new();
        };
        properties.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect()
    }

    fn below(self, entries: &Map<String, Value>, key: &str) -> Self {
        Self { schema: self.object(entries).and_then(|schema| schema["properties"].get(key)), ..self }
    }

    fn object(self, entries: &Map<String, Value>) -> Option<&'a Value> {
        let mut schema = self.schema?;
        for _ in 0..16 {
            if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
                schema = self.root.pointer(reference.strip_prefix('#')?)?;
                continue;
            }
            let branches = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array);
            let Some(branches) = branches else { return Some(schema) };
            let fits = |branch: &&Value| match branch["properties"]["type"].get("const") {
                Some(kind) => entries.get("type") == Some(kind),
                None => branch["type"] == "object" || branch.get("$ref").is_some(),
            };
            schema = branches.iter().find(fits)?;
        }
        None
    }
}

fn map(entries: &Map<String, Value>, order: Order<'_>, indent: usize, out: &mut String) {
    let known = order.keys(entries);
    let place = |key: &str| known.iter().position(|known| *known == key).unwrap_or(known.len());
    let mut sorted: Vec<(&String, &Value)> = entries.iter().collect();
    sorted.sort_by_key(|(key, _)| place(key));
    for (name, value) in sorted {
        out.push_str(&" ".repeat(indent));
        out.push_str(&key(name));
        out.push(':');
        match value {
            Value::Object(below) if !below.is_empty() && !is_directive(below) => {
                out.push('\n');
                map(below, order.below(entries, name), indent + STEP, out);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                list(items, indent + STEP, out);
            }
            other => {
                out.push(' ');
                scalar(other, indent, out);
            }
        }
    }
}

fn list(items: &[Value], indent: usize, out: &mut String) {
    for item in items {
        let start = out.len();
        match item {
            Value::Object(below) if !below.is_empty() && !is_directive(below) => {
                map(below, Order { root: &Value::Null, schema: None }, indent + STEP, out);
            }
            Value::Array(below) if !below.is_empty() => list(below, indent + STEP, out),
            other => {
                out.push_str(&" ".repeat(indent + STEP));
                scalar(other, indent, out);
            }
        }
        // The item's first line begins where its mark ends.
        out.replace_range(start + indent..start + indent + STEP, "- ");
    }
}

/// A value that stands behind its key. `indent` is that of the key.
fn scalar(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::String(text) if is_block(text) => {
            out.push_str(if text.ends_with('\n') { "|\n" } else { "|-\n" });
            for line in text.lines() {
                if !line.is_empty() {
                    out.push_str(&" ".repeat(indent + STEP));
                    out.push_str(line);
                }
                out.push('\n');
            }
        }
        Value::String(text) if is_plain(text) => {
            out.push_str(text);
            out.push('\n');
        }
        Value::String(text) => {
            out.push_str(&quoted(text));
            out.push('\n');
        }
        other => {
            out.push_str(&in_line(other));
            out.push('\n');
        }
    }
}

/// A map with one directive and a plain value, which reads best in one line: `{ "@path": "$.properties.id" }`.
fn is_directive(entries: &Map<String, Value>) -> bool {
    entries.len() == 1
        && entries.iter().all(|(key, value)| {
            let is_short = match value {
                Value::String(text) => text.len() <= 80,
                Value::Array(_) | Value::Object(_) => false,
                _ => true,
            };
            key.starts_with('@') && is_short
        })
}

/// A word that means itself wherever it stands, between brackets too.
fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.'))
        && !NO_TEXT.contains(&text.to_ascii_lowercase().as_str())
}

/// A text that means itself behind a key.
fn is_plain(text: &str) -> bool {
    let is_safe =
        |letter: char| letter.is_alphanumeric() || letter == ' ' || "_-./$:{}@+=%~*()<>!?,;'\"&|^".contains(letter);
    text.starts_with(|first: char| first.is_alphabetic() || matches!(first, '_' | '/' | '$'))
        && text.chars().all(is_safe)
        && !text.contains(": ")
        && !text.ends_with([' ', ':'])
        && !NO_TEXT.contains(&text.to_lowercase().as_str())
}

/// A text of several lines that a block gives back as it is.
fn is_block(text: &str) -> bool {
    let is_strange = |letter: char| (letter.is_control() && letter != '\n') || is_break(letter);
    text.contains('\n')
        && !text.starts_with(char::is_whitespace)
        && !text.contains(is_strange)
        && !text.trim_end_matches('\n').is_empty()
        && !text.ends_with("\n\n")
        && text.lines().all(|line| line.is_empty() || !line.trim().is_empty())
}

/// Letters that some readers take for the end of a line, or do not take at all.
fn is_break(letter: char) -> bool {
    matches!(letter, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Text in double quotes, as JSON and YAML both read it.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            letter if letter.is_control() || is_break(letter) => {
                out.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
