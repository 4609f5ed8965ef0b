//! Renders a parsed template.

use std::collections::HashMap;

use records::Value as Json;

use super::at;
use super::expression::{Expression, Filtered, Operator, Step, Value};
use super::filters;
use super::lexer::is_blank;
use super::parser::Node;
use crate::evaluate::Context;
use crate::javascript::{self, utf16_len};
use crate::program::EvaluationError;
use crate::val::{Shape, Val, array_index, count};

/// Why rendering ended early.
pub(super) enum Stop {
    /// The template is at fault; the message has its place.
    Message(String),
    /// The record is, or a limit.
    Evaluation(EvaluationError),
}

impl From<EvaluationError> for Stop {
    fn from(error: EvaluationError) -> Self {
        Stop::Evaluation(error)
    }
}

/// A value of Liquid: one of ours, or a word that compares in its own way.
#[derive(Debug, Clone)]
pub(super) enum Term<'s> {
    Val(Val<'s>),
    Nil,
    Empty,
    Blank,
}

impl<'s> Term<'s> {
    /// What filters and output see.
    pub(super) fn into_val(self) -> Val<'s> {
        match self {
            Term::Val(val) => val,
            Term::Nil => Val::Null,
            Term::Empty | Term::Blank => Val::text(""),
        }
    }
}

pub(super) struct Render<'r, 's> {
    scope: &'r Val<'s>,
    pub(super) context: &'r Context,
    source: &'r [char],
    variables: HashMap<String, Val<'s>>,
    counters: HashMap<String, f64>,
    cycles: HashMap<String, usize>,
    halted: bool,
}

/// Everything but false, null and missing is true: 0, '' and [] too.
pub(super) fn is_true(val: &Val<'_>) -> bool {
    !matches!(val, Val::Missing | Val::Null | Val::Bool(false))
}

/// The text of a value as output shows it.
pub(super) fn output(val: &Val<'_>, out: &mut String, context: &Context, depth: usize) -> Result<(), EvaluationError> {
    context.budget.depth(depth)?;
    match val {
        Val::Missing | Val::Null => Ok(()),
        val if val.is_array() => match val.shape(&context.budget)? {
            Shape::Array(items) => items.iter().try_for_each(|item| output(item, out, context, depth + 1)),
            _ => Ok(()),
        },
        val => javascript::write_text(val, out, &context.budget, depth),
    }
}

pub(super) fn output_text(val: &Val<'_>, context: &Context) -> Result<String, EvaluationError> {
    let mut out = String::new();
    output(val, &mut out, context, 0)?;
    Ok(out)
}

impl<'r, 's> Render<'r, 's> {
    pub(super) fn new(scope: &'r Val<'s>, context: &'r Context, source: &'r [char]) -> Self {
        Self {
            scope,
            context,
            source,
            variables: HashMap::new(),
            counters: HashMap::new(),
            cycles: HashMap::new(),
            halted: false,
        }
    }

    pub(super) fn nodes(&mut self, nodes: &[Node], out: &mut String) -> Result<(), Stop> {
        for node in nodes {
            if self.halted {
                break;
            }
            self.context.budget.spend(1)?;
            self.node(node, out)?;
        }
        Ok(())
    }

    fn node(&mut self, node: &Node, out: &mut String) -> Result<(), Stop> {
        match node {
            Node::Text(text) => {
                self.context.budget.text(text.len())?;
                out.push_str(text);
            }
            Node::Output { position, value } => {
                let val = self.filtered(value, *position)?.into_val();
                output(&val, out, self.context, 0)?;
            }
            Node::Assign { position, name, value } => {
                let val = self.filtered(value, *position)?.into_val();
                self.variables.insert(name.clone(), val);
            }
            Node::Capture { name, body } => {
                let mut captured = String::new();
                self.nodes(body, &mut captured)?;
                self.variables.insert(name.clone(), Val::text(captured));
            }
            Node::Branches { position, branches, otherwise } => {
                for branch in branches {
                    let val = self.filtered(&branch.test, *position)?.into_val();
                    if is_true(&val) != branch.negated {
                        return self.nodes(&branch.body, out);
                    }
                }
                self.nodes(otherwise, out)?;
            }
            Node::Increment(name) => {
                let value = self.counter(name)?;
                self.counters.insert(name.clone(), value + 1.0);
                out.push_str(&records::number_text(value));
            }
            Node::Decrement(name) => {
                let value = self.counter(name)? - 1.0;
                self.counters.insert(name.clone(), value);
                out.push_str(&records::number_text(value));
            }
            Node::Cycle { position, group, values } => {
                let group = match group {
                    Some(group) => output_text(&self.value(group)?.into_val(), self.context)?,
                    None => String::new(),
                };
                let names: Vec<&str> = values.iter().map(|value| value.text.as_str()).collect();
                let place = self.cycles.entry(format!("{group}:{}", names.join(","))).or_default();
                let chosen = *place;
                *place = (chosen + 1) % values.len();
                let val = self.filtered(&values[chosen], *position)?.into_val();
                output(&val, out, self.context, 0)?;
            }
            Node::Block(body) => self.nodes(body, out)?,
            Node::Halt => self.halted = true,
        }
        Ok(())
    }

    /// The number that `increment` counts on from: its own count, else a number of that name in the event, else 0.
    fn counter(&mut self, name: &str) -> Result<f64, Stop> {
        if let Some(value) = self.counters.get(name) {
            return Ok(*value);
        }
        let val = self.scope.member(name, None)?;
        Ok(match val {
            Val::Int(_) | Val::Float(_) | Val::Decimal(_) => javascript::number(&val, &self.context.budget)?,
            _ => 0.0,
        })
    }

    fn filtered(&mut self, filtered: &Filtered, position: usize) -> Result<Term<'s>, Stop> {
        let mut term = self.expression(&filtered.expression)?;
        for filter in &filtered.filters {
            let mut arguments = Vec::with_capacity(filter.arguments.len());
            for (name, value) in &filter.arguments {
                arguments.push((name.as_deref(), self.value(value)?.into_val()));
            }
            let result = filters::apply(&filter.name, term.into_val(), &arguments, self);
            term = Term::Val(result.map_err(|stop| match stop {
                Stop::Message(message) => Stop::Message(at(&message, self.source, position)),
                stop => stop,
            })?);
        }
        Ok(term)
    }

    fn expression(&mut self, expression: &Expression) -> Result<Term<'s>, Stop> {
        let mut operands: Vec<Term<'s>> = Vec::new();
        for step in &expression.steps {
            match step {
                Step::Operand(value) => {
                    let term = self.value(value)?;
                    operands.push(term);
                }
                Step::Operator(operator) => {
                    let right = operands.pop().unwrap_or(Term::Val(Val::Missing));
                    let holds = match operator {
                        Operator::Not => !is_true(&right.into_val()),
                        operator => {
                            let left = operands.pop().unwrap_or(Term::Val(Val::Missing));
                            self.compare(*operator, left, right)?
                        }
                    };
                    operands.push(Term::Val(Val::Bool(holds)));
                }
            }
        }
        Ok(operands.into_iter().next().unwrap_or(Term::Val(Val::Missing)))
    }

    fn compare(&self, operator: Operator, left: Term<'s>, right: Term<'s>) -> Result<bool, Stop> {
        Ok(match operator {
            Operator::Equals => self.equal(&left, &right, 0)?,
            Operator::Differs => !self.equal(&left, &right, 0)?,
            Operator::And => is_true(&left.into_val()) && is_true(&right.into_val()),
            Operator::Or => is_true(&left.into_val()) || is_true(&right.into_val()),
            Operator::Contains => self.contains(left.into_val(), right)?,
            Operator::Not => false,
            order => {
                let (Term::Val(left), Term::Val(right)) = (left, right) else { return Ok(false) };
                let ordering = match (&left, &right) {
                    (Val::Text(left), Val::Text(right)) => Some(left.encode_utf16().cmp(right.encode_utf16())),
                    _ => {
                        let budget = &self.context.budget;
                        javascript::number(&left, budget)?.partial_cmp(&javascript::number(&right, budget)?)
                    }
                };
                match order {
                    Operator::Greater => ordering.is_some_and(|ordering| ordering.is_gt()),
                    Operator::Less => ordering.is_some_and(|ordering| ordering.is_lt()),
                    Operator::AtLeast => ordering.is_some_and(|ordering| ordering.is_ge()),
                    _ => ordering.is_some_and(|ordering| ordering.is_le()),
                }
            }
        })
    }

    fn contains(&self, left: Val<'s>, right: Term<'s>) -> Result<bool, Stop> {
        if left.is_array() {
            let Shape::Array(items) = left.shape(&self.context.budget)? else { return Ok(false) };
            for item in items.iter() {
                if self.equal(&Term::Val(item.share(&self.context.budget)?), &right, 0)? {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        let Val::Text(text) = left else { return Ok(false) };
        let right = right.into_val();
        Ok(text.contains(javascript::text(&right, &self.context.budget)?.as_ref()))
    }

    pub(super) fn equal(&self, left: &Term<'s>, right: &Term<'s>, depth: usize) -> Result<bool, Stop> {
        self.context.budget.depth(depth)?;
        self.context.budget.spend(1)?;
        match (left, right) {
            (Term::Val(left), Term::Val(right)) => self.same(left, right, depth),
            (Term::Nil, Term::Nil) => Ok(true),
            (Term::Nil, other) | (other, Term::Nil) => {
                Ok(matches!(other, Term::Val(Val::Missing | Val::Null)) || matches!(other, Term::Nil))
            }
            (Term::Empty, Term::Val(val)) | (Term::Val(val), Term::Empty) => Ok(self.size(val)? == Some(0)),
            (Term::Blank, Term::Val(val)) | (Term::Val(val), Term::Blank) => Ok(match val {
                Val::Missing | Val::Null | Val::Bool(false) => true,
                Val::Text(text) => text.chars().all(|c| is_blank(c) || c == '\u{feff}'),
                other => self.size(other)? == Some(0),
            }),
            _ => Ok(false),
        }
    }

    fn same(&self, left: &Val<'s>, right: &Val<'s>, depth: usize) -> Result<bool, Stop> {
        let budget = &self.context.budget;
        Ok(match (left, right) {
            (Val::Missing, Val::Missing) | (Val::Null, Val::Null) => true,
            (Val::Bool(left), Val::Bool(right)) => left == right,
            (Val::Text(left), Val::Text(right)) => left == right,
            (Val::Int(left), Val::Int(right)) => left == right,
            (Val::Int(_) | Val::Float(_) | Val::Decimal(_), Val::Int(_) | Val::Float(_) | Val::Decimal(_)) => {
                javascript::number(left, budget)? == javascript::number(right, budget)?
            }
            (left, right) if left.is_array() && right.is_array() => {
                let (Shape::Array(left), Shape::Array(right)) = (left.shape(budget)?, right.shape(budget)?) else {
                    return Ok(false);
                };
                if left.len() != right.len() {
                    return Ok(false);
                }
                for (left, right) in left.iter().zip(right.iter()) {
                    let (left, right) = (left.share(budget)?, right.share(budget)?);
                    if !self.equal(&Term::Val(left), &Term::Val(right), depth + 1)? {
                        return Ok(false);
                    }
                }
                true
            }
            // Objects are the same only if they are the very same.
            (Val::Ref(left), Val::Ref(right)) => std::ptr::eq(*left, *right),
            _ => false,
        })
    }

    /// The length of a text or array, the number of an object's keys.
    pub(super) fn size(&self, val: &Val<'s>) -> Result<Option<usize>, Stop> {
        Ok(match val {
            Val::Text(text) => Some(utf16_len(text)),
            val if val.is_array() || val.is_object() => match val.shape(&self.context.budget)? {
                Shape::Array(items) => Some(items.len()),
                Shape::Object(entries) => Some(entries.len()),
                Shape::Scalar(_) => None,
            },
            _ => None,
        })
    }

    pub(super) fn value(&mut self, value: &Value) -> Result<Term<'s>, Stop> {
        self.context.budget.spend(1)?;
        Ok(Term::Val(match value {
            Value::Bool(value) => Val::Bool(*value),
            Value::Nil => return Ok(Term::Nil),
            Value::Empty => return Ok(Term::Empty),
            Value::Blank => return Ok(Term::Blank),
            Value::Text(text) => Val::text(text.clone()),
            Value::Number(number) => javascript::number_val(*number),
            Value::Range(low, high) => {
                let budget = &self.context.budget;
                let low = javascript::number(&self.value(low)?.into_val(), budget)?;
                let high = javascript::number(&self.value(high)?.into_val(), budget)?;
                let length = (high - low).floor() + 1.0;
                if length.is_nan() || length <= 0.0 {
                    return Ok(Term::Val(Val::Array(Vec::new())));
                }
                if length > 1e6 {
                    return Err(Stop::Message("memory alloc limit exceeded".to_owned()));
                }
                budget.spend(length as usize)?;
                let items = (0..length as u64).map(|step| javascript::number_val(low + step as f64));
                Val::Array(items.collect())
            }
            Value::Access(root, properties) => return self.access(root.as_deref(), properties),
        }))
    }

    fn access(&mut self, root: Option<&Value>, properties: &[Value]) -> Result<Term<'s>, Stop> {
        let mut rest = properties.iter();
        let mut val = match root {
            Some(root) => self.value(root)?.into_val(),
            None => {
                let Some(first) = rest.next() else { return Ok(Term::Val(Val::Missing)) };
                let key = self.value(first)?.into_val();
                let name = output_text(&key, self.context)?;
                match (self.variables.get(&name), self.counters.get(&name)) {
                    (Some(val), _) => val.share(&self.context.budget)?,
                    (None, Some(number)) => javascript::number_val(*number),
                    (None, None) => self.property(self.scope, &key)?,
                }
            }
        };
        for property in rest {
            let key = self.value(property)?.into_val();
            if val.is_absent() {
                return Ok(Term::Val(val));
            }
            val = self.property(&val, &key)?;
        }
        Ok(Term::Val(val))
    }

    fn property(&self, val: &Val<'s>, key: &Val<'s>) -> Result<Val<'s>, Stop> {
        let budget = &self.context.budget;
        if let (true, Val::Int(index)) = (val.is_array(), key) {
            return self.item(val, *index);
        }
        let key = javascript::text(key, budget)?;
        let found = match val.built_member(&key, array_index(&key)) {
            Some(found) => found.share(budget)?,
            None => val.member(&key, array_index(&key))?,
        };
        Ok(match key.as_ref() {
            "size" if found.is_missing() => self.size(val)?.map_or(Val::Missing, count),
            "first" if val.is_array() => self.item(val, 0)?,
            "last" if val.is_array() => self.item(val, -1)?,
            _ => found,
        })
    }

    /// An item of an array; negative indexes count from its end.
    pub(super) fn item(&self, val: &Val<'s>, index: i64) -> Result<Val<'s>, Stop> {
        let length = match val {
            Val::Array(items) => items.len(),
            Val::Ref(Json::Array(items)) => items.len(),
            _ => return Ok(Val::Missing),
        };
        let index = if index < 0 { index + i64::try_from(length).unwrap_or(i64::MAX) } else { index };
        let Ok(index) = usize::try_from(index) else { return Ok(Val::Missing) };
        Ok(match val.built_member("", Some(index)) {
            Some(item) => item.share(&self.context.budget)?,
            None => val.member("", Some(index))?,
        })
    }
}
