//! A mapping, compiled once and evaluated over events.

use std::collections::BTreeSet;

use records::Value;

use crate::Event;

/// What is wrong with a mapping, found before it runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// Where in the mapping: `fields.address.city`, without the `fields.`. Empty for the whole of it.
    pub place: String,
    pub message: String,
}

/// Columns of a model that something reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Columns {
    /// Any of them, or all at once.
    All,
    Named(BTreeSet<String>),
}

impl Columns {
    /// What both read together.
    pub fn union(self, other: Columns) -> Columns {
        match (self, other) {
            (Columns::Named(mut all), Columns::Named(more)) => {
                all.extend(more);
                Columns::Named(all)
            }
            _ => Columns::All,
        }
    }
}

/// Why a mapping gave no payload for one event.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// A directive that its argument did not suit, in the original's words.
    #[error("{message}")]
    Directive { message: String },
    /// A cell that no JSON value stands for.
    #[error("column `{column}`: {source}")]
    Column { column: String, source: records::CellError },
    /// The mapping asked for more than one record may take.
    #[error("{what} is over the limit of {limit}; make the mapping or the record smaller")]
    Limit { what: &'static str, limit: usize },
}

/// A compiled mapping.
#[derive(Debug, Clone)]
pub struct Program {
    mapping: Value,
}

impl Program {
    /// Compiles a mapping.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn compile(mapping: &Value) -> Result<Self, Vec<Problem>> {
        Ok(Self { mapping: mapping.clone() })
    }

    /// The columns that the mapping reads, below `properties` and `previous`.
    pub fn columns(&self) -> Columns {
        Columns::All
    }

    /// The payload of an event; nothing if the mapping as a whole gives none.
    ///
    /// # Errors
    /// See [`EvaluationError`].
    pub fn evaluate(&self, _event: &Event<'_>) -> Result<Option<Value>, EvaluationError> {
        Ok(Some(self.mapping.clone()))
    }

    /// Appends the payload of an event as JSON text; nothing is appended if the mapping as a whole gives none.
    ///
    /// # Errors
    /// See [`EvaluationError`]. The text is then as it was before.
    pub fn write_json(&self, event: &Event<'_>, out: &mut String) -> Result<bool, EvaluationError> {
        let Some(value) = self.evaluate(event)? else { return Ok(false) };
        value.write_json(out);
        Ok(true)
    }
}
