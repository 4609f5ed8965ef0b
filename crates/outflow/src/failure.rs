//! How a command ends: its exit code, and what is told when it fails.

use std::process::ExitCode;

use project::Problems;
use serde_json::{Value, json};

/// The exit codes, as `--help` and `docs/command-line.md` list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    Partly = 3,
    Held = 4,
}

impl Exit {
    /// How a sync's ending shows.
    pub(crate) fn of(ending: sync::Ending) -> Self {
        match ending {
            sync::Ending::Done => Exit::Done,
            sync::Ending::Partly => Exit::Partly,
            sync::Ending::Held => Exit::Held,
            sync::Ending::Cancelled | sync::Ending::Failed => Exit::Failed,
        }
    }

    /// The exit of several syncs: a failure weighs more than a hold, and that more than a part.
    pub(crate) fn worse(self, other: Self) -> Self {
        let weight = |exit: Self| match exit {
            Exit::Done => 0,
            Exit::Partly => 1,
            Exit::Held => 2,
            Exit::Failed => 3,
            Exit::Usage => 4,
        };
        if weight(other) > weight(self) { other } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command could not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// A machine-readable reason.
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// The error's causes, the outermost first.
    pub(crate) causes: Vec<String>,
    pub(crate) hint: Option<String>,
    /// What is wrong in the project's files.
    pub(crate) problems: Problems,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Failed,
            code: "failed",
            message: message.into(),
            causes: Vec::new(),
            hint: None,
            problems: Problems::default(),
        }
    }

    /// What was asked makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, code: "usage", ..Self::new(message) }
    }

    #[must_use]
    pub(crate) fn because(mut self, error: impl std::error::Error) -> Self {
        self.causes = chain(&error);
        self
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut error = json!({ "code": self.code, "message": self.message });
        if !self.causes.is_empty() {
            error["causes"] = json!(self.causes);
        }
        if let Some(hint) = &self.hint {
            error["hint"] = json!(hint);
        }
        if !self.problems.is_empty() {
            error["problems"] = json!(self.problems);
        }
        json!({ "error": error })
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self { code: "project", problems: problems.clone(), ..Self::new(problems.to_string()) }
    }
}

impl From<sync::Problem> for Failure {
    fn from(problem: sync::Problem) -> Self {
        Self { hint: problem.hint, ..Self::new(problem.message) }
    }
}

/// An error and its causes, each as one line; a cause that the line before tells already is left out.
pub(crate) fn chain(error: &dyn std::error::Error) -> Vec<String> {
    let mut lines = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !lines.iter().any(|line| line.contains(&text)) {
            lines.push(text);
        }
        source = cause.source();
    }
    lines
}
