//! Validation of a payload against an action's fields, with the original's coercions.

mod conditions;
mod field;
mod formats;
mod schema;
mod validate;

use records::Value;

pub use field::{
    Choice, ConditionOperator, Conditions, Field, FieldCondition, FieldType, Match, Required, fields_of_map_or_list,
};
pub use formats::fits as has_format;

/// An action's fields, ready to validate payloads.
#[derive(Debug, Clone)]
pub struct Fields {
    fields: Vec<Field>,
    schema: schema::Schema,
}

/// How a payload is validated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// The payload goes out in a batch: an empty text at the root stays, which a single payload loses.
    pub batch: bool,
}

/// What is wrong with one field of a payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FieldProblem {
    /// Where: `email`, `items/0/price`; empty for the payload itself.
    pub field: String,
    pub message: String,
}

impl Fields {
    /// Makes the fields of an action ready.
    pub fn compile(fields: Vec<Field>) -> Self {
        let schema = schema::root(&fields);
        Self { fields, schema }
    }

    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The payload with its values coerced, empty ones and undeclared keys removed.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn validate(&self, payload: Value, options: Options) -> Result<Value, Vec<FieldProblem>> {
        let mut payload = validate::without_empties(payload, Some(&self.schema), !options.batch).unwrap_or_default();
        if let (Value::Object(payload), Some(rules)) = (&mut payload, &self.schema.object) {
            validate::wrap_lists(payload, rules);
        }
        let mut checker = validate::Checker::new();
        checker.check(&mut payload, &self.schema);
        if checker.problems.is_empty() { Ok(payload) } else { Err(checker.problems) }
    }
}
