//! A hook's outputs, or a part in other words, put into a file, which stays as it is byte for byte everywhere else.

use std::ops::Range;

use serde_json::Value;

use super::{
    located::{Content, Node},
    yaml,
};

/// The key below the hook.
const OUTPUTS: &str = "outputs";

/// Why the outputs cannot be put into a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotPlaced {
    #[error("it is not YAML")]
    NotYaml,
    #[error("the hook is not in it")]
    Missing,
    #[error("it is not in the file any more")]
    NoEntry,
    #[error("what leads to it is not written line by line (`key:` and deeper lines)")]
    NotInLines,
    #[error("something else in it would change")]
    Unsafe,
}

/// The text with `outputs` below the map at `path` (`fields.onMappingSave`), in the place of those that are there.
///
/// # Errors
/// The file is written in a way that leaves no safe place for them.
pub fn with_outputs(text: &str, path: &str, outputs: &Value) -> Result<String, NotPlaced> {
    let root = Node::parse(text).map_err(|_| NotPlaced::NotYaml)?;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut node = &root;
    let mut indent = 0;
    let mut line = 0;
    for key in path.split('.') {
        let entry = node.entry(key).ok_or(NotPlaced::Missing)?;
        (line, indent) = (entry.place.line - 1, entry.place.column - 1);
        if !lines.get(line).is_some_and(|text| opens_block(text, indent, key)) {
            return Err(NotPlaced::NotInLines);
        }
        node = &entry.node;
    }
    let children = match &node.content {
        Content::Map(entries) => entries.as_slice(),
        Content::Null => &[],
        _ => return Err(NotPlaced::NotInLines),
    };
    let step = children.first().map_or(indent + 2, |child| child.place.column - 1);
    let replaced = match children.iter().find(|child| child.key == OUTPUTS) {
        Some(entry) => block(&lines, entry.place.line - 1, step),
        None => {
            let end = block(&lines, line, indent).end;
            end..end
        }
    };
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut placed: String = lines[..replaced.start].concat();
    if !placed.is_empty() && !placed.ends_with('\n') {
        placed.push_str(newline);
    }
    placed.push_str(&outputs_yaml(outputs, step, newline));
    placed.push_str(&lines[replaced.end..].concat());
    // Whatever was overlooked above shows here: all else must read as it did.
    let mut expected = root.to_json();
    set(&mut expected, path, outputs).ok_or(NotPlaced::Unsafe)?;
    let found = Node::parse(&placed).map_err(|_| NotPlaced::Unsafe)?.to_json();
    if unescaped(found, path) == Some(expected) { Ok(placed) } else { Err(NotPlaced::Unsafe) }
}

/// The text of a project's file with the entry `name` of a section in other words, or without it. `entry` is what the
/// entry shall say, and its lines below the key at an indentation.
///
/// # Errors
/// The file is written in a way that leaves no safe place for it.
pub(crate) fn with_entry(
    text: &str,
    section: &str,
    name: &str,
    entry: Option<EntryLines<'_>>,
) -> Result<String, NotPlaced> {
    let root = Node::parse(text).map_err(|_| NotPlaced::NotYaml)?;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let top = root.entry(section).ok_or(NotPlaced::NoEntry)?;
    if !lines.get(top.place.line - 1).is_some_and(|line| opens_block(line, top.place.column - 1, section)) {
        return Err(NotPlaced::NotInLines);
    }
    let found = top.node.entry(name).ok_or(NotPlaced::NoEntry)?;
    let (line, indent) = (found.place.line - 1, found.place.column - 1);
    let begins = lines.get(line).and_then(|line| line.split_at_checked(indent));
    if !begins.is_some_and(|(before, _)| before.bytes().all(|byte| byte == b' ')) {
        return Err(NotPlaced::NotInLines);
    }
    let range = block(&lines, line, indent);
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut placed: String = lines[..range.start].concat();
    let mut expected = root.to_json();
    let entries = expected.get_mut(section).and_then(Value::as_object_mut).ok_or(NotPlaced::NoEntry)?;
    match entry {
        Some((json, below)) => {
            let written = format!("{}{}:\n{}", " ".repeat(indent), yaml::key(name), below(indent + 2));
            placed.push_str(&written.replace('\n', newline));
            entries.insert(name.to_owned(), json.clone());
        }
        None => {
            entries.shift_remove(name);
        }
    }
    placed.push_str(&lines[range.end..].concat());
    // Whatever was overlooked above shows here: all else must read as it did.
    let mut read = Node::parse(&placed).map_err(|_| NotPlaced::Unsafe)?.to_json();
    if read.get(section).is_some_and(Value::is_null) {
        read[section] = Value::Object(serde_json::Map::new());
    }
    if read == expected { Ok(placed) } else { Err(NotPlaced::Unsafe) }
}

/// What an entry shall say, and the lines below its key for an indentation.
pub(crate) type EntryLines<'a> = (&'a Value, &'a dyn Fn(usize) -> String);

/// Outputs as they stand in a mapping's file, each line moved to the right.
pub fn outputs_yaml(outputs: &Value, indent: usize, newline: &str) -> String {
    let space = " ".repeat(indent);
    let Some(object) = outputs.as_object().filter(|object| !object.is_empty()) else {
        return format!("{space}{OUTPUTS}: {}{newline}", escaped(outputs));
    };
    let mut yaml = format!("{space}{OUTPUTS}:{newline}");
    for (key, value) in object {
        let is_plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && key.starts_with(|first: char| first.is_ascii_alphabetic());
        let key = if is_plain { key.clone() } else { Value::from(key.as_str()).to_string() };
        yaml.push_str(&format!("{space}  {key}: {}{newline}", escaped(value)));
    }
    yaml
}

/// JSON, which is YAML too, whose `${` means nothing but itself.
fn escaped(value: &Value) -> String {
    value.to_string().replace("${", "$${")
}

/// The document with the outputs at that path as they are meant.
fn unescaped(mut document: Value, path: &str) -> Option<Value> {
    let outputs = at(&mut document, path)?.get_mut(OUTPUTS)?;
    *outputs = serde_json::from_str(&outputs.to_string().replace("$${", "${")).ok()?;
    Some(document)
}

fn at<'v>(document: &'v mut Value, path: &str) -> Option<&'v mut Value> {
    path.split('.').try_fold(document, |value, key| value.get_mut(key))
}

fn set(document: &mut Value, path: &str, outputs: &Value) -> Option<()> {
    let hook = at(document, path)?;
    if hook.is_null() {
        *hook = Value::Object(serde_json::Map::new());
    }
    hook.as_object_mut()?.insert(OUTPUTS.to_owned(), outputs.clone());
    Some(())
}

/// Whether a line is nothing but `key:`, at that indentation, with a comment at most: its value are the lines below.
fn opens_block(line: &str, indent: usize, key: &str) -> bool {
    let Some((before, rest)) = line.split_at_checked(indent) else { return false };
    let quoted = [key.to_owned(), format!("\"{key}\""), format!("'{key}'")];
    let after = quoted.iter().find_map(|key| rest.strip_prefix(key.as_str())?.trim_start().strip_prefix(':'));
    let is_bare =
        |after: &str| after.trim().is_empty() || after.trim_start() != after && after.trim_start().starts_with('#');
    before.bytes().all(|byte| byte == b' ') && after.is_some_and(is_bare)
}

/// The lines of the value that begins with the key at `start`: all that stand deeper, to the last that is not empty.
fn block(lines: &[&str], start: usize, indent: usize) -> Range<usize> {
    let mut end = start + 1;
    for (index, line) in lines.iter().enumerate().skip(start + 1) {
        let text = line.trim();
        let depth = line.len() - line.trim_start_matches(' ').len();
        if text.is_empty() {
            continue;
        }
        if depth > indent {
            end = index + 1;
        } else if !text.starts_with('#') {
            break;
        }
    }
    start..end
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FILE: &str = "\
# Ours.
model: customers   # all of them
fields:
  email:   { '@path': \"$.properties.email\" }

  # The list.
  onMappingSave:  # made once
    inputs:
      name: 'VIPs'   # quoted

  plan: x
mode: upsert
";

    fn placed(text: &str, outputs: &Value) -> Result<String, NotPlaced> {
        with_outputs(text, "fields.onMappingSave", outputs)
    }

    #[test]
    fn outputs_stand_below_the_inputs_and_nothing_else_changes() {
        let once = placed(FILE, &json!({ "id": "L1", "count": 2 })).unwrap();
        let added = "    outputs:\n      id: \"L1\"\n      count: 2\n";
        assert_eq!(once, FILE.replace("   # quoted\n", &format!("   # quoted\n{added}")));
        // Again: they are replaced.
        let again = placed(&once, &json!({ "id": "L2" })).unwrap();
        assert_eq!(again, once.replace(added, "    outputs:\n      id: \"L2\"\n"));
    }

    #[test]
    fn line_ends_and_the_end_of_the_file_stay_as_they_are() {
        let text = FILE.replace('\n', "\r\n");
        let placed_there = placed(&text, &json!({ "id": "L1" })).unwrap();
        let added = "    outputs:\r\n      id: \"L1\"\r\n";
        assert_eq!(placed_there, text.replace("   # quoted\r\n", &format!("   # quoted\r\n{added}")));
        let open = "fields:\n   onMappingSave:\n     inputs: {name: x}";
        assert_eq!(
            placed(open, &json!({ "id": "${env:X}" })).unwrap(),
            format!("{open}\n     outputs:\n       id: \"$${{env:X}}\"\n")
        );
        let none = "fields:\n  onMappingSave:\nmode: add\n";
        assert_eq!(placed(none, &json!({})).unwrap(), "fields:\n  onMappingSave:\n    outputs: {}\nmode: add\n");
    }

    #[test]
    fn outputs_before_the_inputs_and_in_one_line_are_replaced() {
        let text = "fields:\n  onMappingSave:\n    outputs: {id: a,\n      name: b}\n    # what is wanted\n    inputs: {name: b}\n";
        let expected = text.replace("outputs: {id: a,\n      name: b}", "outputs:\n      id: \"c\"");
        assert_eq!(placed(text, &json!({ "id": "c" })).unwrap(), expected);
    }

    #[test]
    fn a_file_without_a_safe_place_is_left_alone() {
        let cases = [
            ("fields: {onMappingSave: {inputs: {}}}\n", NotPlaced::NotInLines),
            ("fields:\n  onMappingSave: {inputs: {}}\n", NotPlaced::NotInLines),
            ("x: &x\n  inputs: {}\nfields:\n  onMappingSave: *x\n", NotPlaced::NotInLines),
            ("fields:\n  onMappingSave: &x\n    inputs: {}\nother: *x\n", NotPlaced::NotInLines),
            ("fields:\n  other: 1\n", NotPlaced::Missing),
            ("fields: [\n", NotPlaced::NotYaml),
            ("fields: &f\n  a: 1\n", NotPlaced::NotInLines),
        ];
        for (text, expected) in cases {
            assert_eq!(placed(text, &json!({ "id": "c" })), Err(expected), "{text}");
        }
    }
}
