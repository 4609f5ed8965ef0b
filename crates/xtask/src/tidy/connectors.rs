//! Sources and destinations: each has one folder and one line of a list, and neither without the other.

use std::{collections::BTreeSet, fs, path::Path};

use super::{Problem, TextFile, TidyError, find};

const CRATES: [&str; 2] = ["crates/sources", "crates/destinations"];

/// Names that the list of a crate's `lib.rs` goes by: slugs alone, or slugs with what belongs to each.
const LISTS: [&str; 2] = ["SLUGS", "LIST"];

pub(super) fn check(root: &Path, files: &[TextFile]) -> Result<Vec<Problem>, TidyError> {
    let mut problems = Vec::new();
    for folder in CRATES {
        let lib = format!("{folder}/src/lib.rs");
        if let Some(file) = find(files, &lib) {
            let connectors = folders(&root.join(folder).join("src"))?;
            compare(&lib, &connectors, &listed(file), &mut problems);
            strangers(&format!("{folder}/src"), &connectors, files, &mut problems);
        }
    }
    Ok(problems)
}

fn compare(lib: &str, folders: &BTreeSet<String>, listed: &BTreeSet<String>, problems: &mut Vec<Problem>) {
    for folder in folders.difference(listed) {
        let message = format!(
            "the folder `{folder}` is not in the list; add its line. Each folder here is a connector: what several \
             share is a file, or belongs in `kit`"
        );
        problems.push(Problem::new(lib, None, message));
    }
    for slug in listed.difference(folders) {
        problems.push(Problem::new(lib, None, format!("the list names `{slug}`, which has no folder")));
    }
}

/// Connectors do not know each other.
fn strangers(src: &str, connectors: &BTreeSet<String>, files: &[TextFile], problems: &mut Vec<Problem>) {
    let modules: Vec<_> = connectors.iter().map(|slug| slug.replace('-', "_")).collect();
    for own in &modules {
        let inside = |file: &&TextFile| file.is_rust() && file.starts_with(&format!("{src}/{own}"));
        for (file, other) in files.iter().filter(inside).flat_map(|file| modules.iter().map(move |other| (file, other)))
        {
            let path = format!("crate::{other}::");
            for (line, _) in file.lines().filter(|(_, text)| other != own && text.contains(&path)) {
                let message = format!("`{own}` must not know `{other}`; what both need is a file beside them");
                problems.push(Problem::new(&file.path, line, message));
            }
        }
    }
}

/// Folders that hold more than a module's tests.
fn folders(src: &Path) -> Result<BTreeSet<String>, TidyError> {
    let failed = |source| TidyError::Read { path: src.to_owned(), source };
    let mut folders = BTreeSet::new();
    for entry in fs::read_dir(src).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.file_type().map_err(failed)?.is_dir() {
            continue;
        }
        let mut inside = fs::read_dir(entry.path()).map_err(failed)?.filter_map(Result::ok);
        let more = inside.any(|inner| inner.file_name() != "tests.rs" && inner.file_name() != "tests");
        if let Some(name) = entry.file_name().to_str().filter(|_| more) {
            // A slug's hyphens are underscores in a module's name.
            folders.insert(name.replace('_', "-"));
        }
    }
    Ok(folders)
}

/// The slugs between a list's name and the end of its statement: quoted words that are no path.
fn listed(lib: &TextFile) -> BTreeSet<String> {
    let statements = LISTS.iter().filter_map(|list| {
        let (_, after) = lib.text.split_once(&format!("const {list}:"))?;
        let (_, value) = after.split_once("= ")?;
        value.split("];").next()
    });
    let words = statements.flat_map(|statement| statement.split('"').skip(1).step_by(2));
    words.filter(|word| !word.is_empty() && !word.contains(['/', '.'])).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
