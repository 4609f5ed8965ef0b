//! A mapping, compiled once and evaluated over events.

use std::collections::BTreeSet;

use records::Value;

use crate::budget::Budget;
use crate::build::{self, Builder};
use crate::check::{self, NESTING_MAX, Place};
use crate::evaluate::{Context, failure};
use crate::event::Event;
use crate::node::Node;
use crate::reads::Reads;
use crate::val::Val;
use crate::write::{produce, write};

/// What is wrong with a mapping, found before it runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{message}", .place, if .place.is_empty() { "" } else { ": " })]
pub struct Problem {
    /// Where in the mapping: `address.city.@path`. Empty for the whole of it.
    pub place: String,
    /// Why: `should be a string but it is a number`.
    pub message: String,
    pub(crate) original: String,
}

impl Problem {
    pub(crate) fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        let (place, message) = (place.into(), message.into());
        Self { place, original: message.clone(), message }
    }

    /// The same in the original's words: `/a/@path should be a string but it is a number.`
    pub fn original_message(&self) -> &str {
        &self.original
    }
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
    root: Node,
    columns: Columns,
    has_liquid: bool,
}

impl Program {
    /// Compiles a mapping.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn compile(mapping: &Value) -> Result<Self, Vec<Problem>> {
        let Some(object) = mapping.as_object() else {
            let kind = check::with_article(mapping.type_name());
            return Err(vec![Place::default().problem(format!("should be an object but it is {kind}"))]);
        };
        if !build::is_shallow(mapping) {
            return Err(vec![Place::default().problem(format!("is nested deeper than {NESTING_MAX} levels"))]);
        }
        let run = build::mapping_to_run(object).map_err(|message| vec![Problem::new("", message)])?;
        let mapping = run.as_ref().unwrap_or(mapping);
        check::mapping(mapping, &Place::default())?;
        let mut builder = Builder { problems: Vec::new(), has_liquid: false };
        let root = builder.node(mapping, &Place::default());
        if !builder.problems.is_empty() {
            return Err(builder.problems);
        }
        let mut reads = Reads::default();
        reads.node(&root);
        Ok(Self { root, columns: reads.columns(), has_liquid: builder.has_liquid })
    }

    /// The columns that the mapping reads, below `properties` and `previous`.
    pub fn columns(&self) -> Columns {
        self.columns.clone()
    }

    fn start<'e>(&self, event: &'e Event<'e>) -> Result<(Val<'e>, Context), EvaluationError> {
        if !event.is_object() {
            return Err(failure(format!("data must be an object, got {}", event.type_name())));
        }
        let now = if self.has_liquid { event.now() } else { None };
        Ok((Val::Event(event), Context { budget: Budget::new(), now }))
    }

    /// The payload of an event; nothing if the mapping as a whole gives none.
    ///
    /// # Errors
    /// See [`EvaluationError`].
    pub fn evaluate(&self, event: &Event<'_>) -> Result<Option<Value>, EvaluationError> {
        let (scope, context) = self.start(event)?;
        produce(&self.root, &scope, &context, 0)
    }

    /// Appends the payload of an event as JSON text; false if the mapping as a whole gives none, and nothing is
    /// appended.
    ///
    /// # Errors
    /// See [`EvaluationError`]. The text is then as it was before.
    pub fn write_json(&self, event: &Event<'_>, out: &mut String) -> Result<bool, EvaluationError> {
        let before = out.len();
        let (scope, context) = self.start(event)?;
        let written = write(&self.root, &scope, &context, out);
        if written.is_err() {
            out.truncate(before);
        }
        written
    }
}
