//! Rules on each Rust file: it says what it is, is named after a thing, is of a length one can read, and is finished.

use std::collections::BTreeMap;

use super::{Problem, TextFile};

/// Names that say nothing of what is in a file.
const EMPTY_NAMES: [&str; 9] = ["utils", "util", "common", "helpers", "helper", "types", "misc", "manager", "handler"];

const LINES_MAX: usize = 600;

/// Files that were longer already: path and lines. The list may only shrink.
const LONG_FILES: &str = include_str!("long-files.txt");
const LONG_FILES_PATH: &str = "crates/xtask/src/tidy/long-files.txt";

/// What is unfinished says so with one of these. Put together so that this file holds none of them.
const LEFTOVERS: [(&str, &str); 5] = [
    (concat!("FIX", "ME"), "do it now, or open an issue"),
    (concat!("XX", "X"), "do it now, or open an issue"),
    (concat!("to", "do!("), "write what is missing"),
    (concat!("unimple", "mented!("), "write what is missing"),
    (concat!("#[ig", "nore"), "a test runs or is not there: assert today's behaviour, or take it out"),
];

pub(super) fn check(files: &[TextFile]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let rust = || files.iter().filter(|file| file.is_rust());
    for file in rust() {
        heading(file, &mut problems);
        name(file, &mut problems);
        leftovers(file, &mut problems);
    }
    lengths(rust(), LONG_FILES, &mut problems);
    problems
}

fn heading(file: &TextFile, problems: &mut Vec<Problem>) {
    let first = file.text.lines().next().unwrap_or_default();
    if first.strip_prefix("//!").is_none_or(|text| text.trim().is_empty()) {
        problems.push(Problem::new(&file.path, 1, "begin the file with `//!` and one to three lines on what it is"));
    }
}

fn name(file: &TextFile, problems: &mut Vec<Problem>) {
    let parts = file.path.components().filter_map(|part| part.as_os_str().to_str());
    for part in parts.map(|part| part.trim_end_matches(".rs")).filter(|part| EMPTY_NAMES.contains(part)) {
        let message = format!("`{part}` says nothing; name the module after the thing of the domain it holds");
        problems.push(Problem::new(&file.path, None, message));
    }
}

fn leftovers(file: &TextFile, problems: &mut Vec<Problem>) {
    for (line, text) in file.lines() {
        for (leftover, advice) in LEFTOVERS {
            if holds_word(text, leftover) {
                problems.push(Problem::new(&file.path, line, format!("`{leftover}` is left over; {advice}")));
            }
        }
    }
}

/// Whether a line holds a word that is not a part of a longer one.
fn holds_word(line: &str, word: &str) -> bool {
    let is_part = |char: char| char.is_alphanumeric() || char == '_';
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back().is_some_and(is_part);
        let ends_in_word = word.chars().next_back().is_some_and(is_part);
        let after = line[start + word.len()..].chars().next().is_some_and(is_part);
        !(before || ends_in_word && after)
    })
}

fn lengths<'a>(files: impl Iterator<Item = &'a TextFile>, list: &str, problems: &mut Vec<Problem>) {
    let mut listed = BTreeMap::new();
    for (index, line) in list.lines().enumerate().filter(|(_, line)| !line.starts_with('#') && !line.is_empty()) {
        match line.rsplit_once(' ').and_then(|(path, lines)| Some((path, lines.parse::<usize>().ok()?))) {
            Some((path, lines)) => drop(listed.insert(path, (index + 1, lines))),
            None => problems.push(Problem::new(LONG_FILES_PATH, index + 1, "write a path, a space and its lines")),
        }
    }
    for file in files {
        let lines = file.text.lines().count();
        match listed.remove(&*file.path.to_string_lossy()) {
            Some((line, _)) if lines <= LINES_MAX => {
                let message = format!("`{}` is short enough now; take it off the list", file.path.display());
                problems.push(Problem::new(LONG_FILES_PATH, line, message));
            }
            Some((line, most)) if lines < most => {
                let message = format!("`{}` has become shorter; write {lines} instead of {most}", file.path.display());
                problems.push(Problem::new(LONG_FILES_PATH, line, message));
            }
            Some((_, most)) if lines > most => {
                let message = format!("has {lines} lines and may have {most}; split it along its things");
                problems.push(Problem::new(&file.path, None, message));
            }
            None if lines > LINES_MAX => {
                let message = format!("has {lines} lines, more than {LINES_MAX}; split it along its things");
                problems.push(Problem::new(&file.path, None, message));
            }
            _ => {}
        }
    }
    for (path, (line, _)) in listed {
        problems.push(Problem::new(LONG_FILES_PATH, line, format!("there is no `{path}`; take it off the list")));
    }
}

#[cfg(test)]
mod tests;
