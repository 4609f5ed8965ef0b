//! What is wrong in a form, and where.

/// One mistake in a rule or channel. It says what is wrong and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", self.place())]
pub struct Problem {
    /// The way to the field from the top of the form: `when.late.tolerance`. Empty for the form as a whole.
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
