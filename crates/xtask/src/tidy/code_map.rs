//! Who may use whom: the table in `ARCHITECTURE.md` against what the crates' manifests say.

use std::collections::BTreeSet;

use super::{Problem, TextFile, find, metadata::Package};

const PAGE: &str = "ARCHITECTURE.md";
/// The words a row's second column has for a crate that only tests depend on.
const FOR_TESTS: &str = "for tests";

/// One row of the table.
#[derive(Debug)]
struct Entry<'a> {
    name: &'a str,
    line: usize,
    may_use: BTreeSet<&'a str>,
    for_tests: bool,
}

pub(super) fn check(files: &[TextFile], packages: &[Package]) -> Vec<Problem> {
    let Some(page) = find(files, PAGE) else {
        return vec![Problem::new(PAGE, None, "is missing; it holds the code map")];
    };
    let mut problems = Vec::new();
    let names: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let entries = entries(page, &names, &mut problems);
    if entries.is_empty() && problems.is_empty() {
        problems.push(Problem::new(PAGE, None, "has no code map: a table whose first column is headed `crate`"));
        return problems;
    }
    for entry in entries.iter().filter(|entry| !names.contains(entry.name)) {
        let message = format!("there is no crate `{}`; take its row out of the code map", entry.name);
        problems.push(Problem::new(PAGE, entry.line, message));
    }
    for package in packages {
        match entries.iter().find(|entry| entry.name == package.name) {
            Some(entry) => edges(entry, package, &entries, &mut problems),
            None => {
                let message = format!("the crate `{}` has no row in the code map; add one", package.name);
                problems.push(Problem::new(PAGE, None, message));
            }
        }
    }
    problems
}

fn edges(entry: &Entry<'_>, package: &Package, entries: &[Entry<'_>], problems: &mut Vec<Problem>) {
    let manifest = &package.manifest_path;
    for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_some()) {
        let used = dependency.name.as_str();
        let only_for_tests = entries.iter().any(|entry| entry.name == used && entry.for_tests);
        if dependency.is_for_tests() && only_for_tests {
            continue;
        }
        if only_for_tests && !entry.for_tests {
            let message = format!("`{used}` is for tests: move it to [dev-dependencies]");
            problems.push(Problem::new(manifest, None, message));
        } else if !entry.may_use.contains(used) {
            let message = format!(
                "`{}` may not use `{used}` (code map, {PAGE}:{}); pass in what it needs, or argue for a new edge there",
                entry.name, entry.line
            );
            problems.push(Problem::new(manifest, None, message));
        }
    }
}

fn entries<'a>(page: &'a TextFile, names: &BTreeSet<&'a str>, problems: &mut Vec<Problem>) -> Vec<Entry<'a>> {
    let rows = page
        .lines()
        .skip_while(|(_, line)| cells(line).first() != Some(&"crate"))
        .skip(2)
        .take_while(|(_, line)| line.starts_with('|'));
    let mut entries = Vec::new();
    for (line, row) in rows {
        let [name, is, may_use, ..] = cells(row)[..] else {
            problems.push(Problem::new(PAGE, line, "a row of the code map needs the columns crate, is, may use"));
            continue;
        };
        match allowed(may_use, names) {
            Ok(may_use) => entries.push(Entry { name, line, may_use, for_tests: is.contains(FOR_TESTS) }),
            Err(word) => {
                let message = format!(
                    "`{word}` is no crate; write `–`, names with commas between, `all`, or `all but` and names"
                );
                problems.push(Problem::new(PAGE, line, message));
            }
        }
    }
    entries
}

/// The cells of a table's row, without the backticks around names.
fn cells(row: &str) -> Vec<&str> {
    let Some(row) = row.trim().strip_prefix('|') else { return Vec::new() };
    row.trim_end_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect()
}

/// The crates a cell allows: `–`, `records, kit`, `all`, `all but sync`.
fn allowed<'a>(cell: &'a str, names: &BTreeSet<&'a str>) -> Result<BTreeSet<&'a str>, &'a str> {
    let list = |text: &'a str| -> Result<BTreeSet<&'a str>, &'a str> {
        let names_in = text.split(',').map(|name| name.trim().trim_matches('`'));
        names_in.map(|name| if names.contains(name) { Ok(name) } else { Err(name) }).collect()
    };
    match cell {
        "–" | "-" | "" => Ok(BTreeSet::new()),
        "all" => Ok(names.clone()),
        _ => match cell.strip_prefix("all but ") {
            Some(excepted) => Ok(names.difference(&list(excepted)?).copied().collect()),
            None => list(cell),
        },
    }
}

#[cfg(test)]
mod tests;
