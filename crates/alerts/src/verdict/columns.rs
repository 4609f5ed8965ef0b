//! What became of a model's columns from one extract to the next.

use serde_json::json;

use super::Verdict;
use crate::{ColumnFacts, ColumnsFacts, SchemaChanged};

/// More names than this are counted, not listed.
const NAMES_MAX: usize = 10;

/// Judges the columns of a model. The order of columns is no difference.
pub fn judge_columns(rule: SchemaChanged, columns: &ColumnsFacts) -> Verdict {
    let find = |list: &[ColumnFacts], name: &str| list.iter().find(|column| column.name == name).cloned();
    let missing = |from: &[ColumnFacts], list: &[ColumnFacts]| {
        list.iter().filter(|column| find(from, &column.name).is_none()).map(|column| column.name.clone()).collect()
    };
    let chosen = |is_told: bool, names: Vec<String>| if is_told { names } else { Vec::new() };
    let added = chosen(rule.added, missing(&columns.before, &columns.now));
    let removed = chosen(rule.removed, missing(&columns.now, &columns.before));
    let retyped: Vec<(String, String, String)> = columns
        .now
        .iter()
        .filter(|_| rule.retyped)
        .filter_map(|now| {
            let before = find(&columns.before, &now.name)?;
            (before.kind != now.kind).then(|| (now.name.clone(), before.kind, now.kind.clone()))
        })
        .collect();
    let mut parts = Vec::new();
    for (names, what) in [(&added, "added"), (&removed, "removed")] {
        if !names.is_empty() {
            parts.push(format!("{what}: {}", listed(names.iter().map(|name| format!("`{name}`")).collect())));
        }
    }
    if !retyped.is_empty() {
        let changes = retyped.iter().map(|(name, before, now)| format!("`{name}` from {before} to {now}"));
        parts.push(format!("retyped: {}", listed(changes.collect())));
    }
    if parts.is_empty() {
        return Verdict::Unknown;
    }
    let details = json!({
        "added": added,
        "removed": removed,
        "retyped": retyped.iter().map(|(name, before, now)| json!({ "column": name, "before": before, "now": now })).collect::<Vec<_>>(),
    });
    Verdict::trouble(format!("the model's columns changed; {}", parts.join("; ")), details, columns.sync)
}

fn listed(mut names: Vec<String>) -> String {
    let more = names.len().saturating_sub(NAMES_MAX);
    names.truncate(NAMES_MAX);
    match more {
        0 => names.join(", "),
        _ => format!("{} and {more} more", names.join(", ")),
    }
}
