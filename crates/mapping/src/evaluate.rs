//! Evaluates nodes to values.

use std::borrow::Cow;

use records::Value;

use crate::budget::Budget;
use crate::javascript;
use crate::node::{Case, Flatten, If, Node, Replace};
use crate::path::{Path, without_dollar};
use crate::program::EvaluationError;
use crate::template::Template;
use crate::val::{Entry, Shape, Val};

/// What an evaluation carries along: how much it may still use, and what `"now"` is.
pub(crate) struct Context {
    pub(crate) budget: Budget,
    pub(crate) now: Option<jiff::Timestamp>,
}

type Evaluated<'s> = Result<Val<'s>, EvaluationError>;

pub(crate) fn failure(message: impl Into<String>) -> EvaluationError {
    EvaluationError::Directive { message: message.into() }
}

/// The value of a node where paths begin at `scope`.
pub(crate) fn resolve<'s>(node: &'s Node, scope: &Val<'s>, context: &Context) -> Evaluated<'s> {
    let budget = &context.budget;
    budget.spend(1)?;
    match node {
        Node::Missing => Ok(Val::Missing),
        Node::Constant(value) => Ok(Val::from(value)),
        Node::Object(entries) => {
            let entry = |(key, node): &'s (crate::node::Key, Node)| -> Result<Entry<'s>, EvaluationError> {
                Ok((Cow::Borrowed(key.name.as_str()), resolve(node, scope, context)?))
            };
            Ok(Val::Object(entries.iter().map(entry).collect::<Result<_, _>>()?))
        }
        Node::Array(items) => {
            Ok(Val::Array(items.iter().map(|item| resolve(item, scope, context)).collect::<Result<_, _>>()?))
        }
        Node::Path(path) => path.get(scope, budget),
        Node::PathOf(path) => {
            let path = string("@path", resolve(path, scope, context)?)?;
            Path::parse(&without_dollar(&path)).get(scope, budget)
        }
        Node::Template(template) => Ok(Val::text(template.render(scope, budget)?)),
        Node::TemplateOf(template) => {
            let template = string("@template", resolve(template, scope, context)?)?;
            Ok(Val::text(Template::parse(&template).render(scope, budget)?))
        }
        Node::If(parts) => resolve(branch(parts, scope, context)?, scope, context),
        Node::Case { operator, value } => change_case(*operator, resolve(value, scope, context)?, budget),
        Node::Replace(parts) => replace(parts, scope, context),
        Node::ArrayPath { root, shape } => {
            let root = resolve(root, scope, context)?;
            match shape {
                Some(shape) if root.is_array() || root.is_object() => {
                    let items = match root.shape(budget)? {
                        Shape::Array(items) => items,
                        _ => Cow::Owned(vec![root.share(budget)?]),
                    };
                    let shaped = items.iter().map(|item| resolve(shape, item, context));
                    Ok(Val::Array(shaped.collect::<Result<_, _>>()?))
                }
                _ => Ok(root),
            }
        }
        Node::Encode(value) => {
            let value = resolve(value, scope, context)?;
            Ok(javascript::stringify(&value, budget)?.map_or(Val::Missing, Val::text))
        }
        Node::Decode(value) => {
            let value = resolve(value, scope, context)?;
            let Some(text) = value.as_text() else { return Ok(value) };
            budget.spend(text.len() / 8)?;
            match Value::parse(text) {
                Ok(decoded) => Ok(Val::owned(decoded)),
                Err(_) => Ok(value),
            }
        }
        Node::Flatten(parts) => flatten(parts, scope, context),
        Node::Merge { direction, objects } => merge(direction, objects, scope, context),
        Node::Transform(parts) => {
            if !scope.is_object() {
                return Err(failure(format!("data must be an object, got {}", scope.type_name())));
            }
            let applied = without_missing(resolve(&parts.apply, scope, context)?, budget)?;
            resolve(&parts.mapping, &applied, context)
        }
        Node::ExcludeWhenNull(value) => match resolve(value, scope, context)? {
            Val::Null => Ok(Val::Missing),
            value => without_nulls(value, budget, 0),
        },
        Node::Liquid(template) => template.render(scope, context).map(Val::text),
        Node::Beyond(directive) => directive.resolve(scope, context),
        Node::Fail(message) => Err(failure(message.clone())),
    }
}

/// The chosen branch of an `@if`.
pub(crate) fn branch<'s>(parts: &'s If, scope: &Val<'s>, context: &Context) -> Result<&'s Node, EvaluationError> {
    let value = resolve(&parts.test, scope, context)?;
    let is_blank = parts.blank && javascript::equals_empty_text(&value, &context.budget)?;
    let holds = !value.is_absent() && !is_blank;
    Ok(if holds { &parts.then } else { &parts.otherwise })
}

fn string<'s>(directive: &str, value: Val<'s>) -> Result<Cow<'s, str>, EvaluationError> {
    match value {
        Val::Text(text) => Ok(text),
        other => Err(failure(format!("{directive}: expected string, got {}", other.type_name()))),
    }
}

fn change_case<'s>(operator: Case, value: Val<'s>, budget: &Budget) -> Evaluated<'s> {
    let Val::Text(text) = value else { return Ok(value) };
    budget.text(text.len())?;
    match operator {
        Case::Lower => Ok(Val::text(text.to_lowercase())),
        Case::Upper => Ok(Val::text(text.to_uppercase())),
        Case::Unknown => Err(failure("operator key should have a value of \"lower\" or \"upper\"")),
    }
}

fn replace<'s>(parts: &'s Replace, scope: &Val<'s>, context: &Context) -> Evaluated<'s> {
    let value = resolve(&parts.value, scope, context)?;
    let text = match &value {
        Val::Text(_) | Val::Bool(_) | Val::Int(_) | Val::Float(_) | Val::Decimal(_) => {
            javascript::text(&value, &context.budget)?
        }
        _ => return Ok(Val::text("")),
    };
    let Some(steps) = &parts.steps else { return Ok(Val::text("")) };
    let mut text = text;
    for step in steps {
        let step = step.as_ref().map_err(|message| failure(message.clone()))?;
        if let Cow::Owned(replaced) = step.apply(&text, &context.budget)? {
            text = Cow::Owned(replaced);
        }
    }
    Ok(Val::Text(Cow::Owned(text.into_owned())))
}

fn flatten<'s>(parts: &'s Flatten, scope: &Val<'s>, context: &Context) -> Evaluated<'s> {
    let separator = resolve(&parts.separator, scope, context)?;
    let Some(separator) = separator.as_text() else {
        return Err(failure("@flatten requires a string separator"));
    };
    let value = resolve(&parts.value, scope, context)?;
    let mut flat = Entries::default();
    flatten_into(&value, "", separator, parts.keep_arrays, &mut flat, &context.budget, 0)?;
    Ok(Val::Object(flat.entries))
}

/// Entries in which a later value takes an earlier one's place.
#[derive(Default)]
struct Entries<'s> {
    entries: Vec<Entry<'s>>,
    /// Filled once a walk over the entries would be slow.
    index: std::collections::HashMap<String, usize>,
}

impl<'s> Entries<'s> {
    const WALK_MAX: usize = 16;

    fn insert(&mut self, key: Cow<'s, str>, val: Val<'s>) {
        if self.entries.len() == Self::WALK_MAX && self.index.is_empty() {
            let keys = self.entries.iter().enumerate();
            self.index = keys.map(|(index, (key, _))| (key.to_string(), index)).collect();
        }
        let found = if self.index.is_empty() {
            self.entries.iter().position(|(name, _)| *name == key)
        } else {
            self.index.get(key.as_ref()).copied()
        };
        match found {
            Some(index) => self.entries[index].1 = val,
            None => {
                if !self.index.is_empty() {
                    self.index.insert(key.to_string(), self.entries.len());
                }
                self.entries.push((key, val));
            }
        }
    }
}

fn flatten_into<'s>(
    value: &Val<'s>,
    prefix: &str,
    separator: &str,
    keep_arrays: bool,
    flat: &mut Entries<'s>,
    budget: &Budget,
    depth: usize,
) -> Result<(), EvaluationError> {
    budget.depth(depth)?;
    if !(value.is_object() || (!keep_arrays && value.is_array())) {
        budget.text(prefix.len())?;
        flat.insert(Cow::Owned(prefix.to_owned()), value.share(budget)?);
        return Ok(());
    }
    let mut below = |key: &str, value: &Val<'s>| {
        let prefix = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}{separator}{key}") };
        budget.text(prefix.len())?;
        flatten_into(value, &prefix, separator, keep_arrays, flat, budget, depth + 1)
    };
    match value.shape(budget)? {
        Shape::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| below(&index.to_string(), item)),
        Shape::Object(entries) => entries.iter().try_for_each(|(key, value)| below(key, value)),
        Shape::Scalar(_) => Ok(()),
    }
}

fn merge<'s>(direction: &'s Node, objects: &'s [Node], scope: &Val<'s>, context: &Context) -> Evaluated<'s> {
    let direction = resolve(direction, scope, context)?;
    let objects = objects.iter().map(|object| resolve(object, scope, context));
    let mut objects = objects.collect::<Result<Vec<_>, _>>()?;
    if direction.as_text() == Some("left") {
        objects.reverse();
    }
    let mut merged = Entries::default();
    for object in &objects {
        if let Val::Text(text) = object {
            // A text spreads into its UTF-16 units.
            context.budget.spend(text.len())?;
            for (index, unit) in text.encode_utf16().enumerate() {
                merged.insert(Cow::Owned(index.to_string()), Val::text(String::from_utf16_lossy(&[unit])));
            }
            continue;
        }
        match object.shape(&context.budget)? {
            Shape::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    merged.insert(Cow::Owned(index.to_string()), item.share(&context.budget)?);
                }
            }
            Shape::Object(entries) => {
                for (key, value) in entries.iter() {
                    merged.insert(key.clone(), value.share(&context.budget)?);
                }
            }
            Shape::Scalar(_) => {}
        }
    }
    Ok(Val::Object(merged.entries))
}

/// Missing keys taken out, in depth; only what was built can have any.
fn without_missing<'s>(value: Val<'s>, budget: &Budget) -> Evaluated<'s> {
    Ok(match value {
        Val::Array(items) => {
            budget.spend(items.len())?;
            Val::Array(items.into_iter().map(|item| without_missing(item, budget)).collect::<Result<_, _>>()?)
        }
        Val::Object(entries) => {
            budget.spend(entries.len())?;
            let kept = entries.into_iter().filter(|(_, value)| !value.is_missing());
            let entry = |(key, value)| Ok((key, without_missing(value, budget)?));
            Val::Object(kept.map(entry).collect::<Result<_, EvaluationError>>()?)
        }
        other => other,
    })
}

/// An object's null keys taken out, in depth, arrays left as they are.
fn without_nulls<'s>(value: Val<'s>, budget: &Budget, depth: usize) -> Evaluated<'s> {
    budget.depth(depth)?;
    if !value.is_object() {
        return Ok(value);
    }
    let Shape::Object(entries) = value.shape(budget)? else { return Ok(value) };
    let mut cleaned = Vec::with_capacity(entries.len());
    for (key, value) in entries.iter() {
        let value = match value {
            Val::Null => Val::Missing,
            value => without_nulls(value.share(budget)?, budget, depth + 1)?,
        };
        cleaned.push((key.clone(), value));
    }
    Ok(Val::Object(cleaned))
}
