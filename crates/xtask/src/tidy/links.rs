//! Documents: links lead somewhere, paths in backticks exist, and `make` has the targets that are spoken of.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use super::{Problem, TextFile};

/// A word in backticks that begins so is a path of the checkout.
const PATHS: [&str; 7] = ["crates/", "docs/", "benches/", "scripts/", "tests/", ".ci/", ".config/"];

/// Speaks of what was, so its paths need not be there any more.
const HISTORY: &str = "CHANGELOG.md";

pub(super) fn check(root: &Path, files: &[TextFile]) -> Vec<Problem> {
    let makefile = fs::read_to_string(root.join("Makefile")).unwrap_or_default();
    let mut problems = Vec::new();
    for page in files.iter().filter(|file| file.has_ending("md")) {
        for (line, text) in prose(page) {
            for target in links(text) {
                if let Err(message) = resolve(root, files, page, target) {
                    problems.push(Problem::new(&page.path, line, message));
                }
            }
            if page.path == Path::new(HISTORY) {
                continue;
            }
            for code in text.split('`').skip(1).step_by(2) {
                if let Err(message) = code_exists(root, page, &makefile, code) {
                    problems.push(Problem::new(&page.path, line, message));
                }
            }
        }
    }
    problems
}

/// The lines outside of code blocks.
fn prose(page: &TextFile) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    page.lines().filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    })
}

/// The targets of `[text](target)`.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.trim())
}

fn resolve(root: &Path, files: &[TextFile], page: &TextFile, target: &str) -> Result<(), String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return Ok(());
    }
    let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let folder = page.path.parent().unwrap_or(Path::new(""));
    let full = if path.is_empty() { page.path.clone() } else { flatten(&folder.join(path)) };
    if !root.join(&full).exists() {
        return Err(format!("the link `{target}` leads nowhere: there is no `{}`", full.display()));
    }
    let headed = |anchor| {
        let file = files.iter().find(|file| file.path == full)?;
        Some(prose(file).any(|(_, line)| line.starts_with('#') && heading_anchor(line) == anchor))
    };
    match anchor {
        Some(anchor) if headed(anchor) == Some(false) => {
            Err(format!("the link `{target}` leads nowhere: `{}` has no such heading", full.display()))
        }
        _ => Ok(()),
    }
}

/// Takes `a/..` out of a path.
fn flatten(path: &Path) -> PathBuf {
    let mut flat = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir if flat.file_name().is_some() => drop(flat.pop()),
            Component::CurDir => {}
            _ => flat.push(part),
        }
    }
    flat
}

/// A heading's anchor as the usual pages make it: small letters, hyphens for spaces, no other signs.
fn heading_anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_'));
    kept.map(|char| if char == ' ' { '-' } else { char }).collect()
}

fn code_exists(root: &Path, page: &TextFile, makefile: &str, code: &str) -> Result<(), String> {
    if let Some(target) = code.strip_prefix("make ").and_then(|rest| rest.split_whitespace().next()) {
        let rule = format!("{target}:");
        if !makefile.lines().any(|line| line.starts_with(&rule)) {
            return Err(format!("`{code}`: the Makefile has no target `{target}`"));
        }
    }
    let is_path = PATHS.iter().any(|folder| code.starts_with(folder)) && !code.contains(['<', '*', '{', ' ', '…']);
    // Of the checkout, or of the crate the page belongs to.
    let exists = || page.path.ancestors().skip(1).any(|folder| root.join(folder).join(code).exists());
    if is_path && !exists() {
        return Err(format!("there is no `{code}`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
