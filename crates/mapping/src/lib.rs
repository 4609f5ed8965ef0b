//! The language that turns a record into an action's payload: directives, conditions, field validation.

mod beyond;
mod budget;
mod build;
pub mod cases;
mod check;
mod condition;
mod dates;
mod evaluate;
mod event;
mod fields;
mod javascript;
mod liquid;
mod mode;
mod node;
mod path;
mod program;
mod reads;
mod replace;
mod template;
mod val;
mod write;

pub use beyond::directives;
pub use condition::Condition;
pub use dates::{date_millis, date_text, dayjs_millis};
pub use event::{DeletedValues, Event};
pub use fields::{
    Choice, ConditionOperator, Conditions, Field, FieldCondition, FieldProblem, FieldType, Fields, Match, Options,
    Required, fields_of_map_or_list, has_format,
};
pub use javascript::number_of_text;
pub use mode::SyncMode;
pub use program::{Columns, EvaluationError, Problem, Program};
