//! The language that turns a record into an action's payload: directives, conditions, field validation.

mod condition;
mod event;
mod fields;
mod mode;
mod program;

pub use condition::Condition;
pub use event::{DeletedValues, Event};
pub use fields::{
    Choice, ConditionOperator, Conditions, Field, FieldCondition, FieldProblem, FieldType, Fields, Match, Options,
    Required, fields_of_map_or_list,
};
pub use mode::SyncMode;
pub use program::{Columns, EvaluationError, Problem, Program};
