//! Checks a part of a project against the published JSON Schema, so that what an editor is told and what `check`
//! says are one and the same. It knows the words of JSON Schema that our own schemas use, no others.

use std::{path::Path, sync::LazyLock};

use serde_json::{Map, Value};

use super::{
    located::{Content, Node, Place},
    problem::{Problem, Problems, listed, nearest, suggestion},
    references::has_references,
};

/// Texts of sizes: `512MiB`, `2 GB`, `1048576`.
pub(crate) const SIZE: &str = "size";
/// Names of tables: `outflow`, `analytics.outflow`.
pub(crate) const TABLE: &str = "table";
/// The longest name, without what is put behind it; databases cut longer ones off.
const TABLE_NAME_MAX: usize = 40;

/// Checks nodes of one file.
pub(crate) struct Checker<'a> {
    file: &'a Path,
    /// The schema that `$ref`s point into.
    root: &'a Value,
    problems: &'a mut Problems,
    /// Whether `${…}` has not been filled in: such a text may stand for any value.
    has_references: bool,
}

impl<'a> Checker<'a> {
    pub(crate) fn new(file: &'a Path, root: &'a Value, problems: &'a mut Problems) -> Self {
        Self { file, root, problems, has_references: false }
    }

    /// For texts in which `${…}` was not filled in.
    pub(crate) fn with_references(self) -> Self {
        Self { has_references: true, ..self }
    }

    /// Reports everything in `node` that `schema` does not allow. Text that stands where a number or a yes or no
    /// is due becomes one, for what came out of `${env:…}`.
    pub(crate) fn check(&mut self, node: &mut Node, schema: &'a Value, path: &str) {
        if self.is_open(node) {
            return;
        }
        let Some(schema) = resolved(self.root, schema) else { return };
        if let Some(branches) = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array) {
            if let Some(values) = constants(branches) {
                return self.check_word(node, &values, path);
            }
            match self.branch(node, branches, path) {
                Some(branch) => self.check(node, branch, path),
                None => return,
            }
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            return self.check_word(node, &values.iter().collect::<Vec<_>>(), path);
        }
        if let Some(value) = schema.get("const") {
            return self.check_word(node, &[value], path);
        }
        if !self.check_type(node, schema, path) {
            return;
        }
        match &mut node.content {
            Content::Map(_) => self.check_map(node, schema, path),
            Content::List(items) => {
                let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
                if u64::try_from(items.len()).unwrap_or(u64::MAX) < least {
                    self.report(node.place, path, format!("it needs at least {least}"));
                    return;
                }
                if let Some(of) = schema.get("items") {
                    for (index, item) in items.iter_mut().enumerate() {
                        self.check(item, of, &format!("{path}[{index}]"));
                    }
                }
            }
            Content::Number(number) => {
                let number = number.as_f64().unwrap_or(f64::NAN);
                let bound = |word| schema.get(word).and_then(Value::as_f64);
                if let Some(least) = bound("minimum").filter(|least| number < *least) {
                    self.report(node.place, path, format!("{number} is too small; it must be at least {least}"));
                } else if let Some(most) = bound("maximum").filter(|most| number > *most) {
                    self.report(node.place, path, format!("{number} is too large; it may be at most {most}"));
                }
            }
            Content::Text(text) => {
                let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(0);
                if u64::try_from(text.chars().count()).unwrap_or(u64::MAX) < least {
                    self.report(node.place, path, "it must not be empty");
                    return;
                }
                let message = match schema.get("format").and_then(Value::as_str) {
                    Some(SIZE) if parse_size(text).is_none() => {
                        format!("`{text}` is not a size; write it as `512MiB`, `2GB` or a number of bytes")
                    }
                    Some(TABLE) if !is_table(text) => format!(
                        "`{text}` names no table; write `name` or `schema.name`, each of letters, digits and `_`, at \
                         most {TABLE_NAME_MAX} of them"
                    ),
                    _ => return,
                };
                self.report(node.place, path, message);
            }
            Content::Null | Content::Flag(_) => {}
        }
    }

    fn is_open(&self, node: &Node) -> bool {
        self.has_references && node.text().is_some_and(has_references)
    }

    fn report(&mut self, place: Place, path: &str, message: impl Into<String>) {
        self.problems.push(Problem::new(self.file, place, path, message));
    }

    /// The branch that is meant: by a key whose value is fixed in each branch, else by the type of the value.
    fn branch(&mut self, node: &Node, branches: &'a [Value], path: &str) -> Option<&'a Value> {
        let resolved: Vec<&Value> = branches
            .iter()
            .filter_map(|branch| resolved(self.root, branch))
            .filter(|branch| branch["type"] != "null")
            .collect();
        if let Content::Null = node.content
            && resolved.len() < branches.len()
        {
            return None;
        }
        if let (Some(key), Content::Map(_)) = (discriminant(&resolved), &node.content) {
            let values: Vec<&Value> = resolved.iter().map(|branch| &branch["properties"][&key]["const"]).collect();
            let below = join(path, &key);
            let Some(chosen) = node.get(&key) else {
                let words: Vec<&str> = values.iter().filter_map(|value| value.as_str()).collect();
                self.report(node.place, &below, format!("it is missing; it must be one of {}", listed(&words)));
                return None;
            };
            let index = values.iter().position(|&value| *value == chosen.to_json());
            if index.is_none() {
                let (place, mut chosen) = (chosen.place, chosen.clone());
                chosen.place = place;
                self.check_word(&mut chosen, &values, &below);
            }
            return index.map(|index| resolved[index]);
        }
        if let [one] = &resolved[..] {
            return Some(one);
        }
        let fitting = resolved.iter().copied().find(|branch| fits(node, branch));
        if fitting.is_none() {
            let types: Vec<String> = resolved.iter().flat_map(|branch| type_words(branch)).collect();
            self.report(node.place, path, format!("it must be {}, not {}", types.join(" or "), node.type_name()));
        }
        fitting
    }

    fn check_word(&mut self, node: &mut Node, values: &[&Value], path: &str) {
        if self.is_open(node) || values.iter().any(|&value| *value == node.to_json()) {
            return;
        }
        let words: Vec<String> =
            values.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let message = match &node.content {
            Content::Text(text) => format!("`{text}` is not known; {}", suggestion(text, &words)),
            Content::Number(number) => format!("{number} is not known; {}", suggestion(&number.to_string(), &words)),
            _ => format!("it must be one of {}, not {}", listed(&words), node.type_name()),
        };
        self.report(node.place, path, message);
    }

    fn check_type(&mut self, node: &mut Node, schema: &Value, path: &str) -> bool {
        let types = types(schema);
        if types.is_empty() || types.iter().any(|name| has_type(node, name)) {
            return true;
        }
        if let Content::Text(text) = &node.content {
            let converted = types.iter().find_map(|&name| match name {
                "integer" => text.parse::<i64>().ok().map(|number| Content::Number(number.into())),
                "number" => text.parse().ok().and_then(serde_json::Number::from_f64).map(Content::Number),
                "boolean" => text.parse().ok().map(Content::Flag),
                _ => None,
            });
            if let Some(content) = converted {
                node.content = content;
                return true;
            }
        }
        let shown = match &node.content {
            Content::Text(text) if text.len() <= 40 && !path.to_lowercase().contains("password") => {
                format!("the text `{text}`")
            }
            Content::Number(number) => format!("the number {number}"),
            Content::Flag(flag) => format!("{flag}"),
            _ => node.type_name().to_owned(),
        };
        self.report(node.place, path, format!("it must be {}, not {shown}", type_words(schema).join(" or ")));
        false
    }

    fn check_map(&mut self, node: &mut Node, schema: &'a Value, path: &str) {
        static EMPTY: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&EMPTY);
        let place = node.place;
        let Content::Map(entries) = &mut node.content else { return };
        let required = schema.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for key in required.iter().filter_map(Value::as_str) {
            if !entries.iter().any(|entry| entry.key == key) {
                let near = entries
                    .iter()
                    .filter(|entry| !properties.contains_key(&entry.key))
                    .find(|entry| nearest(&entry.key, &[key]).is_some());
                // A slip of the pen is told once, at the key that stands there.
                if near.is_none() {
                    let about = properties.get(key).and_then(description);
                    let message = match about {
                        Some(about) => format!("it is missing: {about}"),
                        None => "it is missing".to_owned(),
                    };
                    self.report(place, &join(path, key), message);
                }
            }
        }
        let known: Vec<&str> = properties.keys().map(String::as_str).collect();
        for entry in entries {
            let below = join(path, &entry.key);
            match (properties.get(&entry.key), schema.get("additionalProperties")) {
                (Some(property), _) => self.check(&mut entry.node, property, &below),
                (None, Some(Value::Bool(false))) => {
                    let message = format!("the key `{}` is not known; {}", entry.key, suggestion(&entry.key, &known));
                    self.report(entry.place, &below, message);
                }
                (None, Some(of @ Value::Object(_))) => self.check(&mut entry.node, of, &below),
                (None, _) => {}
            }
        }
    }
}

/// What a schema says, its references followed.
fn resolved<'a>(root: &'a Value, mut schema: &'a Value) -> Option<&'a Value> {
    for _ in 0..16 {
        match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) => schema = root.pointer(reference.strip_prefix('#')?)?,
            None => return Some(schema),
        }
    }
    None
}

/// The values of branches that are nothing but fixed words.
fn constants(branches: &[Value]) -> Option<Vec<&Value>> {
    branches.iter().map(|branch| branch.get("const")).collect()
}

/// The key whose value is fixed, and another, in each branch.
fn discriminant(branches: &[&Value]) -> Option<String> {
    let first = branches.first()?.get("properties")?.as_object()?;
    let fixed = |branch: &Value, key: &str| branch["properties"][key].get("const").is_some();
    first.keys().find(|key| branches.iter().all(|branch| fixed(branch, key))).cloned()
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn fits(node: &Node, schema: &Value) -> bool {
    let types = types(schema);
    types.is_empty() || types.iter().any(|name| has_type(node, name))
}

fn has_type(node: &Node, name: &str) -> bool {
    match &node.content {
        Content::Null => name == "null",
        Content::Flag(_) => name == "boolean",
        Content::Number(number) => name == "number" || (name == "integer" && !number.is_f64()),
        Content::Text(_) => name == "string",
        Content::List(_) => name == "array",
        Content::Map(_) => name == "object",
    }
}

fn type_words(schema: &Value) -> Vec<String> {
    let word = |name: &str| match name {
        "string" => Some("text"),
        "integer" => Some("a whole number"),
        "number" => Some("a number"),
        "boolean" => Some("true or false"),
        "array" => Some("a list"),
        "object" => Some("a map"),
        _ => None,
    };
    types(schema).into_iter().filter_map(word).map(str::to_owned).collect()
}

/// The first sentence of a schema's description.
fn description(schema: &Value) -> Option<String> {
    let text = schema.get("description")?.as_str()?.replace('\n', " ");
    let sentence = text.split(". ").next()?.trim_end_matches('.');
    let mut letters = sentence.chars();
    let first = letters.next()?;
    Some(format!("{}{}", first.to_lowercase(), letters.as_str()))
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// `name` or `schema.name`, of letters that need no quotes anywhere.
fn is_table(text: &str) -> bool {
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
            && name.len() <= TABLE_NAME_MAX
    };
    text.split('.').count() <= 2 && text.split('.').all(is_name)
}

/// A number of bytes: `512MiB`, `2 GB`, `1048576`.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(unit)
}
