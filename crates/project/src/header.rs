//! The comments at the top of a model's SQL file: `-- source: shop`.

use super::located::{Content, Node, Place, SyntaxProblem};

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

fn is_entry(comment: &str) -> bool {
    comment.trim_start().split_once(':').is_some_and(|(word, value)| {
        !word.is_empty()
            && word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
            && value.starts_with([' ', '\t'])
    })
}
