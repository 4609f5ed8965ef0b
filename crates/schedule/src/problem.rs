//! What is wrong in a schedule, and where.

/// One mistake in a schedule. It says what is wrong and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", self.place())]
pub struct Problem {
    /// The way to the field from the top of the schedule: `at[1]`, `hook.secret`. Empty for the schedule as a whole.
    pub field: String,
    pub message: String,
}

impl Problem {
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }

    fn place(&self) -> String {
        match self.field.as_str() {
            "" => String::new(),
            field => format!("`{field}`: "),
        }
    }
}
