//! The rules of the house, each in a file of its own. One function checks them all: the command and a test call it.

mod absence;
mod code_map;
mod connectors;
mod files;
mod links;
mod metadata;
mod rust_files;

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use files::TextFile;

/// Something against the rules, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    /// Relative to the workspace.
    pub(crate) file: PathBuf,
    /// From 1. None if it is the file itself.
    pub(crate) line: Option<usize>,
    pub(crate) message: String,
}

impl Problem {
    fn new(file: impl Into<PathBuf>, line: impl Into<Option<usize>>, message: impl Into<String>) -> Self {
        Self { file: file.into(), line: line.into(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Why the rules could not be checked at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TidyError {
    #[error("cannot read `{}`: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("`cargo metadata` failed: {0}")]
    Metadata(String),
}

/// Checks every rule on the workspace at `root`.
///
/// # Errors
/// A file cannot be read, or `cargo metadata` does not answer.
pub(crate) fn check(root: &Path) -> Result<Vec<Problem>, TidyError> {
    let files = files::read_all(root)?;
    let packages = metadata::packages(root)?;
    let mut problems = Vec::new();
    problems.extend(code_map::check(&files, &packages));
    problems.extend(rust_files::check(&files));
    problems.extend(connectors::check(root, &files)?);
    problems.extend(links::check(root, &files));
    problems.extend(absence::check(&files, &packages));
    problems.sort();
    Ok(problems)
}

pub(crate) fn report(problems: &[Problem]) -> String {
    let list: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
    let count = if problems.len() == 1 { "1 problem".to_owned() } else { format!("{} problems", problems.len()) };
    format!("{list}\ntidy: {count}\n")
}

/// The file of that path, if it is there.
fn find<'a>(files: &'a [TextFile], path: &str) -> Option<&'a TextFile> {
    files.iter().find(|file| file.path == Path::new(path))
}

#[cfg(test)]
mod tests;
