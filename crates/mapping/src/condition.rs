//! Conditions on an event: Segment's FQL, and the tree form.

use records::Value;

use crate::{Columns, EvaluationError, Event, Problem};

/// Which events a mapping takes.
#[derive(Debug, Clone)]
pub struct Condition {}

impl Condition {
    /// Reads FQL: `event = "new" and properties.plan = "pro"`.
    ///
    /// # Errors
    /// Where and why the text is not a condition.
    pub fn parse(_text: &str) -> Result<Self, Vec<Problem>> {
        Ok(Self {})
    }

    /// Reads FQL (a text), or the tree form (an object).
    ///
    /// # Errors
    /// Where and why the value is not a condition.
    pub fn compile(_value: &Value) -> Result<Self, Vec<Problem>> {
        Ok(Self {})
    }

    /// The columns that the condition reads.
    pub fn columns(&self) -> Columns {
        Columns::All
    }

    /// Whether an event meets the condition.
    ///
    /// # Errors
    /// A cell that no value stands for.
    pub fn holds(&self, _event: &Event<'_>) -> Result<bool, EvaluationError> {
        Ok(true)
    }
}
