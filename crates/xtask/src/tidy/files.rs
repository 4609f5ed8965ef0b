//! Reads the text files of the checkout that the rules are about.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::TidyError;

/// Built or fetched, not written.
const SKIPPED_FOLDERS: [&str; 5] = ["target", "node_modules", "bench-data", "dist", "outflow-demo"];

const ENDINGS: [&str; 4] = ["rs", "md", "toml", "lock"];

/// One file: its path relative to the workspace, and its text.
#[derive(Debug, Clone)]
pub(super) struct TextFile {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl TextFile {
    pub(super) fn is_rust(&self) -> bool {
        self.has_ending("rs")
    }

    pub(super) fn has_ending(&self, ending: &str) -> bool {
        self.path.extension().is_some_and(|extension| extension == ending)
    }

    /// Numbered from 1.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    pub(super) fn starts_with(&self, folder: &str) -> bool {
        self.path.starts_with(folder)
    }

    /// Tests, and what only tests use.
    pub(super) fn is_test(&self) -> bool {
        let stem = self.path.file_stem().unwrap_or_default();
        let folders = self.path.parent().into_iter().flat_map(Path::components);
        stem == "tests" || stem == "testing" || folders.into_iter().any(|folder| folder.as_os_str() == "tests")
    }
}

/// All files of the kinds the rules are about, in the order of their paths. Hidden folders are left out.
pub(super) fn read_all(root: &Path) -> Result<Vec<TextFile>, TidyError> {
    let mut files = Vec::new();
    walk(root, Path::new(""), &mut files)?;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<TextFile>) -> Result<(), TidyError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| TidyError::Read { path, source }
    };
    let full = root.join(folder);
    for entry in fs::read_dir(&full).map_err(failed(&full))? {
        let entry = entry.map_err(failed(&full))?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let path = folder.join(name);
        let kind = entry.file_type().map_err(failed(&path))?;
        if kind.is_dir() {
            if !name.starts_with('.') && !SKIPPED_FOLDERS.contains(&name) {
                walk(root, &path, files)?;
            }
        } else if path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known)) {
            let text = fs::read_to_string(entry.path()).map_err(failed(&path))?;
            files.push(TextFile { path, text });
        }
    }
    Ok(())
}
