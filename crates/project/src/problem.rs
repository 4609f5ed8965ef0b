//! What is wrong in a project's files, and where.

use std::{fmt, path::PathBuf};

use serde::Serialize;

use super::{documents::Document, located::Place};

/// One mistake in a file. It says what is wrong and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// Relative to the project's folder.
    pub file: PathBuf,
    /// Counted from 1; 0 if the problem is the file as a whole.
    pub line: usize,
    pub column: usize,
    /// The way to the field from the top of its part: `guards.deletions_percent`. Empty for the part as a whole.
    pub field: String,
    pub message: String,
}

impl Problem {
    pub fn new(file: impl Into<PathBuf>, place: Place, field: impl Into<String>, message: impl Into<String>) -> Self {
        let Place { line, column } = place;
        Self { file: file.into(), line, column, field: field.into(), message: message.into() }
    }

    /// A problem of a whole file.
    pub fn of_file(file: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self::new(file, Place::NONE, "", message)
    }

    /// A problem at a path of a document.
    pub fn of_document(document: &Document, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(document.place(), Place::NONE, path, message)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        match self.field.as_str() {
            "" => write!(f, ": {}", self.message),
            field => write!(f, ": `{field}`: {}", self.message),
        }
    }
}

/// All mistakes found, sorted by file and line.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Problem> {
        self.0.iter()
    }

    /// Adds all of these.
    pub fn append(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// The value if nothing was wrong.
    pub fn into_result<T>(mut self, value: T) -> Result<T, Self> {
        if self.0.is_empty() {
            return Ok(value);
        }
        self.0.sort();
        self.0.dedup();
        Err(self)
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl FromIterator<Problem> for Problems {
    fn from_iter<I: IntoIterator<Item = Problem>>(problems: I) -> Self {
        Self(problems.into_iter().collect())
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("1 problem in the project's files"),
            count => write!(f, "{count} problems in the project's files"),
        }
    }
}

impl std::error::Error for Problems {}

/// `did you mean …` when a known word is near, else the list of what there is.
pub fn suggestion(word: &str, known: &[&str]) -> String {
    if let Some(near) = nearest(word, known) {
        return format!("did you mean `{near}`?");
    }
    match known {
        [] => "there is none".to_owned(),
        [one] => format!("there is only `{one}`"),
        known => format!("it must be one of {}", listed(known)),
    }
}

/// `` `a`, `b` ``
pub fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// The known word that a slip of the pen would turn into `word`.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let limit = word.chars().count() / 3;
    known
        .iter()
        .map(|&candidate| (distance(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|&(distance, _)| distance <= limit)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be added, left out, changed or swapped with their neighbour.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let width = to.len() + 1;
    let mut table = vec![0; (from.len() + 1) * width];
    for row in 0..=from.len() {
        for column in 0..width {
            let at = row * width + column;
            if row == 0 || column == 0 {
                table[at] = row + column;
                continue;
            }
            let same = from[row - 1] == to[column - 1];
            let mut least = table[at - width - 1] + usize::from(!same);
            least = least.min(table[at - 1] + 1).min(table[at - width] + 1);
            if row > 1 && column > 1 && from[row - 1] == to[column - 2] && from[row - 2] == to[column - 1] {
                least = least.min(table[at - 2 * width - 2] + 1);
            }
            table[at] = least;
        }
    }
    table[from.len() * width + to.len()]
}
