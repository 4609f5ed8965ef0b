//! The comments at the top of a model's SQL file: `-- source: shop`.

use serde_json::{Map, Value};

use super::{
    differences::bare,
    located::{Content, Node, Place, SyntaxProblem},
    yaml,
};

/// The entries of a header in the order in which they are written; others follow as they are.
const ORDER: [&str; 5] = ["source", "key", "description", "personal", "enabled"];

/// Reads the entries of a SQL file's header: the comment lines before the first line that is none, of which those
/// of the form `-- word: value` count. Everything keeps its line.
///
/// # Errors
/// An entry that is not YAML.
pub(crate) fn read(sql: &str) -> Result<Node, SyntaxProblem> {
    let mut yaml = String::new();
    for line in sql.strip_prefix('\u{feff}').unwrap_or(sql).lines() {
        let text = line.trim_start();
        let Some(comment) = text.strip_prefix("--") else { break };
        if is_entry(comment) {
            // All entries must stand in one column to be one map: that of `-- `, as in nearly every file.
            yaml.push_str("   ");
            yaml.push_str(comment.trim_start());
        }
        yaml.push('\n');
    }
    let mut node = Node::parse(&yaml)?;
    if !matches!(node.content, Content::Map(_)) {
        node.content = Content::Map(Vec::new());
    }
    node.place = Place::START;
    Ok(node)
}

/// The query of a SQL file without the entries of its header; other comments are a part of it.
pub(crate) fn body(sql: &str) -> String {
    let mut body = String::new();
    let mut lines = sql.strip_prefix('\u{feff}').unwrap_or(sql).split_inclusive('\n');
    for line in lines.by_ref() {
        let Some(comment) = line.trim_start().strip_prefix("--") else {
            body.push_str(line);
            break;
        };
        if !is_entry(comment) {
            body.push_str(line);
        }
    }
    body.extend(lines);
    bare(&body).to_owned()
}

/// A SQL file of these entries, one of which is the `query`.
pub(crate) fn write(entries: &Map<String, Value>) -> String {
    let mut header: Vec<(&String, &Value)> = entries.iter().filter(|(key, _)| *key != "query").collect();
    header.sort_by_key(|(key, _)| ORDER.iter().position(|known| known == key).unwrap_or(ORDER.len()));
    let mut text = String::new();
    for (key, value) in header {
        text.push_str(&format!("-- {key}: {}\n", yaml::in_line(value)));
    }
    let query = entries.get("query").and_then(Value::as_str).unwrap_or_default();
    // The empty line ends the header, whatever the query begins with.
    text.push_str(&format!("\n{query}\n"));
    text
}

fn is_entry(comment: &str) -> bool {
    comment.trim_start().split_once(':').is_some_and(|(word, value)| {
        !word.is_empty()
            && word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
            && value.starts_with([' ', '\t'])
    })
}
