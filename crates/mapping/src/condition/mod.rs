//! Conditions on an event: Segment's FQL, and the tree form.

mod fql;
mod tree;

use records::Value;

use crate::budget::Budget;
use crate::evaluate::failure;
use crate::event::Event;
use crate::javascript;
use crate::path::Path;
use crate::program::{Columns, EvaluationError, Problem};
use crate::reads::Reads;
use crate::val::Val;

/// Groups are not nested deeper than this.
const NESTING_MAX: usize = 50;

/// Which events a mapping takes.
#[derive(Debug, Clone)]
pub struct Condition {
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Leaf { path: Path, operator: Operator, value: Value },
}

/// How a value is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equals,
    Differs,
    NumberEquals,
    NumberDiffers,
    Less,
    AtMost,
    Greater,
    AtLeast,
    Contains,
    NotContains,
    StartsWith,
    NotStartsWith,
    EndsWith,
    NotEndsWith,
    Exists,
    NotExists,
    IsTrue,
    IsFalse,
}

impl Operator {
    /// All operators by their names in the tree form.
    const NAMED: [(&'static str, Operator); 18] = [
        ("=", Operator::Equals),
        ("!=", Operator::Differs),
        ("number_equals", Operator::NumberEquals),
        ("number_not_equals", Operator::NumberDiffers),
        ("<", Operator::Less),
        ("<=", Operator::AtMost),
        (">", Operator::Greater),
        (">=", Operator::AtLeast),
        ("contains", Operator::Contains),
        ("not_contains", Operator::NotContains),
        ("starts_with", Operator::StartsWith),
        ("not_starts_with", Operator::NotStartsWith),
        ("ends_with", Operator::EndsWith),
        ("not_ends_with", Operator::NotEndsWith),
        ("exists", Operator::Exists),
        ("not_exists", Operator::NotExists),
        ("is_true", Operator::IsTrue),
        ("is_false", Operator::IsFalse),
    ];

    fn from_name(name: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(word, _)| *word == name).map(|(_, operator)| *operator)
    }

    fn needs_value(self) -> bool {
        !matches!(self, Operator::Exists | Operator::NotExists | Operator::IsTrue | Operator::IsFalse)
    }

    fn holds(self, actual: &Val<'_>, expected: &Value, budget: &Budget) -> Result<bool, EvaluationError> {
        let expected_text = || match expected {
            Value::Text(text) => text.clone(),
            other => other.to_json(),
        };
        let is_number = matches!(actual, Val::Int(_) | Val::Float(_) | Val::Decimal(_));
        let numbers = |fits: fn(f64, f64) -> bool| -> Result<bool, EvaluationError> {
            if !is_number {
                return Ok(false);
            }
            Ok(fits(javascript::number(actual, budget)?, javascript::number(&Val::from(expected), budget)?))
        };
        let text = |fits: fn(&str, &str) -> bool| actual.as_text().is_some_and(|text| fits(text, &expected_text()));
        match self {
            Operator::Equals => Ok(text(|actual, expected| actual == expected)),
            Operator::Differs => Ok(!text(|actual, expected| actual == expected)),
            Operator::NumberEquals => numbers(|actual, expected| actual == expected),
            Operator::NumberDiffers => numbers(|actual, expected| actual != expected),
            Operator::Less => numbers(|actual, expected| actual < expected),
            Operator::AtMost => numbers(|actual, expected| actual <= expected),
            Operator::Greater => numbers(|actual, expected| actual > expected),
            Operator::AtLeast => numbers(|actual, expected| actual >= expected),
            Operator::Contains => Ok(text(|actual, expected| actual.contains(expected))),
            Operator::NotContains => Ok(text(|actual, expected| !actual.contains(expected))),
            Operator::StartsWith => Ok(text(|actual, expected| actual.starts_with(expected))),
            Operator::NotStartsWith => Ok(text(|actual, expected| !actual.starts_with(expected))),
            Operator::EndsWith => Ok(text(|actual, expected| actual.ends_with(expected))),
            Operator::NotEndsWith => Ok(text(|actual, expected| !actual.ends_with(expected))),
            Operator::Exists => Ok(!actual.is_absent()),
            Operator::NotExists => Ok(actual.is_absent()),
            Operator::IsTrue => Ok(matches!(actual, Val::Bool(true))),
            Operator::IsFalse => Ok(matches!(actual, Val::Bool(false))),
        }
    }
}

impl Test {
    fn holds(&self, scope: &Val<'_>, budget: &Budget) -> Result<bool, EvaluationError> {
        budget.spend(1)?;
        match self {
            Test::All(children) => {
                for child in children {
                    if !child.holds(scope, budget)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Test::Any(children) => {
                for child in children {
                    if child.holds(scope, budget)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Test::Not(child) => Ok(!child.holds(scope, budget)?),
            Test::Leaf { path, operator, value } => operator.holds(&path.get(scope, budget)?, value, budget),
        }
    }

    fn reads(&self, reads: &mut Reads) {
        match self {
            Test::All(children) | Test::Any(children) => children.iter().for_each(|child| child.reads(reads)),
            Test::Not(child) => child.reads(reads),
            Test::Leaf { path, .. } => reads.path(path),
        }
    }
}

impl Condition {
    /// Reads FQL: `event = "new" and properties.plan = "pro"`.
    ///
    /// # Errors
    /// Where and why the text is not a condition.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        match fql::parse(text, fql::Roots::OfEvent) {
            Ok(test) => Ok(Self { test }),
            Err(message) => Err(vec![Problem::new("", message)]),
        }
    }

    /// Reads FQL (a text), or the tree form (an object).
    ///
    /// # Errors
    /// Where and why the value is not a condition.
    pub fn compile(value: &Value) -> Result<Self, Vec<Problem>> {
        match value {
            Value::Text(text) => Self::parse(text),
            other => tree::read(other).map(|test| Self { test }),
        }
    }

    /// Reads a condition on the items of an array: paths begin at the item.
    pub(crate) fn compile_for_items(value: &Value) -> Result<Self, Vec<Problem>> {
        let Value::Text(text) = value else { return Self::compile(value) };
        match fql::parse(text, fql::Roots::Any) {
            Ok(test) => Ok(Self { test }),
            Err(message) => Err(vec![Problem::new("", message)]),
        }
    }

    /// The columns that the condition reads.
    pub fn columns(&self) -> Columns {
        let mut reads = Reads::default();
        self.reads(&mut reads);
        reads.columns()
    }

    pub(crate) fn reads(&self, reads: &mut Reads) {
        self.test.reads(reads);
    }

    /// Whether an event meets the condition.
    ///
    /// # Errors
    /// A cell that no value stands for.
    pub fn holds(&self, event: &Event<'_>) -> Result<bool, EvaluationError> {
        if !event.is_object() {
            return Err(failure(format!("data must be an object, got {}", event.type_name())));
        }
        self.holds_for(&Val::Event(event), &Budget::new())
    }

    pub(crate) fn holds_for(&self, scope: &Val<'_>, budget: &Budget) -> Result<bool, EvaluationError> {
        self.test.holds(scope, budget)
    }
}
